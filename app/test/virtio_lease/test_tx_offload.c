/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Transmit offloads: the header of a frame says what the mbuf asks for, wherever that header
 * stands, and what cannot be done is neither sent nor forgotten.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "fixture.h"

#define BURST 32
#define ROOM 2048
#define L2 RTE_ETHER_HDR_LEN
#define TAG sizeof(struct rte_vlan_hdr)
#define TCI 0x6123

/** Of all queues here: none, VIRTIO_F_INDIRECT_DESC, VIRTIO_NET_F_HASH_REPORT. */
static uint64_t features;

/** How a frame lies in memory. */
enum shape {
	ALONE,		/* one segment, room for the header */
	CHAINED,	/* the same in three segments */
	SHARED,		/* somebody else has a reference */
	NO_ROOM,	/* nothing in front of it */
	NO_ROOM_CHAINED,
	TIGHT,		/* room for the header, not for a tag */
	N_SHAPES,
};

static struct rte_mbuf *
shaped(const struct pool *pool, enum shape shape, size_t len, uint32_t seed)
{
	const bool chained = shape == CHAINED || shape == NO_ROOM_CHAINED;
	struct rte_mbuf *m = chained ? frame_chain(pool, 3, len, seed) :
			     frame_mbuf(pool, RTE_PKTMBUF_HEADROOM, len, seed);
	const uint16_t room = shape == NO_ROOM || shape == NO_ROOM_CHAINED ? 0 :
			      shape == TIGHT ? vlease_hdr_size(features) + 1 : m->data_off;

	memmove(RTE_PTR_ADD(m->buf_addr, room), rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = room;
	if (shape == SHARED)
		rte_mbuf_refcnt_update(m, 1);
	return m;
}

static void
release(struct rte_mbuf *m, enum shape shape)
{
	if (shape == SHARED)
		rte_pktmbuf_free(m);
}

static void
transmit(struct tx *tx, struct rte_mbuf *m)
{
	assert_int_equal(tx->burst(tx->q, &m, 1), 1);
}

/** Take a frame with that header, tagged or not, and complete it. */
static void
expect(struct tx *tx, struct vlease_net_hdr header, size_t len, uint32_t seed, bool tagged)
{
	static uint8_t want[UINT16_MAX], got[UINT16_MAX];
	const struct rte_vlan_hdr tag = { RTE_BE16(RTE_ETHER_TYPE_VLAN), RTE_BE16(TCI) };
	const size_t at = 2 * RTE_ETHER_ADDR_LEN;

	make_frame(want, len, seed);
	if (tagged) {
		memmove(&want[at + TAG], &want[at], len - at);
		memcpy(&want[at], &tag, TAG);
		len += TAG;
	}
	tx->device.header = header;
	assert_int_equal(software_device_take(&tx->device, got, sizeof(got)), len);
	assert_memory_equal(got, want, len);
	software_device_complete(&tx->device, 1);
	vlease_txq_complete(tx->q);
	assert_int_equal(tx->q->broken, 0);
}

static void
finish(struct tx *tx, struct pool *pool)
{
	vlease_txq_complete(tx->q);
	assert_int_equal(vlease_txq_pending(tx->q), 0);
	assert_conserved(pool);
	free_tx(tx);
	assert_conserved(pool);
	free_pool(pool);
}

static void
ask_checksum(struct rte_mbuf *m, uint64_t l4)
{
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | l4;
	m->l2_len = L2;
	m->l3_len = sizeof(struct rte_ipv4_hdr);
}

static struct vlease_net_hdr
checksum_header(uint16_t start, uint16_t offset)
{
	return (struct vlease_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = rte_cpu_to_le_16(start),
		.csum_offset = rte_cpu_to_le_16(offset),
	};
}

static void
checksums_are_asked_for(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	enum shape shape;
	struct rte_mbuf *m;
	struct tx tx;

	make_tx_with(&tx, 16, features, VLEASE_TX_OFFLOADS);
	for (shape = 0; shape < N_SHAPES; shape++) {
		m = shaped(&pool, shape, 100, 1);
		ask_checksum(m, RTE_MBUF_F_TX_UDP_CKSUM);
		transmit(&tx, m);
		expect(&tx, checksum_header(L2 + 20, 6), 100, 1, false);
		release(m, shape);

		m = shaped(&pool, shape, 200, 2);
		ask_checksum(m, RTE_MBUF_F_TX_TCP_CKSUM);
		transmit(&tx, m);
		expect(&tx, checksum_header(L2 + 20, 16), 200, 2, false);
		release(m, shape);

		/* Inside of a tunnel. */
		m = shaped(&pool, shape, 300, 3);
		ask_checksum(m, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TUNNEL_VXLAN |
			     RTE_MBUF_F_TX_OUTER_IPV4);
		m->l2_len = sizeof(struct rte_udp_hdr) + 8 + L2;
		m->outer_l2_len = L2;
		m->outer_l3_len = 20;
		transmit(&tx, m);
		expect(&tx, checksum_header(L2 + 20 + 8 + 8 + L2 + 20, 16), 300, 3, false);
		release(m, shape);

		/* And nothing, where the header said something before. */
		m = shaped(&pool, shape, 100, 4);
		m->ol_flags |= RTE_MBUF_F_TX_IPV4;
		transmit(&tx, m);
		expect(&tx, (struct vlease_net_hdr){ 0 }, 100, 4, false);
		release(m, shape);
	}
	assert_int_equal(tx.q->stats.errors, 0);
	assert_int_equal(tx.q->stats.packets, 4 * N_SHAPES);
	finish(&tx, &pool);
}

static void
ask_segments(struct rte_mbuf *m, bool ipv6, uint16_t size)
{
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | (ipv6 ? RTE_MBUF_F_TX_IPV6 :
					       RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
	m->l2_len = L2;
	m->l3_len = ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	m->l4_len = sizeof(struct rte_tcp_hdr) + 12;
	m->tso_segsz = size;
}

static struct vlease_net_hdr
segment_header(bool ipv6, uint16_t size, uint16_t tag)
{
	const uint16_t start = L2 + tag + (ipv6 ? 40 : 20);
	struct vlease_net_hdr header = checksum_header(start, 16);

	header.gso_type = ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	header.gso_size = rte_cpu_to_le_16(size);
	header.hdr_len = rte_cpu_to_le_16(start + 32);
	return header;
}

static void
segmentation_is_asked_for(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	enum shape shape;
	struct rte_mbuf *m;
	struct tx tx;
	int ipv6;

	make_tx_with(&tx, 16, features, VLEASE_TX_OFFLOADS);
	for (shape = 0; shape < N_SHAPES; shape++) {
		for (ipv6 = 0; ipv6 < 2; ipv6++) {
			m = shaped(&pool, shape, 2000, 1);
			ask_segments(m, ipv6, 500 + ipv6);
			transmit(&tx, m);
			expect(&tx, segment_header(ipv6, 500 + ipv6, 0), 2000, 1, false);
			release(m, shape);
		}
	}
	assert_int_equal(tx.q->stats.errors, 0);
	finish(&tx, &pool);
}

/** Behind the addresses; what stands behind it moves, and in the header too. */
static void
tags_are_inserted(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf *m, copy;
	enum shape shape;
	struct tx tx;

	make_tx_with(&tx, 16, features, VLEASE_TX_OFFLOADS);
	for (shape = 0; shape < N_SHAPES; shape++) {
		m = shaped(&pool, shape, 100, 1);
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = TCI;
		copy = *m;
		transmit(&tx, m);
		/* What others may read stays as it was. */
		if (shape == SHARED)
			assert_memory_equal(m, &copy, sizeof(*m));
		expect(&tx, (struct vlease_net_hdr){ 0 }, 100, 1, true);
		release(m, shape);

		m = shaped(&pool, shape, 100, 2);
		ask_checksum(m, RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_UDP_CKSUM);
		m->vlan_tci = TCI;
		transmit(&tx, m);
		expect(&tx, checksum_header(L2 + TAG + 20, 6), 100, 2, true);
		release(m, shape);

		m = shaped(&pool, shape, 1000, 3);
		ask_segments(m, true, 300);
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = TCI;
		transmit(&tx, m);
		expect(&tx, segment_header(true, 300, TAG), 1000, 3, true);
		release(m, shape);
	}
	assert_int_equal(tx.q->stats.bytes, N_SHAPES * (100 + 100 + 1000 + 3 * TAG));
	finish(&tx, &pool);
}

/** A request that no device could follow. */
struct bad_request {
	const char *what;
	uint64_t flags;
	uint16_t l3_len, l4_len, tso_segsz, len;
	int error;
};

#define CSUM4 (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM)
#define TSO4 (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG)

static const struct bad_request bad_requests[] = {
	{ "headers beyond the frame", CSUM4, 500, 20, 0, 100, EINVAL },
	{ "checksum at the very end", CSUM4, 20, 20, 0, L2 + 20 + 17, EINVAL },
	{ "segments of nothing", TSO4, 20, 20, 0, 1000, EINVAL },
	{ "TCP header beyond the frame", TSO4, 20, 240, 100, 200, EINVAL },
	{ "segments without data", TSO4, 20, 20, 100, L2 + 40, EINVAL },
	{ "TCP header too short", TSO4, 20, 0, 100, 1000, EINVAL },
	{ "segments of no known protocol", RTE_MBUF_F_TX_TCP_SEG, 20, 20, 100, 1000, EINVAL },
	{ "segments of UDP", TSO4 | RTE_MBUF_F_TX_UDP_CKSUM, 20, 20, 100, 1000, EINVAL },
	{ "segments in a tunnel", TSO4 | RTE_MBUF_F_TX_TUNNEL_VXLAN, 20, 20, 100, 1000, ENOTSUP },
	{ "SCTP", RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_SCTP_CKSUM, 20, 0, 0, 100, ENOTSUP },
	{ "IPv4 checksum", RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM, 20, 0, 0, 100, ENOTSUP },
	{ "outer IPv4 checksum", CSUM4 | RTE_MBUF_F_TX_OUTER_IP_CKSUM, 20, 0, 0, 100, ENOTSUP },
	{ "outer UDP checksum", CSUM4 | RTE_MBUF_F_TX_OUTER_UDP_CKSUM, 20, 0, 0, 100, ENOTSUP },
	{ "UDP segments", RTE_MBUF_F_TX_UDP_SEG, 20, 8, 100, 1000, ENOTSUP },
	{ "two tags", RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_QINQ, 0, 0, 0, 100, ENOTSUP },
	{ "a tag without an Ethernet header", RTE_MBUF_F_TX_VLAN, 0, 0, 0, 13, EINVAL },
};

static struct rte_mbuf *
bad_frame(const struct pool *pool, const struct bad_request *bad, enum shape shape)
{
	struct rte_mbuf *m = shaped(pool, shape, bad->len, 0);

	m->ol_flags |= bad->flags;
	m->l2_len = L2;
	m->l3_len = bad->l3_len;
	m->l4_len = bad->l4_len;
	m->tso_segsz = bad->tso_segsz;
	return m;
}

static void
impossible_requests_are_refused(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	const struct bad_request *bad;
	struct rte_mbuf *m[2], *kept;
	uint64_t errors = 0;
	enum shape shape;
	struct tx tx;

	make_tx_with(&tx, 16, features, VLEASE_TX_OFFLOADS);
	for (bad = bad_requests; bad < bad_requests + RTE_DIM(bad_requests); bad++) {
		for (shape = 0; shape < N_SHAPES; shape++) {
			m[0] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 7);
			m[1] = kept = bad_frame(&pool, bad, shape);
			rte_errno = 0;
			if (vlease_prepare_pkts(tx.q, m, 2) != 1 || rte_errno != bad->error)
				fail_msg("%s: %s", bad->what, rte_strerror(rte_errno));
			assert_int_equal(tx.burst(tx.q, m, 2), 2);
			if (tx.q->stats.errors != ++errors)
				fail_msg("%s: sent", bad->what);
			expect(&tx, (struct vlease_net_hdr){ 0 }, 60, 7, false);
			assert_int_equal(software_device_take(&tx.device, NULL, 0), -1);
			release(kept, shape);
			assert_int_equal(free_mbufs(&pool), pool.size);
		}
	}
	finish(&tx, &pool);
}

/** What was not configured is not done, also where the burst function could. */
static void
queue_does_what_it_was_configured_for(void **state)
{
	static const uint64_t offloads[] = {
		0, RTE_ETH_TX_OFFLOAD_VLAN_INSERT, RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
		RTE_ETH_TX_OFFLOAD_TCP_TSO,
	};
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf *m[3];
	unsigned int i, j;
	struct tx tx;

	assert_null(vlease_tx_prepare(RTE_ETH_TX_OFFLOAD_MULTI_SEGS));
	assert_ptr_equal(vlease_tx_prepare(RTE_ETH_TX_OFFLOAD_TCP_TSO), vlease_prepare_pkts);
	for (i = 0; i < RTE_DIM(offloads); i++) {
		make_tx_with(&tx, 16, features, offloads[i]);
		tx.burst = vlease_tx_burst(tx.config.features, VLEASE_TX_OFFLOADS);
		m[0] = frame_mbuf(&pool, 0, 100, 0);
		m[0]->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m[0]->vlan_tci = TCI;
		m[1] = frame_mbuf(&pool, 0, 100, 1);
		ask_checksum(m[1], RTE_MBUF_F_TX_UDP_CKSUM);
		m[2] = frame_mbuf(&pool, 0, 1000, 2);
		ask_segments(m[2], false, 400);
		for (j = 0; j < 3; j++)
			transmit(&tx, m[j]);
		if (offloads[i] & RTE_ETH_TX_OFFLOAD_VLAN_INSERT)
			expect(&tx, (struct vlease_net_hdr){ 0 }, 100, 0, true);
		if (offloads[i] & (RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO))
			expect(&tx, checksum_header(L2 + 20, 6), 100, 1, false);
		if (offloads[i] & RTE_ETH_TX_OFFLOAD_TCP_TSO)
			expect(&tx, segment_header(false, 400, 0), 1000, 2, false);
		assert_int_equal(software_device_take(&tx.device, NULL, 0), -1);
		assert_int_equal(tx.q->stats.errors, i == 0 ? 3 : i < 3 ? 2 : 1);
		vlease_txq_complete(tx.q);
		assert_conserved(&pool);
		free_tx(&tx);
	}
	free_pool(&pool);
}

/** An IP packet with addresses, protocol and lengths, and noise in the rest. */
static struct rte_mbuf *
packet(const struct pool *pool, size_t len, bool ipv6, uint8_t protocol)
{
	struct rte_mbuf *m = frame_mbuf(pool, RTE_PKTMBUF_HEADROOM, len, 5);
	struct rte_ipv6_hdr *ip6 = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, L2);
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip6;

	if (ipv6) {
		ip6->payload_len = rte_cpu_to_be_16(len - L2 - sizeof(*ip6));
		ip6->proto = protocol;
	} else {
		ip4->version_ihl = RTE_IPV4_VHL_DEF;
		ip4->total_length = rte_cpu_to_be_16(len - L2);
		ip4->next_proto_id = protocol;
	}
	return m;
}

