/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The id of a chain is that of its first descriptor, as in a split ring; in order it is that of
 * its last, and so a used descriptor says how far the device has got (2.8.8).
 */
#include "virtio_lease_tx.h"

/** The device's place in the ring. */
static inline uint16_t
tx_used_place(const struct vlease_txq *q)
{
	return q->free_tail - q->size;
}

/** In order: how many descriptors the used one at a place covers, up to the one it names. */
static inline uint16_t
tx_covered(const struct vlease_txq *q, uint16_t place, uint16_t id)
{
	return ((uint16_t)(id - place) & q->mask) + 1;
}

/** Looks where the last of so many would be; between chains that is not always to be seen. */
static inline int
tx_has_many_complete(struct vlease_txq *q, const bool in_order)
{
	const struct vlease_packed_desc *ring = q->packed_desc;
	const uint16_t thresh = q->free_thresh, mask = q->mask;
	uint16_t place = tx_used_place(q);
	uint64_t word;

	if (vlease_txq_pending(q) < thresh)
		return 0;
	if (in_order) {
		word = vlease_packed_load(&ring[place & mask]);
		if (vlease_packed_is_used(word, place, q->size) &&
		    tx_covered(q, place, vlease_packed_word_id(word)) >= thresh)
			return 1;
	}
	place += thresh - 1;
	return vlease_packed_is_used(vlease_packed_load(&ring[place & mask]), place, q->size);
}

static inline uint16_t
tx_next(const struct vlease_txq *q, uint16_t id)
{
	return q->next_ids[id];
}

/** In order: what the next used descriptor covers, if there is one: a batch, a chain, or a lie. */
static __rte_noinline unsigned int
tx_collect_batch(struct vlease_txq *q)
{
	uint16_t place = tx_used_place(q), id;
	unsigned int n, left, i;
	uint64_t word;

	word = vlease_packed_load(&q->packed_desc[place & q->mask]);
	if (vlease_txq_pending(q) == 0 || !vlease_packed_is_used(word, place, q->size))
		return 0;
	id = vlease_packed_word_id(word);
	n = tx_covered(q, place, id);
	if (id > q->mask || n > vlease_txq_pending(q) || q->slots[id] & VLEASE_SLOT_MORE) {
		tx_break(q, VLEASE_BROKEN_USED_ID);
		return 0;
	}
	for (i = 0; i < n; i++)
		q->used_cons += !(q->slots[(uint16_t)(place + i) & q->mask] & VLEASE_SLOT_MORE);
	for (left = n; left > TX_COLLECT; left -= TX_COLLECT)
		tx_give_back(q, TX_COLLECT);
	tx_give_back(q, left);
	return n;
}

static __rte_noinline unsigned int
tx_collect_in_order(struct vlease_txq *q)
{
	const struct vlease_packed_desc *ring = q->packed_desc;
	const uint16_t mask = q->mask, size = q->size;
	uint16_t pending = vlease_txq_pending(q), place = tx_used_place(q), n;
	uint64_t word;

	pending = RTE_MIN(pending, TX_COLLECT);
	for (n = 0; n < pending; n++, place++) {
		word = vlease_packed_load(&ring[place & mask]);
		if (!vlease_packed_is_used(word, place, size) ||
		    vlease_packed_word_id(word) != (place & mask) ||
		    q->slots[place & mask] & VLEASE_SLOT_MORE)
			break;
	}
	if (n == 0)
		return tx_collect_batch(q);
	q->used_cons += n;
	tx_give_back(q, n);
	return n;
}

static __rte_noinline unsigned int
tx_collect_any_order(struct vlease_txq *q)
{
	const struct vlease_packed_desc *ring = q->packed_desc;
	const uint16_t mask = q->mask, size = q->size, from = q->free_tail;
	struct rte_mbuf *mbufs[TX_COLLECT];
	struct tx_batch batch = { .mbufs = mbufs, .tail = from };
	uint16_t pending = vlease_txq_pending(q), id;
	unsigned int n;
	uint64_t used;

	for (n = 0; n < TX_COLLECT && (uint16_t)(batch.tail - from) < pending; n++) {
		used = vlease_packed_load(&ring[batch.tail & mask]);
		if (!vlease_packed_is_used(used, batch.tail - size, size))
			break;
		id = vlease_packed_word_id(used);
		if (unlikely(!tx_take(q, &batch, id)))
			break;
	}
	q->used_cons += n;
	return tx_return(q, &batch);
}

static inline unsigned int
tx_collect(struct vlease_txq *q, const bool in_order)
{
	return in_order ? tx_collect_in_order(q) : tx_collect_any_order(q);
}

