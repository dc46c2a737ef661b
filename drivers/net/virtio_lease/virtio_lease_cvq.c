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

#include "virtio_lease_cvq.h"
#include "virtio_lease_logs.h"
#include "virtio_lease_ring_packed.h"
#include "virtio_lease_virtio.h"

/* Commands are sent one at a time: four descriptors hold any of them. */
#define CVQ_SIZE 4

#define ANSWER_TIMEOUT_US 1000000
#define ANSWER_POLL_US 10

/* The event words are not used, but with VIRTIO_F_EVENT_IDX the device writes to avail_event. */
struct split_ring {
	struct vlease_desc desc[CVQ_SIZE];
	struct {
		rte_le16_t flags;
		rte_le16_t index;
		rte_le16_t ring[CVQ_SIZE];
		rte_le16_t used_event;
	} avail;
	struct {
		rte_le16_t flags;
		volatile rte_le16_t index;
		struct vlease_used_elem ring[CVQ_SIZE];
		rte_le16_t avail_event;
	} used __rte_aligned(4);
};

struct packed_ring {
	struct vlease_packed_desc desc[CVQ_SIZE];
	struct vlease_packed_event driver;
	struct vlease_packed_event device;
};

/* VIRTIO 1.2, 2.7 and 2.8.10.1: the descriptors are aligned to 16, all else to 4 at most. */
struct vlease_cvq_memory {
	union {
		struct split_ring split;
		struct packed_ring packed;
	};
	struct {
		uint8_t class;
		uint8_t command;
	} header;
	uint8_t data[VLEASE_CVQ_DATA_SIZE];
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
	pthread_mutex_init(&cvq->lock, NULL);
	return 0;
}

void
vlease_cvq_destroy(struct vlease_cvq *cvq)
{
	rte_memzone_free(cvq->zone);
	pthread_mutex_destroy(&cvq->lock);
	memset(cvq, 0, sizeof(*cvq));
}

/*
 * The parts of a command: header and data, unless that is empty, which the device reads, and what
 * it answers.
 */
struct part {
	size_t offset;
	size_t length;
	uint16_t flags;
};

#define CVQ_MAX_PARTS 3

/* In both layouts places are used in turn, as VIRTIO_F_IN_ORDER asks (VIRTIO 1.2, 2.7.9). */

static void
send_split(struct vlease_cvq *cvq, const struct part *parts, unsigned int count)
{
	struct split_ring *ring = &cvq->memory->split;
	unsigned int i;

	for (i = 0; i < count; i++)
		ring->desc[(cvq->place + i) % CVQ_SIZE] = (struct vlease_desc){
			.addr = rte_cpu_to_le_64(iova_of(cvq, parts[i].offset)),
			.len = rte_cpu_to_le_32((uint32_t)parts[i].length),
			.flags = rte_cpu_to_le_16(parts[i].flags),
			.next = rte_cpu_to_le_16((cvq->place + i + 1) % CVQ_SIZE),
		};
	ring->avail.ring[(cvq->sent - 1) % CVQ_SIZE] = rte_cpu_to_le_16(cvq->place % CVQ_SIZE);
	rte_io_wmb();
	ring->avail.index = rte_cpu_to_le_16(cvq->sent);
}

/* From the last to the first: rule P1. The id is that of the last place. */
static void
send_packed(struct vlease_cvq *cvq, const struct part *parts, unsigned int count)
{
	const uint16_t id = (cvq->place + count - 1) % CVQ_SIZE;
	struct vlease_packed_desc *desc;
	uint16_t place, flags;
	unsigned int i;

	for (i = count; i-- > 0;) {
		place = cvq->place + i;
		desc = &cvq->memory->packed.desc[place % CVQ_SIZE];
		flags = parts[i].flags | vlease_packed_avail_flags(place, CVQ_SIZE);
		desc->addr = rte_cpu_to_le_64(iova_of(cvq, parts[i].offset));
		rte_io_wmb();
		vlease_packed_show(desc, vlease_packed_word((uint32_t)parts[i].length, id, flags));
	}
}

static bool
answered(const struct vlease_cvq *cvq)
{
	const struct vlease_packed_desc *desc;

	if (!cvq->packed)
		return rte_le_to_cpu_16(cvq->memory->split.used.index) == cvq->sent;
	desc = &cvq->memory->packed.desc[cvq->place % CVQ_SIZE];
	return vlease_packed_is_used(vlease_packed_load(desc), cvq->place, CVQ_SIZE);
}