/** Do what a device does with a frame that asks for a checksum, and look whether it is right. */
static void
assert_checksum(const struct rte_mbuf *m, bool ipv6, size_t offset)
{
	const size_t start = L2 + (ipv6 ? 40 : 20);
	void *ip, *l4;
	uint8_t frame[ROOM];
	uint16_t sum;

	ip = &frame[L2];
	l4 = &frame[start];
	memcpy(frame, rte_pktmbuf_mtod(m, void *), m->data_len);
	sum = ~rte_raw_cksum(l4, m->data_len - start);
	memcpy(&frame[start + offset], &sum, sizeof(sum));
	if (ipv6)
		assert_int_equal(rte_ipv6_udptcp_cksum_verify(ip, l4), 0);
	else
		assert_int_equal(rte_ipv4_udptcp_cksum_verify(ip, l4), 0);
}

static void
prepared_checksums_come_out_right(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_ipv4_hdr *ip;
	struct rte_mbuf *m;
	struct tx tx;
	int ipv6;

	make_tx_with(&tx, 16, features, VLEASE_TX_OFFLOADS);
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		m = packet(&pool, 301, ipv6, IPPROTO_UDP);
		m->ol_flags |= (ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
			       RTE_MBUF_F_TX_UDP_CKSUM;
		m->l2_len = L2;
		m->l3_len = ipv6 ? 40 : 20;
		assert_int_equal(vlease_prepare_pkts(tx.q, &m, 1), 1);
		assert_checksum(m, ipv6, 6);
		rte_pktmbuf_free(m);

		m = packet(&pool, 900, ipv6, IPPROTO_TCP);
		ask_segments(m, ipv6, 100);
		assert_int_equal(vlease_prepare_pkts(tx.q, &m, 1), 1);
		assert_checksum(m, ipv6, 16);
		ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, L2);
		if (!ipv6)
			assert_int_equal((uint16_t)~rte_raw_cksum(ip, sizeof(*ip)), 0);
		rte_pktmbuf_free(m);
	}
	/* Headers that are not in one piece cannot be read. */
	m = frame_chain(&pool, 20, 200, 0);
	ask_checksum(m, RTE_MBUF_F_TX_TCP_CKSUM);
	rte_errno = 0;
	assert_int_equal(vlease_prepare_pkts(tx.q, &m, 1), 0);
	assert_true(rte_errno == ENOTSUP || rte_errno == EINVAL);
	rte_pktmbuf_free(m);
	finish(&tx, &pool);
}

