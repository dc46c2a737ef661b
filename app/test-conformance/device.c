/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "conformance.h"

struct target target;
struct vfio_dev other = { .fd = -1 };

static int
group_of(const char *bdf)
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

	snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(dev->bdf));
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

static int
open_sysfs(const struct vfio_dev *dev, const char *name, int flags)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", dev->bdf, name);
	return open(path, flags | O_CLOEXEC);
}

bool
vfio_can_rebind(const struct vfio_dev *dev)
{
	int fd = open_sysfs(dev, "driver_override", O_RDONLY);
	char name[64] = "";
	bool named;

	named = fd >= 0 && read(fd, name, sizeof(name) - 1) > 1 && strncmp(name, "(null)", 6);
	close(fd);
	return named;
}

static void
write_bdf(const struct vfio_dev *dev, int fd)
{
	ssize_t length = strlen(dev->bdf);

	if (fd < 0 || write(fd, dev->bdf, length) != length)
		tap_bail_out("%s: cannot change its driver: %s", dev->bdf, strerror(errno));
	close(fd);
}

void
vfio_unbind(const struct vfio_dev *dev)
{
	write_bdf(dev, open_sysfs(dev, "driver/unbind", O_WRONLY));
}

void
vfio_bind(const struct vfio_dev *dev)
{
	write_bdf(dev, open("/sys/bus/pci/drivers_probe", O_WRONLY | O_CLOEXEC));
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
target_open(const char *bdf, unsigned int bar)
{
	snprintf(target.dev.bdf, sizeof(target.dev.bdf), "%s", bdf);
	vfio_open(&target.dev);
	target.bar = bar;
	target.page = sysconf(_SC_PAGESIZE);
	target.bar_phys = bar_start(bdf, bar);
	if (region_size(&target.dev, bar, &target.bar_size, &target.region_offset))
		tap_bail_out("%s: BAR %u: %s", bdf, bar, strerror(errno));
	if (target.bar_size < target.page)
		tap_bail_out("%s: BAR %u is smaller than a page", bdf, bar);
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

static off_t
config_offset(void)
{
	static uint64_t size, offset;

	if (!size)
		CHECK_OK(region_size(&target.dev, VFIO_PCI_CONFIG_REGION_INDEX, &size, &offset));
	return offset;
}

static uint16_t
config_read(unsigned int reg)
{
	uint16_t value;

	CHECK(pread(target.dev.fd, &value, 2, config_offset() + reg) == 2);
	return value;
}

static void
config_write(unsigned int reg, uint16_t value)
{
	CHECK(pwrite(target.dev.fd, &value, 2, config_offset() + reg) == 2);
}

void
memory_decode(bool on)
{
	uint16_t command = config_read(PCI_COMMAND);

	config_write(PCI_COMMAND, on ? command | PCI_COMMAND_MEMORY :
		     command & ~PCI_COMMAND_MEMORY);
}

static unsigned int
power_management_capability(void)
{
	unsigned int at = config_read(PCI_CAPABILITY_LIST) & 0xff;

	/* 48 capabilities fill the configuration space: a list that is longer is a loop. */
	for (int i = 0; i < 48 && at; i++) {
		uint16_t header = config_read(at);

		if ((header & 0xff) == PCI_CAP_ID_PM)
			return at;
		at = header >> 8;
	}
	return 0;
}

bool
has_power_management(void)
{
	return power_management_capability();
}

void
power_state(unsigned int d)
{
	unsigned int reg = power_management_capability() + PCI_PM_CTRL;

	config_write(reg, (config_read(reg) & ~PCI_PM_CTRL_STATE_MASK) | d);
}
