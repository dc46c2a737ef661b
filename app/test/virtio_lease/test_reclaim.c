/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Taking a queue's mbufs back, from an owner that died in good order or left anything at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BURST 32
#define SIZE 64
#define ROOM 512

static uint8_t frame[MAX_FRAME];

static void
posted_buffers_come_back(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 16, ROOM);
	struct rte_mbuf *m[BURST];
	unsigned int i, n, round, posted;
	struct rx rx;

	make_rx(&rx, SIZE, &pool, true);
	assert_int_equal(reset_rx(&rx), 0);
	for (round = 0; round < 100; round++) {
		assert_int_equal(rx.burst(rx.q, m, BURST), 0);
		rx.device.shuffle = round % 3;
		for (i = 0; i < round; i++)
			software_device_deliver(&rx.device, frame, 60 + draw_below(1000));
		n = rx.burst(rx.q, m, draw_below(BURST));
		/* What the application got is not the queue's any more. */
		posted = vlease_rxq_posted(rx.q);
		assert_int_equal(reset_rx(&rx), posted);
		rte_pktmbuf_free_bulk(m, n);
		assert_conserved(&pool);
	}
	free_rx(&rx);
	free_pool(&pool);
}

/** mbufs of a frame that was being joined when its owner died. */
static void
joined_buffers_come_back_apart(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct rte_mbuf *m, *next;
	struct rx rx;

	make_rx(&rx, SIZE, &pool, true);
	rx.burst(rx.q, &m, 1);
	m = (struct rte_mbuf *)rx.q->slots[0];
	next = (struct rte_mbuf *)rx.q->slots[1];
	m->next = next;
	m->nb_segs = 2;
	rx.q->slots[0] |= VLEASE_SLOT_IDLE;
	rx.q->slots[1] |= VLEASE_SLOT_IDLE;
	assert_int_equal(reset_rx(&rx), SIZE);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
counters_survive(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct rte_mbuf *m;
	struct rx rx;

	make_rx(&rx, SIZE, &pool, true);
	rx.burst(rx.q, &m, 1);
	software_device_deliver(&rx.device, frame, 60);
	assert_int_equal(rx.burst(rx.q, &m, 1), 1);
	rte_pktmbuf_free(m);
	reset_rx(&rx);
	assert_int_equal(rx.q->stats.packets, 1);
	assert_int_equal(rx.q->stats.bytes, 60);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
pending_frames(uint64_t features)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 16, ROOM);
	struct rte_mbuf *m[3], *shared, *direct;
	unsigned int round;
	struct tx tx;

	make_tx_with(&tx, SIZE, features, 0);
	assert_int_equal(reset_tx(&tx), 0);
	for (round = 0; round < 50; round++) {
		shared = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
		rte_mbuf_refcnt_update(shared, 1);
		direct = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
		m[0] = shared;
		m[1] = frame_chain(&pool, 1 + draw_below(8), 500, 0);
		m[2] = rte_pktmbuf_clone(direct, pool.mempool);
		rte_pktmbuf_free(direct);
		assert_int_equal(tx.burst(tx.q, m, 3), 3);
		if (draw_below(2))
			software_device_drain(&tx.device, 3);
		if (draw_below(2))
			vlease_txq_complete(tx.q);
		if (draw_below(4) == 0)
			reset_tx(&tx);
		else
			while (vlease_txq_pending(tx.q) > SIZE / 2) {
				software_device_drain(&tx.device, 1);
				vlease_txq_complete(tx.q);
			}
		rte_pktmbuf_free(shared);
	}
	reset_tx(&tx);
	assert_conserved(&pool);
	free_tx(&tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
pending_frames_come_back(void **state)
{
	pending_frames(0);
	pending_frames(VIRTIO_F_INDIRECT_DESC);
}

/** One mbuf sent three times has three references: all go, and no more. */
static void
references_are_counted(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf *m, *thrice[3];
	struct tx tx;
	int i;

	make_tx(&tx, SIZE);
	m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	rte_mbuf_refcnt_update(m, 2);
	for (i = 0; i < 3; i++)
		thrice[i] = m;
	assert_int_equal(tx.burst(tx.q, thrice, 3), 3);
	assert_int_equal(reset_tx(&tx), 3);
	assert_conserved(&pool);

	/* Entries that the references do not cover are a lie. */
	m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	rte_mbuf_refcnt_update(m, 2);
	assert_int_equal(tx.burst(tx.q, thrice, 3), 3);
	rte_mbuf_refcnt_set(m, 1);
	assert_int_equal(reset_tx(&tx), 1);
	assert_conserved(&pool);
	free_tx(&tx);
	free_pool(&pool);
}

static void
call_of_the_dead(void *address, void *arg)
{
	fail_msg("the callback of another process was called");
}

/** Of an external buffer only the mbuf comes back: the callback's address means nothing here. */
static void
external_buffers_stay_behind(void **state)
{
	static uint8_t buffer[4096] __rte_cache_aligned;
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	struct rte_mbuf_ext_shared_info *info;
	uint16_t len = sizeof(buffer);
	struct rte_mbuf *m;
	struct tx tx;

	make_tx(&tx, SIZE);
	m = rte_pktmbuf_alloc(pool.mempool);
	info = rte_pktmbuf_ext_shinfo_init_helper(buffer, &len, call_of_the_dead, NULL);
	rte_pktmbuf_attach_extbuf(m, buffer, (uintptr_t)buffer, len, info);
	rte_pktmbuf_append(m, 100);
	assert_int_equal(tx.burst(tx.q, &m, 1), 1);
	assert_int_equal(reset_tx(&tx), 1);
	assert_conserved(&pool);
	/* It is whole again. */
	m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, ROOM, 1);
	assert_ptr_equal(m->buf_addr, RTE_PTR_ADD(m, sizeof(*m) + 64));
	assert_int_equal(m->buf_iova, (uintptr_t)m->buf_addr);
	rte_pktmbuf_free(m);
	free_tx(&tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/** The avail ring has the free ids, too, but is where the device can write: it is not read. */
static void
a_forged_free_id_is_not_believed(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 64, 0, ROOM);
	unsigned int refill, i;
	struct rte_mbuf *m[4];
	struct rx rx;

	for (refill = 0; refill < 2; refill++) {
		make_rx(&rx, 16, &pool, false);
		rx.q->free_thresh = 16;
		assert_int_equal(rx.burst(rx.q, m, 4), 0);
		software_device_deliver(&rx.device, frame, 60);
		assert_int_equal(rx.burst(rx.q, m, 4), 1);
		for (i = 0; i < 16 && !mode->packed; i++)
			rx.device.avail->ring[i] = RTE_LE16(9);
		if (refill) {
			rx.q->free_thresh = 1;
			assert_int_equal(rx.burst(rx.q, &m[1], 3), 0);
		}
		assert_int_equal(reset_rx(&rx), 15 + refill);
		rte_pktmbuf_free(m[0]);
		free_rx(&rx);
		assert_conserved(&pool);
	}
	free_pool(&pool);
}

static void
fill_with_noise(void *at, size_t bytes)
{
	uint8_t *byte = at;

	while (bytes-- > 0)
		*byte++ = draw_below(256);
}

/** A pointer that is none, or none of the pool, or in the middle of something. */
static uintptr_t
false_pointer(const struct pool *pool, const struct pool *other, struct rte_mbuf *held)
{
	static uint8_t local[64] __rte_cache_aligned;
	uintptr_t chunk = (uintptr_t)STAILQ_FIRST(&pool->mempool->mem_list)->addr;

	switch (draw_below(7)) {
	case 0:
		return (uintptr_t)local;
	case 1:
		return 64;
	case 2:
		return UINTPTR_MAX & ~UINT64_C(63);
	case 3:
		return chunk;
	case 4:
		return chunk + STAILQ_FIRST(&pool->mempool->mem_list)->len - 64;
	case 5:
		return (uintptr_t)held + 32 * (1 + draw_below(15));
	default:
		return (uintptr_t)other->mempool;
	}
}

/**
 * An owner that wrote over everything that it shares. The mbufs it held itself it may name, once
 * or often: they come back once. Everything else is left alone.
 */
static void
rx_owner_may_leave_anything(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct pool other = make_pool(CHECKED_OPS, 64, 0, ROOM);
	unsigned int round, i, named, free_before;
	struct rte_mbuf *held[8], *foreign;
	bool is_named[8];
	struct rx rx;
	int n;

	make_rx(&rx, SIZE, &pool, true);
	assert_int_equal(rte_mempool_get_bulk(other.mempool, (void **)&foreign, 1), 0);
	for (round = 0; round < 3000; round++) {
		assert_int_equal(rte_mempool_get_bulk(pool.mempool, (void **)held, 8), 0);
		free_before = free_mbufs(&pool);
		memset(is_named, 0, sizeof(is_named));
		fill_with_noise(rx.q, vlease_rxq_bytes(SIZE));
		fill_with_noise(rx.config.ring, ring_bytes(SIZE));
		for (i = 0; i < SIZE; i++) {
			uint32_t which = draw_below(16);

			if (which < 8)
				rx.q->slots[i] = (uintptr_t)held[which];
			else if (which == 8)
				rx.q->slots[i] = (uintptr_t)foreign;
			else
				rx.q->slots[i] = false_pointer(&pool, &other, held[0]);
			is_named[which % 8] |= which < 8;
		}
		n = vlease_rxq_reclaim(rx.q, &rx.config);
		for (named = 0, i = 0; i < 8; i++)
			named += is_named[i];
		assert_in_range(n, 0, named);
		assert_int_equal(free_mbufs(&pool), free_before + n);
		assert_int_equal(double_frees(&pool), 0);
		assert_int_equal(free_mbufs(&other), other.size - 1);
		refill_pool(&pool);
	}
	rte_mempool_put_bulk(other.mempool, (void **)&foreign, 1);
	reset_rx(&rx);
	free_rx(&rx);
	assert_conserved(&pool);
	assert_conserved(&other);
	free_pool(&pool);
	free_pool(&other);
}

static void
anything_left_by_a_tx_owner(uint64_t features)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct pool other = make_pool(CHECKED_OPS, 64, 0, ROOM);
	unsigned int round, i, free_before;
	struct rte_mbuf *held[8];
	struct tx tx;
	int n;

	make_tx_with(&tx, SIZE, features, 0);
	for (round = 0; round < 3000; round++) {
		for (i = 0; i < 8; i++)
			held[i] = rte_pktmbuf_alloc(i < 6 ? pool.mempool : other.mempool);
		/* In chains that end anywhere, or not at all. */
		for (i = 0; i < 8; i++)
			held[i]->next = draw_below(2) ? held[draw_below(8)] :
					(void *)false_pointer(&pool, &other, held[0]);
		/* One that claims to be attached to nothing sensible. */
		held[5]->ol_flags = RTE_MBUF_F_INDIRECT;
		held[5]->buf_addr = (void *)(false_pointer(&pool, &other, held[0]) +
					     sizeof(struct rte_mbuf));
		held[5]->priv_size = 0;
		held[4]->ol_flags = RTE_MBUF_F_EXTERNAL;
		held[4]->shinfo = (void *)false_pointer(&pool, &other, held[0]);
		free_before = free_mbufs(&pool) + free_mbufs(&other);
		fill_with_noise(tx.q, vlease_txq_bytes(SIZE));
		fill_with_noise(tx.config.ring, ring_bytes(SIZE));
		for (i = 0; i < SIZE; i++) {
			uint32_t which = draw_below(16);

			tx.q->slots[i] = which < 8 ? (uintptr_t)held[which] :
					 false_pointer(&pool, &other, held[0]);
			if (draw_below(2))
				tx.q->slots[i] |= VLEASE_SLOT_WHOLE;
		}
		n = vlease_txq_reclaim(tx.q, &tx.config);
		assert_in_range(n, 0, 8);
		assert_int_equal(free_mbufs(&pool) + free_mbufs(&other), free_before + n);
		assert_int_equal(double_frees(&pool), 0);
		assert_int_equal(double_frees(&other), 0);
		refill_pool(&pool);
		refill_pool(&other);
	}
	reset_tx(&tx);
	free_tx(&tx);
	free_pool(&pool);
	free_pool(&other);
}

static void
tx_owner_may_leave_anything(void **state)
{
	anything_left_by_a_tx_owner(0);
	anything_left_by_a_tx_owner(VIRTIO_F_INDIRECT_DESC);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posted_buffers_come_back),
		cmocka_unit_test(joined_buffers_come_back_apart),
		cmocka_unit_test(counters_survive),
		cmocka_unit_test(pending_frames_come_back),
		cmocka_unit_test(references_are_counted),
		cmocka_unit_test(external_buffers_stay_behind),
		cmocka_unit_test(a_forged_free_id_is_not_believed),
		cmocka_unit_test(rx_owner_may_leave_anything),
		cmocka_unit_test(tx_owner_may_leave_anything),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
