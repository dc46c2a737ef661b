/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RX_AVX2_H
#define VIRTIO_LEASE_RX_AVX2_H

/**
 * @file
 * Receiving four frames at once, of one buffer each and without offloads, from devices that use
 * buffers in the order in which they were posted, whether that was negotiated or not.
 *
 * Four go together if they are what a well-behaved device makes of four buffers whose ids follow
 * upon each other: the ids that the driver posted there, lengths that are within bounds, and, with
 * mergeable buffers, frames of one. Nothing is stored before all of this is known. What is
 * different, and the last three of a burst, is left to the scalar functions, which find out why
 * and know what to do about it.
 */

#include <immintrin.h>

#include "virtio_lease_rx.h"
#include "virtio_lease_rx_vector.h"

static_assert(offsetof(struct vlease_rxq, ol_flags) == offsetof(struct vlease_rxq, rearm) + 8 &&
	      offsetof(struct vlease_rxq, rearm) % 16 == 0,
	      "what a fresh mbuf begins with is one vector");
static_assert(offsetof(struct rte_mbuf, rx_descriptor_fields1) ==
	      offsetof(struct rte_mbuf, rearm_data) + 16,
	      "and the other half of what is stored follows upon it");
static_assert(offsetof(struct rte_mbuf, data_len) == offsetof(struct rte_mbuf, packet_type) + 8,
	      "of which the length of the data is the third word");

/** Ids of 16 bits in a row. */
typedef uint64_t __rte_may_alias __attribute__((aligned(2))) rx_four_ids_t;

/*
 * ---- What a layout defines; and RX_LEN_SHIFT, before it includes this: the bit from which on a
 * used entry of 8 bytes has its length, 0 or 32. The id is in the other half. ----
 */

/** Burst functions look at so many used entries, if so many wait: at most nb_pkts. */
static uint16_t rx_limit(struct vlease_rxq *q, uint16_t nb_pkts);

/** Whether one that it has not taken waits, if it has taken fewer. */
static bool rx_is_next_used(const struct vlease_rxq *q);

/** The used entry at @p slot. */
static const void *rx_used_entry(const struct vlease_rxq *q, uint16_t slot);

/** Four used entries, loaded once. */
static __m256i rx_load_four(const void *entries);

/** What the word of one at @p pos is if the device has used it, but for its length and id. */
static uint64_t rx_used_word(const struct vlease_rxq *q, uint16_t pos);

/** The word of a descriptor at @p pos that is about to be posted, but for the id. */
static uint64_t rx_avail_word(const struct vlease_rxq *q, uint16_t pos);

/**
 * Write the descriptors of @p slot and of the three behind it, with ids that are the slots. Packed,
 * all but the word of the @p first one that the device will look at.
 */
static void rx_describe_four(struct vlease_rxq *q, uint16_t slot, bool first, __m256i iovas,
			     uint64_t word);

/** Let the device see @p n descriptors from free_head on. */
static void rx_show_described(struct vlease_rxq *q, uint16_t n, uint64_t word);

/* ---- What they share ---- */

#define RX_ID_SHIFT (32 - RX_LEN_SHIFT)

/** What the words of four with ids in a row have more than the first one's. */
static __rte_always_inline __m256i
rx_in_a_row(void)
{
	return _mm256_set_epi64x(UINT64_C(3) << RX_ID_SHIFT, UINT64_C(2) << RX_ID_SHIFT,
				 UINT64_C(1) << RX_ID_SHIFT, 0);
}

/** Whether the ids that were posted from @p slot on, or will be posted, are those of the slots. */
static __rte_always_inline bool
rx_ids_are_slots(struct vlease_rxq *q, uint16_t slot, const bool in_order)
{
	const uint64_t four = slot * UINT64_C(0x0001000100010001) + UINT64_C(0x0003000200010000);

	return in_order || *(const rx_four_ids_t *)&vlease_rxq_free_ids(q)[slot] == four;
}

/**
 * Whether a burst may go in fours. Where a device has used buffers in another order, ids are no
 * more those of the slots, until the queue is reset. Without the lease there may be no ring to look
 * at, so this begins the burst; the function that goes on begins it again, and ends it.
 */
static __rte_always_inline bool
rx_goes_in_fours(struct vlease_rxq *q, uint16_t nb_pkts, const bool in_order)
{
	uint16_t slot;

	if (nb_pkts < 4)
		return false;
	if (in_order || unlikely(vlease_burst_begin(q->doorbell_slot) == NULL))
		return true;
	slot = q->used_cons & q->mask;
	return slot + 4 > q->size || likely(rx_ids_are_slots(q, slot, false));
}

static __rte_always_inline void
rx_fill_vector(uintptr_t m, __m256i fields)
{
	_mm256_storeu_si256((__m256i *)(m + offsetof(struct rte_mbuf, rearm_data)), fields);
}

