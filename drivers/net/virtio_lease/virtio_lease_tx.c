/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <rte_prefetch.h>

#include "virtio_lease_rxtx.h"

/** Completions collected at once: the most that a crash between collecting and freeing loses. */
#define TX_COLLECT 64

/** How far ahead of its use an mbuf is fetched. */
#define TX_PREFETCH 4

static_assert(offsetof(struct vlease_txq, slots) % RTE_CACHE_LINE_SIZE == 0,
	      "slots start a cache line");
static_assert(offsetof(struct rte_mbuf, ol_flags) == offsetof(struct rte_mbuf, rearm_data) + 8,
	      "data offset, reference count and segments are one 8-byte word");

typedef uint64_t __rte_may_alias word_t;

size_t
vlease_txq_bytes(uint16_t size)
{
	return sizeof(struct vlease_txq) +
	       RTE_ALIGN_CEIL(size * (sizeof(uintptr_t) + sizeof(uint16_t)), RTE_CACHE_LINE_SIZE);
}

void
vlease_txq_reset(struct vlease_txq *q)
{
	unsigned int i;

	memset(q->desc, 0, vlease_ring_bytes(q->size));
	q->avail->flags = RTE_LE16(VLEASE_AVAIL_NO_INTERRUPT);
	for (i = 0; i < q->size; i++) {
		q->free_ids[i] = i;
		q->slots[i] = VLEASE_SLOT_IDLE;
	}
	q->pool = NULL;
	q->free_head = 0;
	q->free_tail = q->size;
	q->avail_idx = 0;
	q->used_cons = 0;
	q->rung = 0;
	q->broken = VLEASE_INTACT;
}

int
vlease_txq_init(struct vlease_txq *q, const struct vlease_queue_config *c)
{
	if (!rte_is_power_of_2(c->size) || c->size > VLEASE_MAX_QUEUE_SIZE ||
	    c->free_thresh > c->size || c->vq_index >= VLEASE_MAX_VQS ||
	    (uintptr_t)c->ring % RTE_CACHE_LINE_SIZE != 0)
		return -EINVAL;

	q->desc = c->ring;
	q->avail = RTE_PTR_ADD(c->ring, vlease_avail_offset(c->size));
	q->used = RTE_PTR_ADD(c->ring, vlease_used_offset(c->size));
	q->free_ids = (uint16_t *)&q->slots[c->size];
	q->header_iova = c->ring_iova + vlease_header_offset(c->size);
	q->doorbell_slot = vlease_doorbell_slot(c->port_id, c->vq_index);
	q->size = c->size;
	q->mask = c->size - 1;
	q->free_thresh = vlease_free_thresh(c);
	q->vq_index = c->vq_index;
	vlease_txq_reset(q);
	return 0;
}

