/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RX_OFFLOAD_H
#define VIRTIO_LEASE_RX_OFFLOAD_H

/**
 * @file
 * What a frame's header says, put into its mbuf. Nothing of it is believed: offsets beyond the
 * frame, or segments of no size, mark the frame as one with a bad checksum, and that is all.
 */

#include <rte_ip.h>

#include "virtio_lease_rxtx.h"

/* In vlease_rxq.offloads: what there is to do for each frame. */
#define VLEASE_RX_CHECKSUM 1	/**< VIRTIO_NET_F_GUEST_CSUM */
#define VLEASE_RX_LRO4 2	/**< VIRTIO_NET_F_GUEST_TSO4 */
#define VLEASE_RX_LRO6 4	/**< VIRTIO_NET_F_GUEST_TSO6 */
#define VLEASE_RX_HASH 8	/**< VIRTIO_NET_F_HASH_REPORT */
#define VLEASE_RX_VLAN 16	/**< RTE_ETH_RX_OFFLOAD_VLAN_STRIP */

/** Features for which a frame's header says more than how many buffers it takes. */
#define VLEASE_RX_HEADER_FEATURES \
	(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | \
	 VIRTIO_NET_F_HASH_REPORT)

/** Whether the port has burst functions that look at the headers, or at tags. */
static inline bool
vlease_rx_has_offloads(uint64_t features, uint64_t offloads)
{
	return (features & VLEASE_RX_HEADER_FEATURES) != 0 ||
	       (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
}

/** Kinds of hash, 5.1.6.4.4; 0: none. */
#define VLEASE_HASH_REPORT_LAST 9

/** Where the checksum of a UDP datagram or a TCP segment is. */
#define RX_UDP_CSUM_OFFSET 6
#define RX_TCP_CSUM_OFFSET 16

/** Any header in front of any frame. */
void vlease_rx_use_header(struct rte_mbuf *m, const struct vlease_net_hdr *hdr,
			  unsigned int offloads);

/** Take the VLAN tag of a frame that has one out of it. */
void vlease_rx_strip_vlan(struct rte_mbuf *m);

/**
 * The checksum of a TCP or UDP packet over IP without options or extensions, in one piece, in an
 * Ethernet frame. Returns 0 if this is another frame, or its header asks for more.
 */
static __rte_always_inline int
rx_use_plain_header(struct rte_mbuf *m, const struct vlease_net_hdr *hdr)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(ether + 1);
	const uint16_t l4 = sizeof(*ether) + sizeof(*ip);
	uint32_t ptype;
	uint16_t offset;

	if (m->data_len < l4 + RX_TCP_CSUM_OFFSET + sizeof(uint16_t) ||
	    hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    ether->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	    ip->version_ihl != RTE_IPV4_VHL_DEF ||
	    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return 0;
	if (ip->next_proto_id == IPPROTO_TCP) {
		ptype = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP;
		offset = RX_TCP_CSUM_OFFSET;
	} else if (ip->next_proto_id == IPPROTO_UDP) {
		ptype = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP;
		offset = RX_UDP_CSUM_OFFSET;
	} else {
		return 0;
	}
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (hdr->csum_start != rte_cpu_to_le_16(l4) ||
		    hdr->csum_offset != rte_cpu_to_le_16(offset))
			return 0;
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	} else if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	m->packet_type = ptype;
	return 1;
}

/** Of a whole frame, whose header of hdr_size bytes stands in front of it. */
static __rte_always_inline void
rx_offload(struct rte_mbuf *m, uint16_t hdr_size, unsigned int offloads)
{
	const struct vlease_net_hash_hdr *hdr = RTE_PTR_SUB(rte_pktmbuf_mtod(m, void *), hdr_size);
	uint16_t report;

	if (offloads & VLEASE_RX_HASH) {
		report = rte_le_to_cpu_16(hdr->hash_report);
		if (report != 0 && report <= VLEASE_HASH_REPORT_LAST) {
			m->hash.rss = rte_le_to_cpu_32(hdr->hash_value);
			m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		}
	}
	if ((offloads & VLEASE_RX_CHECKSUM) && (hdr->hdr.flags | hdr->hdr.gso_type) != 0 &&
	    !rx_use_plain_header(m, &hdr->hdr))
		vlease_rx_use_header(m, &hdr->hdr, offloads);
	if (offloads & VLEASE_RX_VLAN)
		vlease_rx_strip_vlan(m);
}

#endif /* VIRTIO_LEASE_RX_OFFLOAD_H */
