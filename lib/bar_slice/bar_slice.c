/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/vfio.h>
#include <linux/vfio_dmabuf.h>

#include "bar_slice_private.h"

/* Errno of version 2 for an attribute it does not know; not one that user space has a name for. */
#define KERNEL_ENOTSUPP 524

static _Thread_local char last_error[256] = "no error";

const char *
bar_slice_error(void)
{
	return last_error;
}

int
bar_slice_fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_error, sizeof(last_error), format, args);
	va_end(args);
	return -error;
}

/* The result of the ioctl, or a negative errno. */
static int
device_feature(int device_fd, uint32_t flags, const void *payload, size_t size)
{
	union {
		struct vfio_device_feature header;
		char bytes[sizeof(struct vfio_device_feature) +
			   sizeof(struct vfio_device_feature_dma_buf) +
			   sizeof(struct vfio_region_dma_range)];
	} request = { .header = { .flags = flags } };
	int ret;

	request.header.argsz = (uint32_t)(sizeof(request.header) + size);
	if (size != 0)
		memcpy(request.header.data, payload, size);
	ret = ioctl(device_fd, VFIO_DEVICE_FEATURE, &request);
	return ret < 0 ? -errno : ret;
}

static int
has_feature(int device_fd, uint32_t operation, uint32_t feature)
{
	return device_feature(device_fd, VFIO_DEVICE_FEATURE_PROBE | operation | feature,
			      NULL, 0) == 0;
}

int
bar_slice_probe(int device_fd, struct bar_slice_support *support)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int get, set;

	support->interface = BAR_SLICE_NONE;
	support->memattr = 0;
	/* A feature that is not there fails with ENOTTY, as any ioctl of another file does. */
	if (ioctl(device_fd, VFIO_DEVICE_GET_INFO, &info) != 0)
		return bar_slice_fail(errno == EBADF ? EBADF : ENOTTY,
				      "descriptor %d: not a VFIO device: %s", device_fd,
				      strerror(errno));

	if (!has_feature(device_fd, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_DMA_BUF))
		return 0;
	support->interface = BAR_SLICE_EXPORT_ONLY;

	/* MEMATTR of version 2 can be read and set; REVOKE of later versions only set. */
	get = has_feature(device_fd, VFIO_DEVICE_FEATURE_GET,
			  VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR);
	set = has_feature(device_fd, VFIO_DEVICE_FEATURE_SET,
			  VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3);
	if (get && set) {
		support->interface = BAR_SLICE_REVOKE_IOCTL;
		support->memattr = 1;
	} else if (set) {
		support->interface = BAR_SLICE_REVOKE_FEATURE;
		get = has_feature(device_fd, VFIO_DEVICE_FEATURE_GET,
				  VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3);
		set = has_feature(device_fd, VFIO_DEVICE_FEATURE_SET,
				  VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3);
		support->memattr = set && !get;
	}
	return 0;
}

static int
can_revoke(const struct bar_slice_support *support)
{
	return support->interface == BAR_SLICE_REVOKE_IOCTL ||
	       support->interface == BAR_SLICE_REVOKE_FEATURE;
}

/* Everything that can be refused without the kernel. */
static int
check_export(const struct bar_slice_support *support, unsigned int bar, uint64_t offset,
	     uint64_t length, const char *name, enum bar_slice_memattr memattr)
{
	uint64_t in_page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;

	if (!can_revoke(support))
		return bar_slice_fail(ENOTSUP, "slice '%s': the kernel driver of this device"
				      " cannot %s; need dmabuf-vfio-pci", name,
				      support->interface == BAR_SLICE_NONE ?
				      "export DMABUFs" : "map or revoke the DMABUFs it exports");
	if (memattr != BAR_SLICE_UNCACHED && memattr != BAR_SLICE_WRITE_COMBINED)
		return bar_slice_fail(EINVAL, "slice '%s': there is no memory type %d", name,
				      (int)memattr);
	if (memattr == BAR_SLICE_WRITE_COMBINED && !support->memattr)
		return bar_slice_fail(ENOTSUP, "slice '%s': the kernel driver of this device"
				      " cannot map write-combined", name);
	if (bar > VFIO_PCI_BAR5_REGION_INDEX)
		return bar_slice_fail(ENODEV, "slice '%s': there is no BAR %u", name, bar);
	if (length == 0 || ((offset | length) & in_page) != 0)
		return bar_slice_fail(EINVAL, "slice '%s': offset 0x%" PRIx64 " and length 0x%"
				      PRIx64 " of BAR %u are not multiples of the page size",
				      name, offset, length, bar);
	if (strlen(name) >= BAR_SLICE_NAME_SIZE)
		return bar_slice_fail(EINVAL, "slice '%s': the name is longer than %d characters",
				      name, BAR_SLICE_NAME_SIZE - 1);
	return 0;
}

/* What is left of the causes when check_export() has passed. */
static const char *
export_cause(int error)
{
	switch (error) {
	case EINVAL:
		return "reaches beyond the end of the BAR";
	case ENODEV:
		return "the device has no such BAR, or it cannot be mapped";
	default:
		return strerror(error);
	}
}

