/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <string.h>

#include <rte_cpuflags.h>
#include <rte_ethdev.h>
#include <rte_vect.h>

#include "virtio_lease_rx_offload.h"
#include "virtio_lease_rx_vector.h"
#include "virtio_lease_rxtx.h"

size_t
vlease_rxq_bytes(uint16_t size)
{
	return sizeof(struct vlease_rxq) +
	       RTE_ALIGN_CEIL(size * (sizeof(uintptr_t) + sizeof(uint16_t)), RTE_CACHE_LINE_SIZE);
}

/* All buffers are alike: a refill need store addresses only. */
static void
reset_split_ring(struct vlease_rxq *q)
{
	unsigned int i;

	for (i = 0; i < q->size; i++) {
		q->desc[i].len = rte_cpu_to_le_32(q->buf_len);
		q->desc[i].flags = RTE_LE16(VLEASE_DESC_WRITE);
		q->avail->ring[i] = rte_cpu_to_le_16(i);
	}
}

void
vlease_rxq_reset(struct vlease_rxq *q)
{
	unsigned int i;

	q->free_head = 0;
	q->used_cons = 0;
	memset(q->desc, 0, vlease_layout_bytes(q->size, q->packed));
	vlease_rxq_interrupt(q, false);
	if (!q->packed)
		reset_split_ring(q);
	for (i = 0; i < q->size; i++) {
		q->slots[i] = VLEASE_SLOT_IDLE;
		vlease_rxq_free_ids(q)[i] = i;
	}
	q->rung = 0;
	q->broken = VLEASE_INTACT;
}

/**
 * Whether each buffer of the pool stands right behind its mbuf, at an address that is the device's
 * as well: so it is with IOVA as VA, but for pinned buffers and memory mapped by the application.
 */
static int
rx_buffers_are_near(const struct rte_mempool *pool)
{
	const struct rte_mempool_memhdr *chunk;

	STAILQ_FOREACH(chunk, &pool->mem_list, next)
		if (chunk->iova != (uintptr_t)chunk->addr)
			return 0;
	return 1;
}

static uint8_t
rx_offloads(const struct vlease_queue_config *c)
{
	uint8_t offloads = 0;

	if (c->features & VIRTIO_NET_F_GUEST_CSUM)
		offloads |= VLEASE_RX_CHECKSUM;
	if (c->features & VIRTIO_NET_F_GUEST_TSO4)
		offloads |= VLEASE_RX_LRO4;
	if (c->features & VIRTIO_NET_F_GUEST_TSO6)
		offloads |= VLEASE_RX_LRO6;
	if (c->features & VIRTIO_NET_F_HASH_REPORT)
		offloads |= VLEASE_RX_HASH;
	if (c->offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP)
		offloads |= VLEASE_RX_VLAN;
	return offloads;
}

void
vlease_rxq_strip_vlan(struct vlease_rxq *q, bool on)
{
	uint8_t offloads = q->offloads & ~VLEASE_RX_VLAN;

	__atomic_store_n(&q->offloads, offloads | (on ? VLEASE_RX_VLAN : 0), __ATOMIC_RELAXED);
}

