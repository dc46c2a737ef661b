/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RXTX_H
#define VIRTIO_LEASE_RXTX_H

/**
 * @file
 * Receive and transmit queues over a split or a packed virtqueue. They know memory and a doorbell;
 * what carries them to the device is not their business.
 *
 * A queue is a struct in memory that processes share. It holds pointers into that memory, which
 * all processes map at the same address, and none that belong to one process. One process uses a
 * queue at a time, in one thread at a time (the owner); the others read its counters.
 *
 * The contract of reclaim. The owner may be killed at any instruction, and then another process
 * takes every mbuf that belonged to the queue, no more and no less:
 *
 * - A descriptor id is either free or the queue's. The free ids stand in a FIFO, and two counters
 *   say which of its slots hold them. An id that is not there is the queue's, and so is the mbuf
 *   in its slot of slots[]; with VLEASE_SLOT_WHOLE, so are those that hang on that one, and they
 *   hang on it until the id is given back. With VIRTIO_F_IN_ORDER slot and id are the same, and
 *   there is no FIFO but the counters.
 * - Taking ids out of the FIFO is one store (free_head), made when the mbufs stand in their slots
 *   and before the device can see the descriptors.
 * - Giving ids back is one store (Rx: used_cons, Tx: free_tail), made before the mbufs go to the
 *   application or to their pool.
 *
 * So no mbuf gets two owners by a queue. By the cache of a pool it can, if the owner is killed in
 * rte_pktmbuf_free(), which frees a frame that cannot be sent and what a sent clone is attached to.
 *
 * Lost are those that the owner had in its hands: taken from the pool and not yet posted (one
 * refill batch), completed and not yet put into the pool (one completion batch), what was on its
 * way between an lcore's cache and the pool, and what the application held.
 *
 * Low bits of a slot, free because an mbuf is aligned to a cache line:
 */

/**
 * Not with the device: a used entry must not name this id. The pointer remains (see above). In
 * order nothing needs to be marked: which ids are with the device follows from the counters.
 */
#define VLEASE_SLOT_IDLE ((uintptr_t)1)
/** Tx: not the first descriptor of a frame, so a used entry must not name it. */
#define VLEASE_SLOT_INNER ((uintptr_t)2)
/** Tx: the frame goes on in another descriptor. */
#define VLEASE_SLOT_MORE ((uintptr_t)4)
/** Tx: the mbuf is shared, attached or of another pool: freeing it must look at it. */
#define VLEASE_SLOT_FOREIGN ((uintptr_t)8)
/** Tx: the frame's other segments hang on this mbuf; one descriptor stands for all of them. */
#define VLEASE_SLOT_WHOLE ((uintptr_t)16)
#define VLEASE_SLOT_BITS ((uintptr_t)31)

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_power_intrinsics.h>

#include "virtio_lease_doorbell.h"
#include "virtio_lease_ring.h"
#include "virtio_lease_ring_packed.h"
#include "virtio_lease_virtio.h"

/**
 * What the data path masters. The first are features that it asks nothing of the application for;
 * the others are the offloads that a port may offer if the device has the features that it takes.
 */
#define VLEASE_DATAPATH_FEATURES \
	(VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | \
	 VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_ORDER_PLATFORM | \
	 VIRTIO_F_NOTIFICATION_DATA)
#define VLEASE_RX_OFFLOADS \
	(RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_VLAN_STRIP | \
	 RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | \
	 RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_RSS_HASH)
#define VLEASE_TX_OFFLOADS \
	(VLEASE_TX_HEADER_OFFLOADS | RTE_ETH_TX_OFFLOAD_MULTI_SEGS | \
	 RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)

/** Those for which frames get a header that says more than nothing, or a tag. */
#define VLEASE_TX_HEADER_OFFLOADS \
	(RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VLAN_INSERT)

/**
 * Entries of an indirect table (VIRTIO 1.2, 2.7.5.3). Each id has one, in the ring memory; frames
 * with more pieces take as many descriptors.
 */
#define VLEASE_TX_TABLE 16

