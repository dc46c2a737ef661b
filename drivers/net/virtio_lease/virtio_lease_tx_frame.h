/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_TX_FRAME_H
#define VIRTIO_LEASE_TX_FRAME_H

/**
 * @file
 * A frame on its way to the device: what it asks for, where its header goes, and the memory that
 * its descriptors describe.
 */

#include <assert.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "virtio_lease_rxtx.h"

/** What a frame's header says, as the words it is stored as, and how long its tag is. */
struct tx_header {
	uint64_t low;
	uint32_t high;
	uint16_t tag;		/* bytes to insert behind the Ethernet addresses */
};

/** In place of tx_header.tag: nobody can send this. There is never room for it. */
#define TX_UNSENDABLE UINT16_MAX

/** A frame of several pieces. */
struct tx_chain {
	struct rte_mbuf *m;
	struct tx_header header;
	uint16_t hdr_size;
	uint16_t need;		/* pieces: segments, and the header if it has one of its own */
	bool room;		/* the header stands in front of the data */
};

/** Memory that one descriptor describes. */
struct tx_piece {
	rte_iova_t addr;
	uint32_t len;
};

/** mbuf flags that ask for something. The others describe the frame. */
#define TX_REQUESTS (RTE_MBUF_F_TX_OFFLOAD_MASK & \
		     ~(RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_OUTER_IPV4 | \
		       RTE_MBUF_F_TX_OUTER_IPV6 | RTE_MBUF_F_TX_TUNNEL_MASK))

/** From one value of RTE_MBUF_F_TX_L4_MASK to the next. */
#define TX_L4_STEP RTE_MBUF_F_TX_TCP_CKSUM

/** The frame has headers outside of those that its requests are about. */
#define TX_TUNNEL (RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IPV6 | RTE_MBUF_F_TX_TUNNEL_MASK)

/** Have the device compute the checksum from start on; VIRTIO 1.2, 5.1.6.2. False: it cannot. */
static inline bool
tx_checksum(const struct vlease_txq *q, const struct rte_mbuf *m, uint32_t start, uint64_t l4,
	    struct tx_header *header)
{
	const uint32_t offset = q->cksum_offset[l4 / TX_L4_STEP];

	header->low = VIRTIO_NET_HDR_F_NEEDS_CSUM | (uint64_t)start << 48;
	header->high = offset;
	return (uint64_t)start + offset + sizeof(uint16_t) <= m->pkt_len;
}

/** All that a frame can ask for, together. */
struct tx_header vlease_tx_requests(const struct vlease_txq *q, const struct rte_mbuf *m);

/** What a frame asks for: mostly nothing, or one checksum. */
static inline struct tx_header
tx_header(const struct vlease_txq *q, const struct rte_mbuf *m)
{
	const uint64_t flags = m->ol_flags, l4 = flags & RTE_MBUF_F_TX_L4_MASK;
	struct tx_header header = { 0 };

	if (unlikely(flags & ((TX_REQUESTS & ~RTE_MBUF_F_TX_L4_MASK) | TX_TUNNEL)))
		return vlease_tx_requests(q, m);
	if (l4 != 0 && unlikely(!tx_checksum(q, m, m->l2_len + m->l3_len, l4, &header)))
		header.tag = TX_UNSENDABLE;
	return header;
}

/**
 * Whether the frame's header can stand in front of its data, a tag included: nobody else refers
 * to the buffer, and there is room.
 */
static inline int
tx_has_room(const struct rte_mbuf *m, struct tx_header header, size_t hdr_size)
{
	return m->data_off >= hdr_size + header.tag && rte_mbuf_refcnt_read(m) == 1 &&
	       RTE_MBUF_DIRECT(m);
}

/** The same of a frame that is one segment: then one descriptor does for header and data. */
static inline int
tx_is_one_piece(const struct rte_mbuf *m, struct tx_header header, const size_t hdr_size)
{
	uint32_t refcnt_nb_segs;

	static_assert(offsetof(struct rte_mbuf, nb_segs) == offsetof(struct rte_mbuf, refcnt) + 2,
		      "one load has both");
	memcpy(&refcnt_nb_segs, RTE_PTR_ADD(m, offsetof(struct rte_mbuf, refcnt)),
	       sizeof(refcnt_nb_segs));
	return m->data_off >= hdr_size + header.tag && refcnt_nb_segs == 0x00010001 &&
	       RTE_MBUF_DIRECT(m);
}