int
vlease_rxq_init(struct vlease_rxq *q, const struct vlease_queue_config *c)
{
	struct rte_mbuf fresh = {
		.data_off = RTE_PKTMBUF_HEADROOM,
		.nb_segs = 1,
		.port = c->port_id,
	};
	const uint8_t hdr_size = vlease_hdr_size(c->features);
	const uint16_t data_off = RTE_PKTMBUF_HEADROOM - hdr_size;
	uint32_t room;

	if (!rte_is_power_of_2(c->size) || c->size > VLEASE_MAX_QUEUE_SIZE ||
	    c->free_thresh > c->size || c->vq_index >= VLEASE_MAX_VQS ||
	    (uintptr_t)c->ring % RTE_CACHE_LINE_SIZE != 0 || c->pool == NULL)
		return -EINVAL;
	room = rte_pktmbuf_data_room_size(c->pool);
	if (room < RTE_PKTMBUF_HEADROOM + RTE_ETHER_HDR_LEN)
		return -EINVAL;

	if (vlease_is_packed(c)) {
		q->packed_desc = c->ring;
		q->device_event = RTE_PTR_ADD(c->ring, vlease_packed_device_offset(c->size));
	} else {
		q->desc = c->ring;
		q->avail = RTE_PTR_ADD(c->ring, vlease_avail_offset(c->size));
		q->used = RTE_PTR_ADD(c->ring, vlease_used_offset(c->size));
	}
	q->packed = vlease_is_packed(c);
	q->in_order = vlease_is_in_order(c);
	q->event_idx = vlease_has_event_idx(c);
	q->notification_data = vlease_has_notification_data(c);
	q->pool = c->pool;
	rte_mbuf_refcnt_set(&fresh, 1);
	memcpy(&q->rearm, &fresh.rearm_data, sizeof(q->rearm));
	q->ol_flags = 0;
	q->buf_offset = 0;
	if (rte_pktmbuf_priv_flags(c->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF)
		q->ol_flags = RTE_MBUF_F_EXTERNAL;
	else if (rx_buffers_are_near(c->pool))
		q->buf_offset = sizeof(struct rte_mbuf) + rte_pktmbuf_priv_size(c->pool) +
				data_off;
	q->doorbell_slot = vlease_doorbell_slot(c->port_id, c->vq_index);
	q->buf_len = room - data_off;
	q->hdr_size = hdr_size;
	q->offloads = rx_offloads(c);
	q->size = c->size;
	q->mask = c->size - 1;
	q->free_thresh = vlease_free_thresh(c);
	q->vq_index = c->vq_index;
	vlease_rxq_reset(q);
	return 0;
}

static uint16_t
split_waiting(const struct vlease_rxq *q, uint16_t limit)
{
	uint16_t n = (uint16_t)(vlease_load_used_idx(q->used) - q->used_cons);

	return RTE_MIN(n, limit);
}

/* In order, a used descriptor may stand for a batch: up to the one that it names (2.8.8). */
static uint16_t
packed_waiting(const struct vlease_rxq *q, uint16_t limit)
{
	uint16_t pos = q->used_cons, n = 0, covered = 1;
	uint64_t word;

	while (n < limit) {
		word = vlease_packed_load(&q->packed_desc[pos & q->mask]);
		if (!vlease_packed_is_used(word, pos, q->size))
			break;
		if (q->in_order)
			covered = ((uint16_t)(vlease_packed_word_id(word) - pos) & q->mask) + 1;
		n += covered;
		pos += covered;
	}
	return RTE_MIN(n, limit);
}

/* How many used buffers wait for the next burst: all, or as many as the limit. */
static uint16_t
rx_waiting(const struct vlease_rxq *q, uint16_t limit)
{
	limit = RTE_MIN(limit, vlease_rxq_posted(q));
	if (q->broken)
		return 0;
	return q->packed ? packed_waiting(q, limit) : split_waiting(q, limit);
}

bool
vlease_rxq_interrupt(struct vlease_rxq *q, bool on)
{
	struct vlease_packed_event *driver;

	if (q->packed) {
		driver = RTE_PTR_ADD(q->packed_desc, vlease_packed_driver_offset(q->size));
		driver->flags = on ? 0 : RTE_LE16(VLEASE_PACKED_EVENT_DISABLE);
	} else if (q->event_idx) {
		vlease_store_used_event(q->avail, q->size, on ? q->used_cons : q->used_cons - 1);
	} else {
		q->avail->flags = on ? 0 : RTE_LE16(VLEASE_AVAIL_NO_INTERRUPT);
	}
	/* Or a buffer could be used between the look and what the device sees of this. */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	return on && (vlease_rxq_posted(q) == 0 || rx_waiting(q, 1) > 0);
}

int
vlease_rx_queue_count(void *rx_queue)
{
	const struct vlease_rxq *q = rx_queue;

	/* Without the lease there may be no ring, either. */
	return vlease_doorbell(q->doorbell_slot) == NULL ? 0 : rx_waiting(q, q->size);
}

/* For rte_power_monitor(): 0 lets it sleep. */
static int
compare_unused(const uint64_t value, const uint64_t unused[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return (value & unused[1]) == unused[0] ? 0 : -1;
}

int
vlease_get_monitor_addr(void *rx_queue, struct rte_power_monitor_cond *cond)
{
	struct vlease_rxq *q = rx_queue;
	const uint16_t next = q->used_cons;

	if (vlease_doorbell(q->doorbell_slot) == NULL || q->broken || vlease_rxq_posted(q) == 0)
		return -EAGAIN;
	cond->size = sizeof(uint16_t);
	cond->fn = compare_unused;
	if (q->packed) {
		cond->addr = &q->packed_desc[next & q->mask].flags;
		cond->opaque[0] = rte_cpu_to_le_16(vlease_packed_avail_flags(next, q->size));
		cond->opaque[1] = RTE_LE16(VLEASE_PACKED_TURN);
	} else {
		cond->addr = (void *)(uintptr_t)&q->used->idx;
		cond->opaque[0] = rte_cpu_to_le_16(next);
		cond->opaque[1] = UINT16_MAX;
	}
	return 0;
}

int
vlease_rx_descriptor_status(void *rx_queue, uint16_t offset)
{
	const struct vlease_rxq *q = rx_queue;

	if (offset >= q->size)
		return -EINVAL;
	if (vlease_doorbell(q->doorbell_slot) == NULL || offset >= vlease_rxq_posted(q))
		return RTE_ETH_RX_DESC_UNAVAIL;
	return offset < rx_waiting(q, offset + 1) ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

#ifdef CC_AVX2_SUPPORT
#define AVX2(burst) burst
#else
#define AVX2(burst) NULL
#endif

bool
vlease_rx_has_vectors(uint64_t features, uint64_t offloads)
{
#ifdef CC_AVX2_SUPPORT
	return !vlease_rx_has_offloads(features, offloads) &&
	       rte_vect_get_max_simd_bitwidth() >= RTE_VECT_SIMD_256 &&
	       rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) > 0;
#else
	return false;
#endif
}

vlease_burst_t
vlease_rx_burst(uint64_t features, uint64_t offloads)
{
	static const vlease_burst_t bursts[8][3] = {
		{
			vlease_recv_pkts,
			vlease_recv_offload_pkts,
			AVX2(vlease_recv_avx2_pkts),
		},
		{
			vlease_recv_mergeable_pkts,
			vlease_recv_mergeable_offload_pkts,
			AVX2(vlease_recv_mergeable_avx2_pkts),
		},
		{
			vlease_recv_in_order_pkts,
			vlease_recv_in_order_offload_pkts,
			AVX2(vlease_recv_in_order_avx2_pkts),
		},
		{
			vlease_recv_in_order_mergeable_pkts,
			vlease_recv_in_order_mergeable_offload_pkts,
			AVX2(vlease_recv_in_order_mergeable_avx2_pkts),
		},
		{
			vlease_recv_packed_pkts,
			vlease_recv_packed_offload_pkts,
			AVX2(vlease_recv_packed_avx2_pkts),
		},
		{
			vlease_recv_packed_mergeable_pkts,
			vlease_recv_packed_mergeable_offload_pkts,
			AVX2(vlease_recv_packed_mergeable_avx2_pkts),
		},
		{
			vlease_recv_packed_in_order_pkts,
			vlease_recv_packed_in_order_offload_pkts,
			AVX2(vlease_recv_packed_in_order_avx2_pkts),
		},
		{
			vlease_recv_packed_in_order_mergeable_pkts,
			vlease_recv_packed_in_order_mergeable_offload_pkts,
			AVX2(vlease_recv_packed_in_order_mergeable_avx2_pkts),
		},
	};
	unsigned int i = 0;

	if (features & VIRTIO_F_RING_PACKED)
		i += 4;
	if (features & VIRTIO_F_IN_ORDER)
		i += 2;
	if (features & VIRTIO_NET_F_MRG_RXBUF)
		i += 1;
	if (vlease_rx_has_vectors(features, offloads))
		return bursts[i][2];
	return bursts[i][vlease_rx_has_offloads(features, offloads)];
}
