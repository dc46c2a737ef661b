/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FD_MESSAGE_H
#define FD_MESSAGE_H

/**
 * @file
 * Messages that carry descriptors over a local socket, for the test programs.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define FD_MESSAGE_MAX 253 /* SCM_MAX_FD of the kernel */

/** Send one message, so many times with this descriptor. Returns what sendmsg() does. */
static inline ssize_t
fd_message_send(int socket, const void *data, size_t length, int fd, unsigned int n_fds, int flags)
{
	union {
		char data[CMSG_SPACE(FD_MESSAGE_MAX * sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned int i;

	if (n_fds > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(fd));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(fd));
		for (i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(&control.header) + i * sizeof(fd), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | flags);
}

/**
 * Receive one message, and in *fd the descriptor that comes with it; without one *fd stays as it
 * is. Returns what recvmsg() does.
 */
static inline ssize_t
fd_message_receive(int socket, void *data, size_t size, int *fd)
{
	union {
		char data[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (length >= 0 && CMSG_FIRSTHDR(&message) != NULL &&
	    control.header.cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(&control.header), sizeof(*fd));
	return length;
}

#endif /* FD_MESSAGE_H */
