/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A pool that belongs to a lease: when it is rebuilt, and when not. Two ports with two queue pairs
 * each; the lessors are tables, the interrupt thread is EAL's.
 */
#include <errno.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_mempool.h>

#include "fake_lessor.h"
#include "fixture.h"
#include "rte_pmd_virtio_lease.h"
#include "virtio_lease.h"

#define NB_PORTS 2
#define NB_QUEUES 4
#define POOL_SIZE 1024
#define SIZE 64
#define BURST 32
#define MINE 1000	/* the lessee whose death is played */
#define OTHER 2000
#define PATIENCE_MS 5000

int vlease_logtype;
struct vlease_process *vlease_processes[RTE_MAX_ETHPORTS];
const struct eth_dev_ops vlease_primary_ops, vlease_secondary_ops;

static struct bar_lessor lessors[NB_PORTS];
static struct vlease_adapter adapters[NB_PORTS];
static struct vlease_process processes[NB_PORTS];
static struct rte_eth_dev_data data[NB_PORTS];
static struct pool pool;
static struct rx rx;

void
vlease_queue_name(uint16_t queue, char *name, size_t size)
{
	snprintf(name, size, "%s%u", queue % 2 == 0 ? "rxq" : "txq", queue / 2);
}

/* ---- The world ---- */

static void
start_port(unsigned int port)
{
	assert_int_equal(vlease_owned_check(&processes[port]), 0);
	data[port].dev_started = 1;
	vlease_owned_set_quiet(&processes[port], false);
	processes[port].started = true;
	vlease_owned_started();
}

static void
stop_port(unsigned int port, bool device_resets)
{
	processes[port].started = false;
	data[port].dev_started = 0;
	if (device_resets)
		vlease_owned_set_quiet(&processes[port], true);
}

static int
setup(void **state)
{
	unsigned int i;

	memset(lessors, 0, sizeof(lessors));
	memset(adapters, 0, sizeof(adapters));
	memset(processes, 0, sizeof(processes));
	memset(data, 0, sizeof(data));
	for (i = 0; i < NB_PORTS; i++) {
		adapters[i].port_id = i;
		adapters[i].max_pairs = NB_QUEUES / 2;
		snprintf(adapters[i].address, sizeof(adapters[i].address), "0000:0%u:00.0", i + 1);
		processes[i].adapter = &adapters[i];
		processes[i].lessor = &lessors[i];
		processes[i].quiet = true;
		vlease_processes[i] = &processes[i];
		rte_eth_devices[i].data = &data[i];
		rte_eth_devices[i].state = RTE_ETH_DEV_ATTACHED;
		rte_eth_devices[i].process_private = &processes[i];
		rte_eth_devices[i].dev_ops = &vlease_primary_ops;
	}
	pool = make_pool(DEFAULT_OPS, POOL_SIZE, 32, 512);
	make_rx(&rx, SIZE, &pool, true);
	for (i = 0; i < NB_PORTS; i++)
		assert_int_equal(rte_pmd_virtio_lease_own_pool(i, 0, 1, pool.mempool), 0);
	for (i = 0; i < NB_PORTS; i++)
		start_port(i);
	return 0;
}

static void
pass(void *arg)
{
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
}

/** What was posted to the interrupt thread has run. */
static void
settle(void)
{
	int done = 0, waited;

	rte_delay_us_sleep(1000);
	assert_int_equal(rte_eal_alarm_set(1, pass, &done), 0);
	for (waited = 0; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); waited++) {
		assert_true(waited < PATIENCE_MS);
		rte_delay_us_sleep(1000);
	}
}

static int
teardown(void **state)
{
	unsigned int i;

	settle();
	for (i = 0; i < NB_PORTS; i++)
		vlease_owned_forget_port(&processes[i]);
	settle();
	free_rx(&rx);
	free_pool(&pool);
	return 0;
}

static void
grant(unsigned int port, unsigned int queue, pid_t pid)
{
	struct bar_lease_info *info = &lessors[port].slices[queue];

	assert_int_equal(info->state, BAR_LEASE_FREE);
	info->state = BAR_LEASE_LEASED;
	info->pid = pid;
	info->ended = false;
	info->former = 0;
	info->granted++;
}

