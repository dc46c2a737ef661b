/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A device that breaks the rules breaks its queue, and nothing else: no crash, no mbuf lost, none
 * handed out twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BURST 32
#define SIZE 64
#define ROOM 512

static uint8_t frame[MAX_FRAME];

/** Write the header of the buffer that was taken last. */
static void
set_num_buffers(struct software_device *dev, uint16_t num)
{
	struct vlease_net_hdr *hdr = dev->popped.at;

	*hdr = (struct vlease_net_hdr){ .num_buffers = rte_cpu_to_le_16(num) };
}

static void
rx_id_out_of_range(struct software_device *dev)
{
	software_device_use(dev, SIZE, 100);
}

static void
rx_id_far_out_of_range(struct software_device *dev)
{
	software_device_use(dev, UINT32_MAX, 100);
}

static void
rx_id_with_high_bits(struct software_device *dev)
{
	software_device_use(dev, 0x10000u + software_device_pop(dev), 100);
}

static void
rx_id_twice(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 1);
	software_device_use(dev, id, 100);
	software_device_use(dev, id, 100);
}

static void
rx_length_above_the_buffer(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 1);
	software_device_use(dev, id, VLEASE_NET_HDR_SIZE + ROOM + 1);
}

static void
rx_length_huge(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 1);
	software_device_use(dev, id, UINT32_MAX);
}

static void
rx_no_whole_header(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 1);
	software_device_use(dev, id, VLEASE_NET_HDR_SIZE - 1);
}

static void
rx_length_zero(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 1);
	software_device_use(dev, id, 0);
}

static void
rx_no_buffers(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 0);
	software_device_use(dev, id, 100);
}

static void
rx_more_buffers_than_the_ring(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, SIZE + 1);
	software_device_use(dev, id, 100);
}

static void
rx_most_buffers(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, UINT16_MAX);
	software_device_use(dev, id, 100);
}

#define ID_OF_FIRST UINT32_MAX
#define ID_OF_NEXT (UINT32_MAX - 1)

/** Use n buffers for one frame, the last of which is wrong. */
static void
merge(struct software_device *dev, unsigned int n, uint32_t last_id, uint32_t last_len)
{
	int id = software_device_pop(dev);
	unsigned int i;

	set_num_buffers(dev, n);
	software_device_write_used(dev, id, VLEASE_NET_HDR_SIZE + ROOM);
	for (i = 1; i < n - 1; i++)
		software_device_write_used(dev, software_device_pop(dev),
					   VLEASE_NET_HDR_SIZE + ROOM);
	if (last_id == ID_OF_NEXT)
		last_id = software_device_pop(dev);
	software_device_use(dev, last_id == ID_OF_FIRST ? (uint32_t)id : last_id, last_len);
}

static void
rx_merged_id_twice(struct software_device *dev)
{
	merge(dev, 4, ID_OF_FIRST, 100);
}

static void
rx_merged_id_out_of_range(struct software_device *dev)
{
	merge(dev, 4, SIZE + 1, 100);
}

/** More buffers than one burst takes at once. */
static void
rx_merged_late_id_out_of_range(struct software_device *dev)
{
	merge(dev, BURST + 10, SIZE + 1, 100);
}

static void
rx_merged_length_above_the_buffer(struct software_device *dev)
{
	merge(dev, 4, ID_OF_NEXT, VLEASE_NET_HDR_SIZE + ROOM + 1);
}

static void
rx_merged_late_length_above_the_buffer(struct software_device *dev)
{
	merge(dev, BURST + 10, ID_OF_NEXT, VLEASE_NET_HDR_SIZE + ROOM + 1);
}

static void
rx_merged_length_zero(struct software_device *dev)
{
	merge(dev, 4, ID_OF_NEXT, 0);
}

static void
rx_merged_first_without_ethernet_header(struct software_device *dev)
{
	int id = software_device_pop(dev);

	set_num_buffers(dev, 2);
	software_device_write_used(dev, id, VLEASE_NET_HDR_SIZE);
	software_device_use(dev, software_device_pop(dev), 100);
}

static void
rx_index_ahead(struct software_device *dev)
{
	dev->used_idx += SIZE + 1;
	software_device_show(dev, 0);
}

static void
rx_index_back(struct software_device *dev)
{
	dev->used_idx--;
	software_device_show(dev, 0);
}

