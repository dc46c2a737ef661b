/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Four frames that burst functions may receive at once: whatever is different about one of them,
 * wherever it stands, the frames in front of it arrive, and it comes to what it would alone.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"

#define BURST 32
#define SIZE 64
#define ROOM 512
#define LEN 60
#define RING_BYTES 4096

static uint8_t frame[MAX_FRAME];

struct oddity {
	const char *name;
	/** Use the buffer that was taken last in an odd way; before: an id that was used. */
	void (*use)(struct software_device *dev, int before);
	enum vlease_broken broken;
	unsigned int arrives;	/* frames of it */
	bool mergeable;		/* only there it is odd */
	bool any_order;		/* in order it is something else */
};

static void
write_frame(struct software_device *dev, uint16_t num_buffers)
{
	struct vlease_net_hdr *hdr = dev->popped.at;

	*hdr = (struct vlease_net_hdr){ .num_buffers = rte_cpu_to_le_16(num_buffers) };
	memcpy(&hdr[1], frame, LEN);
}

static void
use_shortest(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + RTE_ETHER_HDR_LEN);
}

static void
use_longest(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + ROOM);
}

static void
use_too_short(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id,
				   VLEASE_NET_HDR_SIZE + RTE_ETHER_HDR_LEN - 1);
}

static void
use_too_long(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + ROOM + 1);
}

static void
use_negative(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id, UINT32_MAX);
}

static void
use_no_header(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE - 1);
}

static void
use_id_before(struct software_device *dev, int before)
{
	write_frame(dev, 1);
	software_device_write_used(dev, before, VLEASE_NET_HDR_SIZE + LEN);
}

/** Three times more than it may. */
static void
use_id_four_times(struct software_device *dev, int before __rte_unused)
{
	unsigned int i;

	write_frame(dev, 1);
	for (i = 0; i < 4; i++)
		software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + LEN);
}

static void
use_id_out_of_range(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 1);
	software_device_write_used(dev, SIZE + dev->popped.id, VLEASE_NET_HDR_SIZE + LEN);
}

/** The one behind it as well, and in the wrong order. */
static void
use_swapped(struct software_device *dev, int before __rte_unused)
{
	int first = dev->popped.id;

	write_frame(dev, 1);
	software_device_pop(dev);
	write_frame(dev, 1);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + LEN);
	software_device_write_used(dev, first, VLEASE_NET_HDR_SIZE + LEN);
}

static void
use_no_buffers(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 0);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + LEN);
}

static void
use_two_buffers(struct software_device *dev, int before __rte_unused)
{
	write_frame(dev, 2);
	software_device_write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + LEN);
	software_device_pop(dev);
	software_device_write_used(dev, dev->popped.id, LEN);
}

#define ODD(use, broken, arrives, ...) { #use, use, broken, arrives, __VA_ARGS__ }

static const struct oddity oddities[] = {
	ODD(use_shortest, VLEASE_INTACT, 1, 0),
	ODD(use_longest, VLEASE_INTACT, 1, 0),
	ODD(use_too_short, VLEASE_INTACT, 0, 0),
	ODD(use_too_long, VLEASE_BROKEN_LENGTH, 0, 0),
	ODD(use_negative, VLEASE_BROKEN_LENGTH, 0, 0),
	ODD(use_no_header, VLEASE_BROKEN_LENGTH, 0, 0),
	ODD(use_id_before, VLEASE_BROKEN_USED_ID, 0, .any_order = true),
	ODD(use_id_four_times, VLEASE_BROKEN_USED_ID, 1, .any_order = true),
	ODD(use_id_out_of_range, VLEASE_BROKEN_USED_ID, 0, .any_order = true),
	ODD(use_swapped, VLEASE_INTACT, 2, .any_order = true),
	ODD(use_no_buffers, VLEASE_BROKEN_NUM_BUFFERS, 0, .mergeable = true),
	ODD(use_two_buffers, VLEASE_INTACT, 1, .mergeable = true),
};

/** Returns the id. */
static int
deliver(struct rx *rx, uint32_t seed)
{
	make_frame(frame, LEN, seed);
	assert_int_equal(software_device_deliver_hidden(&rx->device, frame, LEN), 1);
	return rx->device.popped.id;
}

/** Bursts until nothing comes. Frames that are as long as usual are those in front and behind. */
static unsigned int
receive(struct rx *rx)
{
	struct rte_mbuf *m[BURST];
	unsigned int got = 0, i;
	uint16_t n;

	for (i = 0; i < 6; i++) {
		n = rx->burst(rx->q, m, BURST);
		got += n;
		rte_pktmbuf_free_bulk(m, n);
	}
	return got;
}

