/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_io.h>

#include "virtio_lease_logs.h"
#include "virtio_lease_pci.h"
#include "virtio_lease_ring.h"
#include "virtio_lease_virtio.h"

/* Generous: an emulated device on a busy machine takes its time. */
#define RESET_TIMEOUT_US 1000000
#define RESET_POLL_US 10

/* Of the configuration, in a row, that the device may spoil by changing it meanwhile. */
#define MAX_CONFIG_READS 100

/* In the 192 bytes behind the header, of four bytes at least (PCI 3.0, 6.7). */
#define MAX_CAPABILITIES 48

/* VIRTIO 1.2, 4.1.4: layout of a capability that locates a structure. */
struct virtio_pci_cap {
	uint8_t id;
	uint8_t next;
	uint8_t length;
	uint8_t type;
	uint8_t bar;
	uint8_t instance;
	uint8_t padding[2];
	rte_le32_t offset;
	rte_le32_t size;
	rte_le32_t notify_multiplier;	/* of VIRTIO_PCI_CAP_NOTIFY_CFG only */
};

/* VIRTIO 1.2, 4.1.4.3. */
struct vlease_pci_common_cfg {
	rte_le32_t device_feature_select;
	rte_le32_t device_feature;
	rte_le32_t driver_feature_select;
	rte_le32_t driver_feature;
	rte_le16_t config_msix_vector;
	rte_le16_t num_queues;
	uint8_t device_status;
	uint8_t config_generation;
	rte_le16_t queue_select;
	rte_le16_t queue_size;
	rte_le16_t queue_msix_vector;
	rte_le16_t queue_enable;
	rte_le16_t queue_notify_off;
	rte_le32_t queue_desc[2];
	rte_le32_t queue_driver[2];
	rte_le32_t queue_device[2];
	rte_le16_t queue_notify_data;
	rte_le16_t queue_reset;
};

_Static_assert(offsetof(struct vlease_pci_common_cfg, queue_reset) == 0x3a,
	       "VIRTIO 1.2, 4.1.4.3: queue_reset");

static uint8_t
read8(volatile const uint8_t *reg)
{
	return rte_read8(reg);
}

static uint16_t
read16(volatile const rte_le16_t *reg)
{
	return rte_le_to_cpu_16(rte_read16(reg));
}

static uint32_t
read32(volatile const rte_le32_t *reg)
{
	return rte_le_to_cpu_32(rte_read32(reg));
}

static void
write16(uint16_t value, volatile rte_le16_t *reg)
{
	rte_write16(rte_cpu_to_le_16(value), reg);
}

static void
write32(uint32_t value, volatile rte_le32_t *reg)
{
	rte_write32(rte_cpu_to_le_32(value), reg);
}

/* VIRTIO 1.2, 4.1.3.1: 64-bit fields are written as two of 32 bits. */
static void
write64(uint64_t value, volatile rte_le32_t reg[2])
{
	write32((uint32_t)value, &reg[0]);
	write32((uint32_t)(value >> 32), &reg[1]);
}

void
vlease_queue_name(uint16_t queue, char *name, size_t size)
{
	/* VIRTIO 1.2, 5.1.2: receiveq1, transmitq1, receiveq2, ... */
	snprintf(name, size, "%cxq%u", queue % 2 == 0 ? 'r' : 't', queue / 2);
}

const char *
vlease_pci_address(const struct vlease_pci *pci)
{
	return vfio_device_address(pci->device);
}

/*
 * A device that was removed, or whose memory is switched off, reads all ones. No other can have
 * this status: 0x10 and 0x20 are reserved (VIRTIO 1.2, 2.1).
 */
static bool
is_gone(const struct vlease_pci *pci)
{
	if (vlease_pci_status(pci) != UINT8_MAX)
		return false;
	VLEASE_LOG(ERR, "%s: reads all ones: was it removed?", vlease_pci_address(pci));
	return true;
}

