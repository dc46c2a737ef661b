/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#define RX_LEN_SHIFT 0
#define RX_ENTRY_SIZE sizeof(struct vlease_packed_desc)

#include "virtio_lease_packed_rx.h"
#include "virtio_lease_rx_avx2.h"

static __rte_always_inline uint16_t
rx_limit(struct vlease_rxq *q, uint16_t nb_pkts)
{
	return RTE_MIN(vlease_rxq_posted(q), nb_pkts);
}

static __rte_always_inline bool
rx_is_next_used(const struct vlease_rxq *q)
{
	const uint16_t pos = q->used_cons;

	return vlease_packed_is_used(vlease_packed_load(&q->packed_desc[pos & q->mask]), pos,
				     q->size);
}

static __rte_always_inline const void *
rx_used_entry(const struct vlease_rxq *q, uint16_t slot)
{
	return &q->packed_desc[slot];
}

/** Of the flags only those by which the device says that it has used a descriptor. */
static __rte_always_inline __m256i
rx_load_four(const void *entries)
{
	const struct vlease_packed_desc *desc = entries;
	__m256i words = _mm256_set_epi64x(vlease_packed_load(&desc[3]),
					  vlease_packed_load(&desc[2]),
					  vlease_packed_load(&desc[1]),
					  vlease_packed_load(&desc[0]));

	return _mm256_and_si256(words, _mm256_set1_epi64x(VLEASE_PACKED_WORD_TURN |
							  UINT64_C(0x0000ffffffffffff)));
}

static __rte_always_inline uint64_t
rx_used_word(const struct vlease_rxq *q, uint16_t pos)
{
	return vlease_packed_word(0, 0, vlease_packed_used_flags(pos, q->size));
}

static __rte_always_inline uint64_t
rx_avail_word(const struct vlease_rxq *q, uint16_t pos)
{
	return vlease_packed_word(q->buf_len, 0, vlease_packed_avail_flags(pos, q->size) |
						 VLEASE_DESC_WRITE);
}

static __rte_always_inline uint64_t
with_id(uint64_t word, uint16_t id)
{
	return word | (uint64_t)id << RX_ID_SHIFT;
}

static __rte_always_inline void
rx_describe_four(struct vlease_rxq *q, uint16_t slot, bool first, __m256i iovas,
		 uint64_t word)
{
	struct vlease_packed_desc *desc = &q->packed_desc[slot];
	const __m256i words = _mm256_add_epi64(_mm256_set1_epi64x(with_id(word, slot)),
					       rx_in_a_row());
	const __m256i even = _mm256_unpacklo_epi64(iovas, words);
	const __m256i odd = _mm256_unpackhi_epi64(iovas, words);

	_mm256_storeu_si256((__m256i *)&desc[2], _mm256_permute2x128_si256(even, odd, 0x31));
	if (first) {
		_mm_storel_epi64((__m128i *)&desc[0], _mm256_castsi256_si128(even));
		_mm_store_si128((__m128i *)&desc[1], _mm256_castsi256_si128(odd));
	} else {
		_mm256_storeu_si256((__m256i *)&desc[0],
				    _mm256_permute2x128_si256(even, odd, 0x20));
	}
}

/** Rule P1: the word of the first descriptor is the last. */
static __rte_always_inline void
rx_show_described(struct vlease_rxq *q, uint16_t n, uint64_t word)
{
	const uint16_t head = q->free_head, slot = head & q->mask;

	vlease_publish(&q->free_head, head + n);
	vlease_packed_show(&q->packed_desc[slot], with_id(word, slot));
}

uint16_t
vlease_recv_packed_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, false)))
		return vlease_recv_packed_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_any_order_avx2(rx_queue, rx_pkts, nb_pkts);
}

uint16_t
vlease_recv_packed_in_order_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
				      uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, true)))
		return vlease_recv_packed_in_order_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_in_order_avx2(rx_queue, rx_pkts, nb_pkts);
}

uint16_t
vlease_recv_packed_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
				       uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, false)))
		return vlease_recv_packed_mergeable_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_mergeable_avx2(rx_queue, rx_pkts, nb_pkts);
}

uint16_t
vlease_recv_packed_in_order_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, true)))
		return vlease_recv_packed_in_order_mergeable_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_in_order_mergeable_avx2(rx_queue, rx_pkts, nb_pkts);
}
