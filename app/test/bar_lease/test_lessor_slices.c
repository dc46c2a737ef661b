/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The life of a slice, with lessees that keep to the rules.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "lease_agent.h"
#include "lease_world.h"

static void
every_state_has_a_name(void **state)
{
	static const char *const names[] = {
		"free", "taken", "leased", "revoked", "resetting", "quarantined", "unknown",
	};
	unsigned int i;

	for (i = 0; i < 7; i++)
		assert_string_equal(bar_lease_state_name((enum bar_lease_state)i), names[i]);
}

static void
wrong_configurations_are_refused(void **state)
{
	struct bar_lessor_conf conf = lessor_conf();
	struct bar_lessor *lessor = NULL;

	assert_int_equal(bar_lessor_create(&conf, &lessor), -EEXIST);
	conf.name = "0123456789012345678901234567890123456789012345678";
	assert_int_equal(bar_lessor_create(&conf, &lessor), -EINVAL);
	conf.name = "another";
	conf.nb_slices = 0;
	assert_int_equal(bar_lessor_create(&conf, &lessor), -EINVAL);
	conf.nb_slices = BAR_LEASE_MAX_SLICES + 1;
	assert_int_equal(bar_lessor_create(&conf, &lessor), -EINVAL);
	conf.nb_slices = NB_SLICES;
	conf.support.memattr = 0;
	assert_int_equal(bar_lessor_create(&conf, &lessor), -ENOTSUP);
	conf.memattr = BAR_SLICE_UNCACHED;
	conf.support.interface = BAR_SLICE_EXPORT_ONLY;
	assert_int_equal(bar_lessor_create(&conf, &lessor), -ENOTSUP);
	assert_null(lessor);
}

/* FREE, LEASED, RESETTING, FREE; revoked before reset; the next lease is another DMABUF. */
static void
released_slice_is_reset_once_and_free(void **state)
{
	struct agent *agent = agent_start();
	struct bar_lease_info info;
	int32_t lease;

	assert_int_equal(slice_state(2), BAR_LEASE_FREE);
	lease = agent_get(agent, 2);
	info = slice_info(2);
	assert_int_equal(info.state, BAR_LEASE_LEASED);
	assert_int_equal(info.pid, agent_pid(agent));
	assert_int_equal(info.uid, getuid());
	assert_int_equal(info.granted, 1);
	assert_true(info.granted_at > 0 && info.revoked_at == 0 && info.freed_at == 0);
	assert_false(agent_sees_revoked(agent));

	agent_say(agent, LEASE_RELEASE, 2, lease);
	wait_state(2, BAR_LEASE_FREE);
	assert_true(agent_sees_revoked(agent));
	assert_int_equal(agent_hear(agent, LEASE_AVAILABLE).slice, 2);
	assert_int_equal(count_events(EVENT_REVOKE, 2), 1);
	assert_int_equal(count_events(EVENT_RESET, 2), 1);
	assert_true(last_event(EVENT_REVOKE, 2) < last_event(EVENT_RESET, 2));
	info = slice_info(2);
	assert_true(info.granted_at <= info.revoked_at && info.revoked_at <= info.freed_at);
	assert_false(info.ended);

	agent_get(agent, 2);
	assert_false(agent_sees_revoked(agent));
	assert_int_equal(slice_info(2).granted, 2);
	assert_int_equal(count_events(EVENT_RESET, 2), 1);
}

/* While the reset runs, nobody gets the slice. */
static void
slice_in_reset_is_not_free(void **state)
{
	struct agent *agent = agent_start();

	world.reset_waits = true;
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	while (count_events(EVENT_RESET, 0) == 0)
		sleep_ms(1);
	assert_int_equal(bar_lessor_take(world.lessor, 0), -EBUSY);
	reset_go();
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(bar_lessor_take(world.lessor, 0), 0);
}

