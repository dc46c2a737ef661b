/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_TX_H
#define VIRTIO_LEASE_TX_H

/**
 * @file
 * Transmitting, whatever the layout of the ring. Each layout's source defines the few functions
 * declared first, and makes burst functions of tx_burst(). All of it is folded into them: in_order,
 * offloads and hdr_size are constants wherever frames pass.
 */

#include <assert.h>
#include <limits.h>

#include <rte_prefetch.h>

#include "virtio_lease_tx_frame.h"

/** mbufs collected at once: the most that a crash between collecting and freeing loses. */
#define TX_COLLECT 64

/** Frames of fewer pieces take as many descriptors also where there are indirect tables. */
#define TX_TABLE_FROM 2

/** How far ahead of its use an mbuf is fetched. */
#define TX_PREFETCH 4

static_assert(offsetof(struct vlease_txq, slots) % RTE_CACHE_LINE_SIZE == 0,
	      "slots start a cache line");

/** What a burst has described and not yet shown to the device. Passed by value: in registers. */
struct tx_burst {
	unsigned int head;	/* in place of free_head; the upper bits mean nothing */
	unsigned int idx;	/* in place of avail_idx, likewise */
	uint64_t hidden;	/* packed: what keeps the burst's first descriptor back */
};

/** In place of tx_burst.hidden: there are not enough descriptors, and the burst ends here. */
#define TX_FULL UINT64_C(1)

/* ---- What a layout defines ---- */

/** Whether so many frames are complete that it pays to collect them, as far as a look can tell. */
static int tx_has_many_complete(struct vlease_txq *q, const bool in_order);

/**
 * Collect some of the frames that are complete, in front of a bad used entry. Returns how many
 * descriptors became free; 0 if no frame is complete.
 */
static unsigned int tx_collect(struct vlease_txq *q, const bool in_order);

/** The descriptor behind this one in its chain. */
static uint16_t tx_next(const struct vlease_txq *q, uint16_t id);

/** Describe a frame by one descriptor; its slot gets word. */
static struct tx_burst tx_describe(struct vlease_txq *q, struct tx_burst burst,
				   struct tx_piece piece, uint16_t flags, uintptr_t word,
				   const bool in_order);

static struct tx_burst tx_describe_chain(struct vlease_txq *q, struct tx_burst burst,
					 const struct tx_chain *chain, const bool in_order);

/** Let the device see what the burst has described. */
static void tx_show(struct vlease_txq *q, struct tx_burst burst);

/** What the device has been shown: the avail index, or, packed, as many descriptors. */
static uint16_t tx_shown(const struct vlease_txq *q);

/** Whether the device wants a doorbell for what it was shown since tx_shown() was old. */
static int tx_wants_doorbell(const struct vlease_txq *q, uint16_t old);

/** Where the next frame will be made available, as a doorbell says it. */
static uint16_t tx_place(const struct vlease_txq *q);

/* ---- What they share: collecting ---- */

static __rte_cold void
tx_break(struct vlease_txq *q, enum vlease_broken cause)
{
	q->broken = cause;
	q->stats.errors++;
}

/** The id in a place of the FIFO. */
static inline uint16_t
tx_id(const struct vlease_txq *q, uint16_t at, const bool in_order)
{
	return in_order ? at & q->mask : q->free_ids[at & q->mask];
}

/** Put mbufs back, one call for each run of one pool. */
static void
tx_put(struct rte_mbuf **mbufs, unsigned int n)
{
	unsigned int from = 0, i;

	for (i = 1; i <= n; i++) {
		if (i < n && mbufs[i]->pool == mbufs[from]->pool)
			continue;
		vlease_pool_put(mbufs[from]->pool, &mbufs[from], i - from);
		from = i;
	}
}

/** Mbufs on their way to their pools. */
struct tx_mbufs {
	struct rte_mbuf *at[TX_COLLECT];
	unsigned int n;
};

static inline void
tx_free_segment(struct tx_mbufs *mbufs, struct rte_mbuf *m)
{
	m = rte_pktmbuf_prefree_seg(m);
	if (m == NULL)
		return;
	mbufs->at[mbufs->n++] = m;
	if (mbufs->n == TX_COLLECT) {
		tx_put(mbufs->at, mbufs->n);
		mbufs->n = 0;
	}
}

/**
 * Free the mbufs of ids that have just been given back, those from..to in the FIFO, but those
 * that need no look. The slots hold their pointers until the ids are used again.
 */
