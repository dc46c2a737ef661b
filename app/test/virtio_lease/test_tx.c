/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Transmitting: the device reads what was sent, behind a header of zeroes, and every mbuf comes
 * back as soon as its frame is complete and its last reference gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BURST 32
#define ROOM 2048

/** Of all queues here: none, VIRTIO_F_INDIRECT_DESC, VIRTIO_NET_F_HASH_REPORT. */
static uint64_t features;

/** How many descriptors a frame of so many pieces takes. */
static unsigned int
descriptors(unsigned int pieces)
{
	return features & VIRTIO_F_INDIRECT_DESC && pieces <= VLEASE_TX_TABLE ? 1 : pieces;
}

static void
transmit(struct tx *tx, struct rte_mbuf *m)
{
	assert_int_equal(tx->burst(tx->q, &m, 1), 1);
}

/** Take the next frame and compare it. */
static void
expect(struct tx *tx, size_t len, uint32_t seed)
{
	static uint8_t want[UINT16_MAX], got[UINT16_MAX];

	assert_int_equal(software_device_take(&tx->device, got, sizeof(got)), len);
	make_frame(want, len, seed);
	assert_memory_equal(got, want, len);
}

static void
finish(struct tx *tx, struct pool *pool)
{
	software_device_complete(&tx->device, tx->config.size);
	vlease_txq_complete(tx->q);
	assert_int_equal(vlease_txq_pending(tx->q), 0);
	assert_int_equal(tx->q->broken, 0);
	assert_conserved(pool);
	free_tx(tx);
	assert_conserved(pool);
	free_pool(pool);
}

static void
sizes(const char *ops, unsigned int cache)
{
	struct pool pool = make_pool(ops, 512, cache, MAX_FRAME);
	uint64_t bytes = 0, packets = 0;
	struct tx tx;
	size_t len;

	make_tx_with(&tx, 64, features, 0);
	for (len = 14; len <= MAX_FRAME; len += len < 128 ? 1 : 61) {
		transmit(&tx, frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, len, len));
		expect(&tx, len, len);
		software_device_complete(&tx.device, 1);
		bytes += len;
		packets++;
	}
	assert_int_equal(tx.q->stats.packets, packets);
	assert_int_equal(tx.q->stats.bytes, bytes);
	assert_int_equal(tx.q->stats.errors, 0);
	assert_int_equal(tx.q->stats.full, 0);
	finish(&tx, &pool);
}

static void
all_sizes_are_sent(void **state)
{
	sizes(CHECKED_OPS, 0);
	sizes(DEFAULT_OPS, 64);
	sizes(STACK_OPS, 64);
}

static void
segments_are_chained(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, ROOM);
	unsigned int segments;
	struct tx tx;
	size_t len;

	make_tx_with(&tx, 64, features, 0);
	for (segments = 1; segments <= 20; segments++) {
		for (len = segments > 60 ? segments : 60; len <= 9000; len += 447) {
			if (len / segments > ROOM - 64)
				break;
			transmit(&tx, frame_chain(&pool, segments, len, len));
			assert_int_equal(vlease_txq_pending(tx.q), descriptors(segments));
			expect(&tx, len, len);
			software_device_complete(&tx.device, 1);
			assert_int_equal(vlease_txq_complete(tx.q), descriptors(segments));
			assert_int_equal(free_mbufs(&pool), pool.size);
		}
	}
	finish(&tx, &pool);
}