static void
one_slice_has_one_holder(void **state)
{
	struct agent *first = agent_start(), *second = agent_start();

	agent_get(first, 3);
	agent_be_refused(second, 3, EBUSY, agent_pid(first));
	agent_be_refused(first, 3, EBUSY, agent_pid(first));
	assert_int_equal(slice_info(3).refused, 2);
	assert_int_equal(slice_info(3).pid, agent_pid(first));
	assert_int_equal(count_events(EVENT_EXPORT, 3), 1);
	agent_get(second, 4);
}

static void
freed_slice_is_announced_to_who_was_refused(void **state)
{
	struct agent *first = agent_start(), *second = agent_start();
	int32_t lease = agent_get(first, 3);

	agent_be_refused(second, 3, EBUSY, agent_pid(first));
	agent_say(first, LEASE_RELEASE, 3, lease);
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 3);
	agent_get(second, 3);
	assert_int_equal(slice_info(3).pid, agent_pid(second));
}

/* A RELEASE that was on its way when the slice was granted anew does not end the new lease. */
static void
late_release_ends_no_new_lease(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease = agent_get(agent, 1);

	agent_say(agent, LEASE_RELEASE, 1, lease);
	agent_get(agent, 1);
	agent_say(agent, LEASE_RELEASE, 1, lease);
	agent_get(agent, 0); /* an answer that comes after */
	assert_int_equal(slice_state(1), BAR_LEASE_LEASED);
	assert_int_equal(count_events(EVENT_RESET, 1), 1);
}

static void
taken_slice_is_not_granted(void **state)
{
	struct agent *agent = agent_start();

	assert_int_equal(bar_lessor_take(world.lessor, 5), 0);
	assert_int_equal(slice_state(5), BAR_LEASE_TAKEN);
	assert_int_equal(slice_info(5).pid, getpid());
	assert_int_equal(bar_lessor_take(world.lessor, 5), -EBUSY);
	agent_be_refused(agent, 5, EBUSY, getpid());
	bar_lessor_put(world.lessor, 5);
	assert_int_equal(slice_state(5), BAR_LEASE_FREE);
	agent_get(agent, 5);
	assert_int_equal(bar_lessor_take(world.lessor, 5), -EBUSY);
	/* Not its own to give back. */
	bar_lessor_put(world.lessor, 5);
	assert_int_equal(slice_state(5), BAR_LEASE_LEASED);
	assert_int_equal(bar_lessor_take(world.lessor, NB_SLICES), -EBUSY);
}

struct taker {
	unsigned int taken;
	int stop; /* atomic */
};

static void *
take_and_put(void *arg)
{
	struct taker *taker = arg;

	while (__atomic_load_n(&taker->stop, __ATOMIC_SEQ_CST) == 0) {
		if (bar_lessor_take(world.lessor, 6) != 0)
			continue;
		world.owner_uses = 1;
		taker->taken++;
		rte_delay_us_block(50);
		world.owner_uses = 0;
		bar_lessor_put(world.lessor, 6);
		rte_delay_us_block(50);
	}
	return NULL;
}

/* Taken and leased never overlap, and each lease is revoked once. */
static void
take_races_with_grant(void **state)
{
	struct agent *agent = agent_start();
	struct lease_message answer = { 0 };
	struct taker taker = { 0 };
	unsigned int granted = 0, i;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, take_and_put, &taker), 0);
	for (i = 0; i < 300; i++) {
		answer = agent_hear_answer(agent, 6);
		if (answer.type == LEASE_REFUSE) {
			assert_int_equal(answer.value, EBUSY);
			continue;
		}
		granted++;
		assert_int_equal(bar_lessor_take(world.lessor, 6), -EBUSY);
		agent_say(agent, LEASE_RELEASE, 6, answer.value);
		wait_events(EVENT_RESET, 6, granted);
	}
	__atomic_store_n(&taker.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_true(taker.taken > 0 && granted > 0);
	assert_false(world.granted_while_used);
	assert_int_equal(count_events(EVENT_EXPORT, 6), granted);
	assert_int_equal(count_events(EVENT_REVOKE, 6), granted);
	assert_int_equal(count_events(EVENT_RESET, 6), granted);
}

