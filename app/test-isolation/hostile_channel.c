/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Lies on the channel. After each an honest exchange must work, on a channel of its own.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "fd_message.h"
#include "hostile.h"

#define SIZE sizeof(struct lease_message)
#define VERSION LEASE_PROTOCOL_VERSION
#define MAX_BYTES 65536
#define PATIENCE_MS 5000
#define FLOOD_S 3

struct lie {
	bool greeted;
	struct lease_message message;
	size_t length;
	unsigned int n_fds;
};

#define LIE(...) (&(const struct lie){ __VA_ARGS__ })

static int
lie(const void *arg)
{
	static char bytes[MAX_BYTES];
	const struct lie *lie = arg;
	int channel = lie->greeted ? channel_greeted() : channel_open();
	int ret;

	if (channel < 0)
		cannot_begin("connect");
	memcpy(bytes, &lie->message, SIZE);
	ret = got(fd_message_send(channel, bytes, lie->length, STDERR_FILENO, lie->n_fds, 0));
	return ret != WORKED ? ret : channel_hear_end(channel, PATIENCE_MS);
}

/** A channel in a channel: the kernel has to find the circle. */
static int
send_channel_into_itself(const void *arg)
{
	struct lease_message message = { VERSION, LEASE_REQUEST, victim.mine, 0, 0 };
	int channel = channel_greeted();
	int ret = got(fd_message_send(channel, &message, SIZE, channel, 1, 0));

	return ret != WORKED ? ret : channel_hear_end(channel, PATIENCE_MS);
}

static int
say_half_and_wait(const void *arg)
{
	int channel = channel_greeted();

	send(channel, "\x02\0\x03", 3, MSG_NOSIGNAL);
	return channel_hear_end(channel, PATIENCE_MS);
}

static int
say_nothing(const void *arg)
{
	return channel_hear_end(channel_open(), PATIENCE_MS);
}

static int
say_urgently(const void *arg)
{
	struct lease_message message = { VERSION, LEASE_REQUEST, victim.mine, 0, 0 };

	return got(send(channel_greeted(), &message, SIZE, MSG_OOB | MSG_NOSIGNAL));
}

static int
pretend_to_be(const void *arg)
{
	union {
		char data[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control = { 0 };
	struct lease_message message = { VERSION, LEASE_HELLO, 0, 0, 0 };
	struct iovec iov = { .iov_base = &message, .iov_len = SIZE };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.data, .msg_controllen = sizeof(control.data),
	};
	const bool *as_root = arg;
	struct ucred cred = { getpid(), getuid(), getgid() };

	if (*as_root)
		cred.uid = 0;
	else
		cred.pid = victim.primary;
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_CREDENTIALS;
	control.align.cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(&control.align), &cred, sizeof(cred));
	return got(sendmsg(channel_open(), &msg, MSG_NOSIGNAL));
}

static int
ask_for(const void *arg)
{
	const uint32_t *slice = arg;
	int fd;

	return channel_ask(channel_greeted(), *slice, &fd, NULL);
}

/** Any answer would be one too many. */
static int
ask_before_hello(const void *arg)
{
	int fd;

	return channel_ask(channel_open(), victim.mine, &fd, NULL);
}

static int
ask_twice(const void *arg)
{
	struct holding h = take_lease();
	int fd;

	return channel_ask(h.channel, victim.mine, &fd, NULL);
}

static int
ask_by_another_channel(const void *arg)
{
	int fd;

	take_lease();
	return channel_ask(channel_greeted(), victim.mine, &fd, NULL);
}

/** Its holder still has it afterwards. */
static int
release_others(const void *arg)
{
	int channel = channel_greeted(), fd;
	int32_t lease;

	for (lease = 0; lease < 64; lease++)
		channel_say(channel, LEASE_RELEASE, victim.others, lease);
	return channel_ask(channel, victim.others, &fd, NULL);
}

