/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The rendezvous by a socket in the file system: for other users and containers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lease_agent.h"
#include "lease_lessee.h"
#include "lease_world.h"

static char path[64];

static struct bar_lessor_conf
socket_conf(void)
{
	struct bar_lessor_conf conf = lessor_conf();

	snprintf(path, sizeof(path), "/tmp/test_bar_lease_socket.%d", getpid());
	conf.socket_path = path;
	return conf;
}

static int
setup(void **state)
{
	struct bar_lessor_conf conf;

	if (world_setup_empty(state) != 0)
		return -1;
	conf = socket_conf();
	lessor_create(&conf, NULL);
	return 0;
}

static int
teardown(void **state)
{
	int ret = hand_teardown(state);

	if (access(path, F_OK) == 0) {
		print_error("%s is left\n", path);
		unlink(path);
		return -1;
	}
	return ret;
}

static struct sockaddr_un
socket_address(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, sizeof(path));
	return address;
}

static int
call_in(void)
{
	const struct sockaddr_un address = socket_address();
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static struct agent *
agent_call_in(uid_t uid)
{
	struct agent *agent = agent_take(call_in(), uid);

	assert_true(agent_say(agent, LEASE_HELLO, 0, 0) > 0);
	agent_hear(agent, LEASE_WELCOME);
	return agent;
}

static void
agents_are_served(void **state)
{
	struct agent *agent = agent_call_in(getuid());

	agent_get(agent, 0);
	assert_int_equal(slice_info(0).pid, agent_pid(agent));
	agent_be_refused(agent_start(), 0, EBUSY, agent_pid(agent));
	agent_kill(agent);
	wait_state(0, BAR_LEASE_FREE);
	assert_int_equal(count_events(EVENT_RESET, 0), 1);
}

static void
lessee_finds_it_by_the_path(void **state)
{
	struct bar_lessee_conf conf = hand_conf();

	memset(&hand, 0, sizeof(hand));
	world.reply_error = ETIMEDOUT; /* of rte_mp */
	conf.socket_path = path;
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), 0);
	bar_lessee_request(hand.lessee, 3);
	wait_state(3, BAR_LEASE_LEASED);
	assert_int_equal(slice_info(3).pid, getpid());
	assert_int_equal(bar_lessor_revoke(world.lessor, 3), 0);
	wait_state(3, BAR_LEASE_FREE);
}

static void
lessee_takes_a_channel_that_is_open(void **state)
{
	struct bar_lessee_conf conf = hand_conf();

	memset(&hand, 0, sizeof(hand));
	world.reply_error = ETIMEDOUT;
	conf.channel_fd = call_in();
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), 0);
	bar_lessee_request(hand.lessee, 3);
	wait_state(3, BAR_LEASE_LEASED);
}

static void
failures_to_connect_have_their_codes(void **state)
{
	struct bar_lessee_conf conf = hand_conf();
	char longest[200];

	conf.socket_path = "/tmp/test_bar_lease_socket.nowhere";
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	conf.socket_path = longest;
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), -ENAMETOOLONG);
}

/* What the kernel says of the sender comes also with what was sent before the accept. */
static void
hello_before_the_accept(void **state)
{
	struct agent *agent;

	interrupts_hold();
	agent = agent_take(call_in(), getuid());
	agent_say(agent, LEASE_HELLO, 0, 0);
	agent_say(agent, LEASE_REQUEST, 0, 0);
	interrupts_go();
	agent_hear(agent, LEASE_WELCOME);
	agent_hear(agent, LEASE_GRANT);
	assert_int_equal(slice_info(0).pid, agent_pid(agent));
	agent_kill(agent);
	wait_state(0, BAR_LEASE_FREE);
}

/* Said by a process that has ended when it is read: served as one that ends. */
static void
killed_before_the_accept(void **state)
{
	unsigned int before = count_descriptors();
	struct agent *agent;

	interrupts_hold();
	agent = agent_take(call_in(), getuid());
	agent_say(agent, LEASE_HELLO, 0, 0);
	agent_say(agent, LEASE_REQUEST, 0, 0);
	agent_kill(agent);
	agent_reap(agent);
	interrupts_go();
	agent_get(agent_call_in(getuid()), 0);
	/* Of two agents and one channel. */
	assert_true(count_descriptors() <= before + 5);
}

static void
another_user_is_known(void **state)
{
	struct agent *agent;

	if (getuid() != 0)
		skip();
	agent = agent_call_in(12345); /* connected by root: who speaks is what counts */
	agent_get(agent, 0);
	assert_int_equal(slice_info(0).uid, 12345);
}

