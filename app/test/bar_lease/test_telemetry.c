/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the commands below /bar_lease say and do; rte_telemetry is asked in place of its socket.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_telemetry.h>

#include "lease_agent.h"
#include "lease_world.h"

static struct command {
	const char *name;
	telemetry_cb handler;
} commands[16];
static unsigned int nb_commands;

/* More slices than one answer has room for. */
#define MANY 100

static char said[256][RTE_TEL_MAX_STRING_LEN];
static unsigned int nb_said;

int __wrap_rte_telemetry_register_cmd(const char *cmd, telemetry_cb fn, const char *help);
int __wrap_rte_tel_data_add_array_string(struct rte_tel_data *data, const char *text);
int __real_rte_tel_data_add_dict_container(struct rte_tel_data *data, const char *name,
					   struct rte_tel_data *entry, int keep);
int __wrap_rte_tel_data_add_dict_container(struct rte_tel_data *data, const char *name,
					   struct rte_tel_data *entry, int keep);
int __wrap_rte_tel_data_add_dict_string(struct rte_tel_data *data, const char *name,
					const char *text);
int __wrap_rte_tel_data_add_dict_int(struct rte_tel_data *data, const char *name, int value);
int __wrap_rte_tel_data_add_dict_uint(struct rte_tel_data *data, const char *name,
				      uint64_t value);
int __wrap_rte_tel_data_add_dict_u64(struct rte_tel_data *data, const char *name, uint64_t value);

/* Called before main(). Telemetry refuses a longer help (MAX_HELP_LEN). */
int
__wrap_rte_telemetry_register_cmd(const char *cmd, telemetry_cb fn, const char *help)
{
	assert(strlen(help) < 128);
	if (strlen(help) >= RTE_TEL_MAX_STRING_LEN)
		return -EINVAL; /* as telemetry does */
	commands[nb_commands].name = cmd;
	commands[nb_commands++].handler = fn;
	return 0;
}

static void
say(const char *text)
{
	assert_true(nb_said < sizeof(said) / sizeof(said[0]));
	strncpy(said[nb_said++], text, sizeof(said[0]) - 1);
}

int
__wrap_rte_tel_data_add_array_string(struct rte_tel_data *data, const char *text)
{
	say(text);
	return 0;
}

int
__wrap_rte_tel_data_add_dict_container(struct rte_tel_data *data, const char *name,
				       struct rte_tel_data *entry, int keep)
{
	int ret = __real_rte_tel_data_add_dict_container(data, name, entry, keep);

	assert_int_equal(ret, 0); /* 22.11 does not take everything everywhere */
	assert_int_equal(keep, 0); /* telemetry frees it once it is written */
	say(name);
	rte_tel_data_free(entry);
	return ret;
}

int
__wrap_rte_tel_data_add_dict_string(struct rte_tel_data *data, const char *name,
				    const char *text)
{
	say(text);
	return 0;
}

int
__wrap_rte_tel_data_add_dict_int(struct rte_tel_data *data, const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%s %d", name, value);
	say(text);
	return 0;
}

/* Of all numbers, only where the next page begins. */
int
__wrap_rte_tel_data_add_dict_uint(struct rte_tel_data *data, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "next %" PRIu64, value);
	if (strcmp(name, "next") == 0)
		say(text);
	return 0;
}

/* Its name before DPDK 23.03. */
int
__wrap_rte_tel_data_add_dict_u64(struct rte_tel_data *data, const char *name, uint64_t value)
{
	return __wrap_rte_tel_data_add_dict_uint(data, name, value);
}

static int
ask(const char *cmd, const char *params)
{
	/* Larger than rte_tel_data, whose size is private; cannot be freed by its user's calls. */
	static char data[1 << 20];
	unsigned int i;

	memset(said, 0, sizeof(said));
	nb_said = 0;
	for (i = 0; i < nb_commands; i++)
		if (strcmp(commands[i].name, cmd) == 0)
			return commands[i].handler(cmd, params, (struct rte_tel_data *)data);
	fail_msg("%s is not registered", cmd);
	return -1;
}

