/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the device is told: the bytes of each control command, what a stop does not lose, and that
 * what it refuses is not remembered.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_lessor.h"
#include "virtio_lease.h"
#include "virtio_lease_rx_vector.h"

#define MAX_COMMANDS 5000

int vlease_logtype;
struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS];

static struct vlease_adapter adapter;
static struct vlease_process process;
static struct rte_eth_dev_data data;
static struct rte_eth_dev dev;

/** What the device has been told, and how it answers. */
static struct {
	uint8_t class, code;
	size_t length;
	uint8_t data[VLEASE_CVQ_DATA_SIZE];
} told[MAX_COMMANDS];
static unsigned int n_told, n_bursts, n_notices;
static int answer;

int
vlease_cvq_command(struct vlease_cvq *cvq, uint8_t class, uint8_t code, const void *bytes,
		   size_t length)
{
	assert_ptr_equal(cvq, &process.cvq);
	assert_true(length > 0 && length <= VLEASE_CVQ_DATA_SIZE && n_told < MAX_COMMANDS);
	if (answer == -ENETDOWN)
		return answer;
	told[n_told].class = class;
	told[n_told].code = code;
	told[n_told].length = length;
	memcpy(told[n_told++].data, bytes, length);
	return answer;
}

static bool strips;

void
vlease_rxq_strip_vlan(struct vlease_rxq *q, bool on)
{
	strips = on;
}

void
vlease_set_bursts(struct rte_eth_dev *the)
{
	assert_ptr_equal(the, &dev);
	n_bursts++;
}

void
vlease_lessor_notify_bursts(struct vlease_process *the)
{
	assert_ptr_equal(the, &process);
	n_notices++;
}

static int
setup(void **state)
{
	memset(&adapter, 0, sizeof(adapter));
	memset(&data, 0, sizeof(data));
	adapter.features = UINT64_MAX;
	adapter.usable = UINT64_MAX;
	process.adapter = &adapter;
	data.dev_private = &adapter;
	data.mac_addrs = adapter.macs;
	dev.data = &data;
	dev.process_private = &process;
	n_told = 0;
	n_bursts = 0;
	n_notices = 0;
	answer = 0;
	return 0;
}

static void
expect(unsigned int n, uint8_t class, uint8_t code, const void *bytes, size_t length)
{
	assert_true(n < n_told);
	assert_int_equal(told[n].class, class);
	assert_int_equal(told[n].code, code);
	assert_int_equal(told[n].length, length);
	assert_memory_equal(told[n].data, bytes, length);
}

static void
modes(void **state)
{
	assert_int_equal(vlease_promiscuous_enable(&dev), 0);
	assert_int_equal(vlease_promiscuous_disable(&dev), 0);
	assert_int_equal(vlease_allmulticast_enable(&dev), 0);
	assert_int_equal(vlease_allmulticast_disable(&dev), 0);
	expect(0, 0, 0, "\1", 1);
	expect(1, 0, 0, "\0", 1);
	expect(2, 0, 1, "\1", 1);
	expect(3, 0, 1, "\0", 1);
	answer = -EIO;
	assert_int_equal(vlease_promiscuous_enable(&dev), -EIO);
	answer = -ENETDOWN;
	assert_int_equal(vlease_promiscuous_enable(&dev), 0);
	adapter.features = ~VIRTIO_NET_F_CTRL_RX;
	assert_int_equal(vlease_promiscuous_enable(&dev), -ENOTSUP);
}