static void
mode_is_that_asked_for(void **state)
{
	struct bar_lessor_conf conf = socket_conf();
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	bar_lessor_destroy(world.lessor);
	conf.socket_mode = 0666;
	lessor_create(&conf, NULL);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
}

static void
socket_in_use_is_left_alone(void **state)
{
	struct bar_lessor_conf conf = socket_conf();
	struct bar_lessor *second = NULL;

	conf.name = "0000:00:05.0";
	assert_int_equal(bar_lessor_create(&conf, &second), -EADDRINUSE);
	assert_null(second);
	agent_call_in(getuid());
}

static void
stale_socket_is_replaced(void **state)
{
	struct bar_lessor_conf conf = socket_conf();
	const struct sockaddr_un address = socket_address();
	int fd;

	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	lessor_create(&conf, NULL);
	agent_call_in(getuid());
}

static void
other_file_is_left_alone(void **state)
{
	struct bar_lessor_conf conf = socket_conf();

	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(bar_lessor_create(&conf, &world.lessor), -EADDRINUSE);
	assert_int_equal(unlink(path), 0);
}

/* Not removed when the lessor goes, if somebody has put another in its place. */
static void
anothers_socket_is_left_alone(void **state)
{
	const struct sockaddr_un address = socket_address();
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	assert_int_equal(unlink(path), 0);
	close(fd);
}

static void
too_many_are_told_so(void **state)
{
	int channels[BAR_LEASE_MAX_PEERS], extra;
	struct lease_ancillary ancillary;
	struct lease_message message;
	struct pollfd readable;
	unsigned int i;

	for (i = 0; i < BAR_LEASE_MAX_PEERS; i++)
		channels[i] = attach();
	extra = call_in();
	readable = (struct pollfd){ .fd = extra, .events = POLLIN };
	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_int_equal(lease_receive(extra, &message, &ancillary), 0);
	assert_int_equal(message.type, LEASE_REFUSE);
	assert_int_equal(message.value, EUSERS);
	close(extra);
	for (i = 0; i < BAR_LEASE_MAX_PEERS; i++)
		close(channels[i]);
}

/* A process of its own namespaces: it knows itself as number 1, the lessor by the number here. */
static void
process_in_a_container_is_known(void **state)
{
	struct lease_message hello = { .version = LEASE_PROTOCOL_VERSION, .type = LEASE_HELLO };
	struct lease_message request = { .version = LEASE_PROTOCOL_VERSION, .type = LEASE_REQUEST };
	int channel = call_in(), status;
	struct bar_lease_peer peers[2];
	pid_t pid = fork();

	assert_true(channel >= 0 && pid >= 0);
	if (pid == 0) {
		if (syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWPID) != 0)
			_exit(77);
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
		if (pid == 0) {
			if (syscall(SYS_getpid) != 1)
				_exit(1);
			send(channel, &hello, sizeof(hello), MSG_NOSIGNAL);
			send(channel, &request, sizeof(request), MSG_NOSIGNAL);
			alarm(60);
			for (;;)
				pause();
		}
		_exit(pid > 0 ? 0 : 77);
	}
	close(channel);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	wait_state(0, BAR_LEASE_LEASED);
	assert_int_equal(bar_lessor_peers(world.lessor, peers, 2), 1);
	assert_true(peers[0].pid > 1 && peers[0].pid != pid);
	assert_int_equal(peers[0].uid, getuid());
	assert_int_equal(slice_info(0).pid, peers[0].pid);
	/* Known well enough to be drained and fenced. */
	assert_int_equal(bar_lessor_drain(world.lessor, peers[0].pid, BAR_LEASE_FENCE, 0), 1);
	wait_state(0, BAR_LEASE_FREE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(agents_are_served),
		TEST(lessee_finds_it_by_the_path),
		TEST(lessee_takes_a_channel_that_is_open),
		TEST(failures_to_connect_have_their_codes),
		TEST(hello_before_the_accept),
		TEST(killed_before_the_accept),
		TEST(another_user_is_known),
		TEST(mode_is_that_asked_for),
		TEST(socket_in_use_is_left_alone),
		TEST(stale_socket_is_replaced),
		TEST(other_file_is_left_alone),
		TEST(anothers_socket_is_left_alone),
		TEST(too_many_are_told_so),
		TEST(process_in_a_container_is_known),
	};

	return cmocka_run_group_tests_name("socket", tests, eal_setup, eal_teardown);
}
