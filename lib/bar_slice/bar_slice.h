/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_SLICE_H
#define BAR_SLICE_H

/**
 * @file
 * A BAR slice: a page-aligned range of a PCI BAR, exported by the owner of a VFIO device as a
 * DMABUF that another process can map, and that the owner can revoke at any time.
 *
 * The library speaks both forms of the kernel interface: that of version 2 of the series
 * "vfio/pci: Add mmap() for DMABUFs" (VFIO_DEVICE_PCI_DMABUF_REVOKE and MEMATTR as feature 13),
 * and the later one (REVOKE as feature 13, MEMATTR, where there is one, as feature 14). It tells
 * them apart with VFIO_DEVICE_FEATURE_PROBE alone: the numbers are not reserved upstream, and a
 * blind SET could reach a feature of another meaning. For the same reason a slice of the later
 * form is exported only where the kernel can also map DMABUFs.
 *
 * Functions return 0 or a non-negative value on success and a negative errno on failure; after a
 * failure bar_slice_error() gives one line that names the object and the cause.
 *
 * Thread safety: every function may be called from any thread.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest name of a slice, with its terminating NUL (DMA_BUF_NAME_LEN of the kernel). */
#define BAR_SLICE_NAME_SIZE 32

/** How the kernel lets a slice be revoked. */
enum bar_slice_interface {
	BAR_SLICE_NONE,		/**< no export at all (feature 11 missing) */
	BAR_SLICE_EXPORT_ONLY,	/**< export, but no known way to revoke: of no use here */
	BAR_SLICE_REVOKE_IOCTL,	/**< version 2 of the series: ioctl VFIO_BASE + 22 */
	BAR_SLICE_REVOKE_FEATURE, /**< later versions: feature 13 */
};

/** Memory type of the mappings made after it was set; others keep theirs. */
enum bar_slice_memattr {
	BAR_SLICE_UNCACHED = 0,
	BAR_SLICE_WRITE_COMBINED = 1,
};

/** What the kernel offers for one device. */
struct bar_slice_support {
	enum bar_slice_interface interface;
	int memattr;		/**< whether write-combining can be asked for */
};

/** One line naming the object and the cause of this thread's last failure. Never NULL. */
const char *bar_slice_error(void);

/**
 * Find out what the kernel offers, without changing anything.
 *
 * @param device_fd
 *   VFIO device descriptor.
 * @return
 *   0 with @p support filled in (also when nothing is offered), -EBADF or -ENOTTY when the
 *   descriptor is not a VFIO device.
 */
int bar_slice_probe(int device_fd, struct bar_slice_support *support);

/**
 * Export a slice.
 *
 * @param bar
 *   VFIO region index of the BAR, 0 to 5.
 * @param offset, length
 *   Multiples of the page size, within the BAR.
 * @param name
 *   What /proc/PID/maps shows after "/dmabuf:", shorter than BAR_SLICE_NAME_SIZE.
 * @param memattr
 *   Memory type of mappings of this slice.
 * @return
 *   A DMABUF descriptor (close-on-exec, read-write) that the caller owns, or
 *   - -ENOTSUP: the kernel cannot export slices that can be mapped and revoked, or cannot
 *     give the memory type (the text says which);
 *   - -EINVAL: misaligned or outside the BAR, or the name is too long;
 *   - -ENODEV: no such BAR; -EMFILE, -ENOMEM: no descriptor or memory left.
 */
int bar_slice_export(int device_fd, const struct bar_slice_support *support, unsigned int bar,
		     uint64_t offset, uint64_t length, const char *name,
		     enum bar_slice_memattr memattr);

/**
 * Take access away for good: every mapping of this slice, in every process, through every
 * duplicate of the descriptor, raises SIGBUS from now on. The range can be exported anew.
 * A write that the processor has issued before the return may still reach the device.
 *
 * @return
 *   - -ENODEV: the DMABUF is not a live one of this device;
 *   - -EBADF, -EINVAL: not a DMABUF descriptor;
 *   - -EBADFD: it was revoked before (the aim is reached all the same);
 *   - -ENOTSUP: the kernel has no way to revoke (see bar_slice_probe()).
 */
int bar_slice_revoke(int device_fd, const struct bar_slice_support *support, int dmabuf_fd);

/**
 * Called in a faulting thread when a guarded mapping was found revoked and has been replaced.
 * Async-signal context: set flags, nothing else.
 */
typedef void (*bar_slice_lost_fn)(void *arg);

/**
 * Map a slice for writing and guard the mapping: when a touch raises SIGBUS because the slice
 * was revoked, the whole mapping is replaced by private memory, @p lost is called, and the thread
 * goes on as if it had written to the device. SIGBUS at any other address goes to whoever handled
 * it before. After fork(2) the child's copy of the mapping is guarded as well, on its own.
 *
 * The kernel raises SIGBUS also for a touch while the device is being reset, has its memory
 * decoding off or is in D3. The mapping is lost then too, for good: ask for the slice anew.
 *
 * The first call in a process installs the handler. It can do nothing where it is not asked:
 * - a thread that blocks SIGBUS dies of the fault (force_sig() of the kernel);
 * - a handler installed later takes SIGBUS away, unless it passes on what it does not know;
 * - EAL sets a handler of its own for the moment in which its memory grows (alloc_seg() in
 *   eal_memalloc.c), also in secondaries, and puts back what was there. A touch in that moment
 *   reaches EAL's; and where the first call falls into it, the guard is gone afterwards until the
 *   next call, which installs it again.
 *
 * The caller may close @p dmabuf_fd as soon as the mapping stands, and should, so that the slice
 * cannot leak to children.
 *
 * @param dmabuf_fd
 *   DMABUF descriptor of a slice of @p length bytes.
 * @param lost, arg
 *   Called at most once a mapping; NULL to have no call.
 * @param[out] address
 *   The mapping; end it with bar_slice_unmap().
 * @return
 *   - -ENODEV: the slice is revoked, or its device is off or closed;
 *   - -EBADF: the descriptor is not open;
 *   - -EINVAL: not a DMABUF, shorter than @p length, or of a kernel that cannot map DMABUFs; or
 *     @p length is not a multiple of the page size;
 *   - -EACCES: the descriptor is read-only;
 *   - -ENOSPC: BAR_SLICE_MAX_MAPPINGS mappings are guarded already.
 */
int bar_slice_map(int dmabuf_fd, size_t length, bar_slice_lost_fn lost, void *arg,
		  void **address);

/** Guarded mappings that one process can hold: 128 queue pairs of 32 ports. */
#define BAR_SLICE_MAX_MAPPINGS 8192

/**
 * End a mapping made by bar_slice_map(); no thread may touch it any more. -EINVAL: it is none.
 */
int bar_slice_unmap(void *address, size_t length);

#ifdef __cplusplus
}
#endif

#endif /* BAR_SLICE_H */
