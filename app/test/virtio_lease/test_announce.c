/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the device asks to have announced is sent, on a queue that nobody uses meanwhile, and
 * acknowledged.
 */
#include <errno.h>
#include <string.h>

#include <rte_arp.h>

#include "fake_lessor.h"
#include "fixture.h"
#include "virtio_lease.h"

#define QUEUES 3

int vlease_logtype;

static struct vlease_adapter adapter;
static struct vlease_process process;
static struct rte_eth_dev_data data;
static struct rte_eth_dev dev;

/** The first transmit queues; their leases, and whether a burst on one does not end. */
static struct tx tx[QUEUES];
static struct bar_lessor lessor;
static bool stuck[2 * QUEUES];
static uint16_t status;
static unsigned int acknowledged;

int
vlease_pci_config_read(struct vlease_pci *pci, size_t offset, void *to, size_t length)
{
	const rte_le16_t value = rte_cpu_to_le_16(status);

	assert_int_equal(offset, 6);
	assert_int_equal(length, sizeof(value));
	memcpy(to, &value, sizeof(value));
	return 0;
}

volatile uint16_t *
vlease_pci_doorbell(struct vlease_pci *pci, uint64_t offset)
{
	return &tx[offset].device.doorbell;
}

int
vlease_cvq_command(struct vlease_cvq *cvq, uint8_t class, uint8_t command, const void *bytes,
		   size_t length)
{
	assert_int_equal(class, 3);
	assert_int_equal(command, 0);
	assert_int_equal(length, 0);
	acknowledged++;
	return 0;
}

int
vlease_doorbell_init(void)
{
	return 0;
}

bool
vlease_doorbell_is_quiet(uint32_t slot)
{
	vlease_set_doorbell(slot, NULL);
	return !stuck[slot % VLEASE_MAX_VQS];
}

/** Whether the frame went out on a queue: whose address is where, as everybody is told. */
static bool
announced(struct tx *on)
{
	static const uint8_t start[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x80, 0x35,
	};
	uint8_t frame[128];
	long len = software_device_take(&on->device, frame, sizeof(frame));

	if (len < 0)
		return false;
	assert_in_range(len, RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN, sizeof(frame));
	assert_memory_equal(frame, start, sizeof(start));
	assert_true(software_device_rung(&on->device));
	software_device_complete(&on->device, 1);
	return true;
}

/** A queue that this process polls, or that somebody else has. */
static void
use(unsigned int index, enum bar_lease_state state)
{
	const uint32_t slot = vlease_doorbell_slot(PORT_ID, 2 * index + 1);

	lessor.slices[2 * index + 1].state = state;
	vlease_set_doorbell(slot, state == BAR_LEASE_TAKEN ? &tx[index].device.doorbell : NULL);
}

static void
expect_on(int index)
{
	const struct bar_lessor before = lessor;
	volatile uint16_t *doorbells[QUEUES];
	int i;

	for (i = 0; i < QUEUES; i++)
		doorbells[i] = vlease_doorbell(vlease_doorbell_slot(PORT_ID, 2 * i + 1));
	acknowledged = 0;
	vlease_announce(&dev);
	assert_int_equal(acknowledged, 1);
	for (i = 0; i < QUEUES; i++) {
		assert_int_equal(announced(&tx[i]), i == index);
		assert_ptr_equal(vlease_doorbell(vlease_doorbell_slot(PORT_ID, 2 * i + 1)),
				 doorbells[i]);
	}
	/* Who had a queue has it again. */
	assert_memory_equal(&before, &lessor, sizeof(before));
}

static void
an_announcement_takes_a_queue_that_is_not_leased(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, 512);
	static void *queues[QUEUES];
	unsigned int i;

	for (i = 0; i < QUEUES; i++) {
		make_tx_with(&tx[i], 32, VIRTIO_NET_F_HASH_REPORT, 0);
		queues[i] = tx[i].q;
		process.doorbell_offset[2 * i + 1] = i;
		use(i, BAR_LEASE_FREE);
	}
	process.adapter = &adapter;
	process.lessor = &lessor;
	process.queues[0].pool = pool.mempool;
	process.started = true;
	adapter.features = VIRTIO_NET_F_GUEST_ANNOUNCE;
	adapter.macs[0] = (struct rte_ether_addr){{ 2, 0, 0, 0, 0, 9 }};
	data = (struct rte_eth_dev_data){
		.port_id = PORT_ID, .mac_addrs = adapter.macs, .nb_rx_queues = 1,
		.nb_tx_queues = QUEUES, .tx_queues = queues,
	};
	dev.data = &data;
	dev.process_private = &process;

	acknowledged = 0;
	status = VIRTIO_NET_S_LINK_UP;
	vlease_announce(&dev);
	status |= VIRTIO_NET_S_ANNOUNCE;
	process.started = false;
	vlease_announce(&dev);
	assert_int_equal(acknowledged, 0);
	process.started = true;
	adapter.features = ~VIRTIO_NET_F_GUEST_ANNOUNCE;
	vlease_announce(&dev);
	assert_int_equal(acknowledged, 0);
	adapter.features = VIRTIO_NET_F_GUEST_ANNOUNCE;

	expect_on(0);
	use(0, BAR_LEASE_TAKEN);	/* polled here */
	expect_on(0);
	stuck[1] = true;
	expect_on(1);
	use(1, BAR_LEASE_LEASED);
	expect_on(2);
	use(2, BAR_LEASE_LEASED);
	expect_on(-1);
	stuck[1] = false;
	tx[0].q->broken = VLEASE_BROKEN_USED_ID;
	expect_on(-1);
	for (i = 0; i < QUEUES; i++) {
		vlease_txq_complete(tx[i].q);
		use(i, BAR_LEASE_FREE);
		free_tx(&tx[i]);
	}
	assert_conserved(&pool);
	free_pool(&pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_announcement_takes_a_queue_that_is_not_leased),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
