/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_io.h>
#include <rte_memzone.h>

#include <bar_slice_doorbell.h>

#include "virtio_lease_cvq.h"
#include "virtio_lease_logs.h"
#include "virtio_lease_virtio.h"

/* Commands are sent one at a time, so that four descriptors hold any of them. */
#define CVQ_SIZE 4
#define CVQ_DATA_SIZE 64

#define ANSWER_TIMEOUT_US 1000000
#define ANSWER_POLL_US 10

/* VIRTIO 1.2, 2.7.5 */
#define DESC_F_NEXT 1
#define DESC_F_WRITE 2

struct descriptor {
	rte_le64_t iova;
	rte_le32_t length;
	rte_le16_t flags;
	rte_le16_t next;
};

/* VIRTIO 1.2, 2.7: alignment 16, 2 and 4 of the three parts. */
struct vlease_cvq_memory {
	struct descriptor desc[CVQ_SIZE];
	struct {
		rte_le16_t flags;
		rte_le16_t index;
		rte_le16_t ring[CVQ_SIZE];
	} avail;
	struct {
		rte_le16_t flags;
		volatile rte_le16_t index;
		struct {
			rte_le32_t id;
			rte_le32_t length;
		} ring[CVQ_SIZE];
	} used __rte_aligned(4);
	struct {
		uint8_t class;
		uint8_t command;
	} header;
	uint8_t data[CVQ_DATA_SIZE];
	volatile uint8_t ack;
};

static uint64_t
iova_of(const struct vlease_cvq *cvq, size_t offset)
{
	return cvq->zone->iova + offset;
}

int
vlease_cvq_create(struct vlease_cvq *cvq, const char *address, int socket)
{
	char name[RTE_MEMZONE_NAMESIZE];

	snprintf(name, sizeof(name), "vlease_cvq_%s", address);
	cvq->zone = rte_memzone_reserve_aligned(name, sizeof(*cvq->memory), socket,
						RTE_MEMZONE_IOVA_CONTIG, RTE_CACHE_LINE_SIZE);
	if (cvq->zone == NULL) {
		VLEASE_LOG(ERR, "%s: no memory for the control queue: %s", address,
			   rte_strerror(rte_errno));
		return -ENOMEM;
	}
	cvq->memory = cvq->zone->addr;
	cvq->address = address;
	return 0;
}

void
vlease_cvq_destroy(struct vlease_cvq *cvq)
{
	rte_memzone_free(cvq->zone);
	memset(cvq, 0, sizeof(*cvq));
}

static void
describe(struct vlease_cvq *cvq, unsigned int i, size_t offset, size_t length, uint16_t flags)
{
	cvq->memory->desc[i] = (struct descriptor){
		.iova = rte_cpu_to_le_64(iova_of(cvq, offset)),
		.length = rte_cpu_to_le_32((uint32_t)length),
		.flags = rte_cpu_to_le_16(flags),
		.next = rte_cpu_to_le_16((uint16_t)(i + 1)),
	};
}

int
vlease_cvq_enable(struct vlease_cvq *cvq, struct vlease_pci *pci, uint16_t index)
{
	struct vlease_pci_queue queue = {
		.index = index,
		.size = CVQ_SIZE,
		.desc_iova = iova_of(cvq, offsetof(struct vlease_cvq_memory, desc)),
		.avail_iova = iova_of(cvq, offsetof(struct vlease_cvq_memory, avail)),
		.used_iova = iova_of(cvq, offsetof(struct vlease_cvq_memory, used)),
	};
	uint64_t offset;
	int ret;

	memset(cvq->memory, 0, sizeof(*cvq->memory));
	ret = vlease_pci_doorbell_offset(pci, index, &offset);
	if (ret == 0)
		ret = vlease_pci_queue_enable(pci, &queue);
	if (ret != 0)
		return ret;
	cvq->doorbell = vlease_pci_doorbell(pci, offset);
	cvq->index = index;
	cvq->sent = 0;
	return 0;
}

int
vlease_cvq_command(struct vlease_cvq *cvq, uint8_t class, uint8_t command, const void *data,
		   size_t length)
{
	struct vlease_cvq_memory *memory = cvq->memory;
	unsigned int waited;

	if (cvq->index == 0)
		return -ENOTSUP;
	memory->header.class = class;
	memory->header.command = command;
	memcpy(memory->data, data, length);
	memory->ack = UINT8_MAX;
	describe(cvq, 0, offsetof(struct vlease_cvq_memory, header), sizeof(memory->header),
		 DESC_F_NEXT);
	describe(cvq, 1, offsetof(struct vlease_cvq_memory, data), length, DESC_F_NEXT);
	describe(cvq, 2, offsetof(struct vlease_cvq_memory, ack), sizeof(memory->ack),
		 DESC_F_WRITE);
	memory->avail.ring[cvq->sent % CVQ_SIZE] = 0;
	cvq->sent++;
	rte_io_wmb();
	memory->avail.index = rte_cpu_to_le_16(cvq->sent);
	bar_slice_ring_doorbell(cvq->doorbell, cvq->index);

	for (waited = 0; rte_le_to_cpu_16(memory->used.index) != cvq->sent;
	     waited += ANSWER_POLL_US) {
		if (waited >= ANSWER_TIMEOUT_US) {
			VLEASE_LOG(ERR, "%s: control command %u/%u: no answer", cvq->address,
				   class, command);
			return -ETIMEDOUT;
		}
		rte_delay_us_sleep(ANSWER_POLL_US);
	}
	rte_io_rmb();
	if (memory->ack != VIRTIO_NET_OK) {
		VLEASE_LOG(ERR, "%s: control command %u/%u: refused (%u)", cvq->address, class,
			   command, memory->ack);
		return -EIO;
	}
	return 0;
}
