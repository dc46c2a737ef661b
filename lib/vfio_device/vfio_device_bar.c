/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio_device_private.h"

/*
 * A sparse region has holes that may not be mapped: the MSI-X table, before Linux 4.16. With
 * argsz too small the kernel sets the flag and argsz, and leaves the chain out.
 */
static int
is_sparse(const struct vfio_device *device, unsigned int index, uint32_t argsz)
{
	struct vfio_info_cap_header cap;
	struct vfio_region_info *info;
	uint32_t at;
	int ret = 0;

	info = calloc(1, argsz);
	if (info == NULL)
		return -ENOMEM;
	info->argsz = argsz;
	info->index = index;
	if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, info) != 0)
		ret = -errno;
	for (at = ret == 0 ? info->cap_offset : 0;
	     at >= sizeof(*info) && at <= argsz - sizeof(cap); at = cap.next) {
		memcpy(&cap, (const char *)info + at, sizeof(cap));
		if (cap.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			ret = 1;
		/* The chain ascends; one that does not would never end. */
		if (cap.next <= at)
			break;
	}
	free(info);
	return ret;
}

int
vfio_device_region(const struct vfio_device *device, unsigned int index, uint64_t *size,
		   uint64_t *offset, int *mappable)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };
	int ret = 0;

	if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &info) != 0)
		ret = -errno;
	else if (mappable != NULL && (info.flags & VFIO_REGION_INFO_FLAG_CAPS) &&
		 info.argsz > sizeof(info))
		ret = is_sparse(device, index, info.argsz);
	if (ret < 0)
		return vfio_device_fail(-ret, "%s: VFIO_DEVICE_GET_REGION_INFO of region %u: %s",
					device->address, index, strerror(-ret));
	*size = info.size;
	*offset = info.offset;
	if (mappable != NULL)
		*mappable = (info.flags & VFIO_REGION_INFO_FLAG_MMAP) && ret == 0;
	return 0;
}

int
vfio_device_bar(const struct vfio_device *device, unsigned int index,
		struct vfio_device_bar *bar)
{
	if (index >= VFIO_DEVICE_MAX_BARS)
		return vfio_device_fail(EINVAL, "%s: there is no BAR %u", device->address, index);
	return vfio_device_region(device, index, &bar->size, &bar->offset, &bar->mappable);
}

int
vfio_device_map_bar(const struct vfio_device *device, unsigned int index, uint64_t offset,
		    size_t length, void **address)
{
	uint64_t in_page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	struct vfio_device_bar bar = { 0 };
	void *mapping;
	int ret;

	ret = vfio_device_bar(device, index, &bar);
	if (ret != 0)
		return ret;
	if (!bar.mappable)
		return vfio_device_fail(EINVAL, "%s: BAR %u %s", device->address, index,
					bar.size == 0 ? "is not there" : "cannot be mapped");
	if (length == 0 || ((offset | length) & in_page) != 0)
		return vfio_device_fail(EINVAL, "%s: BAR %u: offset 0x%" PRIx64 " and length 0x%zx"
					" are not multiples of the page size", device->address,
					index, offset, length);
	if (offset > bar.size || length > bar.size - offset)
		return vfio_device_fail(EINVAL, "%s: BAR %u: offset 0x%" PRIx64 " and length 0x%zx"
					" reach beyond its end, 0x%" PRIx64, device->address,
					index, offset, length, bar.size);
	mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd,
		       (off_t)(bar.offset + offset));
	if (mapping == MAP_FAILED)
		return vfio_device_fail(errno, "%s: mmap of BAR %u: %s", device->address, index,
					strerror(errno));
	*address = mapping;
	return 0;
}
