/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Every call with a failure injected into the first place of the kernel where one can be, then
 * with one in the second place, and so on until the call gets through. Documentation/
 * fault-injection/fault-injection.rst: fail-nth; the method is that of iommufd's self-test.
 */

#include <dirent.h>
#include <linux/dma-buf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "conformance.h"

/* No call has nearly as many places to fail in: more is a call that never gets through. */
#define MAX_NTH 2000

#define FRESH_SIZE (UINT64_C(4) << 30)

/* What a call is about, made anew for each attempt. */
struct scene {
	int fd;
	uint32_t attr;
	/* A mapping for the calls that touch; else NULL. */
	volatile uint32_t *mapping;
	uint64_t length;
};

struct operation {
	const char *name;
	void (*prepare)(struct scene *scene);
	/* -1 and errno, or a result; must neither end the case nor print. */
	long (*call)(struct scene *scene);
	/* Takes back what a successful call did. */
	void (*undo)(struct scene *scene, long result);
};

static int nth_file;

static void
write_setting(const char *folder, const char *name, const char *value)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		tap_diagnose("%s: %s", path, strerror(errno));
	close(fd);
}

/* All allocations may fail, and without a trace in the log: that is for what goes wrong. */
static void
choose_failures(void)
{
	DIR *debugfs = opendir("/sys/kernel/debug");
	struct dirent *entry;

	write_setting("failslab", "ignore-gfp-wait", "N");
	write_setting("fail_page_alloc", "ignore-gfp-wait", "N");
	write_setting("fail_page_alloc", "ignore-gfp-highmem", "N");
	write_setting("fail_page_alloc", "min-order", "0");
	while (debugfs && (entry = readdir(debugfs)))
		if (strncmp(entry->d_name, "fail", 4) == 0)
			write_setting(entry->d_name, "verbose", "0");
	if (debugfs)
		closedir(debugfs);
}

static void
arm(unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	CHECK(pwrite(nth_file, text, length, 0) == length);
}

/*
 * Whether the failure was injected. To read and to write the file can fail by injection too: then
 * the call itself had got through.
 */
