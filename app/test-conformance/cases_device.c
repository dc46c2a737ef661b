/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* What the device goes through: memory decode, reset, power state, close. */

#include <signal.h>
#include <stdio.h>

#include "conformance.h"

/* One live and one revoked buffer, both mapped. */
struct pair {
	int live_fd, dead_fd;
	volatile uint32_t *live, *dead;
};

static struct pair
pair_new(void)
{
	struct pair pair = { .live_fd = new_slice(0, 1), .dead_fd = new_slice(0, 1) };

	pair.live = map_pages(pair.live_fd, 1);
	pair.dead = map_pages(pair.dead_fd, 1);
	CHECK_TOUCH_WORKS(pair.live);
	CHECK_TOUCH_WORKS(pair.dead);
	CHECK_OK(revoke_slice(&target.dev, pair.dead_fd));
	return pair;
}

static void
pair_free(struct pair *pair)
{
	munmap((void *)(uintptr_t)pair->live, target.page);
	munmap((void *)(uintptr_t)pair->dead, target.page);
	close(pair->live_fd);
	close(pair->dead_fd);
}

static void
decode_off_and_on(const void *arg)
{
	struct pair pair = pair_new();
	int while_off, dead_while_off;

	memory_decode(false);
	while_off = touch(pair.live, NULL);
	dead_while_off = touch(pair.dead, NULL);
	memory_decode(true);
	CHECK(while_off == SIGBUS);
	CHECK(dead_while_off == SIGBUS);
	CHECK_TOUCH_WORKS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	pair_free(&pair);
}

static void
decode_off_in_child(const void *arg)
{
	struct pair pair = pair_new();
	struct peer peer;
	int while_off;

	peer_start(&peer, pair.live);
	CHECK(peer_touch(&peer) == 0);
	memory_decode(false);
	while_off = peer_touch(&peer);
	memory_decode(true);
	CHECK(while_off == SIGBUS);
	CHECK(peer_touch(&peer) == 0);
	peer_stop(&peer);
	pair_free(&pair);
}

static void
export_while_off(const void *arg)
{
	volatile uint32_t *mapping;
	int fd, map_error, while_off = 0;

	memory_decode(false);
	fd = export_pages(0, 1);
	map_error = map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0);
	mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd, 0);
	if (mapping != MAP_FAILED)
		while_off = touch(mapping, NULL);
	memory_decode(true);

	CHECK_OK(fd);
	/* v2 to v7 of the series refuse the mmap(); BARs allow it, and so may this. */
	CHECK(map_error == 0 || map_error == ENODEV);
	if (mapping == MAP_FAILED) {
		mapping = map_pages(fd, 1);
	} else {
		CHECK(while_off == SIGBUS);
	}
	CHECK_TOUCH_WORKS(mapping);
	munmap((void *)(uintptr_t)mapping, target.page);
	close(fd);
}

static void
revoke_while_off(const void *arg)
{
	int fd = new_slice(0, 1), ret;
	volatile uint32_t *mapping = map_pages(fd, 1);

	CHECK_TOUCH_WORKS(mapping);
	memory_decode(false);
	ret = revoke_slice(&target.dev, fd);
	memory_decode(true);
	CHECK_OK(ret);
	CHECK_TOUCH_SIGBUS(mapping);
	munmap((void *)(uintptr_t)mapping, target.page);
	close(fd);
}

static void
reset(const void *arg)
{
	struct pair pair = pair_new();

	SKIP_IF(!device_has_reset(), "the device has no reset");
	CHECK_OK(device_reset());
	CHECK_TOUCH_WORKS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	CHECK_ERRNO(revoke_slice(&target.dev, pair.dead_fd), EBADFD);
	CHECK_OK(revoke_slice(&target.dev, pair.live_fd));
	CHECK_TOUCH_SIGBUS(pair.live);
	pair_free(&pair);
}

