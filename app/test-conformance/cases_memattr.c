/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR, and what it makes of the page-table entry. */

#include <string.h>

#include "conformance.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define NC VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC
#define WC VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC

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

	SKIP_IF(ret && errno == form_unsupported(), "no write-combining here (no PAT?)");
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

	CHECK_ERRNO(memattr_set(fd, 2), form_unsupported());
	CHECK_ERRNO(memattr_set(fd, UINT32_MAX), form_unsupported());
	if (form == FORM_V2) {
		CHECK_OK(memattr_get(fd, &attr));
		CHECK(attr == NC);
	}
	close(fd);
}

static void
no_get(const void *arg)
{
	int fd = new_slice(0, 1);
	uint32_t attr;

	CHECK_ERRNO(memattr_get(fd, &attr), EINVAL);
	close(fd);
}

struct bad_op {
	uint32_t flags;
	/* Of the payload; 8 is what it takes. */
	size_t size;
	int expected;
};

static void
op_returns(const void *arg)
{
	const struct bad_op *bad = arg;
	struct vfio_device_feature_dma_buf_memattr payload[2] = {
		{ .dmabuf_fd = new_slice(0, 1), .memattr = NC },
	};
	uint32_t feature = form == FORM_V2 ? VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR :
			   VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3;

	CHECK_ERRNO(feature_op(&target.dev, bad->flags | feature, payload, bad->size),
		    bad->expected);
	close(payload[0].dmabuf_fd);
}

#define OP_RETURNS(expected_, flags_, size_, rule_) \
	{ .rule = (rule_), .run = op_returns, \
	  .arg = &(const struct bad_op){ .flags = (flags_), .size = (size_), \
					 .expected = (expected_) } }

static void
closed_descriptor(const void *arg)
{
	int fd = new_slice(0, 1);
	uint32_t attr;

	close(fd);
	CHECK_ERRNO(memattr_set(fd, NC), EBADF);
	CHECK_ERRNO(memattr_get(fd, &attr), form == FORM_V2 ? EBADF : EINVAL);
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
nc_entry(const void *arg)
{
	int fd = new_slice(0, 1);

	/* What pgprot_noncached() is on x86: uncached unless an MTRR says write-combining. */
	unmap_pages(map_as(fd, "UC-"), 1);
	close(fd);
}

static void
wc_entry(const void *arg)
{
	int fd = wc_slice();

	unmap_pages(map_as(fd, "WC"), 1);
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
	unmap_pages(wc, 1);
	unmap_pages(nc, 1);
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
	unmap_pages(wc, 1);
	unmap_pages(nc, 1);
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
	unmap_pages(mapping, 1);
	close(fd);
}

/* A revoked buffer keeps taking an attribute: it just has no mappings any more. */
static void
revoked_buffer(const void *arg)
{
	int fd = new_slice(0, 1);

	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_OK(memattr_set(fd, NC));
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
	unmap_pages(mapping, 1);
	close(fd);
}

static const struct test_case cases[] = {
	{ .rule = "a buffer starts as NC", .run = starts_nc, .form = FORM_V2 },
	{ .rule = "GET returns what was SET", .run = set_and_get, .form = FORM_V2 },
	{ .rule = "GET: EINVAL", .run = no_get, .form = FORM_LATER },
	{ .rule = "an unknown value: EOPNOTSUPP, and nothing changes", .run = unknown_value,
	  .form = FORM_V2 },
	{ .rule = "an unknown value: ENOENT", .run = unknown_value, .form = FORM_LATER },
	OP_RETURNS(EINVAL, GET | SET, 8, "GET with SET: EINVAL"),
	OP_RETURNS(EINVAL, 0, 8, "neither GET nor SET: EINVAL"),
	OP_RETURNS(EINVAL, SET | 1U << 19, 8, "an unknown bit in flags: EINVAL"),
	OP_RETURNS(EINVAL, SET, 7, "argsz too small: EINVAL"),
	OP_RETURNS(EINVAL, SET, 0, "argsz of the header only: EINVAL"),
	OP_RETURNS(0, SET, 16, "a larger argsz is accepted"),
	{ .rule = "no open file: EBADF", .run = closed_descriptor },
	{ .rule = "no DMABUF: EINVAL", .run = no_dmabuf },
	{ .rule = "a DMABUF of another exporter: ENODEV", .run = other_exporter },
	{ .rule = "a DMABUF of another device: ENODEV", .run = other_device },
	{ .rule = "NC is uncached in the page table", .run = nc_entry },
	{ .rule = "WC is write-combining in the page table", .run = wc_entry },
	{ .rule = "SET is for future mappings only", .run = future_only },
	{ .rule = "the type is one of the buffer, not of the page", .run = per_buffer },
	{ .rule = "mprotect() keeps the type", .run = protection_keeps_type },
	{ .rule = "a revoked buffer takes an attribute", .run = revoked_buffer },
	{ .rule = "a forked child has the type as well", .run = other_processes },
};

const struct subject memattr_subject = SUBJECT("memattr", cases);
