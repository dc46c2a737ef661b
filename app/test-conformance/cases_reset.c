/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* Resets, whoever starts them: mappings raise SIGBUS or wait, then work as before. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "conformance.h"

/* Of an access that the device does not answer. */
#define NO_ANSWER UINT32_MAX

/*
 * After a bus reset the kernel waits for the link, and says ENOTTY if the port never has one. It
 * does not wait for a device without power management.
 */
static const char no_link[] = "the port above tells of a link that is down (QEMU 10.0)";

static bool
bus_reset_completes(void)
{
	return !has_power_management() || upstream_link_active(target.dev.bdf);
}

/* Touches and maps without pause, and counts what comes of it. */
struct watch {
	volatile uint32_t *mapping;
	int fd;
	atomic_bool stop;
	unsigned long reached, unanswered, sigbus, other_signal;
	unsigned long mapped, refused, other_error;
};

static int
keep_watch(void *arg)
{
	struct watch *watch = arg;
	uint32_t value = 0;

	while (!watch->stop) {
		int signal = touch(watch->mapping, &value), error;

		watch->reached += signal == 0;
		watch->unanswered += signal == 0 && value == NO_ANSWER;
		watch->sigbus += signal == SIGBUS;
		watch->other_signal += signal && signal != SIGBUS;
		error = map_errno(watch->fd, target.page, PROT_READ, MAP_SHARED, 0);
		watch->mapped += error == 0;
		watch->refused += error == ENODEV;
		watch->other_error += error && error != ENODEV;
	}
	return 0;
}

/* Runs a reset while another thread watches, and checks what all kinds of reset have in common. */
static struct watch
watch_reset(int (*start)(void))
{
	struct pair pair = pair_new();
	struct watch watch = { .mapping = pair.live, .fd = pair.live_fd };
	struct background background;
	uint32_t value;
	int ret;

	CHECK(touch(pair.live, &value) == 0);
	SKIP_IF(value == NO_ANSWER, "the first word of the BAR reads as if nobody answered");
	background_start(&background, keep_watch, &watch);
	ret = start() ? errno : 0;
	watch.stop = true;
	CHECK(background_wait(&background, 5000));
	if (ret)
		tap_fail(__FILE__, __LINE__, "the reset: %s", strerror(ret));

	CHECK(watch.unanswered == 0);
	CHECK(watch.other_signal == 0);
	CHECK(watch.other_error == 0);
	/* A device may come out of a bus reset with decoding off. */
	memory_decode(true);
	CHECK_TOUCH_WORKS(pair.live);
	CHECK(map_errno(pair.live_fd, target.page, PROT_READ, MAP_SHARED, 0) == 0);
	CHECK_TOUCH_SIGBUS(pair.dead);
	CHECK_ERRNO(revoke_slice(&target.dev, pair.dead_fd), EBADFD);
	CHECK_OK(revoke_slice(&target.dev, pair.live_fd));
	CHECK_TOUCH_SIGBUS(pair.live);
	pair_free(&pair);
	return watch;
}

static void
vfio_reset(const void *arg)
{
	SKIP_IF(!device_has_reset(), "the device has no reset");
	watch_reset(device_reset);
}

/* Of this device; the groups named have to cover all devices that are reset with it. */
static int
hot_reset_with(int device_fd, const int32_t *groups, unsigned int nr_groups)
{
	struct {
		struct vfio_pci_hot_reset header;
		int32_t groups[2];
	} call = { .header = { .argsz = sizeof(call), .count = nr_groups } };

	memcpy(call.groups, groups, nr_groups * sizeof(*groups));
	return ioctl(device_fd, VFIO_DEVICE_PCI_HOT_RESET, &call);
}

static int
hot_reset(void)
{
	int32_t group = target.dev.group;

	return hot_reset_with(target.dev.fd, &group, 1);
}

struct reset_set {
	struct vfio_pci_hot_reset_info header;
	struct vfio_pci_dependent_device devices[16];
};

static bool
find_reset_set(struct reset_set *set)
{
	memset(set, 0, sizeof(*set));
	set->header.argsz = sizeof(*set);
	return ioctl(target.dev.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, set) == 0;
}

static void
own_hot_reset(const void *arg)
{
	struct reset_set set;

	SKIP_IF(!find_reset_set(&set), "the device has no hot reset");
	SKIP_IF(set.header.count != 1, "other devices are reset with this one");
	SKIP_IF(!bus_reset_completes(), no_link);
	watch_reset(hot_reset);
}

/* Another device that this one is reset with, and that can be opened. */
static struct vfio_dev sibling;

static bool
find_sibling(const struct reset_set *set)
{
	for (unsigned int i = 0; i < set->header.count; i++) {
		const struct vfio_pci_dependent_device *device = &set->devices[i];

		snprintf(sibling.bdf, sizeof(sibling.bdf), "%04x:%02x:%02x.%x", device->segment,
			 device->bus, device->devfn >> 3, device->devfn & 7);
		if (strcmp(sibling.bdf, target.dev.bdf))
			return true;
	}
	return false;
}

