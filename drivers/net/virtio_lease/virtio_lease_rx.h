/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RX_H
#define VIRTIO_LEASE_RX_H

/**
 * @file
 * Receiving, whatever the layout of the ring. Each layout's header defines the few functions
 * declared first, and its source makes burst functions of rx_burst(). All of it is folded into
 * them: in_order, mergeable and offloads are constants wherever frames pass.
 */

#include <assert.h>

#include <rte_prefetch.h>

#include "virtio_lease_rx_offload.h"
#include "virtio_lease_rxtx.h"

/** mbufs taken from the pool at once: the most that a crash in a refill loses. */
#define RX_REFILL 64

static_assert(RTE_PKTMBUF_HEADROOM >= VLEASE_NET_HASH_HDR_SIZE,
	      "the frame header lies in the headroom");
static_assert(offsetof(struct rte_mbuf, ol_flags) == offsetof(struct rte_mbuf, rearm_data) + 8,
	      "rearm data is one 8-byte word");
static_assert(offsetof(struct rte_mbuf, pkt_len) == offsetof(struct rte_mbuf, packet_type) + 4,
	      "packet type and length are one 8-byte word");
static_assert(offsetof(struct vlease_rxq, slots) == 2 * RTE_CACHE_LINE_SIZE,
	      "one cache line of constants, one of what changes");

typedef uint64_t __rte_may_alias rx_word_t;

/* ---- What a layout defines ---- */

/**
 * Take what waits from used_cons on, at most n. Stops in front of an entry that names no
 * outstanding id. *waiting gets how many wait, no more than n, and no less than what is taken and
 * the entry that stopped it. What is taken is still the queue's until used_cons is published.
 */
static uint16_t rx_take_waiting(struct vlease_rxq *q, struct rte_mbuf **mbufs, uint16_t n,
				uint16_t *waiting, const bool in_order);

/** How many used entries wait from used_cons on: all, or no less than limit of them. */
static uint16_t rx_waiting(struct vlease_rxq *q, uint16_t limit);

/** Take the mbuf of one that waits. Returns 0 if it names no outstanding id. */
static int rx_take(struct vlease_rxq *q, uint16_t pos, struct rte_mbuf **mbuf,
		   const bool in_order);

/** Bytes that the device has written, it says, to the buffer of the used entry at pos. */
static uint32_t rx_used_len(const struct vlease_rxq *q, uint16_t pos);

/** Post n mbufs with the free ids from free_head on, and let the device see them. */
static void rx_show(struct vlease_rxq *q, struct rte_mbuf **mbufs, uint16_t n,
		    const bool in_order, const bool offloads);

/** Whether the device wants a doorbell for what it was shown since free_head was old. */
static int rx_wants_doorbell(const struct vlease_rxq *q, uint16_t old);

/** Where the next buffer will be posted, as a doorbell says it. */
static uint16_t rx_place(const struct vlease_rxq *q);

/** VIRTIO_F_EVENT_IDX: see to it that no interrupt comes that nobody has asked for. */
static void rx_keep_quiet(struct vlease_rxq *q);

/* ---- What they share ---- */

/** Undo rx_take() for the positions from..to: their used entries wait for a later burst. */
static __rte_noinline void
rx_untake(struct vlease_rxq *q, uint16_t from, uint16_t to, const bool in_order)
{
	for (; from != to && !in_order; from++)
		q->slots[vlease_rxq_free_ids(q)[from & q->mask]] &= ~VLEASE_SLOT_IDLE;
}

static __rte_cold void
rx_break(struct vlease_rxq *q, enum vlease_broken cause)
{
	q->broken = cause;
	q->stats.errors++;
}

/** Bytes in front of a frame: what the queue says, and a constant where nothing depends on it. */
static inline uint16_t
rx_hdr_size(const struct vlease_rxq *q, const bool offloads)
{
	return offloads ? q->hdr_size : VLEASE_NET_HDR_SIZE;
}

/** What the frames of a burst have in common, where no store to an mbuf can change it. */
struct rx_fresh {
	uint64_t rearm;
	uint64_t ol_flags;
	uint32_t buf_len;
	uint32_t hdr_size;
	uint32_t offloads;
};

static __rte_always_inline struct rx_fresh
rx_fresh(const struct vlease_rxq *q, const bool offloads)
{
	return (struct rx_fresh){
		q->rearm, q->ol_flags, q->buf_len, rx_hdr_size(q, offloads),
		offloads ? q->offloads : 0,
	};
}

