/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Fuzzes the data path. An input says what was negotiated, and what application and device then
 * do, step by step, with one queue. Whatever the device does: every mbuf has one owner, none is
 * lost, what the application gets is whole, and nobody strays from what is theirs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_vect.h>

#include "eal.h"
#include "hostile.h"
#include "input.h"
#include "pool.h"
#include "target.h"
#include "virtio_lease_rx_vector.h"
#include "watch.h"

#define PORT_ID 1
#define VQ_INDEX 2
#define SLOT (PORT_ID * VLEASE_MAX_VQS + VQ_INDEX)
#define BURST 32

/**
 * What may be negotiated. Each entry is a bit of an input's first word, whose last is IS_LCORE:
 * new ones go to the end, or the corpus changes its meaning.
 */
static const struct option {
	uint64_t features, rx_offloads, tx_offloads;
} options[] = {
	{ .features = VIRTIO_F_RING_PACKED },
	{ .features = VIRTIO_F_IN_ORDER },
	{ .features = VIRTIO_NET_F_MRG_RXBUF },
	{ .tx_offloads = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM },
	{ .tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO },
	{ .tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT },
	{ .features = VIRTIO_F_EVENT_IDX },
	{ .features = VIRTIO_F_NOTIFICATION_DATA },
	{ .rx_offloads = RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM },
	{ .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO },
	{ .rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP },
	{ .features = VIRTIO_F_INDIRECT_DESC },
	{ .features = VIRTIO_NET_F_HASH_REPORT },
};

struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS];

static struct queue {
	struct vlease_queue_config config;
	bool rx;
	union {
		struct vlease_rxq *rxq;
		struct vlease_txq *txq;
		void *memory;
	};
	vlease_burst_t burst;
	uint32_t shuffle;
	struct pool *pool;	/**< Rx: of the queue. Tx: of most frames */
	struct pool *other;	/**< Tx: of some frames */
	struct rte_mbuf *held[POOL_KINDS * POOL_SIZE];	/**< by the application */
	unsigned int n_held;
	struct hostile hostile;
} queue;

static struct input input;

/* ---- What the driver calls ---- */

static unsigned int doorbells;
/** Loads until the device gets its turn, and how many steps that is; 0: it does not. */
static unsigned int loads_left, turn;

void
vlease_request_doorbell(uint32_t slot)
{
	require(slot == SLOT, "a doorbell is asked for that is not the queue's");
}

void
watch_load(void)
{
	if (loads_left == 0 || --loads_left > 0)
		return;
	pool_look(queue.pool);
	pool_look(queue.other);
	queue.hostile.in_burst = true;
	for (; turn > 0; turn--)
		hostile_step(&queue.hostile, &input);
	queue.hostile.in_burst = false;
}

void
watch_doorbell(const volatile void *doorbell, uint16_t index)
{
	require(doorbell == &queue.hostile.device.doorbell && index == VQ_INDEX,
		"a doorbell is rung that is not the queue's");
	doorbells++;
}

/* ---- Rules ---- */

static uint8_t
broken(void)
{
	return queue.rx ? queue.rxq->broken : queue.txq->broken;
}

/** Where each mbuf is. */
static void
check_accounts(void)
{
	unsigned int n_free = pool_look(queue.pool);

	pool_look(queue.other);
	if (!queue.rx)
		require(vlease_txq_pending(queue.txq) <= queue.config.size,
			"no more ids are free than there are");
	else
		require(n_free + queue.pool->n_app + vlease_rxq_posted(queue.rxq) == POOL_SIZE,
			"free, posted and received mbufs are all there are");
}

static void
check_received(const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg;
	unsigned int segs = 0;
	uint32_t len = 0;
	const char *why;

	if (rte_mbuf_check(m, 1, &why) != 0)
		require(false, why);
	for (seg = m; seg != NULL; seg = seg->next, segs++) {
		require(segs < m->nb_segs, "a frame has no more segments than it says");
		require(rte_mbuf_refcnt_read(seg) == 1, "a received mbuf has one reference");
		require(seg->data_len > 0, "a received segment is not empty");
		require(seg->data_off + seg->data_len <= seg->buf_len,
			"a received segment ends in its buffer");
		require(seg->port == PORT_ID, "a received mbuf names its port");
		len += seg->data_len;
	}
	require(segs == m->nb_segs && len == m->pkt_len, "a frame is as long as it says");
	require(len >= RTE_ETHER_HDR_LEN, "a frame has an Ethernet header");
}

