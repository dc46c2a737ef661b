/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The control queue: each command reaches the device whole, in both layouts, past all wraps.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "fixture.h"
#include "virtio_lease_cvq.h"
#include "virtio_lease_virtio.h"

#define INDEX 12
#define REFUSED 1

int vlease_logtype;

/** What the device gets to see: the queue as it was enabled, and its doorbell. */
static struct vlease_pci_queue enabled;
static struct software_device device;

int
vlease_pci_doorbell_offset(struct vlease_pci *pci, uint16_t queue, uint64_t *offset)
{
	*offset = 0;
	return 0;
}

volatile uint16_t *
vlease_pci_doorbell(struct vlease_pci *pci, uint64_t offset)
{
	return &device.doorbell;
}

int
vlease_pci_queue_enable(struct vlease_pci *pci, const struct vlease_pci_queue *queue)
{
	enabled = *queue;
	if (mode->packed) {
		software_device_init_packed(&device, (void *)queue->desc_iova, queue->size);
		device.event = (void *)queue->device_iova;
	} else {
		software_device_init(&device, (void *)queue->desc_iova, queue->size);
		device.avail = (void *)queue->driver_iova;
		device.used = (void *)queue->device_iova;
	}
	device.in_order = mode->in_order;
	return 0;
}

/** A command as the device has read it. */
struct command {
	uint8_t class, command;
	uint8_t data[VLEASE_CVQ_DATA_SIZE];
	uint32_t length;
};

struct device_thread {
	pthread_t thread;
	bool stop;
	uint8_t answer;
	struct command got;
	unsigned int commands, places;
	bool wrong;
};

/** The i-th part of the buffer that was taken, which begins at a place of the ring. */
static void *
part(uint16_t place, unsigned int i, uint32_t *len, uint16_t *flags)
{
	const struct vlease_packed_desc *packed;
	const struct vlease_desc *desc;
	uint16_t at;

	if (mode->packed) {
		packed = &device.packed_desc[(place + i) & device.mask];
		*len = packed->len;
		*flags = packed->flags & (uint16_t)~VLEASE_PACKED_TURN;
		return (void *)packed->addr;
	}
	for (at = device.popped.id; i > 0; i--)
		at = device.desc[at & device.mask].next;
	desc = &device.desc[at & device.mask];
	*len = desc->len;
	*flags = desc->flags;
	return (void *)desc->addr;
}

static void
serve(struct device_thread *t)
{
	uint16_t place = device.avail_cons, flags[3];
	unsigned int i = 0, last;
	uint8_t *at[3];
	uint32_t len[3];

	/* In order, a chain begins where the last one has ended (2.7.9). */
	if (software_device_pop(&device) < 0 ||
	    (!mode->packed && device.popped.id != t->places % device.size)) {
		t->wrong = true;
		return;
	}
	/* With VIRTIO_F_EVENT_IDX, before it reads the command: it must not lie in the way. */
	software_device_want(&device, device.avail_cons);
	do
		at[i] = part(place, i, &len[i], &flags[i]);
	while (flags[i] == VLEASE_DESC_NEXT && ++i < 3);
	/* Header, data unless there is none (a descriptor of no length would be wrong), answer. */
	last = i;
	t->wrong |= last < 1 || last > 2 || len[0] != 2 || flags[last] != VLEASE_DESC_WRITE ||
		    len[last] != 1 ||
		    (last == 2 && (len[1] == 0 || len[1] > sizeof(t->got.data)));
	if (t->wrong)
		return;
	t->got.class = at[0][0];
	t->got.command = at[0][1];
	t->got.length = last == 2 ? len[1] : 0;
	memcpy(t->got.data, at[1], t->got.length);
	*at[last] = t->answer;
	t->commands++;
	t->places += last + 1;
	software_device_use(&device, device.popped.id, 1);
}

static void *
run_device(void *arg)
{
	struct device_thread *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		if (software_device_rung(&device))
			serve(t);
		sched_yield();
	}
	return NULL;
}

