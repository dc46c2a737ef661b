/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* VFIO_DEVICE_FEATURE_DMA_BUF: arguments and what comes out. */

#include <linux/dma-buf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "conformance.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

/* A one-page export of the BAR under test, but for what the row changes. */
struct bad_export {
	int expected;
	void (*change)(struct export_args *args);
};

static void no_range(struct export_args *args) { args->nr_ranges = 0; }
static void with_flags(struct export_args *args) { args->flags = 1; }
static void rom(struct export_args *args) { args->region = VFIO_PCI_ROM_REGION_INDEX; }
static void config(struct export_args *args) { args->region = VFIO_PCI_CONFIG_REGION_INDEX; }
static void no_region(struct export_args *args) { args->region = UINT32_MAX; }
static void empty(struct export_args *args) { args->ranges[0].length = 0; }
static void odd_length(struct export_args *args) { args->ranges[0].length = 1; }
static void odd_offset(struct export_args *args) { args->ranges[0].offset = 1; }
static void too_long(struct export_args *args) { args->ranges[0].length += target.bar_size; }
static void beyond(struct export_args *args) { args->ranges[0].offset = target.bar_size; }
static void wraps(struct export_args *args) { args->ranges[0].offset = -(uint64_t)target.page; }
static void short_argsz(struct export_args *args) { args->argsz = 8 + 15; }
static void set_op(struct export_args *args) { args->op = SET; }
static void no_op(struct export_args *args) { args->op = 0; }
static void probe_set(struct export_args *args) { args->op = PROBE | SET; }
static void probe_get(struct export_args *args) { args->op = PROBE | GET; }
static void endless(struct export_args *args) { args->nr_ranges = UINT32_MAX; }

static void
sum_wraps(struct export_args *args)
{
	args->nr_ranges = 2;
	args->ranges[0].length = args->ranges[1].length = UINT64_C(1) << 63;
}

static void
bad_second(struct export_args *args)
{
	args->nr_ranges = 2;
	args->ranges[1].offset = target.bar_size;
	args->ranges[1].length = target.page;
}

static void
export_returns(const void *arg)
{
	const struct bad_export *bad = arg;
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { .offset = 0, .length = target.page } },
	};

	bad->change(&args);
	CHECK_ERRNO(export(&args), bad->expected);
}

#define EXPORT_RETURNS(expected_, change_, rule_) \
	{ .rule = (rule_), .run = export_returns, \
	  .arg = &(const struct bad_export){ .expected = (expected_), .change = (change_) } }

static void
unimplemented_bar(const void *arg)
{
	uint64_t size = 1, offset;
	struct export_args args = {
		.op = GET,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { .length = target.page } },
	};

	for (args.region = 0; args.region < VFIO_PCI_ROM_REGION_INDEX; args.region++) {
		CHECK_OK(region_size(&target.dev, args.region, &size, &offset));
		if (size == 0)
			break;
	}
	SKIP_IF(size != 0, "the device implements every BAR");
	CHECK_ERRNO(export(&args), ENODEV);
}

static void
unreadable_payload(const void *arg)
{
	char *pages = mmap(NULL, 2 * target.page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t *call = (uint32_t *)(void *)(pages + target.page - 8);

	CHECK(pages != MAP_FAILED);
	CHECK_OK(munmap(pages + target.page, target.page));
	call[0] = 8 + 16 + 16;
	call[1] = GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	CHECK_ERRNO(ioctl(target.dev.fd, VFIO_DEVICE_FEATURE, call), EFAULT);
	munmap(pages, target.page);
}

static void
size_is_sum_of_ranges(const void *arg)
{
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 2,
		.ranges = { { .length = target.page }, { .length = target.page } },
	};
	int fd = export(&args);

	CHECK_OK(fd);
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)(2 * target.page));
	close(fd);
}

/* Three ranges, backwards and with one page twice: the buffer has them in the order given. */
static void
ranges_in_order(const void *arg)
{
	static const unsigned int pages[] = { 2, 0, 2 };
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 3,
	};
	volatile uint32_t *mapping;
	struct page_entry entry;
	int fd;

	SKIP_IF(target.bar_size < 3 * target.page, "the BAR has too few pages");
	for (int i = 0; i < 3; i++) {
		args.ranges[i].offset = pages[i] * target.page;
		args.ranges[i].length = target.page;
	}
	fd = export(&args);
	CHECK_OK(fd);
	mapping = map_pages(fd, 3);
	for (int i = 0; i < 3; i++) {
		const volatile uint32_t *at = mapping + i * target.page / sizeof(*mapping);

		CHECK_TOUCH_WORKS(at);
		SKIP_IF(!page_entry(getpid(), at, &entry), "no /proc/pte_memtype");
		CHECK(entry.present);
		CHECK(entry.pfn == target.bar_phys / target.page + pages[i]);
	}
	munmap((void *)(uintptr_t)mapping, 3 * target.page);
	close(fd);
}

