/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_SPLIT_RX_H
#define VIRTIO_LEASE_SPLIT_RX_H

/**
 * @file
 * Receiving from a split ring.
 */

#include "virtio_lease_rx.h"

static inline uint16_t
rx_waiting(struct vlease_rxq *q, uint16_t limit __rte_unused)
{
	uint16_t n = (uint16_t)(vlease_load_used_idx(q->used) - q->used_cons);

	if (unlikely(n > vlease_rxq_posted(q))) {
		rx_break(q, VLEASE_BROKEN_USED_IDX);
		return 0;
	}
	return n;
}

static inline uint32_t
rx_used_len(const struct vlease_rxq *q, uint16_t pos)
{
	return vlease_load_used_len(q->used, pos & q->mask);
}

/**
 * A device that uses buffers in order may write one entry for a batch of them, in the first one's
 * place: the id is the last one's, and those before were filled (2.7.9). Write what it left out.
 * Returns 0 if the entry names no buffer from pos on that is used.
 */
static __rte_cold __rte_noinline int
rx_unfold(struct vlease_rxq *q, uint16_t pos)
{
	uint32_t id = vlease_load_used_id(q->used, pos & q->mask);
	uint32_t len = vlease_load_used_len(q->used, pos & q->mask);
	uint16_t last = pos + ((uint16_t)(id - pos) & q->mask);

	if (id > q->mask || (uint16_t)(last - q->used_cons) >= rx_waiting(q, q->size))
		return 0;
	for (; pos != last; pos++)
		vlease_write_used(q->used, pos & q->mask, pos & q->mask, q->buf_len);
	vlease_write_used(q->used, last & q->mask, id, len);
	return 1;
}

/**
 * Put an id into a place of the FIFO and of the avail ring. A device that uses buffers in order
 * brings every place the id that it has already; then no line of either is written.
 */
static __rte_always_inline void
rx_give_id(struct vlease_rxq *q, uint16_t *free_ids, uint16_t place, uint16_t id)
{
	if (free_ids[place] == id)
		return;
	free_ids[place] = id;
	q->avail->ring[place] = rte_cpu_to_le_16(id);
}

static inline int
rx_take_used(struct vlease_rxq *q, uint16_t pos, struct rte_mbuf **mbuf,
	     const struct vlease_used *used, uint16_t *free_ids, const uint16_t mask,
	     const bool in_order)
{
	const uint16_t slot = pos & mask;
	uint32_t id = vlease_load_used_id(used, slot);
	uintptr_t word;

	if (in_order) {
		if (unlikely(id != slot) && !rx_unfold(q, pos))
			return 0;
		word = q->slots[slot];
		rte_prefetch0((void *)word);
	} else {
		if (unlikely(id > mask))
			return 0;
		word = q->slots[id];
		if (unlikely(word & VLEASE_SLOT_IDLE))
			return 0;
		rte_prefetch0((void *)word);
		q->slots[id] = word | VLEASE_SLOT_IDLE;
		rx_give_id(q, free_ids, slot, id);
	}
	*mbuf = (struct rte_mbuf *)word;
	return 1;
}

static inline uint16_t
rx_take_waiting(struct vlease_rxq *q, struct rte_mbuf **mbufs, uint16_t n, uint16_t *waiting,
		const bool in_order)
{
	const struct vlease_used *used = q->used;
	const uint16_t pos = q->used_cons, mask = q->mask;
	uint16_t *free_ids = vlease_rxq_free_ids(q);
	uint16_t i;

	n = RTE_MIN(rx_waiting(q, n), n);
	for (i = 0; i < n; i++)
		if (!rx_take_used(q, pos + i, &mbufs[i], used, free_ids, mask, in_order))
			break;
	*waiting = n;
	return i;
}

static inline int
rx_take(struct vlease_rxq *q, uint16_t pos, struct rte_mbuf **mbuf, const bool in_order)
{
	return rx_take_used(q, pos, mbuf, q->used, vlease_rxq_free_ids(q), q->mask, in_order);
}

static inline void
rx_show(struct vlease_rxq *q, struct rte_mbuf **mbufs, uint16_t n, const bool in_order,
	const bool offloads)
{
	const uint16_t hdr_size = rx_hdr_size(q, offloads);
	const uint16_t offset = q->buf_offset, mask = q->mask;
	const uint16_t *free_ids = vlease_rxq_free_ids(q);
	uint16_t head = q->free_head;
	uint16_t i, id;

	for (i = 0; i < n; i++, head++) {
		id = in_order ? head & mask : free_ids[head & mask];
		q->slots[id] = (uintptr_t)mbufs[i];
		q->desc[id].addr = rte_cpu_to_le_64(rx_buffer_iova(mbufs[i], offset, hdr_size));
	}
	vlease_publish(&q->free_head, head);
	vlease_store_avail_idx(q->avail, head);
}

static inline int
rx_wants_doorbell(const struct vlease_rxq *q, uint16_t old)
{
	return vlease_wants_doorbell(q->used, q->size, old, q->free_head, q->event_idx);
}

static inline uint16_t
rx_place(const struct vlease_rxq *q)
{
	return q->free_head;
}

/** used_event stays behind the device, before all that a 16-bit index can tell apart has passed. */
static __rte_noinline void
rx_keep_quiet(struct vlease_rxq *q)
{
	uint16_t behind = q->used_cons - vlease_load_used_event(q->avail, q->size);

	if (behind > UINT16_MAX / 4)
		vlease_store_used_event(q->avail, q->size, q->used_cons - 1);
}

#endif /* VIRTIO_LEASE_SPLIT_RX_H */
