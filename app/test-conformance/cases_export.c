/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* VFIO_DEVICE_FEATURE_DMA_BUF: arguments and what comes out. */

#include <linux/dma-buf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

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
static void get_and_set(struct export_args *args) { args->op = GET | SET; }
static void probe_both(struct export_args *args) { args->op = PROBE | GET | SET; }
static void probe_only(struct export_args *args) { args->op = PROBE; }
static void unknown_op(struct export_args *args) { args->op = GET | 1U << 19; }
static void no_header(struct export_args *args) { args->argsz = 7; }
static void odd_end(struct export_args *args) { args->ranges[0].length = target.page + 512; }
static void half_page(struct export_args *args) { args->ranges[0].offset = target.page / 2; }
static void later_empty(struct export_args *args) { args->nr_ranges = 2; }
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
check_maps_name(volatile uint32_t *mapping, const char *expected)
{
	char line[256], *name;

	CHECK(maps_name(mapping, line, sizeof(line)));
	name = strchr(line, '/');
	CHECK(name);
	name[strcspn(name, "\n")] = '\0';
	if (strcmp(name, expected))
		tap_fail(__FILE__, __LINE__, "the name is %s, expected %s", name, expected);
}

static void
maps_shows_device(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);
	char expected[64];

	snprintf(expected, sizeof(expected), "/dmabuf:%s/bar%u", target.dev.bdf, target.bar);
	check_maps_name(mapping, expected);
	unmap_pages(mapping, 1);
	close(fd);
}

/* Whoever has a descriptor may give a name; the mapping of another one shows it as well. */
static void
maps_shows_name(const void *arg)
{
	int fd = new_slice(0, 1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	volatile uint32_t *mapping = map_pages(fd, 1);

	CHECK_OK(ioctl(fd, DMA_BUF_SET_NAME, "conformance"));
	check_maps_name(mapping, "/dmabuf:conformance");
	CHECK_OK(ioctl(copy, DMA_BUF_SET_NAME, "another name"));
	check_maps_name(mapping, "/dmabuf:another name");
	unmap_pages(mapping, 1);
	close(copy);
	close(fd);
}

static void
write_only_descriptor(const void *arg)
{
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.open_flags = O_WRONLY | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { .length = target.page } },
	};
	int fd = export(&args);

	CHECK_OK(fd);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY);
	/* As of every file: a mapping for writing only is one for reading too. */
	CHECK(map_errno(fd, target.page, PROT_WRITE, MAP_SHARED, 0) == EACCES);
	close(fd);
}

static void
nonblocking_descriptor(const void *arg)
{
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_NONBLOCK | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { .length = target.page } },
	};
	int fd = export(&args);

	CHECK_OK(fd);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
}

/* A number of descriptors that is taken up at once, and the limit that was before. */
static int
exports_without_descriptors(int times)
{
	struct rlimit before, tight;
	int lowest = fcntl(0, F_DUPFD_CLOEXEC, 3), refused = 0;

	close(lowest);
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
	tight = before;
	/* What is open stays open; there is just no number left. */
	tight.rlim_cur = lowest;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &tight));
	for (int i = 0; i < times; i++)
		refused += export_pages(0, 1) < 0 && errno == EMFILE;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
	return refused;
}

static void
descriptors_run_out(const void *arg)
{
	/* Where they can be counted, a few show a leak; else it takes many to exhaust memory. */
	int before = count_buffers(), times = before < 0 ? 10000 : 100;
	int descriptors = count_descriptors();

	CHECK(exports_without_descriptors(times) == times);
	CHECK(count_buffers() == before);
	CHECK(count_descriptors() == descriptors);
	close(new_slice(0, 1));
}

static void
failures_leave_nothing(const void *arg)
{
	struct export_args args = {
		.op = GET,
		.region = target.bar,
		.nr_ranges = 2,
		.ranges = { { .length = target.page }, { .offset = target.bar_size,
			      .length = target.page } },
	};
	int before = count_buffers();

	SKIP_IF(before < 0, "no debugfs to count DMABUFs in");
	for (int i = 0; i < 100; i++)
		CHECK_ERRNO(export(&args), EINVAL);
	CHECK(count_buffers() == before);
}