static void
lessors_are_listed(void **state)
{
	struct bar_lessor_conf conf = lessor_conf();
	struct bar_lessor *second;

	conf.name = "0000:00:05.0";
	assert_int_equal(bar_lessor_create(&conf, &second), 0);
	assert_int_equal(ask("/bar_lease/list", NULL), 0);
	assert_int_equal(nb_said, 2);
	assert_string_equal(said[0], LESSOR_NAME);
	assert_string_equal(said[1], "0000:00:05.0");
	bar_lessor_destroy(second);
	assert_int_equal(ask("/bar_lease/list", NULL), 0);
	assert_int_equal(nb_said, 1);
}

/* Five words a slice: name, state, pid, who let go of it, number. */
static void
slices_are_described(void **state)
{
	struct agent *agent = agent_start();
	char pid[16], former[24];
	int32_t lease;

	lease = agent_get(agent, 1);
	snprintf(pid, sizeof(pid), "pid %d", agent_pid(agent));
	snprintf(former, sizeof(former), "former %d", agent_pid(agent));
	assert_int_equal(bar_lessor_take(world.lessor, 2), 0);
	assert_int_equal(ask("/bar_lease/slices", LESSOR_NAME), 0);
	assert_int_equal(nb_said, 5 * NB_SLICES);
	assert_string_equal(said[0], "queue0");
	assert_string_equal(said[1], "free");
	assert_string_equal(said[2], "pid 0");
	assert_string_equal(said[3], "former 0");
	assert_string_equal(said[4], "0");
	assert_string_equal(said[5], "queue1");
	assert_string_equal(said[6], "leased");
	assert_string_equal(said[7], pid);
	assert_string_equal(said[8], "former 0");
	assert_string_equal(said[9], "1");
	assert_string_equal(said[11], "taken");
	bar_lessor_stop(world.lessor, 0);
	assert_int_equal(ask("/bar_lease/slices", LESSOR_NAME), 0);
	assert_string_equal(said[6], "revoked");
	agent_say(agent, LEASE_RELEASE, 1, lease);
	wait_state(1, BAR_LEASE_RESETTING);
	assert_int_equal(ask("/bar_lease/slices", LESSOR_NAME), 0);
	assert_string_equal(said[8], former);
}

/* Three words a lease: name, state, pid; then the number. */
static void
leases_are_described(void **state)
{
	struct agent *agent = agent_start();
	char pid[16];

	agent_get(agent, 1);
	agent_get(agent, 6);
	snprintf(pid, sizeof(pid), "pid %d", agent_pid(agent));
	assert_int_equal(bar_lessor_take(world.lessor, 2), 0);
	assert_int_equal(ask("/bar_lease/leases", LESSOR_NAME), 0);
	assert_int_equal(nb_said, 8);
	assert_string_equal(said[0], "queue1");
	assert_string_equal(said[1], "leased");
	assert_string_equal(said[2], pid);
	assert_string_equal(said[3], "1");
	assert_string_equal(said[4], "queue6");
	assert_int_equal(ask("/bar_lease/leases", LESSOR_NAME ",2"), 0);
	assert_int_equal(nb_said, 4);
	assert_string_equal(said[0], "queue6");
}

static void
lease_is_revoked_by_number_or_name(void **state)
{
	struct agent *agent = agent_start();
	char pid[16];

	snprintf(pid, sizeof(pid), "pid %d", agent_pid(agent));
	agent_get(agent, 1);
	agent_get(agent, 2);
	assert_int_equal(ask("/bar_lease/revoke", LESSOR_NAME ",1"), 0);
	assert_string_equal(said[0], "queue1");
	assert_string_equal(said[1], pid);
	assert_int_equal(slice_state(1), BAR_LEASE_REVOKED);
	assert_int_equal(ask("/bar_lease/revoke", LESSOR_NAME ",queue2"), 0);
	assert_string_equal(said[0], "queue2");
	assert_int_equal(slice_state(2), BAR_LEASE_REVOKED);
}