/** Put a descriptor behind those of the burst; rule P1 keeps back the first of them. */
static inline struct tx_burst
tx_set_desc(struct vlease_txq *q, struct tx_burst burst, struct tx_piece piece, uint16_t id,
	    uint16_t flags)
{
	struct vlease_packed_desc *desc = &q->packed_desc[burst.head & q->mask];
	uint64_t word;

	flags |= vlease_packed_avail_flags(burst.head++, q->size);
	word = vlease_packed_word(piece.len, id, flags);
	desc->addr = rte_cpu_to_le_64(piece.addr);
	vlease_packed_store(desc, word ^ burst.hidden);
	burst.hidden = 0;
	return burst;
}

static inline struct tx_burst
tx_describe(struct vlease_txq *q, struct tx_burst burst, struct tx_piece piece, uint16_t flags,
	    uintptr_t word, const bool in_order)
{
	const uint16_t id = tx_id(q, burst.head, in_order);

	burst = tx_set_desc(q, burst, piece, id, flags);
	q->slots[id] = word;
	burst.idx++;
	return burst;
}

static __rte_noinline struct tx_burst
tx_describe_chain(struct vlease_txq *q, struct tx_burst burst, const struct tx_chain *chain,
		  const bool in_order)
{
	uint16_t next = tx_id(q, burst.head, in_order), last = burst.head + chain->need - 1, id;
	const uint16_t of_chain = in_order ? last & q->mask : next;
	const struct rte_mbuf *seg;
	uintptr_t bits = 0;

	burst.idx++;
	if (!chain->room) {
		id = next;
		burst = tx_set_desc(q, burst, tx_header_piece(q, chain, id), of_chain,
				    VLEASE_DESC_NEXT);
		next = tx_id(q, burst.head, in_order);
		q->next_ids[id] = next;
		q->slots[id] = VLEASE_SLOT_MORE;
		bits = VLEASE_SLOT_INNER;
	}
	for (seg = chain->m; seg != NULL; seg = seg->next) {
		id = next;
		burst = tx_set_desc(q, burst, tx_segment_piece(chain, seg), of_chain,
				    seg->next ? VLEASE_DESC_NEXT : 0);
		next = tx_id(q, burst.head, in_order);
		q->next_ids[id] = next;
		q->slots[id] = (uintptr_t)seg | bits | VLEASE_SLOT_FOREIGN |
			       (seg->next ? VLEASE_SLOT_MORE : 0);
		bits = VLEASE_SLOT_INNER;
	}
	return burst;
}

static inline void
tx_show(struct vlease_txq *q, struct tx_burst burst)
{
	struct vlease_packed_desc *first = &q->packed_desc[q->free_head & q->mask];

	vlease_publish(&q->free_head, burst.head);
	vlease_packed_show(first, vlease_packed_load(first) ^ VLEASE_PACKED_WORD_TURN);
}

static inline uint16_t
tx_shown(const struct vlease_txq *q)
{
	return q->free_head;
}

static inline int
tx_wants_doorbell(const struct vlease_txq *q, uint16_t old)
{
	return vlease_packed_wants_doorbell(q->device_event, q->size, old, q->free_head,
					    q->event_idx);
}

static inline uint16_t
tx_place(const struct vlease_txq *q)
{
	return vlease_packed_place(q->free_head, q->size);
}

unsigned int
vlease_packed_complete(struct vlease_txq *q, unsigned int most)
{
	return q->in_order ? tx_collect_all(q, most, true) : tx_collect_all(q, most, false);
}

uint16_t
vlease_packed_send(struct vlease_txq *q, volatile uint16_t *doorbell, struct rte_mbuf **tx_pkts,
		   uint16_t nb_pkts)
{
	const uint16_t hdr_size = q->hdr_size;

	return q->in_order ? tx_frames(q, doorbell, tx_pkts, nb_pkts, true, true, hdr_size) :
	       tx_frames(q, doorbell, tx_pkts, nb_pkts, false, true, hdr_size);
}

uint16_t
vlease_xmit_packed_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, false, false, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_packed_in_order_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, true, false, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_packed_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, false, true, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_packed_in_order_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
					 uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, true, true, VLEASE_NET_HDR_SIZE);
}

uint16_t
vlease_xmit_packed_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, false, true, VLEASE_NET_HASH_HDR_SIZE);
}

uint16_t
vlease_xmit_packed_in_order_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	return tx_burst(tx_queue, tx_pkts, nb_pkts, true, true, VLEASE_NET_HASH_HDR_SIZE);
}