static void
nothing_is_granted_before_start(void **state)
{
	struct bar_lessor_conf conf = lessor_conf();
	struct agent *agent;

	assert_int_equal(bar_lessor_create(&conf, &world.lessor), 0);
	agent = agent_start();
	agent_be_refused(agent, 0, ENETDOWN, 0);
	assert_int_equal(bar_lessor_take(world.lessor, 0), -ENETDOWN);
	bar_lessor_start(world.lessor);
	assert_int_equal(agent_hear(agent, LEASE_AVAILABLE).slice, LEASE_ALL_SLICES);
	agent_get(agent, 0);
}

/* A stop revokes at once, asks, and counts who does not answer. */
static void
stop_revokes_and_waits(void **state)
{
	struct agent *agent = agent_start();
	int32_t lease = agent_get(agent, 0);
	uint64_t before = lease_clock();
	struct lease_message message;

	assert_int_equal(bar_lessor_stop(world.lessor, 200), 1);
	assert_in_range(lease_clock() - before, 200 * 1000000ULL, 2000 * 1000000ULL);
	assert_true(agent_sees_revoked(agent));
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	message = agent_hear(agent, LEASE_REVOKED);
	assert_int_equal(message.slice, 0);
	assert_int_equal(message.value, lease);
	agent_be_refused(agent, 1, ENETDOWN, 0);

	/* The start finds it still held by a living process. */
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_REVOKED);
	agent_be_refused(agent, 0, EBUSY, agent_pid(agent));
	assert_int_equal(count_events(EVENT_RESET, 0), 0);

	agent_say(agent, LEASE_RELEASE, 0, lease);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
}

static void *
release_later(void *arg)
{
	struct agent *agent = arg;
	struct lease_message message = agent_hear(agent, LEASE_REVOKED);

	sleep_ms(100);
	agent_say(agent, LEASE_RELEASE, message.slice, message.value);
	return NULL;
}

/* What was released while stopped is not reset: the start does it for all. */
static void
stop_ends_with_the_last_release(void **state)
{
	struct agent *agent = agent_start();
	uint64_t before;
	pthread_t thread;

	agent_get(agent, 7);
	assert_int_equal(pthread_create(&thread, NULL, release_later, agent), 0);
	before = lease_clock();
	assert_int_equal(bar_lessor_stop(world.lessor, PATIENCE_MS), 0);
	assert_in_range(lease_clock() - before, 100 * 1000000ULL, 5000 * 1000000ULL);
	pthread_join(thread, NULL);
	assert_int_equal(slice_state(7), BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_REVOKE, 7), 1);
	assert_int_equal(count_events(EVENT_RESET, 7), 0);
}

static void
failed_reset_quarantines_until_start(void **state)
{
	struct agent *agent = agent_start();

	world.reset_error = -ETIMEDOUT;
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	wait_state(0, BAR_LEASE_QUARANTINED);
	agent_be_refused(agent, 0, ENOTRECOVERABLE, 0);
	assert_int_equal(bar_lessor_take(world.lessor, 0), -EBUSY);
	world.reset_error = 0;
	assert_int_equal(bar_lessor_stop(world.lessor, 0), 0);
	assert_int_equal(slice_state(0), BAR_LEASE_QUARANTINED);
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	agent_get(agent, 0);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
}

static void
offer(void *arg)
{
	bar_lessor_offer(world.lessor, 0);
}

static void
refused_for_the_sake_of_another(void **state)
{
	struct agent *first = agent_start(), *second = agent_start();

	world.in_the_way = agent_pid(first);
	agent_be_refused(second, 0, EBUSY, agent_pid(first));
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	agent_get(first, 0);
	lease_run(offer, NULL);
	interrupts_pass();
	assert_true(agent_hears_nothing(second));
	agent_say(first, LEASE_RELEASE, 0, slice_info(0).granted);
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 0);
	agent_be_refused(second, 0, EBUSY, agent_pid(first));
	world.in_the_way = 0;
	lease_run(offer, NULL);
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 0);
	agent_get(second, 0);
}

