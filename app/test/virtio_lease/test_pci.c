/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The PCI transport over a device that lies about where its structures are, changes them while
 * they are read, does not finish what it was told to do, or is not there any more.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_log.h>

#include "fake_machine.h"
#include "registers.h"
#include "virtio_lease_pci.h"
#include "virtio_lease_virtio.h"

#define BDF "0000:03:00.0"
#define BAR 4
#define QUEUES 3
#define QUEUE_SIZE 256

/* Where the structures are in the BAR; the pages behind are the doorbells. */
#define COMMON 0
#define CONFIG 0x800
#define NOTIFY 0x1000

/* Registers of the common structure, VIRTIO 1.2, 4.1.4.3. */
#define CONFIG_VECTOR 0x10
#define NUM_QUEUES 0x12
#define STATUS 0x14
#define GENERATION 0x15
#define SELECT 0x16
#define SIZE 0x18
#define VECTOR 0x1a
#define ENABLE 0x1c
#define NOTIFY_OFF 0x1e
#define RESET 0x3a

int vlease_logtype;

static struct vlease_pci pci;

/** What is wrong with the device. */
static struct {
	bool gone;
	bool keeps_status;		/* a reset does not end */
	bool keeps_reset, keeps_enable;	/* nor that of a queue */
	bool refuses;			/* features */
	unsigned int changes;		/* of the configuration, one with each byte read */
	uint16_t size;			/* of each queue */
	uint16_t notify_step;		/* of queue_notify_off, from queue to queue */
} device;

static uint64_t waited;

/* ---- Its registers: memory, but for these ---- */

static unsigned int
offset_of(const volatile void *reg)
{
	return (const volatile uint8_t *)reg - (const volatile uint8_t *)pci.bars[BAR];
}

static uint8_t *
memory(unsigned int at)
{
	return (uint8_t *)pci.bars[BAR] + at;
}

uint32_t
register_read(const volatile void *reg, unsigned int bytes)
{
	unsigned int at = offset_of(reg);
	uint32_t value = 0;

	assert_int_equal(at % bytes, 0);
	memcpy(&value, memory(at), bytes);
	if (device.gone)
		return UINT32_MAX;
	switch (at) {
	case NOTIFY_OFF:
		return *(uint16_t *)memory(SELECT) * device.notify_step;
	case SIZE:
		return *(uint16_t *)memory(SELECT) < QUEUES ? device.size : 0;
	default:
		break;
	}
	if (at >= CONFIG && at < NOTIFY && device.changes > 0) {
		device.changes--;
		++*memory(GENERATION);
		++*memory(at);
	}
	return value;
}

void
register_write(uint32_t value, volatile void *reg, unsigned int bytes)
{
	unsigned int at = offset_of(reg);

	assert_int_equal(at % bytes, 0);
	if (device.gone || (at == STATUS && value == 0 && device.keeps_status))
		return;
	if (at == STATUS && device.refuses)
		value &= ~VIRTIO_STATUS_FEATURES_OK;
	memcpy(memory(at), &value, bytes);
	if (at == RESET) {
		*memory(RESET) = device.keeps_reset;
		*memory(ENABLE) = device.keeps_enable;
	}
}

void
register_wait(unsigned int us)
{
	waited += us;
}

/* ---- Its capabilities ---- */

static void
put_structure(uint8_t at, uint8_t next, uint8_t type, uint32_t offset, uint32_t size)
{
	uint8_t cap[8] = { PCI_CAP_ID_VENDOR, next, 20, type, BAR };
	uint32_t place[3] = { offset, size, 4096 };

	fake_config(at, cap, sizeof(cap));
	fake_config(at + sizeof(cap), place, sizeof(place));
}

#define COMMON_CAP 0x40
#define CONFIG_CAP 0x60
#define NOTIFY_CAP 0x80

/** A device that works. */
static void
put_device(void)
{
	static const uint8_t nothing[0x100];

	memset(&device, 0, sizeof(device));
	device.size = QUEUE_SIZE;
	device.notify_step = 1;
	waited = 0;
	fake_config(0, nothing, sizeof(nothing));
	assert_int_equal(pwrite(fake.device_file, nothing, sizeof(nothing), FAKE_BAR_OFFSET),
			 sizeof(nothing));
	fake_config_byte(0x06, 0x10);
	fake_config_byte(0x34, COMMON_CAP);
	put_structure(COMMON_CAP, CONFIG_CAP, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, 0x40);
	put_structure(CONFIG_CAP, NOTIFY_CAP, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG, 0x100);
	put_structure(NOTIFY_CAP, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, QUEUES * 0x1000);
}

