/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_net.h>

#include "virtio_lease_tx_frame.h"

size_t
vlease_txq_bytes(uint16_t size)
{
	return sizeof(struct vlease_txq) +
	       RTE_ALIGN_CEIL(size * (sizeof(uintptr_t) + 2 * sizeof(uint16_t)),
			      RTE_CACHE_LINE_SIZE);
}

void
vlease_txq_reset(struct vlease_txq *q)
{
	struct vlease_packed_event *driver = RTE_PTR_ADD(q->packed_desc,
							 vlease_packed_driver_offset(q->size));
	unsigned int i;

	memset(q->desc, 0, vlease_layout_bytes(q->size, q->packed));
	if (q->packed)
		driver->flags = RTE_LE16(VLEASE_PACKED_EVENT_DISABLE);
	else if (!q->event_idx) /* with it, flags must be 0 (VIRTIO 1.2, 2.7.7.1) */
		q->avail->flags = RTE_LE16(VLEASE_AVAIL_NO_INTERRUPT);
	for (i = 0; i < q->size; i++) {
		q->free_ids[i] = i;
		q->slots[i] = VLEASE_SLOT_IDLE;
	}
	q->pool = NULL;
	q->free_head = 0;
	q->free_tail = q->size;
	q->avail_idx = 0;
	q->used_cons = 0;
	q->rung = 0;
	q->broken = VLEASE_INTACT;
}

