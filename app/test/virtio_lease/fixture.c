/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "fixture.h"
#include "virtio_lease_rx_vector.h"

#define MAX_POOL 8192

/** What meson understands as a test that cannot be run here. */
#define SKIPPED 77

static const struct mode modes[] = {
	{ "split", false, false, 0 },
	{ "split_in_order", false, true, VIRTIO_F_IN_ORDER },
	{ "packed", true, false, VIRTIO_F_RING_PACKED },
	{ "packed_in_order", true, true, VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER },
};

const struct mode *mode = &modes[0];

int
_run_in_all_modes(const struct CMUnitTest *tests, size_t n)
{
	int failed = 0;

	for (mode = modes; mode < modes + RTE_DIM(modes); mode++)
		failed += _cmocka_run_group_tests(mode->name, tests, n, NULL, NULL);
	return failed;
}

static unsigned int requests;

/* Weak: a test may bring the driver's own. */
__attribute__((weak)) struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS];

__attribute__((weak)) void
vlease_request_doorbell(uint32_t slot)
{
	assert_int_equal(slot, SLOT);
	requests++;
}

unsigned int
doorbell_requests(void)
{
	unsigned int n = requests;

	requests = 0;
	return n;
}

/*
 * Pools that notice. An object is free when its bit is set, and each operation on it is one
 * instruction: a process killed anywhere leaves the pool whole.
 */

struct checked_pool {
	uint64_t is_free[MAX_POOL / 64];
	void *objects[MAX_POOL];
	unsigned int n;
	unsigned int double_frees;
	bool numbered;		/* whether each mbuf holds its number in its private area */
};

static int
checked_alloc(struct rte_mempool *mp)
{
	mp->pool_data = rte_zmalloc("checked_pool", sizeof(struct checked_pool), 0);
	return mp->pool_data ? 0 : -ENOMEM;
}

static void
checked_free(struct rte_mempool *mp)
{
	rte_free(mp->pool_data);
}

static uint32_t *
number_of(void *object)
{
	return rte_mbuf_to_priv(object);
}

static int
checked_enqueue(struct rte_mempool *mp, void * const *objects, unsigned int n)
{
	struct checked_pool *pool = mp->pool_data;
	uint64_t bit, before;
	unsigned int i, at;

	for (i = 0; i < n; i++) {
		at = pool->numbered ? *number_of(objects[i]) : pool->n++;
		if (at >= MAX_POOL)
			abort();
		pool->objects[at] = objects[i];
		bit = UINT64_C(1) << (at % 64);
		before = __atomic_fetch_or(&pool->is_free[at / 64], bit, __ATOMIC_SEQ_CST);
		if (before & bit)
			pool->double_frees++;
	}
	return 0;
}

static unsigned int
checked_count(const struct rte_mempool *mp)
{
	const struct checked_pool *pool = mp->pool_data;
	unsigned int i, n = 0;

	for (i = 0; i < (pool->n + 63) / 64; i++)
		n += __builtin_popcountll(pool->is_free[i]);
	return n;
}

static int
checked_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	struct checked_pool *pool = mp->pool_data;
	unsigned int i = 0, got = 0, at;

	if (checked_count(mp) < n)
		return -ENOENT;
	while (got < n) {
		if (pool->is_free[i] == 0) {
			i++;
			continue;
		}
		at = i * 64 + __builtin_ctzll(pool->is_free[i]);
		__atomic_fetch_and(&pool->is_free[i], pool->is_free[i] - 1, __ATOMIC_SEQ_CST);
		objects[got++] = pool->objects[at];
	}
	return 0;
}

static const struct rte_mempool_ops checked_ops = {
	.name = CHECKED_OPS,
	.alloc = checked_alloc,
	.free = checked_free,
	.enqueue = checked_enqueue,
	.dequeue = checked_dequeue,
	.get_count = checked_count,
};

RTE_MEMPOOL_REGISTER_OPS(checked_ops);

static bool
is_checked(const struct rte_mempool *mp)
{
	return strcmp(rte_mempool_get_ops(mp->ops_index)->name, CHECKED_OPS) == 0;
}