static __rte_noinline void
tx_free_foreign(const struct vlease_txq *q, uint16_t from, uint16_t to, bool in_order)
{
	struct rte_mbuf *m, *next;
	struct tx_mbufs mbufs;
	uintptr_t word;

	mbufs.n = 0;
	for (; from != to; from++) {
		word = q->slots[tx_id(q, from, in_order)];
		if (!(word & VLEASE_SLOT_FOREIGN))
			continue;
		/* Without a reference, what hangs on an mbuf is not ours to look at. */
		for (m = (struct rte_mbuf *)(word & ~VLEASE_SLOT_BITS); m != NULL; m = next) {
			next = word & VLEASE_SLOT_WHOLE ? m->next : NULL;
			tx_free_segment(&mbufs, m);
		}
	}
	if (mbufs.n > 0)
		tx_put(mbufs.at, mbufs.n);
}

/**
 * Give back the ids of a chain behind its first. Each step takes an id that was outstanding, so
 * a chain that was overwritten into a circle ends as well. Returns the new end of the FIFO, or
 * tail itself if the chain is damaged.
 */
static __rte_noinline uint16_t
tx_collect_chain(struct vlease_txq *q, uint16_t id, uint16_t tail)
{
	uint16_t end = tail;
	uintptr_t word;

	do {
		id = tx_next(q, id);
		if (unlikely(id > q->mask))
			return tail;
		word = q->slots[id];
		if (unlikely((word & (VLEASE_SLOT_IDLE | VLEASE_SLOT_INNER)) != VLEASE_SLOT_INNER))
			return tail;
		q->slots[id] = word | VLEASE_SLOT_IDLE;
		q->free_ids[end++ & q->mask] = id;
	} while (word & VLEASE_SLOT_MORE);
	return end;
}

/** In-order: give back the next n ids at once, at most TX_COLLECT, and free their mbufs. */
static inline void
tx_give_back(struct vlease_txq *q, unsigned int n)
{
	const uint16_t from = q->free_tail, mask = q->mask;
	struct rte_mbuf *mbufs[TX_COLLECT];
	unsigned int i, plain = 0;
	uintptr_t word, seen = 0;

	for (i = 0; i < n; i++) {
		word = q->slots[(from + i) & mask];
		seen |= word;
		mbufs[plain] = (struct rte_mbuf *)word;
		plain += (word & VLEASE_SLOT_BITS) == 0;
	}
	vlease_publish(&q->free_tail, from + n);
	if (likely(plain > 0))
		vlease_pool_put(q->pool, mbufs, plain);
	if (unlikely(seen & VLEASE_SLOT_FOREIGN))
		tx_free_foreign(q, from, from + n, true);
}

/** Completions on their way back, in any order. */
struct tx_batch {
	struct rte_mbuf **mbufs; /* those that need no look; room for TX_COLLECT */
	unsigned int plain;
	uintptr_t seen;		/* bits of all slots */
	uint16_t tail;		/* end of the FIFO with them */
};

/** Take the frame of a used id, its chain included. False: the queue is broken. */
static __rte_always_inline int
tx_take(struct vlease_txq *q, struct tx_batch *batch, uint32_t id)
{
	const uint16_t mask = q->mask;
	uintptr_t word;
	uint16_t end;

	if (unlikely(id > mask)) {
		tx_break(q, VLEASE_BROKEN_USED_ID);
		return 0;
	}
	word = q->slots[id];
	if (likely((word & VLEASE_SLOT_BITS) == 0)) {
		batch->mbufs[batch->plain++] = (struct rte_mbuf *)word;
	} else if (unlikely(word & (VLEASE_SLOT_IDLE | VLEASE_SLOT_INNER))) {
		tx_break(q, VLEASE_BROKEN_USED_ID);
		return 0;
	}
	batch->seen |= word;
	q->slots[id] = word | VLEASE_SLOT_IDLE;
	q->free_ids[batch->tail++ & mask] = id;
	if (unlikely(word & VLEASE_SLOT_MORE)) {
		end = tx_collect_chain(q, id, batch->tail);
		if (unlikely(end == batch->tail)) {
			batch->tail--;
			tx_break(q, VLEASE_BROKEN_CHAIN);
			return 0;
		}
		batch->tail = end;
	}
	return 1;
}

