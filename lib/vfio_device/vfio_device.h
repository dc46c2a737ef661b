/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

/**
 * @file
 * One PCI device owned by this process through VFIO.
 *
 * The device is opened in a container of its own, through its IOMMU group (type 1, version 2),
 * so that nobody else in the process, EAL included, can hand its descriptors on: while the group
 * is open here, a second open of it fails with EBUSY (Linux Documentation/driver-api/vfio.rst).
 *
 * Functions return 0 or a non-negative value on success and a negative errno on failure; after a
 * failure vfio_device_error() gives one line that names the object and the cause.
 *
 * Thread safety: functions on different devices may run at once. On one device, config space,
 * interrupt and reset calls must be serialised by the caller; DMA maps and queries need not be.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** PCI BARs are VFIO regions 0 to 5. */
#define VFIO_DEVICE_MAX_BARS 6

struct vfio_device;

/** One BAR, as VFIO_DEVICE_GET_REGION_INFO reports it. */
struct vfio_device_bar {
	uint64_t size;		/**< in bytes; 0 for a BAR that the device does not have */
	uint64_t offset;	/**< of the BAR within the VFIO device descriptor */
	int mappable;		/**< whether the whole BAR may be mapped */
};

/**
 * Open a device for exclusive use by this process.
 *
 * @param pci_address
 *   Address with domain, as in "0000:03:00.0".
 * @param[out] device
 *   The device; release it with vfio_device_close().
 * @return
 *   - -EINVAL: the address is malformed.
 *   - -ENODEV: no such PCI device.
 *   - -ENXIO: the device is not bound to a VFIO driver (the text names the driver it has).
 *   - -ENOTSUP: the device is in no IOMMU group (no IOMMU, or it is off) or in one of VFIO's
 *     no-IOMMU mode, or the kernel lacks the type 1 version 2 IOMMU back end.
 *   - -ENOENT: the group has no file under /dev/vfio although the device is bound to a VFIO
 *     driver.
 *   - -EPERM: the group is not viable: another device of it is bound to a driver outside VFIO.
 *   - -EBUSY: the group is open elsewhere.
 *   - another errno of open(2) or ioctl(2): the text says of which.
 */
int vfio_device_open(const char *pci_address, struct vfio_device **device);

/**
 * Close the device descriptor: the kernel disables it and every slice exported from it dies.
 * The group and container descriptors are closed only when @p keep_group is 0; keep them to
 * make sure that nobody else in this process can open the group. All DMA maps are removed in
 * either case. A later vfio_device_open() of a device of this group takes up the kept pair.
 */
void vfio_device_close(struct vfio_device *device, int keep_group);

/** One line naming the object and the cause of this thread's last failure. Never NULL. */
const char *vfio_device_error(void);

/** The VFIO device descriptor; it stays owned by @p device. */
int vfio_device_fd(const struct vfio_device *device);

/** The address given to vfio_device_open(), in lower case with domain. */
const char *vfio_device_address(const struct vfio_device *device);

/** Name of the kernel driver that the device was bound to when it was opened. */
const char *vfio_device_driver(const struct vfio_device *device);

/** NUMA node of the device, or -1 where the platform does not say. */
int vfio_device_numa_node(const struct vfio_device *device);

/** Describe BAR @p index (0 to 5). -EINVAL for another index, else errno of the ioctl. */
int vfio_device_bar(const struct vfio_device *device, unsigned int index,
		    struct vfio_device_bar *bar);

/**
 * Map @p length bytes of a BAR from @p offset (both multiples of the page size), shared, read
 * and write. The mapping belongs to the caller, who ends it with munmap(2).
 *
 * @return -EINVAL: the range is misaligned or outside the BAR, or the BAR cannot be mapped;
 *   or errno of mmap(2).
 */
int vfio_device_map_bar(const struct vfio_device *device, unsigned int index, uint64_t offset,
			size_t length, void **address);

/**
 * Read from PCI configuration space; exactly @p length bytes or an error (-EIO: short access).
 */
int vfio_device_config_read(const struct vfio_device *device, uint32_t offset, void *data,
			    size_t length);

/** Write PCI configuration space; exactly @p length bytes or an error (-EIO: short access). */
int vfio_device_config_write(const struct vfio_device *device, uint32_t offset, const void *data,
			     size_t length);

/**
 * Walk the list of PCI capabilities.
 *
 * @param id
 *   Capability id (PCI 3.0, appendix H), e.g. 0x09 for vendor-specific.
 * @param after
 *   Offset of a capability to start behind, or 0 for the first.
 * @return
 *   Offset of the next capability with this id, 0 where there is none, or a negative errno
 *   (-ELOOP: the device's list does not end).
 */
int vfio_device_find_capability(const struct vfio_device *device, uint8_t id, uint8_t after);

/** Let the device master the bus (DMA, MSI-X), or stop it (PCI 3.0, 6.2.2, command bit 2). */
int vfio_device_set_bus_master(const struct vfio_device *device, int enable);

/**
 * Give the device DMA access to memory of this process.
 *
 * @param iova
 *   Address that the device will use; it and @p length are multiples of the page size.
 * @return -EEXIST: part of the range is mapped; -ENOSPC: the container's limit of entries;
 *   -ENOMEM: RLIMIT_MEMLOCK; or another errno of VFIO_IOMMU_MAP_DMA.
 */
int vfio_device_dma_map(const struct vfio_device *device, void *address, uint64_t iova,
			uint64_t length);

/** Take the access back. -ENOENT: nothing of the range was mapped. */
int vfio_device_dma_unmap(const struct vfio_device *device, uint64_t iova, uint64_t length);

/** Number of MSI-X vectors, or a negative errno. */
int vfio_device_msix_count(const struct vfio_device *device);

/**
 * Route MSI-X vectors 0 to @p count - 1 to eventfds (-1 leaves one unrouted), replacing what was
 * routed before. The eventfds stay the caller's. @p count 0 switches MSI-X off. Another count
 * than before switches it off in between, and interrupts of that moment are lost.
 *
 * @return -EINVAL: the device has fewer vectors; or errno of VFIO_DEVICE_SET_IRQS.
 */
int vfio_device_set_msix(struct vfio_device *device, const int *eventfds, unsigned int count);

/**
 * Have the kernel signal @p eventfd when somebody wants the device back (unbind, removal);
 * without it an unbind waits silently until this process ends. -1 ends the notification.
 */
int vfio_device_set_request_eventfd(const struct vfio_device *device, int eventfd);

/** Reset the function (VFIO_DEVICE_RESET). -ENOTTY: the device has no reset of its own. */
int vfio_device_reset(const struct vfio_device *device);

#ifdef __cplusplus
}
#endif

#endif /* VFIO_DEVICE_H */
