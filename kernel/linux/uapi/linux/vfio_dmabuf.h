/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef _UAPI_LINUX_VFIO_DMABUF_H
#define _UAPI_LINUX_VFIO_DMABUF_H

/*
 * Slices of a PCI BAR as DMABUFs: what <linux/vfio.h> may lack.
 *
 * Exporting is feature 11 of Linux 6.19. Memory attributes and revocation follow v2 of the
 * series "vfio/pci: Add mmap() for DMABUFs" (2026-05-27), which the driver dmabuf-vfio-pci
 * speaks; the later form of that series carries the suffix _V3 here. Each part is guarded by
 * its own macro, so that a newer <linux/vfio.h> wins.
 */

#include <linux/types.h>
#include <linux/vfio.h>

/*
 * Export (GET, PROBE). The payload of VFIO_DEVICE_FEATURE names page-aligned ranges of one BAR,
 * in any order, which may overlap; the buffer is their concatenation. Returns a new file
 * descriptor. open_flags: O_RDONLY or O_RDWR (which a writable mapping needs), O_NONBLOCK and
 * O_CLOEXEC; others are ignored. flags: 0.
 *
 *  EINVAL     no range, or flags not 0; a range that is empty, unaligned, or reaches past the end
 *             of the BAR; a BAR that cannot be mapped; argsz too small
 *  ENODEV     region_index is no BAR, or the BAR is not usable
 *  EOVERFLOW  a range reaches past the end of the address space
 *  EFAULT, ENOMEM, EMFILE, ENFILE
 *  ENOTTY     the kernel or the driver has no such feature
 */
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF 11

struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#endif

/*
 * Memory attribute of future mmap()s (GET, SET, PROBE; form v2). Existing mappings keep theirs.
 * A buffer starts as NC. GET reads dmabuf_fd and writes memattr.
 *
 *  EBADF       dmabuf_fd is not an open file
 *  EINVAL      dmabuf_fd is no DMABUF
 *  ENODEV      the DMABUF is not one of this device
 *  EOPNOTSUPP  unknown memattr, or one that this machine cannot make effective. (v2 itself let
 *              524, a number internal to the kernel, escape in its place.)
 */
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR
#define VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR 13

enum vfio_device_dma_buf_memattr {
	/* Uncached, accesses strictly ordered */
	VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC = 0,
	/* Write-combining */
	VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC = 1,
};

struct vfio_device_feature_dma_buf_memattr {
	__s32 dmabuf_fd;
	__u32 memattr;
};
#elif VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR != 13
#error "this <linux/vfio.h> defines VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR in another form than v2"
#endif

/*
 * Revocation (form v2), an ioctl of the device file. When it returns 0, no mapping of the buffer
 * in any process reaches the device any more: a touch raises SIGBUS. Permanent. Other DMABUFs
 * and mappings of the same pages are not affected, and the range may be exported again.
 *
 *  EINVAL  argsz too small, or dmabuf_fd is no DMABUF
 *  EBADF   dmabuf_fd is not an open file
 *  ENODEV  the DMABUF is not one of this device, or outlived the device's last close
 *  EBADFD  the buffer is revoked already
 *  EFAULT
 *  ENOTTY  the kernel or the driver has no such ioctl
 */
#ifndef VFIO_DEVICE_PCI_DMABUF_REVOKE
#define VFIO_DEVICE_PCI_DMABUF_REVOKE _IO(VFIO_TYPE, VFIO_BASE + 22)

struct vfio_pci_dmabuf_revoke {
	__u32 argsz;
	__s32 dmabuf_fd;
};
#endif

/*
 * The later form (v3 and on): revocation as a feature (SET, PROBE) under the number that v2 gives
 * to MEMATTR, and until v4 MEMATTR (SET, PROBE) under the next. Upstream has reserved neither.
 * PROBE tells the forms apart: of the two users of number 13, only MEMATTR has GET. Never try
 * with a SET: what it means is not known before.
 */
#define VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3 13
#define VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3 14

#ifndef VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE
struct vfio_device_feature_dma_buf_revoke {
	__s32 dmabuf_fd;
};
#endif

#endif /* _UAPI_LINUX_VFIO_DMABUF_H */
