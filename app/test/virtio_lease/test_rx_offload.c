/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the device says of a received frame reaches its mbuf, and what cannot be true does no harm.
 */
#include <string.h>

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "fixture.h"

#define SIZE 64
#define ROOM 512
#define L4 34			/* of an IPv4 packet without options or tag */

#define CHECKSUMS VIRTIO_NET_F_GUEST_CSUM
#define SEGMENTS (CHECKSUMS | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | \
		  VIRTIO_NET_F_MRG_RXBUF)

static uint8_t frame[MAX_FRAME];

/** Write an IPv4 packet in an Ethernet frame, tagged if there is a tag. */
static void
write_ipv4(uint8_t protocol, uint16_t tag, size_t len)
{
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)frame;
	rte_be16_t *type = &ether->ether_type;
	struct rte_ipv4_hdr *ip;
	size_t at = sizeof(*ether);

	make_frame(frame, len, len);
	if (tag != 0) {
		*type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		type = (rte_be16_t *)&frame[at + 2];
		type[-1] = rte_cpu_to_be_16(tag);
		at += 4;
	}
	*type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip = (struct rte_ipv4_hdr *)&frame[at];
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(len - at),
		.time_to_live = 64,
		.next_proto_id = protocol,
	};
	if (protocol == IPPROTO_TCP)
		((struct rte_tcp_hdr *)(ip + 1))->data_off = 0x50;
}

static void
write_ipv6(uint8_t protocol, size_t len)
{
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)frame;
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(ether + 1);

	make_frame(frame, len, len);
	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	*ip = (struct rte_ipv6_hdr){
		.vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16(len - sizeof(*ether) - sizeof(*ip)),
		.proto = protocol,
	};
	if (protocol == IPPROTO_TCP)
		((struct rte_tcp_hdr *)(ip + 1))->data_off = 0x50;
}

static struct vlease_net_hdr
header(uint8_t flags, uint16_t start, uint16_t offset)
{
	return (struct vlease_net_hdr){
		.flags = flags,
		.csum_start = rte_cpu_to_le_16(start),
		.csum_offset = rte_cpu_to_le_16(offset),
	};
}

static struct vlease_net_hdr
joined(uint8_t type, uint16_t size, uint16_t start)
{
	struct vlease_net_hdr hdr = header(VIRTIO_NET_HDR_F_NEEDS_CSUM, start, 16);

	hdr.gso_type = type;
	hdr.gso_size = rte_cpu_to_le_16(size);
	return hdr;
}

struct receiver {
	struct pool pool;
	struct rx rx;
};

static void
start(struct receiver *r, uint64_t features, uint64_t offloads)
{
	struct rte_mbuf *m;

	r->pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	make_rx_with(&r->rx, SIZE, &r->pool, features, offloads);
	assert_int_equal(r->rx.burst(r->rx.q, &m, 1), 0);
}

static void
stop(struct receiver *r)
{
	assert_int_equal(r->rx.q->broken, 0);
	assert_int_equal(r->rx.q->stats.errors, 0);
	free_rx(&r->rx);
	assert_conserved(&r->pool);
	free_pool(&r->pool);
}

/** Receive the frame written last, with this header. */
static struct rte_mbuf *
receive(struct receiver *r, struct vlease_net_hdr hdr, size_t len)
{
	const char *reason;
	struct rte_mbuf *m;

	r->rx.device.header = hdr;
	assert_true(software_device_deliver(&r->rx.device, frame, len) > 0);
	assert_int_equal(r->rx.burst(r->rx.q, &m, 1), 1);
	assert_int_equal(rte_mbuf_check(m, 1, &reason), 0);
	return m;
}

/** Assert what the mbuf says of the frame; the frame itself is as it was. */
static void
expect(struct receiver *r, struct vlease_net_hdr hdr, size_t len, uint64_t flags, uint32_t ptype)
{
	static uint8_t copy[MAX_FRAME];
	struct rte_mbuf *m = receive(r, hdr, len);

	assert_int_equal(m->ol_flags, flags);
	assert_int_equal(m->packet_type, ptype);
	assert_int_equal(m->pkt_len, len);
	assert_memory_equal(rte_pktmbuf_read(m, 0, len, copy), frame, len);
	rte_pktmbuf_free(m);
}

#define UDP4 (RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP)
#define TCP4 (RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP)
#define TCP6 (RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_TCP)
#define VLAN_UDP4 (RTE_PTYPE_L2_ETHER_VLAN | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP)