/** Where a lie can be told; nothing: in every mode. */
#define MERGEABLE 1
#define SPLIT 2
#define PACKED 4
#define IN_ORDER 8
#define ANY_ORDER 16
/** A split ring used in order: the used index says it all, and no id is looked at. */
#define IDS 32

struct lie {
	const char *name;
	void (*tell)(struct software_device *dev);
	enum vlease_broken broken;
	int only;
};

#define LIE(name, broken, only) { #name, name, broken, only }

static bool
can_be_told(const struct lie *lie)
{
	int all = (mode->packed ? PACKED : SPLIT) | (mode->in_order ? IN_ORDER : ANY_ORDER) |
		  (mode->packed || !mode->in_order ? IDS : 0) | MERGEABLE;

	return (lie->only & ~all) == 0;
}

static const struct lie rx_lies[] = {
	LIE(rx_id_out_of_range, VLEASE_BROKEN_USED_ID, 0),
	LIE(rx_id_far_out_of_range, VLEASE_BROKEN_USED_ID, 0),
	LIE(rx_id_with_high_bits, VLEASE_BROKEN_USED_ID, SPLIT),
	LIE(rx_id_twice, VLEASE_BROKEN_USED_ID, 0),
	LIE(rx_length_above_the_buffer, VLEASE_BROKEN_LENGTH, 0),
	LIE(rx_length_huge, VLEASE_BROKEN_LENGTH, 0),
	LIE(rx_no_whole_header, VLEASE_BROKEN_LENGTH, 0),
	LIE(rx_length_zero, VLEASE_BROKEN_LENGTH, 0),
	LIE(rx_no_buffers, VLEASE_BROKEN_NUM_BUFFERS, MERGEABLE),
	LIE(rx_more_buffers_than_the_ring, VLEASE_BROKEN_NUM_BUFFERS, MERGEABLE),
	LIE(rx_most_buffers, VLEASE_BROKEN_NUM_BUFFERS, MERGEABLE),
	LIE(rx_merged_id_twice, VLEASE_BROKEN_USED_ID, MERGEABLE),
	LIE(rx_merged_id_out_of_range, VLEASE_BROKEN_USED_ID, MERGEABLE),
	LIE(rx_merged_late_id_out_of_range, VLEASE_BROKEN_USED_ID, MERGEABLE),
	LIE(rx_merged_length_above_the_buffer, VLEASE_BROKEN_LENGTH, MERGEABLE),
	LIE(rx_merged_late_length_above_the_buffer, VLEASE_BROKEN_LENGTH, MERGEABLE),
	LIE(rx_merged_length_zero, VLEASE_BROKEN_LENGTH, MERGEABLE),
	LIE(rx_merged_first_without_ethernet_header, VLEASE_BROKEN_LENGTH, MERGEABLE),
	LIE(rx_index_ahead, VLEASE_BROKEN_USED_IDX, SPLIT),
	LIE(rx_index_back, VLEASE_BROKEN_USED_IDX, SPLIT),
};

/** Deliver honest frames, then the lie, then an honest one again that must not be seen. */
static void
tell_rx(const struct lie *lie, uint64_t features, unsigned int honest)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct rte_mbuf *m[BURST];
	unsigned int got = 0, missing, i;
	uint64_t doorbells;
	struct rx rx;
	uint16_t n;

	make_rx_with(&rx, SIZE, &pool, features, 0);
	assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	for (i = 0; i < honest; i++) {
		make_frame(frame, 60, i);
		software_device_deliver(&rx.device, frame, 60);
		if (lie->broken == VLEASE_BROKEN_USED_IDX) {
			/* An index is judged before what it covers is looked at. */
			assert_int_equal(rx.burst(rx.q, m, BURST), 1);
			rte_pktmbuf_free(m[0]);
			got++;
		}
	}
	lie->tell(&rx.device);
	for (i = 0; i < 4; i++) {
		n = rx.burst(rx.q, m, BURST);
		got += n;
		rte_pktmbuf_free_bulk(m, n);
	}
	if (rx.q->broken != lie->broken)
		fail_msg("%s: %s instead of %s", lie->name, vlease_broken_text(rx.q->broken),
			 vlease_broken_text(lie->broken));
	/* Of an id used twice the first use was right, if a frame was one buffer. */
	assert_in_range(got, honest, honest + 1);
	assert_int_equal(rx.q->stats.errors, 1);
	assert_int_equal(rx.q->stats.packets, got);

	doorbells = rx.q->stats.doorbells;
	make_frame(frame, 60, 1);
	software_device_deliver(&rx.device, frame, 60);
	assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	assert_int_equal(rx.q->stats.errors, 1);
	assert_int_equal(rx.q->stats.doorbells, doorbells);
	missing = pool.size - free_mbufs(&pool);
	assert_int_equal(reset_rx(&rx), missing);
	assert_conserved(&pool);

	/* After its reset it works again. */
	assert_int_equal(rx.burst(rx.q, m, BURST), 0);
	software_device_deliver(&rx.device, frame, 60);
	assert_int_equal(rx.burst(rx.q, m, BURST), 1);
	assert_frame(m[0], 60, 1);
	rte_pktmbuf_free(m[0]);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