static bool
disarm(void)
{
	char text[16] = "";
	bool injected;

	injected = pread(nth_file, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
	if (pwrite(nth_file, "0", 1, 0) != 1) {
		injected = false;
		CHECK(pwrite(nth_file, "0", 1, 0) == 1);
	}
	return injected;
}

static void
with_slice(struct scene *scene)
{
	scene->fd = new_slice(0, 1);
}

/* Where no page tables are yet, so that the touch has to make all of them. */
static void
map_fresh(struct scene *scene, uint64_t length)
{
	char *hole = mmap(NULL, FRESH_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	const uint64_t unit = UINT64_C(1) << 30;
	char *at;

	CHECK(hole != MAP_FAILED);
	at = hole + unit - (uintptr_t)hole % unit + target.bar_phys % unit;
	CHECK_OK(munmap(hole, FRESH_SIZE));
	scene->length = length;
	scene->mapping = mmap(at, length, PROT_READ, MAP_SHARED | MAP_FIXED, scene->fd, 0);
	CHECK(scene->mapping != MAP_FAILED);
}

static void
with_nc_mapping(struct scene *scene)
{
	with_slice(scene);
	map_fresh(scene, target.page);
}

static void
with_wc_mapping(struct scene *scene)
{
	with_slice(scene);
	SKIP_IF(memattr_set(scene->fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC),
		"no write-combining here (no PAT?)");
	map_fresh(scene, target.page);
}

static void
with_huge_mapping(struct scene *scene)
{
	uint64_t length = UINT64_C(2) << 20;

	SKIP_IF(target.bar_phys % length || target.bar_size < length,
		"the BAR is too small for huge pages");
	scene->fd = new_slice(0, length / target.page);
	map_fresh(scene, length);
}

static void
with_touched_mapping(struct scene *scene)
{
	with_nc_mapping(scene);
	CHECK_TOUCH_WORKS(scene->mapping);
}

static void with_nothing(struct scene *scene) { scene->fd = -1; }
static long call_export(struct scene *scene) { return export_pages(0, 1); }
static long call_set(struct scene *scene) { return memattr_set(scene->fd, 0); }
static long call_get(struct scene *scene) { return memattr_get(scene->fd, &scene->attr); }
static long call_revoke(struct scene *scene) { return revoke_slice(&target.dev, scene->fd); }
static long call_dup(struct scene *scene) { return fcntl(scene->fd, F_DUPFD_CLOEXEC, 900); }
static long call_name(struct scene *scene) { return ioctl(scene->fd, DMA_BUF_SET_NAME, "nth"); }
static long call_decode_off(struct scene *scene) { return memory_decode_try(false); }
static void undo_descriptor(struct scene *scene, long result) { close(result); }
static void undo_decode_off(struct scene *scene, long result) { memory_decode(true); }
static void undo_nothing(struct scene *scene, long result) { }

static long
call_mmap(struct scene *scene)
{
	void *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, scene->fd, 0);

	return mapping == MAP_FAILED ? -1 : (long)mapping;
}

static void
undo_mmap(struct scene *scene, long result)
{
	CHECK_OK(munmap((void *)result, target.page));
}

/* A page fault that runs out of memory is tried again, or ends in SIGBUS: that counts as ENOMEM. */
static long
call_touch(struct scene *scene)
{
	int signal = touch(scene->mapping, NULL);

	errno = ENOMEM;
	return signal ? -1 : 0;
}

/* Not the reset: of its allocations, all the PCI core's, some may not fail without a WARNING. */
static const struct operation operations[] = {
	{ "export", with_nothing, call_export, undo_descriptor },
	{ "memattr SET", with_slice, call_set, undo_nothing },
	{ "memattr GET", with_slice, call_get, undo_nothing },
	{ "revoke of an unmapped buffer", with_slice, call_revoke, undo_nothing },
	{ "revoke of a mapped buffer", with_touched_mapping, call_revoke, undo_nothing },
	{ "mmap", with_slice, call_mmap, undo_mmap },
	{ "touch, NC", with_nc_mapping, call_touch, undo_nothing },
	{ "touch, WC", with_wc_mapping, call_touch, undo_nothing },
	{ "touch, huge", with_huge_mapping, call_touch, undo_nothing },
	{ "dup", with_slice, call_dup, undo_descriptor },
	{ "DMA_BUF_SET_NAME", with_slice, call_name, undo_nothing },
	{ "memory decode off", with_touched_mapping, call_decode_off, undo_decode_off },
};

static void
clear(struct scene *scene)
{
	if (scene->mapping)
		munmap((void *)(uintptr_t)scene->mapping, scene->length);
	if (scene->fd >= 0)
		close(scene->fd);
}

/* What an allocation or a copy from or to user memory may come to when it fails. */
static bool
is_clean(int error)
{
	return error == ENOMEM || error == EFAULT || error == ENFILE || error == EMFILE ||
	       error == EAGAIN;
}

/* One attempt with the nth failure; false when there is no nth. */
static bool
attempt(const struct operation *operation, unsigned int nth, unsigned int *failed)
{
	struct scene scene = { 0 };
	int descriptors = count_descriptors(), buffers = count_buffers(), error;
	bool injected;
	long result;

	operation->prepare(&scene);
	arm(nth);
	result = operation->call(&scene);
	error = errno;
	injected = disarm();
	if (result != -1) {
		operation->undo(&scene, result);
	} else {
		*failed += 1;
		if (!injected || !is_clean(error))
			tap_fail(__FILE__, __LINE__, "failure %u %s: %s", nth,
				 injected ? "injected" : "not injected", strerror(error));
		/* The same call, with nothing else changed, works. */
		result = operation->call(&scene);
		if (result == -1)
			tap_fail(__FILE__, __LINE__, "after failure %u: %s", nth,
				 strerror(errno));
		operation->undo(&scene, result);
	}
	clear(&scene);
	if (count_descriptors() != descriptors || count_buffers() != buffers)
		tap_fail(__FILE__, __LINE__, "failure %u leaks a descriptor or a buffer", nth);
	return injected;
}

static void
each_failure(const void *arg)
{
	const struct operation *operation = arg;
	unsigned int nth = 1, failed = 0;

	nth_file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	SKIP_IF(nth_file < 0, "the kernel injects no failures (CONFIG_FAULT_INJECTION)");
	SKIP_IF(operation->call == call_get && form != FORM_V2, "this form has no GET");
	choose_failures();
	while (attempt(operation, nth, &failed))
		CHECK(++nth < MAX_NTH);
	close(nth_file);
	tap_diagnose("%s: %u places, failed in %u", operation->name, nth - 1, failed);
}

bool
fail_nth(void)
{
	enum { NR = sizeof(operations) / sizeof(operations[0]) };
	struct test_case cases[NR];
	struct subject subject = { .name = "fail-nth", .cases = cases, .nr_cases = NR };
	const struct subject *const subjects[] = { &subject };

	for (int i = 0; i < NR; i++)
		cases[i] = (struct test_case){
			.rule = operations[i].name,
			.run = each_failure,
			.arg = &operations[i],
		};
	return tap_run(subjects, 1);
}
