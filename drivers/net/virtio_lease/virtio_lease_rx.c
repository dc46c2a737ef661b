/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_prefetch.h>

#include "virtio_lease_rxtx.h"

/** mbufs taken from the pool at once: the most that a crash in a refill loses. */
#define RX_REFILL 64

/** A shorter frame has no complete Ethernet header; Linux and net_virtio drop it as well. */
#define RX_MIN_LEN (VLEASE_NET_HDR_SIZE + RTE_ETHER_HDR_LEN)

/** Where a buffer starts: the data of a frame's first buffer then begins behind the headroom. */
#define RX_DATA_OFF (RTE_PKTMBUF_HEADROOM - VLEASE_NET_HDR_SIZE)

static_assert(RTE_PKTMBUF_HEADROOM >= VLEASE_NET_HDR_SIZE, "the frame header lies in the headroom");
static_assert(offsetof(struct rte_mbuf, ol_flags) == offsetof(struct rte_mbuf, rearm_data) + 8,
	      "rearm data is one 8-byte word");
static_assert(offsetof(struct rte_mbuf, pkt_len) == offsetof(struct rte_mbuf, packet_type) + 4,
	      "packet type and length are one 8-byte word");
static_assert(offsetof(struct vlease_rxq, slots) == 2 * RTE_CACHE_LINE_SIZE,
	      "one cache line of constants, one of what changes");

typedef uint64_t __rte_may_alias word_t;

size_t
vlease_rxq_bytes(uint16_t size)
{
	return sizeof(struct vlease_rxq) +
	       RTE_ALIGN_CEIL(size * sizeof(uintptr_t), RTE_CACHE_LINE_SIZE);
}