/** The reset of a queue, as the driver does it; the first queue is the one with buffers. */
static int
reset(unsigned int port, unsigned int queue, int error)
{
	struct vlease_process *process = &processes[port];
	struct vlease_queue_config config = rx.config;
	int ret;

	lessors[port].slices[queue].state = BAR_LEASE_RESETTING;
	if (error == 0) {
		vlease_owned_look(process, queue, &config);
		ret = port + queue == 0 ? vlease_rxq_reclaim(rx.q, &config) : 0;
		assert_true(ret >= 0);
		if (config.owner_ended)
			vlease_owned_reclaimed(process, queue, ret);
	}
	ret = vlease_owned_reset(process, queue, error);
	if (ret == 0)
		lessors[port].slices[queue].state = BAR_LEASE_FREE;
	else if (ret != -EINPROGRESS)
		lessors[port].slices[queue].state = BAR_LEASE_QUARANTINED;
	return ret;
}

static int
give_back(unsigned int port, unsigned int queue)
{
	return reset(port, queue, 0);
}

/** The holder lives and lets go when it is revoked. */
static int
let_go(unsigned int port, unsigned int queue)
{
	lessors[port].slices[queue].former = lessors[port].slices[queue].pid;
	return reset(port, queue, 0);
}

/** One port hears of the end: all are revoked, then reset one by one. */
static void
end(unsigned int port, pid_t pid)
{
	struct bar_lease_info *info = lessors[port].slices;
	unsigned int i;

	for (i = 0; i < NB_QUEUES; i++) {
		if (info[i].pid == pid && info[i].state == BAR_LEASE_LEASED)
			info[i].state = BAR_LEASE_REVOKED;
		if (info[i].pid == pid && info[i].state == BAR_LEASE_REVOKED)
			info[i].former = pid;
	}
	for (i = 0; i < NB_QUEUES; i++) {
		if (info[i].former != pid)
			continue;
		info[i].ended = true;
		if (info[i].state == BAR_LEASE_REVOKED && processes[port].started)
			reset(port, i, 0);
		else if (info[i].state == BAR_LEASE_REVOKED)
			info[i].state = BAR_LEASE_RESETTING;
	}
	for (i = 0; i < NB_QUEUES; i++)
		if (info[i].former == pid)
			vlease_owned_ended(&processes[port], i, pid);
	for (i = 0; i < NB_QUEUES; i++)
		if (info[i].former == pid)
			info[i].former = 0;
}

struct told_end {
	unsigned int port;
	pid_t pid;
	unsigned int rebuilt;	/**< pools, when it was dealt with */
	int done;
};

static void
end_here(void *arg)
{
	struct told_end *told = arg;

	end(told->port, told->pid);
	told->rebuilt = adapters[0].pools_rebuilt;
	__atomic_store_n(&told->done, 1, __ATOMIC_RELEASE);
}

/** On the interrupt thread; returns how many pools have been rebuilt by then. */
static unsigned int
end_there(unsigned int port, pid_t pid)
{
	struct told_end told = { .port = port, .pid = pid };

	assert_int_equal(rte_eal_alarm_set(1, end_here, &told), 0);
	while (!__atomic_load_n(&told.done, __ATOMIC_ACQUIRE))
		rte_delay_us_sleep(100);
	return told.rebuilt;
}

static pid_t
admit(unsigned int port, unsigned int queue, pid_t pid)
{
	return vlease_owned_admit(&processes[port], queue, pid);
}

static void
expect_state(unsigned int port, unsigned int queue, enum bar_lease_state state)
{
	assert_int_equal(lessors[port].slices[queue].state, state);
}

static void
expect_rebuilt(unsigned int times, unsigned int in_hand)
{
	settle();
	assert_int_equal(adapters[0].pools_rebuilt, times);
	assert_int_equal(adapters[0].mbufs_recovered, in_hand);
	if (times > 0)
		assert_conserved(&pool);
}

/** The lessee posts what its queue takes, and has some in hand and some in its cache. */
static void
work(unsigned int in_hand)
{
	struct rte_mbuf *m[BURST];
	unsigned int i;

	rx.burst(rx.q, m, 1);
	assert_int_equal(vlease_rxq_posted(rx.q), SIZE);
	for (i = 0; i < in_hand; i++)
		assert_non_null(rte_pktmbuf_alloc(pool.mempool));
}

static void
hold_everything(pid_t pid)
{
	unsigned int port;

	for (port = 0; port < NB_PORTS; port++) {
		grant(port, 0, pid);
		grant(port, 1, pid);
	}
	work(7);
}

/* ---- Tests ---- */

