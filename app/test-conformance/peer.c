/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>

#include "conformance.h"
#include "fd_message.h"

enum request { TOUCH, MAP };

bool
send_message(int socket, const void *data, size_t size, int fd)
{
	return fd_message_send(socket, data, size, fd, fd >= 0, 0) == (ssize_t)size;
}

bool
receive_message(int socket, void *data, size_t size, int *fd)
{
	return fd_message_receive(socket, data, size, fd) == (ssize_t)size;
}

static void
send_request(int socket, enum request request, int fd)
{
	CHECK(send_message(socket, &request, sizeof(request), fd));
}

static bool
receive_request(int socket, enum request *request, int *fd)
{
	return receive_message(socket, request, sizeof(*request), fd);
}

void
send_descriptor(int socket, int fd)
{
	send_request(socket, MAP, fd);
}

int
receive_descriptor(int socket)
{
	enum request request;
	int fd = -1;

	return receive_request(socket, &request, &fd) ? fd : -1;
}

static _Noreturn void
serve(int socket, const volatile uint32_t *mapping)
{
	enum request request;
	int fd = -1, answer;

	while (receive_request(socket, &request, &fd)) {
		if (request == TOUCH) {
			answer = touch(mapping, NULL);
		} else {
			mapping = mmap(NULL, target.page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				       0);
			answer = mapping == MAP_FAILED ? errno : 0;
			close(fd);
		}
		if (write(socket, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

void
peer_start(struct peer *peer, const volatile uint32_t *mapping)
{
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	peer->pid = fork();
	CHECK_OK(peer->pid);
	if (peer->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		/* Or the device would not be closed when the parent closes it. */
		vfio_close(&target.dev);
		serve(pair[1], mapping);
	}
	close(pair[1]);
	peer->socket = pair[0];
}

static int
answer(struct peer *peer)
{
	int value;

	CHECK(read(peer->socket, &value, sizeof(value)) == sizeof(value));
	return value;
}

int
peer_touch(struct peer *peer)
{
	send_request(peer->socket, TOUCH, -1);
	return answer(peer);
}

int
peer_map(struct peer *peer, int fd)
{
	send_request(peer->socket, MAP, fd);
	return answer(peer);
}

void
peer_stop(struct peer *peer)
{
	int status;

	close(peer->socket);
	CHECK(waitpid(peer->pid, &status, 0) == peer->pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