/** What frames must not ask of a queue. */
static uint64_t
tx_refused(uint64_t offloads)
{
	uint64_t refused = TX_REQUESTS;

	if (offloads & (RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM))
		refused &= ~RTE_MBUF_F_TX_L4_MASK;
	if (offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
		refused &= ~(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG);
	if (offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT)
		refused &= ~RTE_MBUF_F_TX_VLAN;
	return refused;
}

static void
tx_set_cksum_offsets(struct vlease_txq *q)
{
	uint32_t *offsets = q->cksum_offset;
	unsigned int i;

	for (i = 0; i < RTE_DIM(q->cksum_offset); i++)
		offsets[i] = UINT32_MAX;
	if (q->refused & RTE_MBUF_F_TX_L4_MASK)
		return;
	offsets[RTE_MBUF_F_TX_TCP_CKSUM / TX_L4_STEP] = offsetof(struct rte_tcp_hdr, cksum);
	offsets[RTE_MBUF_F_TX_UDP_CKSUM / TX_L4_STEP] = offsetof(struct rte_udp_hdr, dgram_cksum);
}

int
vlease_txq_init(struct vlease_txq *q, const struct vlease_queue_config *c)
{
	size_t offset;

	if (!rte_is_power_of_2(c->size) || c->size > VLEASE_MAX_QUEUE_SIZE ||
	    c->free_thresh > c->size || c->vq_index >= VLEASE_MAX_VQS ||
	    (uintptr_t)c->ring % RTE_CACHE_LINE_SIZE != 0)
		return -EINVAL;

	q->free_ids = (uint16_t *)&q->slots[c->size];
	if (vlease_is_packed(c)) {
		q->packed_desc = c->ring;
		q->next_ids = &q->free_ids[c->size];
		q->device_event = RTE_PTR_ADD(c->ring, vlease_packed_device_offset(c->size));
		q->header_iova = c->ring_iova + vlease_packed_header_offset(c->size);
	} else {
		q->desc = c->ring;
		q->avail = RTE_PTR_ADD(c->ring, vlease_avail_offset(c->size));
		q->used = RTE_PTR_ADD(c->ring, vlease_used_offset(c->size));
		q->header_iova = c->ring_iova + vlease_header_offset(c->size);
	}
	q->headers = NULL;
	if (c->offloads & VLEASE_TX_HEADER_OFFLOADS) {
		offset = vlease_tx_headers_offset(c->size, c->features);
		q->headers = RTE_PTR_ADD(c->ring, offset);
		q->headers_iova = c->ring_iova + offset;
	}
	q->table_entries = 0;
	if (c->features & VIRTIO_F_INDIRECT_DESC) {
		offset = vlease_tx_tables_offset(c->size, c->features, c->offloads);
		q->tables = RTE_PTR_ADD(c->ring, offset);
		q->tables_iova = c->ring_iova + offset;
		q->table_entries = VLEASE_TX_TABLE;
	}
	q->hdr_size = vlease_hdr_size(c->features);
	q->refused = tx_refused(c->offloads);
	tx_set_cksum_offsets(q);
	q->packed = vlease_is_packed(c);
	q->in_order = vlease_is_in_order(c);
	q->event_idx = vlease_has_event_idx(c);
	q->notification_data = vlease_has_notification_data(c);
	q->doorbell_slot = vlease_doorbell_slot(c->port_id, c->vq_index);
	q->size = c->size;
	q->mask = c->size - 1;
	q->free_thresh = vlease_free_thresh(c);
	q->vq_index = c->vq_index;
	vlease_txq_reset(q);
	return 0;
}

static unsigned int
tx_complete(struct vlease_txq *q, unsigned int most)
{
	if (q->broken)
		return 0;
	return q->packed ? vlease_packed_complete(q, most) : vlease_split_complete(q, most);
}

uint16_t
vlease_txq_send(struct vlease_txq *q, volatile uint16_t *doorbell, struct rte_mbuf **tx_pkts,
		uint16_t nb_pkts)
{
	return q->packed ? vlease_packed_send(q, doorbell, tx_pkts, nb_pkts) :
	       vlease_split_send(q, doorbell, tx_pkts, nb_pkts);
}

unsigned int
vlease_txq_complete(struct vlease_txq *q)
{
	return tx_complete(q, UINT_MAX);
}

int
vlease_tx_done_cleanup(void *tx_queue, uint32_t most)
{
	struct vlease_txq *q = tx_queue;
	const uint16_t before = q->used_cons;
	int n = -ENODEV;

	if (vlease_burst_begin(q->doorbell_slot) != NULL) {
		/* A frame takes at least one descriptor. */
		tx_complete(q, most == 0 ? UINT_MAX : most);
		n = (uint16_t)(q->used_cons - before);
	}
	vlease_burst_end(q->doorbell_slot);
	return n;
}

int
vlease_tx_descriptor_status(void *tx_queue, uint16_t offset)
{
	struct vlease_txq *q = tx_queue;
	int status = RTE_ETH_TX_DESC_UNAVAIL;

	if (offset >= q->size)
		return -EINVAL;
	if (vlease_burst_begin(q->doorbell_slot) != NULL) {
		vlease_txq_complete(q);
		status = offset < q->size - vlease_txq_pending(q) ? RTE_ETH_TX_DESC_DONE :
			 RTE_ETH_TX_DESC_FULL;
	}
	vlease_burst_end(q->doorbell_slot);
	return status;
}

int
vlease_tx_queue_count(void *tx_queue)
{
	return vlease_txq_pending(tx_queue);
}

struct tx_header
vlease_tx_requests(const struct vlease_txq *q, const struct rte_mbuf *m)
{
	const uint64_t flags = m->ol_flags, l4 = flags & RTE_MBUF_F_TX_L4_MASK;
	const uint16_t tag = flags & RTE_MBUF_F_TX_VLAN ? sizeof(struct rte_vlan_hdr) : 0;
	uint32_t start = m->l2_len + m->l3_len, hdr_len;
	struct tx_header header = { 0 };
	uint64_t refused = q->refused;
	bool bad = false;
	uint8_t gso_type;

	if (flags & TX_TUNNEL)
		start += m->outer_l2_len + m->outer_l3_len;
	if (flags & RTE_MBUF_F_TX_TCP_SEG) {
		hdr_len = start + m->l4_len;
		gso_type = flags & RTE_MBUF_F_TX_IPV6 ? VIRTIO_NET_HDR_GSO_TCPV6 :
			   VIRTIO_NET_HDR_GSO_TCPV4;
		bad = !tx_checksum(q, m, start, RTE_MBUF_F_TX_TCP_CKSUM, &header);
		header.low |= (uint64_t)gso_type << 8 | (uint64_t)(hdr_len + tag) << 16 |
			      (uint64_t)m->tso_segsz << 32;
		bad |= m->tso_segsz == 0 || m->l4_len < sizeof(struct rte_tcp_hdr) ||
		       hdr_len >= m->pkt_len || flags & TX_TUNNEL ||
		       !(flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6)) ||
		       (l4 != 0 && l4 != RTE_MBUF_F_TX_TCP_CKSUM);
		/* The device computes the IPv4 checksums of the segments. */
		refused &= ~RTE_MBUF_F_TX_IP_CKSUM;
	} else if (l4 != 0) {
		bad = !tx_checksum(q, m, start, l4, &header);
	}
	if (header.low != 0)
		header.low += (uint64_t)tag << 48;
	bad |= (flags & refused) != 0 || (tag != 0 && m->data_len < RTE_ETHER_HDR_LEN);
	header.tag = bad ? TX_UNSENDABLE : tag;
	return header;
}

