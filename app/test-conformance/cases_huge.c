/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Huge pages: an NC mapping whose addresses agree with those of the BAR modulo 2 MiB has entries
 * of that size, any other mapping has entries of 4 KiB.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "conformance.h"

#define HUGE (UINT64_C(2) << 20)
#define HUGE_PAGES (HUGE / target.page)
/* For what else the process touches for the first time meanwhile. */
#define FEW_FAULTS 8
/* A figure of more than that says nothing new. */
#define MEASURE_MAX (UINT64_C(64) << 20)

/* At an address that is skew above one that agrees with the BAR modulo 1 GiB. */
static void *
map_skewed(int fd, uint64_t size, uint64_t bar_offset, uint64_t skew)
{
	const uint64_t unit = UINT64_C(1) << 30;
	uint64_t wanted = (target.bar_phys + bar_offset) % unit + skew;
	char *hole = mmap(NULL, size + 3 * unit, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at, *mapping;

	CHECK(hole != MAP_FAILED);
	at = hole + unit - (uintptr_t)hole % unit + wanted;
	CHECK_OK(munmap(hole, size + 3 * unit));
	mapping = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	CHECK(mapping == at);
	return mapping;
}

static const volatile uint32_t *
at(const void *mapping, uint64_t offset)
{
	return (const volatile uint32_t *)((uintptr_t)mapping + offset);
}

/* Skips a device on which there cannot be an entry of 2 MiB. */
static uint64_t
huge_start(void)
{
	uint64_t first = -target.bar_phys % HUGE;

	SKIP_IF(first + 2 * HUGE > target.bar_size, "the BAR is too small for huge pages");
	return first;
}

static int
huge_slice(uint64_t nr)
{
	uint64_t start = huge_start();

	SKIP_IF(start + nr * HUGE > target.bar_size, "the BAR is too small for huge pages");
	return new_slice(start / target.page, nr * HUGE_PAGES);
}

static void
check_entry(const void *mapping, uint64_t offset, bool huge, const char *type)
{
	struct page_entry entry;

	CHECK_TOUCH_WORKS(at(mapping, offset));
	SKIP_IF(!page_entry(getpid(), at(mapping, offset), &entry), "no /proc/pte_memtype");
	CHECK(entry.present);
	if (entry.huge != huge)
		tap_fail(__FILE__, __LINE__, "the entry at %#lx is %s", (unsigned long)offset,
			 huge ? "not huge" : "huge");
	if (strcmp(entry.type, type))
		tap_fail(__FILE__, __LINE__, "the entry is %s, expected %s", entry.type, type);
}

static void
check_page(const void *mapping, uint64_t offset, uint64_t bar_offset)
{
	uint64_t pfn = (target.bar_phys + bar_offset) / target.page;
	struct page_entry entry;

	CHECK_TOUCH_WORKS(at(mapping, offset));
	SKIP_IF(!page_entry(getpid(), at(mapping, offset), &entry), "no /proc/pte_memtype");
	CHECK(entry.present);
	CHECK(entry.pfn == pfn);
}

static void
aligned(const void *arg)
{
	int fd = huge_slice(2);
	void *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);

	check_entry(mapping, HUGE + 5 * target.page, true, "UC-");
	check_page(mapping, HUGE + 5 * target.page, huge_start() + HUGE + 5 * target.page);
	check_page(mapping, 0, huge_start());
	munmap(mapping, 2 * HUGE);
	close(fd);
}

static void
unaligned(const void *arg)
{
	int fd = huge_slice(2);
	void *mapping = map_skewed(fd, 2 * HUGE, huge_start(), target.page);

	check_entry(mapping, HUGE, false, "UC-");
	check_page(mapping, HUGE, huge_start() + HUGE);
	munmap(mapping, 2 * HUGE);
	close(fd);
}

static void
write_combining(const void *arg)
{
	int fd = huge_slice(2), ret = memattr_set(fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC);
	void *mapping;

	SKIP_IF(ret && errno == form_unsupported(), "no write-combining here (no PAT?)");
	CHECK_OK(ret);
	mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);
	check_entry(mapping, HUGE, false, "WC");
	check_page(mapping, HUGE, huge_start() + HUGE);
	munmap(mapping, 2 * HUGE);
	close(fd);
}