static inline void
rx_fill(struct rx_fresh fresh, struct rte_mbuf *m, uint32_t pkt_len, uint16_t data_len)
{
	*(rx_word_t *)RTE_PTR_ADD(m, offsetof(struct rte_mbuf, rearm_data)) = fresh.rearm;
	m->ol_flags = fresh.ol_flags;
	m->packet_type = 0;
	m->pkt_len = pkt_len;
	m->data_len = data_len;
}

/**
 * A used length that fits the buffer and holds a frame. A shorter one has no complete Ethernet
 * header; Linux and net_virtio drop it as well.
 */
static __rte_always_inline int
rx_len_ok(struct rx_fresh fresh, uint32_t len)
{
	const uint32_t least = fresh.hdr_size + RTE_ETHER_HDR_LEN;

	return len - least <= fresh.buf_len - least;
}

/** Where the device has to read and write: the posted buffer of an mbuf. */
static __rte_always_inline uint64_t
rx_buffer_iova(const struct rte_mbuf *m, uint16_t offset, uint16_t hdr_size)
{
	return offset ? (uintptr_t)m + offset :
	       rte_mbuf_iova_get(m) + RTE_PKTMBUF_HEADROOM - hdr_size;
}

static __rte_always_inline uint16_t
rx_num_buffers(const struct rte_mbuf *m, uint16_t offset, uint16_t hdr_size)
{
	const struct vlease_net_hdr *hdr = offset ? RTE_PTR_ADD(m, offset) :
					   RTE_PTR_ADD(m->buf_addr,
						       RTE_PKTMBUF_HEADROOM - hdr_size);

	return rte_le_to_cpu_16(hdr->num_buffers);
}

/**
 * The entry at used_cons is one that a burst stopped at: find out why. A frame whose buffers are
 * not all there waits, one that is merely too short is dropped, all else breaks the queue. The
 * device may have changed the entry meanwhile, so nothing is taken for granted.
 */
static __rte_cold __rte_noinline void
rx_stopped(struct vlease_rxq *q, bool mergeable, bool in_order)
{
	uint16_t pos = q->used_cons, num;
	struct rte_mbuf *m;
	uint32_t len;

	if (!rx_take(q, pos, &m, in_order)) {
		rx_break(q, VLEASE_BROKEN_USED_ID);
		return;
	}
	len = rx_used_len(q, pos);
	num = mergeable ? rx_num_buffers(m, 0, q->hdr_size) : 1;
	if (len > q->buf_len || len < q->hdr_size + (num > 1 ? RTE_ETHER_HDR_LEN : 0u)) {
		rx_untake(q, pos, pos + 1, in_order);
		rx_break(q, VLEASE_BROKEN_LENGTH);
	} else if (num == 0 || num > vlease_rxq_posted(q)) {
		rx_untake(q, pos, pos + 1, in_order);
		rx_break(q, VLEASE_BROKEN_NUM_BUFFERS);
	} else if (!rx_len_ok(rx_fresh(q, true), len)) {
		vlease_publish(&q->used_cons, pos + 1);
		q->stats.errors++;
		vlease_pool_put(q->pool, &m, 1);
	} else {
		rx_untake(q, pos, pos + 1, in_order);
	}
}

/** Post n free descriptors. Returns how many the pool had mbufs for. */
static __rte_always_inline uint16_t
rx_post(struct vlease_rxq *q, uint16_t n, const bool in_order, const bool offloads)
{
	struct rte_mbuf *mbufs[RX_REFILL];

	if (unlikely(rte_mempool_get_bulk(q->pool, (void **)mbufs, n) < 0))
		return 0;
	rx_show(q, mbufs, n, in_order, offloads);
	return n;
}

/**
 * The pool cannot fill a batch. A queue that has next to nothing posted takes what there is,
 * or it would stand still while others hold the rest of the pool.
 */
static __rte_cold __rte_noinline void
rx_post_scarce(struct vlease_rxq *q, uint16_t n, bool in_order)
{
	q->stats.nombuf += n;
	if (vlease_rxq_posted(q) >= q->free_thresh)
		return;
	while ((n /= 2) > 0 && rx_post(q, n, in_order, true) == 0)
		;
}

/** Post n free descriptors, or as many as the pool has mbufs for. */
static __rte_always_inline void
rx_post_all(struct vlease_rxq *q, uint16_t n, const bool in_order, const bool offloads)
{
	uint16_t posted;

	for (; n > 0; n -= posted) {
		posted = rx_post(q, RTE_MIN(n, RX_REFILL), in_order, offloads);
		if (unlikely(posted == 0)) {
			rx_post_scarce(q, RTE_MIN(n, RX_REFILL), in_order);
			return;
		}
	}
}

