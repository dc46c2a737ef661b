/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The contract of reclaim: the owner of a queue may die before any single instruction of a burst,
 * and after each of these deaths every mbuf has exactly one owner.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "fixture.h"

#define SIZE 16
#define BURST 8
#define ROOM 256

/* A sanitizer makes many instructions of one; then every so many is enough. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 13
#else
#define STRIDE 1
#endif

static uint8_t frame[MAX_FRAME];

/** What a dying owner leaves for the test to see, in shared memory. */
struct testament {
	unsigned int n_handed;	/* mbufs that the burst returned and that are others' now */
	struct rte_mbuf *handed[BURST];
};

struct trial {
	struct pool pool;
	struct rx rx;
	struct tx tx;
	struct testament *testament;
	struct rte_mbuf *to_send[BURST];
	unsigned int n_to_send;
	struct rte_mbuf *kept;	/* sent, and another process has a reference too */
	uint32_t fifo;		/* fifo() before the burst */
};

struct story {
	void (*prepare)(struct trial *t);
	void (*burst)(struct trial *t);
	bool tx;
	unsigned int may_lose;	/* mbufs that can be in the owner's hands at once */
	/*
	 * How many were in the application's hands before the burst: so many are lost, no more
	 * and no less, until the queue first takes or gives an mbuf. -1: the burst starts with a
	 * refill, which takes mbufs from the pool before it gives them to the queue.
	 */
	int brought;
};

/** Both ends of the FIFO of free ids: which mbufs are the queue's. */
static uint32_t
fifo(const struct trial *t, const struct story *story)
{
	return story->tx ? (uint32_t)t->tx.q->free_head << 16 | t->tx.q->free_tail :
	       (uint32_t)t->rx.q->free_head << 16 | t->rx.q->used_cons;
}

/** The mbufs that a descriptor leads to, through a table or not. */
static unsigned int
reachable(const struct trial *t, uint64_t address, uint32_t len, uint16_t flags,
	  struct rte_mbuf **mbufs)
{
	const struct vlease_desc *table = (const struct vlease_desc *)(uintptr_t)address;
	unsigned int i, n = 0;
	struct rte_mbuf *m;

	if (!(flags & VLEASE_DESC_INDIRECT)) {
		m = mbuf_at(&t->pool, address);
		if (m != NULL)
			mbufs[n++] = m;
		return n;
	}
	assert_in_range(len, 1, VLEASE_TX_TABLE * sizeof(*table));
	for (i = 0; i < len / sizeof(*table); i++) {
		m = mbuf_at(&t->pool, table[i].addr);
		if (m != NULL)
			mbufs[n++] = m;
	}
	return n;
}

/** The mbufs that the device of a packed ring can reach: it stops where nothing is available. */
static unsigned int
visible_packed(const struct trial *t, const struct software_device *dev, struct rte_mbuf **mbufs)
{
	const struct vlease_packed_desc *desc;
	uint16_t at = dev->avail_cons, i;
	unsigned int n = 0;

	for (i = 0; i < SIZE; i++, at++) {
		desc = &dev->packed_desc[at & dev->mask];
		if ((desc->flags & VLEASE_PACKED_TURN) != vlease_packed_avail_flags(at, SIZE))
			break;
		assert_true(desc->id < SIZE);
		n += reachable(t, desc->addr, desc->len, desc->flags, &mbufs[n]);
	}
	return n;
}

/** The mbufs that the device can reach at the moment. */
static unsigned int
visible(const struct trial *t, const struct software_device *dev, struct rte_mbuf **mbufs)
{
	uint16_t idx, at = dev->avail_cons, links;
	unsigned int n = 0;
	uint16_t id;

	if (dev->event != NULL)
		return visible_packed(t, dev, mbufs);
	idx = dev->avail->idx;
	assert_true((uint16_t)(idx - at) <= SIZE);
	for (; at != idx; at++) {
		id = dev->avail->ring[at & dev->mask];
		for (links = 0; links < SIZE; links++) {
			assert_true(id < SIZE);
			n += reachable(t, dev->desc[id].addr, dev->desc[id].len,
				       dev->desc[id].flags, &mbufs[n]);
			if (!(dev->desc[id].flags & VLEASE_DESC_NEXT))
				break;
			id = dev->desc[id].next;
		}
	}
	return n;
}