static __rte_always_inline bool
rx_is_merged(uintptr_t m, const uint16_t offset)
{
	return rx_num_buffers((const struct rte_mbuf *)m, offset, VLEASE_NET_HDR_SIZE) != 1;
}

/**
 * Of rx_descriptor_fields1, in each half of a vector, all but the lengths 0. The length of the
 * frame stands in the byte @p at of that half and the three behind it.
 */
static __rte_always_inline __m256i
rx_fields_of(char at)
{
	return _mm256_broadcastsi128_si256(_mm_set_epi8(-1, -1, -1, -1, -1, -1, at + 1, at,
							at + 3, at + 2, at + 1, at,
							-1, -1, -1, -1));
}

/** Receive what goes in fours, of at most n and up to the end of the ring. */
static __rte_always_inline uint16_t
rx_fours(struct vlease_rxq *q, struct rte_mbuf **rx_pkts, uint16_t n, const bool in_order,
	 const bool mergeable)
{
	const uint16_t pos = q->used_cons, slot = pos & q->mask, offset = q->buf_offset;
	const uint64_t hdr_and_frame = VLEASE_NET_HDR_SIZE + RTE_ETHER_HDR_LEN;
	const __m256i least = _mm256_add_epi64(rx_in_a_row(),
		_mm256_set1_epi64x(rx_used_word(q, pos) + (hdr_and_frame << RX_LEN_SHIFT)));
	const __m256i most = _mm256_set1_epi64x((q->buf_len - hdr_and_frame) << RX_LEN_SHIFT);
	const __m256i shortest = _mm256_set1_epi64x((uint64_t)RTE_ETHER_HDR_LEN << RX_LEN_SHIFT);
	const __m256i fresh = _mm256_broadcastsi128_si256(_mm_load_si128((__m128i *)&q->rearm));
	const __m256i even = rx_fields_of(RX_LEN_SHIFT / 8);
	const __m256i odd = rx_fields_of(RX_LEN_SHIFT / 8 + 8);
	const __m256i idle = _mm256_set1_epi64x(VLEASE_SLOT_IDLE);
	const void *used = rx_used_entry(q, slot);
	__m256i lens, fields, words, sum = _mm256_setzero_si256();
	uintptr_t *slots;
	__m128i half;
	uint16_t i;

	n = RTE_MIN(n, q->size - slot);
	for (i = 0; i + 4 <= n; i += 4) {
		if (unlikely(!rx_ids_are_slots(q, slot + i, in_order)))
			break;
		slots = &q->slots[slot + i];
		/* An id that is not expected leaves something, which is more than nothing. */
		lens = _mm256_set1_epi64x((uint64_t)(slot + i) << RX_ID_SHIFT);
		lens = _mm256_sub_epi32(rx_load_four(RTE_PTR_ADD(used, i * RX_ENTRY_SIZE)),
					_mm256_add_epi64(least, lens));
		fields = _mm256_cmpeq_epi32(_mm256_min_epu32(lens, most), lens);
		if (unlikely(_mm256_movemask_epi8(fields) != -1))
			break;
		words = _mm256_loadu_si256((const __m256i *)slots);
		if (!in_order && unlikely(!_mm256_testz_si256(words, idle)))
			break;
		if (mergeable && unlikely(rx_is_merged(slots[0], offset) ||
					  rx_is_merged(slots[1], offset) ||
					  rx_is_merged(slots[2], offset) ||
					  rx_is_merged(slots[3], offset)))
			break;
		_mm256_storeu_si256((__m256i *)&rx_pkts[i], words);
		lens = _mm256_add_epi32(lens, shortest);
		sum = _mm256_add_epi32(sum, lens);
		fields = _mm256_shuffle_epi8(lens, even);
		rx_fill_vector(slots[0], _mm256_inserti128_si256(fresh,
					 _mm256_castsi256_si128(fields), 1));
		rx_fill_vector(slots[2], _mm256_blend_epi32(fresh, fields, 0xf0));
		fields = _mm256_shuffle_epi8(lens, odd);
		rx_fill_vector(slots[1], _mm256_inserti128_si256(fresh,
					 _mm256_castsi256_si128(fields), 1));
		rx_fill_vector(slots[3], _mm256_blend_epi32(fresh, fields, 0xf0));
		if (!in_order)
			_mm256_storeu_si256((__m256i *)slots, _mm256_or_si256(words, idle));
	}
	vlease_publish(&q->used_cons, pos + i);
	sum = _mm256_srli_epi64(sum, RX_LEN_SHIFT);
	half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
	q->stats.packets += i;
	q->stats.bytes += _mm_extract_epi64(half, 0) + _mm_extract_epi64(half, 1);
	return i;
}

/**
 * Post what goes in fours, of at most n and up to the end of the ring, straight from the cache of
 * the pool. No mbuf is in the cache and posted at once, even for somebody who finds both after a
 * crash.
 */