static void
what_can_be_owned(void **state)
{
	struct pool stack = make_pool(STACK_OPS, 64, 0, 512);
	struct pool other = make_pool(DEFAULT_OPS, 64, 0, 512);
	struct pool single = make_pool("ring_sp_sc", 64, 0, 512);
	struct rte_mempool *mp = pool.mempool;

	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, mp), -EBUSY);
	stop_port(0, true);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(NB_PORTS, 0, 1, mp), -ENODEV);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 0, mp), -EINVAL);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 1, 2, mp), -EINVAL);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 65535, 1, mp), -EINVAL);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 1, 1, stack.mempool), -ENOTSUP);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 1, 1, single.mempool), -ENOTSUP);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, other.mempool), -EEXIST);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, NULL), 0);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, other.mempool), 0);
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, NULL), 0);
	rte_eth_devices[0].dev_ops = &vlease_secondary_ops;
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, mp), -EPERM);
	rte_eth_devices[0].dev_ops = NULL;
	assert_int_equal(rte_pmd_virtio_lease_own_pool(0, 0, 1, mp), -ENODEV);
	free_pool(&stack);
	free_pool(&single);
	free_pool(&other);
}

static void
queues_take_their_buffers_from_it(void **state)
{
	struct pool other = make_pool(DEFAULT_OPS, 64, 0, 512);
	static const struct rte_memzone ring;

	processes[0].rings[0] = &ring;
	processes[0].queues[0].pool = pool.mempool;
	assert_int_equal(vlease_owned_check(&processes[0]), 0);
	processes[0].queues[0].pool = other.mempool;
	assert_int_equal(vlease_owned_check(&processes[0]), -EINVAL);
	free_pool(&other);
}

/** The rebuild comes with the last queue of the last port, and until then none is free. */
static void
rebuilt_when_every_port_has_reset_its_queues(void **state)
{
	hold_everything(MINE);
	end(1, MINE);
	expect_rebuilt(0, 0);
	expect_state(1, 0, BAR_LEASE_RESETTING);
	expect_state(1, 1, BAR_LEASE_RESETTING);
	end(0, MINE);
	expect_state(0, 0, BAR_LEASE_FREE);
	expect_state(0, 1, BAR_LEASE_FREE);
	expect_state(1, 0, BAR_LEASE_FREE);
	assert_int_equal(lessors[1].announced[0], 1);
	assert_int_equal(lessors[1].announced[1], 1);
	/* The last one is free by what its reset returns. */
	assert_int_equal(lessors[0].announced[1], 0);
	expect_rebuilt(1, 7);

	hold_everything(OTHER);
	end(0, OTHER);
	end(1, OTHER);
	expect_rebuilt(2, 14);
}

/** Queues that the dead one did not hold are kept from everybody meanwhile. */
static void
free_queues_are_kept(void **state)
{
	grant(0, 0, MINE);
	grant(1, 0, MINE);
	work(3);
	end(0, MINE);
	expect_state(0, 1, BAR_LEASE_TAKEN);
	expect_state(1, 1, BAR_LEASE_TAKEN);
	expect_state(0, 2, BAR_LEASE_FREE);
	end(1, MINE);
	expect_state(0, 1, BAR_LEASE_FREE);
	expect_state(1, 1, BAR_LEASE_FREE);
	expect_rebuilt(1, 3);
}

/** The message of a port that comes late is of one who lived when it was sent. */
static void
given_back_just_before_the_end(void **state)
{
	hold_everything(MINE);
	end(1, MINE);
	assert_int_equal(give_back(0, 0), -EINPROGRESS);
	end(0, MINE);
	expect_rebuilt(1, 7);
	expect_state(0, 0, BAR_LEASE_FREE);
}

static void
given_back_is_not_rebuilt(void **state)
{
	unsigned int i;

	hold_everything(MINE);
	for (i = 0; i < NB_PORTS; i++) {
		assert_int_equal(give_back(i, 0), 0);
		assert_int_equal(give_back(i, 1), 0);
	}
	expect_rebuilt(0, 0);
	/* What was posted is back, what it has in hand is not. */
	assert_int_equal(free_mbufs(&pool), POOL_SIZE - 7);
}

static void
granted_and_never_used(void **state)
{
	grant(0, 0, MINE);
	end(0, MINE);
	expect_rebuilt(1, 0);
}

static void
two_holders_are_misuse(void **state)
{
	hold_everything(MINE);
	assert_int_equal(give_back(1, 0), 0);
	grant(1, 0, OTHER);
	end(0, MINE);
	end(1, MINE);
	expect_rebuilt(0, 0);
	expect_state(0, 0, BAR_LEASE_FREE);
	expect_state(1, 0, BAR_LEASE_LEASED);
	expect_state(1, 1, BAR_LEASE_FREE);
	/* With the end of the other, nobody uses it. */
	end(1, OTHER);
	expect_rebuilt(1, 7 + SIZE);
}