static int
open_device(void **state)
{
	put_device();
	return vlease_pci_open(&pci, BDF);
}

static int
close_device(void **state)
{
	vlease_pci_close(&pci);
	return 0;
}

/** The device as it is now cannot be opened. */
static void
assert_refused(int error)
{
	assert_int_equal(vlease_pci_open(&pci, BDF), error);
	assert_null(pci.device);
	put_device();
}

/* ---- Tests ---- */

static void
a_device_works(void **state)
{
	struct vlease_pci_queue queue = { .index = 1, .size = QUEUE_SIZE };
	uint64_t offset;

	assert_int_equal(vlease_pci_reset(&pci), 0);
	assert_int_equal(vlease_pci_negotiate(&pci, VIRTIO_F_VERSION_1), 0);
	assert_int_equal(vlease_pci_max_queue_size(&pci, 1), QUEUE_SIZE);
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), 0);
	assert_int_equal(vlease_pci_queue_reset(&pci, 1), 0);
	assert_int_equal(vlease_pci_check_doorbell_pages(&pci, QUEUES), 0);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 2, &offset), 0);
	assert_int_equal(offset, NOTIFY + 2 * 0x1000);
	assert_int_equal(waited, 0);
}

static void
structures_must_be_in_their_bar(void **state)
{
	static const struct {
		uint32_t offset, size;
	} lies[] = {
		{ COMMON, 0x3b }, { FAKE_BAR_SIZE, 0x40 }, { FAKE_BAR_SIZE - 0x20, 0x40 },
		{ UINT32_MAX - 3, 0x40 }, { 4, UINT32_MAX }, { 2, 0x40 }, { 1, 0x40 },
	};
	unsigned int i;

	put_device();
	for (i = 0; i < RTE_DIM(lies); i++) {
		put_structure(COMMON_CAP, CONFIG_CAP, VIRTIO_PCI_CAP_COMMON_CFG, lies[i].offset,
			      lies[i].size);
		assert_refused(-ENODEV);
	}
	put_structure(CONFIG_CAP, NOTIFY_CAP, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG, 8);
	assert_refused(-ENODEV);
	put_structure(NOTIFY_CAP, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, 1);
	assert_refused(-ENODEV);
	put_structure(NOTIFY_CAP, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY + 1, 0x1000);
	assert_refused(-ENODEV);
	/* Reserved, and absent. */
	fake_config_byte(COMMON_CAP + 4, 6);
	assert_refused(-ENODEV);
	fake_config_byte(COMMON_CAP + 4, 255);
	assert_refused(-ENODEV);
	fake_config_byte(COMMON_CAP + 4, 1);
	assert_refused(-ENODEV);
}

static void
the_first_structure_that_can_be_used_counts(void **state)
{
	uint64_t offset;

	put_device();
	put_structure(COMMON_CAP, 0xa0, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, 0x40);
	put_structure(0xa0, CONFIG_CAP, VIRTIO_PCI_CAP_COMMON_CFG, 0x400, 0x40);
	put_structure(NOTIFY_CAP, 0xc0, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR_SIZE, 0x1000);
	put_structure(0xc0, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, QUEUES * 0x1000);
	assert_int_equal(vlease_pci_open(&pci, BDF), 0);
	assert_ptr_equal(pci.common, pci.bars[BAR]);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 0, &offset), 0);
	assert_int_equal(offset, NOTIFY);
	vlease_pci_close(&pci);
}

static void
a_list_that_does_not_end_is_refused(void **state)
{
	put_device();
	fake_config_byte(NOTIFY_CAP + 1, COMMON_CAP);
	assert_refused(-ELOOP);
	fake_config_byte(COMMON_CAP + 1, COMMON_CAP);
	assert_refused(-ELOOP);
}

