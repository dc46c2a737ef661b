/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * More than a page, otherwise than as a page, or by other ways than the processor's.
 */
#include <linux/dma-buf.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <linux/vfio_dmabuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "hostile.h"

#define ANY_FILE "/proc/self/exe"

struct how {
	size_t pages;
	off_t offset;		/**< in pages */
	int prot, flags;
};

#define RW (PROT_READ | PROT_WRITE)
#define HOW(...) (&(const struct how){ __VA_ARGS__ })

static int
map(const void *arg)
{
	struct holding h = take_lease();
	const struct how *how = arg;
	volatile uint16_t *mapping;

	mapping = mmap(NULL, how->pages * victim.page, how->prot, how->flags, h.fd,
		       h.offset + how->offset * (off_t)victim.page);
	if (mapping == MAP_FAILED)
		return errno;
	return look(mapping + (how->pages - 1) * victim.page / sizeof(*mapping));
}

static int
map_unaligned(const void *arg)
{
	struct holding h = take_lease();

	return got((long)mmap(NULL, victim.page, RW, MAP_SHARED, h.fd, h.offset + 512));
}

static int
grow(const void *arg)
{
	struct holding h = take_lease();
	const int *flags = arg;

	return got((long)mremap((void *)(uintptr_t)h.page, victim.page, 2 * victim.page, *flags));
}

static int
copy_by_mremap(const void *arg)
{
	struct holding h = take_lease();

	return got((long)mremap((void *)(uintptr_t)h.page, 0, victim.page, MREMAP_MAYMOVE));
}

static int
advise(const void *arg)
{
	struct holding h = take_lease();
	const int *advice = arg;

	return got(madvise((void *)(uintptr_t)h.page, victim.page, *advice));
}

static int
map_other_page(const void *arg)
{
	struct holding h = take_lease();

	return got(remap_file_pages((void *)(uintptr_t)h.page, victim.page, 0, 1, 0));
}

static int
read_file(const void *arg)
{
	struct holding h = take_lease();
	char byte;

	return got(pread(h.fd, &byte, 1, h.offset));
}

static int
write_file(const void *arg)
{
	struct holding h = take_lease();

	return got(pwrite(h.fd, "\xff\x7f", 2, h.offset));
}

static int
write_stream(const void *arg)
{
	struct holding h = take_lease();

	return got(write(h.fd, "\xff\x7f", 2));
}

static int
send_file(const void *arg)
{
	struct holding h = take_lease();
	int pair[2];

	if (pipe(pair) != 0)
		cannot_begin("pipe");
	return got(sendfile(pair[1], h.fd, &h.offset, 2));
}

static int
splice_in(const void *arg)
{
	struct holding h = take_lease();
	int pair[2];

	if (pipe(pair) != 0 || write(pair[1], "\xff\x7f", 2) != 2)
		cannot_begin("pipe");
	return got(splice(pair[0], NULL, h.fd, NULL, 2, 0));
}

static int
copy_range(const void *arg)
{
	struct holding h = take_lease();
	int file = open(ANY_FILE, O_RDONLY);

	return got(copy_file_range(file, NULL, h.fd, NULL, 2, 0));
}

static int
truncate_file(const void *arg)
{
	struct holding h = take_lease();

	return got(ftruncate(h.fd, 2 * (off_t)victim.page));
}

static int
allocate(const void *arg)
{
	struct holding h = take_lease();

	return got(fallocate(h.fd, 0, 0, 2 * (off_t)victim.page));
}

static int
reopen(const void *arg)
{
	struct holding h = take_lease();
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h.fd);
	return got(open(path, O_RDWR));
}

/* ---- By the kernel's hand ---- */

static int
pin_by_io_uring(const void *arg)
{
	struct holding h = take_lease();
	struct iovec iov = { .iov_base = (void *)(uintptr_t)h.page, .iov_len = victim.page };
	struct io_uring_params params = { .flags = 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (ring < 0)
		return errno == ENOSYS || errno == EPERM ? NOT_HERE : errno;
	return got(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1));
}

static int
read_direct(const void *arg)
{
	struct holding h = take_lease();
	int file = open(ANY_FILE, O_RDONLY | O_DIRECT);

	if (file < 0)
		return NOT_HERE;
	return got(read(file, (void *)(uintptr_t)h.page, victim.page));
}

static int
give_to_pipe(const void *arg)
{
	struct holding h = take_lease();
	struct iovec iov = { .iov_base = (void *)(uintptr_t)h.page, .iov_len = victim.page };
	int pair[2];

	if (pipe(pair) != 0)
		cannot_begin("pipe");
	return got(vmsplice(pair[1], &iov, 1, SPLICE_F_GIFT));
}