static void
addresses(void **state)
{
	struct rte_ether_addr one = {{ 2, 0, 0, 0, 0, 1 }}, other = {{ 2, 0, 0, 0, 0, 2 }};
	struct rte_ether_addr group = {{ 1, 0, 0x5e, 0, 0, 9 }};

	assert_int_equal(vlease_mac_addr_set(&dev, &one), 0);
	expect(0, 1, 1, "\2\0\0\0\0\1", 6);
	assert_int_equal(vlease_mac_addr_add(&dev, &one, 1, 0), 0);
	expect(1, 1, 0, "\1\0\0\0\2\0\0\0\0\1\0\0\0\0", 14);
	assert_int_equal(vlease_mac_addr_add(&dev, &group, 7, 0), 0);
	expect(2, 1, 0, "\1\0\0\0\2\0\0\0\0\1\1\0\0\0\1\0\x5e\0\0\11", 20);
	assert_int_equal(vlease_set_mc_addr_list(&dev, &group, 1), 0);
	expect(3, 1, 0, "\1\0\0\0\2\0\0\0\0\1\2\0\0\0\1\0\x5e\0\0\11\1\0\x5e\0\0\11", 26);
	vlease_mac_addr_remove(&dev, 7);
	expect(4, 1, 0, "\1\0\0\0\2\0\0\0\0\1\1\0\0\0\1\0\x5e\0\0\11", 20);
	assert_int_equal(vlease_set_mc_addr_list(&dev, NULL, 0), 0);
	vlease_mac_addr_remove(&dev, 1);
	expect(6, 1, 0, "\0\0\0\0\0\0\0\0", 8);

	answer = -EIO;
	assert_int_equal(vlease_mac_addr_add(&dev, &other, 1, 0), -EIO);
	assert_true(rte_is_zero_ether_addr(&adapter.macs[1]));
	assert_int_equal(vlease_set_mc_addr_list(&dev, &one, 1), -EINVAL);
	assert_int_equal(vlease_set_mc_addr_list(&dev, &group, VLEASE_MAX_MULTICAST + 1), -ENOSPC);
}

/** A device that cannot change its address is not asked for the one that it has. */
static void
own_address(void **state)
{
	struct rte_ether_addr own = {{ 2, 0, 0, 0, 0, 1 }}, other = {{ 2, 0, 0, 0, 0, 2 }};

	adapter.features = ~VIRTIO_NET_F_CTRL_MAC_ADDR;
	adapter.device_mac = own;
	assert_int_equal(vlease_mac_addr_set(&dev, &own), 0);
	assert_int_equal(vlease_mac_addr_set(&dev, &other), -ENOTSUP);
	assert_int_equal(n_told, 0);
}

static void
full_tables_fit(void **state)
{
	struct rte_ether_addr list[VLEASE_MAX_MULTICAST];
	unsigned int i;

	memset(adapter.macs, 2, sizeof(adapter.macs));
	for (i = 0; i < VLEASE_MAX_MULTICAST; i++)
		memset(&list[i], 1, sizeof(list[i]));
	assert_int_equal(vlease_set_mc_addr_list(&dev, list, VLEASE_MAX_MULTICAST), 0);
	assert_int_equal(told[0].length,
			 8 + 6 * (VLEASE_MAX_MACS - 1 + VLEASE_MAX_MULTICAST));
}