/* Both types of one buffer, next to each other in the same address space. */
static void
both_types(const void *arg)
{
	int fd = huge_slice(2), ret;
	void *nc = map_skewed(fd, 2 * HUGE, huge_start(), 0), *wc;

	ret = memattr_set(fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC);
	SKIP_IF(ret && errno == form_unsupported(), "no write-combining here (no PAT?)");
	CHECK_OK(ret);
	wc = map_skewed(fd, 2 * HUGE, huge_start(), 0);
	check_entry(nc, 0, true, "UC-");
	check_entry(wc, 0, false, "WC");
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(at(nc, 0));
	CHECK_TOUCH_SIGBUS(at(wc, 0));
	munmap(nc, 2 * HUGE);
	munmap(wc, 2 * HUGE);
	close(fd);
}

/* A range that ends within a huge page of the BAR: no entry may reach past it. */
static void
not_past_the_end(const void *arg)
{
	uint64_t nr = HUGE_PAGES + HUGE_PAGES / 2;
	int fd;
	void *mapping;

	fd = new_slice(huge_start() / target.page, nr);
	mapping = map_skewed(fd, nr * target.page, huge_start(), 0);
	check_entry(mapping, 0, true, "UC-");
	check_entry(mapping, HUGE, false, "UC-");
	check_page(mapping, (nr - 1) * target.page, huge_start() + (nr - 1) * target.page);
	munmap(mapping, nr * target.page);
	close(fd);
}

/* The mapping is smaller than the buffer. */
static void
not_past_the_mapping(const void *arg)
{
	int fd = huge_slice(2);
	void *mapping = map_skewed(fd, HUGE + HUGE / 2, huge_start(), 0);

	check_entry(mapping, 0, true, "UC-");
	check_entry(mapping, HUGE, false, "UC-");
	munmap(mapping, HUGE + HUGE / 2);
	close(fd);
}

/* Two huge pages in the wrong order, then the first one from its middle on. */
static void
ranges(const void *arg)
{
	uint64_t start = huge_start();
	struct export_args args = {
		.op = VFIO_DEVICE_FEATURE_GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 4,
		.ranges = { { .offset = start + HUGE, .length = HUGE },
			    { .offset = start, .length = HUGE },
			    { .offset = start + HUGE / 2, .length = HUGE / 2 },
			    { .offset = start + HUGE, .length = HUGE / 2 } },
	};
	int fd = export(&args);
	void *mapping;

	CHECK_OK(fd);
	mapping = map_skewed(fd, 3 * HUGE, start, 0);
	check_entry(mapping, 0, true, "UC-");
	check_entry(mapping, HUGE, true, "UC-");
	/* Huge pages of addresses, but not of the BAR; the two halves are not one range. */
	check_entry(mapping, 2 * HUGE, false, "UC-");
	check_page(mapping, target.page, start + HUGE + target.page);
	check_page(mapping, HUGE + target.page, start + target.page);
	check_page(mapping, 2 * HUGE + target.page, start + HUGE / 2 + target.page);
	check_page(mapping, 3 * HUGE - target.page, start + 3 * HUGE / 2 - target.page);
	CHECK_OK(revoke_slice(&target.dev, fd));
	for (int i = 0; i < 6; i++)
		CHECK_TOUCH_SIGBUS(at(mapping, i * HUGE / 2));
	munmap(mapping, 3 * HUGE);
	close(fd);
}

static void
revoked(const void *arg)
{
	int fd = huge_slice(2);
	void *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);
	struct page_entry entry;

	check_entry(mapping, 0, true, "UC-");
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK(page_entry(getpid(), at(mapping, 0), &entry) && !entry.present);
	CHECK_TOUCH_SIGBUS(at(mapping, 0));
	CHECK_TOUCH_SIGBUS(at(mapping, HUGE - target.page));
	CHECK_TOUCH_SIGBUS(at(mapping, HUGE));
	munmap(mapping, 2 * HUGE);
	close(fd);
}

static void
revoked_in_child(const void *arg)
{
	int fd = huge_slice(2);
	void *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);
	struct peer peer;

	check_entry(mapping, 0, true, "UC-");
	peer_start(&peer, at(mapping, 0));
	CHECK(peer_touch(&peer) == 0);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK(peer_touch(&peer) == SIGBUS);
	peer_stop(&peer);
	munmap(mapping, 2 * HUGE);
	close(fd);
}

