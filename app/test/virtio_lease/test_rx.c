/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Receiving: what the device delivers arrives, whatever its size, order and moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "fixture.h"

#define BURST 32
#define ROOM 2048

static uint8_t frame[MAX_FRAME];

static void
deliver(struct rx *rx, size_t len, uint32_t seed)
{
	make_frame(frame, len, seed);
	assert_true(software_device_deliver(&rx->device, frame, len) > 0);
}

/** The first burst posts buffers and finds nothing. */
static void
start(struct rx *rx)
{
	struct rte_mbuf *m;

	assert_int_equal(rx->burst(rx->q, &m, 1), 0);
	assert_int_equal(vlease_rxq_posted(rx->q), rx->config.size);
}

static void
expect(struct rx *rx, size_t len, uint32_t seed)
{
	struct rte_mbuf *m[BURST];

	assert_int_equal(rx->burst(rx->q, m, BURST), 1);
	assert_frame(m[0], len, seed);
	rte_pktmbuf_free(m[0]);
}

static void
all_sizes(const char *ops, bool mergeable)
{
	size_t last = mergeable ? MAX_FRAME : ROOM, len;
	struct pool pool = make_pool(ops, 512, 32, ROOM);
	uint64_t bytes = 0, packets = 0;
	struct rx rx;

	make_rx(&rx, 64, &pool, mergeable);
	assert_int_not_equal(rx.q->buf_offset, 0);
	start(&rx);
	for (len = 14; len <= last; len += len < 128 ? 1 : 61) {
		deliver(&rx, len, len);
		expect(&rx, len, len);
		bytes += len;
		packets++;
	}
	deliver(&rx, last, 1);
	expect(&rx, last, 1);
	assert_int_equal(rx.q->stats.packets, packets + 1);
	assert_int_equal(rx.q->stats.bytes, bytes + last);
	assert_int_equal(rx.q->stats.errors, 0);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
all_sizes_arrive(void **state)
{
	all_sizes(CHECKED_OPS, false);
	all_sizes(DEFAULT_OPS, false);
	all_sizes(STACK_OPS, false);
}

static void
all_sizes_arrive_mergeable(void **state)
{
	all_sizes(CHECKED_OPS, true);
	all_sizes(DEFAULT_OPS, true);
	all_sizes(STACK_OPS, true);
}

/** Frames of one buffer in full bursts, far past the wrap of all 16-bit counters. */
static void
many_in_any_order(uint16_t size, bool mergeable, uint32_t shuffle)
{
	struct pool pool = make_pool(CHECKED_OPS, 2 * size + 256, 64, 256);
	struct rte_mbuf *m[BURST];
	uint32_t sent = 0, got = 0;
	struct rx rx;
	uint16_t n, i;

	make_rx(&rx, size, &pool, mergeable);
	start(&rx);
	rx.device.shuffle = shuffle;
	while (got < 3 * 65536 + 17) {
		for (n = 1 + draw_below(size < 200 ? size : 200); n > 0; n--) {
			make_frame(frame, 60, sent);
			if (software_device_deliver(&rx.device, frame, 60) == 0)
				break;
			sent++;
		}
		n = rx.burst(rx.q, m, 1 + draw_below(BURST));
		for (i = 0; i < n; i++)
			assert_frame(m[i], 60, got++);
		rte_pktmbuf_free_bulk(m, n);
	}
	assert_int_equal(rx.q->stats.packets, got);
	assert_int_equal(rx.q->broken, 0);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
counters_wrap(void **state)
{
	many_in_any_order(1, false, 0);
	many_in_any_order(4, true, 0);
	many_in_any_order(256, false, 0);
	many_in_any_order(256, true, 0);
}

static void
any_order_of_use_is_legal(void **state)
{
	many_in_any_order(2, true, 3);
	many_in_any_order(256, false, 1);
	many_in_any_order(256, true, 2);
}

/** Frames of 1 to 20 buffers, mixed, with bursts that end anywhere among them. */
static void
merged_frames_mix(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 1024, 64, 300);
	uint32_t sent = 0, got = 0;
	static size_t lens[1024];
	struct rte_mbuf *m[BURST];
	struct rx rx;
	uint16_t n, i;
	size_t len;

	make_rx(&rx, 128, &pool, true);
	start(&rx);
	rx.device.shuffle = 7;
	while (got < 20000) {
		for (i = draw_below(40); i > 0 && sent - got < RTE_DIM(lens); i--) {
			len = draw_below(3) ? 60 + draw_below(200) : 60 + draw_below(6000);
			make_frame(frame, len, sent);
			if (software_device_deliver(&rx.device, frame, len) == 0)
				break;
			lens[sent++ % RTE_DIM(lens)] = len;
		}
		n = rx.burst(rx.q, m, 1 + draw_below(BURST));
		for (i = 0; i < n; i++, got++)
			assert_frame(m[i], lens[got % RTE_DIM(lens)], got);
		rte_pktmbuf_free_bulk(m, n);
	}
	assert_int_equal(rx.q->broken, 0);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
frame_waits_for_all_its_buffers(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, 512);
	struct rte_mbuf *m[BURST];
	struct rx rx;
	int i;

	make_rx(&rx, 32, &pool, true);
	start(&rx);
	make_frame(frame, 60, 1);
	software_device_deliver_hidden(&rx.device, frame, 60);
	make_frame(frame, 1500, 2);
	assert_int_equal(software_device_deliver_hidden(&rx.device, frame, 1500), 3);

	software_device_show(&rx.device, 2);
	assert_int_equal(rx.burst(rx.q, m, BURST), 1);
	assert_frame(m[0], 60, 1);
	rte_pktmbuf_free(m[0]);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
		software_device_show(&rx.device, 1);
	}
	assert_int_equal(rx.q->broken, 0);
	assert_int_equal(rx.q->stats.errors, 0);
	software_device_show(&rx.device, 0);
	expect(&rx, 1500, 2);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/** A burst of one takes a frame of many buffers. */
static void
burst_counts_frames_not_buffers(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, 512);
	struct rte_mbuf *m[2];
	struct rx rx;

	make_rx(&rx, 32, &pool, true);
	start(&rx);
	deliver(&rx, 6000, 1);
	deliver(&rx, 6000, 2);
	assert_int_equal(rx.burst(rx.q, m, 1), 1);
	assert_frame(m[0], 6000, 1);
	assert_int_equal(rx.burst(rx.q, &m[1], 1), 1);
	assert_frame(m[1], 6000, 2);
	rte_pktmbuf_free_bulk(m, 2);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
runts(bool mergeable)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, 512);
	struct rte_mbuf *m[BURST];
	struct rx rx;
	size_t len;

	make_rx(&rx, 64, &pool, mergeable);
	start(&rx);
	deliver(&rx, 60, 1);
	for (len = 0; len < 14; len++)
		deliver(&rx, len, 0);
	deliver(&rx, 60, 2);
	assert_int_equal(rx.burst(rx.q, m, BURST), 1);
	assert_frame(m[0], 60, 1);
	rte_pktmbuf_free(m[0]);
	for (len = 1; len < 14; len++)
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	expect(&rx, 60, 2);
	assert_int_equal(rx.q->stats.errors, 14);
	assert_int_equal(rx.q->broken, 0);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