static void
configuration_is_read_whole(void **state)
{
	uint8_t data[6];

	/* All of the first two times, and of the third time the beginning. */
	memcpy(memory(CONFIG), "abcdef", 6);
	device.changes = 15;
	assert_int_equal(vlease_pci_config_read(&pci, 0, data, sizeof(data)), 0);
	assert_int_equal(device.changes, 0);
	assert_memory_equal(data, "deffgh", 6);

	device.changes = UINT32_MAX;
	assert_int_equal(vlease_pci_config_read(&pci, 0, data, sizeof(data)), -EAGAIN);
}

static void
what_the_configuration_lacks_is_zero(void **state)
{
	uint8_t data[4] = { 1, 1, 1, 1 };

	memory(CONFIG)[0xff] = 7;
	memory(CONFIG)[0x100] = 7;
	assert_int_equal(vlease_pci_config_read(&pci, 0xff, data, sizeof(data)), 0);
	assert_memory_equal(data, "\7\0\0\0", sizeof(data));
}

static void
registers_are_read_as_they_are(void **state)
{
	uint32_t regs[VLEASE_PCI_COMMON_REGS], queue[VLEASE_PCI_QUEUE_REGS];

	*memory(STATUS) = VIRTIO_STATUS_DRIVER_OK;
	*memory(GENERATION) = 9;
	*memory(NUM_QUEUES) = QUEUES;
	*memory(CONFIG_VECTOR) = 2;
	*memory(ENABLE) = 1;
	*memory(VECTOR) = 5;
	assert_int_equal(vlease_pci_read_common(&pci, regs), 0);
	assert_int_equal(regs[0], VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(regs[1], 9);
	assert_int_equal(regs[2], QUEUES);
	assert_int_equal(regs[3], 2);
	vlease_pci_read_queue(&pci, 1, queue);
	assert_int_equal(*memory(SELECT), 1);
	assert_int_equal(queue[0], QUEUE_SIZE);
	assert_int_equal(queue[1], 1);
	assert_int_equal(queue[2], 5);
	vlease_pci_read_queue(&pci, QUEUES, queue);
	assert_int_equal(queue[0], 0);
	device.gone = true;
	assert_int_equal(vlease_pci_read_common(&pci, regs), -ENODEV);
}

static void
a_device_that_is_gone_is_an_error(void **state)
{
	struct vlease_pci_queue queue = { .index = 1, .size = QUEUE_SIZE };
	uint64_t offset;
	uint8_t data;

	device.gone = true;
	assert_int_equal(vlease_pci_reset(&pci), -ENODEV);
	assert_int_equal(vlease_pci_negotiate(&pci, VIRTIO_F_VERSION_1), -ENODEV);
	assert_int_equal(vlease_pci_config_read(&pci, 0, &data, 1), -ENODEV);
	assert_int_equal(vlease_pci_max_queue_size(&pci, 0), 0);
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), -ENODEV);
	assert_int_equal(vlease_pci_queue_reset(&pci, 1), -ENODEV);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 0, &offset), -ERANGE);
	assert_int_equal(vlease_pci_check_doorbell_pages(&pci, QUEUES), -ERANGE);
	/* Nobody waits for it. */
	assert_int_equal(waited, 0);
}

static void
a_device_that_is_gone_cannot_be_opened(void **state)
{
	static const uint8_t ones[0x100] = { [0 ... 0xff] = 0xff };

	put_device();
	device.gone = true;
	assert_refused(-ENODEV);
	fake_config(0, ones, sizeof(ones));
	assert_refused(-ELOOP);
}

static void
a_reset_must_end(void **state)
{
	*memory(STATUS) = VIRTIO_STATUS_DRIVER_OK;
	device.keeps_status = true;
	assert_int_equal(vlease_pci_reset(&pci), -ETIMEDOUT);
	assert_in_range(waited, 1000000, 2000000);
}

static void
the_reset_of_a_queue_must_end(void **state)
{
	device.keeps_reset = true;
	assert_int_equal(vlease_pci_queue_reset(&pci, 1), -ETIMEDOUT);
	assert_in_range(waited, 1000000, 2000000);
	device.keeps_reset = false;
	device.keeps_enable = true;
	assert_int_equal(vlease_pci_queue_reset(&pci, 1), -ETIMEDOUT);
	assert_in_range(waited, 2000000, 4000000);
	device.keeps_enable = false;
	assert_int_equal(vlease_pci_queue_reset(&pci, 1), 0);
}