/* Of 4 KiB, and its zap covers a part of a huge entry of the other. */
static void
small_one_revoked(const void *arg)
{
	int huge = huge_slice(2), small = new_slice(huge_start() / target.page + 7, 1);
	void *mapping = map_skewed(huge, 2 * HUGE, huge_start(), 0);
	volatile uint32_t *page = map_pages(small, 1);

	check_entry(mapping, 0, true, "UC-");
	check_entry(mapping, HUGE, true, "UC-");
	CHECK_TOUCH_WORKS(page);
	CHECK_OK(revoke_slice(&target.dev, small));
	CHECK_TOUCH_SIGBUS(page);
	for (uint64_t offset = 0; offset < 2 * HUGE; offset += 64 * target.page)
		check_page(mapping, offset, huge_start() + offset);
	CHECK_TOUCH_WORKS(at(mapping, 7 * target.page));
	CHECK_OK(revoke_slice(&target.dev, huge));
	CHECK_TOUCH_SIGBUS(at(mapping, 7 * target.page));
	unmap_pages(page, 1);
	munmap(mapping, 2 * HUGE);
	close(small);
	close(huge);
}

static void
hole(const void *arg)
{
	int fd = huge_slice(2);
	char *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);

	check_entry(mapping, 0, true, "UC-");
	check_entry(mapping, HUGE, true, "UC-");
	CHECK_OK(munmap(mapping + HUGE / 2, target.page));
	CHECK(touch(at(mapping, HUGE / 2), NULL) == SIGSEGV);
	check_entry(mapping, HUGE / 2 - target.page, false, "UC-");
	check_entry(mapping, HUGE / 2 + target.page, false, "UC-");
	check_page(mapping, HUGE / 2 + target.page, huge_start() + HUGE / 2 + target.page);
	check_entry(mapping, HUGE, true, "UC-");
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(at(mapping, 0));
	CHECK_TOUCH_SIGBUS(at(mapping, HUGE / 2 + target.page));
	CHECK_TOUCH_SIGBUS(at(mapping, HUGE));
	munmap(mapping, 2 * HUGE);
	close(fd);
}

static void
protected_part(const void *arg)
{
	int fd = huge_slice(2);
	char *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);
	struct page_entry entry;

	check_entry(mapping, 0, true, "UC-");
	CHECK_OK(mprotect(mapping + 9 * target.page, target.page, PROT_READ));
	check_page(mapping, 9 * target.page, huge_start() + 9 * target.page);
	CHECK(page_entry(getpid(), at(mapping, 9 * target.page), &entry));
	CHECK(entry.present && !entry.write && strcmp(entry.type, "UC-") == 0);
	check_page(mapping, 8 * target.page, huge_start() + 8 * target.page);
	CHECK_OK(mprotect(mapping + 9 * target.page, target.page, PROT_NONE));
	CHECK(touch(at(mapping, 9 * target.page), NULL) == SIGSEGV);
	CHECK_TOUCH_WORKS(at(mapping, 10 * target.page));
	munmap(mapping, 2 * HUGE);
	close(fd);
}

/* The entries are kept, with another protection. */
static void
protected_as_a_whole(const void *arg)
{
	int fd = huge_slice(2);
	char *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);

	check_entry(mapping, HUGE, true, "UC-");
	CHECK_OK(mprotect(mapping, 2 * HUGE, PROT_READ));
	check_entry(mapping, HUGE, true, "UC-");
	CHECK_OK(mprotect(mapping, 2 * HUGE, PROT_READ | PROT_WRITE));
	check_entry(mapping, HUGE, true, "UC-");
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(at(mapping, HUGE));
	munmap(mapping, 2 * HUGE);
	close(fd);
}

static void
moved(const void *arg)
{
	int fd = huge_slice(2);
	char *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);
	void *elsewhere = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *at_last;

	check_entry(mapping, 0, true, "UC-");
	at_last = mremap(mapping, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere);
	CHECK(at_last == elsewhere);
	check_page(at_last, HUGE + target.page, huge_start() + HUGE + target.page);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(at(at_last, HUGE + target.page));
	munmap(at_last, 2 * HUGE);
	close(fd);
}