static void
number_objects(struct rte_mempool *mp)
{
	struct checked_pool *pool = mp->pool_data;
	unsigned int i;

	if (!is_checked(mp))
		return;
	for (i = 0; i < pool->n; i++)
		*number_of(pool->objects[i]) = i;
	pool->numbered = true;
}

static const char *
pool_name(void)
{
	static unsigned int serial;
	static char name[32];

	snprintf(name, sizeof(name), "pool_%u", serial++);
	return name;
}

struct pool
make_pool(const char *ops, unsigned int size, unsigned int cache, uint16_t room)
{
	struct pool pool = { .size = size };

	assert_in_range(size, 1, MAX_POOL);
	pool.mempool = rte_pktmbuf_pool_create_by_ops(pool_name(), size, cache, 64,
						      RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY,
						      ops);
	assert_non_null(pool.mempool);
	number_objects(pool.mempool);
	return pool;
}

struct pool
make_pinned_pool(unsigned int size, unsigned int cache, uint16_t room)
{
	uint16_t elt = RTE_PKTMBUF_HEADROOM + room;
	struct rte_pktmbuf_extmem mem = { .buf_len = (size_t)size * elt, .elt_size = elt };
	struct pool pool = { .size = size };

	mem.buf_ptr = rte_malloc("pinned", mem.buf_len, RTE_CACHE_LINE_SIZE);
	assert_non_null(mem.buf_ptr);
	mem.buf_iova = rte_malloc_virt2iova(mem.buf_ptr);
	pool.mempool = rte_pktmbuf_pool_create_extbuf(pool_name(), size, cache, 64, elt,
						      SOCKET_ID_ANY, &mem, 1);
	assert_non_null(pool.mempool);
	return pool;
}

void
free_pool(struct pool *pool)
{
	rte_mempool_free(pool->mempool);
}

unsigned int
free_mbufs(const struct pool *pool)
{
	return rte_mempool_avail_count(pool->mempool);
}

unsigned int
double_frees(const struct pool *pool)
{
	return ((struct checked_pool *)pool->mempool->pool_data)->double_frees;
}

size_t
checked_pool_bytes(void)
{
	return sizeof(struct checked_pool);
}

bool
is_free(const struct pool *pool, const void *mbuf)
{
	const struct checked_pool *checked = pool->mempool->pool_data;
	uint32_t at = *number_of((void *)(uintptr_t)mbuf);

	return checked->is_free[at / 64] >> (at % 64) & 1;
}

struct rte_mbuf *
mbuf_at(const struct pool *pool, uint64_t address)
{
	struct checked_pool *checked = pool->mempool->pool_data;
	uintptr_t start;
	unsigned int i;

	for (i = 0; i < checked->n; i++) {
		start = (uintptr_t)checked->objects[i];
		if (address >= start && address < start + pool->mempool->elt_size)
			return checked->objects[i];
	}
	return NULL;
}

void
refill_pool(const struct pool *pool)
{
	struct checked_pool *checked = pool->mempool->pool_data;
	unsigned int i;

	for (i = 0; i < checked->n; i++) {
		struct rte_mbuf *m = checked->objects[i];

		if (is_free(pool, m))
			continue;
		rte_mbuf_refcnt_set(m, 1);
		m->next = NULL;
		m->nb_segs = 1;
		rte_mempool_ops_enqueue_bulk(pool->mempool, (void **)&m, 1);
	}
}

void
assert_conserved(const struct pool *pool)
{
	struct rte_mbuf **all = calloc(pool->size, sizeof(*all));
	unsigned int i;

	assert_int_equal(free_mbufs(pool), pool->size);
	if (is_checked(pool->mempool))
		assert_int_equal(double_frees(pool), 0);
	/* All at once, so that one in two places would be seen, in the state of a free mbuf. */
	assert_int_equal(rte_mempool_get_bulk(pool->mempool, (void **)all, pool->size), 0);
	for (i = 0; i < pool->size; i++) {
		assert_int_equal(all[i]->nb_segs, 1);
		assert_null(all[i]->next);
		assert_int_equal(rte_mbuf_refcnt_read(all[i]), 1);
		all[i]->port = 0x5a5a;
	}
	for (i = 0; i < pool->size; i++) {
		assert_int_equal(all[i]->port, 0x5a5a);
		all[i]->port = 0;
	}
	rte_mempool_put_bulk(pool->mempool, (void **)all, pool->size);
	free(all);
}

