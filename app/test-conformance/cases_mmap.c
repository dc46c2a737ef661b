/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* mmap() of a buffer. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "conformance.h"

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
	unmap_pages(mapping, 1);
	close(fd);
}

static void
last_page(const void *arg)
{
	unsigned int last = target.bar_size / target.page - 1;
	int fd = new_slice(last, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	check_shows_page(mapping, last);
	unmap_pages(mapping, 1);
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
	unmap_pages(mapping, 1);
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
	unmap_pages(mapping, 1);
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
	unmap_pages(mapping, 3);
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
	unmap_pages(mapping, 1);
	close(fd);
}

static void
descriptor_closed(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	close(fd);
	check_shows_page(mapping, 0);
	unmap_pages(mapping, 1);
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

static void
any_offset(const void *arg)
{
	static const unsigned int pages[] = { 2, 0, 1, 2 };
	struct export_args args = {
		.op = VFIO_DEVICE_FEATURE_GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 3,
		.ranges = { { .offset = 2 * target.page, .length = target.page },
			    { .offset = 0, .length = 2 * target.page },
			    { .offset = 2 * target.page, .length = target.page } },
	};
	int fd = export(&args);

	CHECK_OK(fd);
	for (int i = 0; i < 4; i++) {
		volatile uint32_t *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd,
						  i * target.page);

		CHECK(mapping != MAP_FAILED);
		check_shows_page(mapping, pages[i]);
		unmap_pages(mapping, 1);
	}
	/* Across the border of two ranges. */
	for (int i = 0; i < 3; i++) {
		volatile uint32_t *mapping = mmap(NULL, 2 * target.page, PROT_READ, MAP_SHARED, fd,
						  i * target.page);

		CHECK(mapping != MAP_FAILED);
		check_shows_page(page_of(mapping, 1), pages[i + 1]);
		check_shows_page(mapping, pages[i]);
		unmap_pages(mapping, 2);
	}
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_SHARED, 4 * target.page) == EINVAL);
	CHECK(map_errno(fd, 2 * target.page, PROT_READ, MAP_SHARED, 3 * target.page) == EINVAL);
	close(fd);
}

static void
far_offset(const void *arg)
{
	int fd = new_slice(0, 1), error;

	/* Where the sum of offset and length wraps: the kernel has two errors for that. */
	error = map_errno(fd, target.page, PROT_READ, MAP_SHARED, INT64_MAX & -target.page);
	CHECK(error == EINVAL || error == EOVERFLOW);
	/* Where the device file has its BARs. */
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_SHARED, target.region_offset +
			target.page) == EINVAL);
	close(fd);
}

static void
smaps_flags(const volatile uint32_t *mapping, char *flags, size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool here = false;
	char line[256];

	CHECK(file);
	flags[0] = '\0';
	while (!flags[0] && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)mapping;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, size, "%s", line + 8);
	}
	fclose(file);
}

/* As the core's own BAR mappings: I/O, no struct pages, neither to be grown nor dumped. */
static void
vma_flags(const void *arg)
{
	static const char *const expected[] = { " io ", " pf ", " de ", " dd " };
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	char flags[256];

	smaps_flags(mapping, flags, sizeof(flags));
	for (int i = 0; i < 4; i++)
		if (!strstr(flags, expected[i]))
			tap_fail(__FILE__, __LINE__, "no%sin%s", expected[i], flags);
	unmap_pages(mapping, 1);
	close(fd);
}

/* A system call without a wrapper in the C library; emulated, by mapping the file anew. */
static void
remapped_pages(const void *arg)
{
	int fd = new_slice(0, 3);
	volatile uint32_t *mapping = map_pages(fd, 3);
	void *first = (void *)(uintptr_t)mapping;

	if (remap_file_pages(first, target.page, 0, 2, 0))
		tap_skip("no remap_file_pages()");
	check_shows_page(mapping, 2);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	/* What fails may leave the page unmapped. */
	CHECK(remap_file_pages(first, target.page, 0, 1, 0) == -1);
	CHECK(touch(mapping, NULL) != 0);
	CHECK(remap_file_pages((char *)first + target.page, target.page, 0, 3, 0) == -1);
	CHECK(touch(page_of(mapping, 1), NULL) != 0);
	unmap_pages(mapping, 3);
	close(fd);
}

static void
no_other_use(const void *arg)
{
	int fd = new_slice(0, 1);
	char word[4];

	CHECK(read(fd, word, sizeof(word)) == -1);
	CHECK(write(fd, word, sizeof(word)) == -1);
	CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)target.page);
	close(fd);
}

/* A device mapping has no pages that the kernel could pin: the ways to ask for that. */
static void
vmsplice_pages(const void *arg)
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
	unmap_pages(mapping, 1);
	close(fd);
}

static void
direct_io(const void *arg)
{
	int file = open("/root", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	volatile uint32_t *mapping;
	int fd = new_slice(0, 1);
	char *memory;

	SKIP_IF(file < 0, "no file system with O_DIRECT at /root");
	mapping = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(mapping);
	memory = mmap(NULL, target.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	/* The file is good for it. */
	CHECK(write(file, memory, target.page) == (ssize_t)target.page);
	CHECK_ERRNO(pwrite(file, (void *)(uintptr_t)mapping, target.page, 0), EFAULT);
	munmap(memory, target.page);
	unmap_pages(mapping, 1);
	close(file);
	close(fd);
}

static void
other_process_memory(const void *arg)
{
	int fd = new_slice(0, 1), memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	volatile uint32_t *mapping = map_pages(fd, 1);
	uint32_t word;
	struct iovec local = { .iov_base = &word, .iov_len = 4 };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)mapping, .iov_len = 4 };

	CHECK_TOUCH_WORKS(mapping);
	CHECK_ERRNO(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), EFAULT);
	CHECK_OK(memory);
	/* Not pinning: VM_IO mappings are read through vm_operations.access, and there is none. */
	CHECK_ERRNO(pread(memory, &word, 4, (off_t)(uintptr_t)mapping), EIO);
	close(memory);
	unmap_pages(mapping, 1);
	close(fd);
}

static void
advice(const void *arg)
{
	static const int values[] = { MADV_POPULATE_READ, MADV_DONTNEED, MADV_PAGEOUT };
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	void *address = (void *)(uintptr_t)mapping;

	CHECK_TOUCH_WORKS(mapping);
	for (int i = 0; i < 3; i++)
		CHECK_ERRNO(madvise(address, target.page, values[i]), EINVAL);
	CHECK_TOUCH_WORKS(mapping);
	unmap_pages(mapping, 1);
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
	{ .rule = "offsets into unordered and overlapping ranges", .run = any_offset },
	{ .rule = "an offset far past the end: an error", .run = far_offset },
	{ .rule = "flags of the mapping: io, pf, de, dd", .run = vma_flags },
	{ .rule = "remap_file_pages() stays in the buffer, and revocable", .run = remapped_pages },
	{ .rule = "no read(), write() or ftruncate() of the descriptor", .run = no_other_use },
	{ .rule = "pages cannot be pinned: vmsplice() EFAULT", .run = vmsplice_pages },
	{ .rule = "pages cannot be pinned: O_DIRECT EFAULT", .run = direct_io },
	{ .rule = "pages cannot be pinned: process_vm_readv() EFAULT",
	  .run = other_process_memory },
	{ .rule = "madvise() to populate, drop or page out: EINVAL", .run = advice },
};

const struct subject mmap_subject = SUBJECT("mmap", cases);