static int
release_by_stale_number(const void *arg)
{
	struct holding h = take_lease();
	int fd;

	channel_say(h.channel, LEASE_RELEASE, victim.mine, h.lease - 1);
	channel_say(h.channel, LEASE_RELEASE, victim.mine, h.lease + 1);
	return channel_ask(h.channel, victim.mine, &fd, NULL);
}

static int
call_on(int channel, const struct lease_message *message)
{
	struct lease_message answer = { .type = 0 };

	if (lease_send(channel, message, -1) != 0)
		return HUNG_UP_ON;
	if (channel_hear_type(channel, LEASE_ANSWER, &answer, NULL) != WORKED)
		return HUNG_UP_ON;
	return -answer.value;
}

static int
call(const void *arg)
{
	return call_on(channel_greeted(), arg);
}

static int
call_before_hello(const void *arg)
{
	return call_on(channel_open(), arg);
}

static int
call_often(const void *arg)
{
	struct lease_message answer = { .type = 0 };
	int channel = channel_greeted(), i, ret = WORKED;

	for (i = 0; i < 1000 && ret == WORKED && answer.value != -EAGAIN; i++) {
		channel_say(channel, LEASE_CALL, 99, 0);
		ret = channel_hear_type(channel, LEASE_ANSWER, &answer, NULL);
	}
	return ret == WORKED ? -answer.value : ret;
}

static time_t
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/** Hung up on when no more answers fit. */
static int
flood_unread(const void *arg)
{
	const uint16_t *type = arg;
	int channel = channel_greeted();
	time_t end = now() + 2 * FLOOD_S;
	bool sent = true;

	while (now() < end && (sent || errno == EAGAIN))
		sent = channel_say(channel, *type, victim.others, 0);
	return channel_hear_end(channel, 100);
}

/** Within what is allowed to everybody, or hung up on. */
static int
flood_and_read(const void *arg)
{
	int channel = channel_greeted(), fd, ret = EBUSY;
	time_t end = now() + FLOOD_S;

	while (now() < end && ret == EBUSY)
		ret = channel_ask(channel, victim.others, &fd, NULL);
	return ret == EBUSY ? NO_EFFECT : ret;
}

/** Each of them costs a reset. */
static int
flood_with_leases(const void *arg)
{
	struct holding h = take_lease();
	time_t end = now() + FLOOD_S;
	int ret = WORKED;

	while (now() < end && (ret == WORKED || ret == EBUSY)) {
		if (ret == WORKED)
			channel_say(h.channel, LEASE_RELEASE, victim.mine, h.lease);
		close(h.fd);
		ret = channel_ask(h.channel, victim.mine, &h.fd, &h.lease);
	}
	return ret == WORKED || ret == EBUSY ? NO_EFFECT : ret;
}

/** Before their time for a HELLO is over. */
static int
connect_silently(const void *arg)
{
	enum { MANY = 100 };
	const struct timespec pause = { .tv_nsec = 10000000 };
	int channels[MANY], i, ms, alive = MANY;

	for (i = 0; i < MANY; i++)
		channels[i] = channel_open();
	for (ms = 0; ms < BAR_LEASE_HELLO_MS / 2 && alive > MANY / 2; ms += 10) {
		for (alive = 0, i = 0; i < MANY; i++)
			alive += channel_hear_end(channels[i], 0) == NO_EFFECT;
		nanosleep(&pause, NULL);
	}
	return alive > 0 && alive <= MANY / 2 ? HUNG_UP_ON : WORKED;
}

static int
connect_too_often(const void *arg)
{
	enum { MANY = 200 };
	struct lease_message message;
	int channel, i, ret = WORKED;

	for (i = 0; i < MANY && ret == WORKED; i++) {
		message.type = 0;
		channel = channel_open();
		if (channel < 0)
			return errno;
		channel_say(channel, LEASE_HELLO, 0, 0);
		ret = channel_hear_type(channel, LEASE_WELCOME, &message, NULL);
		if (ret == WORKED && message.type == LEASE_REFUSE)
			return message.value;
	}
	return ret;
}

