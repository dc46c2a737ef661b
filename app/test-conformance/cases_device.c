/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* What the device goes through: memory decode, power state, close. */

#include <signal.h>
#include <stdio.h>

#include "conformance.h"

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

/* While it is off, nothing may end the case: it has to be switched on again. */
static void
export_while_off(const void *arg)
{
	volatile uint32_t *mapping;
	int fd, map_error;

	memory_decode(false);
	fd = export_pages(0, 1);
	map_error = map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0);
	memory_decode(true);

	CHECK_OK(fd);
	CHECK(map_error == ENODEV);
	mapping = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

/* What a mapping and its buffer do while the device cannot answer. */
struct off_state {
	int touched, dead_touched, map_error, dead_map_error;
	int revoked, twice, new_fd;
};

static struct off_state
look_while_off(const struct pair *pair, int victim)
{
	struct off_state state = {
		.touched = touch(pair->live, NULL),
		.dead_touched = touch(pair->dead, NULL),
		.map_error = map_errno(pair->live_fd, target.page, PROT_READ, MAP_SHARED, 0),
		.dead_map_error = map_errno(pair->dead_fd, target.page, PROT_READ, MAP_SHARED, 0),
		.revoked = revoke_slice(&target.dev, victim) ? errno : 0,
		.twice = revoke_slice(&target.dev, victim) ? errno : 0,
		.new_fd = export_pages(0, 1),
	};

	return state;
}

static void
off_and_on(void (*off)(void), void (*on)(void))
{
	struct pair pair = pair_new();
	int victim = new_slice(0, 1);
	volatile uint32_t *victim_mapping = map_pages(victim, 1), *born_off;
	struct off_state state;

	CHECK_TOUCH_WORKS(victim_mapping);
	off();
	state = look_while_off(&pair, victim);
	on();
	CHECK(state.touched == SIGBUS);
	CHECK(state.dead_touched == SIGBUS);
	CHECK(state.map_error == ENODEV);
	CHECK(state.dead_map_error == ENODEV);
	CHECK(state.revoked == 0);
	CHECK(state.twice == EBADFD);
	CHECK(state.new_fd >= 0);

	CHECK_TOUCH_WORKS(pair.live);
	CHECK(map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0) == 0);
	CHECK_TOUCH_SIGBUS(pair.dead);
	CHECK_TOUCH_SIGBUS(victim_mapping);
	CHECK(map_errno(victim, target.page, PROT_READ, MAP_SHARED, 0) == ENODEV);
	born_off = map_pages(state.new_fd, 1);
	CHECK_TOUCH_WORKS(born_off);
	unmap_pages(born_off, 1);
	unmap_pages(victim_mapping, 1);
	close(state.new_fd);
	close(victim);
	pair_free(&pair);
}

static void decode_off(void) { memory_decode(false); }
static void decode_on(void) { memory_decode(true); }
static void to_d3(void) { power_state(3); }

static void
to_d0(void)
{
	power_state(0);
	/* A device may lose its configuration in D3hot (No_Soft_Reset clear). */
	memory_decode(true);
}

/*
 * The core suspends it a little later, with its lock held, and mmap() is the one call that cannot
 * wait for that lock: it may succeed then, and only touches fail.
 */
