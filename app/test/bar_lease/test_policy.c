/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Who may lease what: the text of rules, and what they do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lease_agent.h"
#include "lease_lessee.h"
#include "lease_world.h"

#define SOMEBODY 12345

static struct bar_lease_rule rules[BAR_LEASE_MAX_RULES];
static char text[4096];

/* ---- Text ---- */

static const char *
write_rules(int count)
{
	size_t at = 0;
	int i;

	for (i = 0; i < count; i++) {
		if (i > 0)
			text[at++] = ';';
		at += (size_t)bar_lease_format_rule(&rules[i], text + at, sizeof(text) - at);
	}
	return text;
}

static void
rules_are_read_and_written(void **state)
{
	static const char *const pairs[][2] = {
		{ "uid=*", "uid=*" },
		{ "deny", "uid=*:deny" },
		{ "uid=0", "uid=0" },
		{ "gid=100:uid=1000", "uid=1000:gid=100" },
		{ "uid=1000:slices=0-5:max=4;uid=*:deny", "uid=1000:slices=0-5:max=4;uid=*:deny" },
		{ "slices=7", "uid=*:slices=7-7" },
		{ "slices=*:max=*:peers=*:gid=*", "uid=*" },
		{ "peers=2", "uid=*:peers=2" },
		{ "uid=4294967294:max=0", "uid=4294967294:max=0" },
		{ "uid1000:slices0-5:max4;uid*:deny", "uid=1000:slices=0-5:max=4;uid=*:deny" },
	};
	char error[BAR_LEASE_ERROR_SIZE];
	unsigned int i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(write_rules(bar_lease_parse_rules(pairs[i][0], rules, error)),
				    pairs[i][1]);
}

static void
wrong_rules_are_refused_by_position(void **state)
{
	static const char *const wrong[][2] = {
		{ "", "position 1, '': none of uid, gid, slices, max, peers, deny" },
		{ "uid=1000;", "position 10, '': none of uid, gid, slices, max, peers, deny" },
		{ "uid=1000:", "position 10, '': none of uid, gid, slices, max, peers, deny" },
		{ "uid=1000;user=5", "position 10, 'user=5': none of uid, gid, slices, max, "
				     "peers, deny" },
		{ "uid=", "position 5, '': not a number" },
		{ "uid=10x0", "position 5, '10x0': not a number" },
		{ "uid=-1", "position 5, '-1': not a number" },
		{ "uid=+1", "position 5, '+1': not a number" },
		{ "uid= 1", "position 5, ' 1': not a number" },
		{ "uid=**", "position 5, '**': not a number" },
		{ "uid=4294967295", "position 5, '4294967295': too large" },
		{ "uid=99999999999999999999", "position 5, '99999999999999999999': too large" },
		{ "max=1-2", "position 6, '-2': more than one value" },
		{ "slices=5-3", "position 8, '5-3': the last slice is before the first" },
		{ "slices=5-", "position 10, '': not a number" },
		{ "slices=1-2-3", "position 11, '-3': more than one value" },
		{ "deny=1", "position 6, '1': more than one value" },
	};
	char error[BAR_LEASE_ERROR_SIZE];
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(bar_lease_parse_rules(wrong[i][0], rules, error), -EINVAL);
		assert_string_equal(error, wrong[i][1]);
	}
}

static void
rules_are_counted(void **state)
{
	char many[BAR_LEASE_MAX_RULES * 2 * sizeof("deny")] = "deny";
	char error[BAR_LEASE_ERROR_SIZE];
	unsigned int i;

	for (i = 1; i < BAR_LEASE_MAX_RULES; i++)
		strcat(many, ";deny");
	assert_int_equal(bar_lease_parse_rules(many, rules, error), BAR_LEASE_MAX_RULES);
	strcat(many, ";deny");
	assert_int_equal(bar_lease_parse_rules(many, rules, error), -EINVAL);
	assert_non_null(strstr(error, "one rule too many"));
}

/* ---- Effect ---- */

static void
create(const char *format, ...)
{
	struct bar_lessor_conf conf = lessor_conf();
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	lessor_create(&conf, text);
}

static void
set(const char *format, ...)
{
	char error[BAR_LEASE_ERROR_SIZE];
	va_list args;
	int count;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	count = bar_lease_parse_rules(text, rules, error);
	assert_true(count > 0);
	assert_int_equal(bar_lessor_set_policy(world.lessor, rules, (unsigned int)count), 0);
}

static void
be_turned_away(int error)
{
	struct agent *agent = agent_attach();
	struct lease_message message;

	assert_true(agent_say(agent, LEASE_HELLO, 0, 0) > 0);
	message = agent_hear(agent, LEASE_REFUSE);
	assert_int_equal(message.slice, LEASE_ALL_SLICES);
	assert_int_equal(message.value, error);
	agent_hear_end(agent);
}

static void
first_rule_that_matches_counts(void **state)
{
	struct agent *agent;

	create("uid=%u:slices=1:deny;gid=%u:slices=0-3;uid=%u:slices=3-6:deny;slices=5", getuid(),
	       getgid(), getuid());
	agent = agent_start();
	agent_get(agent, 0);
	agent_be_refused(agent, 1, EACCES, 0);
	agent_get(agent, 3);
	agent_be_refused(agent, 4, EACCES, 0);
	agent_be_refused(agent, 5, EACCES, 0);
	agent_be_refused(agent, 7, EACCES, 0);
	assert_int_equal(slice_state(1), BAR_LEASE_FREE);
	assert_int_equal(told(BAR_LEASE_EVENT_REFUSED, 1)->error, EACCES);
}