/* It is revoked, and lets go as it is asked to. */
static struct agent *
agent_that_let_go(void)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	assert_int_equal(bar_lessor_revoke(world.lessor, 0), 0);
	assert_int_equal(slice_info(0).former, 0);
	agent_say(agent, LEASE_RELEASE, 0, agent_hear(agent, LEASE_REVOKED).value);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(slice_info(0).former, agent_pid(agent));
	assert_false(slice_info(0).ended);
	return agent;
}

static bool
is_known_no_more(void *arg)
{
	return slice_info(0).former == 0;
}

static bool
is_alone(void *arg)
{
	return bar_lessor_count_lessees(world.lessor) == 1;
}

static void
ended_after_it_had_let_go(void **state)
{
	struct agent *agent = agent_that_let_go(), *second = agent_start();

	agent_kill(agent);
	assert_true(eventually(is_known_no_more, NULL));
	assert_int_equal(world.ended[0], 1);
	assert_true(slice_info(0).ended);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 0);
	agent_get(second, 0);
	assert_false(slice_info(0).ended);
}

/* As with a process that is killed, whose end comes to be known in two steps. */
static void
hung_up_after_it_had_let_go(void **state)
{
	struct agent *agent = agent_that_let_go(), *second = agent_start();

	agent_close(agent);
	wait_told(BAR_LEASE_EVENT_HUNG_UP, -1);
	assert_int_equal(slice_info(0).former, agent_pid(agent));
	assert_int_equal(bar_lessor_count_lessees(world.lessor), 2);
	agent_kill(agent);
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 0);
	assert_true(is_known_no_more(NULL));
	assert_int_equal(world.ended[0], 1);
	assert_true(eventually(is_alone, NULL));
}

static void
hung_up_and_succeeded(void **state)
{
	struct agent *agent = agent_that_let_go(), *second = agent_start();

	agent_close(agent);
	wait_told(BAR_LEASE_EVENT_HUNG_UP, -1);
	agent_get(second, 0);
	assert_int_equal(slice_info(0).former, 0);
	assert_true(eventually(is_alone, NULL));
}

static void
took_its_leave(void **state)
{
	struct agent *agent = agent_that_let_go(), *second = agent_start();

	agent_get(second, 1);
	assert_int_equal(bar_lessor_revoke(world.lessor, 1), 0);
	agent_hear(second, LEASE_REVOKED);
	agent_say(second, LEASE_RELEASE, LEASE_ALL_SLICES, 0);
	wait_state(1, BAR_LEASE_FREE);
	assert_int_equal(slice_info(1).former, 0);
	assert_int_equal(slice_info(0).former, agent_pid(agent));
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 1);
	agent_say(agent, LEASE_RELEASE, LEASE_ALL_SLICES, 0);
	assert_int_equal(agent_hear(second, LEASE_AVAILABLE).slice, 0);
	assert_int_equal(slice_info(0).former, 0);
	agent_close(agent);
	assert_true(eventually(is_alone, NULL));
	agent_kill(agent);
	assert_int_equal(world.ended[0], 0);
	assert_false(slice_info(0).ended);
}

/* It has no part in what became of the slice after it had given it back, or after it had let go. */
static void
ended_when_it_was_of_no_account(void **state)
{
	struct agent *agent = agent_start(), *second;

	agent_say(agent, LEASE_RELEASE, 1, agent_get(agent, 1));
	wait_state(1, BAR_LEASE_FREE);
	assert_int_equal(slice_info(1).former, 0);
	agent_kill(agent);

	agent = agent_that_let_go();
	second = agent_start();
	agent_get(second, 0);
	assert_int_equal(slice_info(0).former, 0);
	agent_kill(agent);
	wait_told(BAR_LEASE_EVENT_HUNG_UP, -1);
	sleep_ms(20);
	assert_int_equal(world.ended[0] + world.ended[1], 0);
	assert_false(slice_info(0).ended || slice_info(1).ended);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
}

/* Nobody has seen it, so whoever had let go before is still who did. */
static void
grant_that_does_not_arrive_changes_nothing(void **state)
{
	struct agent *agent = agent_that_let_go();

	interrupts_hold();
	agent_say(agent, LEASE_REQUEST, 0, 0);
	agent_kill(agent);
	interrupts_go();
	assert_true(eventually(is_known_no_more, NULL));
	assert_int_equal(world.ended[0], 1);
	assert_true(slice_info(0).ended);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
}