runts_are_dropped_and_counted(void **state)
{
	runts(false);
	runts(true);
}

/** The application holds what there is, then lets go; no frame is lost that found a buffer. */
static void
empty_pool(const char *ops, unsigned int cache)
{
	struct pool pool = make_pool(ops, 90, cache, 256);
	struct rte_mbuf *m[128], *held[128];
	unsigned int n_held = 0, n, i;
	struct rx rx;

	make_rx(&rx, 64, &pool, true);
	start(&rx);
	while (software_device_available(&rx.device) > 0) {
		deliver(&rx, 60, n_held);
		n = rx.burst(rx.q, m, 1);
		assert_int_equal(n, 1);
		assert_frame(m[0], 60, n_held);
		held[n_held++] = m[0];
	}
	assert_int_equal(n_held, pool.size);
	assert_true(rx.q->stats.nombuf > 0);
	assert_int_equal(vlease_rxq_posted(rx.q), 0);

	/* One mbuf comes back, and that is enough to go on. */
	rte_pktmbuf_free(held[--n_held]);
	assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	assert_int_equal(vlease_rxq_posted(rx.q), 1);
	deliver(&rx, 60, 5);
	expect(&rx, 60, 5);
	for (i = 0; i < n_held; i++)
		rte_pktmbuf_free(held[i]);
	assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	assert_int_equal(vlease_rxq_posted(rx.q), rx.config.size);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
queue_survives_an_empty_pool(void **state)
{
	empty_pool(CHECKED_OPS, 0);
	empty_pool(DEFAULT_OPS, 0);
	empty_pool(STACK_OPS, 16);
}

static void
no_doorbell_no_burst(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, 512);
	struct rte_mbuf *m[BURST];
	struct rx rx;
	int i;

	for (i = 0; i < 2; i++) {
		make_rx(&rx, 64, &pool, i);
		vlease_set_doorbell(SLOT, NULL);
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
		assert_int_equal(doorbell_requests(), 1);
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
		assert_int_equal(doorbell_requests(), 1);
		assert_int_equal(vlease_rxq_posted(rx.q), 0);

		vlease_set_doorbell(SLOT, &rx.device.doorbell);
		start(&rx);
		deliver(&rx, 60, 1);
		vlease_set_doorbell(SLOT, NULL);
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
		assert_int_equal(doorbell_requests(), 1);
		vlease_set_doorbell(SLOT, &rx.device.doorbell);
		expect(&rx, 60, 1);
		assert_int_equal(doorbell_requests(), 0);
		free_rx(&rx);
	}
	assert_conserved(&pool);
	free_pool(&pool);
}

