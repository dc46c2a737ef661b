/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the operator can do: revoke, drain, fence, and look.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lease_agent.h"
#include "lease_lessee.h"
#include "lease_world.h"

/* Within it, an honest agent answers also on a busy machine. */
#define FENCE_MS 1000

static void
one_lease_is_revoked(void **state)
{
	struct agent *bystander = bystander_start(), *agent = agent_start();
	int32_t lease = agent_get(agent, 0);
	struct lease_message message;

	agent_get(agent, 1);
	assert_int_equal(bar_lessor_revoke(world.lessor, 1), 0);
	message = agent_hear(agent, LEASE_REVOKED);
	assert_int_equal(message.slice, 1);
	assert_true(agent_sees_revoked(agent));
	assert_int_equal(slice_state(1), BAR_LEASE_REVOKED);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	assert_int_equal(counted(&world.counters[1].lost), 1);
	assert_int_equal(bar_lessor_revoke(world.lessor, 1), -EALREADY);
	assert_int_equal(count_events(EVENT_RESET, 1), 0);
	agent_say(agent, LEASE_RELEASE, 1, message.value);
	wait_state(1, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 1), 1);
	agent_get(agent, 1);
	agent_say(agent, LEASE_RELEASE, 0, lease);
	bystander_is_served(bystander);
}

static void
what_is_not_leased_cannot_be_revoked(void **state)
{
	assert_int_equal(bar_lessor_revoke(world.lessor, NB_SLICES), -EINVAL);
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), -ENOENT);
	assert_int_equal(bar_lessor_take(world.lessor, 0), 0);
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), -ENOENT);
}

static void
kernel_that_does_not_revoke_is_asked_again(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	world.revoke_error = -EIO;
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), -EIO);
	assert_int_equal(told(BAR_LEASE_EVENT_REVOKED, 0)->error, EIO);
	assert_false(agent_sees_revoked(agent));
	world.revoke_error = 0;
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), 0);
	assert_true(agent_sees_revoked(agent));
}

static void
drained_process_gets_nothing_more(void **state)
{
	struct agent *bystander = bystander_start(), *agent = agent_start();
	struct lease_message message;
	unsigned int i;

	agent_get(agent, 0);
	agent_get(agent, 1);
	assert_int_equal(bar_lessor_drain(world.lessor, agent_pid(agent), 0, 0), 2);
	for (i = 0; i < 2; i++) {
		message = agent_hear(agent, LEASE_REVOKED);
		assert_int_equal(message.slice, i);
		agent_say(agent, LEASE_RELEASE, i, message.value);
		wait_state(i, BAR_LEASE_FREE);
	}
	agent_be_refused(agent, 0, ESHUTDOWN, 0);
	agent_be_refused(agent, 2, ESHUTDOWN, 0);
	assert_int_equal(bar_lessor_drain(world.lessor, agent_pid(agent), 0, 0), 0);
	bystander_is_served(bystander);
	agent_get(agent_start(), 0);
}

static void
stranger_cannot_be_drained(void **state)
{
	agent_attach();
	assert_int_equal(bar_lessor_drain(world.lessor, 0, 0, 0), -ESRCH);
	assert_int_equal(bar_lessor_drain(world.lessor, 1, 0, 0), -ESRCH);
	assert_int_equal(bar_lessor_drain(world.lessor, getpid(), BAR_LEASE_FENCE, 0), -EDEADLK);
}

