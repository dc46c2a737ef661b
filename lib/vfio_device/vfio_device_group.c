/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio_device_private.h"

/* A group held open without a device, so that nobody else can have it. */
struct kept_group {
	struct kept_group *next;
	unsigned int id;
	int container;
	int group;
};

static struct kept_group *kept_groups;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static int
take_kept(struct vfio_device *device)
{
	struct kept_group **link, *kept;

	pthread_mutex_lock(&kept_lock);
	for (link = &kept_groups; *link != NULL; link = &(*link)->next)
		/* cppcheck-suppress nullPointerRedundantCheck ; the loop has just looked */
		if ((*link)->id == device->group_id)
			break;
	kept = *link;
	if (kept != NULL)
		*link = kept->next;
	pthread_mutex_unlock(&kept_lock);
	if (kept == NULL)
		return 0;
	device->container = kept->container;
	device->group = kept->group;
	device->group_was_kept = 1;
	free(kept);
	return 1;
}

static void
keep(struct vfio_device *device)
{
	struct vfio_iommu_type1_dma_unmap all = {
		.argsz = sizeof(all),
		.flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	struct kept_group *kept = malloc(sizeof(*kept));

	/* What stays mapped stays pinned; no device is left that could use it. */
	ioctl(device->container, VFIO_IOMMU_UNMAP_DMA, &all);
	if (kept == NULL)
		return; /* the descriptors stay open all the same */
	kept->id = device->group_id;
	kept->container = device->container;
	kept->group = device->group;
	pthread_mutex_lock(&kept_lock);
	kept->next = kept_groups;
	kept_groups = kept;
	pthread_mutex_unlock(&kept_lock);
}

static int
open_container(struct vfio_device *device)
{
	char node[VFIO_DEVICE_PATH_SIZE];
	int version;

	snprintf(node, sizeof(node), "%s/vfio", VFIO_DEVICE_NODES);
	device->container = open(node, O_RDWR | O_CLOEXEC);
	if (device->container < 0)
		return vfio_device_fail(errno, "%s: open %s: %s", device->address, node,
					strerror(errno));
	version = ioctl(device->container, VFIO_GET_API_VERSION);
	if (version != VFIO_API_VERSION)
		return vfio_device_fail(ENOTSUP, "%s: %s speaks version %d of VFIO, need %d",
					device->address, node, version, VFIO_API_VERSION);
	if (ioctl(device->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0)
		return vfio_device_fail(ENOTSUP, "%s: the kernel has no type 1 version 2 IOMMU"
					" back end (module vfio_iommu_type1)", device->address);
	return 0;
}

static int
fail_missing_node(const struct vfio_device *device, const char *node)
{
	char noiommu[VFIO_DEVICE_PATH_SIZE];

	snprintf(noiommu, sizeof(noiommu), "%s/noiommu-%u", VFIO_DEVICE_NODES, device->group_id);
	if (access(noiommu, F_OK) == 0)
		return vfio_device_fail(ENOTSUP, "%s: IOMMU group %u is one of VFIO's no-IOMMU"
					" mode, which does not confine DMA; need an IOMMU",
					device->address, device->group_id);
	if (vfio_device_bound_to_vfio(device) == 1)
		return vfio_device_fail(ENOENT, "%s: bound to '%s', but %s is missing: a kernel"
					" without CONFIG_VFIO_GROUP, or a container that was not"
					" given the file", device->address, device->driver, node);
	return vfio_device_fail_driver(device);
}

static int
open_group_node(struct vfio_device *device)
{
	char node[VFIO_DEVICE_PATH_SIZE];

	snprintf(node, sizeof(node), "%s/%u", VFIO_DEVICE_NODES, device->group_id);
	device->group = open(node, O_RDWR | O_CLOEXEC);
	if (device->group >= 0)
		return 0;
	if (errno == ENOENT)
		return fail_missing_node(device, node);
	if (errno == EBUSY)
		return vfio_device_fail(EBUSY, "%s: %s is open elsewhere: in another process, or"
					" for another device of the group in this one",
					device->address, node);
	return vfio_device_fail(errno, "%s: open %s: %s", device->address, node,
				strerror(errno));
}

static int
fail_not_viable(const struct vfio_device *device)
{
	char intruder[VFIO_DEVICE_PATH_SIZE];

	vfio_device_find_intruder(device, intruder, sizeof(intruder));
	return vfio_device_fail(EPERM, "%s: IOMMU group %u is not viable: %s", device->address,
				device->group_id, intruder[0] != '\0' ? intruder :
				"one of its devices is bound to a driver outside VFIO");
}

/*
 * A group joins its container before the container gets its back end
 * (Linux Documentation/driver-api/vfio.rst).
 */
static int
join(struct vfio_device *device)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (ioctl(device->group, VFIO_GROUP_GET_STATUS, &status) != 0)
		return vfio_device_fail(errno, "%s: VFIO_GROUP_GET_STATUS of IOMMU group %u: %s",
					device->address, device->group_id, strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return fail_not_viable(device);
	if (ioctl(device->group, VFIO_GROUP_SET_CONTAINER, &device->container) != 0)
		return vfio_device_fail(errno, "%s: VFIO_GROUP_SET_CONTAINER of IOMMU group %u:"
					" %s", device->address, device->group_id,
					strerror(errno));
	if (ioctl(device->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0)
		return vfio_device_fail(errno, "%s: VFIO_SET_IOMMU of IOMMU group %u: %s%s",
					device->address, device->group_id, strerror(errno),
					errno == EPERM ? " (no interrupt remapping?)" : "");
	return 0;
}

int
vfio_device_open_group(struct vfio_device *device)
{
	int ret;

	if (take_kept(device))
		return 0;
	ret = open_group_node(device);
	if (ret == 0)
		ret = open_container(device);
	if (ret == 0)
		ret = join(device);
	return ret;
}

void
vfio_device_close_group(struct vfio_device *device, int keep_group)
{
	if (keep_group && device->group >= 0 && device->container >= 0) {
		keep(device);
		return;
	}
	if (device->group >= 0)
		close(device->group);
	if (device->container >= 0)
		close(device->container);
}