static void
flush_cache(const struct pool *pool)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(pool->mempool, rte_lcore_id());

	if (cache != NULL)
		rte_mempool_cache_flush(cache, pool->mempool);
}

/** Take the queue back and look for every mbuf. Returns how many went down with the owner. */
static unsigned int
settle(struct trial *t, const struct story *story)
{
	struct rte_mbuf *seen[4 * SIZE];
	unsigned int n, i, missing;

	bool untouched = story->brought >= 0 && fifo(t, story) == t->fifo;

	n = visible(t, story->tx ? &t->tx.device : &t->rx.device, seen);
	if (story->tx)
		reset_tx(&t->tx);
	else
		reset_rx(&t->rx);
	flush_cache(&t->pool);
	assert_int_equal(double_frees(&t->pool), 0);
	/* What the device could reach was the queue's, or it could still write to it. */
	for (i = 0; i < n; i++)
		assert_true(is_free(&t->pool, seen[i]) || seen[i] == t->kept);
	for (i = 0; i < t->testament->n_handed; i++)
		assert_false(is_free(&t->pool, t->testament->handed[i]));
	if (t->kept != NULL)
		assert_false(is_free(&t->pool, t->kept));
	missing = t->pool.size - free_mbufs(&t->pool);
	/* A pool that fills its cache has that much more in its hands. */
	if (untouched)
		assert_int_equal(missing, story->brought);
	assert_true(missing <= story->may_lose + t->pool.mempool->cache_size);
	refill_pool(&t->pool);
	assert_conserved(&t->pool);
	flush_cache(&t->pool);
	return missing;
}

/** Memory that owner and lessor share, and a copy of it. */
struct region {
	void *at;
	size_t len;
	void *copy;
};

enum { QUEUE, RING, MBUFS, POOL, CACHE, TESTAMENT, N_REGIONS };

static void
share(struct trial *t, const struct story *story, struct region *regions)
{
	struct rte_mempool *mp = t->pool.mempool;
	struct rte_mempool_memhdr *chunk = STAILQ_FIRST(&mp->mem_list);
	unsigned int i;

	assert_int_equal(mp->nb_mem_chunks, 1);
	regions[QUEUE] = story->tx ? (struct region){ t->tx.q, vlease_txq_bytes(SIZE), NULL } :
			 (struct region){ t->rx.q, vlease_rxq_bytes(SIZE), NULL };
	regions[RING] = (struct region){ story->tx ? t->tx.config.ring : t->rx.config.ring,
					 ring_bytes(SIZE), NULL };
	regions[MBUFS] = (struct region){ chunk->addr, chunk->len, NULL };
	regions[POOL] = (struct region){ mp->pool_data, checked_pool_bytes(), NULL };
	regions[CACHE] = (struct region){ rte_mempool_default_cache(mp, rte_lcore_id()),
					  sizeof(struct rte_mempool_cache), NULL };
	if (regions[CACHE].at == NULL)
		regions[CACHE].len = 0;
	regions[TESTAMENT] = (struct region){ t->testament, sizeof(*t->testament), NULL };
	for (i = 0; i < N_REGIONS; i++)
		assert_non_null(regions[i].copy = malloc(regions[i].len + 1));
}

static void
save(struct region *regions)
{
	unsigned int i;

	for (i = 0; i < N_REGIONS; i++)
		if (regions[i].len > 0)
			memcpy(regions[i].copy, regions[i].at, regions[i].len);
}

static void
restore(struct region *regions)
{
	unsigned int i;

	for (i = 0; i < N_REGIONS; i++)
		if (regions[i].len > 0)
			memcpy(regions[i].at, regions[i].copy, regions[i].len);
}

/** A child that is stopped in front of the burst. */
static pid_t
bear(struct trial *t, const struct story *story)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		story->burst(t);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		fail_msg("this machine does not let a process trace its child");
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	return child;
}

/** Let it go on for some instructions. Returns false when the burst is over. */
static bool
step(pid_t child)
{
	int i, status;

	for (i = 0; i < STRIDE; i++) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGSTOP)
			return false;
		assert_int_equal(WSTOPSIG(status), SIGTRAP);
	}
	return true;
}

