/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <string.h>

#include "call.h"
#include "conformance.h"

static unsigned long
build_export(void *structure, size_t *size, int fd)
{
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf export;
		struct vfio_region_dma_range range;
	} call = {
		.header = { .argsz = sizeof(call),
			    .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.export = { .region_index = target.bar, .open_flags = O_RDWR | O_CLOEXEC,
			    .nr_ranges = 1 },
		.range = { .length = target.page },
	};

	memcpy(structure, &call, *size = sizeof(call));
	return VFIO_DEVICE_FEATURE;
}

static unsigned long
build_memattr(void *structure, size_t *size, int fd)
{
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf_memattr attr;
	} call = {
		.header = { .argsz = sizeof(call), .flags = VFIO_DEVICE_FEATURE_SET |
			    (form == FORM_V2 ? VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR :
			     VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3) },
		.attr = { .dmabuf_fd = fd },
	};

	memcpy(structure, &call, *size = sizeof(call));
	return VFIO_DEVICE_FEATURE;
}

static unsigned long
build_revoke(void *structure, size_t *size, int fd)
{
	struct vfio_pci_dmabuf_revoke call = { .argsz = sizeof(call), .dmabuf_fd = fd };
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf_revoke revoke;
	} later = {
		.header = { .argsz = sizeof(later), .flags = VFIO_DEVICE_FEATURE_SET |
			    VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3 },
		.revoke = { .dmabuf_fd = fd },
	};

	if (form == FORM_LATER) {
		memcpy(structure, &later, *size = sizeof(later));
		return VFIO_DEVICE_FEATURE;
	}
	memcpy(structure, &call, *size = sizeof(call));
	return VFIO_DEVICE_PCI_DMABUF_REVOKE;
}

const struct call export_call = { "export", build_export };
const struct call memattr_call = { "memattr", build_memattr };
const struct call revoke_call = { "revoke", build_revoke };