/* VIRTIO 1.2, 4.1.4: how a structure is aligned. */
static unsigned int
alignment(const struct virtio_pci_cap *cap)
{
	return cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 2 : 4;
}

/* Map the BAR that a structure is in; returns the structure's address or NULL. */
static void *
map_structure(struct vlease_pci *pci, const struct virtio_pci_cap *cap, size_t least)
{
	uint32_t offset = rte_le_to_cpu_32(cap->offset), size = rte_le_to_cpu_32(cap->size);
	struct vfio_device_bar *info;

	/* VIRTIO 1.2, 4.1.4.1: other values are reserved, and to be ignored. */
	if (cap->bar >= VFIO_DEVICE_MAX_BARS)
		return NULL;
	info = &pci->bar_info[cap->bar];
	if (pci->bars[cap->bar] == NULL) {
		if (vfio_device_bar(pci->device, cap->bar, info) != 0 || info->size == 0 ||
		    vfio_device_map_bar(pci->device, cap->bar, 0, info->size,
					&pci->bars[cap->bar]) != 0) {
			VLEASE_LOG(ERR, "%s: BAR %u: %s", vlease_pci_address(pci), cap->bar,
				   info->size == 0 ? "absent" : vfio_device_error());
			return NULL;
		}
	}
	if (size < least || (uint64_t)offset + size > info->size) {
		VLEASE_LOG(ERR, "%s: structure of type %u does not fit BAR %u",
			   vlease_pci_address(pci), cap->type, cap->bar);
		return NULL;
	}
	if (offset % alignment(cap) != 0) {
		VLEASE_LOG(ERR, "%s: structure of type %u at 0x%x of BAR %u is not aligned",
			   vlease_pci_address(pci), cap->type, offset, cap->bar);
		return NULL;
	}
	return RTE_PTR_ADD(pci->bars[cap->bar], offset);
}

/* VIRTIO 1.2, 4.1.4.1: the first of each type that can be used is the one to use. */
static void
use_capability(struct vlease_pci *pci, const struct virtio_pci_cap *cap)
{
	switch (cap->type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		if (pci->common == NULL)
			pci->common = map_structure(pci, cap, sizeof(*pci->common));
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		if (pci->config == NULL) {
			pci->config = map_structure(pci, cap, sizeof(struct virtio_net_config));
			pci->config_length = rte_le_to_cpu_32(cap->size);
		}
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		if (pci->notify_length == 0 &&
		    map_structure(pci, cap, sizeof(uint16_t)) != NULL) {
			pci->notify_bar = cap->bar;
			pci->notify_offset = rte_le_to_cpu_32(cap->offset);
			pci->notify_length = rte_le_to_cpu_32(cap->size);
			pci->notify_multiplier = rte_le_to_cpu_32(cap->notify_multiplier);
		}
		break;
	default:
		break;
	}
}

static int
find_structures(struct vlease_pci *pci)
{
	struct virtio_pci_cap cap;
	unsigned int found = 0;
	int pos = 0;

	while ((pos = vfio_device_find_capability(pci->device, PCI_CAP_ID_VENDOR,
						  (uint8_t)pos)) > 0) {
		if (found++ == MAX_CAPABILITIES) {
			VLEASE_LOG(ERR, "%s: the list of PCI capabilities does not end",
				   vlease_pci_address(pci));
			return -ELOOP;
		}
		if (vfio_device_config_read(pci->device, (uint32_t)pos, &cap, sizeof(cap)) != 0)
			return -EIO;
		use_capability(pci, &cap);
	}
	if (pos < 0)
		return pos;
	if (pci->common == NULL || pci->config == NULL || pci->notify_length == 0) {
		VLEASE_LOG(ERR, "%s: lacks the %s structure of a modern VIRTIO device",
			   vlease_pci_address(pci), pci->common == NULL ? "common" :
			   pci->config == NULL ? "device" : "notify");
		return -ENODEV;
	}
	return is_gone(pci) ? -ENODEV : 0;
}