/** Give the ids of a batch back, then its mbufs. Returns how many descriptors became free. */
static __rte_always_inline unsigned int
tx_return(struct vlease_txq *q, struct tx_batch *batch)
{
	const uint16_t from = q->free_tail, tail = batch->tail;

	vlease_publish(&q->free_tail, tail);
	if (likely(batch->plain > 0))
		vlease_pool_put(q->pool, batch->mbufs, batch->plain);
	if (unlikely(batch->seen & (VLEASE_SLOT_FOREIGN | VLEASE_SLOT_MORE)))
		tx_free_foreign(q, from, tail, false);
	return (uint16_t)(tail - from);
}

/** Collect until so many descriptors are free or nothing is left. */
static __rte_always_inline unsigned int
tx_collect_all(struct vlease_txq *q, unsigned int most, const bool in_order)
{
	unsigned int freed = 0, n;

	do {
		n = tx_collect(q, in_order);
		freed += n;
	} while (freed < most && !q->broken && (in_order ? n > 0 : n >= TX_COLLECT));
	return freed;
}

/** Make descriptors free if they are scarce, or if it pays: the mbufs come back while still hot. */
static __rte_always_inline void
tx_make_free(struct vlease_txq *q, uint16_t nb_pkts, const bool in_order)
{
	uint16_t nfree = (uint16_t)(q->free_tail - q->free_head);

	if (nfree < q->free_thresh || nfree < nb_pkts || tx_has_many_complete(q, in_order))
		tx_collect_all(q, UINT_MAX, in_order);
}

/** No id is free from head on: collect, whatever the threshold. Returns how many are free then. */
static __rte_cold __rte_noinline uint16_t
tx_scarce(struct vlease_txq *q, uint16_t head, bool in_order)
{
	if (!q->broken)
		tx_collect_all(q, UINT_MAX, in_order);
	return (uint16_t)(q->free_tail - head);
}

/** Whether a frame gets so many ids from head on, if need be by collecting. */
static inline bool
tx_has_free(struct vlease_txq *q, uint16_t head, uint16_t need, bool in_order)
{
	return (uint16_t)(q->free_tail - head) >= need || tx_scarce(q, head, in_order) >= need;
}

/* ---- What they share: sending ---- */

/** Whether a frame of so many pieces goes into the table of its id. */
static inline bool
tx_fits_table(const struct vlease_txq *q, unsigned int pieces)
{
	return pieces >= TX_TABLE_FROM && pieces <= q->table_entries;
}

/** Describe a frame of several pieces in the table of its id. */
static __rte_noinline struct tx_burst
tx_describe_table(struct vlease_txq *q, struct tx_burst burst, const struct tx_chain *chain,
		  const bool in_order)
{
	const uint16_t id = tx_id(q, burst.head, in_order);
	const size_t first = (size_t)id * VLEASE_TX_TABLE;
	struct vlease_desc *table = &q->tables[first];
	const struct rte_mbuf *seg = chain->m;
	struct tx_piece piece;
	unsigned int i;

	for (i = 0; i < chain->need; i++) {
		if (i == 0 && !chain->room) {
			piece = tx_header_piece(q, chain, id);
		} else {
			piece = tx_segment_piece(chain, seg);
			seg = seg->next;
		}
		/* In a packed ring's table order is all there is (2.8.7); the rest is reserved. */
		table[i].addr = rte_cpu_to_le_64(piece.addr);
		table[i].len = rte_cpu_to_le_32(piece.len);
		table[i].flags = q->packed || seg == NULL ? 0 : RTE_LE16(VLEASE_DESC_NEXT);
		table[i].next = q->packed || seg == NULL ? 0 : rte_cpu_to_le_16(i + 1);
	}
	piece.addr = q->tables_iova + first * sizeof(*table);
	piece.len = chain->need * sizeof(*table);
	return tx_describe(q, burst, piece, VLEASE_DESC_INDIRECT,
			   (uintptr_t)chain->m | VLEASE_SLOT_FOREIGN | VLEASE_SLOT_WHOLE, in_order);
}

/** Describe a frame of several pieces, or drop one that cannot be sent. */
static __rte_noinline struct tx_burst
tx_describe_pieces(struct vlease_txq *q, struct tx_burst burst, struct rte_mbuf *m,
		   struct tx_header header, const bool in_order)
{
	struct tx_chain chain = {
		.m = m,
		.header = header,
		.hdr_size = q->hdr_size,
		.room = tx_has_room(m, header, q->hdr_size),
	};
	bool table;

