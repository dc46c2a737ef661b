/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A lessee against the real lessor, both on the interrupt thread of this process.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lease_agent.h"
#include "lease_lessee.h"
#include "lease_world.h"

static bool
is_granted(void *arg)
{
	unsigned int *slice = arg;

	bar_lessee_request(hand.lessee, *slice);
	return hand.address[*slice] != NULL;
}

static void
get(unsigned int slice)
{
	assert_true(eventually(is_granted, &slice));
}

static uint64_t
ms_since(uint64_t before)
{
	return (lease_clock() - before) / 1000000;
}

static void
granted_slice_is_mapped(void **state)
{
	unsigned int before, i;

	hand_create();
	before = count_descriptors();
	get(2);
	assert_true(touch(hand.address[2]));
	for (i = 0; i < 100; i++)
		bar_lessee_request(hand.lessee, 2);
	interrupts_pass();
	assert_int_equal(hand.granted[2], 1);
	assert_int_equal(slice_info(2).refused, 0);
	/* The lessor keeps the DMABUF to revoke it, the lessee nothing to leak to its children. */
	assert_int_equal(count_descriptors(), before + 1);
	assert_int_equal(slice_info(2).pid, getpid());
}

static void
destroy_lets_go(void **state)
{
	hand_create();
	get(0);
	get(1);
	hand_destroy();
	wait_state(0, BAR_LEASE_FREE);
	wait_state(1, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	assert_int_equal(count_events(EVENT_RESET, 1), 1);
	assert_int_equal(count_mappings(), 0);
	assert_int_equal(hand.hangups, 0);
	bar_lessee_destroy(NULL);
}

static bool
is_let_go_of(void *arg)
{
	return slice_info(0).former == getpid();
}

/* The process goes on: but for that it could still have what it shared with the slice in hand. */
static void
destroy_takes_leave(void **state)
{
	hand_create();
	get(0);
	get(1);
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), 0);
	assert_true(eventually(is_let_go_of, NULL));
	hand_destroy();
	wait_told(BAR_LEASE_EVENT_HUNG_UP, -1);
	interrupts_pass();
	assert_int_equal(bar_lessor_count_lessees(world.lessor), 0);
	assert_int_equal(slice_info(0).former, 0);
	wait_state(1, BAR_LEASE_FREE);
}

/* Asking in a loop costs one request; the word that the slice is free ends the wait at once. */
static void
refused_lessee_is_woken(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease = agent_get(agent, 3);
	unsigned int i;

	world.pauses_never_end = true;
	hand_create();
	/* Nothing but the slice's state tells this thread of the answer. */
	for (i = 0; i < 100; i++) {
		bar_lessee_request(hand.lessee, 3);
		sleep_ms(1);
	}
	for (i = 0; i < 100; i++) {
		bar_lessee_request(hand.lessee, 3);
		interrupts_pass();
	}
	assert_int_equal(slice_info(3).refused, 1);
	assert_null(hand.address[3]);
	agent_say(agent, LEASE_RELEASE, 3, lease);
	get(3);
	assert_int_equal(slice_info(3).pid, getpid());
}

static void
refused_lessee_asks_again_after_a_second(void **state)
{
	uint64_t before;

	hand_create();
	assert_int_equal(bar_lessor_take(world.lessor, 3), 0);
	before = lease_clock();
	bar_lessee_request(hand.lessee, 3);
	while (slice_info(3).refused == 0)
		interrupts_pass();
	bar_lessor_put(world.lessor, 3); /* without a word */
	get(3);
	assert_in_range(ms_since(before), 900, PATIENCE_MS);
	assert_int_equal(slice_info(3).refused, 1);
}

static void
stopped_lessor_refuses_until_start(void **state)
{
	unsigned int i;

	world.pauses_never_end = true;
	bar_lessor_stop(world.lessor, 0);
	hand_create();
	for (i = 0; i < 100; i++) {
		bar_lessee_request(hand.lessee, 0);
		interrupts_pass();
	}
	assert_int_equal(slice_info(0).refused, 1);
	bar_lessor_start(world.lessor);
	get(0);
}