/** Why a queue was given up: what the device did that no device may do. */
enum vlease_broken {
	VLEASE_INTACT = 0,
	VLEASE_BROKEN_USED_IDX,		/**< used index ahead of what was made available */
	VLEASE_BROKEN_USED_ID,		/**< used entry names an id that is not outstanding */
	VLEASE_BROKEN_LENGTH,		/**< more bytes than the buffer has, or no header */
	VLEASE_BROKEN_NUM_BUFFERS,	/**< frame of no buffers, or of more than were posted */
	VLEASE_BROKEN_CHAIN,		/**< descriptors of a sent frame were overwritten */
};

/** What a queue is made of. The maker keeps it in its own memory: reclaim trusts nothing else. */
struct vlease_queue_config {
	void *ring;		/**< vlease_[rt]xq_ring_bytes(), aligned to a cache line */
	rte_iova_t ring_iova;	/**< the same for the device */
	struct rte_mempool *pool; /**< Rx only: where buffers come from; one data room for all */
	struct rte_mempool *owned; /**< reclaim: a pool that only the queue's owner uses, or NULL */
	bool owner_ended;	/**< reclaim: leave its mbufs alone, since it is to be rebuilt */
	uint16_t size;		/**< descriptors: a power of two, at most 32768 */
	uint16_t vq_index;	/**< what is written to the doorbell; VIRTIO 1.2, 4.1.5.2 */
	uint16_t port_id;
	/**
	 * Rx: free descriptors that trigger a refill. Tx: completions, or free descriptors left,
	 * that trigger a collection. 0: a default; at most size.
	 */
	uint16_t free_thresh;
	uint64_t features;	/**< negotiated, VIRTIO 1.2, 5.1.3 and 6 */
	uint64_t offloads;	/**< RTE_ETH_RX_OFFLOAD_* or RTE_ETH_TX_OFFLOAD_* in use */
};

static inline bool
vlease_is_packed(const struct vlease_queue_config *config)
{
	return (config->features & VIRTIO_F_RING_PACKED) != 0;
}

static inline bool
vlease_is_in_order(const struct vlease_queue_config *config)
{
	return (config->features & VIRTIO_F_IN_ORDER) != 0;
}

/** Bytes in front of every frame, in both directions. */
static inline uint8_t
vlease_hdr_size(uint64_t features)
{
	return features & VIRTIO_NET_F_HASH_REPORT ? VLEASE_NET_HASH_HDR_SIZE :
	       VLEASE_NET_HDR_SIZE;
}

static inline bool
vlease_has_event_idx(const struct vlease_queue_config *config)
{
	return (config->features & VIRTIO_F_EVENT_IDX) != 0;
}

static inline bool
vlease_has_notification_data(const struct vlease_queue_config *config)
{
	return (config->features & VIRTIO_F_NOTIFICATION_DATA) != 0;
}

/** Counters of a receive queue. Written by the owner only, never reset by this code. */
struct vlease_rx_stats {
	uint64_t packets;
	uint64_t bytes;		/**< frames without their header */
	uint64_t errors;	/**< frames shorter than an Ethernet header, queues broken */
	uint64_t nombuf;	/**< mbufs that the pool did not have */
	uint64_t doorbells;	/**< rung */
	uint64_t suppressed;	/**< not rung, because the device asked for none */
};

/** Receive queue. */
struct vlease_rxq {
	/* Constant while the queue lives. */
	union {
		struct vlease_desc *desc;
		struct vlease_packed_desc *packed_desc;
	};
	struct vlease_avail *avail;	/**< split */
	union {
		const struct vlease_used *used;
		const struct vlease_packed_event *device_event;
	};
	struct rte_mempool *pool;
	uint64_t rearm;		/**< rearm_data of a fresh mbuf */
	uint64_t ol_flags;	/**< of a fresh mbuf: only what says where its buffer is */
	uint32_t doorbell_slot;
	/**
	 * Bytes of a posted buffer, header included. It starts where the data of a frame's first
	 * buffer then begins right behind the headroom.
	 */
	uint16_t buf_len;
	/**
	 * From an mbuf to the buffer that is posted, for the processor and for the device alike;
	 * 0 if that differs or varies. Then a burst need not look at the mbufs to know it.
	 */
	uint16_t buf_offset;
	uint16_t size;
	uint16_t mask;		/**< size - 1 */
	uint16_t free_thresh;
	uint16_t vq_index;