/* It can not let go, and must not go on: so it has to end. */
static void
stopped_process_is_fenced(void **state)
{
	struct agent *bystander = bystander_start(), *agent = agent_start();
	uint64_t begin = lease_clock();
	siginfo_t info;

	agent_get(agent, 0);
	agent_get(agent, 1);
	kill(agent_pid(agent), SIGSTOP);
	world.reset_watches = agent_pid(agent);
	assert_int_equal(bar_lessor_drain(world.lessor, agent_pid(agent), BAR_LEASE_FENCE,
					  FENCE_MS), 2);
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	wait_state(0, BAR_LEASE_FREE);
	wait_state(1, BAR_LEASE_FREE);
	assert_true(world.reset_saw_end);
	assert_true(told(BAR_LEASE_EVENT_FENCED, -1)->time - begin >= FENCE_MS * 1000000);
	assert_int_equal(told(BAR_LEASE_EVENT_FENCED, -1)->error, 0);
	assert_int_equal(waitid(P_PID, (id_t)agent_pid(agent), &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, SIGKILL);
	bystander_is_served(bystander);
}

static void
process_that_lets_go_is_not_fenced(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	assert_int_equal(bar_lessor_drain(world.lessor, agent_pid(agent), BAR_LEASE_FENCE,
					  FENCE_MS), 1);
	agent_say(agent, LEASE_RELEASE, 0, agent_hear(agent, LEASE_REVOKED).value);
	sleep_ms(FENCE_MS + FENCE_MS / 4);
	assert_null(told(BAR_LEASE_EVENT_FENCED, -1));
	agent_be_refused(agent, 0, ESHUTDOWN, 0);
}

static int
setup_fence(void **state)
{
	struct bar_lessor_conf conf = lessor_conf();

	if (world_setup_empty(state) != 0)
		return -1;
	conf = lessor_conf();
	conf.fence_ms = FENCE_MS;
	lessor_create(&conf, NULL);
	return 0;
}

/* However its slices came to be revoked: by the operator, a stop, or a hangup. */
static void
every_revoke_is_followed_by_the_fence(void **state)
{
	struct agent *quick = agent_start(), *agents[3];
	unsigned int i;
	int32_t lease;

	for (i = 0; i < 3; i++) {
		agents[i] = agent_start();
		agent_get(agents[i], i);
	}
	lease = agent_get(quick, 3);
	agent_close(agents[0]);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(bar_lessor_revoke(world.lessor, 1), 0);
	wait_state(1, BAR_LEASE_FREE);
	assert_int_equal(bar_lessor_stop(world.lessor, 0), 2);
	assert_int_equal(agent_hear(quick, LEASE_REVOKED).value, lease);
	agent_say(quick, LEASE_RELEASE, 3, lease);
	wait_state(2, BAR_LEASE_RESETTING);
	bar_lessor_start(world.lessor);
	agent_get(quick, 2);
	sleep_ms(FENCE_MS + FENCE_MS / 4);
	assert_int_equal(slice_state(2), BAR_LEASE_LEASED);
}

static void
fence_of_a_holder_is_not_that_of_the_next(void **state)
{
	struct agent *agent = agent_start(), *next = agent_start();

	agent_get(agent, 0);
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), 0);
	agent_say(agent, LEASE_RELEASE, 0, agent_hear(agent, LEASE_REVOKED).value);
	wait_state(0, BAR_LEASE_FREE);
	agent_get(next, 0);
	sleep_ms(FENCE_MS + FENCE_MS / 4);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	assert_null(told(BAR_LEASE_EVENT_FENCED, -1));
}

/* A lessee in the lessor's own process: it would be the end of everybody. */
static void
lessor_does_not_kill_itself(void **state)
{
	hand_create();
	hand.busy[0] = true;
	bar_lessee_request(hand.lessee, 0);
	wait_state(0, BAR_LEASE_LEASED);
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), 0);
	assert_int_equal(wait_told(BAR_LEASE_EVENT_FENCED, -1)->error, EDEADLK);
	hand.busy[0] = false;
	wait_state(0, BAR_LEASE_FREE);
}

static void
peers_are_described(void **state)
{
	struct agent *bystander = bystander_start(), *agent = agent_start();
	struct bar_lease_peer peers[3];
	int silent = meet();

	agent_get(agent, 0);
	agent_be_refused(agent, NB_SLICES - 1, EBUSY, agent_pid(bystander));
	interrupts_pass();
	assert_int_equal(bar_lessor_peers(world.lessor, peers, 1), 3);
	assert_int_equal(bar_lessor_peers(world.lessor, peers, 3), 3);
	assert_int_equal(peers[0].pid, agent_pid(bystander));
	assert_int_equal(peers[1].pid, agent_pid(agent));
	assert_int_equal(peers[1].uid, getuid());
	assert_int_equal(peers[1].gid, getgid());
	assert_int_equal(peers[1].slices, 1);
	assert_int_equal(peers[1].messages, 3);
	assert_int_equal(peers[1].refused, 1);
	assert_true(peers[1].connected);
	assert_false(peers[1].drained);
	assert_true(peers[1].since != 0 && peers[1].since <= slice_info(0).granted_at);
	assert_int_equal(peers[2].pid, 0);
	agent_close(agent);
	wait_state(0, BAR_LEASE_REVOKED);
	bar_lessor_drain(world.lessor, agent_pid(agent), 0, 0);
	bar_lessor_peers(world.lessor, peers, 3);
	assert_false(peers[1].connected);
	assert_true(peers[1].drained);
	close(silent);
}

