/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Opening a device, and each way in which that can fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_machine.h"
#include "vfio_device.h"

#define BDF "0000:03:00.0"

static void
expect(const char *address, int error, const char *text)
{
	struct vfio_device *device = (struct vfio_device *)1;

	assert_int_equal(vfio_device_open(address, &device), error);
	assert_null(device);
	if (strstr(vfio_device_error(), text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", vfio_device_error(), text);
	/* Every line names the device. */
	assert_non_null(strstr(vfio_device_error(), address));
	assert_int_equal(fake_open_descriptors(), 0);
}

static void
add_good_device(void)
{
	fake_device(BDF, "dmabuf-vfio-pci", 7);
	fake_register_vfio(BDF);
	fake_file("dev/vfio/7", "");
}

static void
test_opens(void **state)
{
	struct vfio_device *device;

	(void)state;
	add_good_device();
	assert_int_equal(vfio_device_open(BDF, &device), 0);
	assert_string_equal(vfio_device_address(device), BDF);
	assert_string_equal(vfio_device_driver(device), "dmabuf-vfio-pci");
	assert_int_equal(vfio_device_numa_node(device), 1);
	assert_true(fcntl(vfio_device_fd(device), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fake_open_descriptors(), 3);
	vfio_device_close(device, 0);
	assert_int_equal(fake_open_descriptors(), 0);
}

static void
test_any_vfio_driver_will_do(void **state)
{
	struct vfio_device *device;

	(void)state;
	fake_device("10000:e1:00.7", "some-vfio-variant", 0);
	fake_file("sys/bus/pci/devices/10000:e1:00.7/numa_node", "-1\n");
	fake_file("dev/vfio/0", "");
	assert_int_equal(vfio_device_open("10000:E1:00.7", &device), 0);
	assert_string_equal(vfio_device_address(device), "10000:e1:00.7");
	assert_string_equal(vfio_device_driver(device), "some-vfio-variant");
	assert_int_equal(vfio_device_numa_node(device), -1);
	vfio_device_close(device, 0);
}

static void
test_malformed_addresses(void **state)
{
	static const char * const malformed[] = {
		"", "03:00.0", "0000:03:00", "0000:03:00.", "0000:03:00.8", "0000:03:20.0",
		"0000:03:00.0 ", " 0000:03:00.0", "0000:03:00.01", "000:03:00.0", "0000:3:00.0",
		"0x00:03:00.0", "0000:+3:00.0", "0000:-3:00.0", "0000:03:00.0/..",
		"../0000:03:00.0",
		"gggg:03:00.0", "123456789:03:00.0", "00000:03:00.0",
	};
	size_t i;

	(void)state;
	add_good_device();
	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		expect(malformed[i], -EINVAL, "not a PCI address");
}

static void
test_no_such_device(void **state)
{
	(void)state;
	add_good_device();
	expect("0000:04:00.0", -ENODEV, "no such PCI device");
}

static void
test_no_iommu(void **state)
{
	(void)state;
	fake_device(BDF, "virtio-pci", -1);
	expect(BDF, -ENOTSUP, "in no IOMMU group");
}

static void
test_no_iommu_mode(void **state)
{
	(void)state;
	fake_device(BDF, "vfio-pci", 7);
	fake_register_vfio(BDF);
	fake_file("dev/vfio/noiommu-7", "");
	expect(BDF, -ENOTSUP, "no-IOMMU");
}

static void
test_no_driver(void **state)
{
	(void)state;
	fake_device(BDF, NULL, 7);
	fake_file("dev/vfio/7", ""); /* of another device of the group */
	expect(BDF, -ENXIO, "bound to no driver");
}

static void
test_driver_outside_vfio(void **state)
{
	(void)state;
	/* Nothing of the group is with VFIO. */
	fake_device(BDF, "virtio-pci", 7);
	expect(BDF, -ENXIO, "bound to 'virtio-pci', not to a VFIO driver");
	assert_non_null(strstr(vfio_device_error(), "dmabuf-vfio-pci"));
	assert_non_null(strstr(vfio_device_error(), BDF "/driver_override"));
	/* Another device of it is, on a kernel that does not tell which. */
	fake_file("dev/vfio/7", "");
	fake.device_fd_errno = ENODEV;
	expect(BDF, -ENXIO, "bound to 'virtio-pci'");
	/* The same where the kernel tells. */
	fake.device_fd_errno = 0;
	fake_device("0000:03:00.1", "vfio-pci", 7);
	fake_register_vfio("0000:03:00.1");
	fake.viable = 0;
	expect(BDF, -ENXIO, "bound to 'virtio-pci'");
}

static void
test_no_group_file(void **state)
{
	(void)state;
	add_good_device();
	fake_remove("dev/vfio/7");
	expect(BDF, -ENOENT, "/dev/vfio/7 is missing");
}

static void
test_group_not_viable(void **state)
{
	(void)state;
	add_good_device();
	fake.viable = 0;
	expect(BDF, -EPERM, "IOMMU group 7 is not viable");
	fake_device("0000:00:1c.0", "pcieport", 7);
	fake_device("0000:03:00.1", "igb", 7);
	expect(BDF, -EPERM, "0000:03:00.1 is bound to 'igb'");
}

static void
test_group_open_elsewhere(void **state)
{
	(void)state;
	add_good_device();
	fake.open_group_errno = EBUSY;
	expect(BDF, -EBUSY, "/dev/vfio/7 is open elsewhere");
	fake.open_group_errno = EACCES;
	expect(BDF, -EACCES, "/dev/vfio/7");
}

static void
test_kernel_lacks_the_back_end(void **state)
{
	(void)state;
	add_good_device();
	fake.has_type1v2 = 0;
	expect(BDF, -ENOTSUP, "type 1 version 2");
	fake.has_type1v2 = 1;
	fake.api_version = 1;
	expect(BDF, -ENOTSUP, "version 1 of VFIO");
	fake.api_version = 0;
	fake_remove("dev/vfio/vfio");
	expect(BDF, -ENOENT, "/dev/vfio/vfio");
}

static void
test_kernel_refuses(void **state)
{
	(void)state;
	add_good_device();
	fake.set_container_errno = EBUSY;
	expect(BDF, -EBUSY, "VFIO_GROUP_SET_CONTAINER");
	fake.set_container_errno = 0;
	fake.set_iommu_errno = EPERM;
	expect(BDF, -EPERM, "VFIO_SET_IOMMU");
	fake.set_iommu_errno = 0;
	fake.device_fd_errno = EIO;
	expect(BDF, -EIO, "VFIO_GROUP_GET_DEVICE_FD");
	/* Bound to a VFIO driver: the advice to bind it to one would be wrong. */
	fake.device_fd_errno = ENODEV;
	expect(BDF, -ENODEV, "VFIO_GROUP_GET_DEVICE_FD");
	fake.device_fd_errno = 0;
	fake.device_info_errno = EIO;
	expect(BDF, -EIO, "VFIO_DEVICE_GET_INFO");
}

static void
test_group_kept(void **state)
{
	struct vfio_device *device;

	(void)state;
	/* A number of its own: what is kept outlives the machine of one test. */
	fake_device(BDF, "dmabuf-vfio-pci", 8);
	fake_register_vfio(BDF);
	fake_file("dev/vfio/8", "");
	assert_int_equal(vfio_device_open(BDF, &device), 0);
	vfio_device_close(device, 1);
	assert_int_equal(fake_open_descriptors(), 2);
	assert_int_equal(fake.unmap_alls, 1);

	/* Only who kept it can have the group. */
	fake.open_group_errno = EBUSY;
	fake.device_fd_errno = EIO;
	assert_int_equal(vfio_device_open(BDF, &device), -EIO);
	assert_int_equal(fake_open_descriptors(), 2);
	fake.device_fd_errno = 0;
	assert_int_equal(vfio_device_open(BDF, &device), 0);
	assert_int_equal(fake_open_descriptors(), 3);
	vfio_device_close(device, 0);
	assert_int_equal(fake_open_descriptors(), 0);
	assert_int_equal(vfio_device_open(BDF, &device), -EBUSY);
}

#define WITH_MACHINE(test) \
	cmocka_unit_test_setup_teardown(test, fake_machine_setup, fake_machine_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MACHINE(test_opens),
		WITH_MACHINE(test_any_vfio_driver_will_do),
		WITH_MACHINE(test_malformed_addresses),
		WITH_MACHINE(test_no_such_device),
		WITH_MACHINE(test_no_iommu),
		WITH_MACHINE(test_no_iommu_mode),
		WITH_MACHINE(test_no_driver),
		WITH_MACHINE(test_driver_outside_vfio),
		WITH_MACHINE(test_no_group_file),
		WITH_MACHINE(test_group_not_viable),
		WITH_MACHINE(test_group_open_elsewhere),
		WITH_MACHINE(test_kernel_lacks_the_back_end),
		WITH_MACHINE(test_kernel_refuses),
		WITH_MACHINE(test_group_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