	/**
	 * Changed by every burst. Free ids stand in the FIFO from free_head, which split is the
	 * avail index, up to used_cons + size. One used entry frees one id, so the device's place
	 * in the used ring is also the end of the FIFO, and a device that uses buffers in order
	 * leaves the FIFO as it is. The same ids stand in the ring, which is not looked at: it is
	 * where the device can write.
	 */
	uint16_t free_head __rte_cache_aligned;
	uint16_t used_cons;
	uint8_t rung;		/**< whether the device has had a doorbell since the reset */
	uint8_t broken;		/**< enum vlease_broken */
	bool packed;		/* constant, like what follows; here is room for them */
	bool in_order;
	bool event_idx;
	bool notification_data;
	uint8_t hdr_size;	/**< in front of every frame */
	uint8_t offloads;	/**< VLEASE_RX_CHECKSUM and so on: what else a frame needs */
	struct vlease_rx_stats stats;

	/** The mbuf of each id; behind them the FIFO of ids. */
	uintptr_t slots[] __rte_cache_aligned;
};

/** The FIFO of free ids, for the owner. */
static inline uint16_t *
vlease_rxq_free_ids(struct vlease_rxq *q)
{
	return (uint16_t *)&q->slots[q->size];
}

/** Counters of a transmit queue. */
struct vlease_tx_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t errors;	/**< frames dropped since they cannot be sent, queues broken */
	uint64_t full;		/**< bursts cut short for want of descriptors */
	uint64_t doorbells;
	uint64_t suppressed;
};

/**
 * Where a frame's header is if it cannot stand in front of the data, and behind it, if the device
 * gets a tag too, the Ethernet header up to the tag. A shorter header leaves the first bytes out.
 */
struct vlease_tx_header {
	struct vlease_net_hash_hdr net;
	struct rte_ether_addr addresses[2];
	rte_be16_t tag_type;
	rte_be16_t tag;
};

/** Transmit queue. */
struct vlease_txq {
	/* Constant while the queue lives. */
	union {
		struct vlease_desc *desc;
		struct vlease_packed_desc *packed_desc;
	};
	union {
		struct vlease_avail *avail;
		uint16_t *next_ids;	/**< packed: what desc->next is else; behind free_ids[] */
	};
	union {
		const struct vlease_used *used;
		const struct vlease_packed_event *device_event;
	};
	uint16_t *free_ids;	/**< behind slots[]; not used in order */
	uint64_t refused;	/**< mbuf flags: what frames must not ask of this queue */
	/**
	 * By RTE_MBUF_F_TX_L4_MASK: where in its header a protocol has its checksum; beyond every
	 * frame if frames must not ask for it.
	 */
	uint32_t cksum_offset[4];
	/**
	 * Of all mbufs in slots without VLEASE_SLOT_FOREIGN: they were direct, unshared and of
	 * one segment when they were sent, nobody else may have changed that, and so they return
	 * to their pool without another look. Changes only while no frame is pending.
	 */
	struct rte_mempool *pool;
	uint32_t doorbell_slot;
	uint16_t size;
	uint16_t mask;
	uint16_t free_thresh;
	uint16_t vq_index;
	bool packed;
	bool in_order;
	bool event_idx;
	bool notification_data;
	rte_iova_t header_iova;	/**< the header of all zeroes */
	/** Of each id, in the ring memory. NULL without VLEASE_TX_HEADER_OFFLOADS. */
	struct vlease_tx_header *headers;
	rte_iova_t headers_iova;
	/** Indirect tables of VLEASE_TX_TABLE entries, of each id, likewise. */
	struct vlease_desc *tables;
	rte_iova_t tables_iova;
	uint16_t table_entries;	/**< those of one; 0 without VIRTIO_F_INDIRECT_DESC */
	uint8_t hdr_size;	/**< in front of every frame */

	/**
	 * Changed by every burst. Free ids stand in free_ids[] from free_head to free_tail.
	 * Packed, these are the driver's and, a ring ahead, the device's place in the ring too.
	 */
	uint16_t free_head __rte_cache_aligned;
	uint16_t free_tail;
	uint16_t avail_idx;	/**< frames made available */
	uint16_t used_cons;	/**< frames completed and collected */
	uint8_t rung;
	uint8_t broken;
	struct vlease_tx_stats stats;

	uintptr_t slots[] __rte_cache_aligned;
};

