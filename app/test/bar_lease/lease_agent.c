/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The child of a process with threads: between fork() and _exit() it uses system calls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd_message.h"
#include "lease_agent.h"

#define MAX_AGENTS 256
#define MAX_DATA 64

/* Descriptors of the child. */
#define CONTROL 3
#define CHANNEL 4
#define DMABUF 5

enum order { ORDER_SEND, ORDER_RECEIVE, ORDER_LOOK, ORDER_CLOSE, ORDER_FORK };

struct command {
	enum order order;
	size_t length;
	unsigned int nb_fds;
	int count;
	int wait_ms;
	char data[MAX_DATA];
};

struct report {
	int ret;
	bool with_dmabuf;
	struct lease_message message;
};

struct agent {
	pid_t pid;
	int control;
	bool dead;
};

static struct agent agents[MAX_AGENTS];
static unsigned int nb_agents;

/* ---- The child ---- */

static int
child_send(const struct command *command)
{
	int sent = 0;
	ssize_t ret;

	do {
		ret = fd_message_send(CHANNEL, command->data, command->length, CONTROL,
				      command->nb_fds, MSG_DONTWAIT);
	} while (ret >= 0 && ++sent < command->count);
	if (command->count > 0)
		return sent;
	return ret < 0 ? -errno : (int)ret;
}

static void
child_receive(const struct command *command, struct report *report)
{
	struct pollfd readable = { .fd = CHANNEL, .events = POLLIN };
	int fd = -1;

	if (poll(&readable, 1, command->wait_ms) <= 0) {
		report->ret = -ETIMEDOUT;
		return;
	}
	report->ret = (int)fd_message_receive(CHANNEL, &report->message, sizeof(report->message),
					      &fd);
	if (report->ret < 0) {
		report->ret = errno == ECONNRESET ? 0 : -errno;
		return;
	}
	if (fd >= 0) {
		dup2(fd, DMABUF);
		if (fd != DMABUF)
			close(fd);
		report->with_dmabuf = true;
	}
}

static int
child_fork(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	close(CONTROL);
	alarm(120); /* should nobody kill it */
	for (;;)
		pause();
}

static void
child(void)
{
	struct command command;
	struct report report;

	while (recv(CONTROL, &command, sizeof(command), 0) == sizeof(command)) {
		memset(&report, 0, sizeof(report));
		switch (command.order) {
		case ORDER_SEND:
			report.ret = child_send(&command);
			break;
		case ORDER_RECEIVE:
			child_receive(&command, &report);
			break;
		case ORDER_LOOK:
			report.ret = is_revoked(DMABUF);
			break;
		case ORDER_CLOSE:
			report.ret = close(CHANNEL);
			break;
		case ORDER_FORK:
			report.ret = child_fork();
			break;
		}
		send(CONTROL, &report, sizeof(report), MSG_NOSIGNAL);
	}
	_exit(0);
}

/* ---- The test ---- */

static struct report
order(struct agent *agent, struct command *command)
{
	struct report report;

	assert_int_equal(send(agent->control, command, sizeof(*command), MSG_NOSIGNAL),
			 sizeof(*command));
	assert_int_equal(recv(agent->control, &report, sizeof(report), 0), sizeof(report));
	return report;
}

struct agent *
agent_attach(void)
{
	return agent_take(meet(), getuid());
}

struct agent *
agent_take(int channel, uid_t uid)
{
	struct agent *agent = &agents[nb_agents];
	int control[2];

	assert_true(channel >= 0);
	assert_true(nb_agents < MAX_AGENTS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	agent->pid = fork();
	assert_true(agent->pid >= 0);
	if (agent->pid == 0) {
		/* Out of the way, then into place; the lessor's descriptors must go. */
		int from = fcntl(channel, F_DUPFD, 2 * DMABUF);
		int keep = fcntl(control[1], F_DUPFD, 2 * DMABUF);

		dup2(keep, CONTROL);
		dup2(from, CHANNEL);
		syscall(SYS_close_range, DMABUF, ~0U, 0);
		/* The system call itself: the library's function waits for other threads. */
		if (uid != getuid() && syscall(SYS_setresuid, uid, uid, uid) != 0)
			_exit(1);
		child();
	}
	close(channel);
	close(control[1]);
	agent->control = control[0];
	agent->dead = false;
	nb_agents++;
	return agent;
}

struct agent *
agent_start(void)
{
	struct agent *agent = agent_attach();

	assert_true(agent_say(agent, LEASE_HELLO, 0, 0) > 0);
	assert_int_equal(agent_hear(agent, LEASE_WELCOME).value, NB_SLICES);
	return agent;
}

pid_t
agent_pid(const struct agent *agent)
{
	return agent->pid;
}

int
agent_send(struct agent *agent, const void *data, size_t length, unsigned int nb_fds)
{
	struct command command = { .order = ORDER_SEND, .length = length, .nb_fds = nb_fds };

	assert_true(length <= sizeof(command.data) && nb_fds <= FD_MESSAGE_MAX);
	memcpy(command.data, data, length);
	return order(agent, &command).ret;
}

int
agent_say(struct agent *agent, enum lease_message_type type, uint32_t slice, int32_t value)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
		.value = value,
	};

	return agent_send(agent, &message, sizeof(message), 0);
}

