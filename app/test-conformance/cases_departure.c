/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* The driver lets go of the device: what it has exported outlives it. */

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "conformance.h"

/* The kernel asks the owner at once, then every 10 s. */
#define REQUEST_MS 5000
#define LEAVE_MS 20000

static void
unbound(const void *arg)
{
	int live, dead, live_rebound, map_error;
	struct pair pair;

	SKIP_IF(!vfio_can_rebind(&target.dev), "no driver_override: would not be bound again");
	pair = pair_new();
	vfio_close(&target.dev);
	vfio_unbind(&target.dev);
	live = touch(pair.live, NULL);
	dead = touch(pair.dead, NULL);
	map_error = map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0);
	vfio_bind(&target.dev);
	vfio_open(&target.dev);
	live_rebound = touch(pair.live, NULL);

	CHECK(live == SIGBUS);
	CHECK(dead == SIGBUS);
	CHECK(map_error == ENODEV);
	CHECK(live_rebound == SIGBUS);
	CHECK_ERRNO(revoke_slice(&target.dev, pair.live_fd), ENODEV);
	pair_free(&pair);
}

/*
 * Takes the device away while it is open: that asks the owner for it, and waits until the owner
 * has closed it. In the meantime mappings work. Leaves the device closed.
 */
static struct pair
taken_while_open(int (*take)(void *arg))
{
	int request = device_eventfd(VFIO_PCI_REQ_IRQ_INDEX);
	bool asked, gone_early, gone;
	int live, dead, map_error;
	struct pair pair = pair_new();
	struct background taking;

	CHECK(request >= 0);
	background_start(&taking, take, NULL);
	asked = readable(request, REQUEST_MS);
	live = touch(pair.live, NULL);
	dead = touch(pair.dead, NULL);
	map_error = map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0);
	gone_early = taking.done;
	vfio_close(&target.dev);
	gone = background_wait(&taking, LEAVE_MS);
	close(request);

	CHECK(gone);
	CHECK(taking.ret == 0);
	CHECK(asked);
	CHECK(live == 0);
	CHECK(dead == SIGBUS);
	CHECK(map_error == 0);
	CHECK(!gone_early);
	CHECK_TOUCH_SIGBUS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	CHECK(map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0) == ENODEV);
	return pair;
}

static int
unbind(void *arg)
{
	return sysfs_write(target.dev.bdf, "driver/unbind", target.dev.bdf) ? -errno : 0;
}

static int
remove_device(void *arg)
{
	return sysfs_write(target.dev.bdf, "remove", "1") ? -errno : 0;
}

static void
check_back(struct pair *pair)
{
	volatile uint32_t *mapping;
	int fd;

	vfio_open(&target.dev);
	target_find_bar();
	CHECK_TOUCH_SIGBUS(pair->live);
	CHECK(revoke_slice(&target.dev, pair->live_fd) == -1 && errno == ENODEV);
	fd = new_slice(0, 1);
	mapping = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(mapping);
	CHECK_TOUCH_SIGBUS(pair->live);
	unmap_pages(mapping, 1);
	close(fd);
	pair_free(pair);
}

static void
unbound_while_open(const void *arg)
{
	struct pair pair;

	SKIP_IF(!vfio_can_rebind(&target.dev), "no driver_override: would not be bound again");
	pair = taken_while_open(unbind);
	vfio_bind(&target.dev);
	check_back(&pair);
}

static void
removed(const void *arg)
{
	char driver[64];
	struct pair pair;
	int live, dead;

	SKIP_IF(!vfio_can_rebind(&target.dev), "no driver_override: would not be bound again");
	driver_name(target.dev.bdf, driver, sizeof(driver));
	pair = pair_new();
	vfio_close(&target.dev);
	CHECK_OK(remove_device(NULL));
	live = touch(pair.live, NULL);
	dead = touch(pair.dead, NULL);
	rescan(target.dev.bdf, driver);
	CHECK(live == SIGBUS);
	CHECK(dead == SIGBUS);
	check_back(&pair);
}

static void
removed_while_open(const void *arg)
{
	char driver[64];
	struct pair pair;

	SKIP_IF(!vfio_can_rebind(&target.dev), "no driver_override: would not be bound again");
	driver_name(target.dev.bdf, driver, sizeof(driver));
	pair = taken_while_open(remove_device);
	rescan(target.dev.bdf, driver);
	check_back(&pair);
}

/* Opens the device, hands out one buffer of it, and waits for its end. */
static _Noreturn void
be_owner(int socket)
{
	vfio_open(&target.dev);
	send_descriptor(socket, export_pages(0, 1));
	for (;;)
		pause();
}

static void
owner_killed(const void *arg)
{
	int pair[2], fd, before, after, map_error, status;
	volatile uint32_t *mapping;
	pid_t owner;

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	vfio_close(&target.dev);
	owner = fork();
	if (owner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_owner(pair[1]);
	}
	close(pair[1]);
	fd = receive_descriptor(pair[0]);
	mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd, 0);
	before = mapping == MAP_FAILED ? errno : touch(mapping, NULL);
	kill(owner, SIGKILL);
	waitpid(owner, &status, 0);
	after = mapping == MAP_FAILED ? errno : touch(mapping, NULL);
	map_error = map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0);
	vfio_open(&target.dev);

	CHECK(before == 0);
	CHECK(after == SIGBUS);
	CHECK(map_error == ENODEV);
	CHECK_ERRNO(revoke_slice(&target.dev, fd), ENODEV);
	CHECK_TOUCH_SIGBUS(mapping);
	unmap_pages(mapping, 1);
	close(pair[0]);
	close(fd);
}

static const struct test_case cases[] = {
	{ .rule = "unbound: SIGBUS, mmap() ENODEV, also after it is bound again", .run = unbound },
	{ .rule = "unbound while open: asks and waits for the owner; works until the close",
	  .run = unbound_while_open },
	{ .rule = "removed from its bus and found again: SIGBUS for good", .run = removed },
	{ .rule = "removed while open: asks and waits for the owner", .run = removed_while_open },
	{ .rule = "its owner is killed: SIGBUS in another process", .run = owner_killed },
};

const struct subject departure_subject = SUBJECT("departure", cases);