void
vlease_rxq_reset(struct vlease_rxq *q)
{
	unsigned int i;

	memset(q->desc, 0, vlease_ring_bytes(q->size));
	q->avail->flags = RTE_LE16(VLEASE_AVAIL_NO_INTERRUPT);
	for (i = 0; i < q->size; i++) {
		/* All buffers are alike: a refill stores addresses only. */
		q->desc[i].len = rte_cpu_to_le_32(q->buf_len);
		q->desc[i].flags = RTE_LE16(VLEASE_DESC_WRITE);
		q->avail->ring[i] = rte_cpu_to_le_16(i);
		q->slots[i] = VLEASE_SLOT_IDLE;
	}
	q->free_head = 0;
	q->used_cons = 0;
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

int
vlease_rxq_init(struct vlease_rxq *q, const struct vlease_queue_config *c)
{
	struct rte_mbuf fresh = {
		.data_off = RTE_PKTMBUF_HEADROOM,
		.nb_segs = 1,
		.port = c->port_id,
	};
	uint32_t room;

	if (!rte_is_power_of_2(c->size) || c->size > VLEASE_MAX_QUEUE_SIZE ||
	    c->free_thresh > c->size || c->vq_index >= VLEASE_MAX_VQS ||
	    (uintptr_t)c->ring % RTE_CACHE_LINE_SIZE != 0 || c->pool == NULL)
		return -EINVAL;
	room = rte_pktmbuf_data_room_size(c->pool);
	if (room < RX_DATA_OFF + RX_MIN_LEN)
		return -EINVAL;

	q->desc = c->ring;
	q->avail = RTE_PTR_ADD(c->ring, vlease_avail_offset(c->size));
	q->used = RTE_PTR_ADD(c->ring, vlease_used_offset(c->size));
	q->pool = c->pool;
	rte_mbuf_refcnt_set(&fresh, 1);
	memcpy(&q->rearm, &fresh.rearm_data, sizeof(q->rearm));
	q->ol_flags = 0;
	q->buf_offset = 0;
	if (rte_pktmbuf_priv_flags(c->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF)
		q->ol_flags = RTE_MBUF_F_EXTERNAL;
	else if (rx_buffers_are_near(c->pool))
		q->buf_offset = sizeof(struct rte_mbuf) + rte_pktmbuf_priv_size(c->pool) +
				RX_DATA_OFF;
	q->doorbell_slot = vlease_doorbell_slot(c->port_id, c->vq_index);
	q->buf_len = room - RX_DATA_OFF;
	q->size = c->size;
	q->mask = c->size - 1;
	q->free_thresh = vlease_free_thresh(c);
	q->vq_index = c->vq_index;
	vlease_rxq_reset(q);
	return 0;
}

static __rte_cold void
rx_break(struct vlease_rxq *q, enum vlease_broken cause)
{
	q->broken = cause;
	q->stats.errors++;
}

/** How many used entries wait. */
static inline uint16_t
rx_used(struct vlease_rxq *q)
{
	uint16_t n = (uint16_t)(vlease_load_used_idx(q->used) - q->used_cons);

	if (unlikely(n > vlease_rxq_posted(q))) {
		rx_break(q, VLEASE_BROKEN_USED_IDX);
		return 0;
	}
	return n;
}

/**
 * Take the mbufs of n used entries from position pos on. Stops in front of an entry that names no
 * outstanding id. What is taken is still the queue's until used_cons is published.
 */
static inline uint16_t
rx_take(struct vlease_rxq *q, uint16_t pos, struct rte_mbuf **mbufs, uint16_t n)
{
	const struct vlease_used *used = q->used;
	struct vlease_avail *avail = q->avail;
	const uint16_t mask = q->mask;
	uintptr_t word;
	uint16_t i, slot;
	uint32_t id;

	for (i = 0; i < n; i++) {
		slot = (uint16_t)(pos + i) & mask;
		id = vlease_load_used_id(used, slot);
		if (unlikely(id > mask))
			break;
		word = q->slots[id];
		if (unlikely(word & VLEASE_SLOT_IDLE))
			break;
		rte_prefetch0((void *)word);
		q->slots[id] = word | VLEASE_SLOT_IDLE;
		vlease_set_avail(avail, slot, id);
		mbufs[i] = (struct rte_mbuf *)word;
	}
	return i;
}

/** Undo rx_take() of the positions from..to: their used entries wait for a later burst. */
static __rte_noinline void
rx_untake(struct vlease_rxq *q, uint16_t from, uint16_t to)
{
	for (; from != to; from++) {
		uint16_t id = rte_le_to_cpu_16(q->avail->ring[from & q->mask]) & q->mask;

		q->slots[id] &= ~VLEASE_SLOT_IDLE;
	}
}

static inline void
rx_fill(const struct vlease_rxq *q, struct rte_mbuf *m, uint32_t pkt_len, uint16_t data_len)
{
	*(word_t *)RTE_PTR_ADD(m, offsetof(struct rte_mbuf, rearm_data)) = q->rearm;
	m->ol_flags = q->ol_flags;
	m->packet_type = 0;
	m->pkt_len = pkt_len;
	m->data_len = data_len;
}

/** A used length that fits the buffer and holds a frame. */
static inline int
rx_len_ok(const struct vlease_rxq *q, uint32_t len)
{
	return len - RX_MIN_LEN <= q->buf_len - RX_MIN_LEN;
}

static inline uint16_t
rx_num_buffers(const struct rte_mbuf *m, uint16_t offset)
{
	const struct vlease_net_hdr *hdr = offset ? RTE_PTR_ADD(m, offset) :
					   RTE_PTR_ADD(m->buf_addr, RX_DATA_OFF);

	return rte_le_to_cpu_16(hdr->num_buffers);
}

/**
 * The entry at used_cons is one that a burst stopped at: find out why. A frame whose buffers are
 * not all there waits, one that is merely too short is dropped, all else breaks the queue. The
 * device may have changed the entry meanwhile, so nothing is taken for granted.
 */
static __rte_cold __rte_noinline void
rx_stopped(struct vlease_rxq *q, int mergeable)
{
	uint16_t pos = q->used_cons, num;
	struct rte_mbuf *m;
	uint32_t len;

	if (rx_take(q, pos, &m, 1) == 0) {
		rx_break(q, VLEASE_BROKEN_USED_ID);
		return;
	}
	len = vlease_load_used_len(q->used, pos & q->mask);
	num = mergeable ? rx_num_buffers(m, 0) : 1;
	if (len > q->buf_len || len < (num > 1 ? RX_MIN_LEN : VLEASE_NET_HDR_SIZE)) {
		rx_untake(q, pos, pos + 1);
		rx_break(q, VLEASE_BROKEN_LENGTH);
	} else if (num == 0 || num > vlease_rxq_posted(q)) {
		rx_untake(q, pos, pos + 1);
		rx_break(q, VLEASE_BROKEN_NUM_BUFFERS);
	} else if (!rx_len_ok(q, len)) {
		vlease_publish(&q->used_cons, pos + 1);
		q->stats.errors++;
		vlease_pool_put(q->pool, &m, 1);
	} else {
		rx_untake(q, pos, pos + 1);
	}
}

/** Post n free descriptors. Returns how many the pool had mbufs for. */
static inline uint16_t
rx_post(struct vlease_rxq *q, uint16_t n)
{
	const uint16_t offset = q->buf_offset, mask = q->mask;
	struct rte_mbuf *mbufs[RX_REFILL];
	uint16_t head = q->free_head;
	uint16_t i, id;
	uint64_t iova;

	if (unlikely(rte_mempool_get_bulk(q->pool, (void **)mbufs, n) < 0))
		return 0;
	for (i = 0; i < n; i++, head++) {
		id = rte_le_to_cpu_16(q->avail->ring[head & mask]) & mask;
		iova = offset ? (uintptr_t)mbufs[i] + offset :
		       rte_mbuf_iova_get(mbufs[i]) + RX_DATA_OFF;
		q->slots[id] = (uintptr_t)mbufs[i];
		q->desc[id].addr = rte_cpu_to_le_64(iova);
	}
	vlease_publish(&q->free_head, head);
	vlease_store_avail_idx(q->avail, head);
	return n;
}

/**
 * The pool cannot fill a batch. A queue that has next to nothing posted takes what there is,
 * or it would stand still while others hold the rest of the pool.
 */
static __rte_cold __rte_noinline uint16_t
rx_post_scarce(struct vlease_rxq *q, uint16_t n)
{
	uint16_t posted = 0;

	q->stats.nombuf += n;
	if (vlease_rxq_posted(q) >= q->free_thresh)
		return 0;
	while (posted == 0 && (n /= 2) > 0)
		posted = rx_post(q, n);
	return posted;
}

/** Post buffers when enough descriptors are free, and tell the device. */
static inline void
rx_refill(struct vlease_rxq *q, volatile uint16_t *doorbell)
{
	uint16_t nfree = q->size - vlease_rxq_posted(q);
	uint16_t n, left = nfree;

	if (nfree < q->free_thresh)
		return;
	for (; left > 0; left -= n) {
		n = rx_post(q, RTE_MIN(left, RX_REFILL));
		if (unlikely(n == 0)) {
			left -= rx_post_scarce(q, RTE_MIN(left, RX_REFILL));
			break;
		}
	}
	if (unlikely(left == nfree))
		return;
	/*
	 * A device that found a queue empty before its reset may have stopped its source, and
	 * starts it again at a doorbell only (tried: QEMU), so the first is rung in any case.
	 */
	if (likely(vlease_wants_doorbell(q->used)) || unlikely(!q->rung)) {
		bar_slice_ring_doorbell(doorbell, q->vq_index);
		q->rung = 1;
		q->stats.doorbells++;
	} else {
		q->stats.suppressed++;
	}
}

uint16_t
vlease_recv_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	struct vlease_rxq *q = rx_queue;
	volatile uint16_t *doorbell = vlease_doorbell(q->doorbell_slot);
	uint16_t i, n, taken, wanted;
	uint64_t bytes = 0;
	uint32_t len;

	if (unlikely(doorbell == NULL)) {
		vlease_request_doorbell(q->doorbell_slot);
		return 0;
	}
	if (unlikely(q->broken))
		return 0;

	wanted = RTE_MIN(rx_used(q), nb_pkts);
	taken = rx_take(q, q->used_cons, rx_pkts, wanted);
	for (n = 0; n < taken; n++) {
		len = vlease_load_used_len(q->used, (uint16_t)(q->used_cons + n) & q->mask);
		if (unlikely(!rx_len_ok(q, len)))
			break;
		len -= VLEASE_NET_HDR_SIZE;
		rx_fill(q, rx_pkts[n], len, len);
		bytes += len;
	}
	i = q->used_cons + n;
	if (unlikely(n < taken))
		rx_untake(q, i, q->used_cons + taken);
	vlease_publish(&q->used_cons, i);
	q->stats.packets += n;
	q->stats.bytes += bytes;
	if (unlikely(n < wanted))
		rx_stopped(q, 0);
	if (likely(!q->broken))
		rx_refill(q, doorbell);
	return n;
}

/** A burst of a queue with mergeable buffers, in progress. */
struct rx_merge {
	struct rte_mbuf **mbufs; /* of the positions first..first + taken */
	uint16_t first;		/* position of the burst's first used entry */
	uint16_t used;		/* used entries that wait from there on */
	uint16_t taken;		/* entries taken, in order */
	uint16_t in_array;	/* of which this many stand in mbufs */
};

/** Append the buffer of one used entry to a frame. Returns its length, 0 if it is a bad one. */
static inline uint32_t
rx_append(struct vlease_rxq *q, struct rx_merge *burst, uint16_t at, struct rte_mbuf **tail)
{
	uint16_t pos = burst->first + at;
	struct rte_mbuf *m;
	uint32_t len;

	if (at < burst->in_array) {
		m = burst->mbufs[at];
	} else if (rx_take(q, pos, &m, 1) == 1) {
		burst->taken++;
	} else {
		rx_break(q, VLEASE_BROKEN_USED_ID);
		return 0;
	}
	len = vlease_load_used_len(q->used, pos & q->mask);
	if (unlikely(len == 0 || len > q->buf_len)) {
		rx_break(q, VLEASE_BROKEN_LENGTH);
		return 0;
	}
	rx_fill(q, m, len, len);
	m->data_off = RX_DATA_OFF;
	(*tail)->next = m;
	*tail = m;
	return len;
}

/**
 * A frame of several buffers whose first is at place at of the burst. Returns the number of
 * buffers, or 0 if they are not all there yet or something is wrong with them.
 */
static __rte_noinline uint16_t
rx_merge(struct vlease_rxq *q, struct rx_merge *burst, uint16_t at)
{
	struct rte_mbuf *head = burst->mbufs[at], *tail = head;
	uint16_t num = rx_num_buffers(head, 0), i;
	uint32_t len = vlease_load_used_len(q->used, (uint16_t)(burst->first + at) & q->mask);

	if (num == 0 || num > (uint16_t)(burst->used - at) || !rx_len_ok(q, len))
		return 0;
	len -= VLEASE_NET_HDR_SIZE;
	rx_fill(q, head, len, len);
	for (i = 1; i < num; i++) {
		len = rx_append(q, burst, at + i, &tail);
		if (unlikely(len == 0))
			return 0; /* reclaim takes apart what is joined already */
		head->pkt_len += len;
	}
	head->nb_segs = num;
	return num;
}

/** The frames of n used entries, of which some may be taken beyond for the last frame. */
static inline uint16_t
rx_merged_frames(struct vlease_rxq *q, struct rx_merge *burst, uint16_t *consumed,
		 const uint16_t offset)
{
	const struct vlease_used *used = q->used;
	const uint16_t mask = q->mask, first = burst->first, taken = burst->in_array;
	struct rte_mbuf **mbufs = burst->mbufs, *m;
	uint16_t at = 0, n = 0, num;
	uint64_t bytes = 0;
	uint32_t len;

	while (at < taken) {
		m = mbufs[at];
		len = vlease_load_used_len(used, (uint16_t)(first + at) & mask);
		if (likely(rx_num_buffers(m, offset) == 1 && rx_len_ok(q, len))) {
			len -= VLEASE_NET_HDR_SIZE;
			rx_fill(q, m, len, len);
			num = 1;
		} else {
			num = rx_merge(q, burst, at);
			if (num == 0)
				break;
			len = m->pkt_len;
		}
		bytes += len;
		at += num;
		mbufs[n++] = m;
	}
	q->stats.packets += n;
	q->stats.bytes += bytes;
	*consumed = at;
	return n;
}

uint16_t
vlease_recv_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	struct vlease_rxq *q = rx_queue;
	volatile uint16_t *doorbell = vlease_doorbell(q->doorbell_slot);
	struct rx_merge burst = { .mbufs = rx_pkts };
	uint16_t at, n, wanted;

	if (unlikely(doorbell == NULL)) {
		vlease_request_doorbell(q->doorbell_slot);
		return 0;
	}
	if (unlikely(q->broken))
		return 0;

	burst.first = q->used_cons;
	burst.used = rx_used(q);
	wanted = RTE_MIN(burst.used, nb_pkts);
	burst.in_array = rx_take(q, burst.first, rx_pkts, wanted);
	burst.taken = burst.in_array;
	if (likely(q->buf_offset != 0))
		n = rx_merged_frames(q, &burst, &at, q->buf_offset);
	else
		n = rx_merged_frames(q, &burst, &at, 0);
	if (unlikely(at < burst.taken))
		rx_untake(q, burst.first + at, burst.first + burst.taken);
	vlease_publish(&q->used_cons, burst.first + at);
	if (unlikely(at < wanted) && !q->broken)
		rx_stopped(q, 1);
	if (likely(!q->broken))
		rx_refill(q, doorbell);
	return n;
}