static __rte_cold void
tx_break(struct vlease_txq *q, enum vlease_broken cause)
{
	q->broken = cause;
	q->stats.errors++;
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

/**
 * Free the mbufs of ids that have just been given back, free_ids[from..to), those apart that
 * need no look. The slots hold their pointers until the ids are used again.
 */
static __rte_noinline void
tx_free_foreign(const struct vlease_txq *q, uint16_t from, uint16_t to)
{
	struct rte_mbuf *mbufs[TX_COLLECT], *m;
	unsigned int n = 0;
	uintptr_t word;

	for (; from != to; from++) {
		word = q->slots[q->free_ids[from & q->mask]];
		if (!(word & VLEASE_SLOT_FOREIGN))
			continue;
		m = rte_pktmbuf_prefree_seg((struct rte_mbuf *)(word & ~VLEASE_SLOT_BITS));
		if (m == NULL)
			continue;
		mbufs[n++] = m;
		if (n == TX_COLLECT) {
			tx_put(mbufs, n);
			n = 0;
		}
	}
	if (n > 0)
		tx_put(mbufs, n);
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
		id = rte_le_to_cpu_16(q->desc[id].next);
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

/**
 * Collect n used entries, at most TX_COLLECT. All of them, or those in front of a bad one.
 */
static inline unsigned int
tx_collect(struct vlease_txq *q, unsigned int n)
{
	struct rte_mbuf *mbufs[TX_COLLECT];
	const uint16_t mask = q->mask, from = q->free_tail;
	uint16_t tail = from, cons = q->used_cons, end;
	unsigned int i, plain = 0;
	uintptr_t word, seen = 0;
	uint32_t id;

	for (i = 0; i < n; i++) {
		id = vlease_load_used_id(q->used, (uint16_t)(cons + i) & mask);
		if (unlikely(id > mask)) {
			tx_break(q, VLEASE_BROKEN_USED_ID);
			break;
		}
		word = q->slots[id];
		if (likely((word & VLEASE_SLOT_BITS) == 0)) {
			mbufs[plain++] = (struct rte_mbuf *)word;
		} else if (unlikely(word & (VLEASE_SLOT_IDLE | VLEASE_SLOT_INNER))) {
			tx_break(q, VLEASE_BROKEN_USED_ID);
			break;
		}
		seen |= word;
		q->slots[id] = word | VLEASE_SLOT_IDLE;
		q->free_ids[tail++ & mask] = id;
		if (unlikely(word & VLEASE_SLOT_MORE)) {
			end = tx_collect_chain(q, id, tail);
			if (unlikely(end == tail)) {
				tail--;
				tx_break(q, VLEASE_BROKEN_CHAIN);
				break;
			}
			tail = end;
		}
	}
	vlease_publish(&q->free_tail, tail);
	q->used_cons = cons + i;
	if (likely(plain > 0))
		vlease_pool_put(q->pool, mbufs, plain);
	if (unlikely(seen & (VLEASE_SLOT_FOREIGN | VLEASE_SLOT_MORE)))
		tx_free_foreign(q, from, tail);
	return (uint16_t)(tail - from);
}

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

/** Collect n used entries, in batches. */
static unsigned int
tx_collect_all(struct vlease_txq *q, unsigned int n)
{
	unsigned int freed = 0, batch;

	for (; n > 0 && !q->broken; n -= batch) {
		batch = RTE_MIN(n, (unsigned int)TX_COLLECT);
		freed += tx_collect(q, batch);
	}
	return freed;
}

unsigned int
vlease_txq_complete(struct vlease_txq *q)
{
	if (q->broken)
		return 0;
	return tx_collect_all(q, tx_used(q));
}

/**
 * Whether the frame's header can stand in front of its data: nobody else refers to the buffer,
 * and there is room.
 */
static inline int
tx_has_room(const struct rte_mbuf *m)
{
	return m->data_off >= VLEASE_NET_HDR_SIZE && rte_mbuf_refcnt_read(m) == 1 &&
	       RTE_MBUF_DIRECT(m);
}

/** A header that asks for nothing: no checksum, no segmentation; VIRTIO 1.2, 5.1.6.2. */
static inline void
tx_put_header(const struct rte_mbuf *m)
{
	memset(RTE_PTR_ADD(m->buf_addr, m->data_off - VLEASE_NET_HDR_SIZE), 0,
	       VLEASE_NET_HDR_SIZE);
}

static inline void
tx_set_desc(struct vlease_desc *desc, rte_iova_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	desc->addr = rte_cpu_to_le_64(addr);
	desc->len = rte_cpu_to_le_32(len);
	desc->flags = rte_cpu_to_le_16(flags);
	desc->next = rte_cpu_to_le_16(next);
}

/**
 * Descriptors that a frame takes, or 0 if no chain can hold it: its segments are not as many as
 * it says, one is empty (devices refuse descriptors of no bytes, tried: QEMU stops the device),
 * or they are more than the ring has (VIRTIO 1.2, 2.7.5.3.1).
 */
static inline unsigned int
tx_chain_length(const struct vlease_txq *q, const struct rte_mbuf *m, int room)
{
	const struct rte_mbuf *seg = m;
	unsigned int n = 0;

	for (; seg != NULL && n < m->nb_segs; seg = seg->next, n++)
		if (seg->data_len == 0)
			return 0;
	if (seg != NULL || n != m->nb_segs || n + !room > q->size)
		return 0;
	return n + !room;
}

/** Describe a frame of several descriptors with the free ids from head on. */
static inline void
tx_chain(struct vlease_txq *q, uint16_t head, struct rte_mbuf *m, int room)
{
	uintptr_t bits = 0;
	uint16_t id, next;
	rte_iova_t addr;
	uint32_t len;

	next = q->free_ids[head & q->mask];
	if (!room) {
		id = next;
		next = q->free_ids[++head & q->mask];
		tx_set_desc(&q->desc[id], q->header_iova, VLEASE_NET_HDR_SIZE, VLEASE_DESC_NEXT,
			    next);
		q->slots[id] = VLEASE_SLOT_MORE;
		bits = VLEASE_SLOT_INNER;
	}
	for (; m != NULL; m = m->next) {
		id = next;
		next = q->free_ids[++head & q->mask];
		addr = rte_mbuf_data_iova(m);
		len = m->data_len;
		if (bits == 0) {
			tx_put_header(m);
			addr -= VLEASE_NET_HDR_SIZE;
			len += VLEASE_NET_HDR_SIZE;
		}
		tx_set_desc(&q->desc[id], addr, len, m->next ? VLEASE_DESC_NEXT : 0, next);
		q->slots[id] = (uintptr_t)m | bits | VLEASE_SLOT_FOREIGN |
			       (m->next ? VLEASE_SLOT_MORE : 0);
		bits = VLEASE_SLOT_INNER;
	}
}

/** Let the device see the frames up to avail index idx, whose descriptors end at head. */
static inline void
tx_publish(struct vlease_txq *q, volatile uint16_t *doorbell, uint16_t head, uint16_t idx)
{
	vlease_publish(&q->free_head, head);
	q->avail_idx = idx;
	vlease_store_avail_idx(q->avail, idx);
	if (likely(vlease_wants_doorbell(q->used)) || unlikely(!q->rung)) {
		bar_slice_ring_doorbell(doorbell, q->vq_index);
		q->rung = 1;
		q->stats.doorbells++;
	} else {
		q->stats.suppressed++;
	}
}

/** Make descriptors free if they are scarce, or if it pays: the mbufs come back while still hot. */
static inline void
tx_make_free(struct vlease_txq *q, uint16_t nb_pkts)
{
	uint16_t nfree = (uint16_t)(q->free_tail - q->free_head);
	uint16_t used = tx_used(q);

	if (used >= q->free_thresh || nfree < q->free_thresh || nfree < nb_pkts)
		tx_collect_all(q, used);
}

/** A frame needs more free ids than there are from head on: collect, whatever the threshold. */
static __rte_cold __rte_noinline uint16_t
tx_scarce(struct vlease_txq *q, uint16_t head)
{
	if (!q->broken)
		tx_collect_all(q, tx_used(q));
	return (uint16_t)(q->free_tail - head);
}

uint16_t
vlease_xmit_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	struct vlease_txq *q = tx_queue;
	volatile uint16_t *doorbell = vlease_doorbell(q->doorbell_slot);
	uint16_t head, idx, id, nfree, n;
	uint64_t bytes = 0;

	if (unlikely(doorbell == NULL)) {
		vlease_request_doorbell(q->doorbell_slot);
		return 0;
	}
	if (unlikely(q->broken))
		return 0;
	tx_make_free(q, nb_pkts);
	if (unlikely(q->broken))
		return 0;

	head = q->free_head;
	idx = q->avail_idx;
	nfree = (uint16_t)(q->free_tail - head);
	for (n = 0; n < nb_pkts; n++) {
		struct rte_mbuf *m = tx_pkts[n];
		uintptr_t bits = 0;
		unsigned int need;
		int room;

		if (n + TX_PREFETCH < nb_pkts)
			rte_prefetch0(tx_pkts[n + TX_PREFETCH]);
		room = tx_has_room(m);
		if (likely(room && m->nb_segs == 1)) {
			if (unlikely(nfree == 0) && (nfree = tx_scarce(q, head)) == 0)
				break;
			if (unlikely(m->pool != q->pool)) {
				if (nfree == q->size)
					q->pool = m->pool;
				else
					bits = VLEASE_SLOT_FOREIGN;
			}
			id = q->free_ids[head & q->mask];
			tx_put_header(m);
			tx_set_desc(&q->desc[id], rte_mbuf_data_iova(m) - VLEASE_NET_HDR_SIZE,
				    m->data_len + VLEASE_NET_HDR_SIZE, 0, 0);
			q->slots[id] = (uintptr_t)m | bits;
			need = 1;
		} else {
			need = tx_chain_length(q, m, room);
			if (unlikely(need > nfree) && (nfree = tx_scarce(q, head)) < need)
				break;
			if (unlikely(need == 0)) {
				rte_pktmbuf_free(m);
				q->stats.errors++;
				continue;
			}
			id = q->free_ids[head & q->mask];
			tx_chain(q, head, m, room);
		}
		vlease_set_avail(q->avail, idx++ & q->mask, id);
		head += need;
		nfree -= need;
		bytes += m->pkt_len;
	}
	if (likely(head != q->free_head)) {
		q->stats.packets += (uint16_t)(idx - q->avail_idx);
		q->stats.bytes += bytes;
		tx_publish(q, doorbell, head, idx);
	}
	if (unlikely(n < nb_pkts))
		q->stats.full++;
	return n;
}
