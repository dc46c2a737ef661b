/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio_device_private.h"

static _Thread_local char last_error[VFIO_DEVICE_PATH_SIZE + 256] = "no error";

const char *
vfio_device_error(void)
{
	return last_error;
}

int
vfio_device_fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_error, sizeof(last_error), format, args);
	va_end(args);
	return -error;
}

static int
get_device_fd(struct vfio_device *device)
{
	/* The kernel returns it close-on-exec (vfio_device_open_file()). */
	device->fd = ioctl(device->group, VFIO_GROUP_GET_DEVICE_FD, device->address);
	if (device->fd >= 0)
		return 0;
	/* The group is viable, but none of VFIO's drivers knows this member of it. */
	if (errno == ENODEV && vfio_device_bound_to_vfio(device) != 1)
		return vfio_device_fail_driver(device);
	return vfio_device_fail(errno, "%s: VFIO_GROUP_GET_DEVICE_FD of IOMMU group %u: %s",
				device->address, device->group_id, strerror(errno));
}

static int
describe(struct vfio_device *device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint64_t size;

	if (ioctl(device->fd, VFIO_DEVICE_GET_INFO, &info) != 0)
		return vfio_device_fail(errno, "%s: VFIO_DEVICE_GET_INFO: %s", device->address,
					strerror(errno));
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return vfio_device_fail(EINVAL, "%s: VFIO does not present it as a PCI device",
					device->address);
	device->has_reset = !!(info.flags & VFIO_DEVICE_FLAGS_RESET);
	return vfio_device_region(device, VFIO_PCI_CONFIG_REGION_INDEX, &size,
				  &device->config_offset, NULL);
}

int
vfio_device_open(const char *pci_address, struct vfio_device **device)
{
	struct vfio_device *opened;
	int ret;

	*device = NULL;
	opened = calloc(1, sizeof(*opened));
	if (opened == NULL)
		return vfio_device_fail(ENOMEM, "%s: no memory left", pci_address);
	opened->fd = -1;
	opened->group = -1;
	opened->container = -1;

	ret = vfio_device_identify(opened, pci_address);
	if (ret == 0)
		ret = vfio_device_open_group(opened);
	if (ret == 0)
		ret = get_device_fd(opened);
	if (ret == 0)
		ret = describe(opened);
	if (ret != 0) {
		/* A group that was kept stays out of others' reach. */
		vfio_device_close(opened, opened->group_was_kept);
		return ret;
	}
	*device = opened;
	return 0;
}

void
vfio_device_close(struct vfio_device *device, int keep_group)
{
	if (device == NULL)
		return;
	if (device->fd >= 0)
		close(device->fd);
	vfio_device_close_group(device, keep_group);
	free(device);
}

int
vfio_device_fd(const struct vfio_device *device)
{
	return device->fd;
}

const char *
vfio_device_address(const struct vfio_device *device)
{
	return device->address;
}

const char *
vfio_device_driver(const struct vfio_device *device)
{
	return device->driver;
}

int
vfio_device_numa_node(const struct vfio_device *device)
{
	return device->numa_node;
}

int
vfio_device_reset(const struct vfio_device *device)
{
	/* The kernel would say EINVAL, which says nothing. */
	if (!device->has_reset)
		return vfio_device_fail(ENOTTY, "%s: the device has no reset of its own",
					device->address);
	if (ioctl(device->fd, VFIO_DEVICE_RESET) != 0)
		return vfio_device_fail(errno, "%s: VFIO_DEVICE_RESET: %s", device->address,
					strerror(errno));
	return 0;
}
