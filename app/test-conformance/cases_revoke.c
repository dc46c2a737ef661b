/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* VFIO_DEVICE_PCI_DMABUF_REVOKE: arguments, reach, and what it leaves alone. */

#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "conformance.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

static void
argument_size(const void *arg)
{
	int fd = new_slice(0, 1);
	struct {
		struct vfio_pci_dmabuf_revoke revoke;
		uint64_t later;
	} call = { .revoke = { .argsz = 7, .dmabuf_fd = fd } };

	CHECK_ERRNO(ioctl(target.dev.fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call), EINVAL);
	call.revoke.argsz = 0;
	CHECK_ERRNO(ioctl(target.dev.fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call), EINVAL);
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0) == 0);
	call.revoke.argsz = sizeof(call);
	CHECK_OK(ioctl(target.dev.fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call));
	close(fd);
}

static void
later_arguments(const void *arg)
{
	static const uint32_t revoke = VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3;
	int32_t fd[4] = { new_slice(0, 1) };

	CHECK_ERRNO(feature_op(&target.dev, SET | revoke, fd, 3), EINVAL);
	CHECK_ERRNO(feature_op(&target.dev, SET | revoke, fd, 0), EINVAL);
	CHECK_ERRNO(feature_op(&target.dev, GET | revoke, fd, 4), EINVAL);
	CHECK_ERRNO(feature_op(&target.dev, GET | SET | revoke, fd, 4), EINVAL);
	CHECK_ERRNO(feature_op(&target.dev, revoke, fd, 4), EINVAL);
	CHECK_ERRNO(feature_op(&target.dev, SET | 1U << 19 | revoke, fd, 4), EINVAL);
	CHECK(map_errno(fd[0], target.page, PROT_READ, MAP_SHARED, 0) == 0);
	CHECK_OK(feature_op(&target.dev, SET | revoke, fd, sizeof(fd)));
	CHECK(map_errno(fd[0], target.page, PROT_READ, MAP_SHARED, 0) == ENODEV);
	close(fd[0]);
}

static void
closed_descriptor(const void *arg)
{
	int fd = new_slice(0, 1);

	close(fd);
	CHECK_ERRNO(revoke_slice(&target.dev, fd), EBADF);
	CHECK_ERRNO(revoke_slice(&target.dev, -1), EBADF);
}

static void
path_descriptor(const void *arg)
{
	int fd = new_slice(0, 1), path_fd;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	path_fd = open(path, O_PATH | O_CLOEXEC);
	CHECK_OK(path_fd);
	CHECK_ERRNO(revoke_slice(&target.dev, path_fd), EBADF);
	close(path_fd);
	close(fd);
}

static void
no_dmabuf(const void *arg)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	CHECK_ERRNO(revoke_slice(&target.dev, fd), EINVAL);
	CHECK_ERRNO(revoke_slice(&target.dev, target.dev.fd), EINVAL);
	close(fd);
}

static void
other_exporter(const void *arg)
{
	int fd = foreign_dmabuf();

	SKIP_IF(fd < 0, "no /dev/udmabuf");
	CHECK_ERRNO(revoke_slice(&target.dev, fd), ENODEV);
	close(fd);
}

