/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What of the device's offer is used: some in any case, some for the offloads asked for.
 */
#include <errno.h>

#include "virtio_lease.h"

/* VIRTIO 1.2, 5.1.3.1: these mean nothing without a control queue. */
#define NEED_CONTROL_QUEUE \
	(VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_GUEST_ANNOUNCE | \
	 VIRTIO_NET_F_MQ | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_HASH_REPORT | VIRTIO_NET_F_RSS)

/* Used wherever they are offered; what must be accepted where offered is among them. */
#define ALWAYS_USED \
	(VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ | \
	 VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_GUEST_ANNOUNCE | \
	 VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS | VIRTIO_NET_F_SPEED_DUPLEX | VIRTIO_F_VERSION_1 | \
	 VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_RING_RESET | VLEASE_DATAPATH_FEATURES)

/* An offload, and all the features that it takes; none: the driver does it by itself. */
struct offload {
	uint64_t offloads;
	uint64_t features;
};

/*
 * Large frames are taken in mergeable buffers only: without them each buffer would have to hold
 * the largest one (VIRTIO 1.2, 5.1.6.3.1).
 */
static const struct offload rx_offloads[] = {
	{ RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0 },
	{ RTE_ETH_RX_OFFLOAD_SCATTER, VIRTIO_NET_F_MRG_RXBUF },
	{ RTE_ETH_RX_OFFLOAD_VLAN_FILTER, VIRTIO_NET_F_CTRL_VLAN },
	{ RTE_ETH_RX_OFFLOAD_RSS_HASH, VIRTIO_NET_F_RSS | VIRTIO_NET_F_HASH_REPORT },
	{ RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM, VIRTIO_NET_F_GUEST_CSUM },
	{
		RTE_ETH_RX_OFFLOAD_TCP_LRO,
		VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |
		VIRTIO_NET_F_MRG_RXBUF
	},
};

static const struct offload tx_offloads[] = {
	{
		RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE |
		RTE_ETH_TX_OFFLOAD_VLAN_INSERT, 0
	},
	{ RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM, VIRTIO_NET_F_CSUM },
	{
		RTE_ETH_TX_OFFLOAD_TCP_TSO,
		VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6
	},
};

static const struct {
	uint64_t bit;
	const char *name;
} names[] = {
	{ VIRTIO_NET_F_CSUM, "CSUM" },
	{ VIRTIO_NET_F_GUEST_CSUM, "GUEST_CSUM" },
	{ VIRTIO_NET_F_MTU, "MTU" },
	{ VIRTIO_NET_F_MAC, "MAC" },
	{ VIRTIO_NET_F_GUEST_TSO4, "GUEST_TSO4" },
	{ VIRTIO_NET_F_GUEST_TSO6, "GUEST_TSO6" },
	{ VIRTIO_NET_F_HOST_TSO4, "HOST_TSO4" },
	{ VIRTIO_NET_F_HOST_TSO6, "HOST_TSO6" },
	{ VIRTIO_NET_F_MRG_RXBUF, "MRG_RXBUF" },
	{ VIRTIO_NET_F_STATUS, "STATUS" },
	{ VIRTIO_NET_F_CTRL_VQ, "CTRL_VQ" },
	{ VIRTIO_NET_F_CTRL_RX, "CTRL_RX" },
	{ VIRTIO_NET_F_CTRL_VLAN, "CTRL_VLAN" },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, "GUEST_ANNOUNCE" },
	{ VIRTIO_NET_F_MQ, "MQ" },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, "CTRL_MAC_ADDR" },
	{ VIRTIO_F_INDIRECT_DESC, "INDIRECT_DESC" },
	{ VIRTIO_F_EVENT_IDX, "EVENT_IDX" },
	{ VIRTIO_F_VERSION_1, "VERSION_1" },
	{ VIRTIO_F_ACCESS_PLATFORM, "ACCESS_PLATFORM" },
	{ VIRTIO_F_RING_PACKED, "RING_PACKED" },
	{ VIRTIO_F_IN_ORDER, "IN_ORDER" },
	{ VIRTIO_F_ORDER_PLATFORM, "ORDER_PLATFORM" },
	{ VIRTIO_F_NOTIFICATION_DATA, "NOTIFICATION_DATA" },
	{ VIRTIO_F_RING_RESET, "RING_RESET" },
	{ VIRTIO_NET_F_HASH_REPORT, "HASH_REPORT" },
	{ VIRTIO_NET_F_RSS, "RSS" },
	{ VIRTIO_NET_F_SPEED_DUPLEX, "SPEED_DUPLEX" },
};

const char *
vlease_feature_name(uint64_t bit)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(names); i++)
		if (names[i].bit == bit)
			return names[i].name;
	return NULL;
}

uint64_t
vlease_features_usable(uint64_t offered)
{
	if ((offered & VIRTIO_NET_F_CTRL_VQ) == 0)
		offered &= ~NEED_CONTROL_QUEUE;
	return offered;
}

static uint64_t
capabilities(uint64_t usable, const struct offload *table, unsigned int n, uint64_t mask)
{
	uint64_t offloads = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		if ((usable & table[i].features) == table[i].features)
			offloads |= table[i].offloads;
	return offloads & mask;
}

uint64_t
vlease_rx_capabilities(uint64_t usable)
{
	return capabilities(usable, rx_offloads, RTE_DIM(rx_offloads),
			    VLEASE_RX_OFFLOADS | RTE_ETH_RX_OFFLOAD_VLAN_FILTER);
}

uint64_t
vlease_tx_capabilities(uint64_t usable)
{
	return capabilities(usable, tx_offloads, RTE_DIM(tx_offloads), VLEASE_TX_OFFLOADS);
}

static uint64_t
needs(uint64_t asked, const struct offload *table, unsigned int n)
{
	uint64_t features = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		if ((asked & table[i].offloads) != 0)
			features |= table[i].features;
	return features;
}

uint64_t
vlease_features_choose(uint64_t usable, uint64_t rx, uint64_t tx)
{
	return usable & (ALWAYS_USED | needs(rx, rx_offloads, RTE_DIM(rx_offloads)) |
			 needs(tx, tx_offloads, RTE_DIM(tx_offloads)));
}
