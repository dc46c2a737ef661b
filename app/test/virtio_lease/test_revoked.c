/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Threads that are in the middle of bursts when their doorbell is taken away: they live, their
 * bursts send nothing from then on, and with a new doorbell they go on, with no buffer lost. The
 * page is one of a file that is cut off: a touch then faults just as a touch of a revoked slice.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "bar_slice_private.h"
#include "fixture.h"

#define PAGE 4096
#define THREADS 4
#define ROUNDS 50
#define SIZE 64
#define BURST 8
#define POOL_SIZE (THREADS * 2 * SIZE)
#define PATIENCE_MS 10000

struct sender {
	pthread_t thread;
	struct tx tx;
	uint64_t sent;		/* atomic */
};

static struct pool pool;
static struct sender senders[THREADS];
static int over, losses, bursting;	/* atomic */

/* One page for all of them, each with a doorbell of its own on it. */
static void
lost(void *arg)
{
	unsigned int i;

	__atomic_fetch_add(&losses, 1, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		vlease_doorbell_withdraw(SLOT + i);
}

void
vlease_request_doorbell(uint32_t slot)
{
}

static bool
all_quiet(void)
{
	bool quiet = true;
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		quiet &= vlease_doorbell_is_quiet(SLOT + i);
	return quiet;
}

static void *
send_bursts(void *arg)
{
	struct sender *sender = arg;
	struct rte_mbuf *m[BURST];
	unsigned int i, n;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		if (!__atomic_load_n(&bursting, __ATOMIC_ACQUIRE)) {
			sched_yield();
			continue;
		}
		if (rte_pktmbuf_alloc_bulk(pool.mempool, m, BURST) != 0)
			continue;
		for (i = 0; i < BURST; i++)
			rte_pktmbuf_append(m[i], 60);
		n = sender->tx.burst(sender->tx.q, m, BURST);
		rte_pktmbuf_free_bulk(&m[n], BURST - n);
		software_device_drain(&sender->tx.device, SIZE);
		__atomic_fetch_add(&sender->sent, n, __ATOMIC_RELAXED);
	}
	return NULL;
}

/** Returns the file behind it. */
static int
grant(volatile uint16_t **page)
{
	int file = memfd_create("slice", MFD_CLOEXEC);
	void *address;
	unsigned int i;

	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, PAGE), 0);
	address = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(address != MAP_FAILED);
	assert_int_equal(bar_slice_guard(address, PAGE, lost, NULL), 0);
	*page = address;
	for (i = 0; i < THREADS; i++)
		vlease_set_doorbell(SLOT + i, address);
	return file;
}

static void
each_sends(void)
{
	uint64_t before[THREADS];
	unsigned int i, waited;

	for (i = 0; i < THREADS; i++)
		before[i] = __atomic_load_n(&senders[i].sent, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		for (waited = 0; __atomic_load_n(&senders[i].sent, __ATOMIC_RELAXED) == before[i];
		     waited++) {
			assert_true(waited < PATIENCE_MS);
			rte_delay_us_sleep(1000);
		}
}

static bool
is_lost(int round)
{
	return __atomic_load_n(&losses, __ATOMIC_RELAXED) > round;
}

static void
threads_in_bursts_outlive_the_revoke(void **state)
{
	volatile uint16_t *page;
	unsigned int i, round, waited;
	int file;

	pool = make_pool(DEFAULT_OPS, POOL_SIZE, 0, 256);
	for (i = 0; i < THREADS; i++) {
		make_tx(&senders[i].tx, SIZE);
		senders[i].tx.q->doorbell_slot = SLOT + i;
	}
	over = losses = bursting = 0;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_bursts,
						&senders[i]), 0);
	for (round = 0; round < ROUNDS; round++) {
		file = grant(&page);
		__atomic_store_n(&bursting, 1, __ATOMIC_RELEASE);
		each_sends();
		assert_int_equal(losses, round);
		assert_int_equal(ftruncate(file, 0), 0);
		for (waited = 0; !is_lost(round); waited++) {
			assert_true(waited < PATIENCE_MS);
			rte_delay_us_sleep(1000);
		}
		/* No burst is left that could touch the page. */
		for (waited = 0; !all_quiet(); waited++) {
			assert_true(waited < PATIENCE_MS);
			rte_delay_us_sleep(1000);
		}
		__atomic_store_n(&bursting, 0, __ATOMIC_RELEASE);
		rte_delay_us_sleep(1000);
		assert_int_equal(bar_slice_unmap((void *)(uintptr_t)page, PAGE), 0);
		close(file);
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
	for (i = 0; i < THREADS; i++)
		free_tx(&senders[i].tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_in_bursts_outlive_the_revoke),
	};

	start_eal(argv[0]);
	if (vlease_doorbell_init() != 0)
		return 1;
	return run_in_all_modes(tests);
}
