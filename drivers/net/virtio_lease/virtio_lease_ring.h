/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RING_H
#define VIRTIO_LEASE_RING_H

/**
 * @file
 * The split virtqueue in memory (VIRTIO 1.2, 2.7), and every access to it whose order the device
 * can observe. All ordering rules of the driver's rings are in this file:
 *
 * 1. Descriptors and avail entries are stored before the avail index that covers them (2.7.13.3).
 * 2. The used index is loaded before the used entries it covers (2.7.14).
 * 3. The avail index is stored before the device's suppression flag or avail_event is loaded, or
 *    the device could go to sleep between the two unseen (2.7.13.4.1).
 *
 * Without VIRTIO_F_ORDER_PLATFORM (6.1) the device orders its accesses as a processor would, so
 * that processor fences are enough.
 *
 * And one rule that only a crash can observe:
 *
 * 4. vlease_publish(): what stands before it in the program is stored before it. A killed process
 *    stops between two instructions with all earlier stores in effect, so this binds the compiler
 *    alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>

#include <bar_slice_doorbell.h>

/** Largest queue, split or packed; VIRTIO 1.2, 2.7 and 2.8.10.1. */
#define VLEASE_MAX_QUEUE_SIZE 32768

/** The chain goes on at next; VIRTIO 1.2, 2.7.5. */
#define VLEASE_DESC_NEXT 1
/** The device writes this buffer. */
#define VLEASE_DESC_WRITE 2
/** This is a table of descriptors; 2.7.5.3, 2.8.7. */
#define VLEASE_DESC_INDIRECT 4
/** In avail flags: the driver polls and wants no interrupts; 2.7.6. */
#define VLEASE_AVAIL_NO_INTERRUPT 1
/** In used flags: the device looks by itself and wants no doorbell; 2.7.8. */
#define VLEASE_USED_NO_NOTIFY 1

/** Descriptor, 2.7.5. */
struct vlease_desc {
	rte_le64_t addr;
	rte_le32_t len;
	rte_le16_t flags;
	rte_le16_t next;
};

/** Written by the driver, 2.7.6; behind the ring, used_event. */
struct vlease_avail {
	rte_le16_t flags;
	rte_le16_t idx;
	rte_le16_t ring[];
};

/** One used entry, 2.7.8: the head of a chain and the number of bytes written to it. */
struct vlease_used_elem {
	rte_le32_t id;
	rte_le32_t len;
};

/** Written by the device, 2.7.8; behind the ring, avail_event. */
struct vlease_used {
	rte_le16_t flags;
	rte_le16_t idx;
	struct vlease_used_elem ring[];
};

/** Header in front of every frame, 5.1.6; 12 bytes in all modes with VIRTIO_F_VERSION_1. */
struct vlease_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	rte_le16_t hdr_len;
	rte_le16_t gso_size;
	rte_le16_t csum_start;
	rte_le16_t csum_offset;
	rte_le16_t num_buffers;
};

#define VLEASE_NET_HDR_SIZE sizeof(struct vlease_net_hdr)

/** The same with VIRTIO_NET_F_HASH_REPORT. */
struct vlease_net_hash_hdr {
	struct vlease_net_hdr hdr;
	rte_le32_t hash_value;
	rte_le16_t hash_report;
	rte_le16_t padding;
};

#define VLEASE_NET_HASH_HDR_SIZE sizeof(struct vlease_net_hash_hdr)

/*
 * Ring memory: descriptors, avail ring, used ring, one header. What the driver writes and what
 * the device writes never share a cache line.
 */

/** Where the avail ring is, from the start of the ring memory. The descriptors are at 0. */
static inline size_t
vlease_avail_offset(uint16_t size)
{
	return (size_t)size * sizeof(struct vlease_desc);
}

/** Where the used ring is. */
static inline size_t
vlease_used_offset(uint16_t size)
{
	size_t avail_bytes = sizeof(struct vlease_avail) +
			     ((size_t)size + 1) * sizeof(rte_le16_t);

	return RTE_ALIGN_CEIL(vlease_avail_offset(size) + avail_bytes, RTE_CACHE_LINE_SIZE);
}

/** Where the header is that all frames use that have no room for one of their own: all zero. */
static inline size_t
vlease_header_offset(uint16_t size)
{
	size_t used_bytes = sizeof(struct vlease_used) +
			    (size_t)size * sizeof(struct vlease_used_elem) + sizeof(rte_le16_t);

	return RTE_ALIGN_CEIL(vlease_used_offset(size) + used_bytes, RTE_CACHE_LINE_SIZE);
}

/**
 * Bytes of ring memory that a queue of this size takes. The memory is contiguous for the device
 * and aligned to a cache line.
 */