static void
other_device(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	SKIP_IF(other.fd < 0, "no other device named");
	CHECK_ERRNO(revoke_slice(&other, fd), ENODEV);
	CHECK_TOUCH_WORKS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

static void
twice(const void *arg)
{
	int fd = new_slice(0, 1);

	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_ERRNO(revoke_slice(&target.dev, fd), EBADFD);
	close(fd);
}

static void
touched_mapping(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	struct page_entry entry;

	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(revoke_slice(&target.dev, fd));
	if (page_entry(getpid(), mapping, &entry))
		CHECK(!entry.present);
	CHECK_TOUCH_SIGBUS(mapping);
	CHECK_TOUCH_SIGBUS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

static void
untouched_mapping(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

static void
every_page(const void *arg)
{
	int fd = new_slice(0, 3);
	volatile uint32_t *mapping = map_pages(fd, 3);
	size_t step = target.page / sizeof(*mapping);

	for (int i = 0; i < 3; i++)
		CHECK_TOUCH_WORKS(mapping + i * step);
	CHECK_OK(revoke_slice(&target.dev, fd));
	for (int i = 0; i < 3; i++)
		CHECK_TOUCH_SIGBUS(mapping + i * step);
	munmap((void *)(uintptr_t)mapping, 3 * target.page);
	close(fd);
}

static void
wc_mapping(const void *arg)
{
	int fd = new_slice(0, 1), ret;
	volatile uint32_t *nc = map_pages(fd, 1), *wc;

	ret = memattr_set(fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC);
	SKIP_IF(ret && errno == form_unsupported(), "no write-combining here (no PAT?)");
	CHECK_OK(ret);
	wc = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(nc);
	CHECK_TOUCH_WORKS(wc);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(nc);
	CHECK_TOUCH_SIGBUS(wc);
	unmap_pages(nc, 1);
	unmap_pages(wc, 1);
	close(fd);
}

static void
forked_child(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	struct page_entry entry;
	struct peer peer;

	CHECK_TOUCH_WORKS(mapping);
	peer_start(&peer, mapping);
	CHECK(peer_touch(&peer) == 0);
	CHECK_OK(revoke_slice(&target.dev, fd));
	if (page_entry(peer.pid, mapping, &entry))
		CHECK(!entry.present);
	CHECK(peer_touch(&peer) == SIGBUS);
	peer_stop(&peer);
	unmap_pages(mapping, 1);
	close(fd);
}

static void
passed_descriptor(const void *arg)
{
	int fd = new_slice(0, 1);
	struct peer peer;

	peer_start(&peer, NULL);
	CHECK(peer_map(&peer, fd) == 0);
	CHECK(peer_touch(&peer) == 0);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK(peer_touch(&peer) == SIGBUS);
	CHECK(peer_map(&peer, fd) == ENODEV);
	peer_stop(&peer);
	close(fd);
}

static void
duplicate(const void *arg)
{
	int fd = new_slice(0, 1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	volatile uint32_t *mapping = map_pages(copy, 1);

	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	CHECK(map_errno(copy, target.page, PROT_READ, MAP_SHARED, 0) == ENODEV);
	CHECK_ERRNO(revoke_slice(&target.dev, copy), EBADFD);
	unmap_pages(mapping, 1);
	close(copy);
	close(fd);
}

static void
mmap_afterwards(const void *arg)
{
	int fd = new_slice(0, 1);

	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK(map_errno(fd, target.page, PROT_READ | PROT_WRITE, MAP_SHARED, 0) == ENODEV);
	close(fd);
}

static void
exported_again(const void *arg)
{
	int old = new_slice(0, 1), new;
	volatile uint32_t *dead = map_pages(old, 1), *alive;

	CHECK_OK(revoke_slice(&target.dev, old));
	new = new_slice(0, 1);
	alive = map_pages(new, 1);
	CHECK_TOUCH_WORKS(alive);
	CHECK_TOUCH_SIGBUS(dead);
	unmap_pages(alive, 1);
	unmap_pages(dead, 1);
	close(new);
	close(old);
}

static void
other_buffer_of_the_page(const void *arg)
{
	int revoked = new_slice(0, 1), kept = new_slice(0, 1);
	volatile uint32_t *dead = map_pages(revoked, 1), *alive = map_pages(kept, 1);

	CHECK_TOUCH_WORKS(dead);
	CHECK_TOUCH_WORKS(alive);
	CHECK_OK(revoke_slice(&target.dev, revoked));
	CHECK_TOUCH_WORKS(alive);
	CHECK_TOUCH_SIGBUS(dead);
	unmap_pages(alive, 1);
	unmap_pages(dead, 1);
	close(kept);
	close(revoked);
}

static void
device_file_mapping(const void *arg)
{
	int fd = new_slice(0, 1);
	void *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, target.dev.fd,
			     target.region_offset);

	SKIP_IF(mapping == MAP_FAILED, "the BAR cannot be mapped through the device file");
	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_WORKS(mapping);
	munmap(mapping, target.page);
	close(fd);
}

/* The descriptor that mapped is gone; the exporter's is another one of the same buffer. */
static void
mapping_without_descriptor(const void *arg)
{
	int fd = new_slice(0, 1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	volatile uint32_t *mapping = map_pages(copy, 1);

	CHECK_TOUCH_WORKS(mapping);
	close(copy);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

/* The buffers differ in size: the one that lives on has offsets that the zap does not cover. */
static void
larger_buffer_of_the_page(const void *arg)
{
	int revoked = new_slice(1, 1), kept = new_slice(0, 3);
	volatile uint32_t *dead = map_pages(revoked, 1), *alive = map_pages(kept, 3);

	CHECK_TOUCH_WORKS(dead);
	for (int i = 0; i < 3; i++)
		CHECK_TOUCH_WORKS(page_of(alive, i));
	CHECK_OK(revoke_slice(&target.dev, revoked));
	CHECK_TOUCH_SIGBUS(dead);
	for (int i = 0; i < 3; i++)
		CHECK_TOUCH_WORKS(page_of(alive, i));
	CHECK_OK(revoke_slice(&target.dev, kept));
	for (int i = 0; i < 3; i++)
		CHECK_TOUCH_SIGBUS(page_of(alive, i));
	unmap_pages(alive, 3);
	unmap_pages(dead, 1);
	close(kept);
	close(revoked);
}

/* Only a part of the buffer is mapped, not from its start. */
static void
mapping_at_an_offset(const void *arg)
{
	int fd = new_slice(0, 3);
	volatile uint32_t *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd,
					  2 * target.page);

	CHECK(mapping != MAP_FAILED);
	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	unmap_pages(mapping, 1);
	close(fd);
}

static void
several_ranges(const void *arg)
{
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 3,
		.ranges = { { .offset = target.page, .length = target.page },
			    { .offset = 0, .length = 2 * target.page },
			    { .offset = target.page, .length = target.page } },
	};
	volatile uint32_t *mapping;
	int fd = export(&args);

	CHECK_OK(fd);
	mapping = map_pages(fd, 4);
	for (int i = 0; i < 4; i++)
		CHECK_TOUCH_WORKS(page_of(mapping, i));
	CHECK_OK(revoke_slice(&target.dev, fd));
	for (int i = 0; i < 4; i++)
		CHECK_TOUCH_SIGBUS(page_of(mapping, i));
	unmap_pages(mapping, 4);
	close(fd);
}

static const struct test_case cases[] = {
	{ .rule = "argsz: too small EINVAL, larger accepted", .run = argument_size,
	  .form = FORM_V2 },
	{ .rule = "argsz too small, GET, no SET: EINVAL; a larger argsz accepted",
	  .run = later_arguments, .form = FORM_LATER },
	{ .rule = "no open file: EBADF", .run = closed_descriptor },
	{ .rule = "an O_PATH descriptor: EBADF", .run = path_descriptor },
	{ .rule = "no DMABUF: EINVAL", .run = no_dmabuf },
	{ .rule = "a DMABUF of another exporter: ENODEV", .run = other_exporter },
	{ .rule = "a DMABUF of another device: ENODEV, and it lives on", .run = other_device },
	{ .rule = "a second revoke: EBADFD", .run = twice },
	{ .rule = "a touched mapping raises SIGBUS, its entry is gone", .run = touched_mapping },
	{ .rule = "an untouched mapping raises SIGBUS", .run = untouched_mapping },
	{ .rule = "every page of a buffer is revoked", .run = every_page },
	{ .rule = "NC and WC mappings are revoked alike", .run = wc_mapping },
	{ .rule = "a forked child's mapping is revoked", .run = forked_child },
	{ .rule = "a passed descriptor and its mapping are revoked", .run = passed_descriptor },
	{ .rule = "a duplicate and its mapping are revoked", .run = duplicate },
	{ .rule = "a mapping whose descriptor is closed is revoked",
	  .run = mapping_without_descriptor },
	{ .rule = "a mapping of a later part is revoked", .run = mapping_at_an_offset },
	{ .rule = "unordered and overlapping ranges are all revoked", .run = several_ranges },
	{ .rule = "mmap() afterwards: ENODEV", .run = mmap_afterwards },
	{ .rule = "the range can be exported again, the old buffer stays dead",
	  .run = exported_again },
	{ .rule = "another buffer of the page lives on", .run = other_buffer_of_the_page },
	{ .rule = "a larger buffer of the page lives on, until it is revoked",
	  .run = larger_buffer_of_the_page },
	{ .rule = "a mapping through the device file lives on", .run = device_file_mapping },
};

const struct subject revoke_subject = SUBJECT("revoke", cases);
