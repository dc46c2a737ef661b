/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What one peer can cause at most, and that an honest one does not notice.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_log.h>

#include "lease_agent.h"
#include "lease_lessee.h"
#include "lease_world.h"

#include "bar_lessor_private.h"

static bool
is_hung_up(int channel, int wait_ms)
{
	struct pollfd end = { .fd = channel, .events = POLLIN };

	return poll(&end, 1, wait_ms) > 0 && (end.revents & POLLHUP) != 0;
}

static void
silent_channel_is_hung_up_on(void **state)
{
	struct agent *bystander = bystander_start();
	uint64_t begin = lease_clock(), time;
	int channel = meet();

	assert_true(channel >= 0);
	assert_true(is_hung_up(channel, PATIENCE_MS));
	time = lease_clock() - begin;
	assert_true(time >= BAR_LEASE_HELLO_MS * UINT64_C(1000000));
	assert_int_equal(wait_told(BAR_LEASE_EVENT_HUNG_UP, -1)->error, ETIMEDOUT);
	bystander_is_served(bystander);
	close(channel);
}

static void
oldest_of_too_many_silent_channels_goes(void **state)
{
	int channels[BAR_LEASE_MAX_SILENT + 1];
	unsigned int i;

	for (i = 0; i <= BAR_LEASE_MAX_SILENT; i++)
		channels[i] = meet();
	interrupts_pass();
	assert_true(is_hung_up(channels[0], 0));
	for (i = 1; i <= BAR_LEASE_MAX_SILENT; i++)
		assert_false(is_hung_up(channels[i], 0));
	for (i = 0; i <= BAR_LEASE_MAX_SILENT; i++)
		close(channels[i]);
}

/* Opened by the same user, but it has said something before the others came. */
static void
silent_channels_keep_nobody_from_his_hello(void **state)
{
	int channels[BAR_LEASE_MAX_SILENT + 8];
	struct agent *agent;
	unsigned int i;

	interrupts_hold();
	agent = agent_attach();
	agent_say(agent, LEASE_HELLO, 0, 0);
	for (i = 0; i < BAR_LEASE_MAX_SILENT + 8; i++)
		channels[i] = meet();
	interrupts_go();
	agent_hear(agent, LEASE_WELCOME);
	for (i = 0; i < BAR_LEASE_MAX_SILENT + 8; i++)
		close(channels[i]);
}

/* How far ahead of the time the first peer's budget is; then, move it there. */
struct ledger {
	uint64_t whole_at;
	uint64_t ahead;
};

static void
read_ledger(void *arg)
{
	((struct ledger *)arg)->whole_at = TAILQ_FIRST(&world.lessor->peers)->message_budget;
}

static void
write_ledger(void *arg)
{
	struct ledger *ledger = arg;

	TAILQ_FIRST(&world.lessor->peers)->message_budget = lease_clock() + ledger->ahead;
	read_ledger(ledger);
}

/* Nothing left for a while. */
static const struct ledger nothing_left = {
	.ahead = UINT64_C(1000000000) / BAR_LEASE_MESSAGES_PER_SECOND * BAR_LEASE_MESSAGE_BURST +
		 60 * UINT64_C(1000000000),
};

static void
too_many_messages_end_in_a_hangup(void **state)
{
	struct ledger ledger = nothing_left;
	struct agent *agent = agent_start(), *bystander;

	agent_get(agent, 0);
	bystander = bystander_start();
	lease_run(write_ledger, &ledger);
	agent_say(agent, LEASE_RELEASE, NB_SLICES - 1, 0);
	assert_int_equal(wait_told(BAR_LEASE_EVENT_HUNG_UP, -1)->error, EDQUOT);
	agent_hear_end(agent);
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	bystander_is_served(bystander);
}

/* Returns how many messages it counted as, far from where the budget is whole. */
static int64_t
count_spent(void (*act)(struct agent *agent), struct agent *agent)
{
	struct ledger before = { .ahead = 3 * UINT64_C(1000000000) }, after;

	lease_run(write_ledger, &before);
	act(agent);
	lease_run(read_ledger, &after);
	return (int64_t)(after.whole_at - before.whole_at) /
	       (1000000000 / BAR_LEASE_MESSAGES_PER_SECOND);
}

