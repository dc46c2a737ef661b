/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_POOL_H
#define VIRTIO_LEASE_POOL_H

/**
 * @file
 * A pool that belongs to one process, which may die at any instruction.
 */

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

/** What a pool is made of, as it was before anybody could write over it. In private memory. */
struct vlease_pool {
	struct rte_mempool *mempool;
	struct rte_ring *ring;
	struct rte_mempool_cache *caches;	/* of all lcores, or NULL */
	unsigned int n;
	void **objects;
};

/**
 * Learn it. Free the objects with free(3).
 *
 * @return -ENOTSUP: not over a multi-producer ring; -EINVAL: not of mbufs; -ENOMEM.
 */
int vlease_pool_learn(struct vlease_pool *pool, struct rte_mempool *mempool);

/** Objects that are neither in the ring nor in a cache, as far as these can be believed. */
unsigned int vlease_pool_count_missing(const struct vlease_pool *pool);

/** Make it whole again, whatever state it is in. Nobody uses it, and no device writes to it. */
void vlease_pool_rebuild(const struct vlease_pool *pool);

/**
 * Give objects back while its owner lives. The owner may be killed in the middle of an operation
 * on the ring, for whose end the ring's own functions would then wait for ever.
 *
 * @return -EAGAIN: somebody has stood in the middle of an operation for a while.
 */
int vlease_pool_return(struct rte_mempool *mempool, void **objects, unsigned int n);

/** An mbuf with its own buffer behind it, whatever it was attached to. */
void vlease_mbuf_cut_off(struct rte_mbuf *m);

#endif /* VIRTIO_LEASE_POOL_H */
