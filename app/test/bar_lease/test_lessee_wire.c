/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A lessee against a lessor that does what the test says, word by word of the protocol.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lease_lessee.h"
#include "lease_world.h"

/* The lessor's end, and what it says before the lessee's HELLO can arrive. */
static int channel = -1;
static struct lease_message greeting;
static bool hang_up_at_once;
static int lessee_buffer;	/* 0: the default */

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);

static int
scripted_rendezvous(const struct rte_mp_msg *msg, const void *peer)
{
	struct rte_mp_msg answer = { .name = LEASE_ACTION, .num_fds = 1 };
	struct lease_rendezvous_reply *reply = (void *)answer.param;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	if (lessee_buffer != 0)
		__real_setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &lessee_buffer,
				  sizeof(lessee_buffer));
	reply->version = LEASE_PROTOCOL_VERSION;
	answer.len_param = sizeof(*reply);
	answer.fds[0] = ends[1];
	channel = ends[0];
	if (greeting.type != 0)
		assert_int_equal(lease_send(channel, &greeting, -1), 0);
	if (hang_up_at_once)
		shutdown(channel, SHUT_WR);
	rte_mp_reply(&answer, peer);
	close(ends[1]);
	return 0;
}

static int
setup(void **state)
{
	world_setup_empty(state);
	world.scripted_primary = scripted_rendezvous;
	greeting = (struct lease_message){
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_WELCOME,
		.value = NB_SLICES,
	};
	hang_up_at_once = false;
	lessee_buffer = 0;
	return 0;
}

static int
teardown(void **state)
{
	hand_destroy();
	if (channel >= 0)
		close(channel);
	channel = -1;
	return world_teardown(state);
}

static void
say(enum lease_message_type type, uint32_t slice, int32_t value, int fd)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
		.value = value,
	};

	assert_int_equal(lease_send(channel, &message, fd), 0);
}

/* Returns the message's value. */
static int32_t
hear(enum lease_message_type type, uint32_t slice)
{
	struct pollfd readable = { .fd = channel, .events = POLLIN };
	struct lease_ancillary ancillary;
	struct lease_message message;

	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_int_equal(lease_receive(channel, &message, &ancillary), 0);
	assert_int_equal(message.type, type);
	assert_int_equal(message.slice, slice);
	assert_int_equal(ancillary.fd, -1);
	return message.value;
}

static void
hear_nothing(void)
{
	struct pollfd readable = { .fd = channel, .events = POLLIN };

	assert_int_equal(poll(&readable, 1, 50), 0);
}

static void
create(void)
{
	hand_create();
	hear(LEASE_HELLO, 0);
}

static bool
is_granted(void *arg)
{
	unsigned int *slice = arg;

	return hand.address[*slice] != NULL;
}

static bool
is_lost(void *arg)
{
	unsigned int *slice = arg;

	return hand.lost[*slice] != 0;
}

/* Returns the DMABUF. */
static int
grant(unsigned int slice, int32_t lease)
{
	int dmabuf = memfd_create("slice", MFD_CLOEXEC);

	assert_int_equal(ftruncate(dmabuf, PAGE), 0);
	say(LEASE_GRANT, slice, lease, dmabuf);
	return dmabuf;
}

static void
hold(unsigned int slice, int32_t lease)
{
	bar_lessee_request(hand.lessee, slice);
	hear(LEASE_REQUEST, slice);
	close(grant(slice, lease));
	assert_true(eventually(is_granted, &slice));
}

static void
hangup_in_place_of_welcome_is_eacces(void **state)
{
	struct bar_lessee_conf conf = hand_conf();

	greeting.type = 0;
	hang_up_at_once = true;
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -EACCES);
}

static void
anything_else_in_place_of_welcome_is_eproto(void **state)
{
	struct bar_lessee_conf conf = hand_conf();

	greeting.type = LEASE_AVAILABLE;
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -EPROTO);
	close(channel);
	greeting.type = LEASE_WELCOME;
	greeting.version++;
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -EPROTO);
}

static void
fewer_slices_than_expected_is_erange(void **state)
{
	struct bar_lessee_conf conf = hand_conf();

	greeting.value = NB_SLICES - 1;
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -ERANGE);
}

static void
request_is_sent_once(void **state)
{
	create();
	bar_lessee_request(hand.lessee, 1);
	bar_lessee_request(hand.lessee, 1);
	assert_int_equal(hear(LEASE_REQUEST, 1), 0);
	hear_nothing();
	say(LEASE_REFUSE, 1, EBUSY, -1);
	interrupts_pass();
	bar_lessee_request(hand.lessee, 1);
	hear_nothing();
}

static bool
asks_again(void *arg)
{
	struct pollfd readable = { .fd = channel, .events = POLLIN };
	unsigned int *slice = arg;

	bar_lessee_request(hand.lessee, *slice);
	return poll(&readable, 1, 0) == 1;
}

