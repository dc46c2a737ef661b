/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <stdlib.h>

#include <rte_ethdev.h>

#include "frame.h"
#include "measure.h"
#include "stepping.h"
#include "timer.h"

/** Attempts to take what a driver holds back. */
#define DRAIN_BURSTS 64

#define CALIBRATION 1001

enum meter { UNMETERED, CYCLES, INSTRUCTIONS };

static unsigned int timer_overhead;
static unsigned int step_overhead;
static bool can_step;

static STEPPED uint16_t
step_nothing(uint16_t port __rte_unused, struct rte_mbuf **mbufs __rte_unused, uint16_t n)
{
	/* An effect, so that no compiler leaves the call out. */
	__asm__ volatile("");
	return n;
}

static STEPPED uint16_t
step_rx(uint16_t port, struct rte_mbuf **mbufs, uint16_t n)
{
	return rte_eth_rx_burst(port, 0, mbufs, n);
}

static STEPPED uint16_t
step_tx(uint16_t port, struct rte_mbuf **mbufs, uint16_t n)
{
	return rte_eth_tx_burst(port, 0, mbufs, n);
}

static int
compare_cycles(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
measure_init(void)
{
	uint64_t windows[CALIBRATION], begin;
	unsigned int i;

	for (i = 0; i < CALIBRATION; i++) {
		begin = timer_read();
		windows[i] = timer_read() - begin;
	}
	qsort(windows, CALIBRATION, sizeof(windows[0]), compare_cycles);
	timer_overhead = windows[CALIBRATION / 2];

	can_step = stepping_init();
	stepping_begin();
	step_nothing(0, NULL, 0);
	step_overhead = stepping_end();
}

unsigned int
measure_overhead(void)
{
	return timer_overhead;
}

static inline uint16_t
rx_window(uint16_t port, struct rte_mbuf **mbufs, uint16_t n, enum meter meter, uint64_t *sum)
{
	uint64_t begin;

	switch (meter) {
	case CYCLES:
		begin = timer_read();
		n = rte_eth_rx_burst(port, 0, mbufs, n);
		*sum += timer_read() - begin - timer_overhead;
		return n;
	case INSTRUCTIONS:
		stepping_begin();
		n = step_rx(port, mbufs, n);
		*sum += stepping_end() - step_overhead;
		return n;
	default:
		return rte_eth_rx_burst(port, 0, mbufs, n);
	}
}

static inline uint16_t
tx_window(uint16_t port, struct rte_mbuf **mbufs, uint16_t n, enum meter meter, uint64_t *sum)
{
	uint64_t begin;

	switch (meter) {
	case CYCLES:
		begin = timer_read();
		n = rte_eth_tx_burst(port, 0, mbufs, n);
		*sum += timer_read() - begin - timer_overhead;
		return n;
	case INSTRUCTIONS:
		stepping_begin();
		n = step_tx(port, mbufs, n);
		*sum += stepping_end() - step_overhead;
		return n;
	default:
		return rte_eth_tx_burst(port, 0, mbufs, n);
	}
}

/** Whether the last window took mbufs from the pool, or put some back. */
static bool pool_moved;

/** Returns the number of packets that the burst moved. */
static inline unsigned int
rx_lap(struct port *port, const struct cell *cell, enum meter meter, uint64_t *sum)
{
	const struct rte_mempool_cache *cache = rte_mempool_default_cache(port->pool,
									  rte_lcore_id());
	struct rte_mbuf *mbufs[MAX_BURST];
	uint32_t before;
	unsigned int n;

	if (port->kind->deliver(port, cell->len, cell->burst) != cell->burst)
		return 0;
	before = cache->len;
	/* The stores of the device are its own business. */
	rte_mb();
	n = rx_window(port->id, mbufs, cell->burst, meter, sum);
	pool_moved = cache->len != before;
	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

static inline unsigned int
tx_lap(struct port *port, const struct cell *cell, enum meter meter, uint64_t *sum)
{
	const struct rte_mempool_cache *cache = rte_mempool_default_cache(port->pool,
									  rte_lcore_id());
	const bool checksum = mode_has_checksum(port->setup.mode);
	struct rte_mbuf *mbufs[MAX_BURST];
	uint32_t before;
	unsigned int i, n;

	if (rte_pktmbuf_alloc_bulk(port->pool, mbufs, cell->burst) != 0)
		return 0;
	for (i = 0; i < cell->burst; i++)
		frame_write(mbufs[i], cell->len, checksum);
	before = cache->len;
	rte_mb();
	n = tx_window(port->id, mbufs, cell->burst, meter, sum);
	pool_moved = cache->len != before;
	rte_pktmbuf_free_bulk(&mbufs[n], cell->burst - n);
	return port->kind->take(port, cell->len, n);
}

static inline unsigned int
lap(struct port *port, const struct cell *cell, enum meter meter, uint64_t *sum)
{
	return cell->tx ? tx_lap(port, cell, meter, sum) : rx_lap(port, cell, meter, sum);
}

/** Receive what is left of @p n packets, some of them not delivered yet. */
static void
drain(struct port *port, unsigned int undelivered, unsigned int n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	unsigned int i, got;

	port->kind->deliver(port, RTE_ETHER_MIN_LEN, undelivered);
	for (i = 0; i < DRAIN_BURSTS && n > 0; i++) {
		got = rte_eth_rx_burst(port->id, 0, mbufs, MAX_BURST);
		rte_pktmbuf_free_bulk(mbufs, got);
		n -= RTE_MIN(got, n);
	}
}

unsigned int
measure_trial(struct port *port, const struct cell *cell)
{
	unsigned int done, moved;

	/* Drivers that work in groups of descriptors find the ring where these begin. */
	for (done = 0; done < MAX_BURST; done += cell->burst) {
		moved = lap(port, cell, UNMETERED, NULL);
		if (moved == cell->burst)
			continue;
		if (!cell->tx)
			drain(port, MAX_BURST - cell->burst - done, MAX_BURST - moved - done);
		return moved;
	}
	return cell->burst;
}

/**
 * Drivers free or allocate mbufs for many packets at once. So that all of that work counts, and
 * none twice, the measurement begins behind a window that did it, and ends with one.
 */
static inline double
measure(struct port *port, const struct cell *cell, unsigned int packets, enum meter meter)
{
	const enum meter warm_up_meter = meter == CYCLES ? CYCLES : UNMETERED;
	const unsigned int ring = port->setup.ring;
	uint64_t sum = 0, warm_up = 0;
	unsigned int before = 0, done = 0;

	while (before < ring || (!pool_moved && before < 3 * ring)) {
		if (lap(port, cell, warm_up_meter, &warm_up) != cell->burst)
			return -1;
		before += cell->burst;
	}
	do {
		if (lap(port, cell, meter, &sum) != cell->burst)
			return -1;
		done += cell->burst;
	} while (done < packets || (!pool_moved && done < packets + 2 * ring));
	/* Others begin where groups of descriptors do. */
	while ((before + done) % MAX_BURST != 0) {
		if (lap(port, cell, UNMETERED, NULL) != cell->burst)
			return -1;
		before += cell->burst;
	}
	return (double)(int64_t)sum / done;
}

double
measure_cycles(struct port *port, const struct cell *cell, unsigned int packets)
{
	return measure(port, cell, packets, CYCLES);
}

double
measure_instructions(struct port *port, const struct cell *cell, unsigned int packets)
{
	return can_step ? measure(port, cell, packets, INSTRUCTIONS) : -1;
}
