/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include "vfio_device_private.h"

/* What the errno of VFIO_IOMMU_MAP_DMA means in its code (vfio_dma_do_map()). */
static const char *
map_cause(int error)
{
	switch (error) {
	case EEXIST:
		return "part of the range is mapped already";
	case ENOSPC:
		return "the container's limit of entries is reached"
		       " (vfio_iommu_type1.dma_entry_limit)";
	case ENOMEM:
		return "no memory left to lock (RLIMIT_MEMLOCK)";
	case EINVAL:
		return "misaligned, or not an address that the IOMMU can translate";
	default:
		return strerror(error);
	}
}

int
vfio_device_dma_map(const struct vfio_device *device, void *address, uint64_t iova,
		    uint64_t length)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uint64_t)(uintptr_t)address,
		.iova = iova,
		.size = length,
	};

	if (ioctl(device->container, VFIO_IOMMU_MAP_DMA, &map) == 0)
		return 0;
	return vfio_device_fail(errno, "%s: DMA map of %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": %s",
				device->address, length, iova, map_cause(errno));
}

int
vfio_device_dma_unmap(const struct vfio_device *device, uint64_t iova, uint64_t length)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = length,
	};
	int error = 0;

	if (ioctl(device->container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0)
		error = errno;
	else if (unmap.size == 0)
		error = ENOENT; /* success to the kernel, with nothing unmapped */
	if (error == 0)
		return 0;
	return vfio_device_fail(error, "%s: DMA unmap of %" PRIu64 " bytes at IOVA 0x%" PRIx64
				": %s", device->address, length, iova,
				error == ENOENT ? "nothing was mapped" : strerror(error));
}