/** Every request in every shape, completed in any order, past all wraps. */
static void
requests_do_not_get_mixed_up(void **state)
{
	enum { SIZE = 32, HISTORY = 64 };
	struct pool pool = make_pool(CHECKED_OPS, 512, 32, ROOM);
	struct { uint32_t kind; size_t len; } history[HISTORY];
	uint32_t sent = 0, seen = 0, kind;
	struct rte_mbuf *m;
	enum shape shape;
	struct tx tx;

	make_tx_with(&tx, SIZE, features, VLEASE_TX_OFFLOADS);
	tx.device.shuffle = 7;
	while (seen < 65536 + 11) {
		kind = draw_below(4);
		shape = draw_below(N_SHAPES);
		m = shaped(&pool, shape == SHARED ? ALONE : shape, 400 + draw_below(100), sent);
		history[sent % HISTORY].kind = kind;
		history[sent % HISTORY].len = m->pkt_len;
		if (kind == 1)
			ask_checksum(m, RTE_MBUF_F_TX_UDP_CKSUM);
		else if (kind == 2)
			ask_segments(m, true, 100);
		else if (kind == 3)
			m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = TCI;
		if (tx.burst(tx.q, &m, 1) == 1)
			sent++;
		else
			rte_pktmbuf_free(m);
		while (seen < sent && draw_below(2)) {
			struct vlease_net_hdr want = { 0 };
			size_t len = history[seen % HISTORY].len;

			kind = history[seen % HISTORY].kind;
			if (kind == 1)
				want = checksum_header(L2 + 20, 6);
			else if (kind == 2)
				want = segment_header(true, 100, 0);
			tx.device.header = want;
			assert_int_equal(software_device_take(&tx.device, NULL, 0),
					 len + (kind == 3 ? TAG : 0));
			seen++;
		}
		if (draw_below(3) == 0)
			software_device_complete(&tx.device, draw_below(SIZE));
		assert_int_equal(tx.q->broken, 0);
	}
	assert_int_equal(tx.q->stats.errors, 0);
	free_tx(&tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_asked_for),
		cmocka_unit_test(segmentation_is_asked_for),
		cmocka_unit_test(tags_are_inserted),
		cmocka_unit_test(impossible_requests_are_refused),
		cmocka_unit_test(queue_does_what_it_was_configured_for),
		cmocka_unit_test(prepared_checksums_come_out_right),
		cmocka_unit_test(requests_do_not_get_mixed_up),
	};
	int failed;

	start_eal(argv[0]);
	failed = run_in_all_modes(tests);
	features = VIRTIO_F_INDIRECT_DESC;
	failed += run_in_all_modes(tests);
	features = VIRTIO_F_INDIRECT_DESC | VIRTIO_NET_F_HASH_REPORT;
	return failed + run_in_all_modes(tests);
}