/* ---- Steps of the application ---- */

static void
hold(struct rte_mbuf *m)
{
	queue.held[queue.n_held++] = m;
}

static void
receive(void)
{
	struct rte_mbuf *mbufs[BURST], *m, *next;
	uint16_t n = queue.burst(queue.rxq, mbufs, take_below(&input, BURST + 1)), i;

	for (i = 0; i < n; i++) {
		for (m = mbufs[i]; m != NULL; m = m->next)
			pool_app_gets(m);
		check_received(mbufs[i]);
		/* The application takes it apart. */
		for (m = mbufs[i]; m != NULL; m = next) {
			next = m->next;
			m->next = NULL;
			m->nb_segs = 1;
			hold(m);
		}
	}
}

enum {
	FRAME_SEGMENTS = 7,	/**< one more than this part says */
	FRAME_NO_ROOM = 8,	/**< no headroom */
	FRAME_SHARED = 16,	/**< the application keeps a reference */
	FRAME_CLONE = 32,	/**< the buffer is another mbuf's */
	FRAME_EMPTY = 64,	/**< its last segment is */
	FRAME_OTHER = 128,	/**< of another pool */
};

static struct rte_mbuf *
segment(struct pool *pool, unsigned int shape, uint16_t len)
{
	struct rte_mbuf *m = pool_take(pool), *clone;

	if (m == NULL)
		return NULL;
	if (shape & FRAME_NO_ROOM)
		m->data_off = 4;
	rte_pktmbuf_append(m, len);
	if (shape & FRAME_SHARED) {
		rte_mbuf_refcnt_update(m, 1);
		hold(m);
	} else if (shape & FRAME_CLONE && pool != &pools[POOL_PINNED] &&
		   (clone = pool_take(pool)) != NULL) {
		rte_pktmbuf_attach(clone, m);
		hold(m);
		return clone;
	}
	return m;
}

/** What the application asks for, which may be anything: all that it says is looked at. */
static void
request(struct rte_mbuf *m)
{
	static const uint64_t flags[] = {
		RTE_MBUF_F_TX_TCP_CKSUM, RTE_MBUF_F_TX_UDP_CKSUM, RTE_MBUF_F_TX_TCP_SEG,
		RTE_MBUF_F_TX_VLAN, RTE_MBUF_F_TX_IPV4, RTE_MBUF_F_TX_IPV6,
		RTE_MBUF_F_TX_IP_CKSUM, RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_TUNNEL_VXLAN,
	};
	unsigned int bits = take(&input, 1), i;

	for (i = 0; i < RTE_DIM(flags); i++)
		if (bits >> i & 1)
			m->ol_flags |= flags[i];
	if (bits == 0)
		return;
	m->l2_len = take(&input, 1);
	m->l3_len = take(&input, 1);
	m->l4_len = take(&input, 1);
	m->tso_segsz = take(&input, 1);
	m->vlan_tci = bits;
}

/** NULL if the pool has not enough. */
static struct rte_mbuf *
frame(void)
{
	unsigned int shape = take(&input, 1), n = 1 + (shape & FRAME_SEGMENTS), i;
	struct pool *pool = shape & FRAME_OTHER ? queue.other : queue.pool;
	struct rte_mbuf *head = NULL, *m;

	for (i = 0; i < n; i++) {
		m = segment(pool, shape, i == n - 1 && shape & FRAME_EMPTY ? 0 : 60);
		if (m == NULL)
			break;
		if (head == NULL)
			head = m;
		else
			rte_pktmbuf_chain(head, m);
	}
	if (head != NULL && queue.config.offloads != 0)
		request(head);
	return head;
}