/**
 * An owner that stands still between two instructions leaves just what it would leave if it were
 * killed there. So it needs to live only once: the queue is taken from it, everything is counted,
 * and then the world is put back as it was, for the next instruction.
 */
static void
kill_at_every_instruction(const struct story *story, unsigned int cache)
{
	static struct trial t, before;
	struct region regions[N_REGIONS];
	unsigned int deaths = 0, worst = 0, i;
	pid_t child;
	bool alive;

	memset(&t, 0, sizeof(t));
	t.pool = make_pool(CHECKED_OPS, 192, cache, ROOM);
	t.testament = rte_zmalloc("testament", sizeof(*t.testament), 0);
	assert_non_null(t.testament);
	story->prepare(&t);
	t.fifo = fifo(&t, story);
	share(&t, story, regions);
	child = bear(&t, story);
	do {
		alive = step(child);
		save(regions);
		before = t;
		worst = RTE_MAX(worst, settle(&t, story));
		deaths++;
		if (alive) {
			restore(regions);
			t = before;
		}
	} while (alive);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(deaths > 30);
	print_message("%u deaths, at most %u mbufs lost\n", deaths, worst);
	for (i = 0; i < N_REGIONS; i++)
		free(regions[i].copy);
	if (story->tx)
		free_tx(&t.tx);
	else
		free_rx(&t.rx);
	assert_conserved(&t.pool);
	rte_free(t.testament);
	free_pool(&t.pool);
}

static void
receive(struct trial *t)
{
	struct rte_mbuf *m[BURST];
	unsigned int i, n;

	n = t->rx.burst(t->rx.q, m, BURST);
	for (i = 0; i < n; i++)
		t->testament->handed[i] = m[i];
	vlease_publish(&t->testament->n_handed, n);
}

static void
new_rx(struct trial *t, bool mergeable)
{
	make_rx(&t->rx, SIZE, &t->pool, mergeable);
	t->rx.q->free_thresh = 4;
}

static void
rx_fresh(struct trial *t)
{
	new_rx(t, true);
}

static void
rx_plain(struct trial *t)
{
	struct rte_mbuf *m;
	int i;

	new_rx(t, false);
	t->rx.burst(t->rx.q, &m, 1);
	t->rx.device.shuffle = 3;
	for (i = 0; i < BURST; i++)
		software_device_deliver(&t->rx.device, frame, 60);
}

/** As vectors take them: used in the order in which they were posted. */
static void
rx_in_a_row(struct trial *t, bool mergeable)
{
	struct rte_mbuf *m;
	int i;

	new_rx(t, mergeable);
	t->rx.burst(t->rx.q, &m, 1);
	for (i = 0; i < BURST; i++)
		software_device_deliver(&t->rx.device, frame, 60);
}

static void
rx_plain_in_a_row(struct trial *t)
{
	rx_in_a_row(t, false);
}

static void
rx_merged_in_a_row(struct trial *t)
{
	rx_in_a_row(t, true);
}

static void
rx_merged(struct trial *t)
{
	struct rte_mbuf *m;

	new_rx(t, true);
	t->rx.burst(t->rx.q, &m, 1);
	t->rx.device.shuffle = 9;
	software_device_deliver(&t->rx.device, frame, 60);
	software_device_deliver(&t->rx.device, frame, 600);
	software_device_deliver(&t->rx.device, frame, 5);
	software_device_deliver(&t->rx.device, frame, 60);
	software_device_deliver_hidden(&t->rx.device, frame, 700);
	software_device_show(&t->rx.device, 1);
}