static void
all_is_released(const void *arg)
{
	int before = count_buffers();

	SKIP_IF(before < 0, "no debugfs to count DMABUFs in");
	for (int i = 0; i < 100; i++) {
		int fd = new_slice(0, 1);
		volatile uint32_t *mapping = map_pages(fd, 1);

		CHECK_TOUCH_WORKS(mapping);
		if (i % 2)
			CHECK_OK(revoke_slice(&target.dev, fd));
		CHECK(count_buffers() == before + 1);
		close(fd);
		CHECK(count_buffers() == before + 1);
		unmap_pages(mapping, 1);
	}
	CHECK(count_buffers() == before);
}

static const struct test_case cases[] = {
	EXPORT_RETURNS(0, probe_get, "PROBE with GET succeeds"),
	EXPORT_RETURNS(EINVAL, probe_set, "PROBE with SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, set_op, "SET: EINVAL"),
	EXPORT_RETURNS(0, probe_only, "PROBE alone succeeds"),
	EXPORT_RETURNS(EINVAL, probe_both, "PROBE with GET and SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, get_and_set, "GET with SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, unknown_op, "an unknown bit in flags: EINVAL"),
	EXPORT_RETURNS(EINVAL, no_op, "neither GET nor SET: EINVAL"),
	EXPORT_RETURNS(EINVAL, short_argsz, "argsz too small: EINVAL"),
	EXPORT_RETURNS(EINVAL, no_header, "argsz smaller than the header: EINVAL"),
	EXPORT_RETURNS(EINVAL, no_range, "no range: EINVAL"),
	EXPORT_RETURNS(EINVAL, with_flags, "flags not 0: EINVAL"),
	EXPORT_RETURNS(ENODEV, rom, "the ROM region: ENODEV"),
	EXPORT_RETURNS(ENODEV, config, "the configuration region: ENODEV"),
	EXPORT_RETURNS(ENODEV, no_region, "no such region: ENODEV"),
	{ .rule = "a BAR that the device does not implement: ENODEV", .run = unimplemented_bar },
	EXPORT_RETURNS(EINVAL, empty, "an empty range: EINVAL"),
	EXPORT_RETURNS(EINVAL, odd_length, "a length that is no multiple of pages: EINVAL"),
	EXPORT_RETURNS(EINVAL, odd_offset, "an offset that is not page-aligned: EINVAL"),
	EXPORT_RETURNS(EINVAL, odd_end, "a range that ends in a page: EINVAL"),
	EXPORT_RETURNS(EINVAL, half_page, "a range that begins in a page: EINVAL"),
	EXPORT_RETURNS(EINVAL, later_empty, "a later range that is empty: EINVAL"),
	EXPORT_RETURNS(EINVAL, too_long, "a range past the end of the BAR: EINVAL"),
	EXPORT_RETURNS(EINVAL, beyond, "a range beyond the BAR: EINVAL"),
	EXPORT_RETURNS(EINVAL, bad_second, "a second range beyond the BAR: EINVAL"),
	EXPORT_RETURNS(EOVERFLOW, wraps, "a range past the address space: EOVERFLOW"),
	EXPORT_RETURNS(EINVAL, sum_wraps, "ranges whose sum overflows: EINVAL"),
	EXPORT_RETURNS(ENOMEM, endless, "more ranges than memory holds: ENOMEM"),
	{ .rule = "an unreadable payload: EFAULT", .run = unreadable_payload },
	{ .rule = "no descriptor left: EMFILE, and nothing leaks", .run = descriptors_run_out },
	{ .rule = "the size is the sum of the ranges", .run = size_is_sum_of_ranges },
	{ .rule = "unordered and overlapping ranges concatenate", .run = ranges_in_order },
	{ .rule = "open_flags: access mode and O_CLOEXEC", .run = open_flags_reach_file },
	{ .rule = "open_flags: O_WRONLY cannot be mapped, EACCES", .run = write_only_descriptor },
	{ .rule = "open_flags: O_NONBLOCK is one of the file", .run = nonblocking_descriptor },
	{ .rule = "/proc/PID/maps shows the device and the BAR", .run = maps_shows_device },
	{ .rule = "/proc/PID/maps shows the name set with DMA_BUF_SET_NAME",
	  .run = maps_shows_name },
	{ .rule = "an export that fails leaves nothing", .run = failures_leave_nothing },
	{ .rule = "a buffer is freed with its last descriptor and mapping",
	  .run = all_is_released },
};

const struct subject export_subject = SUBJECT("export", cases);
