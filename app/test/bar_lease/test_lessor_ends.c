/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * How lessees end: killed at every step, closed but alive, with a forked child that goes on. End
 * of file means revoke now; only the process' end, or its RELEASE, allows the reset.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lease_agent.h"
#include "lease_world.h"

static struct agent *bystander;
static unsigned int descriptors_before;

static int
setup(void **state)
{
	if (world_setup(state) != 0)
		return -1;
	bystander = bystander_start();
	descriptors_before = count_descriptors();
	return 0;
}

/* But the test's own socket to command the agent. */
static bool
nothing_is_left(void *arg)
{
	return count_descriptors() == descriptors_before + 1;
}

static void
expect_nothing_left(void)
{
	assert_true(eventually(nothing_is_left, NULL));
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_REVOKE, 0), count_events(EVENT_EXPORT, 0));
}

static void
killed_before_hello(void **state)
{
	agent_kill(agent_attach());
	expect_nothing_left();
	bystander_is_served(bystander);
}

static void
killed_with_its_hello_unread(void **state)
{
	struct agent *agent = agent_attach();

	interrupts_hold();
	agent_say(agent, LEASE_HELLO, 0, 0);
	agent_kill(agent);
	interrupts_go();
	expect_nothing_left();
	bystander_is_served(bystander);
}

static void
killed_after_hello(void **state)
{
	agent_kill(agent_start());
	expect_nothing_left();
	bystander_is_served(bystander);
}

/* Whichever the lessor sees first, the request or the end: the slice is free, nothing is lost. */
static void
killed_between_request_and_reply(void **state)
{
	struct agent *agent = agent_start();

	interrupts_hold();
	agent_say(agent, LEASE_REQUEST, 0, 0);
	agent_kill(agent);
	interrupts_go();
	expect_nothing_left();
	agent_get(agent_start(), 0);
	bystander_is_served(bystander);
}

static void
killed_with_its_grant_unread(void **state)
{
	struct agent *agent = agent_start();

	agent_say(agent, LEASE_REQUEST, 0, 0);
	wait_state(0, BAR_LEASE_LEASED);
	agent_kill(agent);
	wait_events(EVENT_RESET, 0, 1);
	wait_state(0, BAR_LEASE_FREE);
	bystander_is_served(bystander);
}

/* LEASED, REVOKED, RESETTING, FREE, and the process has ended when reset is called. */
static void
killed_while_holding(void **state)
{
	struct agent *agent = agent_start();
	unsigned int i;

	for (i = 0; i < 4; i++)
		agent_get(agent, i);
	world.reset_watches = agent_pid(agent);
	agent_kill(agent);
	for (i = 0; i < 4; i++) {
		wait_state(i, BAR_LEASE_FREE);
		assert_int_equal(count_events(EVENT_REVOKE, i), 1);
		assert_int_equal(count_events(EVENT_RESET, i), 1);
		assert_true(last_event(EVENT_REVOKE, i) < last_event(EVENT_RESET, i));
	}
	assert_true(world.reset_saw_end);
	assert_true(slice_info(0).ended);
	agent_get(bystander, 0);
	assert_false(slice_info(0).ended);
	bystander_is_served(bystander);
}

static void
killed_after_revocation_without_release(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	assert_int_equal(bar_lessor_stop(world.lessor, 0), 2); /* and the bystander's */
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	agent_kill(agent);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_REVOKE, 0), 1);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	assert_int_equal(slice_state(NB_SLICES - 1), BAR_LEASE_REVOKED);
}

/* Whoever stopped the lessor has left its slice alone; the start does not know of it yet. */
static void
killed_while_stopped_is_reset_at_the_start(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	bar_lessor_stop(world.lessor, 0);
	agent_kill(agent);
	wait_state(0, BAR_LEASE_RESETTING);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
}

static void
failed_reset_at_the_start_quarantines(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	bar_lessor_stop(world.lessor, 0);
	agent_kill(agent);
	wait_state(0, BAR_LEASE_RESETTING);
	world.reset_error = -EIO;
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_QUARANTINED);
	agent_be_refused(agent_start(), 0, ENOTRECOVERABLE, 0);
}

static void
late_release_is_reset_at_the_start(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease = agent_get(agent, 0);

	assert_int_equal(bar_lessor_stop(world.lessor, 0), 2); /* and the bystander's */
	agent_hear(agent, LEASE_REVOKED);
	agent_say(agent, LEASE_RELEASE, 0, lease);
	wait_state(0, BAR_LEASE_RESETTING);
	assert_int_equal(bar_lessor_state(world.lessor, 0), BAR_LEASE_RESETTING);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	bar_lessor_start(world.lessor);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	agent_get(agent, 0);
}

static void
release_after_the_next_start_is_reset_at_once(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease = agent_get(agent, 0);

	bar_lessor_stop(world.lessor, 0);
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	agent_hear(agent, LEASE_REVOKED);
	agent_say(agent, LEASE_RELEASE, 0, lease);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	agent_get(agent, 0);
}

/* The channel has no end of file while a forked child keeps it; the pidfd tells all the same. */
static void
killed_while_its_child_keeps_the_channel(void **state)
{
	struct agent *agent = agent_start();
	unsigned int i;
	pid_t child;

	for (i = 0; i < 4; i++)
		agent_get(agent, i);
	child = agent_fork(agent);
	agent_kill(agent);
	for (i = 0; i < 4; i++) {
		wait_state(i, BAR_LEASE_FREE);
		assert_int_equal(count_events(EVENT_REVOKE, i), 1);
		assert_int_equal(count_events(EVENT_RESET, i), 1);
		/* All are revoked before the first is reset. */
		assert_true(last_event(EVENT_REVOKE, i) < last_event(EVENT_RESET, 0));
	}
	assert_int_equal(kill(child, 0), 0);
	bystander_is_served(bystander);
	kill(child, SIGKILL);
}

