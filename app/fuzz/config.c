/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Fuzzes the PCI transport and the control queue, over the made-up machine of the tests of
 * lib/vfio_device. An input says what is wrong with the capabilities of a device, which of its
 * registers lie and how often, and what the driver then does with it. Whatever the device says:
 * every access is to a structure that fits its BAR, and every call ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "eal.h"
#include "fake_machine.h"
#include "input.h"
#include "registers.h"
#include "target.h"
#include "virtio_lease_cvq.h"
#include "virtio_lease_pci.h"

#define BDF "0000:03:00.0"
#define BAR 4
#define PAGE 0x1000

/* Of the common structure, VIRTIO 1.2, 4.1.4.3; the honest device has it at the BAR's start. */
#define QUEUE_SIZE 0x18
#define QUEUE_RESET 0x3a

/** What the slowest call may wait for, and how often one may look at registers. */
#define MAX_WAIT_US 4000000
#define MAX_READS 1000000

int vlease_logtype;

static struct input input;
static struct vlease_pci pci;
static struct vlease_cvq cvq;
static uint64_t features;

/** The file that the device's config space and BAR are. */
static uint8_t *config_space, *bar;

/** A register that lies. */
static struct lie {
	uint16_t at;
	uint8_t after;	/**< so many honest answers */
	enum { ONCE, ALWAYS, MORE_EACH_TIME, KINDS } kind;
	uint32_t value;
} lies[8];
static unsigned int n_lies;

static uint64_t waited, reads;

/* ---- Registers ---- */

static size_t
offset_in_bar(const volatile void *reg, unsigned int bytes)
{
	size_t at = (uintptr_t)reg - (uintptr_t)pci.bars[BAR];

	require(pci.bars[BAR] != NULL && at < FAKE_BAR_SIZE && bytes <= FAKE_BAR_SIZE - at,
		"a register is in the BAR");
	require(at % bytes == 0, "a register is aligned");
	return at;
}

uint32_t
register_read(const volatile void *reg, unsigned int bytes)
{
	size_t at = offset_in_bar(reg, bytes);
	uint32_t value = 0;
	struct lie *lie;

	require(++reads < MAX_READS, "a call looks at registers without end");
	for (lie = lies; lie < lies + n_lies; lie++) {
		if (lie->at != at)
			continue;
		if (lie->after > 0) {
			lie->after--;
			continue;
		}
		if (lie->kind == ONCE)
			lie->at = UINT16_MAX;
		return lie->kind == MORE_EACH_TIME ? lie->value++ : lie->value;
	}
	memcpy(&value, bar + at, bytes);
	return value;
}

/** Of an honest device, resets end at once. */
void
register_write(uint32_t value, volatile void *reg, unsigned int bytes)
{
	size_t at = offset_in_bar(reg, bytes);

	if (at == QUEUE_RESET)
		value = 0;
	memcpy(bar + at, &value, bytes);
}

/** While the driver waits, the device may write to the control queue. */
void
register_wait(unsigned int us)
{
	uint64_t at, value;

	waited += us;
	require(waited < MAX_WAIT_US, "a call waits without end");
	if (input_left(&input) == 0)
		return;
	at = take(&input, 2) % cvq.zone->len;
	value = take(&input, 2);
	memcpy((uint8_t *)cvq.zone->addr + at, &value, RTE_MIN(cvq.zone->len - at, 2u));
}

/* ---- The device ---- */

static void
put_structure(uint8_t at, uint8_t next, uint8_t type, uint32_t offset, uint32_t size)
{
	uint8_t cap[8] = { 0x09, next, 20, type, BAR };
	uint32_t place[3] = { offset, size, PAGE };

	memcpy(config_space + at, cap, sizeof(cap));
	memcpy(config_space + at + sizeof(cap), place, sizeof(place));
}

