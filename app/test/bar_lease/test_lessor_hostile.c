/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What a hostile process can say on its channel. It is hung up on, its slices are revoked but not
 * reset while it lives, no descriptor stays open, and an honest lessee is served all the time.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lease_agent.h"
#include "lease_world.h"

#define SIZE sizeof(struct lease_message)
#define VERSION LEASE_PROTOCOL_VERSION

static struct agent *bystander;

struct outrage {
	const char *name;
	bool greeted;		/* before it, and holding slice 0 */
	struct lease_message message;
	size_t length;
	unsigned int nb_fds;
};

static const struct outrage outrages[] = {
	{ "nothing_before_hello", false, { VERSION, LEASE_HELLO }, 0, 0 },
	{ "nothing_before_hello_with_descriptor", false, { VERSION, LEASE_HELLO }, 0, 1 },
	{ "nothing", true, { VERSION, LEASE_REQUEST, 1 }, 0, 0 },
	{ "one_byte", true, { VERSION, LEASE_REQUEST, 1 }, 1, 0 },
	{ "truncated_hello", false, { VERSION, LEASE_HELLO }, SIZE - 1, 0 },
	{ "truncated_request", true, { VERSION, LEASE_REQUEST, 1 }, SIZE - 1, 0 },
	{ "oversized_hello", false, { VERSION, LEASE_HELLO }, SIZE + 1, 0 },
	{ "oversized_request", true, { VERSION, LEASE_REQUEST, 1 }, SIZE + 1, 0 },
	{ "much_oversized_request", true, { VERSION, LEASE_REQUEST, 1 }, 64, 0 },
	{ "version_0", false, { 0, LEASE_HELLO }, SIZE, 0 },
	{ "version_of_tomorrow", false, { VERSION + 1, LEASE_HELLO }, SIZE, 0 },
	{ "version_change", true, { VERSION + 1, LEASE_REQUEST, 1 }, SIZE, 0 },
	{ "type_0", true, { VERSION, 0, 1 }, SIZE, 0 },
	{ "type_unknown", true, { VERSION, LEASE_NOTICE + 1, 1 }, SIZE, 0 },
	{ "type_largest", true, { VERSION, UINT16_MAX, 1 }, SIZE, 0 },
	{ "welcome_to_the_lessor", true, { VERSION, LEASE_WELCOME, 1, 5 }, SIZE, 0 },
	{ "grant_to_the_lessor", true, { VERSION, LEASE_GRANT, 1 }, SIZE, 1 },
	{ "refuse_to_the_lessor", true, { VERSION, LEASE_REFUSE, 1 }, SIZE, 0 },
	{ "revoked_to_the_lessor", true, { VERSION, LEASE_REVOKED, 7 }, SIZE, 0 },
	{ "available_to_the_lessor", true, { VERSION, LEASE_AVAILABLE, 1 }, SIZE, 0 },
	{ "answer_to_the_lessor", true, { VERSION, LEASE_ANSWER, 1 }, SIZE, 0 },
	{ "notice_to_the_lessor", true, { VERSION, LEASE_NOTICE, 1 }, SIZE, 0 },
	{ "call_before_hello", false, { VERSION, LEASE_CALL, 1 }, SIZE, 0 },
	{ "call_with_descriptor", true, { VERSION, LEASE_CALL, 1 }, SIZE, 1 },
	{ "truncated_call", true, { VERSION, LEASE_CALL, 1 }, SIZE - 1, 0 },
	{ "request_of_one_too_high", true, { VERSION, LEASE_REQUEST, NB_SLICES }, SIZE, 0 },
	{ "request_of_all", true, { VERSION, LEASE_REQUEST, LEASE_ALL_SLICES }, SIZE, 0 },
	{ "request_of_half_of_all", true, { VERSION, LEASE_REQUEST, 1U << 31 }, SIZE, 0 },
	{ "release_of_one_too_high", true, { VERSION, LEASE_RELEASE, NB_SLICES }, SIZE, 0 },
	{ "release_of_half_of_all", true, { VERSION, LEASE_RELEASE, 1U << 31 }, SIZE, 0 },
	{ "leave_before_hello", false, { VERSION, LEASE_RELEASE, LEASE_ALL_SLICES }, SIZE, 0 },
	{ "leave_with_descriptor", true, { VERSION, LEASE_RELEASE, LEASE_ALL_SLICES }, SIZE, 1 },
	{ "request_before_hello", false, { VERSION, LEASE_REQUEST, 1 }, SIZE, 0 },
	{ "release_before_hello", false, { VERSION, LEASE_RELEASE, 7 }, SIZE, 0 },
	{ "second_hello", true, { VERSION, LEASE_HELLO }, SIZE, 0 },
	{ "hello_with_descriptor", false, { VERSION, LEASE_HELLO }, SIZE, 1 },
	{ "hello_with_253_descriptors", false, { VERSION, LEASE_HELLO }, SIZE, 253 },
	{ "request_with_descriptor", true, { VERSION, LEASE_REQUEST, 1 }, SIZE, 1 },
	{ "request_with_2_descriptors", true, { VERSION, LEASE_REQUEST, 1 }, SIZE, 2 },
	{ "request_with_8_descriptors", true, { VERSION, LEASE_REQUEST, 1 }, SIZE, 8 },
	{ "request_with_9_descriptors", true, { VERSION, LEASE_REQUEST, 1 }, SIZE, 9 },
	{ "request_with_253_descriptors", true, { VERSION, LEASE_REQUEST, 1 }, SIZE, 253 },
	{ "truncated_with_descriptors", true, { VERSION, LEASE_REQUEST, 1 }, 3, 3 },
	{ "release_with_descriptor", true, { VERSION, LEASE_RELEASE, 0, 1 }, SIZE, 1 },
};

