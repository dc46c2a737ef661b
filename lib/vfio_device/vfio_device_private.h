/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VFIO_DEVICE_PRIVATE_H
#define VFIO_DEVICE_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "vfio_device.h"

/* Where the kernel's files are. The unit tests compile with a folder of their own. */
#ifndef VFIO_DEVICE_SYSFS
#define VFIO_DEVICE_SYSFS "/sys"
#endif
#ifndef VFIO_DEVICE_NODES
#define VFIO_DEVICE_NODES "/dev/vfio"
#endif

/* "10000:e1:00.0": domains behind an Intel VMD have more than four digits. */
#define VFIO_DEVICE_ADDRESS_SIZE sizeof("00000000:00:00.0")

/* Longest name of a kernel module (MODULE_NAME_LEN). */
#define VFIO_DEVICE_DRIVER_SIZE 64

#define VFIO_DEVICE_PATH_SIZE 512

struct vfio_device {
	char address[VFIO_DEVICE_ADDRESS_SIZE];
	char driver[VFIO_DEVICE_DRIVER_SIZE];
	int numa_node;
	unsigned int group_id;
	int container;
	int group;
	int fd;
	int has_reset;
	int group_was_kept;
	uint64_t config_offset;
	unsigned int msix_routed;
};

/* Keep the text for vfio_device_error() and return -@p error. */
int vfio_device_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fill in address, driver, NUMA node and IOMMU group of a device as sysfs has them. */
int vfio_device_identify(struct vfio_device *device, const char *pci_address);

/* -ENXIO with the driver and the way out. */
int vfio_device_fail_driver(const struct vfio_device *device);

/*
 * Whether the device is bound to a VFIO driver: 1, 0, or -1 where the kernel does not tell (it
 * has the vfio-dev class since 6.1).
 */
int vfio_device_bound_to_vfio(const struct vfio_device *device);

/* Name one device of the group that keeps it from being viable; "" when none is found. */
void vfio_device_find_intruder(const struct vfio_device *device, char *text, size_t size);

/* Open group and container and join them, or take up the pair kept by an earlier close. */
int vfio_device_open_group(struct vfio_device *device);

/* Undo vfio_device_open_group(). */
void vfio_device_close_group(struct vfio_device *device, int keep);

/* Size and offset of a VFIO region; @p mappable may be NULL. */
int vfio_device_region(const struct vfio_device *device, unsigned int index, uint64_t *size,
		       uint64_t *offset, int *mappable);

#endif /* VFIO_DEVICE_PRIVATE_H */