/** Tell the device of what was posted since free_head was old. */
static __rte_always_inline void
rx_tell(struct vlease_rxq *q, volatile uint16_t *doorbell, uint16_t old)
{
	if (q->event_idx)
		rx_keep_quiet(q);
	/*
	 * A device that found a queue empty before its reset may have stopped its source, and
	 * starts it again at a doorbell only (tried: QEMU), so the first is rung in any case.
	 */
	if (likely(rx_wants_doorbell(q, old)) || unlikely(!q->rung)) {
		vlease_ring_doorbell(doorbell, q->vq_index, rx_place(q), q->notification_data);
		q->rung = 1;
		q->stats.doorbells++;
	} else {
		q->stats.suppressed++;
	}
}

/** Post buffers when enough descriptors are free, and tell the device. */
static __rte_always_inline void
rx_refill(struct vlease_rxq *q, volatile uint16_t *doorbell, const bool in_order,
	  const bool offloads)
{
	const uint16_t old = q->free_head;
	const uint16_t nfree = q->size - vlease_rxq_posted(q);

	if (nfree < q->free_thresh)
		return;
	rx_post_all(q, nfree, in_order, offloads);
	if (likely(q->free_head != old))
		rx_tell(q, doorbell, old);
}

/** Frames of one buffer each. Without a doorbell, the caller sees to the refill. */
static __rte_always_inline uint16_t
rx_frames(struct vlease_rxq *q, volatile uint16_t *doorbell, struct rte_mbuf **rx_pkts,
	  uint16_t nb_pkts, const bool in_order, const bool offloads)
{
	const struct rx_fresh fresh = rx_fresh(q, offloads);
	uint16_t first = q->used_cons, n, taken, waiting;
	uint64_t bytes = 0;
	uint32_t len;

	if (unlikely(q->broken))
		return 0;

	taken = rx_take_waiting(q, rx_pkts, nb_pkts, &waiting, in_order);
	for (n = 0; n < taken; n++) {
		len = rx_used_len(q, first + n);
		if (unlikely(!rx_len_ok(fresh, len)))
			break;
		len -= fresh.hdr_size;
		rx_fill(fresh, rx_pkts[n], len, len);
		if (offloads)
			rx_offload(rx_pkts[n], fresh.hdr_size, fresh.offloads);
		bytes += len;
	}
	if (unlikely(n < taken))
		rx_untake(q, first + n, first + taken, in_order);
	vlease_publish(&q->used_cons, first + n);
	q->stats.packets += n;
	q->stats.bytes += bytes;
	if (unlikely(n < waiting))
		rx_stopped(q, false, in_order);
	if (likely(!q->broken) && doorbell != NULL)
		rx_refill(q, doorbell, in_order, offloads);
	return n;
}

/** A burst of a queue with mergeable buffers, in progress. */
struct rx_merge {
	struct rte_mbuf **mbufs; /* of the positions first..first + taken */
	uint16_t first;		/* position of the burst's first used entry */
	uint16_t used;		/* used entries that wait from there on, as far as known */
	uint16_t taken;		/* entries taken, in order */
	uint16_t in_array;	/* of which this many stand in mbufs */
};

/** Append the buffer of one used entry to a frame. Returns its length, 0 if it is a bad one. */
static inline uint32_t
rx_append(struct vlease_rxq *q, struct rx_merge *burst, uint16_t at, struct rte_mbuf **tail,
	  bool in_order)
{
	const struct rx_fresh fresh = rx_fresh(q, true);
	uint16_t pos = burst->first + at;
	struct rte_mbuf *m;
	uint32_t len;

	if (at < burst->in_array) {
		m = burst->mbufs[at];
	} else if (rx_take(q, pos, &m, in_order)) {
		burst->taken++;
	} else {
		rx_break(q, VLEASE_BROKEN_USED_ID);
		return 0;
	}
	len = rx_used_len(q, pos);
	if (unlikely(len == 0 || len > q->buf_len)) {
		rx_break(q, VLEASE_BROKEN_LENGTH);
		return 0;
	}
	rx_fill(fresh, m, len, len);
	m->data_off = RTE_PKTMBUF_HEADROOM - fresh.hdr_size;
	(*tail)->next = m;
	*tail = m;
	return len;
}

/**
 * A frame of several buffers whose first is at place at of the burst. Returns the number of
 * buffers, or 0 if they are not all there yet or something is wrong with them.
 */
