/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio_lease_pool.h"
#include "virtio_lease_rxtx.h"

/*
 * What a dead owner left is read once, into memory of this process, and every index and pointer
 * is checked there. The only thing believed is the configuration, which is the caller's own.
 */

/** Ids whose mbufs may be the queue's. */
struct ownership {
	uintptr_t *mbufs;	/* candidates, bits of the slots removed */
	unsigned int n;
	unsigned int n_free;	/* ids marked in is_free */
	uint64_t is_free[VLEASE_MAX_QUEUE_SIZE / 64];
};

static void
mark_free(struct ownership *o, uint32_t id, uint16_t size)
{
	uint64_t bit = UINT64_C(1) << (id % 64);

	if (id >= size || o->is_free[id / 64] & bit)
		return;
	o->is_free[id / 64] |= bit;
	o->n_free++;
}

/** Mark the free ids of a FIFO: n from head on, or, in order, those places themselves. */
static void
mark_fifo(struct ownership *o, const uint16_t *ids, uint16_t head, uint16_t n,
	  const struct vlease_queue_config *c)
{
	uint16_t i, at;

	for (i = 0; i < RTE_MIN(n, c->size); i++) {
		at = (uint16_t)(head + i) & (c->size - 1);
		mark_free(o, vlease_is_in_order(c) ? at : ids[at], c->size);
	}
}

static int
compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

static bool
is_free(const struct ownership *o, unsigned int id)
{
	return o->is_free[id / 64] >> (id % 64) & 1;
}

/**
 * Whether a free id has a slot that is not idle. So it is while the owner posts, when it has
 * taken no buffer that is not also given back; or somebody has written over the FIFO.
 */
static bool
has_posted_free_id(const struct ownership *o, const uintptr_t *slots, uint16_t size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		if (is_free(o, i) && !(slots[i] & VLEASE_SLOT_IDLE))
			return true;
	return false;
}

/** Whether an address is that of an object of the pool, as far as the pool itself can tell. */
static int
pool_holds(struct rte_mempool *pool, uintptr_t object)
{
	struct rte_mempool_memhdr *chunk;
	uintptr_t start, end;

	if (object % RTE_CACHE_LINE_SIZE != 0)
		return 0;
	STAILQ_FOREACH(chunk, &pool->mem_list, next) {
		start = (uintptr_t)chunk->addr + pool->header_size;
		end = (uintptr_t)chunk->addr + chunk->len;
		if (object >= start && object < end && end - object >= pool->elt_size)
			return rte_mempool_from_obj((void *)object) == pool;
	}
	return 0;
}

/** The search for the pool of an mbuf. */
struct pool_search {
	uintptr_t object;
	struct rte_mempool *pool;
};

static void
search_pool(struct rte_mempool *pool, void *arg)
{
	struct pool_search *search = arg;

	int of_mbufs = pool->private_data_size >= sizeof(struct rte_pktmbuf_pool_private) &&
		       pool->elt_size >= sizeof(struct rte_mbuf);

	if (search->pool == NULL && of_mbufs && pool_holds(pool, search->object))
		search->pool = pool;
}

/** The mbuf at an address, if some pool of this DPDK process has one there. */
static struct rte_mbuf *
find_mbuf(uintptr_t address, struct rte_mempool *hint)
{
	struct pool_search search = { .object = address };
	struct rte_mbuf *m = (struct rte_mbuf *)address;

	if (hint != NULL && pool_holds(hint, address))
		search.pool = hint;
	else
		rte_mempool_walk(search_pool, &search);
	return search.pool != NULL && m->pool == search.pool ? m : NULL;
}

/** Add a candidate, and up to so many mbufs in all that hang on it: none is freed before. */
static void
add(struct ownership *o, uintptr_t mbuf, unsigned int most)
{
	struct rte_mempool *hint = NULL;
	struct rte_mbuf *m;

	while (mbuf != 0) {
		o->mbufs[o->n++] = mbuf;
		m = --most > 0 ? find_mbuf(mbuf, hint) : NULL;
		if (m == NULL)
			break;
		hint = m->pool;
		mbuf = (uintptr_t)__atomic_load_n(&m->next, __ATOMIC_RELAXED);
	}
}

/**
 * Collect the mbufs of all ids that are not free, at most so many of one, sorted. Where the FIFO is
 * damaged, an idle slot may be a free one, and is left alone: better to lose its mbuf than to give
 * it two owners.
 */
static void
collect(struct ownership *o, const uintptr_t *slots, uint16_t size, unsigned int most,
	bool damaged)
{
	uintptr_t word;
	unsigned int i;

	for (i = 0; i < size; i++) {
		word = __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
		if (is_free(o, i) || (damaged && word & VLEASE_SLOT_IDLE))
			continue;
		add(o, word & ~VLEASE_SLOT_BITS, word & VLEASE_SLOT_WHOLE ? most : 1);
	}
	qsort(o->mbufs, o->n, sizeof(*o->mbufs), compare);
}

static struct ownership *
ownership_new(size_t candidates)
{
	struct ownership *o = calloc(1, sizeof(*o) + candidates * sizeof(uintptr_t));

	if (o != NULL)
		o->mbufs = (uintptr_t *)(o + 1);
	return o;
}

/**
 * Free mbufs of one pool; of a pool that one process owns, all at once, or, when it has ended,
 * never: then the pool is made anew. Returns how many are, or will be, free.
 */