int
vlease_pci_open(struct vlease_pci *pci, const char *address)
{
	int ret;

	memset(pci, 0, sizeof(*pci));
	pci->doorbell_size = sizeof(uint16_t);
	pthread_mutex_init(&pci->lock, NULL);
	ret = vfio_device_open(address, &pci->device);
	if (ret != 0) {
		VLEASE_LOG(ERR, "%s", vfio_device_error());
		return ret;
	}
	ret = find_structures(pci);
	if (ret == 0)
		ret = vfio_device_set_bus_master(pci->device, 1);
	if (ret != 0)
		vlease_pci_close(pci);
	return ret;
}

void
vlease_pci_close(struct vlease_pci *pci)
{
	unsigned int i;

	for (i = 0; i < VFIO_DEVICE_MAX_BARS; i++)
		if (pci->bars[i] != NULL)
			munmap(pci->bars[i], pci->bar_info[i].size);
	/*
	 * The group stays open for the life of the process: otherwise EAL's message handler could
	 * open it for a secondary that asks, and pass it on.
	 */
	if (pci->device != NULL)
		vfio_device_close(pci->device, 1);
	memset(pci, 0, sizeof(*pci));
}

uint8_t
vlease_pci_status(const struct vlease_pci *pci)
{
	return read8(&pci->common->device_status);
}

void
vlease_pci_add_status(struct vlease_pci *pci, uint8_t bits)
{
	rte_write8(vlease_pci_status(pci) | bits, &pci->common->device_status);
}

int
vlease_pci_reset(struct vlease_pci *pci)
{
	unsigned int waited;

	/* VIRTIO 1.2, 4.1.4.3.2: done when the status reads 0. */
	rte_write8(0, &pci->common->device_status);
	for (waited = 0; vlease_pci_status(pci) != 0; waited += RESET_POLL_US) {
		if (is_gone(pci))
			return -ENODEV;
		if (waited >= RESET_TIMEOUT_US) {
			VLEASE_LOG(ERR, "%s: does not finish its reset (status 0x%x)",
				   vlease_pci_address(pci), vlease_pci_status(pci));
			return -ETIMEDOUT;
		}
		rte_delay_us_sleep(RESET_POLL_US);
	}
	return 0;
}

uint64_t
vlease_pci_device_features(struct vlease_pci *pci)
{
	uint64_t low;

	write32(0, &pci->common->device_feature_select);
	low = read32(&pci->common->device_feature);
	write32(1, &pci->common->device_feature_select);
	return low | (uint64_t)read32(&pci->common->device_feature) << 32;
}

int
vlease_pci_negotiate(struct vlease_pci *pci, uint64_t features)
{
	write32(0, &pci->common->driver_feature_select);
	write32((uint32_t)features, &pci->common->driver_feature);
	write32(1, &pci->common->driver_feature_select);
	write32((uint32_t)(features >> 32), &pci->common->driver_feature);
	pci->doorbell_size = (features & VIRTIO_F_NOTIFICATION_DATA) != 0 ? sizeof(uint32_t) :
			     sizeof(uint16_t);
	vlease_pci_add_status(pci, VIRTIO_STATUS_FEATURES_OK);
	if (is_gone(pci))
		return -ENODEV;
	if ((vlease_pci_status(pci) & VIRTIO_STATUS_FEATURES_OK) == 0) {
		VLEASE_LOG(ERR, "%s: refuses features 0x%" PRIx64, vlease_pci_address(pci),
			   features);
		return -ENOTSUP;
	}
	return 0;
}

int
vlease_pci_config_read(struct vlease_pci *pci, size_t offset, void *data, size_t length)
{
	uint8_t *byte = data, generation;
	unsigned int reads;
	size_t i;

	for (reads = 0; reads < MAX_CONFIG_READS; reads++) {
		generation = read8(&pci->common->config_generation);
		for (i = 0; i < length; i++)
			byte[i] = offset + i < pci->config_length ?
				  read8(pci->config + offset + i) : 0;
		if (generation == read8(&pci->common->config_generation))
			return is_gone(pci) ? -ENODEV : 0;
	}
	VLEASE_LOG(ERR, "%s: its configuration changes all the time: cannot be read",
		   vlease_pci_address(pci));
	return -EAGAIN;
}