static void
lease_once(struct agent *agent)
{
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	agent_hear(agent, LEASE_AVAILABLE);
}

/* Request and release, and that it ends with a reset; less the word that it is free. */
static void
lease_counts_as_many_messages(void **state)
{
	assert_int_equal(count_spent(lease_once, agent_start()), BAR_LEASE_GRANT_COST + 2 - 1);
}

static void
lose_and_get(struct agent *agent)
{
	struct lease_message message;

	assert_int_equal(bar_lessor_revoke(world.lessor, 0), 0);
	message = agent_hear(agent, LEASE_REVOKED);
	agent_say(agent, LEASE_RELEASE, 0, message.value);
	wait_state(0, BAR_LEASE_FREE);
	agent_get(agent, 0);
}

/* By that alone it could make an honest lessee go beyond its budget. */
static void
what_the_lessor_causes_is_not_counted(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	/* The word that it is free comes on top. */
	assert_int_equal(count_spent(lose_and_get, agent), -1);
}

static void
too_many_calls_are_put_off(void **state)
{
	unsigned int i;
	int ret = 0;

	hand_create();
	for (i = 0; i < BAR_LEASE_CALL_BURST; i++)
		assert_int_equal(bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS), 0);
	for (i = 0; i < BAR_LEASE_CALL_BURST && ret == 0; i++)
		ret = bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS);
	assert_int_equal(ret, -EAGAIN);
	assert_int_equal(world.calls, BAR_LEASE_CALL_BURST + i - 1);
	sleep_ms(1000 / BAR_LEASE_CALLS_PER_SECOND + 1);
	assert_int_equal(bar_lessee_call(hand.lessee, 1, 0, PATIENCE_MS), 0);
	assert_int_equal(hand.hangups, 0);
}

static unsigned int
count_lines(const char *log, const char *with)
{
	unsigned int count = 0;

	for (log = strstr(log, with); log != NULL; log = strstr(log + 1, with))
		count++;
	return count;
}

/* Whoever comes again and again fills no disk; what was left out is said with the next line. */
static void
lines_about_a_user_are_few(void **state)
{
	const struct lease_message nonsense = { .version = LEASE_PROTOCOL_VERSION + 1 };
	const unsigned int rounds = 4 * BAR_LEASE_LINE_BURST;
	char *log = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&log, &size);
	uint64_t begin = lease_clock();
	unsigned int i, seconds;
	int channel;

	rte_openlog_stream(stream);
	rte_log_set_level(bar_lease_logtype, RTE_LOG_NOTICE);
	for (i = 0; i <= rounds; i++) {
		if (i == rounds)
			sleep_ms(2000 / BAR_LEASE_LINES_PER_SECOND);
		channel = meet();
		assert_true(channel >= 0);
		assert_int_equal(lease_send(channel, &nonsense, -1), 0);
		assert_true(is_hung_up(channel, PATIENCE_MS));
		close(channel);
	}
	interrupts_pass();
	seconds = (unsigned int)((lease_clock() - begin) / 1000000000) + 1;
	rte_log_set_level(bar_lease_logtype, RTE_LOG_ERR);
	rte_openlog_stream(NULL);
	fclose(stream);
	assert_in_range(count_lines(log, "hanging up"), BAR_LEASE_LINE_BURST,
			BAR_LEASE_LINE_BURST + seconds * BAR_LEASE_LINES_PER_SECOND);
	assert_true(count_lines(log, "were left out") > 0);
	free(log);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, hand_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(silent_channel_is_hung_up_on),
		TEST(oldest_of_too_many_silent_channels_goes),
		TEST(silent_channels_keep_nobody_from_his_hello),
		TEST(too_many_messages_end_in_a_hangup),
		TEST(lease_counts_as_many_messages),
		TEST(what_the_lessor_causes_is_not_counted),
		TEST(too_many_calls_are_put_off),
		TEST(lines_about_a_user_are_few),
	};

	return cmocka_run_group_tests_name("limits", tests, eal_setup, eal_teardown);
}
