/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RING_PACKED_H
#define VIRTIO_LEASE_RING_PACKED_H

/**
 * @file
 * The packed virtqueue in memory (VIRTIO 1.2, 2.8): one ring of descriptors that driver and device
 * write in turn. All rules of its order are here; rule 4 of the split ring holds as well.
 *
 * P1. Of the descriptors that are made available together the first one's flags are stored last
 *     (2.8.6, 2.8.21): the device looks at one place only, that of the next descriptor (2.8.2),
 *     so that until then it sees none of them.
 * P2. The flags that mark a descriptor used are loaded before its id and length (2.8.22).
 * P3. The first one's flags are stored before the device's event suppression is loaded (2.8.21),
 *     as in rule 3 of the split ring.
 *
 * Length, id and flags are one aligned word, and each access to them is one load or one store of
 * it or of the flags alone: a device that changes a descriptor twice cannot get between.
 *
 * Places in the ring are counted by 16-bit indices that never wrap but by themselves. The ring has
 * a power of two of places, so that an index also holds the wrap counter (2.8.1), inverted, in the
 * bit above the place.
 */

#include <stdbool.h>

#include "virtio_lease_ring.h"

/** The wrap counter of who wrote last; 2.8.1. */
#define VLEASE_PACKED_AVAIL (UINT16_C(1) << 7)
/** On a used descriptor the same, on an available one the inverse. */
#define VLEASE_PACKED_USED (UINT16_C(1) << 15)
#define VLEASE_PACKED_TURN (VLEASE_PACKED_AVAIL | VLEASE_PACKED_USED)

/** Descriptor, 2.8.13. Other flags are VLEASE_DESC_NEXT and VLEASE_DESC_WRITE. */
struct vlease_packed_desc {
	rte_le64_t addr;
	union {
		struct {
			rte_le32_t len;
			rte_le16_t id;
			rte_le16_t flags;
		};
		rte_le64_t word;
	};
};

/** Event suppression, 2.8.14: on, off, or with VIRTIO_F_EVENT_IDX off but for one descriptor. */
struct vlease_packed_event {
	union {
		struct {
			rte_le16_t place; /**< with the wrap counter in bit 15 */
			rte_le16_t flags;
		};
		rte_le32_t word;
	};
};

#define VLEASE_PACKED_EVENT_DISABLE 1
#define VLEASE_PACKED_EVENT_DESC 2
#define VLEASE_PACKED_EVENT_MASK 3

/*
 * Ring memory: descriptors, the driver's and the device's event suppression, one header. What only
 * the driver writes and what only the device writes never share a cache line.
 */

static inline size_t
vlease_packed_driver_offset(uint16_t size)
{
	return RTE_ALIGN_CEIL((size_t)size * sizeof(struct vlease_packed_desc),
			      RTE_CACHE_LINE_SIZE);
}

static inline size_t
vlease_packed_device_offset(uint16_t size)
{
	return vlease_packed_driver_offset(size) + RTE_CACHE_LINE_SIZE;
}

/** Where the header of all zeroes is. */
static inline size_t
vlease_packed_header_offset(uint16_t size)
{
	return vlease_packed_device_offset(size) + RTE_CACHE_LINE_SIZE;
}

/** Bytes of ring memory, contiguous for the device and aligned to a cache line. */
static inline size_t
vlease_packed_ring_bytes(uint16_t size)
{
	return vlease_packed_header_offset(size) + RTE_CACHE_LINE_SIZE;
}

/** Bytes of ring memory in either layout. */
static inline size_t
vlease_layout_bytes(uint16_t size, bool packed)
{
	return packed ? vlease_packed_ring_bytes(size) : vlease_ring_bytes(size);
}

/** Flags by which the driver makes the descriptor at an index available. */
static inline uint16_t
vlease_packed_avail_flags(uint16_t index, uint16_t size)
{
	return index & size ? VLEASE_PACKED_USED : VLEASE_PACKED_AVAIL;
}

/** Of the same bits, what they are when the device has used the descriptor. */
static inline uint16_t
vlease_packed_used_flags(uint16_t index, uint16_t size)
{
	return index & size ? 0 : VLEASE_PACKED_TURN;
}

/** In a word. An available descriptor with both flipped is neither available nor used. */
#define VLEASE_PACKED_WORD_TURN ((uint64_t)VLEASE_PACKED_TURN << 48)

static inline uint64_t
vlease_packed_word(uint32_t len, uint16_t id, uint16_t flags)
{
	return len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

static inline uint16_t
vlease_packed_word_id(uint64_t word)
{
	return (uint16_t)(word >> 32);
}

/** Store all but the address of a descriptor that the device cannot see yet. */
static inline void
vlease_packed_store(struct vlease_packed_desc *desc, uint64_t word)
{
	desc->word = rte_cpu_to_le_64(word);
}

/** Rule P1: store that of the first descriptor, and so let the device see all behind it. */
static inline void
vlease_packed_show(struct vlease_packed_desc *desc, uint64_t word)
{
	__atomic_store_n(&desc->word, rte_cpu_to_le_64(word), __ATOMIC_RELEASE);
}

/** Rule P2: a descriptor, loaded once: the device may store to it again. */
static inline uint64_t
vlease_packed_load(const struct vlease_packed_desc *desc)
{
	return rte_le_to_cpu_64(__atomic_load_n(&desc->word, __ATOMIC_ACQUIRE));
}

/** Of a descriptor that is known to be used, the number of bytes written. */
static inline uint32_t
vlease_packed_load_len(const struct vlease_packed_desc *desc)
{
	return rte_le_to_cpu_32(__atomic_load_n(&desc->len, __ATOMIC_RELAXED));
}

/** Whether the word of the descriptor at an index says that the device has used it. */
static inline int
vlease_packed_is_used(uint64_t word, uint16_t index, uint16_t size)
{
	uint64_t used = (uint64_t)vlease_packed_used_flags(index, size) << 48;

	return ((word ^ used) & VLEASE_PACKED_WORD_TURN) == 0;
}

/** What driver and device call the place of an index: with the wrap counter in bit 15; 2.8.14. */
static inline uint16_t
vlease_packed_place(uint16_t index, uint16_t size)
{
	return (index & (size - 1)) | (index & size ? 0 : UINT16_C(1) << 15);
}

/** The index that is meant by a place, on the lap of @p now or the one before. */
static inline uint16_t
vlease_packed_index(uint16_t place, uint16_t now, uint16_t size)
{
	const uint16_t lap = now & ~(size - 1), last = place & INT16_MAX;

	return (place ^ vlease_packed_place(now, size)) >> 15 ? lap - size + last : lap + last;
}

/** Rule P3: as vlease_wants_doorbell(), with indices of descriptors. */
static inline int
vlease_packed_wants_doorbell(const struct vlease_packed_event *device, uint16_t size, uint16_t old,
			     uint16_t now, bool event_idx)
{
	uint32_t word;
	uint16_t mode;

	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	word = rte_le_to_cpu_32(__atomic_load_n(&device->word, __ATOMIC_RELAXED));
	mode = word >> 16 & VLEASE_PACKED_EVENT_MASK;
	if (event_idx && mode == VLEASE_PACKED_EVENT_DESC)
		return vlease_event_passed(vlease_packed_index((uint16_t)word, now, size), old,
					   now);
	return mode != VLEASE_PACKED_EVENT_DISABLE;
}

#endif /* VIRTIO_LEASE_RING_PACKED_H */