static void
low_power(const void *arg)
{
	struct pair pair = pair_new();
	int in_d3, dead_in_d3;

	SKIP_IF(!has_power_management(), "no power management capability");
	power_state(3);
	in_d3 = touch(pair.live, NULL);
	dead_in_d3 = touch(pair.dead, NULL);
	power_state(0);
	/* A device may lose its configuration in D3hot (No_Soft_Reset clear). */
	memory_decode(true);
	CHECK(in_d3 == SIGBUS);
	CHECK(dead_in_d3 == SIGBUS);
	CHECK_TOUCH_WORKS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	pair_free(&pair);
}

static void
device_closed(const void *arg)
{
	struct pair pair = pair_new();
	int live, dead, map_error;
	struct peer peer;
	int in_peer;

	peer_start(&peer, pair.live);
	CHECK(peer_touch(&peer) == 0);
	close(target.dev.fd);
	live = touch(pair.live, NULL);
	dead = touch(pair.dead, NULL);
	in_peer = peer_touch(&peer);
	map_error = map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0);
	vfio_open_device_file(&target.dev);

	CHECK(live == SIGBUS);
	CHECK(dead == SIGBUS);
	CHECK(in_peer == SIGBUS);
	CHECK(map_error == ENODEV);
	peer_stop(&peer);
	pair_free(&pair);
}

static void
device_opened_again(const void *arg)
{
	struct pair pair = pair_new();
	volatile uint32_t *mapping;
	uint32_t attr;
	int fd;

	close(target.dev.fd);
	vfio_open_device_file(&target.dev);
	CHECK_TOUCH_SIGBUS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	CHECK(map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0) == ENODEV);
	CHECK_ERRNO(revoke_slice(&target.dev, pair.live_fd), ENODEV);
	CHECK_ERRNO(revoke_slice(&target.dev, pair.dead_fd), ENODEV);
	CHECK_ERRNO(memattr_get(pair.live_fd, &attr), ENODEV);

	fd = new_slice(0, 1);
	mapping = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(mapping);
	CHECK_TOUCH_SIGBUS(pair.live);
	munmap((void *)(uintptr_t)mapping, target.page);
	close(fd);
	pair_free(&pair);
}

static void
descriptor_and_device_closed(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	int live;

	close(fd);
	CHECK_TOUCH_WORKS(mapping);
	close(target.dev.fd);
	live = touch(mapping, NULL);
	vfio_open_device_file(&target.dev);
	CHECK(live == SIGBUS);
	munmap((void *)(uintptr_t)mapping, target.page);
}

/* The driver lets go of the device: what it has exported outlives it. */
static void
device_unbound(const void *arg)
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

/* An O_PATH descriptor holds a DMABUF whose file is gone: nothing may use that file any more. */
static void
path_holder(const void *arg)
{
	int fd = new_slice(0, 1), path_fd;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	path_fd = open(path, O_PATH | O_CLOEXEC);
	CHECK_OK(path_fd);
	close(fd);
	memory_decode(false);
	memory_decode(true);
	if (device_has_reset())
		CHECK_OK(device_reset());
	close(target.dev.fd);
	vfio_open_device_file(&target.dev);
	close(path_fd);
}

static const struct test_case cases[] = {
	{ .rule = "memory decode off: SIGBUS; on: works again, unless revoked",
	  .run = decode_off_and_on },
	{ .rule = "memory decode off: SIGBUS in a forked child", .run = decode_off_in_child },
	{ .rule = "a buffer exported while memory decode is off works once it is on",
	  .run = export_while_off },
	{ .rule = "a buffer revoked while memory decode is off stays revoked",
	  .run = revoke_while_off },
	{ .rule = "VFIO_DEVICE_RESET: mappings work again, unless revoked", .run = reset },
	{ .rule = "D3hot: SIGBUS; D0: works again, unless revoked", .run = low_power },
	{ .rule = "device closed: SIGBUS everywhere, mmap() ENODEV", .run = device_closed },
	{ .rule = "device opened again: older buffers stay dead, ENODEV",
	  .run = device_opened_again },
	{ .rule = "buffer closed, then device: the mapping raises SIGBUS",
	  .run = descriptor_and_device_closed },
	{ .rule = "device unbound: the mapping raises SIGBUS", .run = device_unbound },
	{ .rule = "an O_PATH holder across reset and close of the device", .run = path_holder },
};

const struct subject device_subject = SUBJECT("device", cases);