lies_break_a_receive_queue(void **state)
{
	unsigned int i, honest;

	for (i = 0; i < RTE_DIM(rx_lies); i++) {
		if (!can_be_told(&rx_lies[i]))
			continue;
		for (honest = 0; honest <= 5; honest += 5) {
			if (!(rx_lies[i].only & MERGEABLE)) {
				tell_rx(&rx_lies[i], 0, honest);
				tell_rx(&rx_lies[i], VIRTIO_NET_F_GUEST_CSUM, honest);
			}
			tell_rx(&rx_lies[i], VIRTIO_NET_F_MRG_RXBUF, honest);
			tell_rx(&rx_lies[i], VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_GUEST_CSUM,
				honest);
		}
	}
}

/* Transmit: four frames are out when the lie is told: one descriptor, three, one, two. */

static void
tx_id_out_of_range(struct software_device *dev)
{
	software_device_use(dev, SIZE, 0);
}

static void
tx_id_far_out_of_range(struct software_device *dev)
{
	software_device_use(dev, UINT32_MAX, 0);
}

static void
tx_id_never_sent(struct software_device *dev)
{
	software_device_use(dev, SIZE - 1, 0);
}

static void
tx_id_twice(struct software_device *dev)
{
	int id = software_device_pop(dev);

	software_device_use(dev, id, 0);
	software_device_use(dev, id, 0);
}

static void
tx_chain_twice(struct software_device *dev)
{
	int id;

	software_device_pop(dev);
	id = software_device_pop(dev);
	software_device_use(dev, id, 0);
	software_device_use(dev, id, 0);
}

static void
tx_id_inside_a_chain(struct software_device *dev)
{
	software_device_use(dev, 2, 0);
}

static void
tx_chain_into_a_circle(struct software_device *dev)
{
	int id;

	software_device_pop(dev);
	id = software_device_pop(dev);
	dev->desc[dev->desc[id].next].next = dev->desc[id].next;
	software_device_use(dev, id, 0);
}

static void
tx_chain_out_of_range(struct software_device *dev)
{
	int id;

	software_device_pop(dev);
	id = software_device_pop(dev);
	dev->desc[id].next = SIZE;
	software_device_use(dev, id, 0);
}

static void
tx_chain_into_another_frame(struct software_device *dev)
{
	int first = software_device_pop(dev), id = software_device_pop(dev);

	dev->desc[id].next = first;
	software_device_use(dev, id, 0);
}

/** In order, the id of a batch's last frame: one of which nothing was sent. */
static void
tx_batch_of_too_many(struct software_device *dev)
{
	software_device_use(dev, 7, 0);
}

static void
tx_index_ahead(struct software_device *dev)
{
	dev->used_idx += SIZE + 1;
	software_device_show(dev, 0);
}

static const struct lie tx_lies[] = {
	LIE(tx_id_out_of_range, VLEASE_BROKEN_USED_ID, IDS),
	LIE(tx_id_far_out_of_range, VLEASE_BROKEN_USED_ID, IDS),
	LIE(tx_id_never_sent, VLEASE_BROKEN_USED_ID, IDS),
	LIE(tx_id_twice, VLEASE_BROKEN_USED_ID, IDS),
	LIE(tx_chain_twice, VLEASE_BROKEN_USED_ID, ANY_ORDER),
	LIE(tx_id_inside_a_chain, VLEASE_BROKEN_USED_ID, IDS),
	LIE(tx_batch_of_too_many, VLEASE_BROKEN_USED_ID, IDS),
	LIE(tx_chain_into_a_circle, VLEASE_BROKEN_CHAIN, SPLIT | ANY_ORDER),
	LIE(tx_chain_out_of_range, VLEASE_BROKEN_CHAIN, SPLIT | ANY_ORDER),
	LIE(tx_chain_into_another_frame, VLEASE_BROKEN_CHAIN, SPLIT | ANY_ORDER),
	LIE(tx_index_ahead, VLEASE_BROKEN_USED_IDX, SPLIT),
};

