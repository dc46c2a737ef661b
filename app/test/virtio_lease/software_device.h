/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef SOFTWARE_DEVICE_H
#define SOFTWARE_DEVICE_H

/**
 * @file
 * The device side of one virtqueue, in the process of its driver: addresses in descriptors are
 * pointers (EAL with --iova-mode=va), or differ from them by an offset. It does what it is told,
 * step by step, and can be told to do what no device may.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio_lease_ring_packed.h"

/** What the doorbell holds when it has not been rung; no queue has this index. */
#define SOFTWARE_DEVICE_SILENT UINT16_MAX

/** Buffers that the device takes and does not complete, at most. */
#define SOFTWARE_DEVICE_HOLDS 1024

/** A buffer that the device has taken. */
struct software_buffer {
	void *at;		/**< its first element */
	uint32_t len;		/**< of the first element */
	uint16_t id;
	uint16_t count;		/**< descriptors */
};

struct software_device {
	union {
		struct vlease_desc *desc;
		struct vlease_packed_desc *packed_desc;
	};
	struct vlease_avail *avail;
	struct vlease_used *used;
	struct vlease_packed_event *event; /**< not NULL: the ring is packed */
	const struct vlease_packed_event *driver_event; /**< packed: the driver's */
	uint16_t size;
	uint16_t mask;
	uint16_t avail_cons;	/**< avail entries taken; packed: descriptors */
	uint16_t used_idx;	/**< used entries written, shown or not; packed: descriptors */
	/** Buffers are completed in order, batches now and then with one used entry for all. */
	bool in_order;
	bool event_idx;		/**< VIRTIO_F_EVENT_IDX is negotiated */
	/**
	 * Not 0: buffers are taken and completed in an order drawn with this seed, which changes
	 * with every draw. In order, it is drawn which buffers make a batch.
	 */
	uint32_t shuffle;
	/** From an address in a descriptor to where the device sees it. */
	ptrdiff_t offset;
	/** Of every frame, but for num_buffers: how it is delivered, or how it must be sent. */
	struct vlease_net_hdr header;
	/** VIRTIO_NET_F_HASH_REPORT: what is below follows the header; in sent frames it is 0. */
	bool hash_report;
	uint32_t hash_value;
	uint16_t hash_type;
	struct software_buffer popped;	/**< the buffer taken last */
	uint16_t n_held;	/**< taken and not completed */
	struct software_buffer held[SOFTWARE_DEVICE_HOLDS];
	uint16_t batched;	/**< places of buffers that wait for a batch's used entry */
	uint16_t n_hidden;	/**< packed: used descriptors without their flags yet */
	uint16_t hidden[SOFTWARE_DEVICE_HOLDS];

	union {
		volatile uint16_t doorbell;	/**< give its address to the driver */
		volatile uint32_t doorbell_data; /**< the same with VIRTIO_F_NOTIFICATION_DATA */
	} __rte_cache_aligned;
	uint64_t rung;		/**< software_device_rung() calls that found it rung */
	uint16_t rung_with;	/**< the value written last */
	uint16_t rung_data;	/**< and its upper half; without notification data all ones */
	uint16_t interrupted;	/**< used_idx at the last software_device_interrupts() */
};

/**
 * Attach to ring memory of vlease_ring_bytes(size) bytes that the driver has reset. Then offset,
 * header, hash_report, in_order, event_idx and shuffle may be set: all are zero.
 */
void software_device_init(struct software_device *dev, void *ring, uint16_t size);

/** The same, for a packed ring of vlease_packed_ring_bytes(size) bytes. */
void software_device_init_packed(struct software_device *dev, void *ring, uint16_t size);

/** Whether the driver has rung since the last call. */
bool software_device_rung(struct software_device *dev);

/**
 * Ask for no doorbells, or for doorbells again (VIRTIO 1.2, 2.7.10, 2.8.10). A split ring with
 * event_idx: for none until the avail index has gone round, or for one at its next change.
 */
void software_device_suppress(struct software_device *dev, bool suppress);

/** With event_idx: ask for a doorbell for the avail entry, or packed descriptor, of this index. */
void software_device_want(struct software_device *dev, uint16_t index);

/** Whether the driver wants an interrupt for what was used and shown since the last call. */
bool software_device_interrupts(struct software_device *dev);

/** Buffers that the driver has made available and the device has not completed. */
unsigned int software_device_available(const struct software_device *dev);

/**
 * Deliver one frame into as many buffers as it takes.
 *
 * @return
 *   Number of buffers, or 0 with nothing done: not enough of them.
 */
unsigned int software_device_deliver(struct software_device *dev, const void *frame, size_t len);

/** The same; the driver sees it only after software_device_show(). */
unsigned int software_device_deliver_hidden(struct software_device *dev, const void *frame,
					    size_t len);

/**
 * In order: deliver a frame of one buffer without a used entry of its own. That of the last frame
 * of the batch stands for all.
 */
void software_device_batch(struct software_device *dev, const void *frame, size_t len, bool last);

/** Let the driver see all used entries but the last @p hidden. */
void software_device_show(struct software_device *dev, uint16_t hidden);

/**
 * Take one sent frame, without completing it.
 *
 * @param[out] frame
 *   Gets at most @p room bytes of it, without its header.
 * @return
 *   Length of the frame; -1: none available; -2: the driver broke a rule (a header that is not
 *   as expected or not whole, a descriptor that is empty, not for reading or out of range, a chain
 *   longer than the ring).
 */
long software_device_take(struct software_device *dev, void *frame, size_t room);

/** Complete @p n frames taken with software_device_take(); in their order without shuffle. */
void software_device_complete(struct software_device *dev, unsigned int n);

/** Write one used entry for one buffer, whatever it says, and show it. */
void software_device_use(struct software_device *dev, uint32_t id, uint32_t len);

/** The same, without showing it. */
void software_device_write_used(struct software_device *dev, uint32_t id, uint32_t len);

/** Take the next available buffer: dev->popped. Returns its id, or -1. */
int software_device_pop(struct software_device *dev);

/**
 * For benchmarks: complete up to @p n receive buffers with frames of @p len bytes, of which only
 * the header is written. Returns how many.
 */
unsigned int software_device_fill(struct software_device *dev, unsigned int n, uint32_t len);

/** For benchmarks: complete up to @p n sent frames without looking at them. Returns how many. */
unsigned int software_device_drain(struct software_device *dev, unsigned int n);

#endif /* SOFTWARE_DEVICE_H */
