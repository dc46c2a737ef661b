/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Forwarding by processes that may die, to copy from: what comes in on a port goes out on its
 * partner. The primary owns the devices and touches no packet. It sets up one queue pair of each
 * port for each lessee, and a mempool of the lessee's own, which is rebuilt whole when that dies.
 * With --shared all lessees use one pool: what a dead one had in its hands is missing then, and
 * the primary says so.
 *
 * primary:   lease_forward EAL-ARGUMENTS -- --lessees N [--shared]
 * secondary: lease_forward EAL-ARGUMENTS -- --lessee I [--hold BUFFERS]
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <rte_pmd_virtio_lease.h>

#define BURST 32
#define RING 256
#define POOL_SIZE 4096
#define POOL_CACHE 64
#define MAX_LESSEES 64
#define MAX_HELD 1024

/* One that a process may die in without stopping the others. */
#define SHARED_OPS "lf_stack"
#define SHARED_NAME "shared"
/* One that can be rebuilt. */
#define OWNED_OPS "ring_mp_mc"

static struct {
	unsigned int lessees;	/* the primary's */
	bool shared;
	unsigned int lessee;	/* the secondary's: its number */
	unsigned int hold;	/* buffers that it keeps in its hands */
} options;

static volatile sig_atomic_t over;

static void
on_signal(int signo)
{
	over = 1;
}

static void
pool_name(unsigned int lessee, char *name)
{
	snprintf(name, RTE_MEMPOOL_NAMESIZE, "lessee_%u", lessee);
}

/* ---- The primary ---- */

static struct rte_mempool *pools[MAX_LESSEES];
static unsigned int nb_pools;

static void
create_pools(void)
{
	const char *ops = options.shared ? SHARED_OPS : OWNED_OPS;
	char name[RTE_MEMPOOL_NAMESIZE] = SHARED_NAME;
	unsigned int i;

	nb_pools = options.shared ? 1 : options.lessees;
	for (i = 0; i < nb_pools; i++) {
		if (!options.shared)
			pool_name(i, name);
		pools[i] = rte_pktmbuf_pool_create_by_ops(name, POOL_SIZE, POOL_CACHE, 0,
							  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY,
							  ops);
		if (pools[i] == NULL)
			rte_exit(EXIT_FAILURE, "pool %s: %s\n", name, rte_strerror(rte_errno));
	}
}

static void
must(int result, uint16_t port, const char *what)
{
	if (result != 0)
		rte_exit(EXIT_FAILURE, "port %u: %s: %s\n", port, what, rte_strerror(-result));
}

static void
start_port(uint16_t port)
{
	struct rte_eth_conf conf = { .rxmode.mq_mode = RTE_ETH_MQ_RX_RSS };
	struct rte_eth_dev_info info;
	struct rte_mempool *pool;
	uint16_t i;

	must(rte_eth_dev_info_get(port, &info), port, "info");
	conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads &
					   (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);
	if (conf.rx_adv_conf.rss_conf.rss_hf == 0)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	must(rte_eth_dev_configure(port, options.lessees, options.lessees, &conf), port,
	     "configure");
	for (i = 0; i < options.lessees; i++) {
		pool = pools[options.shared ? 0 : i];
		must(rte_eth_rx_queue_setup(port, i, RING, SOCKET_ID_ANY, NULL, pool), port,
		     "Rx queue");
		must(rte_eth_tx_queue_setup(port, i, RING, SOCKET_ID_ANY, NULL), port, "Tx queue");
		/* Called for each port, so that the pool waits for the queues of them all. */
		if (!options.shared)
			must(rte_pmd_virtio_lease_own_pool(port, i, 1, pool), port, "own pool");
	}
	must(rte_eth_dev_start(port), port, "start");
	rte_eth_promiscuous_enable(port);
}

static uint64_t
xstat(uint16_t port, const char *name)
{
	uint64_t id, value = 0;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) == 0)
		rte_eth_xstats_get_by_id(port, &id, &value, 1);
	return value;
}

/* Buffers that the queues of a lessee have, of all ports. */
static unsigned int
count_queued(unsigned int lessee)
{
	char name[RTE_ETH_XSTATS_NAME_SIZE];
	uint64_t count = 0;
	uint16_t port;

	RTE_ETH_FOREACH_DEV(port) {
		snprintf(name, sizeof(name), "rx_q%u_posted", lessee);
		count += xstat(port, name);
		snprintf(name, sizeof(name), "tx_q%u_pending", lessee);
		count += xstat(port, name);
	}
	return (unsigned int)count;
}

static uint64_t
count_recovered(void)
{
	uint64_t count = 0;
	uint16_t port;

	RTE_ETH_FOREACH_DEV(port)
		count += xstat(port, "lease_mbufs_recovered");
	return count;
}