static void
life_of_a_lease_is_told(void **state)
{
	static const enum bar_lease_event_type life[] = {
		BAR_LEASE_EVENT_ATTACHED, BAR_LEASE_EVENT_GRANTED, BAR_LEASE_EVENT_RELEASED,
		BAR_LEASE_EVENT_REVOKED, BAR_LEASE_EVENT_FREED, BAR_LEASE_EVENT_GRANTED,
		BAR_LEASE_EVENT_HUNG_UP, BAR_LEASE_EVENT_REVOKED, BAR_LEASE_EVENT_QUARANTINED,
		BAR_LEASE_EVENT_ENDED,
	};
	const unsigned int count = sizeof(life) / sizeof(life[0]);
	struct agent *agent = agent_start();
	struct bar_lease_event events[16];
	unsigned int i;

	agent_say(agent, LEASE_RELEASE, 2, agent_get(agent, 2));
	wait_state(2, BAR_LEASE_FREE);
	agent_get(agent, 2);
	world.reset_error = -EIO;
	agent_kill(agent);
	wait_told(BAR_LEASE_EVENT_ENDED, -1);
	assert_int_equal(bar_lessor_events(world.lessor, 0, events, 16), count);
	for (i = 0; i < count; i++) {
		assert_int_equal(events[i].number, i + 1);
		assert_string_equal(bar_lease_event_name(events[i].type),
				    bar_lease_event_name(life[i]));
		assert_int_equal(events[i].pid, agent_pid(agent));
		assert_int_equal(events[i].uid, getuid());
		assert_true(i == 0 || events[i].time >= events[i - 1].time);
		assert_memory_equal(&events[i], &world.told[i], sizeof(events[i]));
	}
	assert_int_equal(events[1].slice, 2);
	assert_int_equal(events[8].error, EIO);
	assert_int_equal(bar_lessor_events(world.lessor, count - 1, events, 16), 1);
	assert_int_equal(events[0].number, count);
	assert_int_equal(bar_lessor_events(world.lessor, count, events, 16), 0);
	assert_int_equal(bar_lessor_events(world.lessor, UINT64_MAX, events, 16), 0);
}

static void
latest_events_are_kept(void **state)
{
	struct bar_lease_event events[BAR_LEASE_KEPT_EVENTS + 1];
	unsigned int i;

	for (i = 0; i < 2 * BAR_LEASE_KEPT_EVENTS; i++)
		bar_lessor_set_policy(world.lessor, NULL, 0);
	assert_int_equal(bar_lessor_events(world.lessor, 0, events, BAR_LEASE_KEPT_EVENTS + 1),
			 BAR_LEASE_KEPT_EVENTS);
	for (i = 0; i < BAR_LEASE_KEPT_EVENTS; i++)
		assert_int_equal(events[i].number, BAR_LEASE_KEPT_EVENTS + 1 + i);
	assert_int_equal(bar_lessor_events(world.lessor, 0, events, 3), 3);
	assert_int_equal(events[0].number, BAR_LEASE_KEPT_EVENTS + 1);
}

/* One who asks in a loop does not push everything else out of the list. */
static void
refusals_fill_no_list(void **state)
{
	struct agent *bystander = bystander_start(), *agent = agent_start();
	uint64_t begin = lease_clock();
	unsigned int i, count = 0;

	for (i = 0; i < 4 * BAR_LEASE_LINE_BURST; i++)
		agent_be_refused(agent, NB_SLICES - 1, EBUSY, agent_pid(bystander));
	for (i = 0; i < world.nb_told; i++)
		count += world.told[i].type == BAR_LEASE_EVENT_REFUSED;
	assert_in_range(count, BAR_LEASE_LINE_BURST, BAR_LEASE_LINE_BURST +
			BAR_LEASE_LINES_PER_SECOND * ((lease_clock() - begin) / 1000000000 + 1));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, hand_teardown)
#define FENCE_TEST(test) cmocka_unit_test_setup_teardown(test, setup_fence, hand_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_lease_is_revoked),
		TEST(what_is_not_leased_cannot_be_revoked),
		TEST(kernel_that_does_not_revoke_is_asked_again),
		TEST(drained_process_gets_nothing_more),
		TEST(stranger_cannot_be_drained),
		TEST(stopped_process_is_fenced),
		TEST(process_that_lets_go_is_not_fenced),
		FENCE_TEST(every_revoke_is_followed_by_the_fence),
		FENCE_TEST(fence_of_a_holder_is_not_that_of_the_next),
		FENCE_TEST(lessor_does_not_kill_itself),
		TEST(peers_are_described),
		TEST(life_of_a_lease_is_told),
		TEST(latest_events_are_kept),
		TEST(refusals_fill_no_list),
	};

	return cmocka_run_group_tests_name("operator", tests, eal_setup, eal_teardown);
}