static void
vlans(void **state)
{
	struct vlease_rxq q;
	void *queues[] = { &q };
	unsigned int i;

	data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
	assert_int_equal(vlease_vlan_filter_set(&dev, 0x123, 1), 0);
	assert_int_equal(vlease_vlan_filter_set(&dev, 0x123, 0), 0);
	expect(0, 2, 0, "\x23\1", 2);
	expect(1, 2, 1, "\x23\1", 2);

	/* After a start only those that were added, one command each. */
	data.vlan_filter_conf.ids[0x123 / 64] = RTE_BIT64(0x123 % 64);
	n_told = 0;
	assert_int_equal(vlease_rxmode_replay(&dev), 0);
	assert_int_equal(n_told, 1);
	expect(0, 2, 0, "\x23\1", 2);

	/* The filter off, all of them pass; on again, only that one. */
	n_told = 0;
	data.dev_conf.rxmode.offloads = 0;
	assert_int_equal(vlease_vlan_offload_set(&dev, RTE_ETH_VLAN_FILTER_MASK), 0);
	assert_int_equal(n_told, 4096);
	for (i = 0; i < n_told; i++)
		assert_int_equal(told[i].code, 0);
	n_told = 0;
	data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
	assert_int_equal(vlease_vlan_offload_set(&dev, RTE_ETH_VLAN_FILTER_MASK), 0);
	assert_int_equal(n_told, 4096);
	for (i = 0; i < n_told; i++)
		assert_int_equal(told[i].code, i == 0x123 ? 0 : 1);

	adapter.features = ~VIRTIO_NET_F_CTRL_VLAN;
	assert_int_equal(vlease_vlan_offload_set(&dev, RTE_ETH_VLAN_FILTER_MASK), -ENOTSUP);
	assert_int_equal(n_bursts, 0);
	data.rx_queues = queues;
	data.nb_rx_queues = 1;
	data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	assert_int_equal(vlease_vlan_offload_set(&dev, RTE_ETH_VLAN_STRIP_MASK), 0);
	assert_int_equal(n_bursts, 1);
	assert_int_equal(n_notices, 1);
	assert_true(strips);
	assert_int_equal(process.queues[0].offloads, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	data.dev_conf.rxmode.offloads = 0;
	assert_int_equal(vlease_vlan_offload_set(&dev, RTE_ETH_VLAN_STRIP_MASK), 0);
	assert_false(strips);
	assert_int_equal(process.queues[0].offloads, 0);
}

static void
multicast_is_replayed(void **state)
{
	struct rte_ether_addr group = {{ 1, 0, 0x5e, 0, 0, 9 }};

	adapter.features = ~VIRTIO_NET_F_CTRL_VLAN;
	answer = -ENETDOWN;
	assert_int_equal(vlease_set_mc_addr_list(&dev, &group, 1), 0);
	answer = 0;
	assert_int_equal(vlease_rxmode_replay(&dev), 0);
	expect(0, 1, 0, "\0\0\0\0\1\0\0\0\1\0\x5e\0\0\11", 14);
}

static void
mtu(void **state)
{
	const uint16_t overhead = RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	struct vlease_rxq q = {
		.buf_len = VLEASE_NET_HDR_SIZE + 1500 + overhead,
		.hdr_size = VLEASE_NET_HDR_SIZE,
	};
	void *queues[] = { &q };

	data.rx_queues = queues;
	data.nb_rx_queues = 1;
	assert_int_equal(vlease_mtu_set(&dev, 1500), 0);
	assert_int_equal(vlease_mtu_set(&dev, 1501), -EINVAL);
	data.scattered_rx = 1;
	assert_int_equal(vlease_mtu_set(&dev, 9000), 0);
}

/* ---- RSS ---- */

static const struct virtio_net_config offer = {
	.rss_max_key_size = 40,
	.rss_max_indirection_table_length = RTE_LE16(4),
	.supported_hash_types = RTE_LE32(0x1ff),
};

static uint8_t key[VLEASE_RSS_KEY_SIZE] = { 1, 2, 3, [VLEASE_RSS_KEY_SIZE - 1] = 9 };

static void
configure_rss(uint64_t rss_hf, uint16_t nb_rx, uint16_t nb_tx)
{
	assert_int_equal(vlease_rss_probe(&adapter, &offer), 0);
	data.nb_rx_queues = nb_rx;
	data.nb_tx_queues = nb_tx;
	data.dev_conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	data.dev_conf.rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
		.rss_hf = rss_hf, .rss_key = key, .rss_key_len = sizeof(key),
	};
	assert_int_equal(vlease_rss_configure(&dev), 0);
}

