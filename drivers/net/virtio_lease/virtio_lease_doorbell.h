/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_DOORBELL_H
#define VIRTIO_LEASE_DOORBELL_H

/**
 * @file
 * Where this process rings which queue. Queues live in memory that processes share, doorbells do
 * not: each process has its own table of their addresses, in its own data segment, and a queue
 * holds its slot in it. An entry is NULL for as long as this process does not hold the lease.
 *
 * In a secondary, the thread that polls the queue puts the doorbell there itself, in a burst that
 * found none. So no burst uses it that had looked at anything else, such as which burst function
 * is the right one, before the lease was granted.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_config.h>

/** Virtqueues of a port that can have a doorbell: 128 queue pairs. */
#define VLEASE_MAX_VQS 256
#define VLEASE_MAX_DOORBELLS (RTE_MAX_ETHPORTS * VLEASE_MAX_VQS)

/**
 * The doorbell of one virtqueue, in this process. A cache line, since the thread that polls the
 * queue writes to it: what it costs a burst are a load and a branch for the lease, and two stores
 * to the same line so that an orderly end of the lease can wait for the burst's own.
 */
struct vlease_doorbell {
	volatile uint16_t *address;	/**< NULL: this process does not hold the lease */
	volatile uint16_t *offered;	/**< for the next burst that finds none */
	uint32_t busy;			/**< a burst is under way */
} __rte_cache_aligned;

/**
 * One entry a virtqueue, at vlease_doorbell_slot(). Cleared by the lease side of this process, from
 * any thread, while bursts run. Hidden, so that a burst needs no GOT entry.
 */
extern struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS]
	__attribute__((visibility("hidden")));

/**
 * Called by a burst that found no doorbell, once a burst, from the data-plane thread. Never
 * blocks, may be called any number of times; the lease side decides when to really ask.
 */
__attribute__((visibility("hidden"), cold))
void vlease_request_doorbell(uint32_t slot);

static inline uint32_t
vlease_doorbell_slot(uint16_t port_id, uint16_t vq_index)
{
	return (uint32_t)port_id * VLEASE_MAX_VQS + vq_index;
}

/** The doorbell, or NULL. */
static inline volatile uint16_t *
vlease_doorbell(uint32_t slot)
{
	return __atomic_load_n(&vlease_doorbells[slot].address, __ATOMIC_ACQUIRE);
}

static inline void
vlease_set_doorbell(uint32_t slot, volatile uint16_t *address)
{
	__atomic_store_n(&vlease_doorbells[slot].address, address, __ATOMIC_RELEASE);
}

/**
 * Begin a burst: returns the doorbell, or NULL. The burst uses what it got to its end: an entry
 * cleared meanwhile means that the lease is over, and then the page itself says so (SIGBUS,
 * handled in bar_slice) if the kernel has taken it.
 *
 * No fence between the store and the load: who clears the entry and then wants to know whether a
 * burst still uses it makes all threads pass one (membarrier(2)) before it looks at busy.
 */
static inline volatile uint16_t *
vlease_burst_begin(uint32_t slot)
{
	__atomic_store_n(&vlease_doorbells[slot].busy, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return vlease_doorbell(slot);
}

/** End a burst: all that it has stored is in effect before. */
static inline void
vlease_burst_end(uint32_t slot)
{
	__atomic_store_n(&vlease_doorbells[slot].busy, 0, __ATOMIC_RELEASE);
}

/* ---- virtio_lease_doorbell.c: granting and taking away, beside bursts that run ---- */

/** Before anything else here. Negative errno: the kernel has no membarrier(2) for us. */
int vlease_doorbell_init(void);

/** The lease is granted: whoever polls the queue may take this doorbell. Any thread. */
void vlease_doorbell_offer(uint32_t slot, volatile uint16_t *address);

/** Take what is offered, from within a burst; it is for the next one. Returns whether there was. */
bool vlease_doorbell_accept(uint32_t slot);

/** The lease has ended. Any thread, also as a signal handler. */
void vlease_doorbell_withdraw(uint32_t slot);

/**
 * Withdraw, and say whether every burst that could have used the doorbell has ended. If not, ask
 * again. Any thread but the one that polls.
 */
bool vlease_doorbell_is_quiet(uint32_t slot);

#endif /* VIRTIO_LEASE_DOORBELL_H */
