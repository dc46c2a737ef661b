/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the two users say to each other over the channel: calls, their answers, and notices.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lease_agent.h"
#include "lease_lessee.h"
#include "lease_world.h"

#define CODE 4000000000U

static void
call_is_carried_out_and_answered(void **state)
{
	hand_create();
	assert_int_equal(bar_lessee_call(hand.lessee, CODE, -5, PATIENCE_MS), 0);
	assert_int_equal(world.calls, 1);
	assert_int_equal(world.call_code, CODE);
	assert_int_equal(world.call_value, -5);
	world.call_result = -EPERM;
	assert_int_equal(bar_lessee_call(hand.lessee, CODE, 0, PATIENCE_MS), -EPERM);
}

static void
call_is_served_while_stopped(void **state)
{
	hand_create();
	bar_lessor_stop(world.lessor, 0);
	assert_int_equal(bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS), 0);
}

static void
lessor_that_takes_no_calls_says_so(void **state)
{
	struct bar_lessor_conf conf;

	bar_lessor_destroy(world.lessor);
	world.no_calls = true;
	conf = lessor_conf();
	assert_int_equal(bar_lessor_create(&conf, &world.lessor), 0);
	hand_create();
	assert_int_equal(bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS), -ENOTSUP);
}

static void
call_on_interrupt_thread(void *arg)
{
	int *ret = arg;

	*ret = bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS);
}

static void
interrupt_thread_cannot_call(void **state)
{
	int ret = 0;

	hand_create();
	assert_int_equal(lease_run(call_on_interrupt_thread, &ret), 0);
	assert_int_equal(ret, -EDEADLK);
	assert_int_equal(world.calls, 0);
}

static void *
go_on(void *arg)
{
	sleep_ms(50);
	interrupts_go();
	return NULL;
}

/* It comes while the next call waits for its own. */
static void
late_answer_is_not_that_of_the_next_call(void **state)
{
	pthread_t thread;

	hand_create();
	world.failing_call = 1;
	interrupts_hold();
	assert_int_equal(bar_lessee_call(hand.lessee, 1, 0, 20), -ETIMEDOUT);
	assert_int_equal(pthread_create(&thread, NULL, go_on, NULL), 0);
	assert_int_equal(bar_lessee_call(hand.lessee, 2, 0, PATIENCE_MS), 0);
	assert_int_equal(world.call_code, 2);
	pthread_join(thread, NULL);
}

#define CALLERS 4
#define CALLS (BAR_LEASE_CALL_BURST / CALLERS)

static void *
call_often(void *arg)
{
	unsigned int i, *failures = arg;

	for (i = 0; i < CALLS; i++)
		if (bar_lessee_call(hand.lessee, i, 0, PATIENCE_MS) != 0)
			__atomic_fetch_add(failures, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void
threads_call_one_after_the_other(void **state)
{
	unsigned int i, failures = 0;
	pthread_t callers[CALLERS];

	hand_create();
	for (i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&callers[i], NULL, call_often, &failures), 0);
	for (i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	assert_int_equal(failures, 0);
	assert_int_equal(world.calls, CALLERS * CALLS);
}

static void *
call_once(void *arg)
{
	int *ret = arg;

	*ret = bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS);
	return NULL;
}

/* Destroyed ahead of the call that is on its way. */
static void
hangup_ends_the_call_that_waits(void **state)
{
	pthread_t caller;
	int ret = 0;

	hand_create();
	interrupts_hold();
	assert_int_equal(pthread_create(&caller, NULL, call_once, &ret), 0);
	sleep_ms(20);
	interrupts_go();
	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	pthread_join(caller, NULL);
	assert_true(ret == -ENOTCONN || (ret == 0 && world.calls == 1));
	hand_wait_hangup();
	assert_int_equal(bar_lessee_call(hand.lessee, 2, 0, PATIENCE_MS), -ENOTCONN);
}

static bool
has_notice(void *arg)
{
	return hand.notices != 0;
}

static void
notice_reaches_every_lessee(void **state)
{
	struct agent *agent = agent_start(), *ungreeted = agent_attach();
	struct lease_message message;

	hand_create();
	bar_lessor_notify(world.lessor, CODE, -7);
	message = agent_hear(agent, LEASE_NOTICE);
	assert_int_equal(message.slice, CODE);
	assert_int_equal(message.value, -7);
	assert_true(eventually(has_notice, NULL));
	assert_int_equal(hand.notice_code, CODE);
	assert_int_equal(hand.notice_value, -7);
	assert_true(agent_hears_nothing(ungreeted));
}

static void
notices_unread_cost_nobody_his_lease(void **state)
{
	struct agent *sleeper = agent_start();
	unsigned int i;

	agent_get(sleeper, 0);
	for (i = 0; i < 600; i++)
		bar_lessor_notify(world.lessor, 1, 0);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	assert_false(agent_sees_revoked(sleeper));
}

/* Word by word: the code is no slice, and the answer has the number of its call. */
static void
calls_are_answered_in_order(void **state)
{
	struct agent *agent = agent_start();
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_CALL,
		.slice = LEASE_ALL_SLICES,
	};
	int i;

	world.call_result = -EPERM;
	interrupts_hold();
	for (i = 0; i < 5; i++) {
		message.holder = -i;
		assert_true(agent_send(agent, &message, sizeof(message), 0) > 0);
	}
	interrupts_go();
	for (i = 0; i < 5; i++) {
		message = agent_hear(agent, LEASE_ANSWER);
		assert_int_equal(message.slice, LEASE_ALL_SLICES);
		assert_int_equal(message.value, -EPERM);
		assert_int_equal(message.holder, -i);
	}
}

/* It does not read the answers; each call costs the others one call's time. */
static void
flood_of_calls_ends_in_a_hangup(void **state)
{
	struct agent *bystander = bystander_start(), *agent = agent_start();
	unsigned int i;

	agent_get(agent, 0);
	for (i = 0; i < PATIENCE_MS && slice_state(0) == BAR_LEASE_LEASED; i++) {
		agent_flood(agent, LEASE_CALL, 1, 100);
		if (i < 5)
			bystander_is_served(bystander);
		sleep_ms(1);
	}
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	assert_true(world.calls >= BAR_LEASE_CALL_BURST);
	assert_true(world.calls <= BAR_LEASE_CALL_BURST +
		    BAR_LEASE_CALLS_PER_SECOND * PATIENCE_MS / 1000);
	agent_hear_end(agent);
	bystander_is_served(bystander);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, hand_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(call_is_carried_out_and_answered),
		TEST(call_is_served_while_stopped),
		TEST(lessor_that_takes_no_calls_says_so),
		TEST(interrupt_thread_cannot_call),
		TEST(late_answer_is_not_that_of_the_next_call),
		TEST(threads_call_one_after_the_other),
		TEST(hangup_ends_the_call_that_waits),
		TEST(notice_reaches_every_lessee),
		TEST(notices_unread_cost_nobody_his_lease),
		TEST(calls_are_answered_in_order),
		TEST(flood_of_calls_ends_in_a_hangup),
	};

	return cmocka_run_group_tests_name("calls and notices", tests, eal_setup, eal_teardown);
}