static void
features_can_be_refused(void **state)
{
	device.refuses = true;
	assert_int_equal(vlease_pci_negotiate(&pci, VIRTIO_F_VERSION_1), -ENOTSUP);
}

static void
queues_must_be_large_enough(void **state)
{
	struct vlease_pci_queue queue = { .index = 0, .size = QUEUE_SIZE };

	device.size = 32769;
	assert_int_equal(vlease_pci_max_queue_size(&pci, 0), 0);
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), -ENODEV);
	/* It was larger when it was set up. */
	device.size = QUEUE_SIZE / 2;
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), -ENODEV);
	device.size = 0;
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), -ENODEV);
	assert_int_equal(*memory(ENABLE), 0);
	device.size = 32768;
	assert_int_equal(vlease_pci_max_queue_size(&pci, 0), 32768);
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), 0);
	assert_int_equal(*memory(ENABLE), 1);
	queue.index = QUEUES;
	assert_int_equal(vlease_pci_queue_enable(&pci, &queue), -ENODEV);
}

static void
doorbells_must_have_their_pages(void **state)
{
	uint64_t offset;

	device.notify_step = 0;
	assert_int_equal(vlease_pci_check_doorbell_pages(&pci, QUEUES), -ENOTSUP);
	device.notify_step = 1;
	pci.notify_multiplier = 4;
	assert_int_equal(vlease_pci_check_doorbell_pages(&pci, QUEUES), -ENOTSUP);
	pci.notify_multiplier = 1;
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), -ERANGE);
	pci.notify_multiplier = 0x2000;
	assert_int_equal(vlease_pci_check_doorbell_pages(&pci, QUEUES), -ERANGE);
	pci.notify_multiplier = UINT32_MAX - 1;
	device.notify_step = UINT16_MAX;
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), -ERANGE);
}

/** With VIRTIO_F_NOTIFICATION_DATA a doorbell has four bytes, else two (4.1.4.4.1). */
static void
doorbells_with_data_need_more_room(void **state)
{
	const uint64_t data = VIRTIO_F_VERSION_1 | VIRTIO_F_NOTIFICATION_DATA;
	uint64_t offset;

	pci.notify_multiplier = 2;
	pci.notify_length = 6;
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), 0);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 2, &offset), 0);
	assert_int_equal(vlease_pci_negotiate(&pci, data), 0);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 0, &offset), 0);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), -ERANGE);
	pci.notify_multiplier = 4;
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), -ERANGE);
	pci.notify_length = 8;
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), 0);
	pci.notify_offset += 2;
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), -ERANGE);
	assert_int_equal(vlease_pci_negotiate(&pci, VIRTIO_F_VERSION_1), 0);
	assert_int_equal(vlease_pci_doorbell_offset(&pci, 1, &offset), 0);
}

static int
setup_machine(void **state)
{
	if (fake_machine_setup(state) != 0)
		return -1;
	fake_device(BDF, "dmabuf-vfio-pci", 7);
	fake_register_vfio(BDF);
	fake_file("dev/vfio/7", "");
	rte_log_set_global_level(RTE_LOG_EMERG);
	return 0;
}

#define with_device(test) cmocka_unit_test_setup_teardown(test, open_device, close_device)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_device(a_device_works),
		with_device(configuration_is_read_whole),
		with_device(what_the_configuration_lacks_is_zero),
		with_device(registers_are_read_as_they_are),
		with_device(a_device_that_is_gone_is_an_error),
		with_device(a_reset_must_end),
		with_device(the_reset_of_a_queue_must_end),
		with_device(features_can_be_refused),
		with_device(queues_must_be_large_enough),
		with_device(doorbells_must_have_their_pages),
		with_device(doorbells_with_data_need_more_room),
		cmocka_unit_test(structures_must_be_in_their_bar),
		cmocka_unit_test(the_first_structure_that_can_be_used_counts),
		cmocka_unit_test(a_list_that_does_not_end_is_refused),
		cmocka_unit_test(a_device_that_is_gone_cannot_be_opened),
	};

	return cmocka_run_group_tests_name("pci", tests, setup_machine, fake_machine_teardown);
}