/** Types, mask, queue for the rest, the table, transmit queues, key with its length. */
static void
rss_layout(void **state)
{
	static const uint8_t head[] = {
		2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 3, 0, sizeof(key),
	};

	configure_rss(RTE_ETH_RSS_NONFRAG_IPV4_TCP, 3, 1);
	assert_int_equal(vlease_rss_apply(&dev), 0);
	assert_int_equal(told[0].class, 4);
	assert_int_equal(told[0].code, 1);
	assert_int_equal(told[0].length, sizeof(head) + sizeof(key));
	assert_memory_equal(told[0].data, head, sizeof(head));
	assert_memory_equal(told[0].data + sizeof(head), key, sizeof(key));
}

static void
without_hash_types_the_device_chooses(void **state)
{
	configure_rss(0, 3, 3);
	assert_int_equal(vlease_rss_apply(&dev), 0);
	expect(0, 4, 0, "\3\0", 2);
	/* Unless it would choose queues that there are none of. */
	configure_rss(0, 1, 3);
	assert_int_equal(vlease_rss_apply(&dev), 0);
	assert_int_equal(told[1].code, 1);
	assert_memory_equal(told[1].data, "\xff\1\0\0\3\0\0\0\0\0\0\0\0\0\0\0\3\0", 18);
	adapter.features = VIRTIO_NET_F_MQ;
	assert_int_equal(vlease_rss_apply(&dev), 0);
	expect(2, 4, 0, "\3\0", 2);
	adapter.features = 0;
	assert_int_equal(vlease_rss_apply(&dev), 0);
	assert_int_equal(n_told, 3);
}

static void
rss_changes(void **state)
{
	uint8_t got[VLEASE_RSS_KEY_SIZE] = { 0 };
	struct rte_eth_rss_conf conf = { .rss_hf = RTE_ETH_RSS_IPV6_EX };
	struct rte_eth_rss_reta_entry64 reta = { .mask = 2, .reta = { [1] = 2 } };

	configure_rss(RTE_ETH_RSS_NONFRAG_IPV4_TCP, 3, 3);
	assert_int_equal(vlease_rss_hash_update(&dev, &conf), 0);
	assert_int_equal(told[0].data[0], 1 << 6);
	assert_int_equal(vlease_reta_update(&dev, &reta, 4), 0);
	assert_memory_equal(&told[1].data[8], "\0\0\2\0\2\0\0\0", 8);
	reta = (struct rte_eth_rss_reta_entry64){ .mask = UINT64_MAX };
	assert_int_equal(vlease_reta_query(&dev, &reta, 4), 0);
	assert_int_equal(reta.reta[1], 2);
	assert_int_equal(vlease_reta_query(&dev, &reta, 8), -EINVAL);

	/* Refused, all stays as it was. */
	answer = -EIO;
	reta = (struct rte_eth_rss_reta_entry64){ .mask = 2 };
	assert_int_equal(vlease_reta_update(&dev, &reta, 4), -EIO);
	conf = (struct rte_eth_rss_conf){ .rss_key = got, .rss_key_len = sizeof(got) };
	assert_int_equal(vlease_rss_hash_update(&dev, &conf), -EIO);
	assert_int_equal(vlease_rss_hash_conf_get(&dev, &conf), 0);
	assert_memory_equal(got, key, sizeof(key));
	assert_int_equal(conf.rss_hf, RTE_ETH_RSS_IPV6_EX);
	assert_int_equal(adapter.rss.reta[1], 2);
	conf.rss_key_len = 39;
	assert_int_equal(vlease_rss_hash_update(&dev, &conf), -EINVAL);

	/* A new number of queues makes a new table; the same one keeps the application's. */
	answer = 0;
	configure_rss(RTE_ETH_RSS_NONFRAG_IPV4_TCP, 3, 3);
	assert_int_equal(adapter.rss.reta[1], 2);
	configure_rss(RTE_ETH_RSS_NONFRAG_IPV4_TCP, 2, 2);
	assert_int_equal(adapter.rss.reta[1], 1);
}