static inline size_t
vlease_ring_bytes(uint16_t size)
{
	return vlease_header_offset(size) + RTE_CACHE_LINE_SIZE;
}

/** Rule 4: store @p value in @p where behind everything that stands before. */
#define vlease_publish(where, value) __atomic_store_n((where), (value), __ATOMIC_RELEASE)

/** Rule 1: let the device see the avail entries before @p idx. */
static inline void
vlease_store_avail_idx(struct vlease_avail *avail, uint16_t idx)
{
	__atomic_store_n(&avail->idx, rte_cpu_to_le_16(idx), __ATOMIC_RELEASE);
}

/** Rule 2: how far the device has got. */
static inline uint16_t
vlease_load_used_idx(const struct vlease_used *used)
{
	return rte_le_to_cpu_16(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE));
}

/** A used entry, loaded once: the device may store to it again. */
static inline uint32_t
vlease_load_used_id(const struct vlease_used *used, uint16_t slot)
{
	return rte_le_to_cpu_32(__atomic_load_n(&used->ring[slot].id, __ATOMIC_RELAXED));
}

static inline uint32_t
vlease_load_used_len(const struct vlease_used *used, uint16_t slot)
{
	return rte_le_to_cpu_32(__atomic_load_n(&used->ring[slot].len, __ATOMIC_RELAXED));
}

/**
 * Write a used entry that the device has left out, of a batch that it has used in order. The
 * device does not read them, and writes here again when this buffer was made available again.
 */
static inline void
vlease_write_used(const struct vlease_used *used, uint16_t slot, uint32_t id, uint32_t len)
{
	struct vlease_used_elem *elem = (struct vlease_used_elem *)(uintptr_t)&used->ring[slot];

	elem->id = rte_cpu_to_le_32(id);
	elem->len = rte_cpu_to_le_32(len);
}

/** Whether the entry @p event is one of those from @p old up to, not including, @p now. */
static inline int
vlease_event_passed(uint16_t event, uint16_t old, uint16_t now)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/** VIRTIO_F_EVENT_IDX: the device wants an interrupt for this used entry made; 2.7.7. */
static inline void
vlease_store_used_event(struct vlease_avail *avail, uint16_t size, uint16_t event)
{
	__atomic_store_n(&avail->ring[size], rte_cpu_to_le_16(event), __ATOMIC_RELAXED);
}

static inline uint16_t
vlease_load_used_event(const struct vlease_avail *avail, uint16_t size)
{
	return rte_le_to_cpu_16(__atomic_load_n(&avail->ring[size], __ATOMIC_RELAXED));
}

/** VIRTIO_F_EVENT_IDX: the avail entry for which the device wants a doorbell; 2.7.8. */
static inline uint16_t
vlease_load_avail_event(const struct vlease_used *used, uint16_t size)
{
	const rte_le16_t *event = (const rte_le16_t *)&used->ring[size];

	return rte_le_to_cpu_16(__atomic_load_n(event, __ATOMIC_RELAXED));
}

/**
 * Rule 3: does the device want a doorbell for what vlease_store_avail_idx() has shown it?
 *
 * @param old
 *   Avail index when this was asked last; 0 after a reset.
 * @param now
 *   Avail index that the device has been shown.
 * @param event_idx
 *   Whether VIRTIO_F_EVENT_IDX was negotiated.
 */
static inline int
vlease_wants_doorbell(const struct vlease_used *used, uint16_t size, uint16_t old, uint16_t now,
		      bool event_idx)
{
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (event_idx)
		return vlease_event_passed(vlease_load_avail_event(used, size), old, now);
	return !(__atomic_load_n(&used->flags, __ATOMIC_RELAXED) &
		 RTE_LE16(VLEASE_USED_NO_NOTIFY));
}

/**
 * Ring the doorbell of a queue. With VIRTIO_F_NOTIFICATION_DATA (@p data) it says as well where
 * the next entry will be made available (2.9): the avail index, or vlease_packed_place().
 */
static inline void
vlease_ring_doorbell(volatile uint16_t *doorbell, uint16_t vq_index, uint16_t next, bool data)
{
	if (data)
		bar_slice_ring_doorbell_data((volatile uint32_t *)doorbell,
					     vq_index | (uint32_t)next << 16);
	else
		bar_slice_ring_doorbell(doorbell, vq_index);
}

/**
 * Put @p id into an avail slot. A device that uses buffers in order brings every slot the id it
 * has already; then the line stays shared between driver and device.
 */
static inline void
vlease_set_avail(struct vlease_avail *avail, uint16_t slot, uint16_t id)
{
	if (avail->ring[slot] != rte_cpu_to_le_16(id))
		avail->ring[slot] = rte_cpu_to_le_16(id);
}

#endif /* VIRTIO_LEASE_RING_H */
