// SPDX-License-Identifier: GPL-2.0-only
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* Mappings of a buffer: the rules of mmap(), the fault handler, and the memory type. */

#include <linux/mm.h>
#ifdef CONFIG_X86
#include <asm/memtype.h>
#endif

#include "compat.h"
#include "dmabuf_vfio_pci.h"

bool bar_dmabuf_memattr_supported(u32 memattr)
{
	switch (memattr) {
	case VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC:
		return true;
	case VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC:
#ifdef CONFIG_X86
		/* Without the PAT a page-table entry cannot say write-combining. */
		return pat_enabled();
#else
		return true;
#endif
	default:
		return false;
	}
}

/* Looks up the page at an offset in the concatenation of the ranges; false past the end. */
static bool bar_dmabuf_pfn(const struct bar_dmabuf *buf, pgoff_t pgoff, unsigned long *pfn)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT;
	u32 i;

	for (i = 0; i < buf->nr_ranges; i++) {
		const struct vfio_region_dma_range *range = &buf->ranges[i];

		if (offset < range->length) {
			*pfn = PHYS_PFN(buf->bar_start + range->offset + offset);
			return true;
		}
		offset -= range->length;
	}
	return false;
}

#ifdef CONFIG_X86
struct bar_dmabuf_pte {
	struct mm_struct *mm;
	unsigned long pfn;
	pgprot_t prot;
};

static int bar_dmabuf_set_pte(pte_t *pte, unsigned long addr, void *data)
{
	const struct bar_dmabuf_pte *new = data;

	/* Another thread's fault may have been first. */
	if (pte_none(ptep_get(pte)))
		set_pte_at(new->mm, addr, pte, pte_mkspecial(pfn_pte(new->pfn, new->prot)));
	return 0;
}

/*
 * vmf_insert_pfn() takes the cache mode from the PAT's record of the physical page, not from the
 * VMA (track_pfn_insert() in 6.12, pfnmap_setup_cachemode_pfn() in 7.2). The record says UC-minus,
 * since the core has pci_iomap()ed the BAR. Writing the entry is the one way to a memory type per
 * buffer; remap_io_mapping() of i915 does it as well. "Special" entries have no struct page.
 */
static vm_fault_t bar_dmabuf_insert(struct vm_fault *vmf, unsigned long pfn)
{
	struct vm_area_struct *vma = vmf->vma;
	struct bar_dmabuf_pte new = {
		.mm = vma->vm_mm,
		.pfn = pfn,
		.prot = vma->vm_page_prot,
	};
	int ret;

	ret = apply_to_page_range(vma->vm_mm, vmf->address & PAGE_MASK, PAGE_SIZE,
				  bar_dmabuf_set_pte, &new);
	return ret ? vmf_error(ret) : VM_FAULT_NOPAGE;
}
#else
static vm_fault_t bar_dmabuf_insert(struct vm_fault *vmf, unsigned long pfn)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
}
#endif

/* The locks, and why they are held until the entry stands: see dmabuf_vfio_pci.h. */
static vm_fault_t bar_dmabuf_fault(struct vm_fault *vmf)
{
	struct bar_dmabuf *buf = vmf->vma->vm_private_data;
	struct vfio_pci_core_device *core = &buf->dev->core;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	unsigned long pfn;

	if (!bar_dmabuf_pfn(buf, vmf->pgoff, &pfn))
		return VM_FAULT_SIGBUS;

	down_read(&core->memory_lock);
	down_read(&buf->lock);
	/* Of the core, only the lock may be used before the state is known to be OK. */
	if (buf->state == BAR_DMABUF_OK && !core->pm_runtime_engaged && compat_memory_enabled(core))
		ret = bar_dmabuf_insert(vmf, pfn);
	up_read(&buf->lock);
	up_read(&core->memory_lock);
	return ret;
}

static const struct vm_operations_struct bar_dmabuf_vm_ops = {
	.fault = bar_dmabuf_fault,
};

/*
 * Sets up a VMA; entries come from the fault handler only. Here the VMA is not yet in the inode's
 * tree, where a zap would find it. memory_lock must not be taken: mmap_lock is held for writing.
 * dma-buf has checked that the VMA ends within the buffer.
 */
int bar_dmabuf_map(struct bar_dmabuf *buf, struct vm_area_struct *vma)
{
	enum bar_dmabuf_state state;

	/* VM_MAYSHARE: a shared mapping of a read-only descriptor has no VM_SHARED. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	/* A courtesy, not the guard: the fault handler checks again. */
	down_read(&buf->lock);
	state = buf->state;
	up_read(&buf->lock);
	if (state != BAR_DMABUF_OK)
		return -ENODEV;

	if (READ_ONCE(buf->memattr) == VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	else
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);

	/* The flags of the core's own BAR mappings. */
	vm_flags_set(vma, VM_ALLOW_ANY_UNCACHED | VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = buf;
	vma->vm_ops = &bar_dmabuf_vm_ops;
	return 0;
}