int
vlease_cvq_enable(struct vlease_cvq *cvq, struct vlease_pci *pci, uint16_t index,
		  uint64_t features)
{
	const bool packed = (features & VIRTIO_F_RING_PACKED) != 0;
	size_t driver = packed ? offsetof(struct packed_ring, driver) :
				 offsetof(struct split_ring, avail);
	size_t device = packed ? offsetof(struct packed_ring, device) :
				 offsetof(struct split_ring, used);
	struct vlease_pci_queue queue = {
		.index = index,
		.size = CVQ_SIZE,
		.desc_iova = iova_of(cvq, 0),
		.driver_iova = iova_of(cvq, driver),
		.device_iova = iova_of(cvq, device),
	};
	uint64_t offset;
	int ret;

	pthread_mutex_lock(&cvq->lock);
	memset(cvq->memory, 0, sizeof(*cvq->memory));
	ret = vlease_pci_doorbell_offset(pci, index, &offset);
	if (ret == 0)
		ret = vlease_pci_queue_enable(pci, &queue);
	if (ret == 0) {
		cvq->doorbell = vlease_pci_doorbell(pci, offset);
		cvq->index = index;
		cvq->sent = 0;
		cvq->place = 0;
		cvq->packed = packed;
		cvq->notification_data = (features & VIRTIO_F_NOTIFICATION_DATA) != 0;
		cvq->broken = false;
	}
	pthread_mutex_unlock(&cvq->lock);
	return ret;
}

void
vlease_cvq_disable(struct vlease_cvq *cvq)
{
	pthread_mutex_lock(&cvq->lock);
	cvq->index = 0;
	pthread_mutex_unlock(&cvq->lock);
}

static int
wait_for_answer(struct vlease_cvq *cvq, uint8_t class, uint8_t command)
{
	unsigned int waited;

	for (waited = 0; !answered(cvq); waited += ANSWER_POLL_US) {
		if (waited >= ANSWER_TIMEOUT_US) {
			VLEASE_LOG(ERR, "%s: control command %u/%u: no answer", cvq->address,
				   class, command);
			/* It may still come, and would be taken for that to the next one. */
			cvq->broken = true;
			return -ETIMEDOUT;
		}
		rte_delay_us_sleep(ANSWER_POLL_US);
	}
	rte_io_rmb();
	if (cvq->memory->ack == VIRTIO_NET_OK)
		return 0;
	VLEASE_LOG(ERR, "%s: control command %u/%u: refused (%u)", cvq->address, class, command,
		   cvq->memory->ack);
	return -EIO;
}

static int
send(struct vlease_cvq *cvq, uint8_t class, uint8_t command, const void *data, size_t length)
{
	struct vlease_cvq_memory *memory = cvq->memory;
	struct part parts[CVQ_MAX_PARTS];
	unsigned int count = 0;
	uint16_t next;
	int ret;

	memory->header.class = class;
	memory->header.command = command;
	memory->ack = UINT8_MAX;
	parts[count++] = (struct part){ offsetof(struct vlease_cvq_memory, header),
					sizeof(memory->header), VLEASE_DESC_NEXT };
	if (length > 0) {
		memcpy(memory->data, data, length);
		parts[count++] = (struct part){ offsetof(struct vlease_cvq_memory, data), length,
						VLEASE_DESC_NEXT };
	}
	parts[count++] = (struct part){ offsetof(struct vlease_cvq_memory, ack),
					sizeof(memory->ack), VLEASE_DESC_WRITE };
	cvq->sent++;
	if (cvq->packed)
		send_packed(cvq, parts, count);
	else
		send_split(cvq, parts, count);
	next = cvq->packed ? vlease_packed_place(cvq->place + count, CVQ_SIZE) : cvq->sent;
	vlease_ring_doorbell(cvq->doorbell, cvq->index, next, cvq->notification_data);
	ret = wait_for_answer(cvq, class, command);
	cvq->place += count;
	return ret;
}

int
vlease_cvq_command(struct vlease_cvq *cvq, uint8_t class, uint8_t command, const void *data,
		   size_t length)
{
	int ret;

	if (length > VLEASE_CVQ_DATA_SIZE)
		return -E2BIG;
	pthread_mutex_lock(&cvq->lock);
	if (cvq->index == 0)
		ret = -ENETDOWN;
	else if (cvq->broken)
		ret = -ETIMEDOUT;
	else
		ret = send(cvq, class, command, data, length);
	pthread_mutex_unlock(&cvq->lock);
	return ret;
}
