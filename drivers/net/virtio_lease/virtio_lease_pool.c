/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "virtio_lease_pool.h"

/* How long to wait for an operation that is not done; one of a thread that runs takes less. */
#define PATIENCE_US 10000

static void
note_object(struct rte_mempool *mempool __rte_unused, void *arg, void *object, unsigned int index)
{
	struct vlease_pool *pool = arg;

	if (index < pool->n)
		pool->objects[index] = object;
}

static bool
is_multi_producer_ring(const struct rte_mempool *mempool)
{
	const struct rte_ring *ring = mempool->pool_data;

	return strncmp(rte_mempool_get_ops(mempool->ops_index)->name, "ring_mp_", 8) == 0 &&
	       ring->prod.sync_type == RTE_RING_SYNC_MT;
}

int
vlease_pool_learn(struct vlease_pool *pool, struct rte_mempool *mempool)
{
	if (!is_multi_producer_ring(mempool))
		return -ENOTSUP;
	if (mempool->private_data_size < sizeof(struct rte_pktmbuf_pool_private) ||
	    mempool->elt_size < sizeof(struct rte_mbuf) || mempool->populated_size == 0)
		return -EINVAL;
	*pool = (struct vlease_pool){
		.mempool = mempool,
		.ring = mempool->pool_data,
		.caches = mempool->cache_size > 0 ? mempool->local_cache : NULL,
		.n = mempool->populated_size,
		.objects = calloc(mempool->populated_size, sizeof(void *)),
	};
	if (pool->objects == NULL)
		return -ENOMEM;
	rte_mempool_obj_iter(mempool, note_object, pool);
	return 0;
}

unsigned int
vlease_pool_count_missing(const struct vlease_pool *pool)
{
	unsigned int i, there = rte_ring_count(pool->ring);

	for (i = 0; pool->caches != NULL && i < RTE_MAX_LCORE; i++)
		there += RTE_MIN(pool->caches[i].len, pool->n);
	return pool->n - RTE_MIN(there, pool->n);
}

void
vlease_mbuf_cut_off(struct rte_mbuf *m)
{
	m->ol_flags = 0;
	m->priv_size = rte_pktmbuf_priv_size(m->pool);
	m->buf_addr = RTE_PTR_ADD(m, sizeof(*m) + m->priv_size);
	rte_mbuf_iova_set(m, rte_mempool_virt2iova(m) + sizeof(*m) + m->priv_size);
	m->buf_len = rte_pktmbuf_data_room_size(m->pool);
}

static void
renew_mbuf(struct rte_mbuf *m, struct rte_mempool *mempool)
{
	m->pool = mempool;
	rte_mbuf_refcnt_set(m, 1);
	m->nb_segs = 1;
	m->next = NULL;
	/* Nothing can be attached to an mbuf with a pinned buffer. */
	if (rte_pktmbuf_priv_flags(mempool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) {
		m->ol_flags = RTE_MBUF_F_EXTERNAL;
		rte_mbuf_ext_refcnt_set(m->shinfo, 1);
	} else {
		vlease_mbuf_cut_off(m);
	}
}

void
vlease_pool_rebuild(const struct vlease_pool *pool)
{
	unsigned int i;

	for (i = 0; pool->caches != NULL && i < RTE_MAX_LCORE; i++)
		pool->caches[i].len = 0;
	for (i = 0; i < pool->n; i++)
		renew_mbuf(pool->objects[i], pool->mempool);
	rte_ring_reset(pool->ring);
	rte_ring_enqueue_bulk(pool->ring, pool->objects, pool->n, NULL);
}

/*
 * Take places in the ring at a moment at which nobody else has any that are not filled: then there
 * is nobody to wait for. The tail follows the head, so it was here still when the head was ours.
 */
static bool
claim(struct rte_ring *ring, unsigned int n, uint32_t *head)
{
	uint32_t tail = __atomic_load_n(&ring->prod.tail, __ATOMIC_ACQUIRE);
	uint32_t cons = __atomic_load_n(&ring->cons.tail, __ATOMIC_ACQUIRE);

	*head = tail;
	return ring->capacity + cons - tail >= n &&
	       __atomic_compare_exchange_n(&ring->prod.head, &tail, tail + n, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int
vlease_pool_return(struct rte_mempool *mempool, void **objects, unsigned int n)
{
	struct rte_ring *ring = mempool->pool_data;
	void **places = (void **)&ring[1];
	unsigned int i, waited;
	uint32_t head;

	for (waited = 0; !claim(ring, n, &head); waited++) {
		if (waited == PATIENCE_US)
			return -EAGAIN;
		rte_delay_us_block(1);
	}
	for (i = 0; i < n; i++)
		places[(head + i) & ring->mask] = objects[i];
	__atomic_store_n(&ring->prod.tail, head + n, __ATOMIC_RELEASE);
	return 0;
}
