/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#define RX_LEN_SHIFT 32
#define RX_ENTRY_SIZE sizeof(struct vlease_used_elem)

#include "virtio_lease_rx_avx2.h"
#include "virtio_lease_split_rx.h"

static __rte_always_inline uint16_t
rx_limit(struct vlease_rxq *q, uint16_t nb_pkts)
{
	return RTE_MIN(rx_waiting(q, nb_pkts), nb_pkts);
}

static __rte_always_inline bool
rx_is_next_used(const struct vlease_rxq *q __rte_unused)
{
	return true;
}

static __rte_always_inline const void *
rx_used_entry(const struct vlease_rxq *q, uint16_t slot)
{
	return &q->used->ring[slot];
}

static __rte_always_inline __m256i
rx_load_four(const void *used)
{
	__m256i entries = _mm256_loadu_si256(used);

	/* Once: the compiler shall not load again what the device may store to again. */
	__asm__ volatile("" : "+x"(entries));
	return entries;
}

static __rte_always_inline uint64_t
rx_used_word(const struct vlease_rxq *q __rte_unused, uint16_t pos __rte_unused)
{
	return 0;
}

static __rte_always_inline uint64_t
rx_avail_word(const struct vlease_rxq *q, uint16_t pos __rte_unused)
{
	return (uint64_t)VLEASE_DESC_WRITE << 32 | q->buf_len;
}

/** All of them, of which only the addresses change: that takes fewer stores. */
static __rte_always_inline void
rx_describe_four(struct vlease_rxq *q, uint16_t slot, bool first __rte_unused, __m256i iovas,
		 uint64_t word)
{
	const __m256i even = _mm256_unpacklo_epi64(iovas, _mm256_set1_epi64x(word));
	const __m256i odd = _mm256_unpackhi_epi64(iovas, _mm256_set1_epi64x(word));

	_mm256_storeu_si256((__m256i *)&q->desc[slot],
			    _mm256_permute2x128_si256(even, odd, 0x20));
	_mm256_storeu_si256((__m256i *)&q->desc[slot + 2],
			    _mm256_permute2x128_si256(even, odd, 0x31));
}

static __rte_always_inline void
rx_show_described(struct vlease_rxq *q, uint16_t n, uint64_t word __rte_unused)
{
	const uint16_t head = q->free_head + n;

	vlease_publish(&q->free_head, head);
	vlease_store_avail_idx(q->avail, head);
}

uint16_t
vlease_recv_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, false)))
		return vlease_recv_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_any_order_avx2(rx_queue, rx_pkts, nb_pkts);
}

uint16_t
vlease_recv_in_order_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, true)))
		return vlease_recv_in_order_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_in_order_avx2(rx_queue, rx_pkts, nb_pkts);
}

uint16_t
vlease_recv_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, false)))
		return vlease_recv_mergeable_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_mergeable_avx2(rx_queue, rx_pkts, nb_pkts);
}

uint16_t
vlease_recv_in_order_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					 uint16_t nb_pkts)
{
	if (unlikely(!rx_goes_in_fours(rx_queue, nb_pkts, true)))
		return vlease_recv_in_order_mergeable_pkts(rx_queue, rx_pkts, nb_pkts);
	return rx_in_order_mergeable_avx2(rx_queue, rx_pkts, nb_pkts);
}