static void
open_flags_reach_file(const void *arg)
{
	static const int access[] = { O_RDONLY, O_RDWR };
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.nr_ranges = 1,
		.ranges = { { .length = target.page } },
	};

	for (int i = 0; i < 2; i++) {
		for (int cloexec = 0; cloexec < 2; cloexec++) {
			int fd;

			args.open_flags = access[i] | (cloexec ? O_CLOEXEC : 0);
			fd = export(&args);
			CHECK_OK(fd);
			CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == access[i]);
			CHECK(fcntl(fd, F_GETFD) == (cloexec ? FD_CLOEXEC : 0));
			close(fd);
		}
	}
}

static bool
maps_name(const volatile uint32_t *address, char *name, size_t size)
{
	unsigned long start;
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;

	CHECK(maps);
	while (!found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%lx-", &start) == 1 && start == (unsigned long)address;
	fclose(maps);
	snprintf(name, size, "%s", found ? line : "");
	return found;
}

static void
maps_shows_name(const void *arg)
{
	volatile uint32_t *mapping;
	char line[256];
	int fd = new_slice(0, 1);

	mapping = map_pages(fd, 1);
	CHECK(maps_name(mapping, line, sizeof(line)));
	tap_diagnose("default name: %s", strchr(line, '/') ? strtok(strchr(line, '/'), "\n") : "");
	CHECK(strstr(line, "/dmabuf:"));
	CHECK_OK(ioctl(fd, DMA_BUF_SET_NAME, "conformance"));
	CHECK(maps_name(mapping, line, sizeof(line)));
	CHECK(strstr(line, "/dmabuf:conformance"));
	munmap((void *)(uintptr_t)mapping, target.page);
	close(fd);
}

static void
descriptors_run_out(const void *arg)
{
	int first = fcntl(0, F_DUPFD_CLOEXEC, 3), count = 0, fds[1024], fd;

	SKIP_IF(sysconf(_SC_OPEN_MAX) > 1024, "the descriptor limit is above 1024");
	close(first);
	while ((fd = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
		fds[count++] = fd;
	fd = export_pages(0, 1);
	while (count)
		close(fds[--count]);
	CHECK_ERRNO(fd, EMFILE);
}

static const struct test_case cases[] = {
	EXPORT_RETURNS(0, probe_get, "PROBE with GET succeeds"),
	EXPORT_RETURNS(EINVAL, probe_set, "PROBE with SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, set_op, "SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, no_op, "neither GET nor SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, short_argsz, "argsz too small: EINVAL"),
	EXPORT_RETURNS(EINVAL, no_range, "no range: EINVAL"),
	EXPORT_RETURNS(EINVAL, with_flags, "flags not 0: EINVAL"),
	EXPORT_RETURNS(ENODEV, rom, "the ROM region: ENODEV"),
	EXPORT_RETURNS(ENODEV, config, "the configuration region: ENODEV"),
	EXPORT_RETURNS(ENODEV, no_region, "no such region: ENODEV"),
	{ .rule = "a BAR that the device does not implement: ENODEV", .run = unimplemented_bar },
	EXPORT_RETURNS(EINVAL, empty, "an empty range: EINVAL"),
	EXPORT_RETURNS(EINVAL, odd_length, "a length that is no multiple of pages: EINVAL"),
	EXPORT_RETURNS(EINVAL, odd_offset, "an offset that is not page-aligned: EINVAL"),
	EXPORT_RETURNS(EINVAL, too_long, "a range past the end of the BAR: EINVAL"),
	EXPORT_RETURNS(EINVAL, beyond, "a range beyond the BAR: EINVAL"),
	EXPORT_RETURNS(EINVAL, bad_second, "a second range beyond the BAR: EINVAL"),
	EXPORT_RETURNS(EOVERFLOW, wraps, "a range past the address space: EOVERFLOW"),
	EXPORT_RETURNS(EINVAL, sum_wraps, "ranges whose sum overflows: EINVAL"),
	EXPORT_RETURNS(ENOMEM, endless, "more ranges than memory holds: ENOMEM"),
	{ .rule = "an unreadable payload: EFAULT", .run = unreadable_payload },
	{ .rule = "no descriptor left: EMFILE", .run = descriptors_run_out },
	{ .rule = "the size is the sum of the ranges", .run = size_is_sum_of_ranges },
	{ .rule = "unordered and overlapping ranges concatenate", .run = ranges_in_order },
	{ .rule = "open_flags: access mode and O_CLOEXEC", .run = open_flags_reach_file },
	{ .rule = "/proc/PID/maps shows a name, and the one set later", .run = maps_shows_name },
};

const struct subject export_subject = SUBJECT("export", cases);