static unsigned int
send_four(struct tx *tx, const struct pool *pool)
{
	struct rte_mbuf *m[4] = {
		frame_mbuf(pool, RTE_PKTMBUF_HEADROOM, 60, 0),
		frame_chain(pool, 3, 90, 1),
		frame_mbuf(pool, RTE_PKTMBUF_HEADROOM, 60, 2),
		frame_mbuf(pool, 4, 60, 3),
	};

	return tx->burst(tx->q, m, 4);
}

static void
tell_tx(const struct lie *lie)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct rte_mbuf *m;
	struct tx tx;

	make_tx(&tx, SIZE);
	assert_int_equal(send_four(&tx, &pool), 4);
	assert_int_equal(vlease_txq_pending(tx.q), 7);
	lie->tell(&tx.device);
	vlease_txq_complete(tx.q);
	if (tx.q->broken != lie->broken)
		fail_msg("%s: %s instead of %s", lie->name, vlease_broken_text(tx.q->broken),
			 vlease_broken_text(lie->broken));
	assert_int_equal(tx.q->stats.errors, 1);
	assert_int_equal(double_frees(&pool), 0);

	assert_int_equal(vlease_txq_complete(tx.q), 0);
	m = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	assert_int_equal(tx.burst(tx.q, &m, 1), 0);
	assert_int_equal(tx.q->stats.errors, 1);
	rte_pktmbuf_free(m);
	reset_tx(&tx);
	assert_conserved(&pool);

	assert_int_equal(send_four(&tx, &pool), 4);
	free_tx(&tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
lies_break_a_transmit_queue(void **state)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(tx_lies); i++)
		if (can_be_told(&tx_lies[i]))
			tell_tx(&tx_lies[i]);
}

