/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* What a revoke cannot reach, who can get there, and what importers may do. */

#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "conformance.h"

#define NOBODY 65534
/* Below what x86 reserves for interrupts. */
#define IOVA (UINT64_C(1) << 28)

static int
map_dma(int container, const volatile void *address)
{
	struct vfio_iommu_type1_dma_map call = {
		.argsz = sizeof(call),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)address,
		.iova = IOVA,
		.size = target.page,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &call);
}

/* The number of bytes that were mapped. */
static uint64_t
unmap_dma(int container)
{
	struct vfio_iommu_type1_dma_unmap call = {
		.argsz = sizeof(call),
		.iova = IOVA,
		.size = target.page,
	};

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &call) ? 0 : call.size;
}

/*
 * A documented limit: type 1 has no notifier of what becomes of a mapping. So it must stay with
 * the owner of the container, who needs no slice to get at the device.
 */
static void
dma_mapping_survives(const void *arg)
{
	int fd = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	CHECK_TOUCH_WORKS(mapping);
	CHECK_OK(map_dma(target.dev.container, mapping));
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK_TOUCH_SIGBUS(mapping);
	CHECK(unmap_dma(target.dev.container) == target.page);
	/* A mapping that raises SIGBUS cannot be mapped for DMA any more. */
	CHECK_ERRNO(map_dma(target.dev.container, mapping), EFAULT);
	unmap_pages(mapping, 1);
	close(fd);
}

/* What a process with other credentials gets: 0 or errno of each step. */
struct attempts {
	int group, set_iommu, map_dma, touch;
};

/* A container, but no group in it: that is what a process without the device can have. */
static void
attempt(struct attempts *attempts, const volatile uint32_t *mapping)
{
	char path[40];
	int container;

	attempts->touch = touch(mapping, NULL);
	snprintf(path, sizeof(path), "/dev/vfio/%d", vfio_group_of(target.dev.bdf));
	attempts->group = open(path, O_RDWR | O_CLOEXEC) < 0 ? errno : 0;
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	attempts->set_iommu = ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ? errno : 0;
	attempts->map_dma = map_dma(container, mapping) ? errno : 0;
}

static bool
become(uid_t uid)
{
	return uid == getuid() ||
	       (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
		setresuid(uid, uid, uid) == 0);
}

/* In a process of its own: what it was given is the slice, and nothing else. */
static struct attempts
attempt_as(uid_t uid)
{
	int fd = new_slice(0, 1), pair[2], status;
	volatile uint32_t *mapping = map_pages(fd, 1);
	struct attempts attempts;
	pid_t child;

	CHECK_OK(pipe(pair));
	child = fork();
	if (child == 0) {
		vfio_close(&target.dev);
		if (!become(uid))
			_exit(1);
		attempt(&attempts, mapping);
		_exit(write(pair[1], &attempts, sizeof(attempts)) != sizeof(attempts));
	}
	close(pair[1]);
	CHECK(read(pair[0], &attempts, sizeof(attempts)) == sizeof(attempts));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(pair[0]);
	unmap_pages(mapping, 1);
	close(fd);
	return attempts;
}

static void
unprivileged(const void *arg)
{
	struct attempts attempts;

	SKIP_IF(getuid() != 0, "not root: cannot become somebody else");
	attempts = attempt_as(NOBODY);
	CHECK(attempts.touch == 0);
	CHECK(attempts.group == EACCES);
	CHECK(attempts.set_iommu != 0);
	CHECK(attempts.map_dma != 0);
}

static void
privileged_without_group(const void *arg)
{
	struct attempts attempts = attempt_as(getuid());

	CHECK(attempts.touch == 0);
	/* One owner at a time. */
	CHECK(attempts.group == EBUSY);
	CHECK(attempts.set_iommu != 0);
	CHECK(attempts.map_dma != 0);
}

static void
importer_refused(const void *arg)
{
	int fd = new_slice(0, 1), error = import_errno(fd);

	SKIP_IF(error < 0, "no /proc/dmabuf_importer");
	CHECK(error == EOPNOTSUPP);
	CHECK_OK(revoke_slice(&target.dev, fd));
	CHECK(import_errno(fd) == EOPNOTSUPP);
	close(fd);
}

/* That the module tells a refusal from a bad argument. */
static void
importer_works(const void *arg)
{
	int fd = foreign_dmabuf(), error = import_errno(fd);

	SKIP_IF(error < 0, "no /proc/dmabuf_importer");
	SKIP_IF(fd < 0, "no /dev/udmabuf");
	CHECK(error == 0);
	CHECK(import_errno(-1) == EBADF);
	CHECK(import_errno(target.dev.fd) == EINVAL);
	close(fd);
}

/* vfio-pci-core can export since Linux 6.19, if it is configured so. */
static bool
core_exports(void)
{
	unsigned int major, minor;
	struct utsname name;

	uname(&name);
	return sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 19));
}

/* What the core's own buffers are and are not; fd is closed. */
static void
check_core_buffer(int fd)
{
	int map_error, revoke_error, memattr_error, import_error;

	map_error = map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0);
	revoke_error = revoke_slice(&target.dev, fd) ? errno : 0;
	memattr_error = memattr_set(fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC) ? errno : 0;
	import_error = import_errno(fd);
	close(fd);
	CHECK(map_error == EINVAL);
	CHECK(revoke_error == ENODEV);
	CHECK(memattr_error == ENODEV);
	SKIP_IF(import_error < 0, "no /proc/dmabuf_importer");
	CHECK(import_error == 0);
}

static void
core_export(const void *arg)
{
	int before = driver_parameter(target.dev.bdf, "p2p_export"), old, fd, error, old_map_error;

	SKIP_IF(before < 0, "the driver has no parameter p2p_export");
	old = new_slice(0, 1);
	CHECK_OK(driver_set_parameter(target.dev.bdf, "p2p_export", true));
	fd = export_pages(0, 1);
	error = fd < 0 ? errno : 0;
	old_map_error = map_errno(old, target.page, PROT_READ, MAP_SHARED, 0);
	CHECK_OK(driver_set_parameter(target.dev.bdf, "p2p_export", before));

	/* What was exported before is not affected. */
	CHECK(old_map_error == 0);
	CHECK_OK(revoke_slice(&target.dev, old));
	close(old);
	if (!core_exports()) {
		CHECK(error == ENOTTY);
		return;
	}
	CHECK(error == 0);
	check_core_buffer(fd);
	/* And back. */
	fd = new_slice(0, 1);
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0) == 0);
	close(fd);
}

static const struct test_case cases[] = {
	{ .rule = "a DMA mapping by the container's owner survives a revoke (a limit)",
	  .run = dma_mapping_survives },
	{ .rule = "an unprivileged process gets no container with the device",
	  .run = unprivileged },
	{ .rule = "nor does a privileged one while the owner has it",
	  .run = privileged_without_group },
	{ .rule = "the test importer can attach to another exporter's buffer",
	  .run = importer_works },
	{ .rule = "an importer is refused: EOPNOTSUPP", .run = importer_refused },
	{ .rule = "p2p_export: the core's buffers, to be imported, not mapped or revoked; "
		  "ENOTTY before Linux 6.19", .run = core_export },
};

const struct subject limit_subject = SUBJECT("limit", cases);