static void
checksums(uint64_t features)
{
	const uint8_t valid = VIRTIO_NET_HDR_F_DATA_VALID, needs = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	struct receiver r;

	start(&r, features, 0);
	write_ipv4(IPPROTO_UDP, 0, 60);
	expect(&r, header(0, 0, 0), 60, 0, 0);
	expect(&r, header(valid, 0, 0), 60, RTE_MBUF_F_RX_L4_CKSUM_GOOD, UDP4);
	expect(&r, header(needs, L4, 6), 60, RTE_MBUF_F_RX_L4_CKSUM_NONE, UDP4);
	write_ipv4(IPPROTO_TCP, 0, 60);
	expect(&r, header(valid, 0, 0), 60, RTE_MBUF_F_RX_L4_CKSUM_GOOD, TCP4);
	expect(&r, header(needs, L4, 16), 60, RTE_MBUF_F_RX_L4_CKSUM_NONE, TCP4);
	write_ipv6(IPPROTO_TCP, 100);
	expect(&r, header(valid, 0, 0), 100, RTE_MBUF_F_RX_L4_CKSUM_GOOD, TCP6);
	expect(&r, header(needs, 54, 16), 100, RTE_MBUF_F_RX_L4_CKSUM_NONE, TCP6);
	write_ipv4(IPPROTO_UDP, 7, 64);
	expect(&r, header(needs, L4 + 4, 6), 64, RTE_MBUF_F_RX_L4_CKSUM_NONE, VLAN_UDP4);
	/* Of what is no TCP and no UDP nothing is known. */
	write_ipv4(IPPROTO_ICMP, 0, 60);
	expect(&r, header(valid, 0, 0), 60, 0, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4);
	stop(&r);
}

static void
checksums_are_reported(void **state)
{
	checksums(CHECKSUMS);
	checksums(CHECKSUMS | VIRTIO_NET_F_MRG_RXBUF);
	checksums(SEGMENTS | VIRTIO_NET_F_HASH_REPORT);
}

/** A checksum that is to be finished, in a place of which no mbuf flag knows. */
static void
other_checksums_are_finished(void **state)
{
	struct rte_mbuf *m;
	struct receiver r;
	uint16_t sum;

	start(&r, CHECKSUMS, 0);
	write_ipv4(IPPROTO_ICMP, 0, 61);
	memset(&frame[L4 + 2], 0, 2);
	m = receive(&r, header(VIRTIO_NET_HDR_F_NEEDS_CSUM, L4, 2), 61);
	assert_int_equal(m->ol_flags, 0);
	memcpy(&sum, rte_pktmbuf_mtod_offset(m, void *, L4 + 2), 2);
	assert_int_not_equal(sum, 0);
	/* Over a packet with its checksum the sum is all ones. */
	assert_int_equal(rte_raw_cksum(rte_pktmbuf_mtod_offset(m, void *, L4), 61 - L4), 0xffff);
	rte_pktmbuf_free(m);
	stop(&r);
}

static void
joined_segments_are_reported(void **state)
{
	const uint64_t lro = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	struct rte_mbuf *m;
	struct receiver r;

	start(&r, SEGMENTS, 0);
	write_ipv4(IPPROTO_TCP, 0, 5000);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 1460, L4), 5000, lro, TCP4);
	m = receive(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 1460, L4), 5000);
	assert_int_equal(m->tso_segsz, 1460);
	assert_true(m->nb_segs > 1);
	rte_pktmbuf_free(m);
	write_ipv6(IPPROTO_TCP, 4000);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV6, 1440, 54), 4000, lro, TCP6);
	stop(&r);
}

static void
tags_are_stripped(void **state)
{
	uint8_t stripped[64];
	struct rte_mbuf *m;
	struct receiver r;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		start(&r, i ? SEGMENTS : 0, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
		write_ipv4(IPPROTO_UDP, 0x6123, 64);
		memcpy(stripped, frame, 12);
		memcpy(&stripped[12], &frame[16], 48);
		m = receive(&r, header(i * VIRTIO_NET_HDR_F_NEEDS_CSUM, L4 + 4, 6), 64);
		assert_int_equal(m->ol_flags, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED |
				 (i ? RTE_MBUF_F_RX_L4_CKSUM_NONE : 0));
		assert_int_equal(m->vlan_tci, 0x6123);
		assert_int_equal(m->pkt_len, 60);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), stripped, 60);
		rte_pktmbuf_free(m);
		write_ipv4(IPPROTO_UDP, 0, 60);
		expect(&r, header(0, 0, 0), 60, 0, 0);
		/* A tag that is not whole stays. */
		frame[12] = 0x81;
		frame[13] = 0;
		expect(&r, header(0, 0, 0), 17, 0, 0);
		/* Nor does any when they are no longer asked for. */
		vlease_rxq_strip_vlan(r.rx.q, false);
		write_ipv4(IPPROTO_UDP, 0x6123, 64);
		expect(&r, header(0, 0, 0), 64, 0, 0);
		stop(&r);
	}
}

