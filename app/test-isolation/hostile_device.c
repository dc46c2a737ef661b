/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The device by other doors than the lessor's.
 */
#include <linux/pci.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hostile.h"

#define SYSFS "/sys/bus/pci/devices/%s/"

struct file {
	const char *path;	/**< %s is the device */
	int flags;
};

#define FILE_(path_, flags_) (&(const struct file){ (path_), (flags_) })

static int
open_file(const void *arg)
{
	const struct file *file = arg;
	char path[160];
	int fd;

	snprintf(path, sizeof(path), file->path, victim.bdf);
	fd = open(path, file->flags | O_CLOEXEC);
	return fd < 0 && errno == ENOENT ? NOT_HERE : got(fd);
}

/** By its group's number. */
static int
open_group(const void *arg)
{
	char path[96], group[128];
	const char *number;
	ssize_t length;

	snprintf(path, sizeof(path), SYSFS "iommu_group", victim.bdf);
	length = readlink(path, group, sizeof(group) - 1);
	if (length < 0)
		return NOT_HERE;
	group[length] = '\0';
	number = strrchr(group, '/') + 1;
	snprintf(path, sizeof(path), "/dev/vfio/%.16s", number);
	return got(open(path, O_RDWR));
}

/** The container is for everybody; without a group it is of no use. */
static int
use_container(const void *arg)
{
	struct vfio_iommu_type1_dma_map call = { .argsz = sizeof(call), .size = victim.page };
	int container = open("/dev/vfio/vfio", O_RDWR);

	if (container < 0)
		return errno;
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0)
		return errno;
	return got(ioctl(container, VFIO_IOMMU_MAP_DMA, &call));
}

static int
map_by_proc(const void *arg)
{
	unsigned int bus, slot, function;
	char path[64];
	int fd;

	if (sscanf(victim.bdf, "%*x:%x:%x.%x", &bus, &slot, &function) != 3)
		return NOT_HERE;
	snprintf(path, sizeof(path), "/proc/bus/pci/%02x/%02x.%x", bus, slot, function);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return errno == ENOENT ? NOT_HERE : errno;
	ioctl(fd, PCIIOC_MMAP_IS_MEM);
	return got((long)mmap(NULL, victim.page, PROT_READ, MAP_SHARED, fd, 0));
}

static int
read_config(const void *arg)
{
	char path[96], bytes[256];
	ssize_t count;
	int fd;

	snprintf(path, sizeof(path), SYSFS "config", victim.bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return errno;
	count = read(fd, bytes, sizeof(bytes));
	/* The standard header is for everybody. */
	return count > 64 ? WORKED : EPERM;
}

static int
use_ports(const void *arg)
{
	return got(iopl(3));
}

static int
use_port(const void *arg)
{
	return got(ioperm(0xcf8, 8, 1));
}

static int
load_module(const void *arg)
{
	return got(syscall(SYS_init_module, "", 0, ""));
}

static const struct attack attacks[] = {
	{ "BAR 0 by sysfs", open_file, EACCES, 0, FILE_(SYSFS "resource0", O_RDWR), NULL },
	{ "BAR 1 by sysfs", open_file, EACCES, 0, FILE_(SYSFS "resource1", O_RDWR), NULL },
	{ "BAR 4 by sysfs", open_file, EACCES, 0, FILE_(SYSFS "resource4", O_RDWR), NULL },
	{ "BAR 4 by sysfs, to read", open_file, EACCES, 0,
	  FILE_(SYSFS "resource4", O_RDONLY), NULL },
	{ "BAR 4 by sysfs, write-combining", open_file, EACCES, 0,
	  FILE_(SYSFS "resource4_wc", O_RDWR), NULL },
	{ "configuration space by sysfs", open_file, EACCES, 0,
	  FILE_(SYSFS "config", O_RDWR), NULL },
	{ "all of configuration space, to read", read_config, EPERM, 0, NULL, NULL },
	{ "configuration space by /proc", open_file, EACCES, 0,
	  FILE_("/proc/bus/pci/01/00.0", O_RDWR), NULL },
	{ "a BAR by /proc", map_by_proc, EPERM, 0, NULL, NULL },
	{ "remove the device", open_file, EACCES, 0, FILE_(SYSFS "remove", O_WRONLY), NULL },
	{ "reset the device", open_file, EACCES, 0, FILE_(SYSFS "reset", O_WRONLY), NULL },
	{ "unbind the device", open_file, EACCES, 0,
	  FILE_(SYSFS "driver/unbind", O_WRONLY), NULL },
	{ "another driver for the device", open_file, EACCES, 0,
	  FILE_(SYSFS "driver_override", O_RDWR), NULL },
	{ "disable the device", open_file, EACCES, 0, FILE_(SYSFS "enable", O_RDWR), NULL },
	{ "put the device to sleep", open_file, EACCES, 0,
	  FILE_(SYSFS "power/control", O_WRONLY), NULL },
	{ "rescan the bus", open_file, EACCES, 0, FILE_("/sys/bus/pci/rescan", O_WRONLY), NULL },
	{ "its VFIO group", open_group, EACCES, EBUSY, NULL, NULL },
	{ "a container of one's own", use_container, ENODEV, EINVAL, NULL, NULL },
	{ "its VFIO device file", open_file, EACCES, 0,
	  FILE_("/dev/vfio/devices/vfio0", O_RDWR), NULL },
	{ "/dev/iommu", open_file, EACCES, 0, FILE_("/dev/iommu", O_RDWR), NULL },
	{ "/dev/mem", open_file, EACCES, EPERM, FILE_("/dev/mem", O_RDWR), NULL },
	{ "/dev/port", open_file, EACCES, EPERM, FILE_("/dev/port", O_RDWR), NULL },
	{ "/proc/kcore", open_file, EACCES, EPERM, FILE_("/proc/kcore", O_RDONLY), NULL },
	{ "debugfs", open_file, EACCES, 0, FILE_("/sys/kernel/debug", O_RDONLY), NULL },
	{ "iopl()", use_ports, EPERM, 0, NULL, NULL },
	{ "ioperm()", use_port, EPERM, 0, NULL, NULL },
	{ "load a kernel module", load_module, EPERM, 0, NULL, NULL },
};

const struct attack_group device_group = { GROUP("device", attacks), .channel = false };