static void
put_device(void)
{
	const uint16_t queue_size = 256;
	unsigned int n, at;

	memset(config_space, 0, 0x100);
	config_space[0x06] = 0x10;
	config_space[0x34] = 0x40;
	put_structure(0x40, 0x60, 1, 0, 0x40);
	put_structure(0x60, 0x80, 4, 0x800, 0x100);
	put_structure(0x80, 0, 2, PAGE, 3 * PAGE);
	for (n = take_below(&input, 16); n > 0; n--) {
		at = take(&input, 1);
		config_space[at] = take(&input, 1);
	}
	memset(bar, 0, FAKE_BAR_SIZE);
	memcpy(bar + QUEUE_SIZE, &queue_size, sizeof(queue_size));
	for (n_lies = take_below(&input, RTE_DIM(lies) + 1), n = 0; n < n_lies; n++) {
		at = take(&input, 1);
		lies[n].at = at < 0x80 ? at & 0x3f : 0x800 + (at & 0x7f);
		lies[n].after = take(&input, 1);
		lies[n].kind = take_below(&input, KINDS);
		lies[n].value = take(&input, 4);
	}
}

/* ---- What the driver does with it ---- */

static void
reset(void)
{
	vlease_pci_reset(&pci);
}

static void
negotiate(void)
{
	vlease_pci_device_features(&pci);
	features = take(&input, 8);
	vlease_pci_negotiate(&pci, features);
}

static void
read_config(void)
{
	size_t offset = take(&input, 2), length = take(&input, 1);
	uint8_t *data = malloc(length + 1);

	require(data != NULL, "memory");
	vlease_pci_config_read(&pci, offset, data, length);
	free(data);
}

static void
use_queue(void)
{
	struct vlease_pci_queue queue = { .index = take(&input, 1), .size = 256 };
	uint16_t most = vlease_pci_max_queue_size(&pci, queue.index);

	require(most <= 32768, "a queue is no larger than one can be");
	vlease_pci_queue_enable(&pci, &queue);
	vlease_pci_queue_reset(&pci, queue.index);
}

static void
ring(void)
{
	uint64_t offset;

	if (vlease_pci_doorbell_offset(&pci, take(&input, 1), &offset) != 0)
		return;
	require(offset <= FAKE_BAR_SIZE - sizeof(uint16_t), "a doorbell is in the BAR");
	*vlease_pci_doorbell(&pci, offset) = 1;
}

static void
check_doorbells(void)
{
	uint16_t queues = take_below(&input, 8), i;
	uint64_t offset[8];

	if (vlease_pci_check_doorbell_pages(&pci, queues) != 0)
		return;
	for (i = 0; i < queues; i++)
		if (vlease_pci_doorbell_offset(&pci, i, &offset[i]) == 0)
			require(offset[i] < FAKE_BAR_SIZE, "a doorbell is in the BAR");
}

static void
enable_control_queue(void)
{
	vlease_cvq_enable(&cvq, &pci, 1 + take_below(&input, 3), features);
}

static void
command(void)
{
	static const uint8_t data[VLEASE_CVQ_DATA_SIZE + 1];
	size_t length = take(&input, 2) % (sizeof(data) + 1);

	vlease_cvq_command(&cvq, 1, 2, data, length);
}

static void
use_device(void)
{
	static void (* const steps[])(void) = {
		reset, negotiate, read_config, use_queue, ring, check_doorbells,
		enable_control_queue, command,
	};

	while (input_left(&input) > 0) {
		waited = 0;
		reads = 0;
		steps[take_below(&input, RTE_DIM(steps))]();
	}
}

/* ---- An input ---- */

static void
remove_machine(void)
{
	fake_machine_teardown(NULL);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	start_eal((*argv)[0]);
	require(fake_machine_setup(NULL) == 0, "a machine");
	atexit(remove_machine);
	fake_device(BDF, "dmabuf-vfio-pci", 7);
	fake_register_vfio(BDF);
	fake_file("dev/vfio/7", "");
	config_space = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fake.device_file,
			    FAKE_CONFIG_OFFSET);
	bar = mmap(NULL, FAKE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fake.device_file,
		   FAKE_BAR_OFFSET);
	require(config_space != MAP_FAILED && bar != MAP_FAILED, "the device's memory");
	require(vlease_cvq_create(&cvq, BDF, SOCKET_ID_ANY) == 0, "a control queue");
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, data + size };
	features = 0;
	waited = 0;
	reads = 0;
	put_device();
	if (vlease_pci_open(&pci, BDF) == 0) {
		use_device();
		vlease_cvq_disable(&cvq);
		vlease_pci_close(&pci);
	}
	return 0;
}