int
vlease_pci_config_vector(struct vlease_pci *pci, uint16_t vector)
{
	write16(vector, &pci->common->config_msix_vector);
	if (read16(&pci->common->config_msix_vector) == vector)
		return 0;
	VLEASE_LOG(ERR, "%s: the device refuses MSI-X vector %u for changes of its configuration",
		   vlease_pci_address(pci), vector);
	return -ENOSPC;
}

/* Between the two the registers of this queue, and of no other thread's, are to be seen. */
static void
select_queue(struct vlease_pci *pci, uint16_t queue)
{
	pthread_mutex_lock(&pci->lock);
	write16(queue, &pci->common->queue_select);
}

static void
unselect_queue(struct vlease_pci *pci)
{
	pthread_mutex_unlock(&pci->lock);
}

uint16_t
vlease_pci_max_queue_size(struct vlease_pci *pci, uint16_t queue)
{
	uint16_t size;

	select_queue(pci, queue);
	size = read16(&pci->common->queue_size);
	unselect_queue(pci);
	if (size <= VLEASE_MAX_QUEUE_SIZE)
		return size;
	VLEASE_LOG(ERR, "%s: queue %u: cannot have %u descriptors", vlease_pci_address(pci), queue,
		   size);
	return 0;
}

int
vlease_pci_queue_enable(struct vlease_pci *pci, const struct vlease_pci_queue *queue)
{
	const uint16_t vector = queue->vector != 0 ? queue->vector : VIRTIO_MSI_NO_VECTOR;
	uint16_t most = vlease_pci_max_queue_size(pci, queue->index);
	bool refused;

	if (most < queue->size) {
		VLEASE_LOG(ERR, "%s: queue %u: has %u descriptors, but %u are needed",
			   vlease_pci_address(pci), queue->index, most, queue->size);
		return -ENODEV;
	}
	select_queue(pci, queue->index);
	/* A reset, of the queue or the device, has put all of these back: program each. */
	write16(queue->size, &pci->common->queue_size);
	write16(vector, &pci->common->queue_msix_vector);
	/* VIRTIO 1.2, 4.1.5.1.2: what the device has no room for reads as no vector. */
	refused = read16(&pci->common->queue_msix_vector) != vector;
	write64(queue->desc_iova, pci->common->queue_desc);
	write64(queue->driver_iova, pci->common->queue_driver);
	write64(queue->device_iova, pci->common->queue_device);
	if (!refused)
		write16(1, &pci->common->queue_enable);
	unselect_queue(pci);
	if (!refused)
		return 0;
	VLEASE_LOG(ERR, "%s: queue %u: the device refuses MSI-X vector %u",
		   vlease_pci_address(pci), queue->index, queue->vector);
	return -ENOSPC;
}

/* VIRTIO 1.2, 4.1.4.3.2: done when queue_reset, and then queue_enable, reads 0. */
static bool
queue_is_reset(const struct vlease_pci *pci)
{
	return read16(&pci->common->queue_reset) == 0 && read16(&pci->common->queue_enable) == 0;
}

int
vlease_pci_queue_reset(struct vlease_pci *pci, uint16_t queue)
{
	unsigned int waited;
	bool done;

	select_queue(pci, queue);
	write16(1, &pci->common->queue_reset);
	for (waited = 0; !(done = queue_is_reset(pci)) && waited < RESET_TIMEOUT_US &&
			 vlease_pci_status(pci) != UINT8_MAX; waited += RESET_POLL_US)
		rte_delay_us_sleep(RESET_POLL_US);
	unselect_queue(pci);
	if (done)
		return 0;
	return is_gone(pci) ? -ENODEV : -ETIMEDOUT;
}