static void
user_of_no_rule_is_turned_away(void **state)
{
	struct bar_lessee_conf conf = hand_conf();

	create("uid=%u;uid=%u:gid=%u", getuid() + 1, getuid(), getgid() + 1);
	be_turned_away(EACCES);
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -EACCES);
	assert_int_equal(wait_told(BAR_LEASE_EVENT_HUNG_UP, -1)->error, EACCES);
}

static void
user_who_is_denied_everything_is_turned_away(void **state)
{
	create("uid=%u:deny;uid=*", getuid());
	be_turned_away(EACCES);
	set("uid=%u:slices=1-7:deny;uid=%u:slices=3", getuid(), getuid());
	agent_be_refused(agent_start(), 3, EACCES, 0);
}

static void
processes_of_a_user_share_their_number(void **state)
{
	struct agent *one, *other;
	int32_t lease;

	create("max=2");
	one = agent_start();
	other = agent_start();
	lease = agent_get(one, 0);
	agent_get(other, 1);
	agent_be_refused(one, 2, EDQUOT, 0);
	agent_be_refused(other, 3, EDQUOT, 0);
	agent_say(one, LEASE_RELEASE, 0, lease);
	wait_state(0, BAR_LEASE_FREE); /* the other is not heard before */
	agent_get(other, 3);
	agent_be_refused(one, 2, EDQUOT, 0);
}

static void
processes_of_a_user_are_counted(void **state)
{
	struct agent *agent;

	create("peers=2");
	agent = agent_start();
	agent_start();
	be_turned_away(EUSERS);
	agent_kill(agent);
	wait_told(BAR_LEASE_EVENT_HUNG_UP, -1);
	agent_start();
	be_turned_away(EUSERS);
}

/* Nothing is taken away by a change; what may be had by it is announced. */
static void
change_leaves_leases_alone(void **state)
{
	struct agent *agent;
	int32_t lease;

	create("slices=0");
	agent = agent_start();
	lease = agent_get(agent, 0);
	agent_be_refused(agent, 1, EACCES, 0);
	set("deny");
	assert_int_equal(agent_hear(agent, LEASE_AVAILABLE).slice, LEASE_ALL_SLICES);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	be_turned_away(EACCES);
	agent_say(agent, LEASE_RELEASE, 0, lease);
	wait_state(0, BAR_LEASE_FREE);
	agent_be_refused(agent, 0, EACCES, 0);
	assert_int_equal(bar_lessor_set_policy(world.lessor, NULL, 0), 0);
	agent_get(agent, 0);
	agent_get(agent, 1);
	assert_non_null(told(BAR_LEASE_EVENT_POLICY, -1));
	assert_int_equal(bar_lessor_get_policy(world.lessor, rules), 1);
	assert_string_equal(write_rules(1), "uid=*");
	assert_int_equal(bar_lessor_set_policy(world.lessor, rules, BAR_LEASE_MAX_RULES + 1),
			 -EINVAL);
}

static void
another_user_is_known_by_the_kernel(void **state)
{
	struct agent *agent;

	if (getuid() != 0)
		skip();
	create("uid=%u:slices=1;uid=0", SOMEBODY);
	agent = agent_take(meet(), SOMEBODY);
	assert_true(agent_say(agent, LEASE_HELLO, 0, 0) > 0);
	agent_hear(agent, LEASE_WELCOME);
	agent_get(agent, 1);
	assert_int_equal(slice_info(1).uid, SOMEBODY);
	agent_be_refused(agent, 0, EACCES, 0);
	agent_get(agent_start(), 0);
}

/* The lessor's own user has room for more. */
static void
another_user_has_so_many_processes(void **state)
{
	struct agent *agent;
	unsigned int i;

	if (getuid() != 0)
		skip();
	create("uid=*");
	for (i = 0; i <= BAR_LEASE_MAX_PEERS_PER_USER; i++) {
		agent = agent_take(meet(), SOMEBODY);
		assert_true(agent_say(agent, LEASE_HELLO, 0, 0) > 0);
		if (i < BAR_LEASE_MAX_PEERS_PER_USER)
			agent_hear(agent, LEASE_WELCOME);
		else
			assert_int_equal(agent_hear(agent, LEASE_REFUSE).value, EUSERS);
	}
	for (i = 0; i <= BAR_LEASE_MAX_PEERS_PER_USER; i++)
		agent_start();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup_empty, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_read_and_written),
		cmocka_unit_test(wrong_rules_are_refused_by_position),
		cmocka_unit_test(rules_are_counted),
		TEST(first_rule_that_matches_counts),
		TEST(user_of_no_rule_is_turned_away),
		TEST(user_who_is_denied_everything_is_turned_away),
		TEST(processes_of_a_user_share_their_number),
		TEST(processes_of_a_user_are_counted),
		TEST(change_leaves_leases_alone),
		TEST(another_user_is_known_by_the_kernel),
		TEST(another_user_has_so_many_processes),
	};

	return cmocka_run_group_tests_name("policy", tests, eal_setup, eal_teardown);
}
