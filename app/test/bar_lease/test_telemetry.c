/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What /bar_lease/list and /bar_lease/slices say; rte_telemetry is asked in place of its socket.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_telemetry.h>

#include "lease_agent.h"
#include "lease_world.h"

static struct command {
	const char *name;
	telemetry_cb handler;
} commands[16];
static unsigned int nb_commands;

static char said[64][64];
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

/* Called before main(). Telemetry refuses a longer help (MAX_HELP_LEN). */
int
__wrap_rte_telemetry_register_cmd(const char *cmd, telemetry_cb fn, const char *help)
{
	assert(strlen(help) < 128);
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

/* Four words a slice: name, state, pid, number. */
static void
slices_are_described(void **state)
{
	struct agent *agent = agent_start();
	char pid[16];

	agent_get(agent, 1);
	snprintf(pid, sizeof(pid), "pid %d", agent_pid(agent));
	assert_int_equal(bar_lessor_take(world.lessor, 2), 0);
	assert_int_equal(ask("/bar_lease/slices", LESSOR_NAME), 0);
	assert_int_equal(nb_said, 4 * NB_SLICES);
	assert_string_equal(said[0], "queue0");
	assert_string_equal(said[1], "free");
	assert_string_equal(said[2], "pid 0");
	assert_string_equal(said[3], "0");
	assert_string_equal(said[4], "queue1");
	assert_string_equal(said[5], "leased");
	assert_string_equal(said[6], pid);
	assert_string_equal(said[7], "1");
	assert_string_equal(said[9], "taken");
	bar_lessor_stop(world.lessor, 0);
	assert_int_equal(ask("/bar_lease/slices", LESSOR_NAME), 0);
	assert_string_equal(said[5], "revoked");
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
		TEST(unknown_lessor_is_an_error),
	};

	return cmocka_run_group_tests_name("telemetry", tests, eal_setup, eal_teardown);
}