static void
killed_before_hello_while_its_child_keeps_the_channel(void **state)
{
	struct agent *agent = agent_attach();
	pid_t child = agent_fork(agent);

	agent_kill(agent);
	bystander_is_served(bystander);
	kill(child, SIGKILL);
}

/* It may still run a DMA of its own making: revoked, but not reset, as long as it lives. */
static void
closed_channel_revokes_but_does_not_reset(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	world.reset_watches = agent_pid(agent);
	agent_close(agent);
	wait_state(0, BAR_LEASE_REVOKED);
	assert_true(agent_sees_revoked(agent));
	agent_be_refused(bystander, 0, EBUSY, agent_pid(agent));
	sleep_ms(50);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	agent_kill(agent);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	assert_true(world.reset_saw_end);
	bystander_is_served(bystander);
}

/* Unread messages on its side must not cost the lessor those that it sent before it closed. */
static void
releases_before_a_close_are_heard(void **state)
{
	struct agent *agent = agent_start();
	int32_t leases[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		leases[i] = agent_get(agent, i);
	agent_say(agent, LEASE_RELEASE, 0, leases[0]);
	wait_state(0, BAR_LEASE_FREE); /* its AVAILABLE is never read */
	interrupts_hold();
	agent_say(agent, LEASE_RELEASE, 1, leases[1]);
	agent_say(agent, LEASE_RELEASE, 2, leases[2]);
	agent_close(agent);
	interrupts_go();
	for (i = 0; i < 3; i++) {
		wait_state(i, BAR_LEASE_FREE);
		assert_int_equal(count_events(EVENT_RESET, i), 1);
	}
}

/* One long-lived process attaches and detaches more often than there are places. */
static void
places_of_those_who_left_are_free(void **state)
{
	struct agent *living[BAR_LEASE_MAX_PEERS + 10];
	unsigned int i;

	for (i = 0; i < BAR_LEASE_MAX_PEERS + 10; i++) {
		living[i] = agent_start();
		agent_say(living[i], LEASE_RELEASE, 0, agent_get(living[i], 0));
		agent_close(living[i]);
		wait_events(EVENT_RESET, 0, i + 1);
	}
	bystander_is_served(bystander);
}

static bool
can_meet(void *arg)
{
	int *channel = arg;

	*channel = meet();
	return *channel >= 0;
}

static void
too_many_peers_are_refused(void **state)
{
	int channels[BAR_LEASE_MAX_PEERS - 1], extra = -1;
	unsigned int i;

	for (i = 0; i < BAR_LEASE_MAX_PEERS - 1; i++) {
		channels[i] = attach();
		assert_true(channels[i] >= 0);
	}
	assert_int_equal(meet(), -EUSERS);
	assert_int_equal(meet(), -EUSERS);
	agent_say(bystander, LEASE_RELEASE, 1, agent_get(bystander, 1));
	wait_state(1, BAR_LEASE_FREE);
	close(channels[0]);
	assert_true(eventually(can_meet, &extra));
	assert_int_equal(meet(), -EUSERS);
	close(extra);
	for (i = 1; i < BAR_LEASE_MAX_PEERS - 1; i++)
		close(channels[i]);
}

/*
 * EAL fetches events in a batch: the end of the first, a hello, the end of file of the first. The
 * hello's pidfd gets the number of the first's channel, whose event comes next.
 */
static void
stale_event_ends_no_living_process(void **state)
{
	struct agent *first = agent_start(), *second = agent_attach();
	pid_t child = agent_fork(first);

	interrupts_pass();
	interrupts_hold();
	agent_kill(first);
	agent_say(second, LEASE_HELLO, 0, 0);
	agent_say(second, LEASE_REQUEST, 0, 0);
	kill(child, SIGKILL);
	sleep_ms(100);
	interrupts_go();
	agent_hear(second, LEASE_WELCOME);
	agent_hear(second, LEASE_GRANT);
	interrupts_pass();
	interrupts_pass();
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	bystander_is_served(bystander);
}

/* The pid of a sender that ended and was reaped may be another process' by now. */
static void
hello_of_the_dead_is_refused(void **state)
{
	struct agent *agent = agent_attach();
	pid_t child = agent_fork(agent);

	interrupts_hold();
	agent_say(agent, LEASE_HELLO, 0, 0);
	agent_say(agent, LEASE_REQUEST, 0, 0);
	agent_kill(agent);
	agent_reap(agent);
	interrupts_go();
	expect_nothing_left();
	bystander_is_served(bystander);
	kill(child, SIGKILL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_before_hello),
		TEST(killed_with_its_hello_unread),
		TEST(killed_after_hello),
		TEST(killed_between_request_and_reply),
		TEST(killed_with_its_grant_unread),
		TEST(killed_while_holding),
		TEST(killed_after_revocation_without_release),
		TEST(killed_while_stopped_is_reset_at_the_start),
		TEST(failed_reset_at_the_start_quarantines),
		TEST(late_release_is_reset_at_the_start),
		TEST(release_after_the_next_start_is_reset_at_once),
		TEST(killed_while_its_child_keeps_the_channel),
		TEST(killed_before_hello_while_its_child_keeps_the_channel),
		TEST(closed_channel_revokes_but_does_not_reset),
		TEST(releases_before_a_close_are_heard),
		TEST(places_of_those_who_left_are_free),
		TEST(too_many_peers_are_refused),
		TEST(stale_event_ends_no_living_process),
		TEST(hello_of_the_dead_is_refused),
	};

	return cmocka_run_group_tests_name("lessor, ends of lessees", tests, eal_setup,
					   eal_teardown);
}
