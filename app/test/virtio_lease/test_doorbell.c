/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A doorbell that is granted and taken away while a thread polls the queue.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#include "virtio_lease_doorbell.h"

#define SLOT 5
#define RACE_SECONDS 3

static volatile uint16_t page;

/* What the polling thread does while it is made to pass the barrier. */
static void (*at_barrier)(void);

long __real_syscall(long number, ...);
long __wrap_syscall(long number, int command, unsigned int flags, int cpu);

long
__wrap_syscall(long number, int command, unsigned int flags, int cpu)
{
	if (number == SYS_membarrier && command == MEMBARRIER_CMD_PRIVATE_EXPEDITED &&
	    at_barrier != NULL)
		at_barrier();
	return __real_syscall(number, command, flags, cpu);
}

static int
setup(void **state)
{
	at_barrier = NULL;
	vlease_doorbells[SLOT] = (struct vlease_doorbell){ 0 };
	return vlease_doorbell_init();
}

static void
offer_is_for_the_next_burst(void **state)
{
	assert_null(vlease_burst_begin(SLOT));
	assert_false(vlease_doorbell_accept(SLOT));
	vlease_doorbell_offer(SLOT, &page);
	assert_null(vlease_doorbell(SLOT));
	assert_true(vlease_doorbell_accept(SLOT));
	vlease_burst_end(SLOT);
	assert_ptr_equal(vlease_burst_begin(SLOT), &page);
	vlease_burst_end(SLOT);
	assert_false(vlease_doorbell_accept(SLOT));
}

static void
withdrawal_takes_offer_and_doorbell(void **state)
{
	vlease_doorbell_offer(SLOT, &page);
	vlease_doorbell_withdraw(SLOT);
	assert_false(vlease_doorbell_accept(SLOT));
	vlease_set_doorbell(SLOT, &page);
	vlease_doorbell_withdraw(SLOT);
	assert_null(vlease_burst_begin(SLOT));
	vlease_burst_end(SLOT);
}

static void
burst_under_way_is_not_quiet(void **state)
{
	vlease_set_doorbell(SLOT, &page);
	assert_non_null(vlease_burst_begin(SLOT));
	assert_false(vlease_doorbell_is_quiet(SLOT));
	assert_null(vlease_doorbell(SLOT));
	assert_false(vlease_doorbell_is_quiet(SLOT));
	vlease_burst_end(SLOT);
	assert_true(vlease_doorbell_is_quiet(SLOT));
	vlease_doorbell_offer(SLOT, &page);
	assert_true(vlease_doorbell_is_quiet(SLOT));
	assert_false(vlease_doorbell_accept(SLOT));
}

static void
mark_becomes_visible(void)
{
	vlease_doorbells[SLOT].busy = 1;
}

static void
burst_whose_mark_was_on_its_way_is_not_quiet(void **state)
{
	vlease_set_doorbell(SLOT, &page);
	at_barrier = mark_becomes_visible;
	assert_false(vlease_doorbell_is_quiet(SLOT));
}

static void
end_with_the_doorbell(void)
{
	vlease_set_doorbell(SLOT, &page);
	vlease_burst_end(SLOT);
}

static void
burst_that_leaves_what_it_was_offered_is_not_quiet(void **state)
{
	vlease_doorbell_offer(SLOT, &page);
	assert_null(vlease_burst_begin(SLOT));
	at_barrier = end_with_the_doorbell;
	assert_false(vlease_doorbell_is_quiet(SLOT));
	at_barrier = NULL;
	assert_true(vlease_doorbell_is_quiet(SLOT));
	assert_null(vlease_doorbell(SLOT));
}

/* ---- Both at once: no burst works on a queue that is the primary's ---- */

static struct {
	int over;
	int primarys;		/* the queue was given back */
	uint64_t bursts;
	uint64_t trespasses;
} race;

static void *
poll_queue(void *arg)
{
	while (!__atomic_load_n(&race.over, __ATOMIC_RELAXED)) {
		if (vlease_burst_begin(SLOT) != NULL) {
			if (__atomic_load_n(&race.primarys, __ATOMIC_RELAXED))
				race.trespasses++;
			__atomic_store_n(&race.bursts, race.bursts + 1, __ATOMIC_RELAXED);
		} else {
			vlease_doorbell_accept(SLOT);
		}
		vlease_burst_end(SLOT);
	}
	return NULL;
}

static bool
has_worked(uint64_t before)
{
	return __atomic_load_n(&race.bursts, __ATOMIC_RELAXED) != before;
}

static void
wait_some(unsigned int loops)
{
	while (loops-- > 0)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void
no_burst_outlives_the_quiet(void **state)
{
	unsigned int round, worked = 0;
	time_t end = time(NULL) + RACE_SECONDS;
	uint64_t before;
	pthread_t poller;

	assert_int_equal(pthread_create(&poller, NULL, poll_queue, NULL), 0);
	for (round = 0; time(NULL) < end; round++) {
		before = __atomic_load_n(&race.bursts, __ATOMIC_RELAXED);
		__atomic_store_n(&race.primarys, 0, __ATOMIC_SEQ_CST);
		vlease_doorbell_offer(SLOT, &page);
		wait_some(round % 500);
		/* Or the threads never run at once, on a busy machine. */
		while (round % 8 == 0 && !has_worked(before) && time(NULL) < end)
			sched_yield();
		while (!vlease_doorbell_is_quiet(SLOT))
			;
		__atomic_store_n(&race.primarys, 1, __ATOMIC_SEQ_CST);
		wait_some(round % 300);
		worked += has_worked(before);
	}
	__atomic_store_n(&race.over, 1, __ATOMIC_RELAXED);
	pthread_join(poller, NULL);
	print_message("%u rounds, %u with bursts\n", round, worked);
	assert_int_equal(race.trespasses, 0);
	assert_true(worked > 0);
}

#define TEST(test) cmocka_unit_test_setup(test, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(offer_is_for_the_next_burst),
		TEST(withdrawal_takes_offer_and_doorbell),
		TEST(burst_under_way_is_not_quiet),
		TEST(burst_whose_mark_was_on_its_way_is_not_quiet),
		TEST(burst_that_leaves_what_it_was_offered_is_not_quiet),
		TEST(no_burst_outlives_the_quiet),
	};

	return cmocka_run_group_tests_name("doorbells", tests, NULL, NULL);
}