void
start_eal(const char *program)
{
	const char *width = getenv("SIMD_BITWIDTH");
	char simd[64];
	const char *args[] = {
		program, "--no-huge", "-m", "256", "--no-pci", "--no-shconf", "--iova-mode=va",
		"--no-telemetry", "-l", "0", "--log-level=lib.eal:error", simd,
	};

	snprintf(simd, sizeof(simd), "--force-max-simd-bitwidth=%s", width ? width : "64");
	if (rte_eal_init(RTE_DIM(args), (char **)(uintptr_t)args) < 0) {
		fprintf(stderr, "EAL: %s\n", rte_strerror(rte_errno));
		exit(1);
	}
	if (vlease_rx_has_vectors(0, 0) != (width != NULL)) {
		fprintf(stderr, "vectors of %s bits: not on this processor\n", width);
		exit(SKIPPED);
	}
}

size_t
ring_bytes(uint16_t size)
{
	return vlease_txq_ring_bytes(size, mode->features | VIRTIO_F_INDIRECT_DESC,
				     VLEASE_TX_OFFLOADS);
}

static void
make_config(struct vlease_queue_config *config, uint16_t size, struct rte_mempool *mempool,
	    uint64_t features, uint64_t offloads)
{
	*config = (struct vlease_queue_config){
		.ring = rte_malloc("ring", ring_bytes(size), 4096),
		.pool = mempool,
		.size = size,
		.vq_index = VQ_INDEX,
		.port_id = PORT_ID,
		.features = mode->features | features,
		.offloads = offloads,
	};
	assert_non_null(config->ring);
	config->ring_iova = (uintptr_t)config->ring;
	/* A ring is not born zeroed. */
	memset(config->ring, 0xa5, ring_bytes(size));
	doorbell_requests();
}

static void
attach_device(struct software_device *dev, const struct vlease_queue_config *config)
{
	if (vlease_is_packed(config))
		software_device_init_packed(dev, config->ring, config->size);
	else
		software_device_init(dev, config->ring, config->size);
	dev->in_order = vlease_is_in_order(config);
	dev->event_idx = vlease_has_event_idx(config);
	dev->hash_report = (config->features & VIRTIO_NET_F_HASH_REPORT) != 0;
}

void
make_rx_with(struct rx *rx, uint16_t size, const struct pool *pool, uint64_t features,
	     uint64_t offloads)
{
	make_config(&rx->config, size, pool->mempool, features, offloads);
	rx->q = rte_zmalloc("rxq", vlease_rxq_bytes(size), RTE_CACHE_LINE_SIZE);
	assert_non_null(rx->q);
	assert_int_equal(vlease_rxq_init(rx->q, &rx->config), 0);
	attach_device(&rx->device, &rx->config);
	vlease_set_doorbell(SLOT, &rx->device.doorbell);
	rx->burst = vlease_rx_burst(rx->config.features, offloads);
}

void
make_rx(struct rx *rx, uint16_t size, const struct pool *pool, bool mergeable)
{
	make_rx_with(rx, size, pool, mergeable ? VIRTIO_NET_F_MRG_RXBUF : 0, 0);
}

void
make_tx_with(struct tx *tx, uint16_t size, uint64_t features, uint64_t offloads)
{
	make_config(&tx->config, size, NULL, features, offloads);
	tx->q = rte_zmalloc("txq", vlease_txq_bytes(size), RTE_CACHE_LINE_SIZE);
	assert_non_null(tx->q);
	assert_int_equal(vlease_txq_init(tx->q, &tx->config), 0);
	attach_device(&tx->device, &tx->config);
	vlease_set_doorbell(SLOT, &tx->device.doorbell);
	tx->burst = vlease_tx_burst(tx->config.features, offloads);
}

