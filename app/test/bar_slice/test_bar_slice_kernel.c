/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the library makes of the kernel's answers. The kernel is a table of the features that it
 * has; it fails the test when asked for more than a PROBE of a feature that it lacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/dma-buf.h>
#include <linux/vfio.h>
#include <linux/vfio_dmabuf.h>

#include "bar_slice.h"

#define DEVICE_FD 1000
#define PAGE 4096

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

static struct {
	uint32_t features[16];	/* GET and SET of each number */
	int info_errno;
	int export_errno, name_errno, memattr_errno, revoke_errno, mmap_errno;
	int exported;		/* the descriptor handed out last, or -1 */
	uint32_t region;
	uint32_t open_flags;
	struct vfio_region_dma_range range;
	char name[64];
	uint32_t memattr_feature, memattr;
	int revoked_fd;
	unsigned int revoke_ioctls, revoke_features;
} kernel;

int __wrap_ioctl(int fd, unsigned long request, ...);
void *__real_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset);

static int
answer(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

static int
answer_export(const struct vfio_device_feature *request)
{
	struct vfio_device_feature_dma_buf payload;

	assert_int_equal(request->argsz, sizeof(*request) + sizeof(payload) +
			 sizeof(kernel.range));
	if (kernel.export_errno != 0)
		return answer(kernel.export_errno);
	memcpy(&payload, request->data, sizeof(payload));
	memcpy(&kernel.range, request->data + sizeof(payload), sizeof(kernel.range));
	assert_int_equal(payload.nr_ranges, 1);
	assert_int_equal(payload.flags, 0);
	kernel.region = payload.region_index;
	kernel.open_flags = payload.open_flags;
	kernel.exported = memfd_create("dmabuf", MFD_CLOEXEC);
	assert_true(kernel.exported >= 0);
	assert_return_code(ftruncate(kernel.exported, (off_t)kernel.range.length), errno);
	return kernel.exported;
}

static int
answer_set(const struct vfio_device_feature *request, uint32_t feature)
{
	struct vfio_device_feature_dma_buf_memattr memattr;

	if (request->argsz == sizeof(*request) + sizeof(memattr)) {
		memcpy(&memattr, request->data, sizeof(memattr));
		assert_int_equal(memattr.dmabuf_fd, kernel.exported);
		kernel.memattr_feature = feature;
		kernel.memattr = memattr.memattr;
		return answer(kernel.memattr_errno);
	}
	assert_int_equal(request->argsz, sizeof(*request) + sizeof(int32_t));
	memcpy(&kernel.revoked_fd, request->data, sizeof(kernel.revoked_fd));
	assert_int_equal(feature, 13);
	kernel.revoke_features++;
	return answer(kernel.revoke_errno);
}

static int
answer_feature(const struct vfio_device_feature *request)
{
	uint32_t feature = request->flags & VFIO_DEVICE_FEATURE_MASK;
	uint32_t operation = request->flags & (GET | SET);

	assert_true(request->argsz >= sizeof(*request));
	if (request->flags & VFIO_DEVICE_FEATURE_PROBE) {
		assert_in_range(feature, 0, 15);
		if (kernel.features[feature] == 0)
			return answer(ENOTTY);
		return answer(operation & ~kernel.features[feature] ? EINVAL : 0);
	}
	assert_int_equal(kernel.features[feature] & operation, operation);
	if (feature == VFIO_DEVICE_FEATURE_DMA_BUF)
		return answer_export(request);
	assert_int_equal(operation, SET);
	return answer_set(request, feature);
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	const struct vfio_pci_dmabuf_revoke *revoke;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return answer(kernel.info_errno);
	case VFIO_DEVICE_FEATURE:
		assert_int_equal(fd, DEVICE_FD);
		return answer_feature(arg);
	case VFIO_DEVICE_PCI_DMABUF_REVOKE:
		revoke = arg;
		assert_int_equal(fd, DEVICE_FD);
		assert_int_equal(revoke->argsz, 8);
		kernel.revoked_fd = revoke->dmabuf_fd;
		kernel.revoke_ioctls++;
		return answer(kernel.revoke_errno);
	case DMA_BUF_SET_NAME:
		assert_int_equal(fd, kernel.exported);
		assert_true(strlen(arg) < sizeof(kernel.name));
		strcpy(kernel.name, arg);
		return answer(kernel.name_errno);
	default:
		fail_msg("unexpected ioctl 0x%lx", request);
		return -1;
	}
}

void *
__wrap_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (kernel.mmap_errno != 0 && fd == kernel.exported) {
		errno = kernel.mmap_errno;
		return MAP_FAILED;
	}
	return __real_mmap64(address, length, prot, flags, fd, offset);
}

static int
reset(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.exported = -1;
	kernel.revoked_fd = -1;
	return 0;
}