/* The lessor stops: lost, let go of, still valid memory; then a new mapping for the old one. */
static void
revoked_lease_is_lost_and_let_go_of(void **state)
{
	void *old;

	hand_create();
	get(4);
	old = hand.address[4];
	assert_int_equal(bar_lessor_stop(world.lessor, PATIENCE_MS), 0);
	assert_int_equal(hand.lost[4], 1);
	assert_null(hand.address[4]);
	assert_int_equal(slice_state(4), BAR_LEASE_FREE);
	assert_false(touch(old));
	assert_int_equal(count_mappings(), 1);
	bar_lessor_start(world.lessor);
	get(4);
	assert_int_equal(count_mappings(), 1);
	assert_true(touch(hand.address[4]));
	assert_int_equal(hand.granted[4], 2);
	assert_int_equal(count_events(EVENT_RESET, 4), 0);
}

static void *
end_the_burst(void *arg)
{
	const unsigned int *slice = arg;

	sleep_ms(50);
	hand.busy[*slice] = false;
	return NULL;
}

/* It is not answered that the slice is let go of, before the burst under way has ended. */
static void
stop_waits_for_a_burst_under_way(void **state)
{
	unsigned int slice = 4;
	pthread_t burst;

	hand_create();
	get(4);
	hand.busy[4] = true;
	assert_int_equal(pthread_create(&burst, NULL, end_the_burst, &slice), 0);
	assert_int_equal(bar_lessor_stop(world.lessor, PATIENCE_MS), 0);
	assert_false(hand.busy[4]);
	pthread_join(burst, NULL);
	assert_int_equal(slice_state(4), BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 4), 0);
	bar_lessor_start(world.lessor);
	get(4);
}

/* The stop does not wait for ever; the slice is nobody's until the burst has ended, and reset. */
static void
burst_that_does_not_end_keeps_its_slice(void **state)
{
	uint64_t before;

	hand_create();
	get(4);
	get(5);
	hand.busy[4] = true;
	before = lease_clock();
	assert_int_equal(bar_lessor_stop(world.lessor, 1000), 1);
	assert_in_range(ms_since(before), 1000, 10000);
	assert_int_equal(slice_state(5), BAR_LEASE_FREE);
	bar_lessor_start(world.lessor);
	get(5);
	bar_lessee_request(hand.lessee, 4);
	interrupts_pass();
	assert_int_equal(slice_state(4), BAR_LEASE_REVOKED);
	assert_int_equal(count_events(EVENT_RESET, 4), 0);
	hand.busy[4] = false;
	wait_state(4, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 4), 1);
	get(4);
}

/* The device was in D3 for a moment: nobody revoked, yet the mapping is gone. */
static void
mapping_lost_without_revocation_is_asked_for_anew(void **state)
{
	hand_create();
	get(0);
	page_off(hand.address[0]);
	assert_false(touch(hand.address[0]));
	assert_int_equal(hand.lost[0], 1);
	assert_int_equal(hand.told[0], 0);
	get(0);
	assert_true(touch(hand.address[0]));
	assert_int_equal(count_events(EVENT_EXPORT, 0), 2);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	/* By whom the page was touched learns it at once, and everybody else in time. */
	assert_int_equal(hand.lost[0], 2);
	assert_int_equal(hand.told[0], 1);
}

static void
mapping_that_fails_is_let_go_of(void **state)
{
	hand_create();
	world.map_error = -ENOSPC;
	bar_lessee_request(hand.lessee, 0);
	wait_events(EVENT_RESET, 0, 1);
	world.map_error = 0;
	get(0);
}

static void
dead_lessor_is_noticed(void **state)
{
	hand_create();
	get(0);
	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	hand_wait_hangup();
	assert_int_equal(hand.lost[0], 1);
	assert_null(hand.address[0]);
	bar_lessee_request(hand.lessee, 0);
}

static void
lessee_destroys_itself_at_the_hangup(void **state)
{
	hand_create();
	hand.destroy_at_hangup = true;
	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	hand_wait_hangup();
	interrupts_pass();
	assert_null(hand.lessee);
}

static bool
nobody_is_attached(void *arg)
{
	unsigned int *before = arg;

	return count_descriptors() == *before;
}

