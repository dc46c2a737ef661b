/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bar_lease_private.h"

/* Since Linux 6.5; Debian 12's C library headers are older. */
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/* More than anybody honest sends, so that a surplus is seen and closed, not truncated away. */
#define MAX_FDS 8

int
lease_send(int channel, const struct lease_message *message, int fd)
{
	union {
		char data[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = {
		.iov_base = (void *)(uintptr_t)message,
		.iov_len = sizeof(*message),
	};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *cmsg = &control.align;

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
		msg.msg_control = control.data;
		msg.msg_controllen = sizeof(control.data);
	}
	if (sendmsg(channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/*
 * The default, some 270 messages, can be less than what is said at once of a device's queues. The
 * kernel grants up to twice net.core.wmem_max: unless somebody changed it, twice the default.
 */
void
lease_widen(int channel)
{
	int size = BAR_LEASE_MAX_SLICES * 4096;

	setsockopt(channel, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void
lease_ancillary_close(struct lease_ancillary *ancillary)
{
	if (ancillary->fd >= 0)
		close(ancillary->fd);
	if (ancillary->pidfd >= 0)
		close(ancillary->pidfd);
	ancillary->fd = -1;
	ancillary->pidfd = -1;
}

/* Keeps the first descriptor, closes the others; returns how many there were. */
static unsigned int
collect_rights(const struct cmsghdr *cmsg, int *kept)
{
	unsigned int i, count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	const unsigned char *data = CMSG_DATA(cmsg);
	int fd;

	for (i = 0; i < count; i++) {
		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		if (*kept < 0)
			*kept = fd;
		else
			close(fd);
	}
	return count;
}

int
lease_receive(int channel, struct lease_message *message, struct lease_ancillary *ancillary)
{
	union {
		char data[CMSG_SPACE(MAX_FDS * sizeof(int)) + CMSG_SPACE(sizeof(int)) +
			  CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(*message) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.data,
		.msg_controllen = sizeof(control.data),
	};
	unsigned int nb_fds = 0;
	struct cmsghdr *cmsg;
	ssize_t length;

	*ancillary = (struct lease_ancillary){ .fd = -1, .pidfd = -1 };
	/*
	 * ECONNRESET comes once, when the peer closed before it had read all of ours. What it sent
	 * until then is still to be had, and the end of file comes after it.
	 */
	do {
		length = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (length < 0 && (errno == EINTR || errno == ECONNRESET));
	if (length < 0)
		return -errno;

	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg != NULL; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_RIGHTS)
			nb_fds += collect_rights(cmsg, &ancillary->fd);
		else if (cmsg->cmsg_type == SCM_PIDFD)
			collect_rights(cmsg, &ancillary->pidfd);
		else if (cmsg->cmsg_type == SCM_CREDENTIALS)
			memcpy(&ancillary->cred, CMSG_DATA(cmsg), sizeof(ancillary->cred));
	}
	/* No message of ours is empty, so nothing read is end of file, or as good as. */
	if (length == 0 && nb_fds == 0) {
		lease_ancillary_close(ancillary);
		return -EPIPE;
	}
	if ((size_t)length != sizeof(*message) || nb_fds > 1 ||
	    (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    message->version != LEASE_PROTOCOL_VERSION) {
		lease_ancillary_close(ancillary);
		return -EPROTO;
	}
	return 0;
}