/* What is neither free nor in a queue: in the hands of whoever lives, or lost with who died. */
static void
report_pool(unsigned int i)
{
	static unsigned int missing_before[MAX_LESSEES];
	unsigned int first = options.shared ? 0 : i, queued = 0, missing, there;
	unsigned int last = options.shared ? options.lessees - 1 : i;

	for (; first <= last; first++)
		queued += count_queued(first);
	there = rte_mempool_avail_count(pools[i]) + queued;
	missing = POOL_SIZE - RTE_MIN(there, (unsigned int)POOL_SIZE);
	if (missing == missing_before[i])
		return;
	missing_before[i] = missing;
	printf("pool %s: %u buffers, %u in queues, %u missing\n", pools[i]->name, POOL_SIZE, queued,
	       missing);
}

static void
be_primary(void)
{
	uint64_t recovered = 0, now;
	unsigned int i;
	uint16_t port;

	create_pools();
	RTE_ETH_FOREACH_DEV(port)
		start_port(port);
	printf("%u lessees may come\n", options.lessees);
	while (!over) {
		sleep(1);
		for (i = 0; i < nb_pools; i++)
			report_pool(i);
		now = count_recovered();
		if (now != recovered)
			printf("%lu buffers recovered from the hands of the dead\n", now);
		recovered = now;
	}
	RTE_ETH_FOREACH_DEV(port) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
}

/* ---- A lessee ---- */

static int
on_queue_state(uint16_t port, enum rte_eth_event_type type, void *arg, void *details)
{
	const struct rte_pmd_virtio_lease_queue_event *event = details;

	printf("port %u: %s queue %u: lease %s\n", port, event->rx ? "Rx" : "Tx", event->queue,
	       event->held ? "granted again" : "lost");
	return 0;
}

static int
on_link(uint16_t port, enum rte_eth_event_type type, void *arg, void *details)
{
	struct rte_eth_link link;

	if (rte_eth_link_get_nowait(port, &link) == 0)
		printf("port %u: link %s\n", port, link.link_status ? "up" : "down");
	return 0;
}

static void
forward(uint16_t port, uint16_t queue)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t n, sent;

	n = rte_eth_rx_burst(port, queue, mbufs, BURST);
	/* Also with nothing to send: a burst asks for the lease, and collects what was sent. */
	sent = rte_eth_tx_burst(port ^ 1, queue, mbufs, n);
	if (sent < n)
		rte_pktmbuf_free_bulk(&mbufs[sent], n - sent);
}

static void
be_lessee(void)
{
	static struct rte_mbuf *held[MAX_HELD];
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;
	uint16_t port;

	pool_name(options.lessee, name);
	pool = rte_mempool_lookup(name);
	if (pool == NULL)
		pool = rte_mempool_lookup(SHARED_NAME);
	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "no pool %s and no pool " SHARED_NAME "\n", name);
	RTE_ETH_FOREACH_DEV(port) {
		rte_eth_dev_callback_register(port, RTE_ETH_EVENT_QUEUE_STATE, on_queue_state,
					      NULL);
		rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, on_link, NULL);
	}
	/* As an application has that puts fragments together, or sends again. */
	if (options.hold > 0 && rte_pktmbuf_alloc_bulk(pool, held, options.hold) != 0)
		rte_exit(EXIT_FAILURE, "pool %s has no %u buffers\n", pool->name, options.hold);
	printf("lessee %u forwards\n", options.lessee);
	while (!over)
		RTE_ETH_FOREACH_DEV(port)
			forward(port, (uint16_t)options.lessee);
	/* Who gives its queues back keeps what it has in hand: so nothing. */
	rte_pktmbuf_free_bulk(held, options.hold);
	RTE_ETH_FOREACH_DEV(port)
		rte_eth_dev_close(port);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "lessees", required_argument, NULL, 'n' },
		{ "shared", no_argument, NULL, 's' },
		{ "lessee", required_argument, NULL, 'i' },
		{ "hold", required_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	options.lessees = 1;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'n')
			options.lessees = strtoul(optarg, NULL, 0);
		else if (option == 's')
			options.shared = true;
		else if (option == 'i')
			options.lessee = strtoul(optarg, NULL, 0);
		else if (option == 'h')
			options.hold = strtoul(optarg, NULL, 0);
		else
			rte_exit(EXIT_FAILURE, "options: --lessees N [--shared], or --lessee I "
				 "[--hold BUFFERS]\n");
	}
	if (options.lessees == 0 || options.lessees > MAX_LESSEES || options.hold > MAX_HELD)
		rte_exit(EXIT_FAILURE, "1 to %u lessees, that hold up to %u buffers\n", MAX_LESSEES,
			 MAX_HELD);
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);

	if (used < 0)
		rte_exit(EXIT_FAILURE, "EAL: %s\n", rte_strerror(rte_errno));
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_options(argc - used, argv + used);
	if (rte_eth_dev_count_avail() == 0 || rte_eth_dev_count_avail() % 2 != 0)
		rte_exit(EXIT_FAILURE, "ports come in pairs; there are %u\n",
			 rte_eth_dev_count_avail());
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (rte_eal_process_type() == RTE_PROC_PRIMARY)
		be_primary();
	else
		be_lessee();
	rte_eal_cleanup();
	return 0;
}
