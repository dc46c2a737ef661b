/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef DMABUF_VFIO_PCI_COMPAT_H
#define DMABUF_VFIO_PCI_COMPAT_H

/*
 * Every difference between the kernels this driver builds for. HAVE_* come from the Makefile,
 * which looks for the names in the kernel's headers: stable kernels take over some of these
 * changes, so that a version number would not tell.
 */

#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/version.h>
#include <linux/vfio_pci_core.h>
#ifdef HAVE_PFN_T
#include <linux/pfn_t.h>
#endif

/* <linux/vfio.h> of that kernel; its core no longer maps and zaps as this driver relies on. */
#ifdef VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE
#error "this kernel's own vfio-pci has mappable and revocable DMABUFs: use it"
#endif

/* The argument became a string in Linux 6.13. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define COMPAT_IMPORT_NS_DMA_BUF MODULE_IMPORT_NS("DMA_BUF")
#else
#define COMPAT_IMPORT_NS_DMA_BUF MODULE_IMPORT_NS(DMA_BUF)
#endif

/* Members of struct vfio_device_ops that older kernels do not have. */
#ifdef HAVE_MATCH_TOKEN_UUID
#define COMPAT_MATCH_TOKEN_UUID .match_token_uuid = vfio_pci_core_match_token_uuid,
#else
#define COMPAT_MATCH_TOKEN_UUID
#endif

#ifdef HAVE_REGION_INFO_CAPS
#define COMPAT_REGION_INFO_CAPS .get_region_info_caps = vfio_pci_ioctl_get_region_info,
#else
#define COMPAT_REGION_INFO_CAPS
#endif

#ifdef HAVE_PASID_ATTACH
#define COMPAT_PASID_ATTACH \
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas, \
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
#else
#define COMPAT_PASID_ATTACH
#endif

/*
 * Newer cores claim and map all BARs in vfio_pci_core_enable(). Older ones do so at the first use
 * and without a lock, so that two first uses can race: do it before anybody can use the device.
 */
static inline void compat_claim_bars(struct vfio_pci_core_device *core)
{
#ifdef HAVE_SETUP_BARMAP
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (pci_resource_len(core->pdev, bar))
			vfio_pci_core_setup_barmap(core, bar);
#endif
}

/* A BAR that could not be claimed holds NULL in older kernels, an error pointer in newer ones. */
static inline bool compat_bar_claimed(struct vfio_pci_core_device *core, unsigned int bar)
{
	return !IS_ERR_OR_NULL(core->barmap[bar]);
}

/* As the core's own fault handler decides it; the caller holds core->memory_lock. */
static inline bool compat_memory_enabled(struct vfio_pci_core_device *core)
{
#ifdef HAVE_MEMORY_ENABLED
	return __vfio_pci_memory_enabled(core);
#else
	u16 cmd = le16_to_cpu(*(__le16 *)&core->vconfig[PCI_COMMAND]);

	return (__force int)core->pdev->current_state < (__force int)PCI_D3hot &&
	       (core->pdev->no_command_memory || (cmd & PCI_COMMAND_MEMORY));
#endif
}

/* What vmf_insert_pfn_pmd() and vmf_insert_pfn_pud() take. */
#ifdef HAVE_PFN_T
#define compat_huge_pfn(pfn) __pfn_to_pfn_t(pfn, PFN_DEV)
#else
#define compat_huge_pfn(pfn) (pfn)
#endif

/* Newer cores can export DMABUFs for peer-to-peer themselves; others answer ENOTTY. */
static inline void compat_enable_core_export(struct vfio_pci_core_device *core)
{
#ifdef HAVE_CORE_EXPORT
	static const struct vfio_pci_device_ops ops = {
		.get_dmabuf_phys = vfio_pci_core_get_dmabuf_phys,
	};

	core->pci_ops = &ops;
#endif
}

#endif /* DMABUF_VFIO_PCI_COMPAT_H */
