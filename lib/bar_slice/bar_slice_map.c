/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "bar_slice_private.h"

/* A descriptor that came from another process is taken at no word of its sender. */
static int
check_dmabuf(int dmabuf_fd, size_t length)
{
	size_t in_page = (size_t)sysconf(_SC_PAGESIZE) - 1;
	struct statfs filesystem;
	off_t size;

	if (length == 0 || (length & in_page) != 0)
		return bar_slice_fail(EINVAL, "descriptor %d: length 0x%zx is not a multiple of"
				      " the page size", dmabuf_fd, length);
	if (fstatfs(dmabuf_fd, &filesystem) != 0)
		return bar_slice_fail(errno, "descriptor %d: %s", dmabuf_fd, strerror(errno));
	if (filesystem.f_type != DMA_BUF_MAGIC)
		return bar_slice_fail(EINVAL, "descriptor %d: not a DMABUF", dmabuf_fd);
	/* The way to learn the size of a DMABUF (Linux Documentation/driver-api/dma-buf.rst). */
	size = lseek(dmabuf_fd, 0, SEEK_END);
	if (size < 0)
		return bar_slice_fail(errno, "descriptor %d: lseek: %s", dmabuf_fd,
				      strerror(errno));
	if ((uintmax_t)size < length)
		return bar_slice_fail(EINVAL, "descriptor %d: a DMABUF of 0x%jx bytes, need 0x%zx",
				      dmabuf_fd, (uintmax_t)size, length);
	return 0;
}

static const char *
map_cause(int error)
{
	switch (error) {
	case ENODEV:
		return "the slice is revoked, or its device is off or closed";
	case EINVAL:
		return "the kernel driver that exported it cannot map DMABUFs";
	case EACCES:
		return "the descriptor is read-only";
	default:
		return strerror(error);
	}
}

int
bar_slice_map(int dmabuf_fd, size_t length, bar_slice_lost_fn lost, void *arg, void **address)
{
	void *mapping;
	int ret;

	ret = check_dmabuf(dmabuf_fd, length);
	if (ret != 0)
		return ret;
	mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf_fd, 0);
	if (mapping == MAP_FAILED)
		return bar_slice_fail(errno, "descriptor %d: mmap: %s", dmabuf_fd,
				      map_cause(errno));
	ret = bar_slice_guard(mapping, length, lost, arg);
	if (ret != 0) {
		munmap(mapping, length);
		return ret;
	}
	*address = mapping;
	return 0;
}

int
bar_slice_unmap(void *address, size_t length)
{
	int ret = bar_slice_unguard(address, length);

	if (ret != 0)
		return ret;
	if (munmap(address, length) != 0)
		/* cppcheck-suppress deallocret ; it was not released, and is only named */
		return bar_slice_fail(errno, "mapping at %p: munmap: %s", address,
				      strerror(errno));
	return 0;
}