/** Frames whose header cannot stand in front of them get a descriptor more. */
static void
header_has_a_descriptor_of_its_own(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	uint8_t want[VLEASE_NET_HASH_HDR_SIZE - 1];
	struct rte_mbuf *m, *clone;
	unsigned int room;
	struct tx tx;

	make_tx_with(&tx, 64, features, 0);
	memset(want, 0xee, sizeof(want));

	for (room = 0; room < vlease_hdr_size(features); room++) {
		m = frame_mbuf(&pool, room, 100, room);
		transmit(&tx, m);
		assert_int_equal(vlease_txq_pending(tx.q), descriptors(2));
		assert_memory_equal(m->buf_addr, want, room);
		expect(&tx, 100, room);
		software_device_complete(&tx.device, 1);
		assert_int_equal(vlease_txq_complete(tx.q), descriptors(2));
	}
	m = frame_mbuf(&pool, vlease_hdr_size(features), 100, 1);
	transmit(&tx, m);
	assert_int_equal(vlease_txq_pending(tx.q), 1);
	expect(&tx, 100, 1);
	software_device_complete(&tx.device, 1);
	assert_int_equal(vlease_txq_complete(tx.q), 1);

	/* Somebody else may be reading in front of the data of a shared buffer. */
	m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 100, 2);
	rte_mbuf_refcnt_update(m, 1);
	transmit(&tx, m);
	assert_int_equal(vlease_txq_pending(tx.q), descriptors(2));
	assert_memory_equal(RTE_PTR_SUB(rte_pktmbuf_mtod(m, void *), sizeof(want)), want,
			    sizeof(want));
	expect(&tx, 100, 2);
	software_device_complete(&tx.device, 1);
	vlease_txq_complete(tx.q);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_int_equal(free_mbufs(&pool), pool.size - 1);

	clone = rte_pktmbuf_clone(m, pool.mempool);
	assert_non_null(clone);
	rte_pktmbuf_free(m);
	transmit(&tx, clone);
	assert_int_equal(vlease_txq_pending(tx.q), descriptors(2));
	expect(&tx, 100, 2);
	assert_int_equal(free_mbufs(&pool), pool.size - 2);
	finish(&tx, &pool);
}

static unsigned int external_freed;

static void
free_external(void *address, void *arg)
{
	external_freed++;
}

static void
external_buffers_are_sent_and_freed(void **state)
{
	static uint8_t buffer[4096] __rte_cache_aligned;
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf_ext_shared_info *info;
	uint16_t len = sizeof(buffer);
	struct rte_mbuf *m;
	struct tx tx;

	make_tx_with(&tx, 64, features, 0);
	external_freed = 0;
	m = rte_pktmbuf_alloc(pool.mempool);
	info = rte_pktmbuf_ext_shinfo_init_helper(buffer, &len, free_external, NULL);
	rte_pktmbuf_attach_extbuf(m, buffer, (uintptr_t)buffer, len, info);
	m->data_off = 200;
	memset(buffer, 0xee, 200);
	make_frame((uint8_t *)rte_pktmbuf_append(m, 100), 100, 7);
	transmit(&tx, m);
	assert_int_equal(buffer[199], 0xee);
	expect(&tx, 100, 7);
	assert_int_equal(external_freed, 0);
	software_device_complete(&tx.device, 1);
	vlease_txq_complete(tx.q);
	assert_int_equal(external_freed, 1);
	finish(&tx, &pool);
}

/** The same mbuf, twice on the wire, with two references. */
static void
shared_mbuf_is_sent_twice(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf *m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 100, 1), *both[2] = { m, m };
	struct tx tx;

	make_tx_with(&tx, 64, features, 0);
	rte_mbuf_refcnt_update(m, 1);
	assert_int_equal(tx.burst(tx.q, both, 2), 2);
	expect(&tx, 100, 1);
	expect(&tx, 100, 1);
	software_device_complete(&tx.device, 1);
	vlease_txq_complete(tx.q);
	assert_int_equal(free_mbufs(&pool), pool.size - 1);
	finish(&tx, &pool);
}

