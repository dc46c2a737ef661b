/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The rendezvous for processes that EAL's channel does not reach: other users, containers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bar_lessor_private.h"

#define BACKLOG 64
#define DEFAULT_MODE 0600

/* One connection a turn: in between, those that are there already are heard. */
static int
take_connection(struct bar_lessor *lessor)
{
	/* cppcheck-suppress nullPointer ; accept4(2) allows it */
	int fd = accept4(lessor->listener_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
		return fd;
	/* Without a descriptor it could not be refused, and would wake us up for ever. */
	close(lessor->spare_fd);
	/* cppcheck-suppress nullPointer ; accept4(2) allows it */
	fd = accept4(lessor->listener_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	lessor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (budget_spend(&(const struct budget)BUDGET(1, 1), &lessor->no_descriptors, 1))
		LEASE_LOG(ERR, "%s: no descriptor for another process", lessor->name);
	return -1;
}

static void
refuse(int fd, int error)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_REFUSE,
		.slice = LEASE_ALL_SLICES,
		.value = error,
	};

	lease_send(fd, &message, -1);
	close(fd);
}

static void
connection(void *arg)
{
	struct bar_lessor *lessor = arg;
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);
	struct peer *peer;
	int fd;

	fd = take_connection(lessor);
	if (fd < 0)
		return;
	/* Whom to count it for until it says something; who it then is, may be somebody else. */
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	peer = peer_create(lessor, fd, who.uid);
	if (peer == NULL)
		refuse(fd, errno);
	else
		peer_begin(peer);
}

/* A file is left behind by a lessor that was killed; nobody listens there any more. */
static int
remove_stale(const struct bar_lessor *lessor, const struct sockaddr_un *address)
{
	struct stat status;
	int fd, ret;

	if (lstat(address->sun_path, &status) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode)) {
		LEASE_LOG(ERR, "%s: socket %s: something else is there", lessor->name,
			  address->sun_path);
		return -EADDRINUSE;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
	close(fd);
	if (ret == ECONNREFUSED)
		return unlink(address->sun_path) == 0 ? 0 : -errno;
	LEASE_LOG(ERR, "%s: socket %s: %s", lessor->name, address->sun_path,
		  ret == 0 || ret == EAGAIN ? "another process listens there" : strerror(ret));
	return -EADDRINUSE;
}

static int
bind_and_listen(struct bar_lessor *lessor, const struct sockaddr_un *address, mode_t mode)
{
	struct stat status;
	int on = 1, fd = lessor->listener_fd;

	/* Accepted sockets inherit it, and what was sent before the accept carries it as well. */
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)); /* Linux 6.5 */
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		return -errno;
	/* Nobody can connect before the listen. */
	if (stat(address->sun_path, &status) != 0 || chmod(address->sun_path, mode) != 0 ||
	    listen(fd, BACKLOG) != 0)
		return -errno;
	lessor->socket_inode = status.st_ino;
	lessor->socket_device = status.st_dev;
	return 0;
}

int
lessor_listen(struct bar_lessor *lessor, const char *path, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ret;

	if (path == NULL)
		return 0;
	if (strlen(path) >= sizeof(address.sun_path)) {
		LEASE_LOG(ERR, "%s: socket %s: the name is too long", lessor->name, path);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	ret = remove_stale(lessor, &address);
	if (ret != 0)
		return ret;
	strcpy(lessor->socket_path, path);
	lessor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lessor->listener_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lessor->listener_fd < 0)
		ret = -errno;
	else
		ret = bind_and_listen(lessor, &address, mode == 0 ? DEFAULT_MODE : mode);
	if (ret != 0) {
		LEASE_LOG(ERR, "%s: socket %s: %s", lessor->name, path, strerror(-ret));
		return ret;
	}
	lessor->listener = lease_watch_add(lessor->listener_fd, connection, lessor);
	return lessor->listener != NULL ? 0 : -ENOMEM;
}

/* On the interrupt thread. */
void
lessor_listen_no_more(struct bar_lessor *lessor)
{
	struct stat status;

	/* Somebody else may have put his own in its place. */
	if (lessor->socket_inode != 0 && lstat(lessor->socket_path, &status) == 0 &&
	    status.st_ino == lessor->socket_inode && status.st_dev == lessor->socket_device)
		unlink(lessor->socket_path);
	if (lessor->listener != NULL)
		lease_watch_remove(lessor->listener);
	else if (lessor->listener_fd >= 0)
		close(lessor->listener_fd);
	if (lessor->spare_fd >= 0)
		close(lessor->spare_fd);
}
