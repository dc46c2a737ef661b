/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include <rte_malloc.h>
#include <rte_mbuf_pool_ops.h>

#include "input.h"
#include "pool.h"

#define OPS "fuzz"
#define BUFFER (RTE_PKTMBUF_HEADROOM + POOL_ROOM)
/** Between pinned buffers. */
#define GAP 64
/** As many as the driver posts in one go. */
#define CACHE_SIZE 32

struct pool pools[POOL_KINDS];

/** Where a pool's operations find it. Before pools_create() has done its part it is NULL. */
static struct pool *
pool_of(const struct rte_mempool *mempool)
{
	unsigned int i;

	for (i = 0; i < POOL_KINDS; i++)
		if (pools[i].mempool == mempool)
			return &pools[i];
	return NULL;
}

static unsigned int
index_of(const struct pool *pool, const void *mbuf)
{
	unsigned int i = 0, step;

	/* They lie in the order of their addresses. */
	for (step = 64; step > 0; step /= 2)
		if (i + step < POOL_SIZE && (const void *)pool->mbufs[i + step] <= mbuf)
			i += step;
	require(pool->mbufs[i] == mbuf, "not an mbuf of this pool");
	return i;
}

/** What stands in front of an mbuf, and says where it is. */
static void *
head(const struct pool *pool, unsigned int i)
{
	return RTE_PTR_SUB(pool->mbufs[i], sizeof(struct rte_mempool_objhdr));
}

/** That and the mbuf, with what says how often its pinned buffer is referred to. */
static size_t
head_bytes(const struct pool *pool)
{
	return sizeof(struct rte_mempool_objhdr) + pool->mempool->elt_size -
	       (pool == &pools[POOL_PINNED] ? 0 : BUFFER);
}

static void
unpoison(const struct pool *pool, unsigned int i)
{
	ASAN_UNPOISON_MEMORY_REGION(head(pool, i), head_bytes(pool));
	ASAN_UNPOISON_MEMORY_REGION(pool->fresh[i].buf_addr, BUFFER);
}

static void
poison(const struct pool *pool, unsigned int i)
{
	ASAN_POISON_MEMORY_REGION(head(pool, i), head_bytes(pool));
	ASAN_POISON_MEMORY_REGION(pool->fresh[i].buf_addr, BUFFER);
}

static void
check_idle(const struct pool *pool, unsigned int i)
{
	const struct rte_mbuf *m = pool->mbufs[i], *fresh = &pool->fresh[i];

	require(rte_mbuf_refcnt_read(m) == 1, "a free mbuf has no reference but one");
	require(m->next == NULL && m->nb_segs == 1, "a free mbuf is one segment");
	require(m->buf_addr == fresh->buf_addr && m->buf_len == fresh->buf_len &&
		m->buf_iova == fresh->buf_iova && m->pool == pool->mempool,
		"a free mbuf has its own buffer");
}

/** Whether somebody may have freed it just now. */
static void
check_freed(const struct pool *pool, unsigned int i)
{
	require(!pool->is_free[i], "an mbuf is freed twice");
	require(!pool->is_app[i], "an mbuf is freed that the application holds");
	check_idle(pool, i);
}

static void
become_free(struct pool *pool, unsigned int i)
{
	pool->is_free[i] = true;
	pool->n_free++;
	poison(pool, i);
}

static int
fuzz_alloc(struct rte_mempool *mp)
{
	return 0;
}

static void
fuzz_free(struct rte_mempool *mp)
{
}

static int
fuzz_enqueue(struct rte_mempool *mp, void * const *objects, unsigned int n)
{
	struct pool *pool = pool_of(mp);
	unsigned int at, i;

	/* In the course of creation. */
	if (pool == NULL)
		return 0;
	for (i = 0; i < n; i++) {
		at = index_of(pool, objects[i]);
		check_freed(pool, at);
		become_free(pool, at);
	}
	return 0;
}

static int
fuzz_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	struct pool *pool = pool_of(mp);
	unsigned int i, got;

	if (pool->n_free < n)
		return -ENOENT;
	for (i = 0, got = 0; got < n; i++) {
		if (!pool->is_free[i])
			continue;
		pool->is_free[i] = false;
		pool->n_free--;
		unpoison(pool, i);
		objects[got++] = pool->mbufs[i];
	}
	return 0;
}

static unsigned int
fuzz_count(const struct rte_mempool *mp)
{
	const struct pool *pool = pool_of(mp);

	return pool != NULL ? pool->n_free : mp->populated_size;
}

static const struct rte_mempool_ops fuzz_ops = {
	.name = OPS,
	.alloc = fuzz_alloc,
	.free = fuzz_free,
	.enqueue = fuzz_enqueue,
	.dequeue = fuzz_dequeue,
	.get_count = fuzz_count,
};

RTE_MEMPOOL_REGISTER_OPS(fuzz_ops);

static void
note_mbuf(struct rte_mempool *mp, void *arg, void *object, unsigned int i)
{
	struct pool *pool = arg;

	pool->mbufs[i] = object;
	pool->fresh[i] = *pool->mbufs[i];
}

