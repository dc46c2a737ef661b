/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "frame.h"

/** What a sender writes anew for each frame. The rest of the data is what the buffer holds. */
#define TOUCHED 64

const void *
frame_of(uint16_t len)
{
	static struct {
		struct rte_ether_hdr ether;
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
		uint8_t data[FRAME_MAX];
	} frame = {
		.ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.ip.version_ihl = RTE_IPV4_VHL_DEF,
		.ip.time_to_live = 64,
		.ip.next_proto_id = IPPROTO_UDP,
		.ip.src_addr = RTE_BE32(RTE_IPV4(198, 18, 0, 1)),
		.ip.dst_addr = RTE_BE32(RTE_IPV4(198, 18, 0, 2)),
		.udp.src_port = RTE_BE16(9),
		.udp.dst_port = RTE_BE16(9),
	};

	frame.ip.total_length = rte_cpu_to_be_16(len - sizeof(frame.ether));
	frame.udp.dgram_len = rte_cpu_to_be_16(len - sizeof(frame.ether) - sizeof(frame.ip));
	return &frame;
}

void
frame_write(struct rte_mbuf *m, uint16_t len, bool checksum)
{
	memcpy(rte_pktmbuf_mtod(m, void *), frame_of(len), TOUCHED);
	m->data_len = len;
	m->pkt_len = len;
	if (checksum) {
		m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
		m->l2_len = sizeof(struct rte_ether_hdr);
		m->l3_len = sizeof(struct rte_ipv4_hdr);
	}
}