/* With the lessor stopped nobody resets anything, but that it has ended is known. */
static void
ended_while_stopped(void **state)
{
	struct agent *agent = agent_start();

	agent_get(agent, 0);
	assert_int_equal(bar_lessor_stop(world.lessor, 0), 1);
	agent_kill(agent);
	wait_state(0, BAR_LEASE_RESETTING);
	interrupts_pass();
	assert_int_equal(world.ended[0], 1);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
}

static void
say_done(void *arg)
{
	bar_lessor_reset_done(world.lessor, 0);
}

static void
reset_under_way_ends_when_its_user_says_so(void **state)
{
	struct agent *agent = agent_start();

	world.reset_error = -EINPROGRESS;
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	agent_be_refused(agent, 0, EBUSY, 0);
	assert_int_equal(slice_state(0), BAR_LEASE_RESETTING);
	assert_int_equal(bar_lessor_take(world.lessor, 0), -EBUSY);
	assert_int_equal(slice_info(0).freed_at, 0);
	lease_run(say_done, NULL);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	assert_true(slice_info(0).freed_at > 0);
	assert_int_equal(agent_hear(agent, LEASE_AVAILABLE).slice, 0);
	agent_get(agent, 0);

	/* Said of a slice that is not being reset, it changes nothing. */
	lease_run(say_done, NULL);
	assert_int_equal(slice_state(0), BAR_LEASE_LEASED);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
}

static void
reset_under_way_begins_anew_with_the_start(void **state)
{
	struct agent *agent = agent_start();

	world.reset_error = -EINPROGRESS;
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	wait_events(EVENT_RESET, 0, 1);
	assert_int_equal(bar_lessor_stop(world.lessor, 0), 0);
	lease_run(say_done, NULL);
	assert_int_equal(slice_state(0), BAR_LEASE_RESETTING);
	world.reset_error = 0;
	bar_lessor_start(world.lessor);
	assert_int_equal(count_events(EVENT_RESET, 0), 2);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
}

static void
slice_that_cannot_be_revoked_is_never_granted_anew(void **state)
{
	struct agent *agent = agent_start();

	world.revoke_error = -EIO;
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	wait_state(0, BAR_LEASE_QUARANTINED);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_QUARANTINED);
	agent_be_refused(agent, 0, ENOTRECOVERABLE, 0);
	world.revoke_error = 0;
	bar_lessor_start(world.lessor);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	assert_true(agent_sees_revoked(agent));
}

static void
failed_export_is_a_refusal(void **state)
{
	struct agent *agent = agent_start();

	world.export_error = -EMFILE;
	agent_be_refused(agent, 0, EMFILE, 0);
	assert_int_equal(slice_state(0), BAR_LEASE_FREE);
	assert_int_equal(slice_info(0).granted, 0);
	world.export_error = 0;
	agent_get(agent, 0);
}

/* The device went away: the kernel took the mappings, and there is nothing left to revoke. */
static void
vanished_device_counts_as_revoked(void **state)
{
	struct agent *agent = agent_start();

	world.revoke_error = -ENODEV;
	agent_say(agent, LEASE_RELEASE, 0, agent_get(agent, 0));
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
}

static void
destroy_revokes_hangs_up_and_resets_nothing(void **state)
{
	struct agent *agent = agent_start(), *silent = agent_attach();

	agent_get(agent, 0);
	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	assert_true(agent_sees_revoked(agent));
	assert_int_equal(agent_hear(agent, LEASE_REVOKED).slice, 0);
	agent_hear_end(agent);
	agent_hear_end(silent);
	assert_int_equal(count_events(EVENT_RESET, 0), 0);
}

static void
destroy_here(void *arg)
{
	bar_lessor_destroy(arg);
}

static void
attach_and_destroy(void *arg)
{
	int *channel = arg;

	*channel = meet();
	destroy_here(world.lessor);
}

