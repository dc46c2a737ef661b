// SPDX-License-Identifier: GPL-2.0-only
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* Mappings of a buffer: the rules of mmap(), the fault handler, and the memory type. */

#include <linux/mm.h>
#include <linux/pagemap.h>
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

/*
 * Looks up 1 << order pages at an offset in the concatenation of the ranges. False past the end,
 * or where they are not contiguous in the BAR.
 */
static bool bar_dmabuf_pfn(const struct bar_dmabuf *buf, pgoff_t pgoff, unsigned int order,
			   unsigned long *pfn)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT;
	u32 i;

	for (i = 0; i < buf->nr_ranges; i++) {
		const struct vfio_region_dma_range *range = &buf->ranges[i];

		if (offset < range->length) {
			*pfn = PHYS_PFN(buf->bar_start + range->offset + offset);
			return range->length - offset >= PAGE_SIZE << order;
		}
		offset -= range->length;
	}
	return false;
}

/* Not revoked for good; dev->lock is held. */
static bool bar_dmabuf_alive(const struct bar_dmabuf *buf)
{
	return !bar_dmabuf_orphaned(buf) && !buf->revoked;
}

/* Not revoked for the time being either; core.memory_lock and dev->lock are held. */
static bool bar_dmabuf_reachable(const struct bar_dmabuf *buf)
{
	struct vfio_pci_core_device *core = &buf->dev->core;

	/* First: an orphan may not even read what the core has for an open device. */
	if (!bar_dmabuf_alive(buf))
		return false;
	return !buf->dev->resetting && !core->pm_runtime_engaged && compat_memory_enabled(core);
}

/* Mappings of these have the memory type WC. */
static const struct vm_operations_struct bar_dmabuf_wc_vm_ops;

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
static vm_fault_t bar_dmabuf_insert_wc(struct vm_fault *vmf, unsigned long pfn)
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
static vm_fault_t bar_dmabuf_insert_wc(struct vm_fault *vmf, unsigned long pfn)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
}
#endif

/* Makes the entry for 1 << order pages; all but WC as the core maps BARs. */
static vm_fault_t bar_dmabuf_insert(struct vm_fault *vmf, unsigned long pfn, unsigned int order)
{
	if (vmf->vma->vm_ops == &bar_dmabuf_wc_vm_ops)
		return bar_dmabuf_insert_wc(vmf, pfn);

	switch (order) {
	case 0:
		return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		return vmf_insert_pfn_pmd(vmf, compat_huge_pfn(pfn), false);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		return vmf_insert_pfn_pud(vmf, compat_huge_pfn(pfn), false);
#endif
	default:
		return VM_FAULT_FALLBACK;
	}
}

/* The locks, and why they are held until the entry stands: see dmabuf_vfio_pci.h. */
static vm_fault_t bar_dmabuf_insert_locked(struct vm_fault *vmf, unsigned long pfn,
					   unsigned int order)
{
	struct bar_dmabuf *buf = vmf->vma->vm_private_data;
	struct dmabuf_vfio_device *dev = buf->dev;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&dev->core.memory_lock);
	down_read(&dev->lock);
	if (bar_dmabuf_reachable(buf))
		ret = bar_dmabuf_insert(vmf, pfn, order);
	up_read(&dev->lock);
	up_read(&dev->core.memory_lock);
	return ret;
}

static vm_fault_t bar_dmabuf_fault(struct vm_fault *vmf)
{
	unsigned long pfn;

	if (!bar_dmabuf_pfn(vmf->vma->vm_private_data, vmf->pgoff, 0, &pfn))
		return VM_FAULT_SIGBUS;
	return bar_dmabuf_insert_locked(vmf, pfn, 0);
}

/* Only where the mapping and the BAR have a huge page at the same place. */
static vm_fault_t bar_dmabuf_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long size = PAGE_SIZE << order;
	unsigned long addr = ALIGN_DOWN(vmf->address, size);
	unsigned long pfn;

	if (addr < vma->vm_start || vma->vm_end - addr < size ||
	    !bar_dmabuf_pfn(vma->vm_private_data, linear_page_index(vma, addr), order, &pfn) ||
	    !IS_ALIGNED(pfn, 1UL << order))
		return VM_FAULT_FALLBACK;
	return bar_dmabuf_insert_locked(vmf, pfn, order);
}

static const struct vm_operations_struct bar_dmabuf_nc_vm_ops = {
	.fault		= bar_dmabuf_fault,
	.huge_fault	= bar_dmabuf_huge_fault,
};

/* No huge pages: apply_to_page_range() makes none, and must not meet one. */
static const struct vm_operations_struct bar_dmabuf_wc_vm_ops = {
	.fault		= bar_dmabuf_fault,
};

/*
 * Refuses mappings of a buffer that is revoked, for good or for the time being, as the series does.
 * A courtesy, not the guard: the fault handler checks again. memory_lock cannot be waited for,
 * since mmap_lock is held for writing; who holds it is about to change what it would tell.
 */
static bool bar_dmabuf_may_map(const struct bar_dmabuf *buf)
{
	struct dmabuf_vfio_device *dev = buf->dev;
	bool locked, may;

	locked = down_read_trylock(&dev->core.memory_lock);
	down_read(&dev->lock);
	may = locked ? bar_dmabuf_reachable(buf) : bar_dmabuf_alive(buf);
	up_read(&dev->lock);
	if (locked)
		up_read(&dev->core.memory_lock);
	return may;
}

/*
 * Sets up a VMA; entries come from the fault handlers only. Here the VMA is not yet in the inode's
 * tree, where a zap would find it. dma-buf has checked that the VMA ends within the buffer.
 */
int bar_dmabuf_map(struct bar_dmabuf *buf, struct vm_area_struct *vma)
{
	/* VM_MAYSHARE: a shared mapping of a read-only descriptor has no VM_SHARED. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!bar_dmabuf_may_map(buf))
		return -ENODEV;

	if (READ_ONCE(buf->memattr) == VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC) {
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
		vma->vm_ops = &bar_dmabuf_wc_vm_ops;
	} else {
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		vma->vm_ops = &bar_dmabuf_nc_vm_ops;
	}
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_private_data = buf;

	/* The flags of the core's own BAR mappings. */
	vm_flags_set(vma, VM_ALLOW_ANY_UNCACHED | VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}