/** What a doorbell says: where the next command will be (2.9), if the features say so. */
static uint16_t
doorbell_data(const struct device_thread *t, uint64_t features)
{
	if ((features & VIRTIO_F_NOTIFICATION_DATA) == 0)
		return UINT16_MAX;
	if (!mode->packed)
		return t->commands;
	return t->places % device.size + (t->places / device.size % 2 ? 0 : 32768);
}

static void
commands_with(uint64_t features)
{
	struct device_thread t = { .answer = VIRTIO_NET_OK };
	static uint8_t data[VLEASE_CVQ_DATA_SIZE + 1];
	struct vlease_cvq cvq = { 0 };
	unsigned int i, length;

	features |= mode->features;
	assert_int_equal(vlease_cvq_create(&cvq, mode->name, SOCKET_ID_ANY), 0);
	assert_int_equal(vlease_cvq_command(&cvq, 0, 0, data, 1), -ENETDOWN);
	assert_int_equal(vlease_cvq_enable(&cvq, NULL, INDEX, features), 0);
	assert_int_equal(enabled.index, INDEX);
	assert_int_equal(enabled.desc_iova % 16, 0);
	assert_int_equal(enabled.driver_iova % 4, 0);
	assert_int_equal(enabled.device_iova % 4, 0);
	assert_int_equal(pthread_create(&t.thread, NULL, run_device, &t), 0);
	for (i = 0; i < 100; i++) {
		memset(data, i, sizeof(data));
		length = i == 99 ? VLEASE_CVQ_DATA_SIZE : i % 8;
		assert_int_equal(vlease_cvq_command(&cvq, i, i + 1, data, length), 0);
		assert_int_equal(t.got.class, i);
		assert_int_equal(t.got.command, i + 1);
		assert_int_equal(t.got.length, length);
		assert_memory_equal(t.got.data, data, length);
		assert_int_equal(device.rung_with, INDEX);
		assert_int_equal(device.rung_data, doorbell_data(&t, features));
	}
	assert_int_equal(vlease_cvq_command(&cvq, 1, 1, data, sizeof(data)), -E2BIG);
	t.answer = REFUSED;
	assert_int_equal(vlease_cvq_command(&cvq, 1, 1, data, 1), -EIO);
	/* After a reset it starts again. */
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(t.thread, NULL);
	assert_int_equal(t.commands, 101);
	t = (struct device_thread){ .answer = VIRTIO_NET_OK };
	assert_int_equal(vlease_cvq_enable(&cvq, NULL, INDEX, features), 0);
	assert_int_equal(pthread_create(&t.thread, NULL, run_device, &t), 0);
	assert_int_equal(vlease_cvq_command(&cvq, 1, 1, data, 1), 0);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(t.thread, NULL);
	assert_false(t.wrong);
	vlease_cvq_destroy(&cvq);
}

static void
commands_arrive_whole(void **state)
{
	commands_with(0);
	commands_with(VIRTIO_F_NOTIFICATION_DATA);
}

static void
no_answer_is_an_error(void **state)
{
	struct vlease_cvq cvq = { 0 };
	uint8_t data = 0;

	/* It takes its time, and is the same in all layouts. */
	if (mode->packed || mode->in_order)
		return;
	assert_int_equal(vlease_cvq_create(&cvq, mode->name, SOCKET_ID_ANY), 0);
	assert_int_equal(vlease_cvq_enable(&cvq, NULL, INDEX, mode->features), 0);
	assert_int_equal(vlease_cvq_command(&cvq, 1, 1, &data, 1), -ETIMEDOUT);
	/* A late answer is not taken for that to another command. */
	device.used->idx = RTE_LE16(1);
	assert_int_equal(vlease_cvq_command(&cvq, 1, 1, &data, 1), -ETIMEDOUT);
	vlease_cvq_destroy(&cvq);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_arrive_whole),
		cmocka_unit_test(no_answer_is_an_error),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
