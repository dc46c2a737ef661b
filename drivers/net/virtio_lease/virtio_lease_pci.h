/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_PCI_H
#define VIRTIO_LEASE_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfio_device.h>

/*
 * The VIRTIO 1.x PCI transport, VIRTIO 1.2, 4.1: only the primary process has it. Nothing here
 * may be stored in memory shared with secondaries.
 *
 * Thread safety: what concerns one queue may be called at any time, which a lock sees to:
 * queue_select (4.1.4.3) is state of the device. All else: one thread at a time.
 */

struct vlease_pci_common_cfg;

struct vlease_pci {
	struct vfio_device *device;
	pthread_mutex_t lock;			/* over queue_select and what it selects */
	void *bars[VFIO_DEVICE_MAX_BARS];	/* mapped whole where a structure is in them */
	struct vfio_device_bar bar_info[VFIO_DEVICE_MAX_BARS];
	volatile struct vlease_pci_common_cfg *common;
	volatile uint8_t *config;		/* of the device type: network */
	uint32_t config_length;
	unsigned int notify_bar;
	uint64_t notify_offset;			/* in its BAR */
	uint32_t notify_length;
	uint32_t notify_multiplier;
	uint8_t doorbell_size;			/* bytes, as negotiated; VIRTIO 1.2, 4.1.5.2 */
};

/* Place of a virtqueue's areas, as the device sees it; VIRTIO 1.2, 2.6. */
struct vlease_pci_queue {
	uint16_t index;
	uint16_t size;
	uint16_t vector;	/* of MSI-X; 0, that of changes of configuration: none */
	uint64_t desc_iova;
	uint64_t driver_iova;	/* split: the avail ring; packed: the driver's event suppression */
	uint64_t device_iova;	/* split: the used ring; packed: the device's event suppression */
};

/* Open the device and find its structures. Logs the cause of a failure. */
int vlease_pci_open(struct vlease_pci *pci, const char *address);
void vlease_pci_close(struct vlease_pci *pci);
const char *vlease_pci_address(const struct vlease_pci *pci);

/*
 * What follows returns -ENODEV, and logs it, if the device reads all ones, as one does that was
 * removed.
 */

/* Reset the device, VIRTIO 1.2, 2.4. -ETIMEDOUT: it does not come back. */
int vlease_pci_reset(struct vlease_pci *pci);
void vlease_pci_add_status(struct vlease_pci *pci, uint8_t bits);
uint8_t vlease_pci_status(const struct vlease_pci *pci);
uint64_t vlease_pci_device_features(struct vlease_pci *pci);
/* -ENOTSUP: the device does not accept this set. */
int vlease_pci_negotiate(struct vlease_pci *pci, uint64_t features);

/*
 * Read device configuration, whole also while the device changes it (VIRTIO 1.2, 2.5.3).
 * -EAGAIN: it never stops changing it.
 */
int vlease_pci_config_read(struct vlease_pci *pci, size_t offset, void *data, size_t length);

/* Which MSI-X vector tells of changes of the configuration. -ENOSPC: the device refuses it. */
int vlease_pci_config_vector(struct vlease_pci *pci, uint16_t vector);

/* 0: there is no such queue, or the device claims more than a queue can have. */
uint16_t vlease_pci_max_queue_size(struct vlease_pci *pci, uint16_t queue);
int vlease_pci_queue_enable(struct vlease_pci *pci, const struct vlease_pci_queue *queue);
/* Reset one queue, VIRTIO 1.2, 2.6.1. -ETIMEDOUT: it is not done within a second. */
int vlease_pci_queue_reset(struct vlease_pci *pci, uint16_t queue);

/*
 * Registers as they are, for diagnosis: device_status, config_generation, num_queues and
 * config_msix_vector; of one queue its size, whether it is enabled, and its MSI-X vector.
 */
#define VLEASE_PCI_COMMON_REGS 4
#define VLEASE_PCI_QUEUE_REGS 3
int vlease_pci_read_common(struct vlease_pci *pci, uint32_t regs[VLEASE_PCI_COMMON_REGS]);
void vlease_pci_read_queue(struct vlease_pci *pci, uint16_t queue,
			   uint32_t regs[VLEASE_PCI_QUEUE_REGS]);

/* Where the doorbell of a queue is in the notify BAR; -ERANGE: not within it, or not aligned. */
int vlease_pci_doorbell_offset(struct vlease_pci *pci, uint16_t queue, uint64_t *offset);
volatile uint16_t *vlease_pci_doorbell(struct vlease_pci *pci, uint64_t offset);

/*
 * Whether each of the first queues has a page of the notify BAR to itself, shared with no other
 * queue and no other structure of the device (design, precondition of leasing). Logs which
 * precondition fails.
 */
int vlease_pci_check_doorbell_pages(struct vlease_pci *pci, uint16_t nb_queues);

/* The word for a queue that logs, slices and statistics use, e.g. "rxq3". */
void vlease_queue_name(uint16_t queue, char *name, size_t size);

#endif /* VIRTIO_LEASE_PCI_H */
