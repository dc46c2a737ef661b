/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */

/*
 * Instructions of single bursts. Built three times, with and without what a lease takes (see
 * without_lease.h); perf.py makes a table of the differences.
 */

#include <stdio.h>

#include "fixture.h"
#include "stepping.h"

#define RING 256
#define BURST 32
#define FRAME 64
#define WARM_UP_BURSTS (2 * RING / BURST)

#ifdef WITHOUT_LEASE
volatile uint16_t the_doorbell[2] __rte_aligned(4);
#endif

static struct pool pool;
static uint64_t call_cost;

static STEPPED uint16_t
call(vlease_burst_t burst, void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	return burst(queue, mbufs, n);
}

static uint16_t
do_nothing(void *queue __rte_unused, struct rte_mbuf **mbufs __rte_unused, uint16_t n)
{
	return n;
}

static uint64_t
count(vlease_burst_t burst, void *queue, struct rte_mbuf **mbufs, uint16_t n, uint16_t expected)
{
	uint64_t instructions;
	uint16_t moved;

	stepping_begin();
	moved = call(burst, queue, mbufs, n);
	instructions = stepping_end();
	assert_int_equal(moved, expected);
	return instructions - call_cost;
}

static void
print(const char *direction, unsigned int packets, uint64_t instructions)
{
	printf("burst\tmode=%s\tdir=%s\tpackets=%u\tinstructions=%ju\n", mode->name, direction,
	       packets, (uintmax_t)instructions);
}

static void
count_rx(void **state __rte_unused)
{
	static const uint8_t frame[FRAME];
	struct rte_mbuf *mbufs[BURST];
	unsigned int lap, i;
	uint64_t full = 0;
	struct rx rx;

	make_rx(&rx, RING, &pool, false);
	assert_int_equal(rx.burst(rx.q, mbufs, BURST), 0);
	software_device_suppress(&rx.device, true);
	for (lap = 0; lap < WARM_UP_BURSTS; lap++) {
		for (i = 0; i < BURST; i++)
			assert_int_equal(software_device_deliver(&rx.device, frame, FRAME), 1);
		full = count(rx.burst, rx.q, mbufs, BURST, BURST);
		rte_pktmbuf_free_bulk(mbufs, BURST);
	}
	print("rx", 0, count(rx.burst, rx.q, mbufs, BURST, 0));
	print("rx", BURST, full);
	free_rx(&rx);
}

static void
count_tx(void **state __rte_unused)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned int lap, i;
	uint64_t full = 0;
	struct tx tx;

	make_tx(&tx, RING);
	software_device_suppress(&tx.device, true);
	for (lap = 0; lap < WARM_UP_BURSTS; lap++) {
		for (i = 0; i < BURST; i++)
			mbufs[i] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, FRAME, 0);
		full = count(tx.burst, tx.q, mbufs, BURST, BURST);
		assert_int_equal(software_device_drain(&tx.device, BURST), BURST);
	}
	/* The first collects what was completed last. */
	assert_int_equal(tx.burst(tx.q, mbufs, 0), 0);
	print("tx", 0, count(tx.burst, tx.q, mbufs, 0, 0));
	print("tx", BURST, full);
	free_tx(&tx);
}

int
main(int argc __rte_unused, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(count_rx),
		cmocka_unit_test(count_tx),
	};

	start_eal(argv[0]);
	pool = make_pool(DEFAULT_OPS, 1023, 256, FRAME);
	if (!stepping_init())
		return 77;
	call_cost = count(do_nothing, NULL, NULL, 0, 0);
	return run_in_all_modes(tests);
}