/** Unlike EAL's, of any operations. */
static struct rte_mempool *
create_pinned(void)
{
	static struct rte_pktmbuf_extmem mem = {
		.elt_size = BUFFER + GAP,
		.buf_len = (size_t)POOL_SIZE * (BUFFER + GAP),
	};

	mem.buf_ptr = rte_malloc("pinned", mem.buf_len, RTE_CACHE_LINE_SIZE);
	require(mem.buf_ptr != NULL, "memory for pinned buffers");
	mem.buf_iova = rte_malloc_virt2iova(mem.buf_ptr);
	ASAN_POISON_MEMORY_REGION(mem.buf_ptr, mem.buf_len);
	rte_mbuf_set_user_mempool_ops(OPS);
	return rte_pktmbuf_pool_create_extbuf("pinned", POOL_SIZE, CACHE_SIZE, 0, BUFFER,
					      SOCKET_ID_ANY, &mem, 1);
}

static struct rte_mempool *
create(enum pool_kind kind)
{
	struct rte_mempool_memhdr *chunk;
	struct rte_mempool *mp;

	if (kind == POOL_PINNED)
		return create_pinned();
	mp = rte_pktmbuf_pool_create_by_ops(kind == POOL_NEAR ? "near" : "far", POOL_SIZE,
					    CACHE_SIZE, 0, BUFFER, SOCKET_ID_ANY, OPS);
	if (mp != NULL && kind == POOL_FAR)
		STAILQ_FOREACH(chunk, &mp->mem_list, next)
			chunk->iova = RTE_BAD_IOVA;
	return mp;
}

void
pools_create(void)
{
	struct rte_mempool_memhdr *chunk;
	struct rte_mempool *mp;
	unsigned int i;

	for (i = 0; i < POOL_KINDS; i++) {
		mp = create(i);
		require(mp != NULL && mp->nb_mem_chunks == 1, "a pool in one piece");
		rte_mempool_obj_iter(mp, note_mbuf, &pools[i]);
		pools[i].mempool = mp;
		chunk = STAILQ_FIRST(&mp->mem_list);
		ASAN_POISON_MEMORY_REGION(chunk->addr, chunk->len);
		pool_reset(&pools[i]);
	}
}

void
pool_reset(struct pool *pool)
{
	unsigned int i;

	pool->mempool->local_cache[rte_get_main_lcore()].len = 0;
	pool->n_free = 0;
	pool->n_app = 0;
	for (i = 0; i < POOL_SIZE; i++) {
		unpoison(pool, i);
		*pool->mbufs[i] = pool->fresh[i];
		if (pool == &pools[POOL_PINNED])
			rte_mbuf_ext_refcnt_set(pool->mbufs[i]->shinfo, 1);
		memset(pool->fresh[i].buf_addr, 0xa5, BUFFER);
		pool->is_cached[i] = false;
		pool->is_app[i] = false;
		become_free(pool, i);
	}
}

unsigned int
pool_look(struct pool *pool)
{
	const struct rte_mempool_cache *cache;
	unsigned int i, at;

	cache = rte_mempool_default_cache(pool->mempool, rte_lcore_id());
	if (cache == NULL)
		return pool->n_free;
	memset(pool->is_cached, false, sizeof(pool->is_cached));
	for (i = 0; i < cache->len; i++) {
		at = index_of(pool, cache->objs[i]);
		require(!pool->is_cached[at], "an mbuf is in the cache once");
		check_freed(pool, at);
		pool->is_cached[at] = true;
	}
	return pool->n_free + cache->len;
}

struct rte_mbuf *
pool_take(struct pool *pool)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool->mempool);

	if (m != NULL)
		pool_app_gets(m);
	return m;
}

void
pool_app_gets(struct rte_mbuf *m)
{
	struct pool *pool = pool_of(m->pool);
	unsigned int i;

	require(pool != NULL, "an mbuf is of a pool");
	i = index_of(pool, m);
	require(!pool->is_free[i], "the application gets an mbuf that is free");
	require(!pool->is_app[i], "the application gets an mbuf that it holds");
	pool->is_app[i] = true;
	pool->n_app++;
}

void
pool_app_gives(struct rte_mbuf *m)
{
	struct pool *pool = pool_of(m->pool);
	unsigned int i = index_of(pool, m);

	require(pool->is_app[i], "the application gives what it holds");
	pool->is_app[i] = false;
	pool->n_app--;
}

void
pool_app_frees(struct rte_mbuf *m)
{
	pool_app_gives(m);
	rte_pktmbuf_free_seg(m);
}

bool
pool_is_live(uint64_t address, uint64_t length)
{
	const struct pool *pool;
	unsigned int i;
	uint64_t start;

	for (pool = pools; pool < pools + POOL_KINDS; pool++)
		for (i = 0; i < POOL_SIZE; i++) {
			start = (uintptr_t)pool->fresh[i].buf_addr;
			if (address >= start && address - start < BUFFER)
				return !pool->is_free[i] && !pool->is_cached[i] &&
				       length <= BUFFER - (address - start);
		}
	return false;
}

void
pools_unpoison(void)
{
	const struct rte_mempool_memhdr *chunk;
	unsigned int i;

	for (i = 0; i < POOL_KINDS; i++) {
		chunk = STAILQ_FIRST(&pools[i].mempool->mem_list);
		ASAN_UNPOISON_MEMORY_REGION(chunk->addr, chunk->len);
	}
}

void
pools_poison(void)
{
	const struct rte_mempool_memhdr *chunk;
	unsigned int i, j;

	for (i = 0; i < POOL_KINDS; i++) {
		chunk = STAILQ_FIRST(&pools[i].mempool->mem_list);
		ASAN_POISON_MEMORY_REGION(chunk->addr, chunk->len);
		for (j = 0; j < POOL_SIZE; j++)
			if (!pools[i].is_free[j])
				unpoison(&pools[i], j);
	}
}