static void
use_by_the_primary_is_misuse(void **state)
{
	grant(0, 0, MINE);
	lessors[1].slices[1].state = BAR_LEASE_TAKEN;
	end(0, MINE);
	expect_rebuilt(0, 0);
	expect_state(0, 0, BAR_LEASE_FREE);
	expect_state(1, 1, BAR_LEASE_TAKEN);
	/* But not if it only keeps a stopped queue. */
	processes[1].stopped[1] = true;
	grant(0, 0, MINE);
	end(0, MINE);
	expect_rebuilt(1, 0);
	expect_state(1, 1, BAR_LEASE_TAKEN);
}

/** It may hang in the middle of an operation on the pool: nobody else uses that meanwhile. */
static void
revoked_from_who_lives(void **state)
{
	unsigned int i;

	assert_int_equal(admit(0, 0, OTHER), 0);
	hold_everything(MINE);
	assert_int_equal(let_go(0, 0), 0);
	assert_int_equal(admit(0, 0, OTHER), MINE);
	assert_int_equal(admit(0, 0, MINE), 0);
	assert_int_equal(admit(0, 2, OTHER), 0); /* owns no pool */
	assert_int_equal(let_go(0, 1), 0);
	assert_int_equal(let_go(1, 0), 0);
	assert_int_equal(let_go(1, 1), 0);
	for (i = 0; i < NB_QUEUES / 2; i++) {
		expect_state(1, i, BAR_LEASE_FREE);
		assert_int_equal(admit(1, i, OTHER), MINE);
	}
	expect_rebuilt(0, 0);
	assert_int_equal(lessors[1].offered[0], 0);
	assert_int_equal(end_there(1, MINE), 1);
	expect_rebuilt(1, 7);
	/* The other port has not heard of it yet. */
	assert_int_equal(lessors[0].slices[0].former, MINE);
	assert_int_equal(lessors[0].offered[0], 1);
	assert_int_equal(lessors[1].offered[1], 1);
	assert_int_equal(admit(0, 0, OTHER), 0);
	grant(0, 1, OTHER);
	end(0, MINE);
	expect_rebuilt(1, 7);
	expect_state(0, 0, BAR_LEASE_FREE);
}

/** It lets go of all but one queue, and is killed in the middle of a burst on that one. */
static void
let_go_of_all_but_one(void)
{
	hold_everything(MINE);
	assert_int_equal(let_go(0, 0), 0);
	assert_int_equal(let_go(0, 1), 0);
	assert_int_equal(let_go(1, 0), 0);
	lessors[1].slices[1].state = BAR_LEASE_REVOKED;
	assert_int_equal(admit(0, 0, OTHER), MINE);
}

static void
ended_where_it_had_let_go(void **state)
{
	let_go_of_all_but_one();
	end(0, MINE);
	expect_rebuilt(0, 0);
	expect_state(0, 0, BAR_LEASE_TAKEN);
	end(1, MINE);
	expect_rebuilt(1, 7);
	assert_int_equal(admit(0, 0, OTHER), 0);
	/* That it was free is no news to the lessor. */
	assert_int_equal(lessors[0].offered[0], 1);
}

static void
ended_where_it_had_not(void **state)
{
	let_go_of_all_but_one();
	end(1, MINE);
	expect_rebuilt(1, 7);
	grant(0, 0, OTHER);
	end(0, MINE);
	expect_rebuilt(1, 7);
	expect_state(0, 0, BAR_LEASE_LEASED);
}

/** With none of its queues in hand it has given them back: it goes, and the next one comes. */
static void
next_one_waits_for_the_last_queue(void **state)
{
	hold_everything(MINE);
	assert_int_equal(give_back(0, 0), 0);
	assert_int_equal(admit(0, 0, OTHER), MINE);
	assert_int_equal(give_back(0, 1), 0);
	assert_int_equal(give_back(1, 0), 0);
	assert_int_equal(lessors[0].offered[0], 0);
	assert_int_equal(give_back(1, 1), 0);
	assert_int_equal(lessors[0].offered[0], 1);
	assert_int_equal(lessors[1].offered[0], 1);
	assert_int_equal(admit(0, 0, OTHER), 0);
	/* Once is enough. */
	grant(0, 0, OTHER);
	assert_int_equal(give_back(0, 0), 0);
	assert_int_equal(lessors[1].offered[0], 1);
}