/** Single segments, chains, shared ones, of two pools, completed in any order, past all wraps. */
static void
mix(uint16_t size, uint32_t shuffle, unsigned int cache)
{
	struct pool pool = make_pool(CHECKED_OPS, 2 * size + 512, cache, 256);
	struct pool other = make_pool(CHECKED_OPS, 2 * size + 512, cache, 256);
	uint32_t sent = 0, seen = 0;
	struct rte_mbuf *m[BURST];
	static size_t lens[65536];
	struct tx tx;
	uint16_t n, i;
	size_t len;

	make_tx_with(&tx, size, features, 0);
	tx.device.shuffle = shuffle;
	while (seen < 2 * 65536 + 11) {
		n = 1 + draw_below(BURST);
		for (i = 0; i < n; i++) {
			const struct pool *from = draw_below(4) ? &pool : &other;
			uint32_t kind = draw_below(8);

			len = 60 + draw_below(60);
			if (kind == 0 && size >= 8)
				m[i] = frame_chain(from, 2 + draw_below(5), len, sent + i);
			else
				m[i] = frame_mbuf(from, kind == 1 && size > 1 ? 5 :
						  RTE_PKTMBUF_HEADROOM, len, sent + i);
			lens[(sent + i) % RTE_DIM(lens)] = len;
		}
		i = tx.burst(tx.q, m, n);
		assert_int_equal(tx.q->broken, 0);
		sent += i;
		rte_pktmbuf_free_bulk(&m[i], n - i);
		for (n = draw_below(40); n > 0 && seen < sent; n--, seen++)
			expect(&tx, lens[seen % RTE_DIM(lens)], seen);
		software_device_complete(&tx.device, draw_below(60));
	}
	while (seen < sent) {
		expect(&tx, lens[seen % RTE_DIM(lens)], seen);
		seen++;
	}
	assert_int_equal(tx.q->stats.packets, sent);
	software_device_complete(&tx.device, size);
	vlease_txq_complete(tx.q);
	assert_conserved(&other);
	free_pool(&other);
	finish(&tx, &pool);
}

static void
counters_wrap(void **state)
{
	mix(1, 0, 0);
	mix(2, 0, 0);
	mix(256, 0, 32);
}

static void
any_order_of_completion_is_legal(void **state)
{
	mix(16, 1, 0);
	mix(256, 2, 64);
}

static void
full_ring_takes_what_fits(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 256);
	struct rte_mbuf *m[100];
	struct tx tx;
	int i;

	make_tx_with(&tx, 64, features, 0);
	for (i = 0; i < 100; i++)
		m[i] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, i);
	assert_int_equal(tx.burst(tx.q, m, 100), 64);
	assert_int_equal(tx.q->stats.full, 1);
	assert_int_equal(tx.burst(tx.q, &m[64], 36), 0);
	assert_int_equal(tx.q->stats.full, 2);
	for (i = 0; i < 64; i++)
		expect(&tx, 60, i);
	software_device_complete(&tx.device, 10);
	assert_int_equal(tx.burst(tx.q, &m[64], 36), 10);
	software_device_complete(&tx.device, 54);
	assert_int_equal(tx.burst(tx.q, &m[74], 26), 26);
	for (i = 64; i < 100; i++)
		expect(&tx, 60, i);
	finish(&tx, &pool);
}

/** A chain that needs most of the ring goes out as soon as it can, whatever the threshold. */
static void
long_chain_does_not_wait_for_the_threshold(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 1024, 0, 256);
	struct tx tx;
	int i;

	make_tx_with(&tx, 256, features, 0);
	for (i = 0; i < 20; i++) {
		transmit(&tx, frame_chain(&pool, 200, 8000, i));
		expect(&tx, 8000, i);
		software_device_complete(&tx.device, 1);
	}
	finish(&tx, &pool);
}

/** What no chain can hold is dropped and counted; the frames around it are sent. */
static void
impossible_frames_are_dropped(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 256);
	struct rte_mbuf *m[6];
	struct tx tx;

	make_tx_with(&tx, 64, features, 0);
	m[0] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	m[1] = frame_chain(&pool, 65, 1000, 1);
	m[2] = frame_chain(&pool, 3, 600, 2);
	m[2]->next->data_len = 0;
	m[3] = frame_chain(&pool, 3, 600, 3);
	m[3]->nb_segs = 2;
	m[4] = frame_mbuf(&pool, 3, 0, 4);
	m[5] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 5);
	assert_int_equal(tx.burst(tx.q, m, 6), 6);
	assert_int_equal(tx.q->stats.errors, 4);
	assert_int_equal(tx.q->stats.packets, 2);
	assert_int_equal(free_mbufs(&pool), pool.size - 2);
	expect(&tx, 60, 0);
	expect(&tx, 60, 5);
	assert_int_equal(software_device_take(&tx.device, NULL, 0), -1);

	/* 64 segments fit a ring of 64; with a header of their own they do not. */
	m[0] = frame_chain(&pool, 64, 1000, 6);
	software_device_complete(&tx.device, 2);
	assert_int_equal(tx.burst(tx.q, m, 1), 1);
	expect(&tx, 1000, 6);
	m[0] = frame_chain(&pool, 64, 1000, 6);
	rte_mbuf_refcnt_update(m[0], 1);
	software_device_complete(&tx.device, 1);
	assert_int_equal(tx.burst(tx.q, m, 1), 1);
	assert_int_equal(tx.q->stats.errors, 5);
	rte_mbuf_refcnt_update(m[0], -1);
	m[0]->next = NULL;
	m[0]->nb_segs = 1;
	rte_mbuf_raw_free((rte_mbuf_refcnt_set(m[0], 1), m[0]));
	finish(&tx, &pool);
}

