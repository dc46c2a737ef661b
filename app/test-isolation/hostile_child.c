/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fd_message.h"
#include "hostile.h"

enum order { KEEP, MAP, TOUCH, TOUCH_MAPPED };

struct command {
	enum order order;
	off_t offset;
	volatile uint16_t *address;
};

static bool
send_with(int socket, const void *data, size_t size, int fd)
{
	return fd_message_send(socket, data, size, fd, fd >= 0, 0) == (ssize_t)size;
}

static bool
receive_with(int socket, void *data, size_t size, int *fd)
{
	return fd_message_receive(socket, data, size, fd) == (ssize_t)size;
}

bool
send_descriptor(int socket, int fd)
{
	return send_with(socket, "x", 1, fd);
}

int
receive_descriptor(int socket)
{
	int fd = -1;
	char byte;

	receive_with(socket, &byte, 1, &fd);
	return fd;
}

static _Noreturn void
obey(int socket)
{
	volatile uint16_t *mapped = MAP_FAILED;
	struct command command;
	int fd = -1, answer;

	while (receive_with(socket, &command, sizeof(command), &fd)) {
		answer = WORKED;
		if (command.order == MAP) {
			mapped = mmap(NULL, victim.page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				      command.offset);
			answer = mapped == MAP_FAILED ? errno : WORKED;
		} else if (command.order != KEEP) {
			answer = touch(command.order == TOUCH ? command.address : mapped);
		}
		if (write(socket, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

struct child
child_start(void)
{
	struct child child;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		cannot_begin("socketpair");
	child.pid = fork();
	if (child.pid < 0)
		cannot_begin("fork");
	if (child.pid == 0) {
		close(pair[0]);
		obey(pair[1]);
	}
	close(pair[1]);
	child.socket = pair[0];
	return child;
}

static int
order(struct child *child, const struct command *command, int fd)
{
	int answer;

	if (!send_with(child->socket, command, sizeof(*command), fd) ||
	    read(child->socket, &answer, sizeof(answer)) != sizeof(answer))
		cannot_begin("a child is gone");
	return answer;
}

int
child_give(struct child *child, int fd)
{
	return order(child, &(struct command){ .order = KEEP }, fd);
}

int
child_map(struct child *child, off_t offset)
{
	return order(child, &(struct command){ .order = MAP, .offset = offset }, -1);
}

int
child_touch(struct child *child, volatile uint16_t *address)
{
	return order(child, &(struct command){ .order = TOUCH, .address = address }, -1);
}

int
child_touch_mapped(struct child *child)
{
	return order(child, &(struct command){ .order = TOUCH_MAPPED }, -1);
}

int
exec_map(int fd, off_t offset)
{
	char number[16], place[24];
	int copy = dup(fd), status;
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(number, sizeof(number), "%d", copy);
		snprintf(place, sizeof(place), "%jd", (intmax_t)offset);
		execl("/proc/self/exe", "hostile", "--map", number, place, NULL);
		_exit(ENOEXEC);
	}
	if (waitpid(pid, &status, 0) != pid)
		cannot_begin("a child is gone");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