/** Bytes of ring memory that a queue takes, aligned to a cache line. */
static inline size_t
vlease_rxq_ring_bytes(uint16_t size, uint64_t features)
{
	return vlease_layout_bytes(size, (features & VIRTIO_F_RING_PACKED) != 0);
}

/** Where the headers of a transmit queue are, from the start of the ring memory. */
static inline size_t
vlease_tx_headers_offset(uint16_t size, uint64_t features)
{
	return vlease_rxq_ring_bytes(size, features);
}

/** Where the indirect tables are. */
static inline size_t
vlease_tx_tables_offset(uint16_t size, uint64_t features, uint64_t offloads)
{
	size_t headers = offloads & VLEASE_TX_HEADER_OFFLOADS ?
			 size * sizeof(struct vlease_tx_header) : 0;

	return vlease_tx_headers_offset(size, features) +
	       RTE_ALIGN_CEIL(headers, RTE_CACHE_LINE_SIZE);
}

/** As vlease_rxq_ring_bytes(); behind the ring, headers and tables. */
static inline size_t
vlease_txq_ring_bytes(uint16_t size, uint64_t features, uint64_t offloads)
{
	size_t tables = features & VIRTIO_F_INDIRECT_DESC ?
			size * VLEASE_TX_TABLE * sizeof(struct vlease_desc) : 0;

	return vlease_tx_tables_offset(size, features, offloads) + tables;
}

/** Bytes of shared memory that a queue takes, aligned to a cache line. */
size_t vlease_rxq_bytes(uint16_t size);
size_t vlease_txq_bytes(uint16_t size);

/**
 * Make a queue in zeroed shared memory: all descriptors free, nothing posted, ring memory written
 * as after a reset.
 *
 * @return
 *   0, or -EINVAL: size is no power of two or above 32768, free_thresh above size, vq_index not
 *   below VLEASE_MAX_VQS, ring misaligned, or (Rx) buffers of the pool too small for a frame
 *   header behind RTE_PKTMBUF_HEADROOM.
 */
int vlease_rxq_init(struct vlease_rxq *q, const struct vlease_queue_config *config);
int vlease_txq_init(struct vlease_txq *q, const struct vlease_queue_config *config);

/**
 * Ring memory zeroed, all ids free, indices 0, counters kept. Not while the device or an owner
 * uses the queue, and only when it holds no mbuf (else they are lost: reclaim first).
 */
void vlease_rxq_reset(struct vlease_rxq *q);
void vlease_txq_reset(struct vlease_txq *q);

/**
 * Return every mbuf that the queue owns to its pool, then make the queue anew from @p config.
 * For the lessor, when neither the device nor the owner can touch the queue any more.
 *
 * Nothing in the queue or the ring is believed: ids, counters and pointers may be anything. Rx
 * frees only objects of config->pool, Tx only objects of a pool of this DPDK process, each no
 * more often than it has references. An external buffer attached to a sent mbuf is not freed,
 * since its callback is a function of the dead process; the mbuf is.
 *
 * With config->owner_ended, mbufs of config->owned are only counted.
 *
 * @return
 *   Number of mbufs returned (Tx: references dropped), or -ENOMEM with nothing changed.
 */
int vlease_rxq_reclaim(struct vlease_rxq *q, const struct vlease_queue_config *config);
int vlease_txq_reclaim(struct vlease_txq *q, const struct vlease_queue_config *config);

/** The threshold that a configuration means. */
static inline uint16_t
vlease_free_thresh(const struct vlease_queue_config *config)
{
	if (config->free_thresh != 0)
		return config->free_thresh;
	return config->size >= 128 ? 32 : RTE_MAX(config->size / 4, 1);
}

/** Buffers that the device holds or has filled and the owner has not yet taken. */
static inline uint16_t
vlease_rxq_posted(const struct vlease_rxq *q)
{
	return (uint16_t)(q->free_head - q->used_cons);
}

/**
 * Have the device interrupt when it next uses a buffer, or not at all. For the owner, or while it
 * sleeps. On lasts until then: ask again before each sleep. Off, with VIRTIO_F_EVENT_IDX, an
 * interrupt may still come once in a long while.
 *
 * @return
 *   With @p on, whether no interrupt may come: a buffer is used already, or none is posted. Then
 *   the caller has to wake up whoever is about to wait, to poll the queue.
 */
bool vlease_rxq_interrupt(struct vlease_rxq *q, bool on);