static void
no_doorbell_no_burst(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, 256);
	struct rte_mbuf *m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	struct tx tx;

	make_tx_with(&tx, 64, features, 0);
	vlease_set_doorbell(SLOT, NULL);
	assert_int_equal(tx.burst(tx.q, &m, 1), 0);
	assert_int_equal(doorbell_requests(), 1);
	assert_int_equal(tx.burst(tx.q, &m, 1), 0);
	assert_int_equal(doorbell_requests(), 1);
	assert_int_equal(software_device_available(&tx.device), 0);
	vlease_set_doorbell(SLOT, &tx.device.doorbell);
	transmit(&tx, m);
	assert_int_equal(doorbell_requests(), 0);
	expect(&tx, 60, 0);
	finish(&tx, &pool);
}

static void
doorbell_is_rung_once_a_burst(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 256);
	struct rte_mbuf *m[BURST];
	struct tx tx;
	int round, i;

	make_tx_with(&tx, 256, features, 0);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < BURST; i++)
			m[i] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, i);
		software_device_suppress(&tx.device, round >= 5);
		assert_int_equal(tx.burst(tx.q, m, BURST), BURST);
		assert_int_equal(software_device_rung(&tx.device), round < 5);
		for (i = 0; i < BURST; i++)
			expect(&tx, 60, i);
		software_device_complete(&tx.device, BURST);
	}
	assert_int_equal(tx.device.rung_with, VQ_INDEX);
	assert_int_equal(tx.q->stats.doorbells, 5);
	assert_int_equal(tx.q->stats.suppressed, 5);
	/* Nothing sent, nothing rung. */
	software_device_suppress(&tx.device, false);
	assert_int_equal(tx.burst(tx.q, m, 0), 0);
	assert_false(software_device_rung(&tx.device));
	finish(&tx, &pool);
}

/** The pool that needs no look is that of the frames sent now, not of the first ever sent. */
static void
pool_of_the_queue_follows_the_traffic(void **state)
{
	struct pool first = make_pool(CHECKED_OPS, 64, 0, 256);
	struct pool second = make_pool(CHECKED_OPS, 64, 0, 256);
	struct tx tx;

	make_tx_with(&tx, 64, features, 0);
	transmit(&tx, frame_mbuf(&first, RTE_PKTMBUF_HEADROOM, 60, 0));
	assert_ptr_equal(tx.q->pool, first.mempool);
	transmit(&tx, frame_mbuf(&second, RTE_PKTMBUF_HEADROOM, 60, 1));
	assert_ptr_equal(tx.q->pool, first.mempool);
	expect(&tx, 60, 0);
	expect(&tx, 60, 1);
	software_device_complete(&tx.device, 2);
	assert_int_equal(vlease_txq_complete(tx.q), 2);
	assert_conserved(&first);
	assert_conserved(&second);
	transmit(&tx, frame_mbuf(&second, RTE_PKTMBUF_HEADROOM, 60, 2));
	assert_ptr_equal(tx.q->pool, second.mempool);
	expect(&tx, 60, 2);
	software_device_complete(&tx.device, 1);
	vlease_txq_complete(tx.q);
	assert_conserved(&second);
	free_pool(&second);
	finish(&tx, &first);
}

