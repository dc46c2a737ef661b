/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Mapping a slice. A file in memory stands in for the DMABUF where fstatfs() is made to say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/magic.h>

#include "bar_slice.h"
#include "bar_slice_doorbell.h"

#define PAGE 4096

static int pretend_dmabuf;
static int mmap_errno;

int __real_fstatfs64(int fd, struct statfs *filesystem);
int __wrap_fstatfs64(int fd, struct statfs *filesystem);
void *__real_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset);

int
__wrap_fstatfs64(int fd, struct statfs *filesystem)
{
	int ret = __real_fstatfs64(fd, filesystem);

	if (ret == 0 && pretend_dmabuf)
		filesystem->f_type = DMA_BUF_MAGIC;
	return ret;
}

void *
__wrap_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (mmap_errno != 0 && fd >= 0) {
		errno = mmap_errno;
		return MAP_FAILED;
	}
	return __real_mmap64(address, length, prot, flags, fd, offset);
}

static int
make_slice(void)
{
	int fd = memfd_create("slice", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_return_code(ftruncate(fd, 2 * PAGE), errno);
	return fd;
}

static int
setup(void **state)
{
	(void)state;
	pretend_dmabuf = 1;
	mmap_errno = 0;
	return 0;
}

static void
count(void *arg)
{
	(*(int *)arg)++;
}

static void
test_map_ring_revoke_unmap(void **state)
{
	volatile uint16_t *doorbell;
	int fd = make_slice();
	int file = dup(fd);
	uint8_t bytes[2];
	int lost = 0;
	void *address;

	(void)state;
	assert_int_equal(bar_slice_map(fd, PAGE, count, &lost, &address), 0);
	close(fd); /* the mapping stands without it */
	doorbell = address;
	bar_slice_ring_doorbell(doorbell, 0x0102);
	assert_int_equal(pread(file, bytes, 2, 0), 2);
	/* Little-endian whatever the processor (VIRTIO 1.2, 1.4). */
	assert_int_equal(bytes[0], 0x02);
	assert_int_equal(bytes[1], 0x01);
	assert_return_code(ftruncate(file, 0), errno);
	bar_slice_ring_doorbell(doorbell, 3);
	bar_slice_ring_doorbell(doorbell, 4);
	assert_int_equal(lost, 1);
	assert_int_equal(bar_slice_unmap(address, PAGE), 0);
	assert_int_equal(bar_slice_unmap(address, PAGE), -EINVAL);
	close(file);
}

static void
expect(int fd, size_t length, int error, const char *text)
{
	void *address = NULL;

	assert_int_equal(bar_slice_map(fd, length, NULL, NULL, &address), error);
	if (strstr(bar_slice_error(), text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", bar_slice_error(), text);
	assert_null(address);
}

static void
test_refuses_what_is_no_dmabuf(void **state)
{
	int fd = make_slice();
	int pipes[2];

	(void)state;
	pretend_dmabuf = 0;
	expect(fd, PAGE, -EINVAL, "not a DMABUF");
	assert_return_code(pipe(pipes), errno);
	expect(pipes[1], PAGE, -EINVAL, "not a DMABUF");
	expect(-1, PAGE, -EBADF, "descriptor -1");
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	expect(fd, PAGE, -EBADF, "Bad file descriptor");
}

static void
test_refuses_another_length(void **state)
{
	int fd = make_slice();

	(void)state;
	expect(fd, 3 * PAGE, -EINVAL, "a DMABUF of 0x2000 bytes, need 0x3000");
	expect(fd, 0, -EINVAL, "not a multiple");
	expect(fd, PAGE - 1, -EINVAL, "not a multiple");
	close(fd);
}

static void
test_kernel_refusals(void **state)
{
	char path[64];
	int fd = make_slice();
	int read_only;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	expect(read_only, PAGE, -EACCES, "read-only");
	mmap_errno = ENODEV;
	expect(fd, PAGE, -ENODEV, "revoked");
	mmap_errno = EINVAL;
	expect(fd, PAGE, -EINVAL, "cannot map DMABUFs");
	mmap_errno = ENOMEM;
	expect(fd, PAGE, -ENOMEM, "memory");
	close(read_only);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_map_ring_revoke_unmap, setup),
		cmocka_unit_test_setup(test_refuses_what_is_no_dmabuf, setup),
		cmocka_unit_test_setup(test_refuses_another_length, setup),
		cmocka_unit_test_setup(test_kernel_refusals, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