static void
announcement_of_all_wakes_all(void **state)
{
	unsigned int i;

	create();
	world.pauses_never_end = true;
	for (i = 0; i < 2; i++) {
		bar_lessee_request(hand.lessee, i);
		hear(LEASE_REQUEST, i);
		say(LEASE_REFUSE, i, ENETDOWN, -1);
	}
	say(LEASE_AVAILABLE, LEASE_ALL_SLICES, 0, -1);
	for (i = 0; i < 2; i++) {
		assert_true(eventually(asks_again, &i));
		hear(LEASE_REQUEST, i);
	}
}

static void
revocation_is_answered_with_its_number(void **state)
{
	unsigned int slice = 2;

	create();
	hold(2, 41);
	say(LEASE_REVOKED, 2, 41, -1);
	assert_int_equal(hear(LEASE_RELEASE, 2), 41);
	assert_true(eventually(is_lost, &slice));
	/* Asked again by an impatient lessor. */
	say(LEASE_REVOKED, 2, 41, -1);
	assert_int_equal(hear(LEASE_RELEASE, 2), 41);
	assert_int_equal(hand.lost[2], 1);
	assert_int_equal(hand.hangups, 0);
}

static void
revocation_is_answered_when_no_thread_is_busy(void **state)
{
	create();
	hold(2, 41);
	hold(3, 1);
	hand.busy[2] = true;
	say(LEASE_REVOKED, 2, 41, -1);
	say(LEASE_REVOKED, 3, 1, -1);
	assert_int_equal(hear(LEASE_RELEASE, 3), 1);
	hear_nothing();
	assert_int_equal(hand.lost[2], 1);
	bar_lessee_request(hand.lessee, 2);
	say(LEASE_REVOKED, 2, 41, -1);
	close(grant(2, 42));
	interrupts_pass();
	hear_nothing();
	assert_int_equal(hand.granted[2], 1);
	hand.busy[2] = false;
	assert_int_equal(hear(LEASE_RELEASE, 2), 41);
	hear_nothing();
	assert_int_equal(hand.lost[2], 1);
}

static void
destroy_gives_back_what_was_revoked(void **state)
{
	create();
	hold(2, 41);
	hand.busy[2] = true;
	say(LEASE_REVOKED, 2, 41, -1);
	hear_nothing();
	hand_destroy();
	hear(LEASE_RELEASE, LEASE_ALL_SLICES);
}

static void
hangup_while_a_thread_is_busy(void **state)
{
	create();
	hold(2, 41);
	hand.busy[2] = true;
	say(LEASE_REVOKED, 2, 41, -1);
	hear_nothing();
	shutdown(channel, SHUT_RDWR);
	hand_wait_hangup();
	assert_int_equal(hand.lost[2], 1);
	hand_destroy();
}

/* The touch comes first, the word of the lessor later, when the slice was asked for anew. */
static void
revocation_found_by_a_touch(void **state)
{
	unsigned int slice = 0;

	create();
	hold(0, 7);
	page_off(hand.address[0]);
	assert_false(touch(hand.address[0]));
	assert_int_equal(hand.lost[0], 1);
	bar_lessee_request(hand.lessee, 0);
	assert_int_equal(hear(LEASE_RELEASE, 0), 7);
	hear(LEASE_REQUEST, 0);
	say(LEASE_REVOKED, 0, 7, -1);
	assert_int_equal(hear(LEASE_RELEASE, 0), 7);
	close(grant(0, 8));
	assert_true(eventually(is_granted, &slice));
	assert_int_equal(hand.lost[0], 2);
	assert_int_equal(hand.told[0], 1);
	say(LEASE_REVOKED, 0, 8, -1);
	assert_int_equal(hear(LEASE_RELEASE, 0), 8);
}

static void
revoked_dmabuf_is_let_go_of(void **state)
{
	create();
	bar_lessee_request(hand.lessee, 3);
	hear(LEASE_REQUEST, 3);
	world.map_error = -ENODEV;
	close(grant(3, 12));
	assert_int_equal(hear(LEASE_RELEASE, 3), 12);
	assert_int_equal(hand.granted[3], 0);
}

static bool
has_failed_to_map(void *arg)
{
	return world.failed_maps == 1;
}

/* Its queue was full: the release goes ahead of the next request, which would be refused else. */
static void
release_that_found_no_room_is_made_up_for(void **state)
{
	unsigned int i, slice = 0;

	lessee_buffer = 1; /* the kernel's least */
	create();
	for (i = 0; i < NB_SLICES; i++)
		bar_lessee_request(hand.lessee, i);
	world.map_error = -ENODEV;
	close(grant(0, 3));
	assert_true(eventually(has_failed_to_map, NULL));
	interrupts_pass();
	world.map_error = 0;
	hear(LEASE_REQUEST, 0);
	for (i = 1; poll(&(struct pollfd){ .fd = channel, .events = POLLIN }, 1, 0) == 1; i++)
		hear(LEASE_REQUEST, i);
	assert_true(i < NB_SLICES); /* or it was not full */
	say(LEASE_AVAILABLE, 0, 0, -1);
	assert_true(eventually(asks_again, &slice));
	assert_int_equal(hear(LEASE_RELEASE, 0), 3);
	hear(LEASE_REQUEST, 0);
}

