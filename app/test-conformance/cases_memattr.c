/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR, and what it makes of the page-table entry. */

#include <string.h>

#include "conformance.h"

#define NC VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC
#define WC VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC

static void
probe(const void *arg)
{
	uint32_t attr = 0;

	CHECK_OK(memattr_op(&target.dev, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET, -1,
			    &attr));
	CHECK_OK(memattr_op(&target.dev, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, -1,
			    &attr));
}

static void
starts_nc(const void *arg)
{
	int fd = new_slice(0, 1);
	uint32_t attr;

	CHECK_OK(memattr_get(fd, &attr));
	CHECK(attr == NC);
	close(fd);
}

static int
wc_slice(void)
{
	int fd = new_slice(0, 1);
	int ret = memattr_set(fd, WC);

	SKIP_IF(ret && errno == EOPNOTSUPP, "no write-combining here (no PAT?)");
	CHECK_OK(ret);
	return fd;
}

static void
set_and_get(const void *arg)
{
	int fd = wc_slice();
	uint32_t attr;

	CHECK_OK(memattr_get(fd, &attr));
	CHECK(attr == WC);
	CHECK_OK(memattr_set(fd, NC));
	CHECK_OK(memattr_get(fd, &attr));
	CHECK(attr == NC);
	close(fd);
}

static void
unknown_value(const void *arg)
{
	int fd = new_slice(0, 1);
	uint32_t attr;

	CHECK_ERRNO(memattr_set(fd, 2), EOPNOTSUPP);
	CHECK_ERRNO(memattr_set(fd, UINT32_MAX), EOPNOTSUPP);
	CHECK_OK(memattr_get(fd, &attr));
	CHECK(attr == NC);
	close(fd);
}

static void
closed_descriptor(const void *arg)
{
	int fd = new_slice(0, 1);
	uint32_t attr;

	close(fd);
	CHECK_ERRNO(memattr_set(fd, NC), EBADF);
	CHECK_ERRNO(memattr_get(fd, &attr), EBADF);
	CHECK_ERRNO(memattr_set(-1, NC), EBADF);
}

static void
no_dmabuf(const void *arg)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	CHECK_ERRNO(memattr_set(fd, NC), EINVAL);
	CHECK_ERRNO(memattr_set(target.dev.fd, NC), EINVAL);
	close(fd);
}

static void
other_exporter(const void *arg)
{
	int fd = foreign_dmabuf();

	SKIP_IF(fd < 0, "no /dev/udmabuf");
	CHECK_ERRNO(memattr_set(fd, NC), ENODEV);
	close(fd);
}

static void
other_device(const void *arg)
{
	int fd = new_slice(0, 1);
	uint32_t attr = NC;

	SKIP_IF(other.fd < 0, "no other device named");
	CHECK_ERRNO(memattr_op(&other, VFIO_DEVICE_FEATURE_SET, fd, &attr), ENODEV);
	close(fd);
}

/* Maps, touches, and reads the type back from the page table. */
static volatile uint32_t *
map_as(int fd, const char *type)
{
	volatile uint32_t *mapping = map_pages(fd, 1);
	struct page_entry entry;

	CHECK_TOUCH_WORKS(mapping);
	SKIP_IF(!page_entry(getpid(), mapping, &entry), "no /proc/pte_memtype");
	CHECK(entry.present);
	if (strcmp(entry.type, type))
		tap_fail(__FILE__, __LINE__, "the entry is %s, expected %s", entry.type, type);
	return mapping;
}

static void
check_type(pid_t pid, const volatile uint32_t *mapping, const char *type)
{
	struct page_entry entry;

	CHECK(page_entry(pid, mapping, &entry));
	CHECK(entry.present);
	if (strcmp(entry.type, type))
		tap_fail(__FILE__, __LINE__, "the entry is %s, expected %s", entry.type, type);
}

static void
unmap(volatile uint32_t *mapping)
{
	munmap((void *)(uintptr_t)mapping, target.page);
}

static void
nc_entry(const void *arg)
{
	int fd = new_slice(0, 1);

	/* What pgprot_noncached() is on x86: uncached unless an MTRR says write-combining. */
	unmap(map_as(fd, "UC-"));
	close(fd);
}

static void
wc_entry(const void *arg)
{
	int fd = wc_slice();

	unmap(map_as(fd, "WC"));
	close(fd);
}

static void
future_only(const void *arg)
{
	int fd = wc_slice();
	volatile uint32_t *wc, *nc;

	wc = map_as(fd, "WC");
	CHECK_OK(memattr_set(fd, NC));
	nc = map_as(fd, "UC-");
	/* Also after the entries are gone and faulted in again. */
	memory_decode(false);
	memory_decode(true);
	CHECK_TOUCH_WORKS(wc);
	CHECK_TOUCH_WORKS(nc);
	check_type(getpid(), wc, "WC");
	check_type(getpid(), nc, "UC-");
	unmap(wc);
	unmap(nc);
	close(fd);
}

static void
per_buffer(const void *arg)
{
	int wc_fd = wc_slice(), nc_fd = new_slice(0, 1);
	volatile uint32_t *wc, *nc;

	wc = map_as(wc_fd, "WC");
	nc = map_as(nc_fd, "UC-");
	check_type(getpid(), wc, "WC");
	unmap(wc);
	unmap(nc);
	close(wc_fd);
	close(nc_fd);
}

static void
protection_keeps_type(const void *arg)
{
	int fd = wc_slice();
	volatile uint32_t *mapping = map_as(fd, "WC");
	void *address = (void *)(uintptr_t)mapping;

	CHECK_OK(mprotect(address, target.page, PROT_READ));
	CHECK_OK(mprotect(address, target.page, PROT_READ | PROT_WRITE));
	CHECK_TOUCH_WORKS(mapping);
	check_type(getpid(), mapping, "WC");
	unmap(mapping);
	close(fd);
}

static void
other_processes(const void *arg)
{
	int fd = wc_slice();
	volatile uint32_t *mapping = map_as(fd, "WC");
	struct peer peer;

	peer_start(&peer, mapping);
	CHECK(peer_touch(&peer) == 0);
	check_type(peer.pid, mapping, "WC");
	peer_stop(&peer);
	unmap(mapping);
	close(fd);
}

static const struct test_case cases[] = {
	{ .rule = "PROBE with GET and with SET succeeds", .run = probe },
	{ .rule = "a buffer starts as NC", .run = starts_nc },
	{ .rule = "GET returns what was SET", .run = set_and_get },
	{ .rule = "an unknown value: EOPNOTSUPP, and nothing changes", .run = unknown_value },
	{ .rule = "no open file: EBADF", .run = closed_descriptor },
	{ .rule = "no DMABUF: EINVAL", .run = no_dmabuf },
	{ .rule = "a DMABUF of another exporter: ENODEV", .run = other_exporter },
	{ .rule = "a DMABUF of another device: ENODEV", .run = other_device },
	{ .rule = "NC is uncached in the page table", .run = nc_entry },
	{ .rule = "WC is write-combining in the page table", .run = wc_entry },
	{ .rule = "SET is for future mappings only", .run = future_only },
	{ .rule = "the type is one of the buffer, not of the page", .run = per_buffer },
	{ .rule = "mprotect() keeps the type", .run = protection_keeps_type },
	{ .rule = "a forked child has the type as well", .run = other_processes },
};

const struct subject memattr_subject = SUBJECT("memattr", cases);