void
make_tx(struct tx *tx, uint16_t size)
{
	make_tx_with(tx, size, 0, 0);
}

int
reset_rx(struct rx *rx)
{
	int n = vlease_rxq_reclaim(rx->q, &rx->config);

	assert_int_equal(vlease_rxq_posted(rx->q), 0);
	attach_device(&rx->device, &rx->config);
	return n;
}

int
reset_tx(struct tx *tx)
{
	int n = vlease_txq_reclaim(tx->q, &tx->config);

	assert_int_equal(vlease_txq_pending(tx->q), 0);
	attach_device(&tx->device, &tx->config);
	return n;
}

void
free_rx(struct rx *rx)
{
	reset_rx(rx);
	vlease_set_doorbell(SLOT, NULL);
	rte_free(rx->config.ring);
	rte_free(rx->q);
}

void
free_tx(struct tx *tx)
{
	reset_tx(tx);
	vlease_set_doorbell(SLOT, NULL);
	rte_free(tx->config.ring);
	rte_free(tx->q);
}

void
make_frame(uint8_t *frame, size_t len, uint32_t seed)
{
	uint32_t word = seed * 2654435761u + (uint32_t)len;
	size_t i;

	for (i = 0; i < len; i++) {
		word = word * 1664525 + 1013904223;
		frame[i] = word >> 24;
	}
}

void
assert_frame(const struct rte_mbuf *m, size_t len, uint32_t seed)
{
	static uint8_t want[UINT16_MAX], got[UINT16_MAX];
	const struct rte_mbuf *seg;
	unsigned int segs = 0;
	const char *reason;
	size_t at = 0;

	assert_int_equal(rte_mbuf_check(m, 1, &reason), 0);
	assert_int_equal(m->pkt_len, len);
	assert_int_equal(m->port, PORT_ID);
	assert_int_equal(m->packet_type, 0);
	assert_int_equal(m->ol_flags, rte_pktmbuf_priv_flags(m->pool) ? RTE_MBUF_F_EXTERNAL : 0);
	for (seg = m; seg != NULL; seg = seg->next, segs++) {
		assert_int_equal(rte_mbuf_refcnt_read(seg), 1);
		assert_int_equal(seg->data_off, seg == m ? RTE_PKTMBUF_HEADROOM :
				 RTE_PKTMBUF_HEADROOM - VLEASE_NET_HDR_SIZE);
		assert_true(at + seg->data_len <= len);
		memcpy(&got[at], rte_pktmbuf_mtod(seg, void *), seg->data_len);
		at += seg->data_len;
	}
	assert_int_equal(at, len);
	assert_int_equal(segs, m->nb_segs);
	make_frame(want, len, seed);
	assert_memory_equal(got, want, len);
}

struct rte_mbuf *
frame_mbuf(const struct pool *pool, uint16_t headroom, size_t len, uint32_t seed)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool->mempool);

	assert_non_null(m);
	assert_true(headroom + len <= m->buf_len);
	m->data_off = headroom;
	m->data_len = len;
	m->pkt_len = len;
	/* What stands in front of the data is not for the device to see. */
	memset(m->buf_addr, 0xee, headroom);
	make_frame(rte_pktmbuf_mtod(m, uint8_t *), len, seed);
	return m;
}

struct rte_mbuf *
frame_chain(const struct pool *pool, unsigned int segments, size_t len, uint32_t seed)
{
	static uint8_t frame[UINT16_MAX];
	struct rte_mbuf *head = NULL, *m;
	size_t at = 0, n;
	unsigned int i;

	make_frame(frame, len, seed);
	for (i = 0; i < segments; i++) {
		m = rte_pktmbuf_alloc(pool->mempool);
		assert_non_null(m);
		memset(m->buf_addr, 0xee, m->data_off);
		n = (len - at) / (segments - i);
		memcpy(rte_pktmbuf_append(m, n), &frame[at], n);
		at += n;
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

uint32_t
draw_below(uint32_t below)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 32) * below >> 32);
}