static void
let_go_of_everything(void)
{
	hold_everything(MINE);
	let_go(0, 0);
	let_go(0, 1);
	let_go(1, 0);
	let_go(1, 1);
}

/** Then two have used the pool: it is left alone. */
static void
taken_by_the_primary_since(void **state)
{
	let_go_of_everything();
	lessors[0].slices[0].state = BAR_LEASE_TAKEN;
	end(0, MINE);
	end(1, MINE);
	expect_rebuilt(0, 0);
	expect_state(0, 0, BAR_LEASE_TAKEN);
	expect_state(0, 1, BAR_LEASE_FREE);
	assert_int_equal(processes[0].owners[0].settled, 1);
	assert_int_equal(admit(0, 1, OTHER), 0);
}

/** A queue that the primary only keeps is in nobody's way, and none of what is to be rebuilt. */
static void
stopped_by_the_primary_since(void **state)
{
	unsigned int i;

	let_go_of_everything();
	for (i = 0; i < NB_QUEUES / 2; i++) {
		lessors[0].slices[i].state = BAR_LEASE_TAKEN;
		processes[0].stopped[i] = true;
	}
	assert_int_equal(admit(1, 0, MINE), 0);
	assert_int_equal(admit(1, 0, OTHER), MINE);
	end(0, MINE);
	expect_rebuilt(1, 7);
	assert_int_equal(admit(1, 0, OTHER), 0);
	grant(1, 0, OTHER);
	end(1, MINE);
	expect_rebuilt(1, 7);
	assert_int_equal(processes[0].owners[0].settled, 1);
	expect_state(1, 0, BAR_LEASE_LEASED);
}

/** Whoever is admitted by mistake keeps the pool from being rebuilt under its hands. */
static void
let_go_by_somebody_else_since(void **state)
{
	hold_everything(MINE);
	lessors[1].slices[0].state = BAR_LEASE_FREE;
	grant(1, 0, OTHER);
	let_go(1, 0);
	end(0, MINE);
	end(1, MINE);
	expect_rebuilt(0, 0);
}

/** Nobody resets its queue, but it may have been in the middle of anything. */
static void
ended_while_its_port_is_stopped(void **state)
{
	grant(0, 0, MINE);
	work(3);
	stop_port(0, false);
	lessors[0].slices[0].state = BAR_LEASE_REVOKED;
	vlease_owned_set_quiet(&processes[0], true);
	assert_int_equal(admit(1, 0, OTHER), MINE);
	end(0, MINE);
	expect_state(0, 0, BAR_LEASE_RESETTING);
	expect_rebuilt(1, 3 + SIZE);
	assert_int_equal(admit(1, 0, OTHER), 0);
	grant(1, 0, OTHER);
	start_port(0);
	assert_int_equal(reset(0, 0, 0), 0);
	expect_rebuilt(1, 3 + SIZE);
}

/** Its end is known, and not yet dealt with. */
static void
nobody_is_admitted_before_the_rebuild(void **state)
{
	hold_everything(MINE);
	let_go(1, 0);
	let_go(1, 1);
	stop_port(1, false);
	end(0, MINE);
	lessors[1].slices[0].former = 0;
	lessors[1].slices[1].former = 0;
	assert_int_equal(admit(1, 0, OTHER), MINE);
	expect_rebuilt(0, 0);
	vlease_owned_set_quiet(&processes[1], true);
	expect_rebuilt(1, 7);
	assert_int_equal(admit(1, 0, OTHER), 0);
}

/** The device may still write to what was posted there. */
static void
queue_that_cannot_be_reset_keeps_all_waiting(void **state)
{
	hold_everything(MINE);
	end(1, MINE);
	lessors[0].slices[0].ended = true;
	assert_int_equal(reset(0, 0, -ETIMEDOUT), -ETIMEDOUT);
	lessors[0].slices[1].ended = true;
	assert_int_equal(reset(0, 1, 0), -EINPROGRESS);
	expect_rebuilt(0, 0);
	expect_state(0, 0, BAR_LEASE_QUARANTINED);
	stop_port(0, false);
	expect_rebuilt(0, 0);
	expect_state(1, 0, BAR_LEASE_RESETTING);
	stop_port(0, true);
	expect_rebuilt(1, 7 + SIZE);
	expect_state(1, 0, BAR_LEASE_FREE);
	assert_int_equal(vlease_rxq_reclaim(rx.q, &rx.config), SIZE);
}