static void
hashes_are_reported(void **state)
{
	struct rte_mbuf *m;
	struct receiver r;
	uint32_t type;

	start(&r, VIRTIO_NET_F_HASH_REPORT | VIRTIO_NET_F_MRG_RXBUF, 0);
	write_ipv4(IPPROTO_UDP, 0, 2000);
	for (type = 0; type < 12; type++) {
		r.rx.device.hash_value = 0x12345678 + type;
		r.rx.device.hash_type = type;
		/* Of one buffer, and of several. */
		expect(&r, header(0, 0, 0), ROOM,
		       type >= 1 && type <= 9 ? RTE_MBUF_F_RX_RSS_HASH : 0, 0);
		m = receive(&r, header(0, 0, 0), 2000);
		assert_true(m->nb_segs > 1);
		assert_int_equal(m->ol_flags, type >= 1 && type <= 9 ? RTE_MBUF_F_RX_RSS_HASH : 0);
		if (type >= 1 && type <= 9)
			assert_int_equal(m->hash.rss, 0x12345678 + type);
		rte_pktmbuf_free(m);
	}
	stop(&r);
}

/** Each of these frames passes, with a checksum that is said to be bad and no segments. */
static void
headers_that_cannot_be_true_are_not_believed(void **state)
{
	const uint8_t needs = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	const uint64_t bad = RTE_MBUF_F_RX_L4_CKSUM_BAD;
	struct receiver r;

	start(&r, SEGMENTS, 0);
	write_ipv4(IPPROTO_UDP, 0, 60);
	expect(&r, header(needs, 60, 0), 60, bad, UDP4);
	expect(&r, header(needs, 59, 0), 60, bad, UDP4);
	expect(&r, header(needs, L4, 25), 60, bad, UDP4);
	expect(&r, header(needs, UINT16_MAX, UINT16_MAX), 60, bad, UDP4);
	expect(&r, header(needs, UINT16_MAX, 0), 60, bad, UDP4);
	expect(&r, header(needs, 0, UINT16_MAX), 60, bad, UDP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 100, L4), 60, bad, UDP4);
	write_ipv4(IPPROTO_TCP, 0, 2000);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 0, L4), 2000, bad, TCP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 2000, L4), 2000, bad, TCP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, UINT16_MAX, L4), 2000, bad, TCP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV6, 1000, L4), 2000, bad, TCP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_UDP, 1000, L4), 2000, bad, TCP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 1000, L4), 2000, bad,
	       TCP4);
	expect(&r, joined(0x77, 1000, L4), 2000, bad, TCP4);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 1000, L4 + 2), 2000, bad, TCP4);
	/* Where the checksum would be written lies in another buffer, where it cannot be. */
	expect(&r, header(needs, 1000, 100), 2000, bad, TCP4);
	/* Too short for what it claims to be. */
	expect(&r, header(needs, L4, 16), 14, bad, RTE_PTYPE_L2_ETHER);
	stop(&r);

	/* Nobody has agreed to joined segments. */
	start(&r, CHECKSUMS, 0);
	write_ipv4(IPPROTO_TCP, 0, 500);
	expect(&r, joined(VIRTIO_NET_HDR_GSO_TCPV4, 100, L4), 500, bad, TCP4);
	stop(&r);
}

/** Whatever the device writes into headers and frames. */
static void
noise_does_no_harm(void **state)
{
	uint64_t features = SEGMENTS | VIRTIO_NET_F_HASH_REPORT;
	struct vlease_net_hdr hdr;
	struct receiver r;
	unsigned int round;
	size_t len, at;

	start(&r, features, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	for (round = 0; round < 100000; round++) {
		len = 14 + draw_below(draw_below(8) ? 100 : 3000);
		if (draw_below(2))
			write_ipv4(draw_below(2) ? IPPROTO_TCP : IPPROTO_UDP,
				   draw_below(2) * draw_below(UINT16_MAX), len + 100);
		else
			write_ipv6(draw_below(256), len + 100);
		for (at = draw_below(4); at > 0; at--)
			frame[draw_below(60)] = draw_below(256);
		hdr = header(draw_below(8), draw_below(8) ? draw_below(120) : draw_below(65536),
			     draw_below(8) ? draw_below(40) : draw_below(65536));
		hdr.gso_type = draw_below(3) ? 0 : draw_below(256);
		hdr.gso_size = draw_below(65536);
		r.rx.device.hash_type = draw_below(65536);
		rte_pktmbuf_free(receive(&r, hdr, len));
	}
	stop(&r);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_reported),
		cmocka_unit_test(other_checksums_are_finished),
		cmocka_unit_test(joined_segments_are_reported),
		cmocka_unit_test(tags_are_stripped),
		cmocka_unit_test(hashes_are_reported),
		cmocka_unit_test(headers_that_cannot_be_true_are_not_believed),
		cmocka_unit_test(noise_does_no_harm),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