static void
odd_rss_offers(void **state)
{
	struct virtio_net_config config = offer;

	config.rss_max_indirection_table_length = RTE_LE16(UINT16_MAX);
	assert_int_equal(vlease_rss_probe(&adapter, &config), 0);
	assert_int_equal(adapter.rss.reta_size, VLEASE_MAX_RETA_SIZE);
	config.rss_max_indirection_table_length = RTE_LE16(100);
	assert_int_equal(vlease_rss_probe(&adapter, &config), 0);
	assert_int_equal(adapter.rss.reta_size, 64);
	config.rss_max_indirection_table_length = 0;
	assert_int_equal(vlease_rss_probe(&adapter, &config), -ENOTSUP);
	config = offer;
	config.rss_max_key_size = 39;
	assert_int_equal(vlease_rss_probe(&adapter, &config), -ENOTSUP);
}

/* ---- Start and stop of single queues ---- */

#define MAX_QUEUES 6

/** What has become of each queue: of its lease, and in the device. */
static struct bar_lessor lessor;
static bool enabled[MAX_QUEUES];
static int reset_answer;

int
vlease_device_enable_queue(struct vlease_process *the, uint16_t queue)
{
	assert_false(enabled[queue]);
	enabled[queue] = true;
	return 0;
}

int
vlease_device_disable_queue(struct rte_eth_dev *the, uint16_t queue)
{
	/* Nobody may be able to poll it by now. */
	assert_int_equal(lessor.slices[queue].state, BAR_LEASE_TAKEN);
	assert_null(vlease_doorbell(queue));
	enabled[queue] = false;
	return reset_answer;
}

void
vlease_queue_name(uint16_t queue, char *name, size_t size)
{
	snprintf(name, size, "vq%u", queue);
}

static int
setup_queues(void **state)
{
	unsigned int i;

	setup(state);
	data.nb_rx_queues = 3;
	data.nb_tx_queues = 3;
	reset_answer = 0;
	memset(process.deferred, 0, sizeof(process.deferred));
	memset(&lessor, 0, sizeof(lessor));
	process.lessor = &lessor;
	for (i = 0; i < MAX_QUEUES; i++) {
		enabled[i] = true;
		vlease_set_doorbell(i, NULL);
	}
	return 0;
}

