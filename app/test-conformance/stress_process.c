/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Processes without the device that are passed descriptors of its buffers. They map them, touch
 * them beyond their revoke, and hold some by an O_PATH descriptor, which keeps the DMABUF but not
 * its file.
 */

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "stress.h"

/* Held at a time by a stranger; the oldest goes first. */
#define NR_PATHS 32

static int sockets[NR_STRANGERS];
static pid_t strangers[NR_STRANGERS];

static void
hold_path(int fd)
{
	static int paths[NR_PATHS];
	static unsigned int next;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (paths[next])
		close(paths[next]);
	paths[next] = open(path, O_PATH | O_CLOEXEC);
	next = (next + 1) % NR_PATHS;
}

static _Noreturn void
be_stranger(int socket)
{
	struct loan loan = { .fd = -1 };
	char ready = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vfio_close(&target.dev);
	if (write(socket, &ready, 1) != 1)
		_exit(1);
	while (receive_message(socket, &loan, sizeof(loan), &loan.fd)) {
		volatile uint32_t *mapping = stress_map(loan.fd, 0, target.page);

		hold_path(loan.fd);
		close(loan.fd);
		for (int i = 0; mapping && i < 200 && !stress_is_revoked(&loan); i++)
			stress_touch(&loan, mapping);
		for (int i = 0; mapping && i < 5; i++)
			stress_touch(&loan, mapping);
		if (mapping)
			munmap((void *)(uintptr_t)mapping, target.page);
		stress_state->passed++;
	}
	_exit(0);
}

void
stress_start_strangers(void)
{
	for (int i = 0; i < NR_STRANGERS; i++) {
		int pair[2];
		char ready;

		CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
		strangers[i] = fork();
		CHECK_OK(strangers[i]);
		if (strangers[i] == 0) {
			/* Or the earlier ones would not see the end. */
			for (int j = 0; j < i; j++)
				close(sockets[j]);
			close(pair[0]);
			be_stranger(pair[1]);
		}
		close(pair[1]);
		sockets[i] = pair[0];
		CHECK(read(pair[0], &ready, 1) == 1);
	}
}

void
stress_stop_strangers(void)
{
	for (int i = 0; i < NR_STRANGERS; i++) {
		int status = 1;

		close(sockets[i]);
		CHECK(waitpid(strangers[i], &status, 0) == strangers[i]);
		CHECK(status == 0);
	}
}

void *
stress_pass(void *arg)
{
	struct loan loan = { .who = "process that was passed a descriptor" };

	for (unsigned int i = 0; !stress_state->stop; i++) {
		if (!stress_borrow(i % NR_SHARED, &loan))
			continue;
		/* Blocks while the stranger has enough of them; a signal may end that. */
		if (!send_message(sockets[i % NR_STRANGERS], &loan, sizeof(loan), loan.fd) &&
		    errno != EINTR)
			stress_wrong("passing a descriptor", errno);
		stress_return(&loan);
		usleep(500);
	}
	return arg;
}