static void
process_is_drained(void **state)
{
	struct agent *agent = agent_start();
	char params[64];

	agent_get(agent, 1);
	snprintf(params, sizeof(params), LESSOR_NAME ",%d", agent_pid(agent));
	assert_int_equal(ask("/bar_lease/drain", params), 0);
	assert_string_equal(said[1], "slices 1");
	assert_int_equal(slice_state(1), BAR_LEASE_REVOKED);
	snprintf(params, sizeof(params), LESSOR_NAME ",%d,10", agent_pid(agent));
	assert_int_equal(ask("/bar_lease/drain", params), 0);
	wait_state(1, BAR_LEASE_FREE);
	assert_int_equal(wait_told(BAR_LEASE_EVENT_FENCED, -1)->pid, agent_pid(agent));
}

static void
policy_is_shown_and_set(void **state)
{
	assert_int_equal(ask("/bar_lease/policy", LESSOR_NAME), 0);
	assert_int_equal(nb_said, 1);
	assert_string_equal(said[0], "uid=*");
	assert_int_equal(ask("/bar_lease/policy", LESSOR_NAME ",slices=1;uid=7:deny"), 0);
	assert_int_equal(nb_said, 2);
	assert_string_equal(said[0], "uid=*:slices=1-1");
	assert_string_equal(said[1], "uid=7:deny");
	agent_be_refused(agent_start(), 0, EACCES, 0);
}

static void
peers_and_events_are_listed(void **state)
{
	struct agent *agent = agent_start();
	char pid[16];

	agent_get(agent, 1);
	snprintf(pid, sizeof(pid), "pid %d", agent_pid(agent));
	assert_int_equal(ask("/bar_lease/peers", LESSOR_NAME), 0);
	assert_int_equal(nb_said, 4);
	assert_string_equal(said[0], pid);
	assert_string_equal(said[1], "connected 1");
	assert_string_equal(said[2], "drained 0");
	assert_int_equal(ask("/bar_lease/events", LESSOR_NAME), 0);
	assert_int_equal(nb_said, 7);
	assert_string_equal(said[0], "attached");
	assert_string_equal(said[1], pid);
	assert_string_equal(said[2], "1");
	assert_string_equal(said[3], "granted");
	assert_string_equal(said[4], "queue1");
	assert_int_equal(ask("/bar_lease/events", LESSOR_NAME ",1"), 0);
	assert_string_equal(said[0], "granted");
}

/* Telemetry sends 16 kB at most, and what is beyond that is lost without a word. */
static void
long_lists_come_in_pages(void **state)
{
	uint64_t next = 0;
	unsigned int i, seen = 0;
	char params[64];

	for (i = 0; i < 100; i++)
		bar_lessor_set_policy(world.lessor, NULL, 0);
	do {
		snprintf(params, sizeof(params), LESSOR_NAME ",%" PRIu64, next);
		assert_int_equal(ask("/bar_lease/events", params), 0);
		next = 0;
		for (i = 0; i < nb_said; i++) {
			seen += strcmp(said[i], "policy") == 0;
			if (strncmp(said[i], "next ", 5) == 0)
				next = strtoull(said[i] + 5, NULL, 10);
		}
		assert_true(nb_said < 128);
	} while (next != 0);
	assert_int_equal(seen, 100);
}