/* Hot-unplug destroys on the interrupt thread, ahead of what the rte_mp thread posted to it. */
static void
destroy_on_the_interrupt_thread_with_a_peer_joining(void **state)
{
	int channel = -1;

	assert_int_equal(lease_run(attach_and_destroy, &channel), 0);
	world.lessor = NULL;
	interrupts_pass();
	assert_true(channel >= 0);
	close(channel);
}

static void
query_knows_its_slices(void **state)
{
	struct bar_lease_info info;

	assert_int_equal(bar_lessor_query(world.lessor, NB_SLICES, &info), -EINVAL);
	assert_int_equal(bar_lessor_query(world.lessor, NB_SLICES - 1, &info), 0);
	assert_int_equal(info.pid, 0);
}

/* Asked for, refused, given back, asked for again and lost. */
static void
requests_and_their_ends_are_counted(void **state)
{
	struct agent *agent = agent_start(), *second = agent_start();
	const struct bar_lease_counters *counters = &world.counters[2];
	int32_t lease = agent_get(agent, 2);

	agent_be_refused(second, 2, EBUSY, agent_pid(agent));
	agent_say(agent, LEASE_RELEASE, 2, lease);
	wait_state(2, BAR_LEASE_FREE);
	assert_int_equal(counted(&counters->lost), 0);
	agent_get(second, 2);
	bar_lessor_stop(world.lessor, 0);
	assert_int_equal(counted(&counters->requests), 3);
	assert_int_equal(counted(&counters->refused), 1);
	assert_int_equal(counted(&counters->lost), 1);
	agent_be_refused(agent, 2, ENETDOWN, agent_pid(second));
	assert_int_equal(counted(&counters->requests), 4);
	assert_int_equal(counted(&counters->refused), 2);
	agent_kill(second);
	assert_int_equal(counted(&counters->lost), 1);
	assert_int_equal(counted(&world.counters[1].requests), 0);
}

#define WITH_LESSOR(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define WITHOUT(test) cmocka_unit_test_setup_teardown(test, world_setup_empty, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITHOUT(every_state_has_a_name),
		WITH_LESSOR(wrong_configurations_are_refused),
		WITH_LESSOR(released_slice_is_reset_once_and_free),
		WITH_LESSOR(slice_in_reset_is_not_free),
		WITH_LESSOR(one_slice_has_one_holder),
		WITH_LESSOR(requests_and_their_ends_are_counted),
		WITH_LESSOR(freed_slice_is_announced_to_who_was_refused),
		WITH_LESSOR(late_release_ends_no_new_lease),
		WITH_LESSOR(taken_slice_is_not_granted),
		WITH_LESSOR(take_races_with_grant),
		WITHOUT(nothing_is_granted_before_start),
		WITH_LESSOR(stop_revokes_and_waits),
		WITH_LESSOR(stop_ends_with_the_last_release),
		WITH_LESSOR(failed_reset_quarantines_until_start),
		WITH_LESSOR(refused_for_the_sake_of_another),
		WITH_LESSOR(ended_after_it_had_let_go),
		WITH_LESSOR(hung_up_after_it_had_let_go),
		WITH_LESSOR(hung_up_and_succeeded),
		WITH_LESSOR(took_its_leave),
		WITH_LESSOR(grant_that_does_not_arrive_changes_nothing),
		WITH_LESSOR(ended_while_stopped),
		WITH_LESSOR(ended_when_it_was_of_no_account),
		WITH_LESSOR(reset_under_way_ends_when_its_user_says_so),
		WITH_LESSOR(reset_under_way_begins_anew_with_the_start),
		WITH_LESSOR(slice_that_cannot_be_revoked_is_never_granted_anew),
		WITH_LESSOR(failed_export_is_a_refusal),
		WITH_LESSOR(vanished_device_counts_as_revoked),
		WITH_LESSOR(destroy_revokes_hangs_up_and_resets_nothing),
		WITH_LESSOR(destroy_on_the_interrupt_thread_with_a_peer_joining),
		WITH_LESSOR(query_knows_its_slices),
	};

	return cmocka_run_group_tests_name("lessor, slices", tests, eal_setup, eal_teardown);
}