static int
read_process(const void *arg)
{
	struct holding h = take_lease();
	char data[64];
	struct iovec local = { data, sizeof(data) };
	struct iovec remote = { (void *)(uintptr_t)h.page, sizeof(data) };

	return got(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

static int
write_process(const void *arg)
{
	struct holding h = take_lease();
	char data[2] = "\xff\x7f";
	struct iovec local = { data, sizeof(data) };
	struct iovec remote = { (void *)(uintptr_t)h.page, sizeof(data) };

	return got(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
}

static int
write_own_mem(const void *arg)
{
	struct holding h = take_lease();
	int mem = open("/proc/self/mem", O_RDWR);

	return got(pwrite(mem, "\xff\x7f", 2, (off_t)(uintptr_t)h.page));
}

static int
poke_child(const void *arg)
{
	struct holding h = take_lease();
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0 || waitpid(pid, NULL, 0) != pid)
		cannot_begin("ptrace");
	return got(ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)h.page, NULL));
}

static int
wait_on_futex(const void *arg)
{
	const struct timespec soon = { .tv_nsec = 1000000 };
	struct holding h = take_lease();

	return got(syscall(SYS_futex, h.page, FUTEX_WAIT, 1, &soon, NULL, 0));
}

static int
handle_faults(const void *arg)
{
	struct holding h = take_lease();
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)h.page, victim.page },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
		return NOT_HERE;
	return got(ioctl(fd, UFFDIO_REGISTER, &range));
}

static int
move_to_node(const void *arg)
{
	struct holding h = take_lease();
	void *pages[] = { (void *)(uintptr_t)h.page };
	int nodes[] = { 0 }, status[] = { 0 };

	touch(h.page);
	if (syscall(SYS_move_pages, 0, 1, pages, nodes, status, 0) < 0)
		return errno == ENOSYS ? NOT_HERE : errno;
	return -status[0];
}

/* ---- As if it were the device ---- */

static int
vfio_feature(const void *arg)
{
	struct holding h = take_lease();
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf export;
		struct vfio_region_dma_range range;
	} call = {
		.header = { sizeof(call), VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.export = { .region_index = 4, .open_flags = O_RDWR, .nr_ranges = 1 },
		.range = { .length = victim.page },
	};

	return got(ioctl(h.fd, VFIO_DEVICE_FEATURE, &call));
}

static int
vfio_region(const void *arg)
{
	struct holding h = take_lease();
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 4 };

	return got(ioctl(h.fd, VFIO_DEVICE_GET_REGION_INFO, &info));
}

