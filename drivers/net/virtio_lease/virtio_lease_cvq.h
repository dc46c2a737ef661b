/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_CVQ_H
#define VIRTIO_LEASE_CVQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_memzone.h>

#include "virtio_lease_pci.h"

/* Data of the largest command: what a MAC table or an RSS configuration takes. */
#define VLEASE_CVQ_DATA_SIZE 4096

/* The control virtqueue, VIRTIO 1.2, 5.1.6.5. The primary's alone; from any of its threads. */
struct vlease_cvq {
	const struct rte_memzone *zone;
	struct vlease_cvq_memory *memory;
	volatile uint16_t *doorbell;
	pthread_mutex_t lock;
	uint16_t index;			/* virtqueue number; 0: not enabled */
	uint16_t sent;			/* commands since the last reset */
	uint16_t place;			/* of the next command's first descriptor */
	bool packed;			/* layout of its ring */
	bool notification_data;		/* doorbells say where the next command will be */
	bool broken;			/* a command was not answered */
	const char *address;		/* of the device, for logs */
};

/* Allocate memory that the device can reach. */
int vlease_cvq_create(struct vlease_cvq *cvq, const char *address, int socket);
void vlease_cvq_destroy(struct vlease_cvq *cvq);

/* After a device reset, before DRIVER_OK. */
int vlease_cvq_enable(struct vlease_cvq *cvq, struct vlease_pci *pci, uint16_t index,
		      uint64_t features);

/* Before a device reset: commands fail from here on. */
void vlease_cvq_disable(struct vlease_cvq *cvq);

/*
 * Send a command, of which the data may be empty, and wait for its end.
 * -ENETDOWN: not enabled; -EIO: the device refuses it; -ETIMEDOUT: it does not answer, now or
 * since an earlier command; -E2BIG: more than VLEASE_CVQ_DATA_SIZE.
 */
int vlease_cvq_command(struct vlease_cvq *cvq, uint8_t class, uint8_t command, const void *data,
		       size_t length);

#endif /* VIRTIO_LEASE_CVQ_H */
