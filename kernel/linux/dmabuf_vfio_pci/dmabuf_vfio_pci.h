/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef DMABUF_VFIO_PCI_H
#define DMABUF_VFIO_PCI_H

#include <linux/mm_types.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/vfio_dmabuf.h>
#include <linux/vfio_pci_core.h>

/*
 * Locks, outermost first:
 *
 *   mmap_lock > core.memory_lock > dmabuf_vfio_device.lock > page table lock
 *
 * A page-table entry is written only by the fault handler, with dmabuf_vfio_device.lock held for
 * reading from the check of the state until the entry stands. Who takes access away changes the
 * state with the lock held for writing, lets go of it, and zaps: an entry written before is found
 * by the zap, a fault that comes after sees the new state. The core zaps with memory_lock held for
 * writing, which the fault handler holds as well, outside: so a revoke waits for an insertion
 * under way, but never for a reset.
 */

/*
 * The buffers are mapped in the VFIO inode (see bar_dmabuf_create()), where the core zaps the
 * offsets of the BAR regions, [0, ROM region). A mapping beyond would escape that.
 */
#define BAR_DMABUF_MAX_SIZE	VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_ROM_REGION_INDEX)

struct dmabuf_vfio_device {
	/* First: vfio_alloc_device() wants the vfio_device at offset 0. */
	struct vfio_pci_core_device core;

	/* Protects what follows, and bar_dmabuf.revoked of all buffers of the device. */
	struct rw_semaphore lock;
	/* Which open of the device this is: the buffers of earlier ones are orphans. */
	u64 session;
	/* A reset is under way, whoever asked for it. */
	bool resetting;
};

/* Page-aligned ranges of one BAR, exported as one DMABUF: its dma_buf::priv. */
struct bar_dmabuf {
	/*
	 * Holds a reference on core.vdev.device, which keeps alive the lock and the VFIO inode.
	 * Outlives remove() of the PCI device, and what the core has for an open one: an orphan
	 * may use the lock and the inode only.
	 */
	struct dmabuf_vfio_device *dev;

	/* For good, by a REVOKE; under dev->lock. */
	bool revoked;

	/* enum vfio_device_dma_buf_memattr of future mappings; single copy, no lock */
	u32 memattr;

	/* Constant after export. */
	u64 session;
	phys_addr_t bar_start;
	u64 size;
	u32 nr_ranges;
	struct vfio_region_dma_range *ranges;
};

static inline struct dmabuf_vfio_device *to_dmabuf_vfio_device(struct vfio_device *vdev)
{
	return container_of(vdev, struct dmabuf_vfio_device, core.vdev);
}

/* Whether the open of the device that exported the buffer has ended; dev->lock is held. */
static inline bool bar_dmabuf_orphaned(const struct bar_dmabuf *buf)
{
	return buf->session != buf->dev->session;
}

/* dmabuf.c */
void bar_dmabuf_zap(struct dmabuf_vfio_device *dev, u64 size);
int bar_dmabuf_feature_export(struct dmabuf_vfio_device *dev, u32 flags,
			      struct vfio_device_feature_dma_buf __user *arg, size_t argsz);
int bar_dmabuf_feature_memattr(struct dmabuf_vfio_device *dev, u32 flags, u32 ops, int unsupported,
			       struct vfio_device_feature_dma_buf_memattr __user *arg,
			       size_t argsz);
int bar_dmabuf_feature_revoke(struct dmabuf_vfio_device *dev, u32 flags,
			      struct vfio_device_feature_dma_buf_revoke __user *arg,
			      size_t argsz);
int bar_dmabuf_ioctl_revoke(struct dmabuf_vfio_device *dev,
			    struct vfio_pci_dmabuf_revoke __user *arg);

/* mmap.c */
bool bar_dmabuf_memattr_supported(u32 memattr);
int bar_dmabuf_map(struct bar_dmabuf *buf, struct vm_area_struct *vma);

#endif /* DMABUF_VFIO_PCI_H */