static int
reset_through_sibling(void)
{
	int32_t groups[2] = { target.dev.group, sibling.group };

	return hot_reset_with(sibling.fd, groups, sibling.group == target.dev.group ? 1 : 2);
}

static void
hot_reset_of_the_set(const void *arg)
{
	struct reset_set set;

	SKIP_IF(!find_reset_set(&set) || !find_sibling(&set),
		"no other device is reset with this one");
	if (vfio_group_of(sibling.bdf) == vfio_group_of(target.dev.bdf)) {
		sibling.group = target.dev.group;
		vfio_open_device_file(&sibling);
	} else {
		vfio_open(&sibling);
	}
	watch_reset(reset_through_sibling);
	close(sibling.fd);
}

static void
foreign_group(const void *arg)
{
	struct pair pair = pair_new();
	int32_t group = other.group;
	struct reset_set set;

	SKIP_IF(!find_reset_set(&set), "the device has no hot reset");
	SKIP_IF(other.fd < 0, "no other device named");
	CHECK(hot_reset_with(target.dev.fd, &group, 1) == -1);
	CHECK_TOUCH_WORKS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	pair_free(&pair);
}

/* NULL: the one that the kernel prefers. */
static const char *reset_method;

/* The file is there also for a function whose siblings, found later, leave it no way to reset. */
static bool
has_administrator_reset(void)
{
	return sysfs_exists(target.dev.bdf, "reset") && device_has_reset();
}

static int
administrator_reset(void)
{
	int ret, error;

	if (reset_method && sysfs_write(target.dev.bdf, "reset_method", reset_method))
		return -1;
	ret = sysfs_write(target.dev.bdf, "reset", "1");
	error = errno;
	if (reset_method && sysfs_write(target.dev.bdf, "reset_method", "default"))
		return -1;
	errno = error;
	return ret;
}

/*
 * The administrator resets the function while it is in use. Memory decoding goes off without a
 * word to vfio-pci-core: that nothing reaches the device is the driver's own doing.
 */
static void
sysfs_reset(const void *arg)
{
	struct watch watch = { 0 };

	SKIP_IF(!has_administrator_reset(), "the device has no reset in sysfs");
	/* It takes 20 ms or more, in which a busy host may not let the other thread run. */
	for (int i = 0; i < 5 && !(watch.sigbus && watch.refused); i++)
		watch = watch_reset(administrator_reset);
	tap_diagnose("around the reset: %lu touches reached the device, %lu raised SIGBUS; "
		     "%lu mmap() succeeded, %lu were refused", watch.reached, watch.sigbus,
		     watch.mapped, watch.refused);
	CHECK(watch.sigbus > 0);
	CHECK(watch.refused > 0);
}

/* The methods that the kernel offers, one after the other, each on its own. */
static void
sysfs_reset_methods(const void *arg)
{
	char path[80], methods[128] = "", *method, *rest;
	int fd;

	SKIP_IF(!has_administrator_reset(), "the device has no reset in sysfs");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_method", target.dev.bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	SKIP_IF(fd < 0 || read(fd, methods, sizeof(methods) - 1) <= 0, "no choice of a reset");
	close(fd);
	for (method = strtok_r(methods, " \n", &rest); method;
	     method = strtok_r(NULL, " \n", &rest)) {
		if (strcmp(method, "bus") == 0 && !bus_reset_completes()) {
			tap_diagnose("method bus: left out: %s", no_link);
			continue;
		}
		tap_diagnose("method %s", method);
		reset_method = method;
		watch_reset(administrator_reset);
	}
	reset_method = NULL;
}

static int
repeat_revokes(void *arg)
{
	atomic_bool *stop = arg;
	unsigned long done = 0;

	while (!*stop) {
		int fd = export_pages(0, 1), ret;

		ret = revoke_slice(&target.dev, fd) ? -errno : 0;
		close(fd);
		if (ret)
			return ret;
		done++;
	}
	return done ? 0 : -EAGAIN;
}

static void
revoke_during_reset(const void *arg)
{
	atomic_bool stop = false;
	struct background background;
	int ret;

	SKIP_IF(!has_administrator_reset(), "the device has no reset in sysfs");
	background_start(&background, repeat_revokes, &stop);
	ret = administrator_reset() ? errno : 0;
	if (!ret && device_has_reset())
		ret = device_reset() ? errno : 0;
	stop = true;
	CHECK(background_wait(&background, 5000));
	CHECK(ret == 0);
	CHECK(background.ret == 0);
	memory_decode(true);
}

static const struct test_case cases[] = {
	{ .rule = "VFIO_DEVICE_RESET: SIGBUS or a wait, then as before", .run = vfio_reset },
	{ .rule = "hot reset started here: the same", .run = own_hot_reset },
	{ .rule = "hot reset through another device: the same", .run = hot_reset_of_the_set },
	{ .rule = "hot reset with another device's group is refused", .run = foreign_group },
	{ .rule = "sysfs reset: SIGBUS and mmap() ENODEV, then as before", .run = sysfs_reset },
	{ .rule = "sysfs reset: each method", .run = sysfs_reset_methods },
	{ .rule = "export and revoke work during a reset", .run = revoke_during_reset },
};

const struct subject reset_subject = SUBJECT("reset", cases);