int
agent_flood(struct agent *agent, enum lease_message_type type, uint32_t slice, int count)
{
	struct command command = { .order = ORDER_SEND, .count = count };
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
	};

	command.length = sizeof(message);
	memcpy(command.data, &message, sizeof(message));
	return order(agent, &command).ret;
}

static struct report
receive(struct agent *agent, int wait_ms)
{
	struct command command = { .order = ORDER_RECEIVE, .wait_ms = wait_ms };

	return order(agent, &command);
}

struct lease_message
agent_hear(struct agent *agent, enum lease_message_type type)
{
	struct report report;

	do {
		report = receive(agent, PATIENCE_MS);
		assert_int_equal(report.ret, sizeof(report.message));
	} while (report.message.type == LEASE_AVAILABLE && type != LEASE_AVAILABLE);
	assert_int_equal(report.message.version, LEASE_PROTOCOL_VERSION);
	assert_int_equal(report.message.type, type);
	assert_int_equal(report.with_dmabuf, type == LEASE_GRANT);
	return report.message;
}

struct lease_message
agent_hear_answer(struct agent *agent, unsigned int slice)
{
	struct report report;

	assert_true(agent_say(agent, LEASE_REQUEST, slice, 0) > 0);
	do {
		report = receive(agent, PATIENCE_MS);
		assert_int_equal(report.ret, sizeof(report.message));
	} while (report.message.type == LEASE_AVAILABLE);
	assert_int_equal(report.message.slice, slice);
	assert_true(report.message.type == LEASE_GRANT || report.message.type == LEASE_REFUSE);
	return report.message;
}

void
agent_hear_end(struct agent *agent)
{
	int ret;

	while ((ret = receive(agent, PATIENCE_MS).ret) > 0)
		;
	assert_int_equal(ret, 0);
}

bool
agent_hears_nothing(struct agent *agent)
{
	return receive(agent, 50).ret == -ETIMEDOUT;
}

int32_t
agent_get(struct agent *agent, unsigned int slice)
{
	struct lease_message message;

	assert_true(agent_say(agent, LEASE_REQUEST, slice, 0) > 0);
	message = agent_hear(agent, LEASE_GRANT);
	assert_int_equal(message.slice, slice);
	return message.value;
}

void
agent_be_refused(struct agent *agent, unsigned int slice, int error, pid_t holder)
{
	struct lease_message message;

	assert_true(agent_say(agent, LEASE_REQUEST, slice, 0) > 0);
	message = agent_hear(agent, LEASE_REFUSE);
	assert_int_equal(message.slice, slice);
	assert_int_equal(message.value, error);
	assert_int_equal(message.holder, holder);
}

bool
agent_sees_revoked(struct agent *agent)
{
	struct command command = { .order = ORDER_LOOK };

	return order(agent, &command).ret != 0;
}

void
agent_close(struct agent *agent)
{
	struct command command = { .order = ORDER_CLOSE };

	assert_int_equal(order(agent, &command).ret, 0);
}

pid_t
agent_fork(struct agent *agent)
{
	struct command command = { .order = ORDER_FORK };
	pid_t pid = order(agent, &command).ret;

	assert_true(pid > 0);
	return pid;
}

void
agent_kill(struct agent *agent)
{
	siginfo_t info;

	assert_int_equal(kill(agent->pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)agent->pid, &info, WEXITED | WNOWAIT), 0);
	agent->dead = true;
}

void
agent_reap(struct agent *agent)
{
	assert_int_equal(waitpid(agent->pid, NULL, 0), agent->pid);
	agent->pid = 0;
}

void
agents_end(void)
{
	struct agent *agent;

	while (nb_agents > 0) {
		agent = &agents[--nb_agents];
		if (!agent->dead)
			kill(agent->pid, SIGKILL);
		if (agent->pid != 0)
			waitpid(agent->pid, NULL, 0);
		close(agent->control);
	}
}

struct agent *
bystander_start(void)
{
	struct agent *bystander = agent_start();

	agent_get(bystander, NB_SLICES - 1);
	return bystander;
}

void
bystander_is_served(struct agent *bystander)
{
	struct agent *newcomer = agent_start();
	int32_t lease = agent_get(bystander, NB_SLICES - 2);

	agent_say(bystander, LEASE_RELEASE, NB_SLICES - 2, lease);
	wait_state(NB_SLICES - 2, BAR_LEASE_FREE);
	assert_int_equal(slice_state(NB_SLICES - 1), BAR_LEASE_LEASED);
	agent_be_refused(newcomer, NB_SLICES - 1, EBUSY, agent_pid(bystander));
	assert_int_equal(count_events(EVENT_RESET, NB_SLICES - 1), 0);
}