/** Why a frame cannot be sent, as a negative errno, or 0. */
static int
tx_check(const struct vlease_txq *q, const struct rte_mbuf *m)
{
	const uint64_t flags = m->ol_flags;
	uint64_t refused = q->refused;

	if (flags & RTE_MBUF_F_TX_TCP_SEG)
		refused &= ~RTE_MBUF_F_TX_IP_CKSUM;
	if (flags & refused || (flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_SCTP_CKSUM ||
	    (flags & RTE_MBUF_F_TX_TCP_SEG && flags & TX_TUNNEL))
		return -ENOTSUP;
	if (vlease_tx_requests(q, m).tag == TX_UNSENDABLE || tx_chain_length(q, m, 1) == 0)
		return -EINVAL;
	return 0;
}

/** Write the checksums that the device goes on from; VIRTIO 1.2, 5.1.6.2. */
static int
tx_prepare(struct rte_mbuf *m)
{
	const bool tso = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG, tunnel = m->ol_flags & TX_TUNNEL;
	const bool ipv4 = m->ol_flags & RTE_MBUF_F_TX_IPV4;
	const uint64_t l4 = tso ? RTE_MBUF_F_TX_TCP_CKSUM : m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	const uint32_t at = m->l2_len + (tunnel ? m->outer_l2_len + m->outer_l3_len : 0);
	const uint32_t l4_len = l4 == RTE_MBUF_F_TX_TCP_CKSUM ? sizeof(struct rte_tcp_hdr) :
				sizeof(struct rte_udp_hdr);
	struct rte_ipv4_hdr *ip;

	if (l4 == 0)
		return 0;
	if (m->l3_len < (ipv4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)))
		return -EINVAL;
	if (at + m->l3_len + l4_len > m->data_len)
		return -ENOTSUP;
	if (tso && ipv4) {
		ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, at);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	/* Without a word of TSO: the pseudo header has the length of the whole frame. */
	return rte_net_intel_cksum_flags_prepare(m, l4 | (ipv4 ? RTE_MBUF_F_TX_IPV4 : 0) |
						 (tunnel ? RTE_MBUF_F_TX_OUTER_IPV4 : 0));
}

uint16_t
vlease_prepare_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts)
{
	const struct vlease_txq *q = tx_queue;
	uint16_t n;
	int ret;

	for (n = 0; n < nb_pkts; n++) {
		ret = tx_check(q, tx_pkts[n]);
		if (ret == 0)
			ret = tx_prepare(tx_pkts[n]);
		if (ret != 0) {
			rte_errno = -ret;
			break;
		}
	}
	return n;
}

vlease_burst_t
vlease_tx_burst(uint64_t features, uint64_t offloads)
{
	static const vlease_burst_t bursts[3][2][2] = {
		{
			{ vlease_xmit_pkts, vlease_xmit_in_order_pkts },
			{ vlease_xmit_packed_pkts, vlease_xmit_packed_in_order_pkts },
		},
		{
			{ vlease_xmit_offload_pkts, vlease_xmit_in_order_offload_pkts },
			{
				vlease_xmit_packed_offload_pkts,
				vlease_xmit_packed_in_order_offload_pkts,
			},
		},
		{
			{ vlease_xmit_hash_pkts, vlease_xmit_in_order_hash_pkts },
			{ vlease_xmit_packed_hash_pkts, vlease_xmit_packed_in_order_hash_pkts },
		},
	};
	const unsigned int kind = features & VIRTIO_NET_F_HASH_REPORT ? 2 :
				  (offloads & VLEASE_TX_HEADER_OFFLOADS) != 0;

	return bursts[kind]
		     [(features & VIRTIO_F_RING_PACKED) != 0]
		     [(features & VIRTIO_F_IN_ORDER) != 0];
}

vlease_burst_t
vlease_tx_prepare(uint64_t offloads)
{
	return offloads & VLEASE_TX_HEADER_OFFLOADS ? vlease_prepare_pkts : NULL;
}
