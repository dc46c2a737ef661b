/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <stdio.h>
#include <string.h>

#include "conformance.h"

static void
device_path(const char *bdf, const char *name, char *path, size_t size)
{
	snprintf(path, size, "/sys/bus/pci/devices/%s/%s", bdf, name);
}

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error;
	ssize_t length = strlen(text), written;

	if (fd < 0)
		return -1;
	written = write(fd, text, length);
	error = errno;
	close(fd);
	errno = error;
	return written == length ? 0 : -1;
}

int
sysfs_write(const char *bdf, const char *name, const char *text)
{
	char path[80];

	device_path(bdf, name, path, sizeof(path));
	return write_file(path, text);
}

bool
sysfs_exists(const char *bdf, const char *name)
{
	char path[80];

	device_path(bdf, name, path, sizeof(path));
	return access(path, F_OK) == 0;
}

bool
sysfs_says(const char *bdf, const char *name, const char *text)
{
	char path[80], said[64] = "";
	bool says;
	int fd;

	device_path(bdf, name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	says = fd >= 0 && read(fd, said, sizeof(said) - 1) > 0 &&
	       strncmp(said, text, strlen(text)) == 0;
	close(fd);
	return says;
}

void
driver_name(const char *bdf, char *name, size_t size)
{
	char path[80], link[256] = "/";
	ssize_t length;

	device_path(bdf, "driver", path, sizeof(path));
	length = readlink(path, link, sizeof(link) - 1);
	link[length > 0 ? length : 1] = '\0';
	snprintf(name, size, "%s", strrchr(link, '/') + 1);
}

bool
vfio_can_rebind(const struct vfio_dev *dev)
{
	char path[80], name[64] = "";
	bool named;
	int fd;

	device_path(dev->bdf, "driver_override", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	named = fd >= 0 && read(fd, name, sizeof(name) - 1) > 1 && strncmp(name, "(null)", 6);
	close(fd);
	return named;
}

void
vfio_unbind(const struct vfio_dev *dev)
{
	if (sysfs_write(dev->bdf, "driver/unbind", dev->bdf))
		tap_bail_out("%s: cannot be unbound: %s", dev->bdf, strerror(errno));
}

void
vfio_bind(const struct vfio_dev *dev)
{
	if (write_file("/sys/bus/pci/drivers_probe", dev->bdf))
		tap_bail_out("%s: cannot be bound: %s", dev->bdf, strerror(errno));
}

void
rescan(const char *bdf, const char *driver)
{
	struct vfio_dev dev;

	snprintf(dev.bdf, sizeof(dev.bdf), "%s", bdf);
	if (write_file("/sys/bus/pci/rescan", "1") || !sysfs_exists(bdf, "vendor"))
		tap_bail_out("%s: does not come back by a rescan", bdf);
	/* Its usual driver, if any, has taken it by now. */
	if (sysfs_exists(bdf, "driver"))
		vfio_unbind(&dev);
	if (sysfs_write(bdf, "driver_override", driver))
		tap_bail_out("%s: driver_override: %s", bdf, strerror(errno));
	vfio_bind(&dev);
}

static void
parameter_path(const char *bdf, const char *parameter, char *path, size_t size)
{
	char name[96];

	snprintf(name, sizeof(name), "driver/module/parameters/%s", parameter);
	snprintf(path, size, "/sys/bus/pci/devices/%s/%s", bdf, name);
}

int
driver_parameter(const char *bdf, const char *parameter)
{
	char path[160], value = 0;
	int fd;

	parameter_path(bdf, parameter, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, &value, 1) != 1)
		value = 'N';
	close(fd);
	return value == 'Y';
}

int
driver_set_parameter(const char *bdf, const char *parameter, bool value)
{
	char path[160];

	parameter_path(bdf, parameter, path, sizeof(path));
	return write_file(path, value ? "Y" : "N");
}