/** From here on the driver may free it, but for what the application refers to itself. */
static void
give(struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next)
		if (rte_mbuf_refcnt_read(m) == 1)
			pool_app_gives(m);
}

static void
take_back(struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next)
		if (rte_mbuf_refcnt_read(m) == 1)
			pool_app_gets(m);
}

static void
drop(struct rte_mbuf *m)
{
	struct rte_mbuf *next;

	for (; m != NULL; m = next) {
		next = m->next;
		if (rte_mbuf_refcnt_read(m) == 1)
			pool_app_gives(m);
		rte_pktmbuf_free_seg(m);
	}
}

static void
transmit(void)
{
	unsigned int wanted = take_below(&input, BURST + 1);
	vlease_burst_t prepare = vlease_tx_prepare(queue.config.offloads);
	uint16_t n, i, ready, sent;
	struct rte_mbuf *mbufs[BURST];

	for (n = 0; n < wanted && (mbufs[n] = frame()) != NULL; n++)
		;
	ready = n;
	if (prepare != NULL && take_below(&input, 2))
		ready = prepare(queue.txq, mbufs, n);
	require(ready <= n, "no more frames are prepared than there are");
	for (i = ready; i < n; i++)
		drop(mbufs[i]);
	n = ready;
	for (i = 0; i < n; i++)
		give(mbufs[i]);
	sent = queue.burst(queue.txq, mbufs, n);
	require(sent <= n, "no more frames are sent than there are");
	for (i = sent; i < n; i++) {
		take_back(mbufs[i]);
		drop(mbufs[i]);
	}
}

static void
burst(void)
{
	uint64_t before = queue.n_held;
	uint8_t was_broken = broken();
	bool none = was_broken || vlease_doorbell(SLOT) == NULL;

	doorbells = 0;
	if (queue.rx)
		receive();
	else
		transmit();
	require(doorbells <= (none ? 0 : 1), "one doorbell a burst, and none of a broken queue");
	require(!queue.rx || !none || queue.n_held == before, "a broken queue stands still");
	require(!was_broken || broken() == was_broken, "a broken queue stays broken");
	require(vlease_doorbells[SLOT].busy == 0, "a burst ends");
}

static void
release(void)
{
	unsigned int n = take_below(&input, 64);

	while (n-- > 0 && queue.n_held > 0)
		pool_app_frees(queue.held[--queue.n_held]);
}

/** The application holds mbufs that the driver would like to have. */
static void
hoard(void)
{
	unsigned int n = take_below(&input, 64);
	struct rte_mbuf *m;

	while (n-- > 0 && queue.n_held < RTE_DIM(queue.held) &&
	       (m = pool_take(queue.pool)) != NULL)
		hold(m);
}

static void
complete(void)
{
	if (!queue.rx)
		vlease_txq_complete(queue.txq);
}

/** What an application may ask between bursts. */
static void
ask(void)
{
	uint16_t offset = take(&input, 1);

	if (!queue.rx)
		return;
	require(vlease_rx_queue_count(queue.rxq) <= vlease_rxq_posted(queue.rxq),
		"no more buffers are used than posted");
	vlease_rx_descriptor_status(queue.rxq, offset);
	if (!queue.rxq->broken)
		vlease_rxq_interrupt(queue.rxq, offset & 1);
}

static void
lose_or_find_doorbell(void)
{
	bool found = vlease_doorbell(SLOT) != NULL;

	vlease_set_doorbell(SLOT, found ? NULL : &queue.hostile.device.doorbell);
}

static void
reclaim(void)
{
	int ret;

	loads_left = 0;
	pools_unpoison();
	ret = queue.rx ? vlease_rxq_reclaim(queue.rxq, &queue.config) :
			 vlease_txq_reclaim(queue.txq, &queue.config);
	pools_poison();
	require(ret >= 0, "reclaim succeeds");
	require(queue.rx ? vlease_rxq_posted(queue.rxq) == 0 : vlease_txq_pending(queue.txq) == 0,
		"a queue is empty after reclaim");
	require(!broken(), "a queue works after reclaim");
	hostile_attach(&queue.hostile, &queue.config, queue.rx, queue.shuffle);
}