/** The lie is also seen when a burst comes across it. */
static void
sending_stops_at_a_lie(void **state)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	struct rte_mbuf *m[BURST];
	struct tx tx;
	int i;

	make_tx(&tx, 16);
	for (i = 0; i < BURST; i++)
		m[i] = frame_mbuf(&pool, RTE_PKTMBUF_HEADROOM, 60, i);
	assert_int_equal(tx.burst(tx.q, m, BURST), 16);
	if (mode->packed || !mode->in_order)
		software_device_use(&tx.device, 77, 0);
	else
		tx_index_ahead(&tx.device);
	assert_int_equal(tx.burst(tx.q, &m[16], 16), 0);
	assert_int_not_equal(tx.q->broken, VLEASE_INTACT);
	rte_pktmbuf_free_bulk(&m[16], 16);
	assert_int_equal(reset_tx(&tx), 16);
	free_tx(&tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

/**
 * Whatever a device can write to a ring. A length fits a buffer, and no buffer becomes a table,
 * since the device itself may take the descriptor for an available one.
 */
static void
scribble(struct software_device *dev)
{
	uint16_t at = draw_below(SIZE), flags = draw_below(UINT16_MAX) & ~VLEASE_DESC_INDIRECT;

	if (dev->event == NULL) {
		dev->used_idx += draw_below(UINT16_MAX);
		return;
	}
	if (draw_below(2))
		dev->packed_desc[at].id = rte_cpu_to_le_16(draw_below(SIZE + 2));
	dev->packed_desc[at].len = rte_cpu_to_le_32(64 + draw_below(ROOM - 64));
	if (draw_below(2))
		dev->packed_desc[at].flags = rte_cpu_to_le_16(flags);
	if (draw_below(8) == 0)
		dev->event->flags = rte_cpu_to_le_16(flags);
}

/** Anything at all in what the device writes, honest frames between it. */
static void
noise_on_a_receive_queue(uint64_t features, unsigned int rounds)
{
	struct pool pool = make_pool(CHECKED_OPS, 256, 0, ROOM);
	unsigned int broken = 0, round;
	struct rte_mbuf *m[BURST];
	struct rx rx;
	uint16_t n;
	int id;

	make_rx_with(&rx, SIZE, &pool, features, 0);
	for (round = 0; round < rounds; round++) {
		switch (draw_below(12)) {
		case 0:
			software_device_use(&rx.device, draw_below(2) ? draw_below(SIZE + 2) :
					    draw_below(UINT32_MAX), draw_below(700));
			break;
		case 1:
			id = software_device_pop(&rx.device);
			if (id < 0)
				break;
			set_num_buffers(&rx.device, draw_below(8) ? draw_below(4) :
					draw_below(UINT16_MAX));
			software_device_use(&rx.device, id, draw_below(700));
			break;
		case 2:
			if (draw_below(20) == 0)
				scribble(&rx.device);
			break;
		default:
			software_device_deliver(&rx.device, frame, 60 + draw_below(3000));
			break;
		}
		n = rx.burst(rx.q, m, draw_below(BURST));
		while (n-- > 0) {
			rte_mbuf_sanity_check(m[n], 1);
			rte_pktmbuf_free(m[n]);
		}
		/* Over a packed ring, a device that lost its place may just stand still. */
		if (rx.q->broken || draw_below(100) == 0) {
			broken += rx.q->broken != VLEASE_INTACT;
			reset_rx(&rx);
			assert_int_equal(free_mbufs(&pool), pool.size);
			assert_int_equal(double_frees(&pool), 0);
		}
	}
	assert_true(broken > 100);
	free_rx(&rx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
noise_does_no_harm_to_receiving(void **state)
{
	const uint64_t merge = VIRTIO_NET_F_MRG_RXBUF;

	noise_on_a_receive_queue(0, 200000);
	noise_on_a_receive_queue(merge, 200000);
	noise_on_a_receive_queue(VIRTIO_NET_F_GUEST_CSUM, 50000);
	noise_on_a_receive_queue(merge | VIRTIO_NET_F_HASH_REPORT, 50000);
}

static void
noise_on_a_transmit_queue(uint64_t features)
{
	struct pool pool = make_pool(CHECKED_OPS, 512, 0, ROOM);
	unsigned int broken = 0, round;
	struct rte_mbuf *m;
	struct tx tx;

	make_tx_with(&tx, SIZE, features, 0);
	tx.device.shuffle = 5;
	for (round = 0; round < 200000; round++) {
		m = draw_below(3) ? frame_mbuf(&pool, 4 * draw_below(8), 60, 0) :
		    frame_chain(&pool, 1 + draw_below(6), 100, 0);
		if (tx.burst(tx.q, &m, 1) == 0)
			rte_pktmbuf_free(m);
		if (draw_below(100) == 0)
			software_device_use(&tx.device, draw_below(SIZE + 2), 0);
		if (!mode->packed && draw_below(500) == 0)
			tx.device.desc[draw_below(SIZE)].next = draw_below(SIZE + 2);
		if (draw_below(mode->packed ? 50 : 1000) == 0)
			scribble(&tx.device);
		if (tx.device.n_held < SIZE && draw_below(3))
			software_device_take(&tx.device, NULL, 0);
		if (draw_below(4) == 0)
			software_device_complete(&tx.device, draw_below(8));
		vlease_txq_complete(tx.q);
		if (tx.q->broken || draw_below(300) == 0) {
			broken += tx.q->broken != VLEASE_INTACT;
			reset_tx(&tx);
			tx.device.shuffle = 5;
			assert_int_equal(free_mbufs(&pool), pool.size);
			assert_int_equal(double_frees(&pool), 0);
		}
	}
	assert_true(broken > 100);
	free_tx(&tx);
	assert_conserved(&pool);
	free_pool(&pool);
}

static void
noise_does_no_harm_to_sending(void **state)
{
	noise_on_a_transmit_queue(0);
	noise_on_a_transmit_queue(VIRTIO_F_INDIRECT_DESC);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_break_a_receive_queue),
		cmocka_unit_test(lies_break_a_transmit_queue),
		cmocka_unit_test(sending_stops_at_a_lie),
		cmocka_unit_test(noise_does_no_harm_to_receiving),
		cmocka_unit_test(noise_does_no_harm_to_sending),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