static void
test_probe_outcomes(void **state)
{
	static const struct {
		const char *what;
		uint32_t export, feature13, feature14;
		enum bar_slice_interface interface;
		int memattr;
	} table[] = {
		{ "before 6.19", 0, 0, 0, BAR_SLICE_NONE, 0 },
		{ "no export, but numbers taken", 0, GET | SET, SET, BAR_SLICE_NONE, 0 },
		{ "6.19 to 7.3", GET, 0, 0, BAR_SLICE_EXPORT_ONLY, 0 },
		{ "version 2", GET, GET | SET, 0, BAR_SLICE_REVOKE_IOCTL, 1 },
		{ "version 2, 14 taken", GET, GET | SET, SET, BAR_SLICE_REVOKE_IOCTL, 1 },
		{ "13 is none of ours", GET, GET, 0, BAR_SLICE_EXPORT_ONLY, 0 },
		{ "13 is none of ours", GET, GET, SET, BAR_SLICE_EXPORT_ONLY, 0 },
		{ "versions 3 and 4", GET, SET, SET, BAR_SLICE_REVOKE_FEATURE, 1 },
		{ "version 5 and later", GET, SET, 0, BAR_SLICE_REVOKE_FEATURE, 0 },
		{ "14 is none of ours", GET, SET, GET | SET, BAR_SLICE_REVOKE_FEATURE, 0 },
		{ "14 is none of ours", GET, SET, GET, BAR_SLICE_REVOKE_FEATURE, 0 },
	};
	struct bar_slice_support support;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		kernel.features[11] = table[i].export;
		kernel.features[13] = table[i].feature13;
		kernel.features[14] = table[i].feature14;
		memset(&support, 0xff, sizeof(support));
		assert_int_equal(bar_slice_probe(DEVICE_FD, &support), 0);
		if (support.interface != table[i].interface ||
		    support.memattr != table[i].memattr)
			fail_msg("%s: interface %d, memattr %d", table[i].what,
				 support.interface, support.memattr);
	}
}

static void
test_probe_of_something_else(void **state)
{
	struct bar_slice_support support;

	(void)state;
	kernel.info_errno = ENOTTY;
	assert_int_equal(bar_slice_probe(DEVICE_FD, &support), -ENOTTY);
	assert_non_null(strstr(bar_slice_error(), "descriptor 1000: not a VFIO device"));
	kernel.info_errno = EBADF;
	assert_int_equal(bar_slice_probe(DEVICE_FD, &support), -EBADF);
}

/* Both forms, as probed. */
static void
speak(struct bar_slice_support *support, enum bar_slice_interface interface)
{
	kernel.features[11] = GET;
	kernel.features[13] = interface == BAR_SLICE_REVOKE_IOCTL ? GET | SET : SET;
	kernel.features[14] = interface == BAR_SLICE_REVOKE_IOCTL ? 0 : SET;
	assert_int_equal(bar_slice_probe(DEVICE_FD, support), 0);
	assert_int_equal(support->interface, interface);
}

static int
export_page(const struct bar_slice_support *support, enum bar_slice_memattr memattr)
{
	return bar_slice_export(DEVICE_FD, support, 4, 0x3000, PAGE, "0000:03:00.0/4 q3", memattr);
}

static void
test_export(void **state)
{
	static const enum bar_slice_interface interfaces[] = {
		BAR_SLICE_REVOKE_IOCTL, BAR_SLICE_REVOKE_FEATURE
	};
	struct bar_slice_support support;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		reset(NULL);
		speak(&support, interfaces[i]);
		fd = export_page(&support, BAR_SLICE_WRITE_COMBINED);
		assert_true(fd >= 0);
		assert_int_equal(fd, kernel.exported);
		assert_int_equal(kernel.region, 4);
		assert_int_equal(kernel.range.offset, 0x3000);
		assert_int_equal(kernel.range.length, PAGE);
		assert_int_equal(kernel.open_flags, O_RDWR | O_CLOEXEC);
		assert_string_equal(kernel.name, "0000:03:00.0/4 q3");
		assert_int_equal(kernel.memattr, 1);
		assert_int_equal(kernel.memattr_feature, i == 0 ? 13 : 14);
		close(fd);
	}
}

static void
test_export_leaves_the_default_alone(void **state)
{
	struct bar_slice_support support;
	int fd;

	(void)state;
	speak(&support, BAR_SLICE_REVOKE_IOCTL);
	fd = export_page(&support, BAR_SLICE_UNCACHED);
	assert_true(fd >= 0);
	assert_int_equal(kernel.memattr_feature, 0);
	close(fd);
}