/** With which features doorbells are tried. */
static const uint64_t doorbell_features[] = {
	0,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_NOTIFICATION_DATA,
	VIRTIO_F_EVENT_IDX | VIRTIO_F_NOTIFICATION_DATA,
};

/** What a doorbell says when so many descriptors have been made available. */
static uint16_t
doorbell_data(const struct rx *rx, uint32_t posted)
{
	const uint32_t size = rx->config.size;

	if (!vlease_has_notification_data(&rx->config))
		return UINT16_MAX;
	return mode->packed ? posted % size + (posted / size % 2 ? 0 : 32768) : posted;
}

static void
doorbell_once_a_refill(uint64_t features)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 512);
	struct rte_mbuf *m[BURST];
	struct rx rx;
	int i, round;

	make_rx_with(&rx, 256, &pool, features, 0);
	start(&rx);
	assert_true(software_device_rung(&rx.device));
	assert_int_equal(rx.device.rung_with, VQ_INDEX);
	assert_int_equal(rx.device.rung_data, doorbell_data(&rx, 256));
	assert_int_equal(rx.q->stats.doorbells, 1);
	for (round = 0; round < 20; round++) {
		software_device_suppress(&rx.device, false);
		for (i = 0; i < BURST; i++)
			deliver(&rx, 60, i);
		/* No refill below the threshold, so no doorbell. */
		assert_int_equal(rx.burst(rx.q, m, BURST - 1), BURST - 1);
		assert_false(software_device_rung(&rx.device));
		rte_pktmbuf_free_bulk(m, BURST - 1);
		assert_int_equal(rx.burst(rx.q, m, BURST), 1);
		assert_true(software_device_rung(&rx.device));
		assert_int_equal(rx.device.rung_with, VQ_INDEX);
		assert_int_equal(rx.device.rung_data,
				 doorbell_data(&rx, 256 + (round + 1) * BURST));
		rte_pktmbuf_free(m[0]);
	}
	assert_int_equal(rx.q->stats.doorbells, 21);
	assert_int_equal(rx.q->stats.suppressed, 0);

	software_device_suppress(&rx.device, true);
	for (i = 0; i < BURST; i++)
		deliver(&rx, 60, i);
	assert_int_equal(rx.burst(rx.q, m, BURST), BURST);
	assert_false(software_device_rung(&rx.device));
	assert_int_equal(rx.q->stats.suppressed, 1);
	rte_pktmbuf_free_bulk(m, BURST);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
doorbell_is_rung_once_a_refill(void **state)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(doorbell_features); i++)
		doorbell_once_a_refill(doorbell_features[i]);
}

/** The device names one buffer: the doorbell comes with the refill that posts it, and only then. */
static void
doorbell_comes_at_the_event(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 512);
	uint32_t posted, event, old, round;
	struct rte_mbuf *m[BURST];
	uint64_t suppressed;
	struct rx rx;
	int i;

	make_rx_with(&rx, 64, &pool, VIRTIO_F_EVENT_IDX, 0);
	rx.q->free_thresh = BURST / 2;
	start(&rx);
	assert_true(software_device_rung(&rx.device));
	posted = 64;
	/* Past the wrap of the 16-bit index. */
	for (round = 0; posted < 2 * 65536 + 300; round++) {
		old = posted;
		event = old + draw_below(2 * BURST) - draw_below(BURST / 2);
		software_device_want(&rx.device, event);
		suppressed = rx.q->stats.suppressed;
		for (i = 0; i < BURST; i++)
			deliver(&rx, 60, i);
		assert_int_equal(rx.burst(rx.q, m, BURST), BURST);
		rte_pktmbuf_free_bulk(m, BURST);
		posted += BURST;
		assert_int_equal(software_device_rung(&rx.device),
				 event >= old && event < posted);
		assert_int_equal(rx.q->stats.suppressed - suppressed,
				 event < old || event >= posted);
	}
	assert_int_equal(rx.q->stats.doorbells + rx.q->stats.suppressed, 1 + round);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/** By the definition: whether one of the entries made in between is the one. */