/** Have VLAN tags taken out of frames or not, from the owner's next burst on. */
void vlease_rxq_strip_vlan(struct vlease_rxq *q, bool on);

/** eth_rx_queue_count_t: buffers that the device has used; 0 on a broken queue. */
int vlease_rx_queue_count(void *rx_queue);

/**
 * eth_get_monitor_addr_t: what to watch to sleep until a buffer is used.
 *
 * @return
 *   0, or -EAGAIN: none can be used now, without the lease or a posted buffer, so poll the queue.
 */
int vlease_get_monitor_addr(void *rx_queue, struct rte_power_monitor_cond *cond);

/** eth_rx_descriptor_status_t, of the buffer @p offset behind the next one. */
int vlease_rx_descriptor_status(void *rx_queue, uint16_t offset);

/** Descriptors of frames whose completion has not been collected. */
static inline uint16_t
vlease_txq_pending(const struct vlease_txq *q)
{
	return (uint16_t)(q->size - (uint16_t)(q->free_tail - q->free_head));
}

/**
 * eth_tx_descriptor_status_t, of the descriptor @p offset behind the next one: RTE_ETH_TX_DESC_DONE
 * if it is free, having been collected on this occasion. For the owner; who is not learns that the
 * descriptor is RTE_ETH_TX_DESC_UNAVAIL.
 */
int vlease_tx_descriptor_status(void *tx_queue, uint16_t offset);

/**
 * eth_tx_done_cleanup_t: collect completions, for the owner, until at least @p most descriptors are
 * free, 0: all. They are collected in batches of up to 64.
 *
 * @return
 *   Number of frames freed, or -ENODEV: this process does not hold the lease.
 */
int vlease_tx_done_cleanup(void *tx_queue, uint32_t most);

/** eth_tx_queue_count_t: descriptors in use. */
int vlease_tx_queue_count(void *tx_queue);

/**
 * Send frames, as a burst function does, through a doorbell that the caller holds: for who has
 * seen to it that nobody else uses the queue, and that no one can take it.
 */
uint16_t vlease_txq_send(struct vlease_txq *q, volatile uint16_t *doorbell,
			 struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_split_send(struct vlease_txq *q, volatile uint16_t *doorbell,
			   struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_packed_send(struct vlease_txq *q, volatile uint16_t *doorbell,
			    struct rte_mbuf **tx_pkts, uint16_t nb_pkts);

/**
 * Collect completions: free the mbufs of frames that the device has sent. For the owner.
 *
 * @return
 *   Number of descriptors that became free.
 */
unsigned int vlease_txq_complete(struct vlease_txq *q);

/** The same until so many are free, for a queue of one layout that is not broken. */
unsigned int vlease_split_complete(struct vlease_txq *q, unsigned int most);
unsigned int vlease_packed_complete(struct vlease_txq *q, unsigned int most);

/**
 * Burst functions (eth_rx_burst_t, eth_tx_burst_t). Without a doorbell they ask for one and
 * return 0; on a broken queue they return 0.
 *
 * vlease_recv_*pkts: VIRTIO_NET_F_MRG_RXBUF not negotiated, one buffer a frame.
 * vlease_recv_*mergeable_pkts: negotiated, num_buffers buffers a frame (VIRTIO 1.2, 5.1.6.4).
 * vlease_xmit_*pkts: multi-segment; takes and drops frames that no chain can hold.
 * vlease_xmit_*offload_pkts: for queues with VLEASE_TX_HEADER_OFFLOADS; takes and drops as well
 * what asks for something else, or for something that the frame is too short for.
 * vlease_xmit_*hash_pkts: the same with VIRTIO_NET_F_HASH_REPORT, with or without such offloads.
 *
 * vlease_recv_*offload_pkts: for queues whose frames have more to them than their length.
 *
 * With packed in their name they are for VIRTIO_F_RING_PACKED, with in_order for
 * VIRTIO_F_IN_ORDER, and each for queues that were made so.
 */
typedef uint16_t (*vlease_burst_t)(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

uint16_t vlease_recv_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts);
uint16_t vlease_recv_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts);
uint16_t vlease_recv_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts);
uint16_t vlease_recv_mergeable_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					    uint16_t nb_pkts);
uint16_t vlease_recv_in_order_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts);
uint16_t vlease_recv_in_order_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					   uint16_t nb_pkts);
uint16_t vlease_recv_in_order_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					     uint16_t nb_pkts);
uint16_t vlease_recv_in_order_mergeable_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						     uint16_t nb_pkts);
uint16_t vlease_recv_packed_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts);
uint16_t vlease_recv_packed_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					 uint16_t nb_pkts);
uint16_t vlease_recv_packed_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					   uint16_t nb_pkts);
uint16_t vlease_recv_packed_mergeable_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						   uint16_t nb_pkts);
uint16_t vlease_recv_packed_in_order_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					  uint16_t nb_pkts);
uint16_t vlease_recv_packed_in_order_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						  uint16_t nb_pkts);
uint16_t vlease_recv_packed_in_order_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						    uint16_t nb_pkts);
uint16_t vlease_recv_packed_in_order_mergeable_offload_pkts(void *rx_queue,
							    struct rte_mbuf **rx_pkts,
							    uint16_t nb_pkts);