static int
connect_and_go(const void *arg)
{
	enum { MANY = 3000 };
	int i, fd;

	for (i = 0; i < MANY; i++) {
		fd = channel_open();
		if (fd >= 0 && i % 2 == 0)
			channel_say(fd, LEASE_HELLO, 0, 0);
		close(fd);
	}
	close(channel_greeted());
	return NO_EFFECT;
}

static int
connect_as(const void *arg)
{
	const int *type = arg;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, *type, 0);

	strncpy(address.sun_path, victim.socket, sizeof(address.sun_path) - 1);
	return got(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int
listen_in_its_place(const void *arg)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strncpy(address.sun_path, victim.socket, sizeof(address.sun_path) - 1);
	return got(bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int
remove_socket(const void *arg)
{
	return got(unlink(victim.socket));
}

static int
change_socket(const void *arg)
{
	return got(chmod(victim.socket, 0777));
}

#define TYPE(type_) &(const uint16_t){ type_ }
#define TRUTH(greeted, type, slice) LIE(greeted, { VERSION, type, slice }, SIZE, 0)
#define CALL(code, value) &(const struct lease_message){ VERSION, LEASE_CALL, code, value, 1 }

static const struct attack attacks[] = {
	{ "version 0", lie, HUNG_UP_ON, 0, LIE(false, { 0, LEASE_HELLO }, SIZE, 0), NULL },
	{ "version of tomorrow", lie, HUNG_UP_ON, 0,
	  LIE(false, { VERSION + 1, LEASE_HELLO }, SIZE, 0), NULL },
	{ "another version later", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION + 1, LEASE_REQUEST }, SIZE, 0), NULL },
	{ "an empty message", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, 0, 0), NULL },
	{ "one byte", lie, HUNG_UP_ON, 0, LIE(true, { VERSION, LEASE_REQUEST }, 1, 0), NULL },
	{ "a truncated message", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, SIZE - 1, 0), NULL },
	{ "an oversized message", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, SIZE + 1, 0), NULL },
	{ "64 KiB", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, MAX_BYTES, 0), NULL },
	{ "type 0", lie, HUNG_UP_ON, 0, TRUTH(true, 0, 0), NULL },
	{ "an unknown type", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_NOTICE + 1, 0), NULL },
	{ "the largest type", lie, HUNG_UP_ON, 0, TRUTH(true, UINT16_MAX, 0), NULL },
	{ "WELCOME to the lessor", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_WELCOME, 0), NULL },
	{ "GRANT to the lessor", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_GRANT }, SIZE, 1), NULL },
	{ "REFUSE to the lessor", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_REFUSE, 0), NULL },
	{ "REVOKED to the lessor", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_REVOKED, 0), NULL },
	{ "AVAILABLE to the lessor", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_AVAILABLE, 0), NULL },
	{ "ANSWER to the lessor", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_ANSWER, 0), NULL },
	{ "NOTICE to the lessor", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_NOTICE, 0), NULL },
	{ "a request before HELLO", ask_before_hello, HUNG_UP_ON, 0, NULL, NULL },
	{ "a release before HELLO", lie, HUNG_UP_ON, 0, TRUTH(false, LEASE_RELEASE, 0), NULL },
	{ "a call before HELLO", call_before_hello, HUNG_UP_ON, 0, CALL(99, 0), NULL },
	{ "HELLO twice", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_HELLO, 0), NULL },
	{ "a slice that there is not", lie, HUNG_UP_ON, 0,
	  TRUTH(true, LEASE_REQUEST, BAR_LEASE_MAX_SLICES), NULL },
	{ "a slice below 0", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_REQUEST, 1U << 31), NULL },
	{ "all slices", lie, HUNG_UP_ON, 0, TRUTH(true, LEASE_REQUEST, LEASE_ALL_SLICES), NULL },
	{ "the release of what there is not", lie, HUNG_UP_ON, 0,
	  TRUTH(true, LEASE_RELEASE, LEASE_ALL_SLICES - 1), NULL },
	{ "HELLO with a descriptor", lie, HUNG_UP_ON, 0,
	  LIE(false, { VERSION, LEASE_HELLO }, SIZE, 1), NULL },
	{ "HELLO with 253 descriptors", lie, HUNG_UP_ON, 0,
	  LIE(false, { VERSION, LEASE_HELLO }, SIZE, FD_MESSAGE_MAX), NULL },
	{ "a descriptor", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, SIZE, 1), NULL },
	{ "9 descriptors", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, SIZE, 9), NULL },
	{ "253 descriptors", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, SIZE, FD_MESSAGE_MAX), NULL },
	{ "half a message with descriptors", lie, HUNG_UP_ON, 0,
	  LIE(true, { VERSION, LEASE_REQUEST }, 3, 3), NULL },
	{ "the channel through itself", send_channel_into_itself, HUNG_UP_ON, 0, NULL, NULL },
	{ "half a message and silence", say_half_and_wait, HUNG_UP_ON, 0, NULL, NULL },
	{ "silence", say_nothing, HUNG_UP_ON, 0, NULL, NULL },
	{ "an urgent message", say_urgently, EOPNOTSUPP, 0, NULL, NULL },
	{ "HELLO as root", pretend_to_be, EPERM, 0, &(const bool){ true }, NULL },
	{ "HELLO as the primary", pretend_to_be, EPERM, 0, &(const bool){ false }, NULL },
	{ "another's slice", ask_for, EBUSY, EACCES, &victim.others, NULL },
	{ "the primary's slice", ask_for, EBUSY, EACCES, &victim.primarys, NULL },
	{ "a slice that no rule allows", ask_for, EACCES, EPERM, &victim.denied, NULL },
	{ "one's slice twice", ask_twice, EBUSY, 0, NULL, NULL },
	{ "one's slice by another channel", ask_by_another_channel, EBUSY, 0, NULL, NULL },
	{ "the release of another's slice", release_others, EBUSY, EACCES, NULL, NULL },
	{ "the release of another lease", release_by_stale_number, EBUSY, 0, NULL, NULL },
	{ "a call that there is not", call, ENOTSUP, 0, CALL(99, 0), NULL },
	{ "the largest call", call, ENOTSUP, 0, CALL(UINT32_MAX, 1), NULL },
	{ "a call with a value that there is not", call, EINVAL, 0, CALL(1, 2), NULL },
	{ "a call with the least value", call, EINVAL, 0, CALL(1, INT32_MIN), NULL },
	{ "a thousand calls", call_often, EAGAIN, 0, NULL, NULL },
	{ "requests, answers unread", flood_unread, HUNG_UP_ON, 0, TYPE(LEASE_REQUEST), NULL },
	{ "calls, answers unread", flood_unread, HUNG_UP_ON, 0, TYPE(LEASE_CALL), NULL },
	{ "requests without end", flood_and_read, NO_EFFECT, HUNG_UP_ON, NULL, NULL },
	{ "leases without end", flood_with_leases, NO_EFFECT, HUNG_UP_ON, NULL, NULL },
	{ "a hundred silent channels", connect_silently, HUNG_UP_ON, 0, NULL, NULL },
	{ "two hundred channels", connect_too_often, EUSERS, 0, NULL, NULL },
	{ "thousands of channels", connect_and_go, NO_EFFECT, 0, NULL, NULL },
	{ "a stream", connect_as, EPROTOTYPE, 0, &(const int){ SOCK_STREAM }, NULL },
	{ "datagrams", connect_as, EPROTOTYPE, 0, &(const int){ SOCK_DGRAM }, NULL },
	{ "listen in its place", listen_in_its_place, EADDRINUSE, EACCES, NULL, NULL },
	{ "remove its socket", remove_socket, EACCES, EPERM, NULL, NULL },
	{ "open its socket to all", change_socket, EPERM, EACCES, NULL, NULL },
};

const struct attack_group channel_group = { GROUP("channel", attacks), .channel = true };
