/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include "virtio_lease_tx.h"

/** How many used entries wait. */
static inline uint16_t
tx_used(struct vlease_txq *q)
{
	uint16_t n = (uint16_t)(vlease_load_used_idx(q->used) - q->used_cons);

	if (unlikely(n > (uint16_t)(q->avail_idx - q->used_cons))) {
		tx_break(q, VLEASE_BROKEN_USED_IDX);
		return 0;
	}
	return n;
}

static inline int
tx_has_many_complete(struct vlease_txq *q, const bool in_order __rte_unused)
{
	return (uint16_t)(q->avail_idx - q->used_cons) >= q->free_thresh &&
	       tx_used(q) >= q->free_thresh;
}

static inline uint16_t
tx_next(const struct vlease_txq *q, uint16_t id)
{
	return rte_le_to_cpu_16(q->desc[id].next);
}

/** The used index says it all: which frames, follows from their order. */
static __rte_noinline unsigned int
tx_collect_in_order(struct vlease_txq *q)
{
	unsigned int pending = vlease_txq_pending(q), n;
	uint16_t frames = 0, used = tx_used(q);

	pending = RTE_MIN(pending, (unsigned int)TX_COLLECT);
	for (n = 0; n < pending && frames < used; n++)
		if (!(q->slots[(uint16_t)(q->free_tail + n) & q->mask] & VLEASE_SLOT_MORE))
			frames++;
	q->used_cons += frames;
	tx_give_back(q, n);
	return n;
}

static __rte_noinline unsigned int
tx_collect_any_order(struct vlease_txq *q)
{
	struct rte_mbuf *mbufs[TX_COLLECT];
	struct tx_batch batch = { .mbufs = mbufs, .tail = q->free_tail };
	const uint16_t mask = q->mask, cons = q->used_cons;
	unsigned int i, n = tx_used(q);
	uint32_t id;

	n = RTE_MIN(n, (unsigned int)TX_COLLECT);
	for (i = 0; i < n; i++) {
		id = vlease_load_used_id(q->used, (uint16_t)(cons + i) & mask);
		if (unlikely(!tx_take(q, &batch, id)))
			break;
	}
	q->used_cons = cons + i;
	return tx_return(q, &batch);
}

static inline unsigned int
tx_collect(struct vlease_txq *q, const bool in_order)
{
	return in_order ? tx_collect_in_order(q) : tx_collect_any_order(q);
}

static inline void
tx_set_desc(struct vlease_desc *desc, struct tx_piece piece, uint16_t flags, uint16_t next)
{
	desc->addr = rte_cpu_to_le_64(piece.addr);
	desc->len = rte_cpu_to_le_32(piece.len);
	desc->flags = rte_cpu_to_le_16(flags);
	desc->next = rte_cpu_to_le_16(next);
}

static inline struct tx_burst
tx_describe(struct vlease_txq *q, struct tx_burst burst, struct tx_piece piece, uint16_t flags,
	    uintptr_t word, const bool in_order)
{
	const uint16_t id = tx_id(q, burst.head++, in_order);

	tx_set_desc(&q->desc[id], piece, flags, 0);
	q->slots[id] = word;
	vlease_set_avail(q->avail, burst.idx++ & q->mask, id);
	return burst;
}

static __rte_noinline struct tx_burst
tx_describe_chain(struct vlease_txq *q, struct tx_burst burst, const struct tx_chain *chain,
		  const bool in_order)
{
	uint16_t head = burst.head, id, next = tx_id(q, head, in_order);
	const struct rte_mbuf *seg;
	uintptr_t bits = 0;

	vlease_set_avail(q->avail, burst.idx++ & q->mask, next);
	burst.head += chain->need;
	if (!chain->room) {
		id = next;
		next = tx_id(q, ++head, in_order);
		tx_set_desc(&q->desc[id], tx_header_piece(q, chain, id), VLEASE_DESC_NEXT, next);
		q->slots[id] = VLEASE_SLOT_MORE;
		bits = VLEASE_SLOT_INNER;
	}
	for (seg = chain->m; seg != NULL; seg = seg->next) {
		id = next;
		next = tx_id(q, ++head, in_order);
		tx_set_desc(&q->desc[id], tx_segment_piece(chain, seg),
			    seg->next ? VLEASE_DESC_NEXT : 0, next);
		q->slots[id] = (uintptr_t)seg | bits | VLEASE_SLOT_FOREIGN |
			       (seg->next ? VLEASE_SLOT_MORE : 0);
		bits = VLEASE_SLOT_INNER;
	}
	return burst;
}

static inline void
tx_show(struct vlease_txq *q, struct tx_burst burst)
{
	vlease_publish(&q->free_head, burst.head);
	vlease_store_avail_idx(q->avail, burst.idx);
}

static inline uint16_t
tx_shown(const struct vlease_txq *q)
{
	return q->avail_idx;
}

static inline int
tx_wants_doorbell(const struct vlease_txq *q, uint16_t old)
{
	return vlease_wants_doorbell(q->used, q->size, old, q->avail_idx, q->event_idx);
}

static inline uint16_t
tx_place(const struct vlease_txq *q)
{
	return q->avail_idx;
}

unsigned int
vlease_split_complete(struct vlease_txq *q, unsigned int most)
{
	return q->in_order ? tx_collect_all(q, most, true) : tx_collect_all(q, most, false);
}

uint16_t
vlease_split_send(struct vlease_txq *q, volatile uint16_t *doorbell, struct rte_mbuf **tx_pkts,
		  uint16_t nb_pkts)
{
	const uint16_t hdr_size = q->hdr_size;

	return q->in_order ? tx_frames(q, doorbell, tx_pkts, nb_pkts, true, true, hdr_size) :
	       tx_frames(q, doorbell, tx_pkts, nb_pkts, false, true, hdr_size);
}

uint16_t
vlease_xmit_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, false, false, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_in_order_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, true, false, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, false, true, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_in_order_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, true, true, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, false, true, VLEASE_NET_HASH_HDR_SIZE);
}

uint16_t
vlease_xmit_in_order_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, true, true, VLEASE_NET_HASH_HDR_SIZE);
}
