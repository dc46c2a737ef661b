/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "vfio_device_private.h"

static void
device_path(char *path, const char *address, const char *entry)
{
	snprintf(path, VFIO_DEVICE_PATH_SIZE, "%s/bus/pci/devices/%s/%s", VFIO_DEVICE_SYSFS,
		 address, entry);
}

/* Last component of what a symbolic link of sysfs points to. */
static int
read_link_name(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	const char *last;
	ssize_t length;

	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	last = strrchr(target, '/');
	last = last == NULL ? target : last + 1;
	if (strlen(last) >= size)
		return -ENAMETOOLONG;
	strcpy(name, last);
	return 0;
}

static int
parse_address(struct vfio_device *device, const char *text)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(text, "%8x:%2x:%2x.%1x", &domain, &bus, &slot, &function) == 4 &&
	    slot < 32 && function < 8) {
		snprintf(device->address, sizeof(device->address), "%04x:%02x:%02x.%x",
			 domain, bus & 0xff, slot, function);
		/* Also catches what sscanf() leaves behind or skips: blanks, signs, "0x". */
		if (strcasecmp(device->address, text) == 0)
			return 0;
	}
	return vfio_device_fail(EINVAL,
				"'%s': not a PCI address with domain, such as 0000:03:00.0",
				text);
}

static int
read_numa_node(const struct vfio_device *device)
{
	char path[VFIO_DEVICE_PATH_SIZE];
	FILE *file;
	int node;

	device_path(path, device->address, "numa_node");
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	if (fscanf(file, "%d", &node) != 1 || node < 0)
		node = -1;
	fclose(file);
	return node;
}

static int
read_group(struct vfio_device *device)
{
	char path[VFIO_DEVICE_PATH_SIZE];
	char name[16], *end;
	unsigned long id;
	int ret;

	device_path(path, device->address, "iommu_group");
	ret = read_link_name(path, name, sizeof(name));
	if (ret == -ENOENT)
		return vfio_device_fail(ENOTSUP, "%s: in no IOMMU group: the machine has no IOMMU"
					" or it is off (intel_iommu=on)", device->address);
	if (ret == 0) {
		errno = 0;
		id = strtoul(name, &end, 10);
		if (errno == 0 && end != name && *end == '\0' && id <= INT_MAX) {
			device->group_id = (unsigned int)id;
			return 0;
		}
		ret = -EINVAL;
	}
	return vfio_device_fail(-ret, "%s: %s: %s", device->address, path, strerror(-ret));
}

int
vfio_device_bound_to_vfio(const struct vfio_device *device)
{
	char path[VFIO_DEVICE_PATH_SIZE];

	device_path(path, device->address, "vfio-dev");
	if (access(path, F_OK) == 0)
		return 1;
	snprintf(path, sizeof(path), "%s/class/vfio-dev", VFIO_DEVICE_SYSFS);
	return access(path, F_OK) == 0 ? 0 : -1;
}

int
vfio_device_fail_driver(const struct vfio_device *device)
{
	char path[VFIO_DEVICE_PATH_SIZE];
	const char *remedy = "probe again (/sys/bus/pci/drivers_probe)";

	device_path(path, device->address, "driver_override");
	if (device->driver[0] == '\0')
		return vfio_device_fail(ENXIO, "%s: bound to no driver: write dmabuf-vfio-pci to"
					" %s and %s", device->address, path, remedy);
	return vfio_device_fail(ENXIO, "%s: bound to '%s', not to a VFIO driver: write"
				" dmabuf-vfio-pci to %s, unbind it from '%s' and %s",
				device->address, device->driver, path, device->driver, remedy);
}

int
vfio_device_identify(struct vfio_device *device, const char *pci_address)
{
	char path[VFIO_DEVICE_PATH_SIZE];
	int ret;

	ret = parse_address(device, pci_address);
	if (ret != 0)
		return ret;
	device_path(path, device->address, "");
	if (access(path, F_OK) != 0)
		return vfio_device_fail(ENODEV, "%s: no such PCI device", device->address);

	device_path(path, device->address, "driver");
	ret = read_link_name(path, device->driver, sizeof(device->driver));
	if (ret != 0 && ret != -ENOENT)
		return vfio_device_fail(-ret, "%s: %s: %s", device->address, path,
					strerror(-ret));
	device->numa_node = read_numa_node(device);

	/*
	 * The group first: without an IOMMU no VFIO driver binds the device, and the advice to
	 * bind it to one would lead nowhere.
	 */
	ret = read_group(device);
	if (ret != 0)
		return ret;
	if (device->driver[0] == '\0' || vfio_device_bound_to_vfio(device) == 0)
		return vfio_device_fail_driver(device);
	return 0;
}

/* Drivers of other group members that VFIO puts up with (vfio_dev_viable() up to 5.17,
 * driver_managed_dma since) cannot be told from outside; a name that begins otherwise is a hint.
 */
static int
is_harmless(const char *driver)
{
	return strncmp(driver, "vfio", 4) == 0 || strcmp(driver, "pci-stub") == 0 ||
	       strcmp(driver, "pcieport") == 0 || strcmp(driver, "shpchp") == 0;
}

void
vfio_device_find_intruder(const struct vfio_device *device, char *text, size_t size)
{
	char path[VFIO_DEVICE_PATH_SIZE], driver[VFIO_DEVICE_DRIVER_SIZE];
	struct dirent *entry;
	DIR *folder;

	text[0] = '\0';
	device_path(path, device->address, "iommu_group/devices");
	folder = opendir(path);
	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		struct vfio_device member = { 0 };

		if (parse_address(&member, entry->d_name) != 0 ||
		    strcmp(member.address, device->address) == 0 ||
		    vfio_device_bound_to_vfio(&member) == 1)
			continue;
		device_path(path, member.address, "driver");
		if (read_link_name(path, driver, sizeof(driver)) != 0 || is_harmless(driver))
			continue;
		snprintf(text, size, "%s is bound to '%s'", member.address, driver);
		break;
	}
	closedir(folder);
}
