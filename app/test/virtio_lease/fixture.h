/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FIXTURE_H
#define FIXTURE_H

/**
 * @file
 * One queue, its software device, and pools that notice when an mbuf is freed twice. All memory
 * is shared with children of the process (EAL's own, a memfd with --no-huge).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "software_device.h"
#include "virtio_lease_rxtx.h"

#define PORT_ID 3
#define VQ_INDEX 6
#define SLOT (PORT_ID * VLEASE_MAX_VQS + VQ_INDEX)
#define MAX_FRAME 9000

/** What driver and device have agreed on. */
struct mode {
	const char *name;
	bool packed;
	bool in_order;
	uint64_t features;
};

/** That of all queues made from now on. */
extern const struct mode *mode;

/** Run a group of tests in each mode; for main(). */
#define run_in_all_modes(tests) _run_in_all_modes((tests), RTE_DIM(tests))
int _run_in_all_modes(const struct CMUnitTest *tests, size_t n);

/** Pool operations of the tests: every object has one bit, an enqueue of a free one is counted. */
#define CHECKED_OPS "vlease_checked"
/** Those that applications use. */
#define DEFAULT_OPS "ring_mp_mc"
#define STACK_OPS "stack"

struct pool {
	struct rte_mempool *mempool;
	unsigned int size;
};

/**
 * Start EAL without devices; call once, in main(). Burst functions are scalar, but with the
 * environment's SIMD_BITWIDTH those of vectors of so many bits, or the process ends as skipped.
 */
void start_eal(const char *program);

/** A pool of @p size mbufs of @p room bytes behind the headroom. Asserts that it is there. */
struct pool make_pool(const char *ops, unsigned int size, unsigned int cache, uint16_t room);
/** The same with buffers in memory of their own, pinned to the mbufs. */
struct pool make_pinned_pool(unsigned int size, unsigned int cache, uint16_t room);
void free_pool(struct pool *pool);
/** mbufs in the pool and its caches. */
unsigned int free_mbufs(const struct pool *pool);
/** Assert that every mbuf is back, exactly once. */
void assert_conserved(const struct pool *pool);
/** How often an mbuf was freed that was free; for pools of CHECKED_OPS. */
unsigned int double_frees(const struct pool *pool);
/** Whether an mbuf is free; for pools of CHECKED_OPS without cache. */
bool is_free(const struct pool *pool, const void *mbuf);
/** The mbuf whose buffer holds an address, or NULL; for pools of CHECKED_OPS. */
struct rte_mbuf *mbuf_at(const struct pool *pool, uint64_t address);
/** Bytes of such a pool's pool_data. */
size_t checked_pool_bytes(void);
/** Put what is missing back, to go on after a crash; for pools of CHECKED_OPS. */
void refill_pool(const struct pool *pool);

/** Times that a burst has asked for a doorbell since the last call, all for SLOT. */
unsigned int doorbell_requests(void);

struct rx {
	struct vlease_queue_config config;
	struct vlease_rxq *q;
	struct software_device device;
	vlease_burst_t burst;
};

struct tx {
	struct vlease_queue_config config;
	struct vlease_txq *q;
	struct software_device device;
	vlease_burst_t burst;
};

/** Bytes of ring memory in this mode, whatever the offloads. */
size_t ring_bytes(uint16_t size);

/** A queue with a doorbell. Its teardown reclaims what it still holds. */
void make_rx(struct rx *rx, uint16_t size, const struct pool *pool, bool mergeable);
void make_tx(struct tx *tx, uint16_t size);
/** The same, with features beyond those of the mode, and with offloads. */
void make_rx_with(struct rx *rx, uint16_t size, const struct pool *pool, uint64_t features,
		  uint64_t offloads);
void make_tx_with(struct tx *tx, uint16_t size, uint64_t features, uint64_t offloads);
/** Device and queue start again, as after VIRTIO_F_RING_RESET. Returns what was reclaimed. */
int reset_rx(struct rx *rx);
int reset_tx(struct tx *tx);
void free_rx(struct rx *rx);
void free_tx(struct tx *tx);

/** Bytes that depend on the length and the seed. */
void make_frame(uint8_t *frame, size_t len, uint32_t seed);
/** Assert that received mbufs hold that frame and are as a driver has to leave them. */
void assert_frame(const struct rte_mbuf *m, size_t len, uint32_t seed);
/** An mbuf with that frame, @p headroom bytes in front of it. */
struct rte_mbuf *frame_mbuf(const struct pool *pool, uint16_t headroom, size_t len, uint32_t seed);
/** The same in @p segments segments, as even as can be. */
struct rte_mbuf *frame_chain(const struct pool *pool, unsigned int segments, size_t len,
			     uint32_t seed);

/** A number below @p below, from a generator that starts alike in every run. */
uint32_t draw_below(uint32_t below);

#endif /* FIXTURE_H */
