/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Mempools and processes that die in them: which kinds stop all others, which do not, and that an
 * owned one is made whole again from whatever state.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#include "fixture.h"
#include "virtio_lease_pool.h"

#define POOL_SIZE 256
#define CACHE 16
#define BATCH 8
#define ROOM 128
#define LF_STACK_OPS "lf_stack"

/* Long for one operation, short for a test. */
#define PATIENCE_MS 500

#define BESIDE_S 2

static void
take_and_put(const struct pool *pool)
{
	struct rte_mbuf *m[BATCH];
	unsigned int i;

	/* Past the cache, so that the back end is asked. */
	for (i = 0; i < BATCH; i++)
		if (rte_mempool_ops_dequeue_bulk(pool->mempool, (void **)&m[i], 1) != 0)
			_exit(1);
	rte_mempool_ops_enqueue_bulk(pool->mempool, (void **)m, BATCH);
	if (rte_pktmbuf_alloc_bulk(pool->mempool, m, BATCH) != 0)
		_exit(1);
	m[0]->next = m[1];
	m[0]->nb_segs = 2;
	rte_mbuf_refcnt_set(m[2], 3);
	rte_pktmbuf_attach(m[3], m[4]);
	rte_pktmbuf_free(m[0]);
	rte_pktmbuf_free(m[5]);
}

/** A process that runs so many instructions of it and is killed. Returns whether that was all. */
static bool
die_after(const struct pool *pool, unsigned int instructions)
{
	pid_t child = fork();
	bool over = false;
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		take_and_put(pool);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		fail_msg("this machine does not let a process trace its child");
	while (instructions-- > 0 && !over) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSTOPPED(status));
		over = WSTOPSIG(status) == SIGSTOP;
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return over;
}

/** Whether another process can use the pool. */
static bool
works_for_others(const struct pool *pool)
{
	pid_t child = fork();
	unsigned int waited;
	int status = -1;

	assert_true(child >= 0);
	if (child == 0) {
		take_and_put(pool);
		_exit(0);
	}
	for (waited = 0; waitpid(child, &status, WNOHANG) == 0; waited++) {
		if (waited == PATIENCE_MS) {
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			return false;
		}
		rte_delay_us_sleep(1000);
	}
	return status == 0;
}

static void
owned_pool_is_whole_after_any_death(void **state)
{
	struct pool pool = make_pool(DEFAULT_OPS, POOL_SIZE, CACHE, ROOM);
	unsigned int instructions = 0, incomplete = 0;
	struct vlease_pool owned;

	assert_int_equal(vlease_pool_learn(&owned, pool.mempool), 0);
	assert_int_equal(vlease_pool_count_missing(&owned), 0);
	while (!die_after(&pool, instructions)) {
		incomplete += vlease_pool_count_missing(&owned) > 0;
		vlease_pool_rebuild(&owned);
		assert_int_equal(vlease_pool_count_missing(&owned), 0);
		assert_conserved(&pool);
		vlease_pool_rebuild(&owned);
		instructions += 31;
	}
	assert_true(instructions > 500);
	assert_true(incomplete > 5);
	free(owned.objects);
	free_pool(&pool);
}

/** What a dead process wrote over mbufs and caches is not believed. */
static void
owned_pool_is_whole_after_any_scribble(void **state)
{
	struct pool pool = make_pool(DEFAULT_OPS, POOL_SIZE, CACHE, ROOM);
	struct rte_mempool_cache *caches = pool.mempool->local_cache;
	struct vlease_pool owned;
	struct rte_mbuf *m;
	unsigned int i;

	assert_int_equal(vlease_pool_learn(&owned, pool.mempool), 0);
	for (i = 0; i < POOL_SIZE; i++)
		memset(owned.objects[i], 0xa5, sizeof(*m));
	for (i = 0; i < RTE_MAX_LCORE; i++)
		caches[i].len = UINT32_MAX;
	memset(&owned.ring[1], 0xa5, owned.ring->size * sizeof(void *));
	owned.ring->cons.head = 77;
	owned.ring->prod.tail = 99;
	vlease_pool_rebuild(&owned);
	assert_conserved(&pool);
	m = rte_pktmbuf_alloc(pool.mempool);
	assert_ptr_equal(m->buf_addr, RTE_PTR_ADD(m, sizeof(*m) + m->priv_size));
	assert_ptr_equal(m->pool, pool.mempool);
	rte_pktmbuf_free(m);
	free(owned.objects);
	free_pool(&pool);
}