static void
enter_low_power(void)
{
	CHECK_OK(device_feature_set(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	for (int i = 0; i < 1000 && !sysfs_says(target.dev.bdf, "power/runtime_status",
						"suspended"); i++)
		usleep(1000);
}

static void
exit_low_power(void)
{
	CHECK_OK(device_feature_set(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
}

static void
decode(const void *arg)
{
	off_and_on(decode_off, decode_on);
}

static void
d3hot(const void *arg)
{
	SKIP_IF(!has_power_management(), "no power management capability");
	off_and_on(to_d3, to_d0);
}

static void
low_power(const void *arg)
{
	SKIP_IF(device_feature_set(VFIO_DEVICE_FEATURE_PROBE |
				   VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY),
		"no low-power feature");
	off_and_on(enter_low_power, exit_low_power);
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
	unmap_pages(mapping, 1);
	close(fd);
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
	attr = VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC;
	CHECK_ERRNO(memattr_op(&target.dev, VFIO_DEVICE_FEATURE_SET, pair.live_fd, &attr),
		    ENODEV);

	fd = new_slice(0, 1);
	mapping = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(mapping);
	CHECK_TOUCH_SIGBUS(pair.live);
	unmap_pages(mapping, 1);
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
	unmap_pages(mapping, 1);
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

/* A BAR mapped through the device file keeps that file, and so the device, open. */
static void
device_mapping_keeps_open(const void *arg)
{
	void *bar = mmap(NULL, target.page, PROT_READ, MAP_SHARED, target.dev.fd,
			 target.region_offset);
	int while_mapped, afterwards, fd;
	volatile uint32_t *mapping;

	SKIP_IF(bar == MAP_FAILED, "the BAR cannot be mapped through the device file");
	fd = new_slice(0, 1);
	mapping = map_pages(fd, 1);
	close(target.dev.fd);
	while_mapped = touch(mapping, NULL);
	munmap(bar, target.page);
	afterwards = touch(mapping, NULL);
	vfio_open_device_file(&target.dev);
	CHECK(while_mapped == 0);
	CHECK(afterwards == SIGBUS);
	unmap_pages(mapping, 1);
	close(fd);
}

/* Many files may be open of one device: only the last close counts. */
static void
second_device_file(const void *arg)
{
	struct vfio_dev second = target.dev;
	int after_first, fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	vfio_open_device_file(&second);
	close(target.dev.fd);
	target.dev.fd = second.fd;
	after_first = touch(mapping, NULL);
	CHECK(after_first == 0);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

/* A DMABUF does not keep the device open: what was exported is orphaned, mapped or not. */
static void
unmapped_orphan(const void *arg)
{
	int live = new_slice(0, 1), revoked = new_slice(0, 1);
	uint32_t attr = VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC;

	CHECK_OK(revoke_slice(&target.dev, revoked));
	close(target.dev.fd);
	vfio_open_device_file(&target.dev);
	CHECK_ERRNO(revoke_slice(&target.dev, live), ENODEV);
	CHECK_ERRNO(revoke_slice(&target.dev, revoked), ENODEV);
	CHECK_ERRNO(memattr_op(&target.dev, VFIO_DEVICE_FEATURE_SET, live, &attr), ENODEV);
	CHECK(map_errno(live, target.page, PROT_READ, MAP_SHARED, 0) == ENODEV);
	CHECK(lseek(live, 0, SEEK_END) == (off_t)target.page);
	close(live);
	close(revoked);
}

static const struct test_case cases[] = {
	{ .rule = "memory decode off: SIGBUS, mmap() ENODEV, export and revoke work",
	  .run = decode },
	{ .rule = "D3hot: the same", .run = d3hot },
	{ .rule = "low-power entry and exit: the same", .run = low_power },
	{ .rule = "memory decode off: SIGBUS in a forked child", .run = decode_off_in_child },
	{ .rule = "a buffer exported while memory decode is off is mapped once it is on",
	  .run = export_while_off },
	{ .rule = "a buffer revoked while memory decode is off stays revoked",
	  .run = revoke_while_off },
	{ .rule = "device closed: SIGBUS everywhere, mmap() ENODEV", .run = device_closed },
	{ .rule = "device opened again: older buffers stay dead, ENODEV",
	  .run = device_opened_again },
	{ .rule = "an orphan, mapped or not, revoked or not: ENODEV", .run = unmapped_orphan },
	{ .rule = "a BAR mapped through the device file keeps the device open",
	  .run = device_mapping_keeps_open },
	{ .rule = "only the last close of the device counts", .run = second_device_file },
	{ .rule = "buffer closed, then device: the mapping raises SIGBUS",
	  .run = descriptor_and_device_closed },
	{ .rule = "an O_PATH holder across reset and close of the device", .run = path_holder },
};

const struct subject device_subject = SUBJECT("device", cases);