	chain.need = header.tag == TX_UNSENDABLE ? 0 : tx_chain_length(q, m, chain.room);
	if (chain.need == 0) {
		rte_pktmbuf_free(m);
		q->stats.errors++;
		return burst;
	}
	table = tx_fits_table(q, chain.need);
	if (!tx_has_free(q, burst.head, table ? 1 : chain.need, in_order)) {
		burst.hidden = TX_FULL;
		return burst;
	}
	if (chain.room)
		tx_put_header(m, header, chain.hdr_size);
	return table ? tx_describe_table(q, burst, &chain, in_order) :
	       tx_describe_chain(q, burst, &chain, in_order);
}

static inline void
tx_ring_doorbell(struct vlease_txq *q, volatile uint16_t *doorbell, uint16_t old)
{
	if (likely(tx_wants_doorbell(q, old)) || unlikely(!q->rung)) {
		vlease_ring_doorbell(doorbell, q->vq_index, tx_place(q), q->notification_data);
		q->rung = 1;
		q->stats.doorbells++;
	} else {
		q->stats.suppressed++;
	}
}

/** Send frames through a doorbell that this process holds. */
static __rte_always_inline uint16_t
tx_frames(struct vlease_txq *q, volatile uint16_t *doorbell, struct rte_mbuf **tx_pkts,
	  uint16_t nb_pkts, const bool in_order, const bool offloads, const size_t hdr_size)
{
	struct tx_header header = { 0 };
	struct tx_burst burst;
	uint16_t nfree, n;
	uint64_t bytes = 0;

	if (unlikely(q->broken))
		return 0;
	tx_make_free(q, nb_pkts, in_order);
	if (unlikely(q->broken))
		return 0;

	burst.head = q->free_head;
	burst.idx = q->avail_idx;
	burst.hidden = VLEASE_PACKED_WORD_TURN;
	nfree = (uint16_t)(q->free_tail - burst.head);
	for (n = 0; n < nb_pkts; n++) {
		struct rte_mbuf *m = tx_pkts[n];
		uintptr_t word = (uintptr_t)m;
		unsigned int head = burst.head, len;

		if (n + TX_PREFETCH < nb_pkts)
			rte_prefetch0(tx_pkts[n + TX_PREFETCH]);
		if (offloads)
			header = tx_header(q, m);
		len = m->pkt_len + header.tag;
		if (likely(tx_is_one_piece(m, header, hdr_size))) {
			if (unlikely(nfree == 0) &&
			    (nfree = tx_scarce(q, burst.head, in_order)) == 0)
				break;
			if (unlikely(m->pool != q->pool)) {
				if (nfree == q->size)
					q->pool = m->pool;
				else
					word |= VLEASE_SLOT_FOREIGN;
			}
			tx_put_header(m, header, hdr_size);
			burst = tx_describe(q, burst, tx_frame_piece(m, hdr_size), 0, word,
					    in_order);
			nfree--;
			bytes += len;
		} else {
			burst = tx_describe_pieces(q, burst, m, header, in_order);
			if (burst.hidden & TX_FULL)
				break;
			nfree = (uint16_t)(q->free_tail - burst.head);
			bytes += burst.head != head ? len : 0;
		}
	}
	if (likely((uint16_t)burst.head != q->free_head)) {
		const uint16_t old = tx_shown(q);

		q->stats.packets += (uint16_t)(burst.idx - q->avail_idx);
		q->stats.bytes += bytes;
		tx_show(q, burst);
		q->avail_idx = burst.idx;
		tx_ring_doorbell(q, doorbell, old);
	}
	if (unlikely(n < nb_pkts))
		q->stats.full++;
	return n;
}

static __rte_always_inline uint16_t
tx_burst(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts, const bool in_order,
	 const bool offloads, const size_t hdr_size)
{
	struct vlease_txq *q = tx_queue;
	volatile uint16_t *doorbell = vlease_burst_begin(q->doorbell_slot);
	uint16_t n = 0;

	if (likely(doorbell != NULL))
		n = tx_frames(q, doorbell, tx_pkts, nb_pkts, in_order, offloads, hdr_size);
	else
		vlease_request_doorbell(q->doorbell_slot);
	vlease_burst_end(q->doorbell_slot);
	return n;
}

#endif /* VIRTIO_LEASE_TX_H */