/** Then a ring holds as many frames as it has descriptors, however many pieces they have. */
static void
frame_in_a_table_takes_one_descriptor(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 256);
	struct tx tx;
	int i;

	make_tx_with(&tx, 16, features | VIRTIO_F_INDIRECT_DESC, 0);
	for (i = 0; i < 16; i++)
		transmit(&tx, frame_chain(&pool, VLEASE_TX_TABLE - i % 8, 1000, i));
	assert_int_equal(vlease_txq_pending(tx.q), 16);
	for (i = 0; i < 16; i++)
		expect(&tx, 1000, i);
	finish(&tx, &pool);
}

static void
descriptors_say_whether_they_are_done(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, 256);
	struct tx tx;
	int i;

	make_tx_with(&tx, 32, features, 0);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 32), -EINVAL);
	for (i = 0; i < 10; i++)
		transmit(&tx, frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, i));
	assert_int_equal(vlease_tx_queue_count(tx.q), 10);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 0), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 21), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 22), RTE_ETH_TX_DESC_FULL);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 31), RTE_ETH_TX_DESC_FULL);
	for (i = 0; i < 10; i++)
		expect(&tx, 60, i);
	software_device_complete(&tx.device, 4);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 25), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 26), RTE_ETH_TX_DESC_FULL);
	/* Of a queue that is another's, nothing is known, and nothing is touched. */
	software_device_complete(&tx.device, 1);
	vlease_set_doorbell(SLOT, NULL);
	assert_int_equal(vlease_tx_descriptor_status(tx.q, 0), RTE_ETH_TX_DESC_UNAVAIL);
	assert_int_equal(vlease_tx_queue_count(tx.q), 6);
	finish(&tx, &pool);
}

static void
cleanup_frees_what_is_complete(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, 256);
	struct tx tx;
	int i;

	make_tx_with(&tx, 256, features, 0);
	for (i = 0; i < 200; i++) {
		transmit(&tx, frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, i));
		expect(&tx, 60, i);
	}
	assert_int_equal(vlease_tx_done_cleanup(tx.q, 0), 0);
	software_device_complete(&tx.device, 6);
	assert_int_equal(vlease_tx_done_cleanup(tx.q, 0), 6);
	assert_int_equal(free_mbufs(&pool), pool.size - 194);
	software_device_complete(&tx.device, 190);
	assert_in_range(vlease_tx_done_cleanup(tx.q, 10), 10, 10 + 64);
	vlease_tx_done_cleanup(tx.q, 0);
	assert_int_equal(free_mbufs(&pool), pool.size - 4);
	software_device_complete(&tx.device, 4);
	vlease_set_doorbell(SLOT, NULL);
	assert_int_equal(vlease_tx_done_cleanup(tx.q, 0), -ENODEV);
	finish(&tx, &pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sizes_are_sent),
		cmocka_unit_test(segments_are_chained),
		cmocka_unit_test(header_has_a_descriptor_of_its_own),
		cmocka_unit_test(external_buffers_are_sent_and_freed),
		cmocka_unit_test(shared_mbuf_is_sent_twice),
		cmocka_unit_test(counters_wrap),
		cmocka_unit_test(any_order_of_completion_is_legal),
		cmocka_unit_test(full_ring_takes_what_fits),
		cmocka_unit_test(long_chain_does_not_wait_for_the_threshold),
		cmocka_unit_test(impossible_frames_are_dropped),
		cmocka_unit_test(no_doorbell_no_burst),
		cmocka_unit_test(doorbell_is_rung_once_a_burst),
		cmocka_unit_test(pool_of_the_queue_follows_the_traffic),
		cmocka_unit_test(frame_in_a_table_takes_one_descriptor),
		cmocka_unit_test(descriptors_say_whether_they_are_done),
		cmocka_unit_test(cleanup_frees_what_is_complete),
	};
	int failed;

	start_eal(argv[0]);
	failed = run_in_all_modes(tests);
	features = VIRTIO_F_INDIRECT_DESC;
	failed += run_in_all_modes(tests);
	features = VIRTIO_NET_F_HASH_REPORT;
	return failed + run_in_all_modes(tests);
}