static void
failures_of_create_have_their_codes(void **state)
{
	struct bar_lessee_conf conf = hand_conf();
	struct bar_lessee *lessee = NULL;
	int channels[BAR_LEASE_MAX_PEERS];
	unsigned int i, before = count_descriptors();

	conf.name = "0000:00:05.0";
	assert_int_equal(bar_lessee_create(&conf, &lessee), -ENOENT);
	conf = hand_conf();
	conf.nb_slices = 0;
	assert_int_equal(bar_lessee_create(&conf, &lessee), -EINVAL);
	conf.nb_slices = BAR_LEASE_MAX_SLICES + 1;
	assert_int_equal(bar_lessee_create(&conf, &lessee), -EINVAL);
	conf.nb_slices = NB_SLICES + 1;
	assert_int_equal(bar_lessee_create(&conf, &lessee), -ERANGE);
	conf.nb_slices = NB_SLICES;
	world.reply_error = ETIMEDOUT;
	assert_int_equal(bar_lessee_create(&conf, &lessee), -ETIMEDOUT);
	world.reply_error = 0;
	assert_true(eventually(nobody_is_attached, &before));
	for (i = 0; i < BAR_LEASE_MAX_PEERS; i++) {
		channels[i] = attach();
		assert_true(channels[i] >= 0);
	}
	assert_int_equal(bar_lessee_create(&conf, &lessee), -EUSERS);
	for (i = 0; i < BAR_LEASE_MAX_PEERS; i++)
		close(channels[i]);
	assert_null(lessee);
}

/* Slices become free all the time while lessees attach: WELCOME is still what comes first. */
static void
attaching_amid_announcements(void **state)
{
	struct agent *agent = agent_start();
	unsigned int i;
	int channel;

	for (i = 0; i < 20; i++) {
		channel = meet();
		assert_true(channel >= 0);
		agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
		agent_get(agent, 0);
		agent_say(agent, LEASE_RELEASE, 0, (int32_t)slice_info(0).granted);
		wait_state(0, BAR_LEASE_FREE);
		assert_int_equal(recv(channel, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		close(channel);
	}
}

static void
other_versions_are_told_so(void **state)
{
	struct timespec timeout = { .tv_sec = 1 };
	struct rte_mp_msg msg = { .len_param = sizeof(struct lease_rendezvous_request) };
	struct lease_rendezvous_request *request = (void *)msg.param;
	struct lease_rendezvous_reply reply;
	struct rte_mp_reply replies;
	int length;

	strcpy(msg.name, LEASE_ACTION);
	strcpy(request->name, LESSOR_NAME);
	for (length = 0; length <= msg.len_param; length += msg.len_param / 2) {
		request->version = LEASE_PROTOCOL_VERSION + (length == msg.len_param);
		msg.len_param = length;
		assert_int_equal(rte_mp_request_sync(&msg, &replies, &timeout), 0);
		msg.len_param = sizeof(*request);
		memcpy(&reply, replies.msgs[0].param, sizeof(reply));
		assert_int_equal(reply.error, -EPROTO);
		assert_int_equal(reply.version, LEASE_PROTOCOL_VERSION);
		assert_int_equal(replies.msgs[0].num_fds, 0);
		free(replies.msgs);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, hand_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(granted_slice_is_mapped),
		TEST(destroy_lets_go),
		TEST(destroy_takes_leave),
		TEST(refused_lessee_is_woken),
		TEST(refused_lessee_asks_again_after_a_second),
		TEST(stopped_lessor_refuses_until_start),
		TEST(revoked_lease_is_lost_and_let_go_of),
		TEST(stop_waits_for_a_burst_under_way),
		TEST(burst_that_does_not_end_keeps_its_slice),
		TEST(mapping_lost_without_revocation_is_asked_for_anew),
		TEST(mapping_that_fails_is_let_go_of),
		TEST(dead_lessor_is_noticed),
		TEST(lessee_destroys_itself_at_the_hangup),
		TEST(failures_of_create_have_their_codes),
		TEST(attaching_amid_announcements),
		TEST(other_versions_are_told_so),
	};

	return cmocka_run_group_tests_name("lessee", tests, eal_setup, eal_teardown);
}
