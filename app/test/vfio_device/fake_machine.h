/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

/*
 * A machine for the unit tests: sysfs and /dev/vfio are folders, the kernel is a function. The
 * library's sources are compiled with this header in front of them.
 */

#include <stddef.h>
#include <stdint.h>

/* Read by the library in place of "/sys" and "/dev/vfio". */
extern char fake_sysfs[];
extern char fake_nodes[];
#define VFIO_DEVICE_SYSFS fake_sysfs
#define VFIO_DEVICE_NODES fake_nodes

#define FAKE_CONFIG_OFFSET 0x100000
#define FAKE_BAR_OFFSET 0x10000
#define FAKE_BAR_SIZE 0x4000
#define FAKE_MAX_IRQS 8

struct fake_kernel {
	int api_version;
	int has_type1v2;
	int viable;
	int resettable;
	int sparse;		/* whether BAR 4 has holes */
	/* errno with which these fail, or 0 */
	int open_group_errno;
	int set_container_errno;
	int set_iommu_errno;
	int device_fd_errno;
	int device_info_errno;
	int map_errno;
	int unmap_errno;
	int irqs_errno;
	/* what was asked of it */
	int device_file;	/* holds config space and BAR 4 */
	uint64_t map_address, map_iova, map_size;
	uint32_t map_flags;
	uint64_t unmap_iova, unmap_size, unmapped;
	unsigned int unmap_alls;
	unsigned int resets;
	unsigned int msix_disables;
	unsigned int irq_calls;
	uint32_t irq_index, irq_flags, irq_start, irq_count;
	int irq_fds[FAKE_MAX_IRQS];
};

extern struct fake_kernel fake;

/* cmocka fixtures: an empty machine with an IOMMU, and its end. */
int fake_machine_setup(void **state);
int fake_machine_teardown(void **state);

/* Write to a file of the machine; folders on the way are made. Path below the machine's root. */
void fake_file(const char *path, const char *text);
void fake_link(const char *path, const char *target);
void fake_remove(const char *path);

/* Add a PCI device; no driver or a group below 0 leave it without. */
void fake_device(const char *address, const char *driver, int group);

/* Let a VFIO driver have registered the device with the kernel (sysfs of Linux 6.1 and on). */
void fake_register_vfio(const char *address);

/* Write to the device's config space. */
void fake_config(uint32_t offset, const void *data, size_t length);
void fake_config_byte(uint32_t offset, uint8_t value);

/* Descriptors of this process on files of the machine. */
unsigned int fake_open_descriptors(void);

#endif /* FAKE_MACHINE_H */