/* A descriptor, or a negative errno. */
static int
export_range(int device_fd, unsigned int bar, uint64_t offset, uint64_t length)
{
	struct vfio_region_dma_range range = { .offset = offset, .length = length };
	struct vfio_device_feature_dma_buf request = {
		.region_index = bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
	};
	char payload[sizeof(request) + sizeof(range)];

	memcpy(payload, &request, sizeof(request));
	memcpy(payload + sizeof(request), &range, sizeof(range));
	return device_feature(device_fd, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
			      payload, sizeof(payload));
}

static int
set_memattr(int device_fd, const struct bar_slice_support *support, int dmabuf_fd,
	    enum bar_slice_memattr memattr)
{
	struct vfio_device_feature_dma_buf_memattr request = {
		.dmabuf_fd = dmabuf_fd,
		.memattr = memattr == BAR_SLICE_WRITE_COMBINED ?
			   VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC :
			   VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC,
	};
	uint32_t feature = support->interface == BAR_SLICE_REVOKE_IOCTL ?
			   VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR :
			   VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3;
	int ret;

	ret = device_feature(device_fd, VFIO_DEVICE_FEATURE_SET | feature, &request,
			     sizeof(request));
	/* Version 2 and versions 3 and 4, in this order, for an attribute they do not have. */
	if (ret == -KERNEL_ENOTSUPP || ret == -ENOENT)
		return -ENOTSUP;
	return ret;
}

/*
 * The number of the REVOKE feature is not reserved: it may be another feature on a kernel whose
 * DMABUFs cannot be mapped (every release up to 7.3). There mmap() fails with EINVAL.
 */
static int
check_mappable(int dmabuf_fd, uint64_t length)
{
	void *mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf_fd, 0);

	if (mapping != MAP_FAILED)
		return munmap(mapping, length) == 0 ? 0 : -errno;
	return errno == EINVAL ? -ENOTSUP : 0;
}

int
bar_slice_export(int device_fd, const struct bar_slice_support *support, unsigned int bar,
		 uint64_t offset, uint64_t length, const char *name,
		 enum bar_slice_memattr memattr)
{
	const char *step;
	int dmabuf_fd, ret;

	ret = check_export(support, bar, offset, length, name, memattr);
	if (ret != 0)
		return ret;
	dmabuf_fd = export_range(device_fd, bar, offset, length);
	if (dmabuf_fd < 0) {
		ret = dmabuf_fd == -ENOTTY ? -ENOTSUP : dmabuf_fd;
		return bar_slice_fail(-ret, "slice '%s' (BAR %u, 0x%" PRIx64 " bytes at 0x%"
				      PRIx64 "): %s", name, bar, length, offset,
				      export_cause(-ret));
	}
	step = "DMA_BUF_SET_NAME";
	ret = ioctl(dmabuf_fd, DMA_BUF_SET_NAME, name) != 0 ? -errno : 0;
	if (ret == 0 && support->interface == BAR_SLICE_REVOKE_FEATURE) {
		step = "mapping a DMABUF";
		ret = check_mappable(dmabuf_fd, length);
	}
	/* Uncached is what the kernel begins with. */
	if (ret == 0 && memattr != BAR_SLICE_UNCACHED) {
		step = "write-combining";
		ret = set_memattr(device_fd, support, dmabuf_fd, memattr);
	}
	if (ret == 0)
		return dmabuf_fd;
	close(dmabuf_fd);
	return bar_slice_fail(-ret, "slice '%s': %s: %s", name, step, strerror(-ret));
}

static const char *
revoke_cause(int error)
{
	switch (error) {
	case EBADF:
		return "no open descriptor";
	case EINVAL:
		return "not a DMABUF";
	case ENODEV:
		return "not a live DMABUF of this device";
	case EBADFD:
		return "it was revoked before";
	default:
		return strerror(error);
	}
}

int
bar_slice_revoke(int device_fd, const struct bar_slice_support *support, int dmabuf_fd)
{
	struct vfio_pci_dmabuf_revoke request = {
		.argsz = sizeof(request),
		.dmabuf_fd = dmabuf_fd,
	};
	struct vfio_device_feature_dma_buf_revoke feature = { .dmabuf_fd = dmabuf_fd };
	int ret;

	if (support->interface == BAR_SLICE_REVOKE_IOCTL)
		ret = ioctl(device_fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &request) != 0 ? -errno : 0;
	else if (support->interface == BAR_SLICE_REVOKE_FEATURE)
		ret = device_feature(device_fd, VFIO_DEVICE_FEATURE_SET |
				     VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3, &feature,
				     sizeof(feature));
	else
		return bar_slice_fail(ENOTSUP, "descriptor %d: the kernel driver of this device"
				      " cannot revoke DMABUFs", dmabuf_fd);
	if (ret < 0)
		return bar_slice_fail(-ret, "descriptor %d: revoke: %s", dmabuf_fd,
				      revoke_cause(-ret));
	return 0;
}