static inline void
tx_store_header(void *at, struct tx_header header, const size_t hdr_size)
{
	uint64_t low = rte_cpu_to_le_64(header.low);
	uint32_t high = rte_cpu_to_le_32(header.high);

	memcpy(at, &low, sizeof(low));
	memcpy(RTE_PTR_ADD(at, sizeof(low)), &high, sizeof(high));
	/* The hash, which is for received frames. */
	if (hdr_size > VLEASE_NET_HDR_SIZE)
		memset(RTE_PTR_ADD(at, VLEASE_NET_HDR_SIZE), 0,
		       VLEASE_NET_HASH_HDR_SIZE - VLEASE_NET_HDR_SIZE);
}

/** Put the header in front of the data, and the tag into the frame. */
static inline void
tx_put_header(struct rte_mbuf *m, struct tx_header header, const size_t hdr_size)
{
	if (unlikely(header.tag != 0))
		rte_vlan_insert(&m);
	tx_store_header(RTE_PTR_ADD(m->buf_addr, m->data_off - hdr_size), header, hdr_size);
}

/** A frame of one piece, its header in front of its data. */
static inline struct tx_piece
tx_frame_piece(const struct rte_mbuf *m, const size_t hdr_size)
{
	return (struct tx_piece){
		rte_mbuf_data_iova(m) - hdr_size, m->data_len + hdr_size,
	};
}

/** The header of a chain that has no room for it, in the memory of the chain's first id. */
static inline struct tx_piece
tx_header_piece(struct vlease_txq *q, const struct tx_chain *chain, uint16_t id)
{
	const uint16_t hdr_size = chain->hdr_size, unused = sizeof(q->headers->net) - hdr_size;
	const struct rte_mbuf *m = chain->m;
	struct vlease_tx_header *own;

	if ((chain->header.low | chain->header.tag) == 0)
		return (struct tx_piece){ q->header_iova, hdr_size };
	own = &q->headers[id];
	tx_store_header(RTE_PTR_ADD(own, unused), chain->header, hdr_size);
	if (chain->header.tag != 0) {
		memcpy(own->addresses, rte_pktmbuf_mtod(m, void *), sizeof(own->addresses));
		own->tag_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		own->tag = rte_cpu_to_be_16(m->vlan_tci);
	}
	return (struct tx_piece){
		q->headers_iova + id * sizeof(*own) + unused,
		chain->header.tag != 0 ? sizeof(*own) - unused : hdr_size,
	};
}

/** What is left of a segment: of the first one, what does not stand in the header's memory. */
static inline struct tx_piece
tx_segment_piece(const struct tx_chain *chain, const struct rte_mbuf *seg)
{
	struct tx_piece piece = { rte_mbuf_data_iova(seg), seg->data_len };
	int behind = chain->room ? -(int)chain->hdr_size :
		     chain->header.tag != 0 ? 2 * RTE_ETHER_ADDR_LEN : 0;

	if (seg == chain->m) {
		piece.addr += behind;
		piece.len -= behind;
	}
	return piece;
}

/**
 * Pieces that a frame consists of, or 0 if no chain can hold it: its segments are not as many as
 * it says, one is empty (devices refuse descriptors of no bytes, tried: QEMU stops the device),
 * or they are more than the ring has (VIRTIO 1.2, 2.7.5.3.1, 2.8.5).
 */
static inline unsigned int
tx_chain_length(const struct vlease_txq *q, const struct rte_mbuf *m, int room)
{
	const struct rte_mbuf *seg = m;
	unsigned int n = 0;

	for (; seg != NULL && n < m->nb_segs; seg = seg->next, n++)
		if (seg->data_len == 0)
			return 0;
	if (seg != NULL || n != m->nb_segs || n + !room > q->size)
		return 0;
	return n + !room;
}

#endif /* VIRTIO_LEASE_TX_FRAME_H */