/** Let the device have its turn in the middle of what the driver does next. */
static void
interrupt(void)
{
	loads_left = 1 + take_below(&input, 128);
	turn = 1 + take_below(&input, 4);
}

static void
application_step(void)
{
	static void (* const steps[])(void) = {
		burst, release, complete, interrupt, hoard, lose_or_find_doorbell, reclaim, ask,
	};

	steps[take_below(&input, RTE_DIM(steps))]();
}

/* ---- An input ---- */

/** Of an input's first word: the thread is an lcore, for which every pool has a cache. */
#define IS_LCORE (UINT64_C(1) << 31)

static void
negotiate(void)
{
	uint64_t word = take(&input, 4);
	unsigned int i;

	RTE_PER_LCORE(_lcore_id) = word & IS_LCORE ? rte_get_main_lcore() : LCORE_ID_ANY;

	queue.rx = take_below(&input, 2);
	for (i = 0; i < RTE_DIM(options); i++) {
		if (!(word >> i & 1))
			continue;
		queue.config.features |= options[i].features;
		queue.config.offloads |= queue.rx ? options[i].rx_offloads :
						    options[i].tx_offloads;
	}
}

static void *
zeroed(size_t bytes)
{
	void *memory = aligned_alloc(RTE_CACHE_LINE_SIZE,
				     RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE));

	require(memory != NULL, "memory");
	return memset(memory, 0, bytes);
}

static void
begin(void)
{
	struct vlease_queue_config *c = &queue.config;
	unsigned int kind;

	memset(&queue, 0, offsetof(struct queue, hostile));
	negotiate();
	c->size = 1 << (1 + take_below(&input, 6));
	c->free_thresh = take_below(&input, c->size + 1);
	kind = take_below(&input, POOL_KINDS);
	queue.shuffle = take(&input, 1);
	queue.pool = &pools[kind];
	queue.other = &pools[(kind + 1) % POOL_KINDS];
	pool_reset(queue.pool);
	pool_reset(queue.other);
	c->ring = zeroed(hostile_ring_bytes(c, queue.rx));
	c->ring_iova = (uintptr_t)c->ring;
	c->pool = queue.pool->mempool;
	c->vq_index = VQ_INDEX;
	c->port_id = PORT_ID;
	queue.memory = zeroed(queue.rx ? vlease_rxq_bytes(c->size) : vlease_txq_bytes(c->size));
	require((queue.rx ? vlease_rxq_init(queue.rxq, c) : vlease_txq_init(queue.txq, c)) == 0,
		"the queue can be made");
	queue.burst = queue.rx ? vlease_rx_burst(c->features, c->offloads) :
				 vlease_tx_burst(c->features, c->offloads);
	hostile_attach(&queue.hostile, c, queue.rx, queue.shuffle);
	vlease_set_doorbell(SLOT, &queue.hostile.device.doorbell);
}

static void
end(void)
{
	reclaim();
	while (queue.n_held > 0)
		pool_app_frees(queue.held[--queue.n_held]);
	require(pool_look(queue.pool) == POOL_SIZE && pool_look(queue.other) == POOL_SIZE,
		"all mbufs are back");
	vlease_set_doorbell(SLOT, NULL);
	free(queue.config.ring);
	free(queue.memory);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	start_eal((*argv)[0]);
#ifdef FUZZ_VECTORS
	if (!vlease_rx_has_vectors(0, 0)) {
		fprintf(stderr, "skip: the processor has no AVX2, or EAL does not allow it\n");
		exit(77);
	}
#else
	require(rte_vect_set_max_simd_bitwidth(RTE_VECT_SIMD_DISABLED) == 0, "no vectors");
#endif
	pools_create();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, data + size };
	begin();
	while (input_left(&input) > 0) {
		if (take_below(&input, 2))
			hostile_step(&queue.hostile, &input);
		else
			application_step();
		check_accounts();
	}
	end();
	return 0;
}