static void
test_export_refused_before_the_kernel_is_asked(void **state)
{
	struct bar_slice_support support, none = { 0 };
	const char *longest = "0123456789012345678901234567890";
	int fd;

	(void)state;
	speak(&support, BAR_SLICE_REVOKE_IOCTL);
#define EXPORT(support, bar, offset, length, name, memattr) \
	bar_slice_export(DEVICE_FD, support, bar, offset, length, name, memattr)
	assert_int_equal(EXPORT(&none, 4, 0, PAGE, "q", 0), -ENOTSUP);
	assert_non_null(strstr(bar_slice_error(), "cannot export"));
	none.interface = BAR_SLICE_EXPORT_ONLY;
	assert_int_equal(EXPORT(&none, 4, 0, PAGE, "q", 0), -ENOTSUP);
	assert_non_null(strstr(bar_slice_error(), "cannot map or revoke"));
	assert_int_equal(EXPORT(&support, 6, 0, PAGE, "q", 0), -ENODEV);
	assert_int_equal(EXPORT(&support, 4, 1, PAGE, "q", 0), -EINVAL);
	assert_int_equal(EXPORT(&support, 4, 0, PAGE + 1, "q", 0), -EINVAL);
	assert_int_equal(EXPORT(&support, 4, 0, 0, "q", 0), -EINVAL);
	assert_int_equal(EXPORT(&support, 4, 0, PAGE, "q", (enum bar_slice_memattr)2), -EINVAL);
	assert_int_equal(EXPORT(&support, 4, 0, PAGE, "01234567890123456789012345678901", 0),
			 -EINVAL);
	support.memattr = 0;
	assert_int_equal(EXPORT(&support, 4, 0, PAGE, "q", BAR_SLICE_WRITE_COMBINED), -ENOTSUP);
	assert_int_equal(kernel.exported, -1);

	fd = EXPORT(&support, 4, 0, PAGE, longest, 0);
	assert_true(fd >= 0);
	assert_string_equal(kernel.name, longest);
	close(fd);
}

static void
test_export_errors(void **state)
{
	static const struct {
		int export_errno, name_errno, memattr_errno, mmap_errno;
		int expected;
	} table[] = {
		{ ENODEV, 0, 0, 0, -ENODEV },
		{ EINVAL, 0, 0, 0, -EINVAL },
		{ EMFILE, 0, 0, 0, -EMFILE },
		{ ENOTTY, 0, 0, 0, -ENOTSUP },
		{ EOPNOTSUPP, 0, 0, 0, -ENOTSUP },
		{ 0, ENOMEM, 0, 0, -ENOMEM },
		{ 0, 0, EOPNOTSUPP, 0, -ENOTSUP },
		{ 0, 0, 524, 0, -ENOTSUP },
		{ 0, 0, ENOENT, 0, -ENOTSUP },
		{ 0, 0, ENODEV, 0, -ENODEV },
		{ 0, 0, 0, EINVAL, -ENOTSUP },
	};
	struct bar_slice_support support;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		reset(NULL);
		speak(&support, BAR_SLICE_REVOKE_FEATURE);
		kernel.export_errno = table[i].export_errno;
		kernel.name_errno = table[i].name_errno;
		kernel.memattr_errno = table[i].memattr_errno;
		kernel.mmap_errno = table[i].mmap_errno;
		assert_int_equal(export_page(&support, BAR_SLICE_WRITE_COMBINED),
				 table[i].expected);
		assert_non_null(strstr(bar_slice_error(), "slice '0000:03:00.0/4 q3'"));
		/* A slice that nobody knows of must not stay. */
		if (kernel.exported >= 0)
			assert_int_equal(fcntl(kernel.exported, F_GETFD), -1);
	}
}

static void
test_export_while_the_device_is_off(void **state)
{
	struct bar_slice_support support;
	int fd;

	(void)state;
	speak(&support, BAR_SLICE_REVOKE_FEATURE);
	kernel.mmap_errno = ENODEV;
	fd = export_page(&support, BAR_SLICE_UNCACHED);
	assert_true(fd >= 0);
	close(fd);
}

static void
test_revoke(void **state)
{
	static const int errors[] = { 0, ENODEV, EBADF, EINVAL, EBADFD, ENOTTY };
	struct bar_slice_support support;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		reset(NULL);
		kernel.revoke_errno = errors[i];
		speak(&support, BAR_SLICE_REVOKE_IOCTL);
		assert_int_equal(bar_slice_revoke(DEVICE_FD, &support, 77), -errors[i]);
		assert_int_equal(kernel.revoked_fd, 77);
		assert_int_equal(kernel.revoke_ioctls, 1);
		assert_int_equal(kernel.revoke_features, 0);

		speak(&support, BAR_SLICE_REVOKE_FEATURE);
		assert_int_equal(bar_slice_revoke(DEVICE_FD, &support, 78), -errors[i]);
		assert_int_equal(kernel.revoked_fd, 78);
		assert_int_equal(kernel.revoke_ioctls, 1);
		assert_int_equal(kernel.revoke_features, 1);
	}
	support.interface = BAR_SLICE_EXPORT_ONLY;
	assert_int_equal(bar_slice_revoke(DEVICE_FD, &support, 79), -ENOTSUP);
	assert_int_equal(kernel.revoked_fd, 78);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_probe_outcomes, reset),
		cmocka_unit_test_setup(test_probe_of_something_else, reset),
		cmocka_unit_test_setup(test_export, reset),
		cmocka_unit_test_setup(test_export_leaves_the_default_alone, reset),
		cmocka_unit_test_setup(test_export_refused_before_the_kernel_is_asked, reset),
		cmocka_unit_test_setup(test_export_errors, reset),
		cmocka_unit_test_setup(test_export_while_the_device_is_off, reset),
		cmocka_unit_test_setup(test_revoke, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