/** While a port is on its way down, nothing is known of what the device does with its queues. */
static void
end_while_a_port_stops(void **state)
{
	hold_everything(MINE);
	stop_port(0, false);
	lessors[0].slices[0].state = BAR_LEASE_REVOKED;
	lessors[0].slices[1].state = BAR_LEASE_REVOKED;
	end(1, MINE);
	end(0, MINE);
	expect_rebuilt(0, 0);
	expect_state(0, 0, BAR_LEASE_RESETTING);
	vlease_owned_set_quiet(&processes[0], true);
	expect_rebuilt(1, 7 + SIZE);
	expect_state(1, 0, BAR_LEASE_FREE);

	/* With the start its lessor has the queues reset that it left alone: there is nothing. */
	start_port(0);
	assert_int_equal(reset(0, 0, 0), 0);
	assert_int_equal(reset(0, 1, 0), 0);
	expect_rebuilt(1, 7 + SIZE);
}

/** One that let go in time and ended then, before the stopping thread came to look. */
static void
end_unnoticed_in_a_stop(void **state)
{
	struct vlease_queue_config config = rx.config;

	hold_everything(MINE);
	stop_port(0, false);
	stop_port(1, false);
	memset(&lessors[1].slices, 0, sizeof(lessors[1].slices));
	lessors[0].slices[0].state = BAR_LEASE_FREE;
	lessors[0].slices[1].state = BAR_LEASE_FREE;
	lessors[0].slices[0].ended = true;
	vlease_owned_look(&processes[0], 0, &config);
	assert_true(config.owner_ended);
	assert_int_equal(vlease_rxq_reclaim(rx.q, &config), SIZE);
	vlease_owned_reclaimed(&processes[0], 0, SIZE);
	vlease_owned_set_quiet(&processes[0], true);
	expect_rebuilt(0, 0);
	vlease_owned_set_quiet(&processes[1], true);
	expect_rebuilt(1, 7);
}

static void
free_queues_are_kept_over_a_start(void **state)
{
	stop_port(1, true);
	grant(0, 0, MINE);
	grant(0, 1, MINE);
	lessors[0].slices[0].state = BAR_LEASE_REVOKED;
	lessors[0].slices[0].ended = true;
	assert_int_equal(reset(0, 0, 0), -EINPROGRESS);
	vlease_owned_set_quiet(&processes[1], false);
	expect_state(1, 0, BAR_LEASE_TAKEN);
	processes[1].started = true;
	end(0, MINE);
	expect_rebuilt(1, 0);
	expect_state(1, 0, BAR_LEASE_FREE);
}

static void
closed_port_is_not_waited_for(void **state)
{
	hold_everything(MINE);
	end(0, MINE);
	expect_rebuilt(0, 0);
	stop_port(1, false);
	vlease_owned_forget_port(&processes[1]);
	expect_rebuilt(1, 7);
}

#define WITH_PORTS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_PORTS(what_can_be_owned),
		WITH_PORTS(queues_take_their_buffers_from_it),
		WITH_PORTS(rebuilt_when_every_port_has_reset_its_queues),
		WITH_PORTS(free_queues_are_kept),
		WITH_PORTS(given_back_just_before_the_end),
		WITH_PORTS(given_back_is_not_rebuilt),
		WITH_PORTS(granted_and_never_used),
		WITH_PORTS(two_holders_are_misuse),
		WITH_PORTS(use_by_the_primary_is_misuse),
		WITH_PORTS(revoked_from_who_lives),
		WITH_PORTS(ended_where_it_had_let_go),
		WITH_PORTS(ended_where_it_had_not),
		WITH_PORTS(next_one_waits_for_the_last_queue),
		WITH_PORTS(taken_by_the_primary_since),
		WITH_PORTS(stopped_by_the_primary_since),
		WITH_PORTS(let_go_by_somebody_else_since),
		WITH_PORTS(ended_while_its_port_is_stopped),
		WITH_PORTS(nobody_is_admitted_before_the_rebuild),
		WITH_PORTS(queue_that_cannot_be_reset_keeps_all_waiting),
		WITH_PORTS(end_while_a_port_stops),
		WITH_PORTS(end_unnoticed_in_a_stop),
		WITH_PORTS(free_queues_are_kept_over_a_start),
		WITH_PORTS(closed_port_is_not_waited_for),
	};

	start_eal(argv[0]);
	return run_in_all_modes(tests);
}
