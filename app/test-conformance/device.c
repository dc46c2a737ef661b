/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "conformance.h"

struct target target;
struct vfio_dev other = { .fd = -1 };

int
vfio_group_of(const char *bdf)
{
	char path[80], link[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		tap_bail_out("%s: no such device, or no IOMMU group: %s", bdf, strerror(errno));
	link[length] = '\0';
	return atoi(strrchr(link, '/') + 1);
}

void
vfio_open(struct vfio_dev *dev)
{
	char path[40];

	snprintf(path, sizeof(path), "/dev/vfio/%d", vfio_group_of(dev->bdf));
	dev->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (dev->container < 0)
		tap_bail_out("/dev/vfio/vfio: %s", strerror(errno));
	dev->group = open(path, O_RDWR | O_CLOEXEC);
	if (dev->group < 0)
		tap_bail_out("%s: %s: %s (is it bound to a vfio driver?)", dev->bdf, path,
			     strerror(errno));
	if (ioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &dev->container) ||
	    ioctl(dev->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		tap_bail_out("%s: type1 container: %s", dev->bdf, strerror(errno));
	vfio_open_device_file(dev);
}

void
vfio_open_device_file(struct vfio_dev *dev)
{
	dev->fd = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, dev->bdf);
	if (dev->fd < 0)
		tap_bail_out("%s: device file: %s", dev->bdf, strerror(errno));
}

void
vfio_close(struct vfio_dev *dev)
{
	close(dev->fd);
	close(dev->group);
	close(dev->container);
}

int
region_size(struct vfio_dev *dev, unsigned int region, uint64_t *size, uint64_t *offset)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = region };

	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return -1;
	*size = info.size;
	*offset = info.offset;
	return 0;
}

static uint64_t
bar_start(const char *bdf, unsigned int bar)
{
	unsigned long long start = 0;
	char path[80], line[80];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", bdf);
	file = fopen(path, "r");
	for (unsigned int i = 0; file && i <= bar; i++)
		if (!fgets(line, sizeof(line), file) || sscanf(line, "%llx", &start) != 1)
			break;
	if (file)
		fclose(file);
	return start;
}

void
target_find_bar(void)
{
	target.bar_phys = bar_start(target.dev.bdf, target.bar);
}

void
target_open(const char *bdf, unsigned int bar)
{
	uint64_t size;

	snprintf(target.dev.bdf, sizeof(target.dev.bdf), "%s", bdf);
	vfio_open(&target.dev);
	target.bar = bar;
	target.page = sysconf(_SC_PAGESIZE);
	target_find_bar();
	if (region_size(&target.dev, bar, &target.bar_size, &target.region_offset))
		tap_bail_out("%s: BAR %u: %s", bdf, bar, strerror(errno));
	if (target.bar_size < target.page)
		tap_bail_out("%s: BAR %u is smaller than a page", bdf, bar);
	if (region_size(&target.dev, VFIO_PCI_CONFIG_REGION_INDEX, &size, &target.config_offset))
		tap_bail_out("%s: configuration space: %s", bdf, strerror(errno));
}

bool
device_has_reset(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	CHECK_OK(ioctl(target.dev.fd, VFIO_DEVICE_GET_INFO, &info));
	return info.flags & VFIO_DEVICE_FLAGS_RESET;
}

int
device_reset(void)
{
	return ioctl(target.dev.fd, VFIO_DEVICE_RESET);
}

int
device_feature_set(uint32_t feature)
{
	return feature_op(&target.dev, VFIO_DEVICE_FEATURE_SET | feature, NULL, 0);
}

int
device_eventfd(unsigned int index)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} call = {
		.set = {
			.argsz = sizeof(call),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};

	if (ioctl(target.dev.fd, VFIO_DEVICE_SET_IRQS, &call) == 0)
		return call.fd;
	close(call.fd);
	return -1;
}
