/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef DMABUF_VFIO_PCI_H
#define DMABUF_VFIO_PCI_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/vfio_dmabuf.h>
#include <linux/vfio_pci_core.h>

/*
 * Locks, outermost first:
 *
 *   mmap_lock > core.memory_lock > bar_dmabuf.lock > page table lock
 *   dmabuf_vfio_device.lock > bar_dmabuf.lock
 *
 * A page-table entry is written only by the fault handler, with bar_dmabuf.lock held for reading
 * from the check of the state until the entry stands. Who takes access away changes the state
 * with the lock held for writing, lets go of it, and zaps: an entry written before is found by
 * the zap, a fault that comes after sees the new state. The core zaps with memory_lock held for
 * writing, which the fault handler holds as well, outside: so a revoke waits for an insertion
 * under way, but never for a reset.
 */

enum bar_dmabuf_state {
	BAR_DMABUF_OK,
	/* For good, by VFIO_DEVICE_PCI_DMABUF_REVOKE */
	BAR_DMABUF_REVOKED,
	/* For good, by the last close of the device; takes precedence over REVOKED */
	BAR_DMABUF_ORPHANED,
};

struct dmabuf_vfio_device {
	/* First: vfio_alloc_device() wants the vfio_device at offset 0. */
	struct vfio_pci_core_device core;
	/* Protects buffers: those exported since the device was opened. */
	struct mutex lock;
	struct list_head buffers;
};

/* Page-aligned ranges of one BAR, exported as one DMABUF: its dma_buf::priv. */
struct bar_dmabuf {
	/*
	 * Holds a reference on core.vdev.device, which keeps alive this structure's locks and the
	 * VFIO inode. Outlives remove() of the PCI device; core.pdev is for state OK only.
	 */
	struct dmabuf_vfio_device *dev;
	struct list_head node;

	/* Protects state. */
	struct rw_semaphore lock;
	enum bar_dmabuf_state state;

	/* enum vfio_device_dma_buf_memattr of future mappings; single copy, no lock */
	u32 memattr;

	/* Constant after export. */
	phys_addr_t bar_start;
	u64 size;
	u32 nr_ranges;
	struct vfio_region_dma_range *ranges;
};

static inline struct dmabuf_vfio_device *to_dmabuf_vfio_device(struct vfio_device *vdev)
{
	return container_of(vdev, struct dmabuf_vfio_device, core.vdev);
}

/* dmabuf.c */
int bar_dmabuf_feature_export(struct dmabuf_vfio_device *dev, u32 flags,
			      struct vfio_device_feature_dma_buf __user *arg, size_t argsz);
int bar_dmabuf_feature_memattr(struct dmabuf_vfio_device *dev, u32 flags,
			       struct vfio_device_feature_dma_buf_memattr __user *arg,
			       size_t argsz);
int bar_dmabuf_ioctl_revoke(struct dmabuf_vfio_device *dev,
			    struct vfio_pci_dmabuf_revoke __user *arg);
void bar_dmabuf_orphan_all(struct dmabuf_vfio_device *dev);

/* mmap.c */
bool bar_dmabuf_memattr_supported(u32 memattr);
int bar_dmabuf_map(struct bar_dmabuf *buf, struct vm_area_struct *vma);

#endif /* DMABUF_VFIO_PCI_H */
