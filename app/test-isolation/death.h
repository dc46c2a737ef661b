/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef DEATH_H
#define DEATH_H

/**
 * @file
 * The planned end of this process: in one of many ways, at one of many points. Bursts and puts end
 * in the middle, after a number of instructions. Points of the handshake are found by standing in
 * for functions of the C library, so that what is tested is the library and the driver as built.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mempool.h>

enum death_point {
	DEATH_NOW,
	DEATH_HELLO,		/**< before the first word to a lessor */
	DEATH_REQUEST,		/**< a lease is asked for, and not answered */
	DEATH_GRANT,		/**< the descriptor of a lease has arrived, and is not mapped */
	DEATH_MAP,		/**< it is mapped, and nobody knows yet */
	DEATH_BURST,		/**< in a burst that has something to do */
	DEATH_PUT,		/**< in an operation that puts mbufs back into a pool */
};

/**
 * Plan it.
 *
 * @param plan
 *   "POINT WAY COUNT": a point by its name above, in lower case; one of kill, segv, abort, exit,
 *   oom, stop, hang, exec and stack; how many times to get there, or for burst and put, how many
 *   instructions.
 * @param died_at
 *   Where to leave the time (CLOCK_MONOTONIC, ns), just before.
 * @return
 *   0, or -1: the plan makes no sense.
 */
int death_plan(const char *plan, volatile uint64_t *died_at);

/** Whether this is where it is planned. */
bool death_awaits(enum death_point point);

/** Between these, every instruction counts, if this is where it is planned. */
void death_enter(enum death_point point);
void death_leave(enum death_point point);

/** Watch the operations that put objects back into a pool like this one. */
void death_watch_puts(const struct rte_mempool *pool);

#endif /* DEATH_H */
