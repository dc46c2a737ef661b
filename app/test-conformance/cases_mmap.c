/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* mmap() of a buffer. */

#include <signal.h>
#include <sys/uio.h>

#include "conformance.h"

static void
unmap(volatile uint32_t *mapping, uint64_t nr)
{
	munmap((void *)(uintptr_t)mapping, nr * target.page);
}

static volatile uint32_t *
page_of(volatile uint32_t *mapping, unsigned int nr)
{
	return mapping + nr * target.page / sizeof(*mapping);
}

/* Through the page table if the test module is there, else by what the first word reads as. */
static void
check_shows_page(volatile uint32_t *mapping, unsigned int bar_page)
{
	uint32_t here, there;
	struct page_entry entry;

	CHECK(touch(mapping, &here) == 0);
	if (page_entry(getpid(), mapping, &entry)) {
		CHECK(entry.present);
		CHECK(entry.pfn == target.bar_phys / target.page + bar_page);
		return;
	}
	CHECK(pread(target.dev.fd, &there, sizeof(there),
		    target.region_offset + bar_page * target.page) == sizeof(there));
	CHECK(here == there);
}

static void
shared(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	check_shows_page(mapping, 0);
	unmap(mapping, 1);
	close(fd);
}

static void
last_page(const void *arg)
{
	unsigned int last = target.bar_size / target.page - 1;
	int fd = new_slice(last, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	check_shows_page(mapping, last);
	unmap(mapping, 1);
	close(fd);
}

static void
private(const void *arg)
{
	int fd = new_slice(0, 1);

	CHECK(map_errno(fd, target.page, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0) == EINVAL);
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_PRIVATE, 0) == EINVAL);
	close(fd);
}

static void
offset(const void *arg)
{
	int fd = new_slice(0, 3);
	volatile uint32_t *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd,
					  2 * target.page);

	CHECK(mapping != MAP_FAILED);
	check_shows_page(mapping, 2);
	unmap(mapping, 1);
	close(fd);
}

static void
past_the_end(const void *arg)
{
	int fd = new_slice(0, 1);

	CHECK(map_errno(fd, 2 * target.page, PROT_READ, MAP_SHARED, 0) == EINVAL);
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_SHARED, target.page) == EINVAL);
	close(fd);
}

static void
read_only_descriptor(const void *arg)
{
	struct export_args args = {
		.op = VFIO_DEVICE_FEATURE_GET,
		.region = target.bar,
		.open_flags = O_RDONLY | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { .length = target.page } },
	};
	int fd = export(&args);
	void *mapping;

	CHECK_OK(fd);
	CHECK(map_errno(fd, target.page, PROT_READ | PROT_WRITE, MAP_SHARED, 0) == EACCES);
	mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(mapping != MAP_FAILED);
	CHECK_TOUCH_WORKS(mapping);
	CHECK_ERRNO(mprotect(mapping, target.page, PROT_READ | PROT_WRITE), EACCES);
	munmap(mapping, target.page);
	close(fd);
}

static void
write_protection(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	void *address = (void *)(uintptr_t)mapping;
	struct page_entry entry;

	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(mprotect(address, target.page, PROT_NONE));
	CHECK(touch(mapping, NULL) == SIGSEGV);
	CHECK_OK(mprotect(address, target.page, PROT_READ));
	CHECK_TOUCH_WORKS(mapping);
	if (page_entry(getpid(), mapping, &entry))
		CHECK(entry.present && !entry.write);
	CHECK_OK(mprotect(address, target.page, PROT_READ | PROT_WRITE));
	CHECK_TOUCH_WORKS(mapping);
	unmap(mapping, 1);
	close(fd);
}

static void
partial_unmap(const void *arg)
{
	int fd = new_slice(0, 3);
	volatile uint32_t *mapping = map_pages(fd, 3);

	CHECK_OK(munmap((void *)(uintptr_t)page_of(mapping, 1), target.page));
	check_shows_page(page_of(mapping, 0), 0);
	check_shows_page(page_of(mapping, 2), 2);
	CHECK(touch(page_of(mapping, 1), NULL) == SIGSEGV);
	unmap(mapping, 3);
	close(fd);
}

static void
no_growing(const void *arg)
{
	int fd = new_slice(0, 2);
	void *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(mapping != MAP_FAILED);
	CHECK(mremap(mapping, target.page, 2 * target.page, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(errno == EFAULT);
	munmap(mapping, target.page);
	close(fd);
}

static void
moving(const void *arg)
{
	int fd = new_slice(0, 2);
	volatile uint32_t *mapping = map_pages(fd, 2);
	void *elsewhere = mmap(NULL, target.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *moved;

	CHECK_TOUCH_WORKS(page_of(mapping, 1));
	moved = mremap((void *)(uintptr_t)page_of(mapping, 1), target.page, target.page,
		       MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere);
	CHECK(moved == elsewhere);
	check_shows_page(moved, 1);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(moved);
	munmap(moved, target.page);
	unmap(mapping, 1);
	close(fd);
}

static void
descriptor_closed(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	close(fd);
	check_shows_page(mapping, 0);
	unmap(mapping, 1);
}

static void
passed_descriptor(const void *arg)
{
	int fd = new_slice(0, 1);
	struct peer peer;

	peer_start(&peer, NULL);
	CHECK(peer_map(&peer, fd) == 0);
	close(fd);
	CHECK(peer_touch(&peer) == 0);
	peer_stop(&peer);
}

/* A device mapping has no pages that the kernel could pin for direct I/O. */
static void
no_pinning(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	struct iovec iov = { .iov_base = (void *)(uintptr_t)mapping, .iov_len = 4 };
	int pair[2];

	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(pipe(pair));
	CHECK_ERRNO(vmsplice(pair[1], &iov, 1, 0), EFAULT);
	close(pair[0]);
	close(pair[1]);
	unmap(mapping, 1);
	close(fd);
}

static const struct test_case cases[] = {
	{ .rule = "MAP_SHARED shows the page of the BAR", .run = shared },
	{ .rule = "the last page of the BAR can be mapped", .run = last_page },
	{ .rule = "MAP_PRIVATE: EINVAL", .run = private },
	{ .rule = "an offset is one into the buffer", .run = offset },
	{ .rule = "past the end of the buffer: EINVAL", .run = past_the_end },
	{ .rule = "a read-only descriptor maps for reading only", .run = read_only_descriptor },
	{ .rule = "mprotect() is followed", .run = write_protection },
	{ .rule = "a partial munmap() leaves the rest", .run = partial_unmap },
	{ .rule = "mremap() cannot grow a mapping: EFAULT", .run = no_growing },
	{ .rule = "mremap() moves a mapping, which stays revocable", .run = moving },
	{ .rule = "a mapping outlives its descriptor", .run = descriptor_closed },
	{ .rule = "a passed descriptor can be mapped by its receiver", .run = passed_descriptor },
	{ .rule = "pages cannot be pinned: vmsplice() EFAULT", .run = no_pinning },
};

const struct subject mmap_subject = SUBJECT("mmap", cases);