static void
after_decode_off(const void *arg)
{
	int fd = huge_slice(2), while_off;
	char *mapping = map_skewed(fd, 2 * HUGE, huge_start(), 0);

	check_entry(mapping, HUGE, true, "UC-");
	memory_decode(false);
	while_off = touch(at(mapping, HUGE), NULL);
	memory_decode(true);
	CHECK(while_off == SIGBUS);
	check_entry(mapping, HUGE, true, "UC-");
	munmap(mapping, 2 * HUGE);
	close(fd);
}

struct figures {
	long faults, page_table_kib;
};

static long
page_table_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	CHECK(status);
	while (kib < 0 && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmPTE: %ld", &kib) != 1)
			kib = -1;
	fclose(status);
	return kib;
}

static long
faults(void)
{
	struct rusage usage;

	CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_minflt + usage.ru_majflt;
}

/* Touches every page of a mapping of the BAR, from the first huge page on. */
static struct figures
measure(const char *what, uint32_t memattr, uint64_t skew)
{
	uint64_t start = huge_start(), size = (target.bar_size - start) / HUGE * HUGE;
	struct figures figures;
	long before, tables;
	void *mapping;
	int fd;

	if (size > MEASURE_MAX)
		size = MEASURE_MAX;
	fd = new_slice(start / target.page, size / target.page);
	SKIP_IF(memattr_set(fd, memattr), "no write-combining here (no PAT?)");
	mapping = map_skewed(fd, size, start, skew);
	tables = page_table_kib();
	before = faults();
	for (uint64_t offset = 0; offset < size; offset += target.page)
		if (touch(at(mapping, offset), NULL))
			tap_fail(__FILE__, __LINE__, "the touch at %#lx raises a signal",
				 (unsigned long)offset);
	figures.faults = faults() - before;
	figures.page_table_kib = page_table_kib() - tables;
	tap_diagnose("%s, %lu MiB: %ld faults, %ld KiB of page tables", what,
		     (unsigned long)(size >> 20), figures.faults, figures.page_table_kib);
	munmap(mapping, size);
	close(fd);
	return figures;
}

static void
cost(const void *arg)
{
	struct figures huge, small;
	long size;

	huge_start();
	huge = measure("NC, aligned", VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC, 0);
	small = measure("NC, not aligned", VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC, target.page);
	size = small.faults * (long)target.page;
	/* A fault for each page, or the figures mean nothing. */
	CHECK(size >= (long)HUGE);
	CHECK(huge.faults <= size / (long)HUGE + FEW_FAULTS);
	CHECK(huge.page_table_kib < small.page_table_kib);
	measure("WC", VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC, 0);
}

static const struct test_case cases[] = {
	{ .rule = "NC, aligned: entries of 2 MiB or more", .run = aligned },
	{ .rule = "NC, not aligned: entries of 4 KiB", .run = unaligned },
	{ .rule = "WC: entries of 4 KiB, write-combining", .run = write_combining },
	{ .rule = "NC and WC of one buffer: each its size and type", .run = both_types },
	{ .rule = "no entry reaches past the buffer", .run = not_past_the_end },
	{ .rule = "no entry reaches past the mapping", .run = not_past_the_mapping },
	{ .rule = "no entry crosses the border of two ranges", .run = ranges },
	{ .rule = "a revoke removes huge entries", .run = revoked },
	{ .rule = "a revoke removes huge entries of a forked child", .run = revoked_in_child },
	{ .rule = "a buffer of 4 KiB revoked within: the huge one lives on",
	  .run = small_one_revoked },
	{ .rule = "munmap() of a page within leaves the rest, revocable", .run = hole },
	{ .rule = "mprotect() of a page within is followed, type kept", .run = protected_part },
	{ .rule = "mprotect() of all keeps huge entries and their type",
	  .run = protected_as_a_whole },
	{ .rule = "mremap() moves a huge mapping, which stays revocable", .run = moved },
	{ .rule = "memory decode off and on: huge again", .run = after_decode_off },
	{ .rule = "a fault for each 2 MiB, not for each 4 KiB", .run = cost },
};

const struct subject huge_subject = SUBJECT("huge", cases);
