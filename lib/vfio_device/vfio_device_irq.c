/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include "vfio_device_private.h"

int
vfio_device_msix_count(const struct vfio_device *device)
{
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};

	if (ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) != 0)
		return vfio_device_fail(errno, "%s: VFIO_DEVICE_GET_IRQ_INFO of MSI-X: %s",
					device->address, strerror(errno));
	return (int)info.count;
}

/* Route interrupts 0 to count - 1 of one kind; no eventfds at all turns the kind off. */
static int
set_triggers(const struct vfio_device *device, uint32_t index, const int *eventfds,
	     unsigned int count)
{
	size_t data = count * sizeof(*eventfds);
	struct vfio_irq_set *set;
	int ret = 0;

	set = calloc(1, sizeof(*set) + data);
	if (set == NULL)
		return -ENOMEM;
	set->argsz = (uint32_t)(sizeof(*set) + data);
	set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		     (count == 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD);
	set->index = index;
	set->count = count;
	if (count != 0)
		memcpy(set->data, eventfds, data);
	if (ioctl(device->fd, VFIO_DEVICE_SET_IRQS, set) != 0)
		ret = -errno;
	free(set);
	return ret;
}

int
vfio_device_set_msix(struct vfio_device *device, const int *eventfds, unsigned int count)
{
	int available = vfio_device_msix_count(device);
	int ret = 0;

	if (available < 0)
		return available;
	if (count > (unsigned int)available)
		return vfio_device_fail(EINVAL, "%s: %u MSI-X vectors asked for, it has %d",
					device->address, count, available);
	/*
	 * The kernel sets the named block of vectors and leaves those beyond it as they are; it
	 * cannot add vectors to an enabled MSI-X everywhere (VFIO_IRQ_INFO_NORESIZE).
	 */
	if (device->msix_routed != 0 && device->msix_routed != count) {
		ret = set_triggers(device, VFIO_PCI_MSIX_IRQ_INDEX, NULL, 0);
		if (ret == 0)
			device->msix_routed = 0;
	}
	if (ret == 0 && count != 0)
		ret = set_triggers(device, VFIO_PCI_MSIX_IRQ_INDEX, eventfds, count);
	if (ret != 0)
		return vfio_device_fail(-ret, "%s: VFIO_DEVICE_SET_IRQS of %u MSI-X vectors: %s",
					device->address, count, strerror(-ret));
	device->msix_routed = count;
	return 0;
}

int
vfio_device_set_request_eventfd(const struct vfio_device *device, int eventfd)
{
	int ret = set_triggers(device, VFIO_PCI_REQ_IRQ_INDEX, &eventfd, 1);

	if (ret != 0)
		return vfio_device_fail(-ret, "%s: VFIO_DEVICE_SET_IRQS of the device request: %s",
					device->address, strerror(-ret));
	return 0;
}