/** In the middle of an enqueue: places taken, and not filled. As rte_ring does, then dead. */
static void
die_in_an_enqueue(const struct pool *pool)
{
	struct rte_ring *ring = pool->mempool->pool_data;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		__atomic_fetch_add(&ring->prod.head, 1, __ATOMIC_ACQ_REL);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void
death_in_a_ring_stops_all_others(void **state)
{
	struct pool pool = make_pool(DEFAULT_OPS, POOL_SIZE, 0, ROOM);
	struct vlease_pool owned;

	assert_int_equal(vlease_pool_learn(&owned, pool.mempool), 0);
	assert_true(works_for_others(&pool));
	die_in_an_enqueue(&pool);
	assert_false(works_for_others(&pool));
	/* But not if it is owned, and made anew. */
	vlease_pool_rebuild(&owned);
	assert_true(works_for_others(&pool));
	vlease_pool_rebuild(&owned);
	free(owned.objects);
	free_pool(&pool);
}

static void
death_in_a_lock_free_stack_stops_nobody(void **state)
{
	struct pool pool = make_pool(LF_STACK_OPS, 4 * POOL_SIZE, 0, ROOM);
	unsigned int instructions = 0, deaths = 0;

	for (; !die_after(&pool, instructions); instructions += 31, deaths++) {
		assert_true(works_for_others(&pool));
		/* Whoever has come so far keeps some. */
		assert_true(free_mbufs(&pool) >= pool.size - 2 * BATCH);
		free_pool(&pool);
		pool = make_pool(LF_STACK_OPS, 4 * POOL_SIZE, 0, ROOM);
	}
	assert_true(deaths > 10);
	free_pool(&pool);
}

/** The lessor gives buffers back while the owner lives, and does not hang if that stands still. */
static void
giving_back_waits_for_nobody_who_is_dead(void **state)
{
	struct pool pool = make_pool(DEFAULT_OPS, POOL_SIZE, 0, ROOM);
	struct vlease_pool owned;
	struct rte_mbuf *m[BATCH];

	assert_int_equal(vlease_pool_learn(&owned, pool.mempool), 0);
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool.mempool, m, BATCH), 0);
	assert_int_equal(vlease_pool_return(pool.mempool, (void **)m, BATCH), 0);
	assert_conserved(&pool);
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool.mempool, m, BATCH), 0);
	die_in_an_enqueue(&pool);
	assert_int_equal(vlease_pool_return(pool.mempool, (void **)m, BATCH), -EAGAIN);
	vlease_pool_rebuild(&owned);
	assert_conserved(&pool);
	free(owned.objects);
	free_pool(&pool);
}

/** EAL keeps this process on one processor: whoever waits there for another waits for its turn. */
static void
run_anywhere(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/** Beside an owner that works: none is lost, none is doubled. */
static void
giving_back_beside_the_owner(void **state)
{
	struct pool pool = make_pool(DEFAULT_OPS, POOL_SIZE, 0, ROOM);
	const uint64_t end = rte_get_timer_cycles() + BESIDE_S * rte_get_timer_hz();
	struct rte_mbuf *m[BATCH], *n[BATCH];
	unsigned int failed = 0;
	pid_t child;

	run_anywhere();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		while (rte_get_timer_cycles() < end) {
			if (rte_pktmbuf_alloc_bulk(pool.mempool, n, BATCH) == 0)
				rte_mempool_put_bulk(pool.mempool, (void **)n, BATCH);
		}
		_exit(0);
	}
	while (waitpid(child, NULL, WNOHANG) == 0) {
		if (rte_pktmbuf_alloc_bulk(pool.mempool, m, BATCH) != 0)
			continue;
		while (vlease_pool_return(pool.mempool, (void **)m, BATCH) != 0)
			assert_true(++failed < 1000);
	}
	assert_conserved(&pool);
	free_pool(&pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owned_pool_is_whole_after_any_death),
		cmocka_unit_test(owned_pool_is_whole_after_any_scribble),
		cmocka_unit_test(death_in_a_ring_stops_all_others),
		cmocka_unit_test(death_in_a_lock_free_stack_stops_nobody),
		cmocka_unit_test(giving_back_waits_for_nobody_who_is_dead),
		cmocka_unit_test(giving_back_beside_the_owner),
	};

	start_eal(argv[0]);
	return cmocka_run_group_tests_name("pools", tests, NULL, NULL);
}