static int
vfio_irqs(const void *arg)
{
	struct holding h = take_lease();
	struct vfio_irq_info info = { .argsz = sizeof(info) };

	return got(ioctl(h.fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
}

static int
vfio_revoke(const void *arg)
{
	struct holding h = take_lease();
	struct vfio_pci_dmabuf_revoke call = { .argsz = sizeof(call), .dmabuf_fd = h.fd };

	return got(ioctl(h.fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call));
}

static int
vfio_reset(const void *arg)
{
	struct holding h = take_lease();

	return got(ioctl(h.fd, VFIO_DEVICE_RESET));
}

static int
vfio_map_dma(const void *arg)
{
	struct holding h = take_lease();
	struct vfio_iommu_type1_dma_map call = {
		.argsz = sizeof(call), .flags = VFIO_DMA_MAP_FLAG_READ, .size = victim.page,
	};

	return got(ioctl(h.fd, VFIO_IOMMU_MAP_DMA, &call));
}

/* ---- Allowed, and of no use ---- */

static int
rename_buffer(const void *arg)
{
	struct holding h = take_lease();

	return got(ioctl(h.fd, DMA_BUF_SET_NAME_B, (uint64_t)(uintptr_t)"mine"));
}

static int
export_fence(const void *arg)
{
	struct holding h = take_lease();
	struct dma_buf_export_sync_file call = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };

	return got(ioctl(h.fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &call));
}

static int
begin_access(const void *arg)
{
	struct holding h = take_lease();
	struct dma_buf_sync call = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	return got(ioctl(h.fd, DMA_BUF_IOCTL_SYNC, &call));
}

static int
lock_in_memory(const void *arg)
{
	struct holding h = take_lease();

	return got(mlock((const void *)(uintptr_t)h.page, victim.page));
}

#define ADVICE(name, advice, error) \
	{ name, advise, error, 0, &(const int){ advice }, NULL }

static const struct attack attacks[] = {
	{ "map two pages of one", map, EINVAL, 0, HOW(2, 0, RW, MAP_SHARED), NULL },
	{ "map a MiB", map, EINVAL, 0, HOW(256, 0, RW, MAP_SHARED), NULL },
	{ "map the next page", map, EINVAL, 0, HOW(1, 1, RW, MAP_SHARED), NULL },
	{ "map the page before", map, EINVAL, EOVERFLOW, HOW(1, -1, RW, MAP_SHARED), NULL },
	{ "map the 16th page after", map, EINVAL, 0, HOW(1, 16, RW, MAP_SHARED), NULL },
	{ "map at the largest offset", map, EINVAL, EOVERFLOW,
	  HOW(1, INT64_MAX >> 12, RW, MAP_SHARED), NULL },
	{ "map from within the page", map_unaligned, EINVAL, 0, NULL, NULL },
	{ "map privately", map, EINVAL, 0, HOW(1, 0, RW, MAP_PRIVATE), NULL },
	{ "map privately, to read", map, EINVAL, 0, HOW(1, 0, PROT_READ, MAP_PRIVATE), NULL },
	{ "map privately, to execute", map, EINVAL, EPERM,
	  HOW(1, 0, PROT_READ | PROT_EXEC, MAP_PRIVATE), NULL },
	{ "grow the mapping", grow, EFAULT, 0, &(const int){ 0 }, NULL },
	{ "grow the mapping elsewhere", grow, EFAULT, 0, &(const int){ MREMAP_MAYMOVE }, NULL },
	{ "copy the mapping by mremap()", copy_by_mremap, EFAULT, EINVAL, NULL, NULL },
	{ "remap_file_pages() to the next page", map_other_page, EINVAL, 0, NULL, NULL },
	ADVICE("madvise() MADV_DOFORK", MADV_DOFORK, EINVAL),
	ADVICE("madvise() MADV_DODUMP", MADV_DODUMP, EINVAL),
	ADVICE("madvise() MADV_DONTNEED", MADV_DONTNEED, EINVAL),
	ADVICE("madvise() MADV_FREE", MADV_FREE, EINVAL),
	ADVICE("madvise() MADV_COLD", MADV_COLD, EINVAL),
	ADVICE("madvise() MADV_PAGEOUT", MADV_PAGEOUT, EINVAL),
	ADVICE("madvise() MADV_WIPEONFORK", MADV_WIPEONFORK, EINVAL),
	ADVICE("madvise() MADV_POPULATE_WRITE", MADV_POPULATE_WRITE, EINVAL),
	ADVICE("madvise() MADV_REMOVE", MADV_REMOVE, ENODEV),
	ADVICE("madvise() MADV_HWPOISON", MADV_HWPOISON, EPERM),
	{ "pread() the descriptor", read_file, ESPIPE, 0, NULL, NULL },
	{ "pwrite() the descriptor", write_file, ESPIPE, 0, NULL, NULL },
	{ "write() the descriptor", write_stream, EINVAL, 0, NULL, NULL },
	{ "sendfile() from the descriptor", send_file, ESPIPE, 0, NULL, NULL },
	{ "splice() into the descriptor", splice_in, EINVAL, 0, NULL, NULL },
	{ "copy_file_range() into the descriptor", copy_range, EINVAL, 0, NULL, NULL },
	{ "ftruncate() the descriptor", truncate_file, EINVAL, 0, NULL, NULL },
	{ "fallocate() the descriptor", allocate, ENODEV, 0, NULL, NULL },
	{ "open the descriptor anew", reopen, EACCES, ENXIO, NULL, NULL },
	{ "pin the page by io_uring", pin_by_io_uring, EFAULT, 0, NULL, NULL },
	{ "read with O_DIRECT into the page", read_direct, EFAULT, 0, NULL, NULL },
	{ "vmsplice() the page", give_to_pipe, EFAULT, 0, NULL, NULL },
	{ "process_vm_readv() from the page", read_process, EFAULT, 0, NULL, NULL },
	{ "process_vm_writev() to the page", write_process, EFAULT, 0, NULL, NULL },
	{ "/proc/self/mem to the page", write_own_mem, EIO, 0, NULL, NULL },
	{ "ptrace() a child's page", poke_child, EIO, 0, NULL, NULL },
	{ "futex() on the page", wait_on_futex, EFAULT, 0, NULL, NULL },
	{ "userfaultfd() on the page", handle_faults, EINVAL, 0, NULL, NULL },
	{ "move_pages() of the page", move_to_node, EFAULT, ENOENT, NULL, NULL },
	{ "VFIO: export another slice", vfio_feature, ENOTTY, 0, NULL, NULL },
	{ "VFIO: ask for a region", vfio_region, ENOTTY, 0, NULL, NULL },
	{ "VFIO: ask for interrupts", vfio_irqs, ENOTTY, 0, NULL, NULL },
	{ "VFIO: revoke", vfio_revoke, ENOTTY, 0, NULL, NULL },
	{ "VFIO: map memory for DMA", vfio_map_dma, ENOTTY, 0, NULL, NULL },
	{ "VFIO: reset the device", vfio_reset, ENOTTY, 0, NULL, NULL },
	/* From some release on, Linux keeps DMABUFs from being executed: not 6.12, but 7.2. */
	{ "map to execute", map, EPERM, 0, HOW(1, 0, RW | PROT_EXEC, MAP_SHARED),
	  "the same page" },
	{ "name the buffer", rename_buffer, WORKED, 0, NULL, "nobody goes by that name" },
	{ "export its fences", export_fence, ENOTTY, 0, NULL, "it has none" },
	{ "begin to access it", begin_access, WORKED, 0, NULL, "nobody waits for the end" },
	{ "lock it in memory", lock_in_memory, WORKED, 0, NULL, "it is none" },
};

const struct attack_group page_group = { GROUP("page", attacks), .channel = false };
