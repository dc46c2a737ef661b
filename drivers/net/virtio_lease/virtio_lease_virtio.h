/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_VIRTIO_H
#define VIRTIO_LEASE_VIRTIO_H

#include <assert.h>
#include <stdint.h>

#include <rte_byteorder.h>

/* What the control path needs of VIRTIO 1.2, with the section that defines it. */

/* 4.1.2: PCI ids of a modern network device. */
#define VIRTIO_PCI_VENDOR_ID 0x1af4
#define VIRTIO_PCI_MODERN_NET_ID 0x1041

/* 4.1.4 */
#define PCI_CAP_ID_VENDOR 0x09
#define VIRTIO_PCI_CAP_COMMON_CFG 1
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2
#define VIRTIO_PCI_CAP_ISR_CFG 3
#define VIRTIO_PCI_CAP_DEVICE_CFG 4

/* 4.1.5.1.2 */
#define VIRTIO_MSI_NO_VECTOR 0xffff

/* 2.1 */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER 0x02
#define VIRTIO_STATUS_DRIVER_OK 0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED 0x80

/* 5.1.3 and 6: feature bits */
#define VIRTIO_NET_F_CSUM (1ULL << 0)
#define VIRTIO_NET_F_GUEST_CSUM (1ULL << 1)
#define VIRTIO_NET_F_MTU (1ULL << 3)
#define VIRTIO_NET_F_MAC (1ULL << 5)
#define VIRTIO_NET_F_GUEST_TSO4 (1ULL << 7)
#define VIRTIO_NET_F_GUEST_TSO6 (1ULL << 8)
#define VIRTIO_NET_F_HOST_TSO4 (1ULL << 11)
#define VIRTIO_NET_F_HOST_TSO6 (1ULL << 12)
#define VIRTIO_NET_F_MRG_RXBUF (1ULL << 15)
#define VIRTIO_NET_F_STATUS (1ULL << 16)
#define VIRTIO_NET_F_CTRL_VQ (1ULL << 17)
#define VIRTIO_NET_F_CTRL_RX (1ULL << 18)
#define VIRTIO_NET_F_CTRL_VLAN (1ULL << 19)
#define VIRTIO_NET_F_GUEST_ANNOUNCE (1ULL << 21)
#define VIRTIO_NET_F_MQ (1ULL << 22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR (1ULL << 23)
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX (1ULL << 29)
#define VIRTIO_F_VERSION_1 (1ULL << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ULL << 33)
#define VIRTIO_F_RING_PACKED (1ULL << 34)
#define VIRTIO_F_IN_ORDER (1ULL << 35)
#define VIRTIO_F_ORDER_PLATFORM (1ULL << 36)
#define VIRTIO_F_NOTIFICATION_DATA (1ULL << 38)
#define VIRTIO_F_RING_RESET (1ULL << 40)
#define VIRTIO_NET_F_HASH_REPORT (1ULL << 57)
#define VIRTIO_NET_F_RSS (1ULL << 60)
#define VIRTIO_NET_F_SPEED_DUPLEX (1ULL << 63)

/* 5.1.4 */
struct virtio_net_config {
	uint8_t mac[6];
	rte_le16_t status;
	rte_le16_t max_virtqueue_pairs;
	rte_le16_t mtu;
	rte_le32_t speed;	/* Mbit/s; 0xffffffff: unknown */
	uint8_t duplex;		/* 1: full; 0xff: unknown */
	uint8_t rss_max_key_size;
	rte_le16_t rss_max_indirection_table_length;
	rte_le32_t supported_hash_types;
};

static_assert(sizeof(struct virtio_net_config) == 24, "no padding in it");

#define VIRTIO_NET_S_LINK_UP 0x01
#define VIRTIO_NET_S_ANNOUNCE 0x02

/* 5.1.6: flags and segmentation in a frame's header */
#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1
#define VIRTIO_NET_HDR_F_DATA_VALID 2
#define VIRTIO_NET_HDR_GSO_NONE 0
#define VIRTIO_NET_HDR_GSO_TCPV4 1
#define VIRTIO_NET_HDR_GSO_UDP 3
#define VIRTIO_NET_HDR_GSO_TCPV6 4
#define VIRTIO_NET_HDR_GSO_ECN 0x80

/* 5.1.6.5: control virtqueue */
#define VIRTIO_NET_CTRL_RX 0
#define VIRTIO_NET_CTRL_RX_PROMISC 0
#define VIRTIO_NET_CTRL_RX_ALLMULTI 1
#define VIRTIO_NET_CTRL_MAC 1
#define VIRTIO_NET_CTRL_MAC_TABLE_SET 0
#define VIRTIO_NET_CTRL_MAC_ADDR_SET 1
#define VIRTIO_NET_CTRL_VLAN 2
#define VIRTIO_NET_CTRL_VLAN_ADD 0
#define VIRTIO_NET_CTRL_VLAN_DEL 1
#define VIRTIO_NET_CTRL_ANNOUNCE 3
#define VIRTIO_NET_CTRL_ANNOUNCE_ACK 0
#define VIRTIO_NET_CTRL_MQ 4
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET 0
#define VIRTIO_NET_CTRL_MQ_RSS_CONFIG 1
#define VIRTIO_NET_CTRL_MQ_HASH_CONFIG 2
#define VIRTIO_NET_OK 0

/* 5.1.6.4.3: what a hash is over */
#define VIRTIO_NET_HASH_TYPE_IPv4 (1U << 0)
#define VIRTIO_NET_HASH_TYPE_TCPv4 (1U << 1)
#define VIRTIO_NET_HASH_TYPE_UDPv4 (1U << 2)
#define VIRTIO_NET_HASH_TYPE_IPv6 (1U << 3)
#define VIRTIO_NET_HASH_TYPE_TCPv6 (1U << 4)
#define VIRTIO_NET_HASH_TYPE_UDPv6 (1U << 5)
#define VIRTIO_NET_HASH_TYPE_IP_EX (1U << 6)
#define VIRTIO_NET_HASH_TYPE_TCP_EX (1U << 7)
#define VIRTIO_NET_HASH_TYPE_UDP_EX (1U << 8)

#endif /* VIRTIO_LEASE_VIRTIO_H */