static void
event_arithmetic_is_the_specification_s(void **state)
{
	const uint16_t olds[] = { 0, 32767, 65500 };
	uint32_t event, n, i, size, now;

	for (i = 0; i < RTE_DIM(olds); i++)
		for (n = 0; n <= VLEASE_MAX_QUEUE_SIZE; n = 3 * n + 1)
			for (event = 0; event < 65536; event += 5)
				assert_int_equal(vlease_event_passed(event, olds[i], olds[i] + n),
						 (uint16_t)(event - olds[i]) < n);
	for (size = 1; size <= VLEASE_MAX_QUEUE_SIZE; size *= 2) {
		for (now = size; now < 65536; now += 1 + now / 3) {
			/* Every place of this lap up to now, and of the lap before. */
			for (n = now - now % size - size; n <= now; n += 1 + size / 16) {
				uint16_t place = n % size + (n / size % 2 ? 0 : 32768);

				assert_int_equal(vlease_packed_place(n, size), place);
				assert_int_equal(vlease_packed_index(place, now, size), n);
			}
		}
	}
}

/** Interrupts come when asked for, and else do not, for as long as the queue runs. */
static void
interrupts(uint64_t features)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 512);
	struct rte_mbuf *m[BURST];
	uint32_t round;
	struct rx rx;
	uint16_t n;

	make_rx_with(&rx, 64, &pool, features, 0);
	/* Without a buffer nothing can arrive. */
	assert_true(vlease_rxq_interrupt(rx.q, true));
	vlease_rxq_interrupt(rx.q, false);
	start(&rx);
	for (round = 0; round < 5000; round++) {
		for (n = 0; n < BURST; n++) {
			deliver(&rx, 60, n);
			assert_false(software_device_interrupts(&rx.device));
		}
		assert_int_equal(rx.burst(rx.q, m, BURST), BURST);
		rte_pktmbuf_free_bulk(m, BURST);
		if (round % 2100 != 0) /* beyond what a 16-bit index can tell apart */
			continue;
		assert_false(vlease_rxq_interrupt(rx.q, true));
		assert_false(software_device_interrupts(&rx.device));
		deliver(&rx, 60, 1);
		assert_true(software_device_interrupts(&rx.device));
		vlease_rxq_interrupt(rx.q, false);
		/* For this one there is none any more, and whoever wants to sleep is told. */
		deliver(&rx, 60, 2);
		assert_false(software_device_interrupts(&rx.device));
		assert_true(vlease_rxq_interrupt(rx.q, true));
		assert_false(vlease_rxq_interrupt(rx.q, false));
		assert_int_equal(rx.burst(rx.q, m, BURST), 2);
		rte_pktmbuf_free_bulk(m, 2);
	}
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
interrupts_come_when_asked_for(void **state)
{
	interrupts(0);
	interrupts(VIRTIO_F_EVENT_IDX);
}

