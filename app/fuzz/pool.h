/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_POOL_H
#define FUZZ_POOL_H

/**
 * @file
 * Pools that know where each of their mbufs is: free, with the application, or else with the
 * driver. What is free, and what lies between the buffers, is poisoned for the address sanitizer;
 * only what lies in the lcore's cache is not, since nobody is asked before it is taken out.
 */

#include <stdbool.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define POOL_SIZE 96
/** Of a buffer, behind the headroom. */
#define POOL_ROOM 256

enum pool_kind {
	POOL_NEAR,	/**< each buffer behind its mbuf */
	POOL_FAR,	/**< the same, but the driver cannot know */
	POOL_PINNED,	/**< buffers in memory of their own */
	POOL_KINDS
};

struct pool {
	struct rte_mempool *mempool;
	struct rte_mbuf *mbufs[POOL_SIZE];
	struct rte_mbuf fresh[POOL_SIZE];	/**< what they were like in the beginning */
	bool is_free[POOL_SIZE];
	bool is_cached[POOL_SIZE];		/**< in the lcore's cache, at the last look */
	bool is_app[POOL_SIZE];			/**< the application holds a reference */
	unsigned int n_free;			/**< but for cached ones */
	unsigned int n_app;
};

/** Made once: to create a pool takes longer than to run many inputs. */
extern struct pool pools[POOL_KINDS];
void pools_create(void);

/** All mbufs are free and as in the beginning, also those that were lost. */
void pool_reset(struct pool *pool);

/** Look into the cache: what is there is free, once. Return how many mbufs are free in all. */
unsigned int pool_look(struct pool *pool);

/** Take an mbuf for the application; NULL if there is none. */
struct rte_mbuf *pool_take(struct pool *pool);
/** Note that the application has got, or given away, one mbuf, of whatever pool. */
void pool_app_gets(struct rte_mbuf *m);
void pool_app_gives(struct rte_mbuf *m);
/** The application frees one segment. */
void pool_app_frees(struct rte_mbuf *m);

/** Whether these bytes are in the buffer of an mbuf that is not free, at the last look. */
bool pool_is_live(uint64_t address, uint64_t length);

/** Reclaim may look at free mbufs, to find that they are free: let it. */
void pools_unpoison(void);
void pools_poison(void);

#endif /* FUZZ_POOL_H */