static __rte_noinline uint16_t
rx_merge(struct vlease_rxq *q, struct rx_merge *burst, uint16_t at, bool in_order)
{
	struct rte_mbuf *head = burst->mbufs[at], *tail = head;
	const struct rx_fresh fresh = rx_fresh(q, true);
	uint16_t num = rx_num_buffers(head, 0, fresh.hdr_size), i;
	uint32_t len = rx_used_len(q, burst->first + at);

	if (at + num > burst->used)
		burst->used = rx_waiting(q, RTE_MIN(at + num, q->size));
	if (num == 0 || at + num > burst->used || !rx_len_ok(fresh, len))
		return 0;
	len -= fresh.hdr_size;
	rx_fill(fresh, head, len, len);
	for (i = 1; i < num; i++) {
		len = rx_append(q, burst, at + i, &tail, in_order);
		if (unlikely(len == 0))
			return 0; /* reclaim takes apart what is joined already */
		head->pkt_len += len;
	}
	head->nb_segs = num;
	return num;
}

/**
 * A frame of one buffer, filled in, or 0 if it is not one. Its length goes to *bytes.
 */
static __rte_always_inline int
rx_single(struct vlease_rxq *q, struct rx_fresh fresh, struct rte_mbuf *m, uint16_t pos,
	  uint64_t *bytes, const uint16_t offset, const bool offloads)
{
	uint32_t len = rx_used_len(q, pos);

	if (unlikely(rx_num_buffers(m, offset, fresh.hdr_size) != 1 || !rx_len_ok(fresh, len)))
		return 0;
	len -= fresh.hdr_size;
	rx_fill(fresh, m, len, len);
	if (offloads)
		rx_offload(m, fresh.hdr_size, fresh.offloads);
	*bytes += len;
	return 1;
}

/** The frames of n used entries, of which some may be taken beyond for the last frame. */
static __rte_always_inline uint16_t
rx_merged_frames(struct vlease_rxq *q, struct rx_merge *burst, uint16_t *consumed,
		 const uint16_t offset, const bool in_order, const bool offloads)
{
	const uint16_t first = burst->first, taken = burst->in_array;
	const struct rx_fresh fresh = rx_fresh(q, offloads);
	struct rte_mbuf **mbufs = burst->mbufs, *m;
	uint16_t at = 0, n, num;
	uint64_t bytes = 0;

	/* Up to the first frame of several buffers, each mbuf stays where it is. */
	while (at < taken &&
	       rx_single(q, fresh, mbufs[at], first + at, &bytes, offset, offloads))
		at++;
	for (n = at; at < taken; at += num) {
		m = mbufs[at];
		num = 1;
		if (!rx_single(q, fresh, m, first + at, &bytes, offset, offloads)) {
			num = rx_merge(q, burst, at, in_order);
			if (num == 0)
				break;
			if (offloads)
				rx_offload(m, fresh.hdr_size, fresh.offloads);
			bytes += m->pkt_len;
		}
		mbufs[n++] = m;
	}
	q->stats.packets += n;
	q->stats.bytes += bytes;
	*consumed = at;
	return n;
}

/** Frames of num_buffers buffers each, likewise. */
static __rte_always_inline uint16_t
rx_mergeable_frames(struct vlease_rxq *q, volatile uint16_t *doorbell, struct rte_mbuf **rx_pkts,
		    uint16_t nb_pkts, const bool in_order, const bool offloads)
{
	struct rx_merge burst = { .mbufs = rx_pkts };
	uint16_t at, n, waiting;

	if (unlikely(q->broken))
		return 0;

	burst.first = q->used_cons;
	burst.in_array = rx_take_waiting(q, rx_pkts, nb_pkts, &waiting, in_order);
	burst.used = waiting;
	burst.taken = burst.in_array;
	if (likely(q->buf_offset != 0))
		n = rx_merged_frames(q, &burst, &at, q->buf_offset, in_order, offloads);
	else
		n = rx_merged_frames(q, &burst, &at, 0, in_order, offloads);
	if (unlikely(at < burst.taken))
		rx_untake(q, burst.first + at, burst.first + burst.taken, in_order);
	vlease_publish(&q->used_cons, burst.first + at);
	if (unlikely(at < waiting) && !q->broken)
		rx_stopped(q, true, in_order);
	if (likely(!q->broken) && doorbell != NULL)
		rx_refill(q, doorbell, in_order, offloads);
	return n;
}

static __rte_always_inline uint16_t
rx_burst(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts, const bool in_order,
	 const bool mergeable, const bool offloads)
{
	struct vlease_rxq *q = rx_queue;
	volatile uint16_t *doorbell = vlease_burst_begin(q->doorbell_slot);
	uint16_t n = 0;

	if (unlikely(doorbell == NULL))
		vlease_request_doorbell(q->doorbell_slot);
	else if (mergeable)
		n = rx_mergeable_frames(q, doorbell, rx_pkts, nb_pkts, in_order, offloads);
	else
		n = rx_frames(q, doorbell, rx_pkts, nb_pkts, in_order, offloads);
	vlease_burst_end(q->doorbell_slot);
	return n;
}

#endif /* VIRTIO_LEASE_RX_H */