static void
grant_not_asked_for_is_ignored(void **state)
{
	create();
	close(grant(5, 1));
	close(grant(NB_SLICES, 1));
	say(LEASE_REFUSE, LEASE_ALL_SLICES, EBUSY, -1);
	say(LEASE_AVAILABLE, NB_SLICES, 0, -1);
	say(LEASE_WELCOME, 0, 0, -1);
	hold(0, 1);
	assert_int_equal(hand.granted[5], 0);
}

/* Other threads may be about to send: the number must not become another file's. */
static void
descriptor_stays_until_destroy(void **state)
{
	unsigned int before;

	create();
	hold(0, 1);
	before = count_descriptors();
	shutdown(channel, SHUT_RDWR);
	hand_wait_hangup();
	assert_int_equal(hand.lost[0], 1);
	assert_int_equal(count_descriptors(), before - 1); /* the watched duplicate */
	bar_lessee_request(hand.lessee, 0);
	bar_lessee_request(hand.lessee, 1);
	assert_int_equal(hand.hangups, 1);
}

static void
garbage_ends_the_channel(void **state)
{
	create();
	hold(0, 1);
	assert_int_equal(send(channel, "garbage", 7, 0), 7);
	hand_wait_hangup();
	assert_int_equal(hand.lost[0], 1);
	/* And the lessor sees it, although the lessee still has its descriptor. */
	assert_int_equal(recv(channel, &(char){ 0 }, 1, 0), 0);
}

/* The thread that polls a queue finds its lease lost, and asks for it anew. */
static void
lose_by_touch(unsigned int slice, int32_t lease)
{
	hold(slice, lease);
	page_off(hand.address[slice]);
	assert_false(touch(hand.address[slice]));
	assert_int_equal(hand.lost[slice], 1);
	bar_lessee_request(hand.lessee, slice);
	assert_int_equal(hear(LEASE_RELEASE, slice), lease);
	hear(LEASE_REQUEST, slice);
	interrupts_pass();
	assert_int_equal(hand.told[slice], 0);
}

/* What a signal handler was told, everybody else is told by the next word about it. */
static void
loss_found_by_a_touch_is_told(void **state)
{
	create();
	lose_by_touch(0, 10);
	say(LEASE_REVOKED, 0, 10, -1);
	assert_int_equal(hear(LEASE_RELEASE, 0), 10);
	assert_int_equal(hand.told[0], 1);
	lose_by_touch(1, 11);
	say(LEASE_REFUSE, 1, EBUSY, -1);
	interrupts_pass();
	assert_int_equal(hand.told[1], 1);
	lose_by_touch(2, 12);
	close(grant(2, 13));
	assert_true(eventually(is_granted, &(unsigned int){ 2 }));
	assert_int_equal(hand.told[2], 1);
	/* Once. */
	close(grant(0, 14));
	assert_true(eventually(is_granted, &(unsigned int){ 0 }));
	assert_int_equal(hand.told[0], 1);
}

static void
loss_found_by_a_touch_is_told_at_the_hangup(void **state)
{
	create();
	hold(1, 11);
	lose_by_touch(0, 10);
	shutdown(channel, SHUT_RDWR);
	hand_wait_hangup();
	assert_int_equal(hand.told[0], 1);
	assert_int_equal(hand.told[1], 1);
	assert_int_equal(hand.told[2], 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hangup_in_place_of_welcome_is_eacces),
		TEST(anything_else_in_place_of_welcome_is_eproto),
		TEST(fewer_slices_than_expected_is_erange),
		TEST(request_is_sent_once),
		TEST(announcement_of_all_wakes_all),
		TEST(revocation_is_answered_with_its_number),
		TEST(revocation_is_answered_when_no_thread_is_busy),
		TEST(destroy_gives_back_what_was_revoked),
		TEST(hangup_while_a_thread_is_busy),
		TEST(revocation_found_by_a_touch),
		TEST(revoked_dmabuf_is_let_go_of),
		TEST(release_that_found_no_room_is_made_up_for),
		TEST(grant_not_asked_for_is_ignored),
		TEST(descriptor_stays_until_destroy),
		TEST(garbage_ends_the_channel),
		TEST(loss_found_by_a_touch_is_told),
		TEST(loss_found_by_a_touch_is_told_at_the_hangup),
	};

	return cmocka_run_group_tests_name("lessee, wire", tests, eal_setup, eal_teardown);
}