static void
place(const struct oddity *odd, unsigned int offset, unsigned int at, bool mergeable)
{
	const unsigned int behind = 9;
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, ROOM);
	unsigned int i, want, missing;
	int before = 0;
	struct rx rx;

	make_rx(&rx, SIZE, &pool, mergeable);
	assert_int_equal(receive(&rx), 0);
	/* Where the four begin, and where the ring ends. */
	for (i = 0; i < offset; i++)
		deliver(&rx, i);
	software_device_show(&rx.device, 0);
	assert_int_equal(receive(&rx), offset);

	for (i = 0; i < at; i++)
		before = deliver(&rx, i);
	if (at == 0)
		before = (rx.device.avail_cons + 1) % SIZE;
	assert_true(software_device_pop(&rx.device) >= 0);
	make_frame(frame, LEN, at);
	odd->use(&rx.device, before);
	for (i = 0; i < behind; i++)
		deliver(&rx, i);
	software_device_show(&rx.device, 0);

	want = at + odd->arrives + (odd->broken == VLEASE_INTACT ? behind : 0);
	/* With nothing in front of it, it names one behind, which is right once. */
	if (odd->use == use_id_before && at == 0)
		want = 1;
	i = receive(&rx);
	if (i != want || rx.q->broken != odd->broken)
		fail_msg("%s at %u from %u: %u frames instead of %u, %s instead of %s", odd->name,
			 at, offset, i, want, vlease_broken_text(rx.q->broken),
			 vlease_broken_text(odd->broken));
	assert_int_equal(rx.q->stats.packets, offset + want);
	assert_int_equal(rx.q->stats.errors, odd->use == use_too_short || odd->broken ? 1 : 0);
	missing = pool.size - free_mbufs(&pool);
	assert_int_equal(reset_rx(&rx), missing);
	assert_conserved(&pool);
	free_rx(&rx);
	free_pool(&pool);
}

static void
one_of_them_is_odd(void **state)
{
	static const unsigned int offsets[] = { 0, 4, 7, SIZE - 6, SIZE - 4, SIZE - 1 };
	unsigned int i, offset, at;

	for (i = 0; i < RTE_DIM(oddities); i++) {
		if (oddities[i].any_order && mode->in_order)
			continue;
		for (offset = 0; offset < RTE_DIM(offsets); offset++) {
			for (at = 0; at < 9; at++) {
				if (!oddities[i].mergeable)
					place(&oddities[i], offsets[offset], at, false);
				place(&oddities[i], offsets[offset], at, true);
			}
		}
	}
}

/** An id is used early, and again where it would be expected: its buffer has gone. */
static void
id_used_early_is_not_used_again(void **state)
{
	unsigned int at, i;

	if (mode->in_order)
		return;
	for (at = 4; at < 8; at++) {
		struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
		struct rte_mbuf *m[BURST];
		struct rx rx;

		make_rx(&rx, SIZE, &pool, false);
		assert_int_equal(receive(&rx), 0);
		for (i = 0; i < 3; i++)
			deliver(&rx, i);
		software_device_pop(&rx.device);
		software_device_use(&rx.device, at, VLEASE_NET_HDR_SIZE + LEN);
		assert_int_equal(rx.burst(rx.q, m, BURST), 4);
		for (i = 4; i < 8; i++)
			deliver(&rx, i);
		software_device_show(&rx.device, 0);
		rte_pktmbuf_free_bulk(m, 4);
		assert_int_equal(receive(&rx), at - 4);
		assert_int_equal(rx.q->broken, VLEASE_BROKEN_USED_ID);
		free_rx(&rx);
		assert_conserved(&pool);
		free_pool(&pool);
	}
}

