/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <string.h>

#include <rte_ip.h>
#include <rte_net.h>

#include "virtio_lease_rx_offload.h"

/* What VIRTIO 1.2, 5.1.6.4 has in the header. Loaded once: the device can still write to it. */
struct rx_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t gso_size;
	uint32_t csum_start;
	uint32_t csum_at;	/* where the checksum goes */
};

static struct rx_header
load_header(const struct vlease_net_hdr *from)
{
	uint16_t start = __atomic_load_n(&from->csum_start, __ATOMIC_RELAXED);
	uint16_t offset = __atomic_load_n(&from->csum_offset, __ATOMIC_RELAXED);
	uint16_t size = __atomic_load_n(&from->gso_size, __ATOMIC_RELAXED);

	return (struct rx_header){
		.flags = __atomic_load_n(&from->flags, __ATOMIC_RELAXED),
		.gso_type = __atomic_load_n(&from->gso_type, __ATOMIC_RELAXED),
		.gso_size = rte_le_to_cpu_16(size),
		.csum_start = rte_le_to_cpu_16(start),
		.csum_at = rte_le_to_cpu_16(start) + rte_le_to_cpu_16(offset),
	};
}

/* Where the checksum of the transport header is; 0: it has none that we know. */
static uint32_t
checksum_place(uint32_t ptype, const struct rte_net_hdr_lens *lens)
{
	const uint32_t l4 = lens->l2_len + lens->l3_len;

	if ((ptype & RTE_PTYPE_TUNNEL_MASK) != 0)
		return 0;
	switch (ptype & RTE_PTYPE_L4_MASK) {
	case RTE_PTYPE_L4_TCP:
		return l4 + RX_TCP_CSUM_OFFSET;
	case RTE_PTYPE_L4_UDP:
		return l4 + RX_UDP_CSUM_OFFSET;
	default:
		return 0;
	}
}

/*
 * Frames of the device's own host have checksums that are yet to be finished. One that stands
 * where mbuf flags have no name for it is finished here.
 */
static int
finish_checksum(struct rte_mbuf *m, uint32_t start, uint32_t at)
{
	uint16_t sum;

	if (at + sizeof(sum) > m->data_len ||
	    rte_raw_cksum_mbuf(m, start, m->pkt_len - start, &sum) != 0)
		return 0;
	if (sum != UINT16_MAX)
		sum = ~sum;
	memcpy(rte_pktmbuf_mtod_offset(m, void *, at), &sum, sizeof(sum));
	return 1;
}

/* Frames joined by the device: TCP, of more than one segment of a size that is not absurd. */
static int
use_segments(struct rte_mbuf *m, const struct rx_header *hdr, unsigned int offloads,
	     const struct rte_net_hdr_lens *lens)
{
	const uint32_t headers = lens->l2_len + lens->l3_len + lens->l4_len;
	int right = 0;

	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV4)
		right = (offloads & VLEASE_RX_LRO4) && RTE_ETH_IS_IPV4_HDR(m->packet_type);
	else if (hdr->gso_type == VIRTIO_NET_HDR_GSO_TCPV6)
		right = (offloads & VLEASE_RX_LRO6) && RTE_ETH_IS_IPV6_HDR(m->packet_type);
	if (!right || (m->packet_type & RTE_PTYPE_L4_MASK) != RTE_PTYPE_L4_TCP ||
	    hdr->gso_size == 0 || m->pkt_len < headers + hdr->gso_size)
		return 0;
	m->tso_segsz = hdr->gso_size;
	m->ol_flags |= RTE_MBUF_F_RX_LRO;
	return 1;
}

static int
use_checksum(struct rte_mbuf *m, const struct rx_header *hdr, uint32_t start, uint32_t place)
{
	const int named = hdr->csum_start == start && hdr->csum_at == place;

	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (hdr->csum_at + sizeof(uint16_t) > m->pkt_len)
			return 0;
		if (!named && hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
			return 0;
		if (!named)
			return finish_checksum(m, hdr->csum_start, hdr->csum_at);
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	} else if ((hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID) && place != 0) {
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	return 1;
}

void
vlease_rx_use_header(struct rte_mbuf *m, const struct vlease_net_hdr *from, unsigned int offloads)
{
	const struct rx_header hdr = load_header(from);
	struct rte_net_hdr_lens lens = { 0 };
	uint32_t place;
	int right = 1;

	/* No tunnels: DPDK 25.11 takes ICMP for one. */
	m->packet_type = rte_net_get_ptype(m, &lens, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK |
					   RTE_PTYPE_L4_MASK);
	place = checksum_place(m->packet_type, &lens);
	if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		right = use_segments(m, &hdr, offloads, &lens);
	if (right)
		right = use_checksum(m, &hdr, lens.l2_len + lens.l3_len, place);
	if (!right) {
		m->ol_flags &= ~RTE_MBUF_F_RX_LRO;
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
	}
}

void
vlease_rx_strip_vlan(struct rte_mbuf *m)
{
	if (m->data_len >= sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr))
		rte_vlan_strip(m);
}