static __rte_always_inline uint16_t
rx_post_fours(struct vlease_rxq *q, uint16_t n, const bool in_order)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(q->pool, rte_lcore_id());
	const uint16_t head = q->free_head, slot = head & q->mask;
	const uint64_t word = rx_avail_word(q, head);
	const __m256i offset = _mm256_set1_epi64x(q->buf_offset);
	__m256i mbufs;
	void **objs;
	uint16_t i;

	n = RTE_MIN(n, q->size - slot);
	if (unlikely(cache == NULL || cache->len < n || q->buf_offset == 0))
		return 0;
	objs = &cache->objs[cache->len];
	for (i = 0; i + 4 <= n; i += 4) {
		if (unlikely(!rx_ids_are_slots(q, slot + i, in_order)))
			break;
		objs -= 4;
		mbufs = _mm256_loadu_si256((const __m256i *)objs);
		_mm256_storeu_si256((__m256i *)&q->slots[slot + i], mbufs);
		rx_describe_four(q, slot + i, i == 0, _mm256_add_epi64(mbufs, offset), word);
	}
	if (unlikely(i == 0))
		return 0;
	vlease_publish(&cache->len, cache->len - i);
	rx_show_described(q, i, word);
	return i;
}

static __rte_noinline void
rx_post_rest(struct vlease_rxq *q, uint16_t n, bool in_order)
{
	rx_post_all(q, n, in_order, false);
}

/** As rx_refill(), but for what goes in fours. */
static __rte_always_inline void
rx_refill_fours(struct vlease_rxq *q, volatile uint16_t *doorbell, const bool in_order)
{
	const uint16_t old = q->free_head;
	uint16_t left = q->size - vlease_rxq_posted(q), n;

	if (left < q->free_thresh)
		return;
	do {
		n = rx_post_fours(q, RTE_MIN(left, RX_REFILL), in_order);
		left -= n;
	} while (n > 0 && left >= 4);
	if (unlikely(left >= RTE_MIN(q->free_thresh, 4)))
		rx_post_rest(q, left, in_order);
	if (likely(q->free_head != old))
		rx_tell(q, doorbell, old);
}

/** What a burst does not find in fours. */
static __rte_noinline uint16_t
rx_rest(struct vlease_rxq *q, struct rte_mbuf **rx_pkts, uint16_t nb_pkts, bool in_order,
	bool mergeable)
{
	return mergeable ? rx_mergeable_frames(q, NULL, rx_pkts, nb_pkts, in_order, false) :
	       rx_frames(q, NULL, rx_pkts, nb_pkts, in_order, false);
}

static __rte_always_inline uint16_t
rx_frames_avx2(struct vlease_rxq *q, struct rte_mbuf **rx_pkts, uint16_t nb_pkts,
	       const bool in_order, const bool mergeable)
{
	uint16_t limit, n = 0, got;

	if (unlikely(q->broken))
		return 0;
	limit = rx_limit(q, nb_pkts);
	if (likely(limit >= 4 && (!mergeable || q->buf_offset != 0))) {
		do {
			got = rx_fours(q, &rx_pkts[n], limit - n, in_order, mergeable);
			n += got;
		} while (got > 0 && n + 4 <= limit && (q->used_cons & q->mask) == 0);
	}
	if (n < limit && rx_is_next_used(q))
		n += rx_rest(q, &rx_pkts[n], limit - n, in_order, mergeable);
	return n;
}

static __rte_always_inline uint16_t
rx_burst_avx2(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts, const bool in_order,
	      const bool mergeable)
{
	struct vlease_rxq *q = rx_queue;
	volatile uint16_t *doorbell = vlease_burst_begin(q->doorbell_slot);
	uint16_t n = 0;

	if (unlikely(doorbell == NULL)) {
		vlease_request_doorbell(q->doorbell_slot);
	} else {
		n = rx_frames_avx2(q, rx_pkts, nb_pkts, in_order, mergeable);
		if (likely(!q->broken))
			rx_refill_fours(q, doorbell, in_order);
	}
	vlease_burst_end(q->doorbell_slot);
	return n;
}

/* Not inlined: what they need of the stack, a burst that does not go in fours does not. */

static __rte_noinline uint16_t
rx_any_order_avx2(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst_avx2(rx_queue, rx_pkts, nb_pkts, false, false);
}

static __rte_noinline uint16_t
rx_in_order_avx2(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst_avx2(rx_queue, rx_pkts, nb_pkts, true, false);
}

static __rte_noinline uint16_t
rx_mergeable_avx2(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst_avx2(rx_queue, rx_pkts, nb_pkts, false, true);
}

static __rte_noinline uint16_t
rx_in_order_mergeable_avx2(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst_avx2(rx_queue, rx_pkts, nb_pkts, true, true);
}

#endif /* VIRTIO_LEASE_RX_AVX2_H */
