/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_PACKED_RX_H
#define VIRTIO_LEASE_PACKED_RX_H

/**
 * @file
 * Receiving from a packed ring.
 *
 * A buffer is one descriptor, so that the n-th used descriptor stands where the n-th available one
 * stood, whatever buffer it names.
 */

#include "virtio_lease_rx.h"

static __rte_noinline uint16_t
rx_waiting(struct vlease_rxq *q, uint16_t limit)
{
	uint16_t pos = q->used_cons, n;
	uint64_t word;

	limit = RTE_MIN(limit, vlease_rxq_posted(q));
	for (n = 0; n < limit; n++, pos++) {
		word = vlease_packed_load(&q->packed_desc[pos & q->mask]);
		if (!vlease_packed_is_used(word, pos, q->size))
			break;
	}
	return n;
}

static inline uint32_t
rx_used_len(const struct vlease_rxq *q, uint16_t pos)
{
	return vlease_packed_load_len(&q->packed_desc[pos & q->mask]);
}

/**
 * A device that uses buffers in order may write one descriptor for a batch of them, in the first
 * one's place: the id is the last one's, and those before were filled (2.8.8). Write what it left
 * out. Returns 0 if the descriptor names no buffer from pos on that is with the device.
 */
static __rte_cold __rte_noinline int
rx_unfold(struct vlease_rxq *q, uint16_t pos)
{
	struct vlease_packed_desc *ring = q->packed_desc;
	const uint16_t mask = q->mask;
	uint16_t id = vlease_packed_word_id(vlease_packed_load(&ring[pos & mask]));
	uint16_t last = pos + ((uint16_t)(id - pos) & mask), at;
	uint32_t len = rx_used_len(q, pos);

	if (id > mask || (uint16_t)(last - pos) >= (uint16_t)(q->free_head - pos))
		return 0;
	for (at = pos; at != (uint16_t)(last + 1); at++)
		vlease_packed_store(&ring[at & mask],
				    vlease_packed_word(at == last ? len : q->buf_len, at & mask,
						       vlease_packed_used_flags(at, q->size)));
	return 1;
}

/** The mbuf of the used descriptor at pos, of which the word is at hand. */
static inline int
rx_take_used(struct vlease_rxq *q, uint16_t pos, uint64_t used, struct rte_mbuf **mbuf,
	     uint16_t *free_ids, const uint16_t mask, const bool in_order)
{
	const uint16_t place = pos & mask, id = vlease_packed_word_id(used);
	uintptr_t word;

	if (in_order) {
		if (unlikely(id != place) && !rx_unfold(q, pos))
			return 0;
		word = q->slots[place];
	} else {
		if (unlikely(id > mask))
			return 0;
		word = q->slots[id];
		if (unlikely(word & VLEASE_SLOT_IDLE))
			return 0;
		q->slots[id] = word | VLEASE_SLOT_IDLE;
		free_ids[place] = id;
	}
	rte_prefetch0((void *)word);
	*mbuf = (struct rte_mbuf *)word;
	return 1;
}

static inline uint16_t
rx_take_waiting(struct vlease_rxq *q, struct rte_mbuf **mbufs, uint16_t n, uint16_t *waiting,
		const bool in_order)
{
	const struct vlease_packed_desc *ring = q->packed_desc;
	const uint16_t mask = q->mask, size = q->size;
	uint16_t *free_ids = vlease_rxq_free_ids(q);
	uint16_t pos = q->used_cons, i;
	uint64_t used;

	n = RTE_MIN(n, vlease_rxq_posted(q));
	for (i = 0; i < n; i++, pos++) {
		used = vlease_packed_load(&ring[pos & mask]);
		if (!vlease_packed_is_used(used, pos, size))
			break;
		if (unlikely(!rx_take_used(q, pos, used, &mbufs[i], free_ids, mask,
					   in_order))) {
			*waiting = i + 1;
			return i;
		}
	}
	*waiting = i;
	return i;
}

static inline int
rx_take(struct vlease_rxq *q, uint16_t pos, struct rte_mbuf **mbuf, const bool in_order)
{
	return rx_take_used(q, pos, vlease_packed_load(&q->packed_desc[pos & q->mask]), mbuf,
			    vlease_rxq_free_ids(q), q->mask, in_order);
}

/** From the last to the first: rule P1. */
static inline void
rx_show(struct vlease_rxq *q, struct rte_mbuf **mbufs, uint16_t n, const bool in_order,
	const bool offloads)
{
	struct vlease_packed_desc *ring = q->packed_desc;
	const uint16_t hdr_size = rx_hdr_size(q, offloads);
	const uint16_t offset = q->buf_offset, mask = q->mask, size = q->size;
	const uint16_t *free_ids = vlease_rxq_free_ids(q);
	const uint16_t head = q->free_head;
	const uint32_t len = q->buf_len;
	uint16_t i = n, at, id;
	uint64_t word = 0;

	while (i-- > 0) {
		at = head + i;
		id = in_order ? at & mask : free_ids[at & mask];
		word = vlease_packed_word(len, id, vlease_packed_avail_flags(at, size) |
						   VLEASE_DESC_WRITE);
		q->slots[id] = (uintptr_t)mbufs[i];
		ring[at & mask].addr = rte_cpu_to_le_64(rx_buffer_iova(mbufs[i], offset, hdr_size));
		if (i > 0)
			vlease_packed_store(&ring[at & mask], word);
	}
	vlease_publish(&q->free_head, head + n);
	vlease_packed_show(&ring[head & mask], word);
}

static inline int
rx_wants_doorbell(const struct vlease_rxq *q, uint16_t old)
{
	return vlease_packed_wants_doorbell(q->device_event, q->size, old, q->free_head,
					    q->event_idx);
}

static inline uint16_t
rx_place(const struct vlease_rxq *q)
{
	return vlease_packed_place(q->free_head, q->size);
}

/** Interrupts are off by a flag. */
static inline void
rx_keep_quiet(struct vlease_rxq *q __rte_unused)
{
}

#endif /* VIRTIO_LEASE_PACKED_RX_H */