static int
give_back(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int n,
	  const struct vlease_queue_config *c)
{
	unsigned int i;

	if (n == 0 || (pool == c->owned && c->owner_ended))
		return (int)n;
	if (pool == c->owned)
		return vlease_pool_return(pool, (void **)mbufs, n) == 0 ? (int)n : 0;
	for (i = 0; i < n; i++)
		vlease_pool_put(pool, &mbufs[i], 1);
	return (int)n;
}

int
vlease_rxq_reclaim(struct vlease_rxq *q, const struct vlease_queue_config *c)
{
	/* Not vlease_rxq_free_ids(), which believes q->size. */
	const uint16_t *ids = (const uint16_t *)&q->slots[c->size];
	uint64_t pinned = rte_pktmbuf_priv_flags(c->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF;
	uint16_t nfree = (uint16_t)(c->size - vlease_rxq_posted(q));
	struct ownership *o = ownership_new(c->size);
	struct rte_mbuf **mbufs, *m;
	unsigned int i, n = 0;
	bool damaged;
	int freed;

	if (o == NULL)
		return -ENOMEM;
	mark_fifo(o, ids, q->free_head, nfree, c);
	damaged = o->n_free != nfree || has_posted_free_id(o, q->slots, c->size);
	collect(o, q->slots, c->size, 1, damaged);
	mbufs = (struct rte_mbuf **)o->mbufs;
	for (i = 0; i < o->n; i++) {
		if ((i > 0 && o->mbufs[i] == o->mbufs[i - 1]) || !pool_holds(c->pool, o->mbufs[i]))
			continue;
		/* The owner may have been joining it to a frame. */
		m = (struct rte_mbuf *)o->mbufs[i];
		rte_mbuf_refcnt_set(m, 1);
		m->nb_segs = 1;
		m->next = NULL;
		m->ol_flags = pinned ? RTE_MBUF_F_EXTERNAL : 0;
		mbufs[n++] = m;
	}
	freed = give_back(c->pool, mbufs, n, c);
	free(o);
	vlease_rxq_init(q, c);
	return freed;
}

/**
 * Free one reference to a segment that another process sent. Returns the segment if it was the
 * last one, and its pool has one owner: for give_back().
 */
static struct rte_mbuf *
free_segment(struct rte_mbuf *m, const struct vlease_queue_config *c)
{
	struct rte_mbuf *direct;

	if (m->pool == c->owned && c->owner_ended)
		return m;
	if (rte_mbuf_refcnt_read(m) == 1 && !RTE_MBUF_DIRECT(m) &&
	    !(rte_pktmbuf_priv_flags(m->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF)) {
		direct = RTE_MBUF_CLONED(m) ? rte_mbuf_from_indirect(m) : NULL;
		if (direct == NULL || find_mbuf((uintptr_t)direct, m->pool) == NULL ||
		    rte_mbuf_refcnt_read(direct) == 0 ||
		    (direct->pool == c->owned && c->owner_ended))
			/* Nothing that this process could free hangs on it. */
			vlease_mbuf_cut_off(m);
	}
	if (m->pool == c->owned)
		return rte_pktmbuf_prefree_seg(m);
	rte_pktmbuf_free_seg(m);
	return NULL;
}

int
vlease_txq_reclaim(struct vlease_txq *q, const struct vlease_queue_config *c)
{
	uint16_t nfree = (uint16_t)(q->free_tail - q->free_head);
	const unsigned int most = c->features & VIRTIO_F_INDIRECT_DESC ? VLEASE_TX_TABLE : 1;
	struct ownership *o = ownership_new((size_t)c->size * most);
	struct rte_mempool *hint = NULL;
	unsigned int i, n = 0, left = 0;
	struct rte_mbuf **mbufs, *m;
	int freed = 0;

	if (o == NULL)
		return -ENOMEM;
	mark_fifo(o, (const uint16_t *)&q->slots[c->size], q->free_head, nfree, c);
	collect(o, q->slots, c->size, most, o->n_free != nfree);
	mbufs = (struct rte_mbuf **)o->mbufs;
	for (i = 0; i < o->n; i++) {
		m = find_mbuf(o->mbufs[i], hint);
		if (m == NULL)
			continue;
		hint = m->pool;
		/* One mbuf may have been sent several times, if it has as many references. */
		if (i == 0 || o->mbufs[i] != o->mbufs[i - 1])
			left = rte_mbuf_refcnt_read(m);
		if (left == 0 || rte_mbuf_refcnt_read(m) == 0)
			continue;
		left--;
		m = free_segment(m, c);
		if (m != NULL)
			mbufs[n++] = m;
		else
			freed++;
	}
	freed += give_back(c->owned, mbufs, n, c);
	free(o);
	vlease_txq_init(q, c);
	return freed;
}

const char *
vlease_broken_text(unsigned int broken)
{
	static const char * const text[] = {
		[VLEASE_INTACT] = "intact",
		[VLEASE_BROKEN_USED_IDX] = "used index ahead of the avail index",
		[VLEASE_BROKEN_USED_ID] = "used entry names a descriptor that is not outstanding",
		[VLEASE_BROKEN_LENGTH] = "used length does not fit the buffer",
		[VLEASE_BROKEN_NUM_BUFFERS] = "impossible number of buffers in a frame",
		[VLEASE_BROKEN_CHAIN] = "descriptors of a sent frame were overwritten",
	};

	return broken < RTE_DIM(text) ? text[broken] : "unknown";
}