int
vlease_pci_read_common(struct vlease_pci *pci, uint32_t regs[VLEASE_PCI_COMMON_REGS])
{
	regs[0] = vlease_pci_status(pci);
	regs[1] = read8(&pci->common->config_generation);
	regs[2] = read16(&pci->common->num_queues);
	regs[3] = read16(&pci->common->config_msix_vector);
	return is_gone(pci) ? -ENODEV : 0;
}

void
vlease_pci_read_queue(struct vlease_pci *pci, uint16_t queue, uint32_t regs[VLEASE_PCI_QUEUE_REGS])
{
	select_queue(pci, queue);
	regs[0] = read16(&pci->common->queue_size);
	regs[1] = read16(&pci->common->queue_enable);
	regs[2] = read16(&pci->common->queue_msix_vector);
	unselect_queue(pci);
}

int
vlease_pci_doorbell_offset(struct vlease_pci *pci, uint16_t queue, uint64_t *offset)
{
	uint64_t within;

	/* VIRTIO 1.2, 4.1.4.4: cap.offset + queue_notify_off * notify_off_multiplier. */
	select_queue(pci, queue);
	within = (uint64_t)read16(&pci->common->queue_notify_off) * pci->notify_multiplier;
	unselect_queue(pci);
	if (within + pci->doorbell_size > pci->notify_length ||
	    (pci->notify_offset + within) % pci->doorbell_size != 0)
		return -ERANGE;
	*offset = pci->notify_offset + within;
	return 0;
}

volatile uint16_t *
vlease_pci_doorbell(struct vlease_pci *pci, uint64_t offset)
{
	return RTE_PTR_ADD(pci->bars[pci->notify_bar], offset);
}

/* Whether any register outside the notify structure shares its first or last page. */
static bool
notify_pages_shared(const struct vlease_pci *pci, size_t page)
{
	uint64_t first = RTE_ALIGN_FLOOR(pci->notify_offset, page);
	uint64_t last = RTE_ALIGN_CEIL(pci->notify_offset + pci->notify_length, page);
	const uint8_t *bar = pci->bars[pci->notify_bar];
	const uint8_t *others[] = {
		(const uint8_t *)(uintptr_t)pci->common,
		(const uint8_t *)(uintptr_t)pci->config,
	};
	unsigned int i;

	for (i = 0; i < RTE_DIM(others); i++)
		if (others[i] >= bar + first && others[i] < bar + last)
			return true;
	return false;
}

int
vlease_pci_check_doorbell_pages(struct vlease_pci *pci, uint16_t nb_queues)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t offset, others;
	uint16_t i, j;

	if (notify_pages_shared(pci, page)) {
		VLEASE_LOG(ERR, "%s: the doorbells share a page with other registers of BAR %u",
			   vlease_pci_address(pci), pci->notify_bar);
		return -ENOTSUP;
	}
	for (i = 0; i < nb_queues; i++) {
		if (vlease_pci_doorbell_offset(pci, i, &offset) != 0) {
			VLEASE_LOG(ERR, "%s: queue %u: its doorbell is outside BAR %u",
				   vlease_pci_address(pci), i, pci->notify_bar);
			return -ERANGE;
		}
		for (j = 0; j < i; j++) {
			if (vlease_pci_doorbell_offset(pci, j, &others) != 0 ||
			    others / page != offset / page)
				continue;
			VLEASE_LOG(ERR, "%s: queue %u: doorbell shares its page with queue %u "
				   "(notify_off_multiplier %u); need page-per-vq",
				   vlease_pci_address(pci), i, j, pci->notify_multiplier);
			return -ENOTSUP;
		}
		if (offset % page != 0) {
			VLEASE_LOG(ERR, "%s: queue %u: doorbell at 0x%" PRIx64 " of BAR %u is "
				   "not page-aligned", vlease_pci_address(pci), i, offset,
				   pci->notify_bar);
			return -ENOTSUP;
		}
	}
	return 0;
}