static int
setup(void **state)
{
	void *outrage = *state;

	if (world_setup(state) != 0)
		return -1;
	*state = outrage;
	bystander = bystander_start();
	return 0;
}

static void
outrage_is_hung_up_on(void **state)
{
	const struct outrage *outrage = *state;
	struct agent *agent = outrage->greeted ? agent_start() : agent_attach();
	char data[64] = { 0 };

	if (outrage->greeted)
		agent_get(agent, 0);
	memcpy(data, &outrage->message, SIZE);
	assert_int_equal(agent_send(agent, data, outrage->length, outrage->nb_fds),
			 outrage->length);
	agent_hear_end(agent);
	assert_int_equal(slice_state(1), BAR_LEASE_FREE);
	bystander_is_served(bystander);
	if (outrage->greeted) {
		assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
		assert_true(agent_sees_revoked(agent));
		assert_int_equal(count_events(EVENT_RESET, 0), 0);
		agent_kill(agent);
		wait_state(0, BAR_LEASE_FREE);
		assert_int_equal(count_events(EVENT_RESET, 0), 1);
	}
}

static void
release_of_anothers_slice_is_ignored(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease;

	/* The first lease of that slice: its number is known. */
	agent_say(agent, LEASE_RELEASE, NB_SLICES - 1, 1);
	lease = agent_get(agent, 0);
	assert_int_equal(slice_state(NB_SLICES - 1), BAR_LEASE_LEASED);
	agent_say(agent, LEASE_RELEASE, 1, 0);
	agent_say(agent, LEASE_RELEASE, 0, lease + 1);
	agent_say(agent, LEASE_RELEASE, 0, 0);
	agent_get(agent, 1);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	bystander_is_served(bystander);
}

static void
second_release_is_ignored(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease = agent_get(agent, 0);

	agent_say(agent, LEASE_RELEASE, 0, lease);
	agent_say(agent, LEASE_RELEASE, 0, lease);
	agent_get(agent, 1);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	bystander_is_served(bystander);
}

/* It does not read the answers: when no more of them fit, it is hung up on. */
static void
flood_of_requests_ends_in_a_hangup(void **state)
{
	struct agent *agent = agent_start();
	unsigned int i;

	agent_get(agent, 0);
	for (i = 0; i < PATIENCE_MS && slice_state(0) == BAR_LEASE_LEASED; i++) {
		agent_flood(agent, LEASE_REQUEST, NB_SLICES - 1, 100);
		if (i < 20)
			bystander_is_served(bystander);
		sleep_ms(1);
	}
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	assert_true(slice_info(NB_SLICES - 1).refused > 100);
	agent_hear_end(agent);
	bystander_is_served(bystander);
	agent_kill(agent);
	wait_state(0, BAR_LEASE_FREE);
}

/* Nobody has to read a message that is not for him to answer; some 270 fit into the queue. */
static void
announcements_unread_cost_nobody_his_lease(void **state)
{
	struct agent *sleeper = agent_start();
	unsigned int i;

	agent_get(sleeper, 0);
	for (i = 0; i < 600; i++)
		agent_say(bystander, LEASE_RELEASE, 1, agent_get(bystander, 1));
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	assert_false(agent_sees_revoked(sleeper));
}

static void
flood_before_hello_is_hung_up_on(void **state)
{
	struct agent *agent = agent_attach();

	agent_flood(agent, LEASE_REQUEST, 0, 1000);
	agent_hear_end(agent);
	bystander_is_served(bystander);
}

static void
flood_of_releases_is_ignored(void **state)
{
	struct agent *agent = agent_start();
	unsigned int i;

	for (i = 0; i < 100; i++)
		agent_flood(agent, LEASE_RELEASE, NB_SLICES - 1, 100);
	bystander_is_served(bystander);
	agent_get(agent, 0);
}

static void
silent_channels_cost_nobody_anything(void **state)
{
	int channels[32];
	unsigned int i;

	for (i = 0; i < 32; i++) {
		channels[i] = meet();
		assert_true(channels[i] >= 0);
	}
	bystander_is_served(bystander);
	for (i = 0; i < 32; i++)
		close(channels[i]);
}

#define TEST(test) { #test, test, setup, world_teardown, NULL }

int
main(void)
{
	struct CMUnitTest tests[64] = {
		TEST(release_of_anothers_slice_is_ignored),
		TEST(second_release_is_ignored),
		TEST(flood_of_requests_ends_in_a_hangup),
		TEST(announcements_unread_cost_nobody_his_lease),
		TEST(flood_before_hello_is_hung_up_on),
		TEST(flood_of_releases_is_ignored),
		TEST(silent_channels_cost_nobody_anything),
	};
	const size_t nb_outrages = sizeof(outrages) / sizeof(outrages[0]);
	size_t i, first = 64 - nb_outrages;

	for (i = 0; i < nb_outrages; i++)
		tests[first + i] = (struct CMUnitTest){
			.name = outrages[i].name,
			.test_func = outrage_is_hung_up_on,
			.setup_func = setup,
			.teardown_func = world_teardown,
			.initial_state = (void *)(uintptr_t)&outrages[i],
		};
	return cmocka_run_group_tests_name("lessor, hostile messages", tests, eal_setup,
					   eal_teardown);
}