/** Frames with a checksum to be named, one to be finished, and a tag to be taken out. */
static void
rx_offloaded(struct trial *t)
{
	struct rte_mbuf *m;
	int i;

	make_rx_with(&t->rx, SIZE, &t->pool, VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_GUEST_CSUM |
		     VIRTIO_NET_F_HASH_REPORT, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	t->rx.q->free_thresh = 4;
	t->rx.burst(t->rx.q, &m, 1);
	t->rx.device.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	t->rx.device.hash_type = 1;
	frame[12] = RTE_ETHER_TYPE_VLAN >> 8;
	frame[13] = RTE_ETHER_TYPE_VLAN & 0xff;
	for (i = 0; i < 4; i++) {
		t->rx.device.header.csum_start = 20 * i;
		software_device_deliver(&t->rx.device, frame, 60 + 200 * i);
	}
}

static void
rx_broken(struct trial *t)
{
	struct rte_mbuf *m;

	new_rx(t, true);
	t->rx.burst(t->rx.q, &m, 1);
	software_device_deliver(&t->rx.device, frame, 60);
	software_device_deliver(&t->rx.device, frame, 600);
	software_device_use(&t->rx.device, SIZE, 60);
}

static void
transmit(struct trial *t)
{
	t->tx.burst(t->tx.q, t->to_send, t->n_to_send);
}

/** Frames of every kind are pending, most of them complete, and as many are to be sent. */
static void
tx_mixed_with(struct trial *t, uint64_t features)
{
	struct rte_mbuf *m[4];

	make_tx_with(&t->tx, SIZE, features, 0);
	/* All that is complete is collected: how much it is, cannot be seen between chains. */
	t->tx.q->free_thresh = 1;
	t->tx.device.shuffle = 3;
	m[0] = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	m[1] = frame_chain(&t->pool, 3, 100, 0);
	m[2] = frame_mbuf(&t->pool, 3, 60, 0);
	m[3] = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	assert_int_equal(t->tx.burst(t->tx.q, m, 4), 4);
	while (software_device_take(&t->tx.device, NULL, 0) >= 0)
		;
	software_device_complete(&t->tx.device, 4);
	m[0] = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	t->to_send[0] = m[0];
	t->to_send[1] = frame_chain(&t->pool, 3, 100, 0);
	t->kept = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	rte_mbuf_refcnt_update(t->kept, 1);
	t->to_send[2] = t->kept;
	t->to_send[3] = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	t->n_to_send = 4;
}

static void
tx_mixed(struct trial *t)
{
	tx_mixed_with(t, 0);
}

static void
tx_indirect(struct trial *t)
{
	tx_mixed_with(t, VIRTIO_F_INDIRECT_DESC);
}

/** The same with offloads: headers of their own, tags in front of which there is no room. */
static void
tx_offloads(struct trial *t)
{
	unsigned int i;

	tx_mixed(t);
	free_tx(&t->tx);
	make_tx_with(&t->tx, SIZE, VIRTIO_F_INDIRECT_DESC, VLEASE_TX_OFFLOADS);
	for (i = 0; i < t->n_to_send; i++) {
		t->to_send[i]->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
		t->to_send[i]->l2_len = RTE_ETHER_HDR_LEN;
		t->to_send[i]->l3_len = 20;
		if (i > 0)
			t->to_send[i]->ol_flags |= RTE_MBUF_F_TX_VLAN;
	}
}

/** Only frames that go back to their pool without a look, enough to empty a small cache. */
static void
tx_plain(struct trial *t)
{
	struct rte_mbuf *m[BURST];
	int i;

	make_tx(&t->tx, SIZE);
	t->tx.q->free_thresh = 4;
	for (i = 0; i < BURST; i++)
		m[i] = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	assert_int_equal(t->tx.burst(t->tx.q, m, BURST), BURST);
	software_device_drain(&t->tx.device, BURST - 1);
	for (i = 0; i < BURST; i++)
		t->to_send[i] = frame_mbuf(&t->pool, RTE_PKTMBUF_HEADROOM, 60, 0);
	t->n_to_send = BURST;
}

static void
owner_dies_filling_a_fresh_queue(void **state)
{
	static const struct story story = { rx_fresh, receive, false, SIZE, -1 };

	kill_at_every_instruction(&story, 0);
	kill_at_every_instruction(&story, 8);
}

static void
owner_dies_receiving(void **state)
{
	static const struct story story = { rx_plain, receive, false, 2 * BURST, 0 };

	kill_at_every_instruction(&story, 0);
	kill_at_every_instruction(&story, 8);
}

static void
owner_dies_receiving_in_a_row(void **state)
{
	static const struct story stories[] = {
		{ rx_plain_in_a_row, receive, false, 2 * BURST, 0 },
		{ rx_merged_in_a_row, receive, false, 2 * BURST, 0 },
	};
	unsigned int i;

	for (i = 0; i < RTE_DIM(stories); i++) {
		kill_at_every_instruction(&stories[i], 0);
		kill_at_every_instruction(&stories[i], 8);
	}
}

static void
owner_dies_receiving_merged_frames(void **state)
{
	static const struct story story = { rx_merged, receive, false, 2 * SIZE, 0 };

	kill_at_every_instruction(&story, 0);
	kill_at_every_instruction(&story, 8);
}

static void
owner_dies_receiving_frames_with_offloads(void **state)
{
	static const struct story story = { rx_offloaded, receive, false, 2 * SIZE, 0 };

	kill_at_every_instruction(&story, 0);
}

static void
owner_dies_receiving_a_lie(void **state)
{
	static const struct story story = { rx_broken, receive, false, SIZE, 0 };

	kill_at_every_instruction(&story, 0);
}

static void
owner_dies_sending(void **state)
{
	static const struct story story = { tx_plain, transmit, true, 2 * BURST, BURST };

	kill_at_every_instruction(&story, 0);
	kill_at_every_instruction(&story, 8);
}

static void
owner_dies_sending_frames_of_all_kinds(void **state)
{
	static const struct story story = { tx_mixed, transmit, true, 6 + 6, 6 };

	kill_at_every_instruction(&story, 0);
	kill_at_every_instruction(&story, 8);
}

static void
owner_dies_sending_indirect_tables(void **state)
{
	static const struct story story = { tx_indirect, transmit, true, 6 + 6, 6 };

	kill_at_every_instruction(&story, 0);
	kill_at_every_instruction(&story, 8);
}

static void
owner_dies_sending_with_offloads(void **state)
{
	static const struct story story = { tx_offloads, transmit, true, 6 + 6, 6 };

	kill_at_every_instruction(&story, 0);
}

/** A whole run of it: an owner that receives and frees for as long as it lives. */
static void
owner_dies_at_any_moment_of_its_traffic(void **state)
{
	struct trial t = { .pool = make_pool(CHECKED_OPS, 192, 0, ROOM) };
	struct rte_mbuf *m[BURST];
	unsigned int round, n;
	uint64_t delivered = 0;
	uint16_t frames;
	pid_t child;

	for (round = 0; round < 100; round++) {
		make_rx(&t.rx, SIZE, &t.pool, true);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			for (;;) {
				n = t.rx.burst(t.rx.q, m, BURST);
				rte_pktmbuf_free_bulk(m, n);
				if (n == 0)
					sched_yield();
			}
		for (frames = 1 + draw_below(1000); frames > 0; frames--)
			while (software_device_deliver(&t.rx.device, frame,
						       60 + 8 * draw_below(100)) == 0)
				sched_yield();
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		delivered += t.rx.q->stats.packets;
		assert_int_equal(t.rx.q->broken, 0);
		reset_rx(&t.rx);
		assert_int_equal(double_frees(&t.pool), 0);
		assert_in_range(free_mbufs(&t.pool), t.pool.size - 3 * SIZE, t.pool.size);
		refill_pool(&t.pool);
		free_rx(&t.rx);
		assert_conserved(&t.pool);
	}
	assert_true(delivered > 0);
	free_pool(&t.pool);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_dies_filling_a_fresh_queue),
		cmocka_unit_test(owner_dies_receiving),
		cmocka_unit_test(owner_dies_receiving_in_a_row),
		cmocka_unit_test(owner_dies_receiving_merged_frames),
		cmocka_unit_test(owner_dies_receiving_frames_with_offloads),
		cmocka_unit_test(owner_dies_receiving_a_lie),
		cmocka_unit_test(owner_dies_sending),
		cmocka_unit_test(owner_dies_sending_frames_of_all_kinds),
		cmocka_unit_test(owner_dies_sending_indirect_tables),
		cmocka_unit_test(owner_dies_sending_with_offloads),
		cmocka_unit_test(owner_dies_at_any_moment_of_its_traffic),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