uint16_t vlease_xmit_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_xmit_in_order_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_xmit_packed_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_xmit_packed_in_order_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
					  uint16_t nb_pkts);
uint16_t vlease_xmit_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_xmit_in_order_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
					   uint16_t nb_pkts);
uint16_t vlease_xmit_packed_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
					 uint16_t nb_pkts);
uint16_t vlease_xmit_packed_in_order_offload_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
						  uint16_t nb_pkts);

uint16_t vlease_xmit_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts);
uint16_t vlease_xmit_in_order_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
					uint16_t nb_pkts);
uint16_t vlease_xmit_packed_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
				      uint16_t nb_pkts);
uint16_t vlease_xmit_packed_in_order_hash_pkts(void *tx_queue, struct rte_mbuf **tx_pkts,
					       uint16_t nb_pkts);

/** The burst function for queues of which the configuration has these features and offloads. */
vlease_burst_t vlease_rx_burst(uint64_t features, uint64_t offloads);
vlease_burst_t vlease_tx_burst(uint64_t features, uint64_t offloads);

/**
 * Prepare frames for vlease_xmit_*offload_pkts() (eth_tx_prep_t): put the checksum of the pseudo
 * header where the device expects it, and with it that of an IPv4 header that goes out in
 * segments. VLAN tags are the burst's to insert.
 *
 * @return
 *   Number of frames prepared. If one cannot be sent, they are those before it, and rte_errno is
 *   EINVAL: lengths beyond the frame, segments of no bytes, no such chain of segments;
 *   ENOTSUP: an offload that the queue does not have, or headers in more than one segment.
 */
uint16_t vlease_prepare_pkts(void *tx_queue, struct rte_mbuf **tx_pkts, uint16_t nb_pkts);

/** Whether the port has burst functions that look at what the mbufs ask for. */
static inline bool
vlease_tx_has_offloads(uint64_t features, uint64_t offloads)
{
	return (features & VIRTIO_NET_F_HASH_REPORT) != 0 ||
	       (offloads & VLEASE_TX_HEADER_OFFLOADS) != 0;
}

/** What prepares for queues with these offloads; NULL: nothing to prepare. */
vlease_burst_t vlease_tx_prepare(uint64_t offloads);

/** Text for a log line or a statistic; never NULL. */
const char *vlease_broken_text(unsigned int broken);

/**
 * Put unshared mbufs back into their pool so that a crash cannot hand one to two owners:
 * rte_mempool_put_bulk() raises the length of the lcore's cache before it stores the pointers,
 * and empties it after they went to the back end.
 */
static inline void
vlease_pool_put(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int n)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(pool, rte_lcore_id());
	void **objects = (void **)mbufs;
	unsigned int i, len;

	if (unlikely(cache == NULL || n > cache->flushthresh)) {
		rte_mempool_ops_enqueue_bulk(pool, objects, n);
		return;
	}
	len = cache->len;
	if (unlikely(len + n > cache->flushthresh)) {
		vlease_publish(&cache->len, 0);
		rte_mempool_ops_enqueue_bulk(pool, cache->objs, len);
		len = 0;
	}
	for (i = 0; i < n; i++)
		cache->objs[len + i] = objects[i];
	vlease_publish(&cache->len, len + n);
}

#endif /* VIRTIO_LEASE_RXTX_H */