static void
a_stopped_queue_is_nobodys(void **state)
{
	volatile uint16_t doorbell;

	vlease_queues_begin(&dev);
	assert_int_equal(data.rx_queue_state[2], RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_equal(vlease_rx_queue_stop(&dev, 2), 0);
	assert_int_equal(lessor.slices[4].state, BAR_LEASE_TAKEN);
	assert_int_equal(data.rx_queue_state[2], RTE_ETH_QUEUE_STATE_STOPPED);
	assert_false(enabled[4]);
	assert_int_equal(vlease_rx_queue_start(&dev, 2), 0);
	assert_int_equal(lessor.slices[4].state, BAR_LEASE_FREE);
	assert_int_equal(data.rx_queue_state[2], RTE_ETH_QUEUE_STATE_STARTED);
	assert_true(enabled[4]);

	/* Polled by the primary itself, it has the lease already. */
	lessor.slices[1].state = BAR_LEASE_TAKEN;
	vlease_set_doorbell(1, &doorbell);
	assert_int_equal(vlease_tx_queue_stop(&dev, 0), 0);
	assert_false(enabled[1]);
	assert_int_equal(vlease_tx_queue_start(&dev, 0), 0);
	assert_int_equal(lessor.slices[1].state, BAR_LEASE_FREE);

	/* The end of the port gives back what was held. */
	assert_int_equal(vlease_tx_queue_stop(&dev, 2), 0);
	vlease_queues_end(&dev);
	assert_int_equal(lessor.slices[5].state, BAR_LEASE_FREE);
	assert_int_equal(data.tx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
}

static void
what_cannot_be_stopped(void **state)
{
	vlease_queues_begin(&dev);
	lessor.slices[0].state = BAR_LEASE_LEASED;
	assert_int_equal(vlease_rx_queue_stop(&dev, 0), -EBUSY);
	assert_int_equal(lessor.slices[0].state, BAR_LEASE_LEASED);
	assert_true(enabled[0]);
	assert_int_equal(data.rx_queue_state[0], RTE_ETH_QUEUE_STATE_STARTED);

	adapter.features = ~VIRTIO_F_RING_RESET;
	assert_int_equal(vlease_rx_queue_stop(&dev, 1), -ENOTSUP);
	assert_int_equal(lessor.slices[2].state, BAR_LEASE_FREE);
	assert_int_equal(vlease_check_deferred_start(&dev, 1), -ENOTSUP);

	/* A device that may still write to the buffers keeps the queue from everybody. */
	adapter.features = UINT64_MAX;
	reset_answer = -ETIMEDOUT;
	assert_int_equal(vlease_rx_queue_stop(&dev, 1), -ETIMEDOUT);
	assert_int_equal(lessor.slices[2].state, BAR_LEASE_TAKEN);
}

static void
deferred_start(void **state)
{
	process.deferred[3] = true;
	enabled[3] = false;
	vlease_queues_begin(&dev);
	assert_int_equal(lessor.slices[3].state, BAR_LEASE_TAKEN);
	assert_int_equal(data.tx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
	assert_int_equal(data.tx_queue_state[0], RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_equal(vlease_tx_queue_start(&dev, 1), 0);
	assert_int_equal(lessor.slices[3].state, BAR_LEASE_FREE);
	assert_true(enabled[3]);
	vlease_queues_end(&dev);
	vlease_queues_begin(&dev);
	assert_int_equal(data.tx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
}

/* ---- Negotiation ---- */

static void
features_follow_offloads(void **state)
{
	const uint64_t large = VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6;

	assert_int_equal(vlease_features_choose(UINT64_MAX, 0, 0) & large, 0);
	assert_int_equal(vlease_features_choose(UINT64_MAX, 0, 0) & VIRTIO_NET_F_GUEST_CSUM, 0);
	assert_int_equal(vlease_features_choose(UINT64_MAX, RTE_ETH_RX_OFFLOAD_TCP_LRO, 0) & large,
			 large);
	assert_int_equal(vlease_features_choose(0, UINT64_MAX, UINT64_MAX), 0);
	/* Not known to the driver, not taken. */
	assert_int_equal(vlease_features_choose(UINT64_MAX, UINT64_MAX, UINT64_MAX) &
			 RTE_BIT64(50), 0);
	assert_int_equal(vlease_features_usable(VIRTIO_NET_F_MQ | VIRTIO_NET_F_GUEST_ANNOUNCE |
						VIRTIO_NET_F_MTU),
			 VIRTIO_NET_F_MTU);
	assert_int_equal(vlease_features_choose(UINT64_MAX, 0, 0) & VIRTIO_NET_F_HASH_REPORT, 0);
	assert_true(vlease_features_choose(UINT64_MAX, RTE_ETH_RX_OFFLOAD_RSS_HASH, 0) &
		    VIRTIO_NET_F_HASH_REPORT);
	assert_true(vlease_rx_capabilities(UINT64_MAX) & RTE_ETH_RX_OFFLOAD_RSS_HASH);
	assert_false(vlease_rx_capabilities(~VIRTIO_NET_F_RSS) & RTE_ETH_RX_OFFLOAD_RSS_HASH);
	assert_true(vlease_rx_capabilities(VIRTIO_NET_F_CTRL_VLAN) &
		    RTE_ETH_RX_OFFLOAD_VLAN_FILTER);
	assert_false(vlease_rx_capabilities(~VIRTIO_NET_F_CTRL_VLAN) &
		     RTE_ETH_RX_OFFLOAD_VLAN_FILTER);
}

/* ---- What the port says of itself ---- */

int
vlease_pci_read_common(struct vlease_pci *pci, uint32_t regs[VLEASE_PCI_COMMON_REGS])
{
	assert_ptr_equal(pci, &process.pci);
	memset(regs, 0xcc, VLEASE_PCI_COMMON_REGS * sizeof(*regs));
	return answer;
}

void
vlease_pci_read_queue(struct vlease_pci *pci, uint16_t queue, uint32_t regs[VLEASE_PCI_QUEUE_REGS])
{
	assert_ptr_equal(pci, &process.pci);
	memset(regs, queue + 1, VLEASE_PCI_QUEUE_REGS * sizeof(*regs));
}

static struct vlease_rxq rxq = { .size = 128, .free_thresh = 32, .buf_len = 2048 };
static struct vlease_txq txq = { .size = 64, .free_thresh = 16 };
static void *rx_queues[] = { &rxq, NULL }, *tx_queues[] = { &txq, &txq };

static int
setup_info(void **state)
{
	setup_queues(state);
	data.nb_rx_queues = 2;
	data.nb_tx_queues = 2;
	data.rx_queues = rx_queues;
	data.tx_queues = tx_queues;
	return 0;
}

static int
teardown_info(void **state)
{
	process.lessor = NULL;
	return 0;
}

static void
expect_dump(const char *expected)
{
	char text[1024] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	assert_int_equal(vlease_priv_dump(&dev, file), 0);
	fclose(file);
	assert_string_equal(text, expected);
}

static void
the_dump_names_features_and_holders(void **state)
{
	strcpy(adapter.address, "0000:03:00.0");
	adapter.features = VIRTIO_NET_F_MAC | VIRTIO_F_VERSION_1;
	adapter.usable = adapter.features | VIRTIO_NET_F_CSUM | RTE_BIT64(50);
	data.rx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
	data.tx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
	lessor.slices[0] = (struct bar_lease_info){ .state = BAR_LEASE_LEASED, .pid = 1234 };
	lessor.slices[3].state = BAR_LEASE_TAKEN;
	expect_dump("device: 0000:03:00.0\n"
		    "features: MAC VERSION_1\n"
		    "usable, not negotiated: CSUM bit 50\n"
		    "vq0: 128 descriptors, started, leased, process 1234\n"
		    "vq1: 64 descriptors, started, free\n"
		    "vq3: 64 descriptors, stopped, taken\n");

	/* A secondary knows of no leases. */
	process.lessor = NULL;
	adapter.usable = adapter.features;
	data.nb_tx_queues = 0;
	expect_dump("device: 0000:03:00.0\n"
		    "features: MAC VERSION_1\n"
		    "usable, not negotiated:\n"
		    "vq0: 128 descriptors, started\n");
}

static void
registers_of_all_queues(void **state)
{
	enum { LENGTH = VLEASE_PCI_COMMON_REGS + 4 * VLEASE_PCI_QUEUE_REGS };
	uint32_t regs[LENGTH + 1] = { [LENGTH] = 1 };
	struct rte_dev_reg_info info = { 0 };

	data.nb_rx_queues = 1;	/* the second pair has its place all the same */
	assert_int_equal(vlease_get_reg(&dev, &info), 0);
	assert_int_equal(info.length, LENGTH);
	assert_int_equal(info.width, sizeof(regs[0]));
	assert_int_equal(info.version, 0x1041);
	info.data = regs;
	assert_int_equal(vlease_get_reg(&dev, &info), 0);
	assert_int_equal(regs[VLEASE_PCI_COMMON_REGS - 1], 0xcccccccc);
	assert_int_equal(regs[VLEASE_PCI_COMMON_REGS], 0x01010101);
	assert_int_equal(regs[LENGTH - 1], 0x04040404);
	assert_int_equal(regs[LENGTH], 1);
	answer = -ENODEV;
	assert_int_equal(vlease_get_reg(&dev, &info), -ENODEV);
	answer = 0;
	info.length = LENGTH - 1;
	assert_int_equal(vlease_get_reg(&dev, &info), -ENOTSUP);
	info.length = LENGTH;
	info.offset = 1;
	assert_int_equal(vlease_get_reg(&dev, &info), -ENOTSUP);
	info.length = 0; /* as DPDK's example "ethtool" asks, with any offset */
	assert_int_equal(vlease_get_reg(&dev, &info), 0);
}

static void
queues_are_as_they_were_set_up(void **state)
{
	struct rte_eth_rxq_info rx = { 0 };
	struct rte_eth_txq_info tx = { 0 };

	data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	process.deferred[3] = true;
	vlease_rxq_info_get(&dev, 0, &rx);
	assert_int_equal(rx.nb_desc, 128);
	assert_int_equal(rx.rx_buf_size, 2048);
	assert_int_equal(rx.conf.rx_free_thresh, 32);
	assert_int_equal(rx.conf.offloads, RTE_ETH_RX_OFFLOAD_SCATTER);
	assert_false(rx.conf.rx_deferred_start);
	vlease_txq_info_get(&dev, 1, &tx);
	assert_int_equal(tx.nb_desc, 64);
	assert_int_equal(tx.conf.tx_free_thresh, 16);
	assert_int_equal(tx.conf.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	assert_true(tx.conf.tx_deferred_start);
}

/** What virtio_lease_rx.c says of DPDK and the processor. */
static bool has_vectors;

bool
vlease_rx_has_vectors(uint64_t features __rte_unused, uint64_t offloads __rte_unused)
{
	return has_vectors;
}

static void
expect_bursts(uint64_t features, const char *rx, const char *tx)
{
	struct rte_eth_burst_mode mode;

	adapter.features = features;
	assert_int_equal(vlease_rx_burst_mode_get(&dev, 0, &mode), 0);
	assert_string_equal(mode.info, rx);
	assert_int_equal(vlease_tx_burst_mode_get(&dev, 0, &mode), 0);
	assert_string_equal(mode.info, tx);
}

static void
bursts_have_names(void **state)
{
	const uint64_t all = VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_NET_F_MRG_RXBUF;

	expect_bursts(0, "Split", "Split");
	expect_bursts(all, "Packed, in order, mergeable", "Packed, in order");
	has_vectors = true;
	expect_bursts(all, "Packed, in order, mergeable, vector AVX2", "Packed, in order");
	has_vectors = false;
	expect_bursts(VIRTIO_NET_F_GUEST_CSUM, "Split, offloads", "Split");
	expect_bursts(VIRTIO_NET_F_HASH_REPORT, "Split, offloads", "Split, offloads");
	data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	expect_bursts(all, "Packed, in order, mergeable, offloads", "Packed, in order, offloads");
}

#define with_info(test) cmocka_unit_test_setup_teardown(test, setup_info, teardown_info)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(modes, setup),
		cmocka_unit_test_setup(addresses, setup),
		cmocka_unit_test_setup(own_address, setup),
		cmocka_unit_test_setup(full_tables_fit, setup),
		cmocka_unit_test_setup(vlans, setup),
		cmocka_unit_test_setup(multicast_is_replayed, setup),
		cmocka_unit_test_setup(mtu, setup),
		cmocka_unit_test_setup(rss_layout, setup),
		cmocka_unit_test_setup(without_hash_types_the_device_chooses, setup),
		cmocka_unit_test_setup(rss_changes, setup),
		cmocka_unit_test_setup(odd_rss_offers, setup),
		cmocka_unit_test_setup(a_stopped_queue_is_nobodys, setup_queues),
		cmocka_unit_test_setup(what_cannot_be_stopped, setup_queues),
		cmocka_unit_test_setup(deferred_start, setup_queues),
		cmocka_unit_test_setup(features_follow_offloads, setup),
		with_info(the_dump_names_features_and_holders),
		with_info(registers_of_all_queues),
		with_info(queues_are_as_they_were_set_up),
		with_info(bursts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
