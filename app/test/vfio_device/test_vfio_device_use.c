/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Using an open device: config space, BARs, DMA, interrupts, reset.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/vfio.h>

#include "fake_machine.h"
#include "vfio_device.h"

#define BDF "0000:03:00.0"
#define PAGE 4096

static struct vfio_device *device;

static int
setup(void **state)
{
	if (fake_machine_setup(state) != 0)
		return -1;
	fake_device(BDF, "dmabuf-vfio-pci", 7);
	fake_register_vfio(BDF);
	fake_file("dev/vfio/7", "");
	return vfio_device_open(BDF, &device);
}

static int
teardown(void **state)
{
	vfio_device_close(device, 0);
	return fake_machine_teardown(state);
}

static void
assert_error(const char *text)
{
	if (strstr(vfio_device_error(), text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", vfio_device_error(), text);
	assert_non_null(strstr(vfio_device_error(), BDF));
}

static void
test_config_access(void **state)
{
	uint8_t id[4] = { 0xf4, 0x1a, 0x41, 0x10 }, read[4] = { 0 };

	(void)state;
	fake_config(0, id, sizeof(id));
	assert_int_equal(vfio_device_config_read(device, 0, read, sizeof(read)), 0);
	assert_memory_equal(read, id, sizeof(id));
	assert_int_equal(vfio_device_config_write(device, 0x3c, id, 3), 0);
	assert_int_equal(pread(fake.device_file, read, 4, FAKE_CONFIG_OFFSET + 0x3c), 4);
	assert_memory_equal(read, "\xf4\x1a\x41\x00", 4);

	/* The file ends with config space, in the middle of this access. */
	assert_int_equal(vfio_device_config_read(device, 0xffe, read, 4), -EIO);
	assert_error("only 2 done");
	close(vfio_device_fd(device));
	assert_int_equal(vfio_device_config_read(device, 0, read, 4), -EBADF);
	assert_int_equal(vfio_device_config_write(device, 0, read, 4), -EBADF);
}

static void
test_capabilities(void **state)
{
	(void)state;
	/* A pointer without the status bit means nothing. */
	fake_config_byte(0x34, 0x40);
	fake_config(0x40, "\x09\x53", 2);
	assert_int_equal(vfio_device_find_capability(device, 9, 0), 0);
	fake_config_byte(0x06, 0x10);
	fake_config(0x50, "\x11\x60", 2);
	fake_config(0x60, "\x09\x00", 2);
	assert_int_equal(vfio_device_find_capability(device, 9, 0), 0x40);
	assert_int_equal(vfio_device_find_capability(device, 9, 0x40), 0x60);
	assert_int_equal(vfio_device_find_capability(device, 9, 0x60), 0);
	assert_int_equal(vfio_device_find_capability(device, 0x11, 0), 0x50);
	assert_int_equal(vfio_device_find_capability(device, 5, 0), 0);
	/* Into the header: not a capability, whatever is there. */
	fake_config(0x20, "\x09\x00", 2);
	fake_config_byte(0x61, 0x20);
	assert_int_equal(vfio_device_find_capability(device, 9, 0x60), 0);
	fake_config_byte(0x61, 0x40);
	assert_int_equal(vfio_device_find_capability(device, 5, 0), -ELOOP);
	assert_error("does not end");
}

static void
test_longest_capability_list(void **state)
{
	unsigned int at;

	(void)state;
	fake_config_byte(0x06, 0x10);
	fake_config_byte(0x34, 0x40);
	for (at = 0x40; at < 0x100; at += 4) {
		fake_config_byte(at, at == 0xfc ? 9 : 1);
		fake_config_byte(at + 1, (uint8_t)(at + 4));
	}
	assert_int_equal(vfio_device_find_capability(device, 9, 0), 0xfc);
	assert_int_equal(vfio_device_find_capability(device, 5, 0), 0);
}

static void
test_bus_master(void **state)
{
	uint8_t command[2];

	(void)state;
	fake_config(0x04, "\x02\x05", 2);
	assert_int_equal(vfio_device_set_bus_master(device, 1), 0);
	assert_int_equal(vfio_device_config_read(device, 4, command, 2), 0);
	assert_memory_equal(command, "\x06\x05", 2);
	assert_int_equal(vfio_device_set_bus_master(device, 0), 0);
	assert_int_equal(vfio_device_config_read(device, 4, command, 2), 0);
	assert_memory_equal(command, "\x02\x05", 2);
}

static void
test_bars(void **state)
{
	struct vfio_device_bar bar;
	void *address;

	(void)state;
	assert_int_equal(vfio_device_bar(device, 4, &bar), 0);
	assert_int_equal(bar.size, FAKE_BAR_SIZE);
	assert_int_equal(bar.offset, FAKE_BAR_OFFSET);
	assert_true(bar.mappable);
	assert_int_equal(vfio_device_bar(device, 0, &bar), 0);
	assert_int_equal(bar.size, 0x20);
	assert_false(bar.mappable);
	assert_int_equal(vfio_device_bar(device, 1, &bar), 0);
	assert_int_equal(bar.size, 0);
	assert_int_equal(vfio_device_bar(device, 6, &bar), -EINVAL);
	assert_error("no BAR 6");

	assert_int_equal(vfio_device_map_bar(device, 4, PAGE, 2 * PAGE, &address), 0);
	((volatile uint8_t *)address)[1] = 0x5a;
	assert_int_equal(pread(fake.device_file, &bar, 2, FAKE_BAR_OFFSET + PAGE), 2);
	assert_memory_equal(&bar, "\x00\x5a", 2);
	munmap(address, 2 * PAGE);
}

static void
expect_no_map(unsigned int index, uint64_t offset, size_t length, const char *text)
{
	void *address;

	assert_int_equal(vfio_device_map_bar(device, index, offset, length, &address), -EINVAL);
	assert_error(text);
}

static void
test_bar_mapping_refused(void **state)
{
	(void)state;
	expect_no_map(0, 0, PAGE, "cannot be mapped");
	expect_no_map(1, 0, PAGE, "is not there");
	expect_no_map(6, 0, PAGE, "no BAR 6");
	expect_no_map(4, 1, PAGE, "not multiples");
	expect_no_map(4, 0, 1, "not multiples");
	expect_no_map(4, 0, 0, "not multiples");
	expect_no_map(4, 0, FAKE_BAR_SIZE + PAGE, "beyond its end");
	expect_no_map(4, FAKE_BAR_SIZE, PAGE, "beyond its end");
	expect_no_map(4, UINT64_MAX - PAGE + 1, PAGE, "beyond its end");
	expect_no_map(4, PAGE, SIZE_MAX - PAGE + 1, "beyond its end");
	fake.sparse = 1;
	expect_no_map(4, 0, PAGE, "cannot be mapped");
}

static void
test_dma(void **state)
{
	static const struct {
		int error;
		const char *text;
	} refusals[] = {
		{ EEXIST, "mapped already" },
		{ ENOSPC, "limit of entries" },
		{ ENOMEM, "RLIMIT_MEMLOCK" },
		{ EINVAL, "misaligned" },
		{ EFAULT, "Bad address" },
	};
	size_t i;

	(void)state;
	assert_int_equal(vfio_device_dma_map(device, (void *)0x7000, 0x100000, 2 * PAGE), 0);
	assert_int_equal(fake.map_address, 0x7000);
	assert_int_equal(fake.map_iova, 0x100000);
	assert_int_equal(fake.map_size, 2 * PAGE);
	assert_int_equal(fake.map_flags, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		fake.map_errno = refusals[i].error;
		assert_int_equal(vfio_device_dma_map(device, (void *)0x7000, 0x100000, PAGE),
				 -refusals[i].error);
		assert_error(refusals[i].text);
		assert_error("IOVA 0x100000");
	}

	fake.unmapped = 2 * PAGE;
	assert_int_equal(vfio_device_dma_unmap(device, 0x100000, 2 * PAGE), 0);
	assert_int_equal(fake.unmap_iova, 0x100000);
	assert_int_equal(fake.unmap_size, 2 * PAGE);
	fake.unmapped = 0;
	assert_int_equal(vfio_device_dma_unmap(device, 0x100000, 2 * PAGE), -ENOENT);
	assert_error("nothing was mapped");
	fake.unmap_errno = EINVAL;
	assert_int_equal(vfio_device_dma_unmap(device, 0x100001, PAGE), -EINVAL);
}

static void
test_msix(void **state)
{
	static const int three[] = { 10, -1, 12 }, two[] = { 20, 21 }, other_two[] = { 30, 31 };

	(void)state;
	assert_int_equal(vfio_device_msix_count(device), FAKE_MAX_IRQS);
	/* Off to begin with: the kernel would refuse to switch it off. */
	assert_int_equal(vfio_device_set_msix(device, NULL, 0), 0);
	assert_int_equal(fake.irq_calls, 0);

	assert_int_equal(vfio_device_set_msix(device, three, 3), 0);
	assert_int_equal(fake.irq_index, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_int_equal(fake.irq_flags,
			 VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(fake.irq_start, 0);
	assert_int_equal(fake.irq_count, 3);
	assert_memory_equal(fake.irq_fds, three, sizeof(three));

	/* A smaller set must not leave the third vector routed. */
	assert_int_equal(vfio_device_set_msix(device, two, 2), 0);
	assert_int_equal(fake.msix_disables, 1);
	assert_int_equal(fake.irq_count, 2);
	/* Of the same size it replaces without an interruption. */
	assert_int_equal(vfio_device_set_msix(device, other_two, 2), 0);
	assert_int_equal(fake.msix_disables, 1);
	assert_memory_equal(fake.irq_fds, other_two, sizeof(other_two));

	assert_int_equal(vfio_device_set_msix(device, NULL, 0), 0);
	assert_int_equal(fake.msix_disables, 2);
	assert_int_equal(fake.irq_flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
}

static void
test_msix_refused(void **state)
{
	int fds[FAKE_MAX_IRQS + 1] = { 0 };

	(void)state;
	assert_int_equal(vfio_device_set_msix(device, fds, FAKE_MAX_IRQS + 1), -EINVAL);
	assert_error("9 MSI-X vectors asked for, it has 8");
	fake.irqs_errno = ENOMEM;
	assert_int_equal(vfio_device_set_msix(device, fds, 2), -ENOMEM);
	fake.irqs_errno = 0;
	assert_int_equal(vfio_device_set_msix(device, fds, 3), 0);
	/* What failed was not there to be switched off. */
	assert_int_equal(fake.msix_disables, 0);
}

static void
test_request_eventfd(void **state)
{
	(void)state;
	assert_int_equal(vfio_device_set_request_eventfd(device, 42), 0);
	assert_int_equal(fake.irq_index, VFIO_PCI_REQ_IRQ_INDEX);
	assert_int_equal(fake.irq_count, 1);
	assert_int_equal(fake.irq_fds[0], 42);
	assert_int_equal(vfio_device_set_request_eventfd(device, -1), 0);
	assert_int_equal(fake.irq_fds[0], -1);
	assert_int_equal(fake.irq_count, 1);
	fake.irqs_errno = EINVAL;
	assert_int_equal(vfio_device_set_request_eventfd(device, 42), -EINVAL);
	assert_error("device request");
}

static void
test_reset(void **state)
{
	struct vfio_device *fixed;

	(void)state;
	assert_int_equal(vfio_device_reset(device), 0);
	assert_int_equal(fake.resets, 1);

	fake.resettable = 0;
	assert_int_equal(vfio_device_open(BDF, &fixed), 0);
	assert_int_equal(vfio_device_reset(fixed), -ENOTTY);
	assert_error("no reset of its own");
	assert_int_equal(fake.resets, 1);
	vfio_device_close(fixed, 0);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(test_config_access),
		WITH_DEVICE(test_capabilities),
		WITH_DEVICE(test_longest_capability_list),
		WITH_DEVICE(test_bus_master),
		WITH_DEVICE(test_bars),
		WITH_DEVICE(test_bar_mapping_refused),
		WITH_DEVICE(test_dma),
		WITH_DEVICE(test_msix),
		WITH_DEVICE(test_msix_refused),
		WITH_DEVICE(test_request_eventfd),
		WITH_DEVICE(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