/** Bursts of all sizes that begin and end anywhere: every frame arrives, with all its fields. */
static void
every_size_of_burst(struct pool pool, bool mergeable, uint16_t size)
{
	uint32_t sent = 0, got = 0;
	struct rte_mbuf *m[2 * BURST];
	uint64_t bytes = 0;
	struct rx rx;
	uint16_t n, i;

	make_rx(&rx, size, &pool, mergeable);
	assert_int_equal(rx.burst(rx.q, m, 1), 0);
	while (got < 20000) {
		for (n = draw_below(2 * BURST); n > 0; n--) {
			make_frame(frame, 14 + sent % 499, sent);
			if (software_device_deliver(&rx.device, frame, 14 + sent % 499) == 0)
				break;
			bytes += 14 + sent++ % 499;
		}
		n = rx.burst(rx.q, m, draw_below(2 * BURST + 1));
		for (i = 0; i < n; i++, got++) {
			assert_frame(m[i], 14 + got % 499, got);
			/* What an application leaves behind in an mbuf. */
			m[i]->packet_type = UINT32_MAX;
			m[i]->ol_flags |= RTE_MBUF_F_RX_VLAN;
			m[i]->port = 0;
			m[i]->data_off = 1;
		}
		rte_pktmbuf_free_bulk(m, n);
	}
	while ((n = rx.burst(rx.q, m, BURST)) > 0)
		for (i = 0; i < n; i++, got++) {
			assert_frame(m[i], 14 + got % 499, got);
			rte_pktmbuf_free(m[i]);
		}
	assert_int_equal(got, sent);
	assert_int_equal(rx.q->stats.packets, got);
	assert_int_equal(rx.q->stats.bytes, bytes);
	assert_int_equal(rx.q->stats.errors, 0);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
bursts_begin_and_end_anywhere(void **state)
{
	uint16_t size;

	for (size = 1; size <= 128; size *= 2) {
		every_size_of_burst(make_pool(CHECKED_OPS, 512, 0, ROOM), false, size);
		every_size_of_burst(make_pool(CHECKED_OPS, 512, 64, ROOM), false, size);
		every_size_of_burst(make_pool(CHECKED_OPS, 512, 64, ROOM), true, size);
		every_size_of_burst(make_pinned_pool(512, 64, ROOM), false, size);
		every_size_of_burst(make_pinned_pool(512, 64, ROOM), true, size);
	}
}

/** Straight from the cache of the pool, where the application has put what it got. */
static void
refills_ring_the_doorbell(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 64, ROOM);
	struct rte_mbuf *m[BURST];
	unsigned int lap, i;
	uint64_t rung;
	struct rx rx;

	make_rx(&rx, SIZE, &pool, false);
	assert_int_equal(receive(&rx), 0);
	for (lap = 0; lap < 8; lap++) {
		for (i = 0; i < BURST; i++)
			deliver(&rx, i);
		software_device_show(&rx.device, 0);
		software_device_suppress(&rx.device, lap % 2);
		software_device_rung(&rx.device);
		rung = rx.q->stats.doorbells;
		assert_int_equal(rx.burst(rx.q, m, BURST), BURST);
		assert_int_equal(vlease_rxq_posted(rx.q), SIZE);
		assert_int_equal(rx.q->stats.doorbells - rung, lap % 2 == 0);
		assert_int_equal(software_device_rung(&rx.device), lap % 2 == 0);
		rte_pktmbuf_free_bulk(m, BURST);
	}
	assert_int_equal(rx.q->stats.suppressed, 4);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/** Part of it is in the cache, the rest comes from the pool, and one doorbell is for both. */
static void
refill_by_cache_and_pool(uint16_t free_thresh)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 128, ROOM);
	struct rte_mbuf *m[80];
	struct rx rx;

	/* So that a first batch of the 128 is in the cache, and not a second. */
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool.mempool, m, RTE_DIM(m)), 0);
	rte_mempool_cache_flush(NULL, pool.mempool);
	rte_pktmbuf_free_bulk(m, RTE_DIM(m));

	make_rx(&rx, 2 * SIZE, &pool, false);
	rx.q->free_thresh = free_thresh;
	software_device_rung(&rx.device);
	assert_int_equal(receive(&rx), 0);
	assert_int_equal(vlease_rxq_posted(rx.q), 2 * SIZE);
	assert_int_equal(rx.q->stats.doorbells, 1);
	assert_int_equal(software_device_rung(&rx.device), 1);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
refill_is_whole_and_rings_once(void **state)
{
	refill_by_cache_and_pool(32);
	refill_by_cache_and_pool(2 * SIZE);
}

/** The primary may have taken the ring away, and then says so by the doorbell. */
static void
no_ring_is_looked_at_without_a_doorbell(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf *m[BURST];
	void *ring, *nothing;
	struct rx rx;

	nothing = mmap(NULL, RING_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(nothing, MAP_FAILED);
	make_rx(&rx, SIZE, &pool, false);
	ring = rx.q->desc;
	vlease_set_doorbell(SLOT, NULL);
	rx.q->desc = nothing;
	rx.q->avail = nothing;
	rx.q->used = nothing;
	assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	assert_int_equal(vlease_doorbells[SLOT].busy, 0);
	assert_int_equal(vlease_rxq_reclaim(rx.q, &rx.config), 0);
	assert_ptr_equal(rx.q->desc, ring);
	munmap(nothing, RING_BYTES);
	free_rx(&rx);
	free_pool(&pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_them_is_odd),
		cmocka_unit_test(id_used_early_is_not_used_again),
		cmocka_unit_test(bursts_begin_and_end_anywhere),
		cmocka_unit_test(refills_ring_the_doorbell),
		cmocka_unit_test(refill_is_whole_and_rings_once),
		cmocka_unit_test(no_ring_is_looked_at_without_a_doorbell),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