static void
used_buffers_are_counted(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 128, 0, 512);
	struct rte_mbuf *m[BURST];
	unsigned int round, n, i;
	int want;
	struct rx rx;

	make_rx(&rx, 64, &pool, false);
	rx.q->free_thresh = 1;
	assert_int_equal(vlease_rx_queue_count(rx.q), 0);
	assert_int_equal(vlease_rx_descriptor_status(rx.q, 0), RTE_ETH_RX_DESC_UNAVAIL);
	start(&rx);
	for (round = 0; round < 100; round++) {
		for (n = 0; n < round % 64; n++)
			deliver(&rx, 60, n);
		assert_int_equal(vlease_rx_queue_count(rx.q), n);
		for (i = 0; i < 64; i++) {
			want = i < n ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
			assert_int_equal(vlease_rx_descriptor_status(rx.q, i), want);
		}
		assert_int_equal(vlease_rx_descriptor_status(rx.q, 64), -EINVAL);
		while ((i = rx.burst(rx.q, m, BURST)) > 0) {
			rte_pktmbuf_free_bulk(m, i);
			n -= i;
			assert_int_equal(vlease_rx_queue_count(rx.q), n);
		}
	}
	rx.q->free_thresh = 64;
	for (n = 64; n > 40; n--) {
		deliver(&rx, 60, n);
		expect(&rx, 60, n);
	}
	assert_int_equal(vlease_rx_descriptor_status(rx.q, 39), RTE_ETH_RX_DESC_AVAIL);
	assert_int_equal(vlease_rx_descriptor_status(rx.q, 40), RTE_ETH_RX_DESC_UNAVAIL);
	/* Without the lease nobody looks at the ring, which may be gone. */
	deliver(&rx, 60, 0);
	assert_int_equal(vlease_rx_queue_count(rx.q), 1);
	vlease_set_doorbell(rx.q->doorbell_slot, NULL);
	assert_int_equal(vlease_rx_queue_count(rx.q), 0);
	assert_int_equal(vlease_rx_descriptor_status(rx.q, 0), RTE_ETH_RX_DESC_UNAVAIL);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/** Whether who is about to sleep until a buffer is used finds that none is. */
static bool
may_sleep(const struct rx *rx)
{
	struct rte_power_monitor_cond cond;
	uint16_t value;

	assert_int_equal(vlease_get_monitor_addr(rx->q, &cond), 0);
	assert_int_equal(cond.size, sizeof(value));
	value = *(volatile uint16_t *)cond.addr;
	return cond.fn(value, cond.opaque) == 0;
}

static void
sleep_ends_with_a_used_buffer(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 512);
	struct rte_power_monitor_cond cond;
	struct rx rx;
	int i;

	make_rx(&rx, 64, &pool, false);
	assert_int_equal(vlease_get_monitor_addr(rx.q, &cond), -EAGAIN);
	start(&rx);
	for (i = 0; i < 300; i++) {
		assert_true(may_sleep(&rx));
		deliver(&rx, 60, i);
		assert_false(may_sleep(&rx));
		expect(&rx, 60, i);
	}
	vlease_set_doorbell(SLOT, NULL);
	assert_int_equal(vlease_get_monitor_addr(rx.q, &cond), -EAGAIN);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/** A device may have stopped its source and wait for a doorbell (tried: QEMU after a reset). */
static void
first_doorbell_is_rung_in_any_case(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 512);
	unsigned int i;
	struct rx rx;

	for (i = 0; i < RTE_DIM(doorbell_features); i++) {
		make_rx_with(&rx, 64, &pool, doorbell_features[i], 0);
		software_device_suppress(&rx.device, true);
		start(&rx);
		assert_true(software_device_rung(&rx.device));
		assert_int_equal(reset_rx(&rx), 64);
		software_device_suppress(&rx.device, true);
		start(&rx);
		assert_true(software_device_rung(&rx.device));
		free_rx(&rx);
	}
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
pinned_buffers_are_received_into(void **state)
{
	struct pool pool = make_pinned_pool(256, 0, 512);
	struct rx rx;
	uint32_t i;

	make_rx(&rx, 64, &pool, true);
	/* Such a buffer is not to be found from the mbuf's address; those of other pools are. */
	assert_int_equal(rx.q->buf_offset, 0);
	start(&rx);
	for (i = 0; i < 1000; i++) {
		deliver(&rx, 60 + i, i);
		expect(&rx, 60 + i, i);
	}
	free_rx(&rx);
	assert_int_equal(free_mbufs(&pool), pool.size);
	free_pool(&pool);
}