static void
many_slices_come_in_pages(void **state)
{
	static struct bar_lessor_slice slices[MANY];
	struct bar_lessor_conf conf = lessor_conf();
	struct bar_lessor *second;
	unsigned int i, seen = 0;
	char params[64] = "many";

	for (i = 0; i < MANY; i++)
		snprintf(slices[i].name, sizeof(slices[i].name), "queue%u", i);
	conf.name = "many";
	conf.slices = slices;
	conf.nb_slices = MANY;
	conf.counters = NULL;
	assert_int_equal(bar_lessor_create(&conf, &second), 0);
	for (;;) {
		assert_int_equal(ask("/bar_lease/slices", params), 0);
		for (i = 0; i < nb_said; i++)
			seen += strncmp(said[i], "queue", 5) == 0;
		if (strncmp(said[nb_said - 1], "next ", 5) != 0)
			break;
		assert_true(nb_said < 256);
		snprintf(params, sizeof(params), "many,%s", said[nb_said - 1] + 5);
	}
	assert_int_equal(seen, MANY);
	assert_string_not_equal(params, "many");
	bar_lessor_destroy(second);
}

static void
what_is_wrong_is_said(void **state)
{
	static const char *const wrong[][3] = {
		{ "revoke", LESSOR_NAME, LESSOR_NAME ": which slice?" },
		{ "revoke", LESSOR_NAME ",0", "queue0: not leased, but free" },
		{ "revoke", LESSOR_NAME ",8", LESSOR_NAME ": no slice '8': there are 0 to 7, or by "
		  "name as queue0" },
		{ "revoke", LESSOR_NAME ",queue9", LESSOR_NAME ": no slice 'queue9': there are 0 "
		  "to 7, or by name as queue0" },
		{ "drain", LESSOR_NAME, LESSOR_NAME ": which process? PID, or PID,MILLISECONDS to "
		  "kill it then" },
		{ "drain", LESSOR_NAME ",1", LESSOR_NAME ": process 1 is not attached" },
		{ "drain", LESSOR_NAME ",1,x", LESSOR_NAME ": which process? PID, or "
		  "PID,MILLISECONDS to kill it then" },
		{ "policy", LESSOR_NAME ",uid=x", LESSOR_NAME ": rules, position 5, 'x': not a "
		  "number" },
		{ "events", LESSOR_NAME ",x", LESSOR_NAME ": 'x' is not a number" },
		{ "leases", LESSOR_NAME ",-1", LESSOR_NAME ": '-1' is not a number" },
	};
	struct agent *agent = agent_start();
	char command[64];
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(command, sizeof(command), "/bar_lease/%s", wrong[i][0]);
		assert_int_equal(ask(command, wrong[i][1]), 0);
		assert_int_equal(nb_said, 1);
		assert_string_equal(said[0], wrong[i][2]);
	}
	agent_get(agent, 3);
	assert_int_equal(ask("/bar_lease/revoke", LESSOR_NAME ",3"), 0);
	assert_int_equal(ask("/bar_lease/revoke", LESSOR_NAME ",3"), 0);
	snprintf(command, sizeof(command), "queue3: revoked already; process %d has not let go "
		 "of it", agent_pid(agent));
	assert_string_equal(said[0], command);
}

static void
unknown_lessor_is_an_error(void **state)
{
	assert_int_equal(ask("/bar_lease/slices", "0000:00:06.0"), 0);
	assert_int_equal(nb_said, 1);
	assert_string_equal(said[0], "no lessor '0000:00:06.0': see /bar_lease/list");
	assert_int_equal(ask("/bar_lease/slices", NULL), 0);
	assert_string_equal(said[0], "no lessor '': see /bar_lease/list");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lessors_are_listed),
		TEST(slices_are_described),
		TEST(leases_are_described),
		TEST(lease_is_revoked_by_number_or_name),
		TEST(process_is_drained),
		TEST(policy_is_shown_and_set),
		TEST(peers_and_events_are_listed),
		TEST(long_lists_come_in_pages),
		TEST(many_slices_come_in_pages),
		TEST(what_is_wrong_is_said),
		TEST(unknown_lessor_is_an_error),
	};

	return cmocka_run_group_tests_name("telemetry", tests, eal_setup, eal_teardown);
}