static void
ring_layout_is_the_specification_s(void **state)
{
	uint32_t size;

	for (size = 1; size <= VLEASE_MAX_QUEUE_SIZE; size *= 2) {
		assert_int_equal(vlease_avail_offset(size), 16 * size);
		assert_true(vlease_used_offset(size) >= 16 * size + 6 + 2 * size);
		assert_int_equal(vlease_used_offset(size) % 64, 0);
		assert_true(vlease_header_offset(size) >= vlease_used_offset(size) + 6 + 8 * size);
		assert_int_equal(vlease_header_offset(size) % 64, 0);
		assert_true(vlease_ring_bytes(size) >= vlease_header_offset(size) + 12);

		assert_true(vlease_packed_driver_offset(size) >= 16 * size);
		assert_int_equal(vlease_packed_driver_offset(size) % 64, 0);
		assert_int_equal(vlease_packed_device_offset(size) % 64, 0);
		assert_true(vlease_packed_device_offset(size) >=
			    vlease_packed_driver_offset(size) + 4);
		assert_true(vlease_packed_header_offset(size) >=
			    vlease_packed_device_offset(size) + 4);
		assert_true(vlease_packed_ring_bytes(size) >=
			    vlease_packed_header_offset(size) + 12);
	}
	assert_int_equal(sizeof(struct vlease_packed_desc), 16);
	assert_int_equal(offsetof(struct vlease_packed_desc, len), 8);
	assert_int_equal(offsetof(struct vlease_packed_desc, id), 12);
	assert_int_equal(offsetof(struct vlease_packed_desc, flags), 14);
}

/** Used in order, with one used entry for a batch: the buffers in front of its last were filled. */
static void
batch_has_one_used_entry(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	const size_t len = ROOM;
	struct rte_mbuf *m[BURST];
	unsigned int round, i, n;
	struct rx rx;

	if (!mode->in_order)
		return;
	make_rx(&rx, 64, &pool, false);
	start(&rx);
	assert_int_equal(rx.q->buf_len, VLEASE_NET_HDR_SIZE + len);
	for (round = 0; round < 200; round++) {
		n = 1 + round % BURST;
		for (i = 0; i < n; i++) {
			make_frame(frame, i < n - 1 ? len : 60, i);
			software_device_batch(&rx.device, frame, i < n - 1 ? len : 60, i == n - 1);
		}
		for (i = 0; i < n;) {
			uint16_t got = rx.burst(rx.q, m, BURST), at;

			assert_true(got > 0);
			for (at = 0; at < got; at++, i++)
				assert_frame(m[at], i < n - 1 ? len : 60, i);
			rte_pktmbuf_free_bulk(m, got);
		}
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	}
	assert_int_equal(rx.q->broken, 0);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
wrong_configurations_are_refused(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, 512), tiny;
	struct vlease_queue_config good, bad;
	struct rx rx;

	tiny.mempool = rte_pktmbuf_pool_create("tiny", 8, 0, 0, RTE_PKTMBUF_HEADROOM,
					       SOCKET_ID_ANY);
	assert_non_null(tiny.mempool);
	make_rx(&rx, 64, &pool, true);
	good = rx.config;
	bad = good, bad.size = 0;
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	bad = good, bad.size = 48;
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	bad = good, bad.free_thresh = 65;
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	bad = good, bad.vq_index = VLEASE_MAX_VQS;
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	bad = good, bad.ring = RTE_PTR_ADD(good.ring, 16);
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	bad = good, bad.pool = tiny.mempool;
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	bad = good, bad.pool = NULL;
	assert_int_equal(vlease_rxq_init(rx.q, &bad), -EINVAL);
	assert_int_equal(vlease_rxq_init(rx.q, &good), 0);
	free_rx(&rx);
	rte_mempool_free(tiny.mempool);
	free_pool(&pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sizes_arrive),
		cmocka_unit_test(all_sizes_arrive_mergeable),
		cmocka_unit_test(counters_wrap),
		cmocka_unit_test(any_order_of_use_is_legal),
		cmocka_unit_test(merged_frames_mix),
		cmocka_unit_test(frame_waits_for_all_its_buffers),
		cmocka_unit_test(burst_counts_frames_not_buffers),
		cmocka_unit_test(runts_are_dropped_and_counted),
		cmocka_unit_test(queue_survives_an_empty_pool),
		cmocka_unit_test(no_doorbell_no_burst),
		cmocka_unit_test(doorbell_is_rung_once_a_refill),
		cmocka_unit_test(doorbell_comes_at_the_event),
		cmocka_unit_test(event_arithmetic_is_the_specification_s),
		cmocka_unit_test(interrupts_come_when_asked_for),
		cmocka_unit_test(used_buffers_are_counted),
		cmocka_unit_test(sleep_ends_with_a_used_buffer),
		cmocka_unit_test(first_doorbell_is_rung_in_any_case),
		cmocka_unit_test(pinned_buffers_are_received_into),
		cmocka_unit_test(batch_has_one_used_entry),
		cmocka_unit_test(ring_layout_is_the_specification_s),
		cmocka_unit_test(wrong_configurations_are_refused),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
