/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A primary or secondary process that shows whether its queues lose, double or reorder packets,
 * and that dies when told to.
 *
 * Each queue sends numbered packets in many flows to the other port and judges what it receives,
 * flow by flow. Which queue, of whatever process, a flow arrives on is up to the wire, but it is
 * always the same. Nothing is dropped here: what a queue does not accept is offered again.
 *
 * A share is as many queue pairs of each port as --share says. Each share owns a pool of mbufs, but
 * for the first, which is the primary's. A secondary takes mbufs from the pool only once it has
 * received one: that shows that it holds a lease, so that nobody else uses the pool.
 *
 * What becomes of it is in the file FILE: struct sequence_results. It obeys orders on standard
 * input, and answers those that ask with one line of JSON each:
 *
 *	own SHARE SENDER TABLE	poll the queues of a share, as this sender; the file TABLE is what
 *				came to them so far
 *	die PLAN		see death_plan()
 *	stop			send no more, but go on receiving
 *	flows			the next number of each flow sent, and of each flow received
 *	heap			how many bytes of the process' own heap are in use
 *	buffers			stop the ports; how many mbufs are missing from the pools
 *	quit			end, as at the end of file
 *
 * usage: sequence EAL-ARGUMENTS -- --results FILE --rate PACKETS-PER-SECOND
 *		   [--pairs NUMBER] [--share NUMBER] [--death PLAN]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_udp.h>

#include <rte_pmd_virtio_lease.h>

#include "clock.h"
#include "death.h"
#include "sequence.h"

#define POOL_SIZE 4096
#define BURST 32
#define DISCARD_PORT 9
#define IDLE_US 200
#define STANDBY_US 2000

struct packet {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	struct sequence_mark mark;
} __attribute__((packed, aligned(2)));

struct own_queue {
	uint16_t port;
	uint16_t queue;
	struct rte_ether_addr from;
	struct rte_ether_addr to;

	struct rte_mbuf *waiting[BURST];	/* numbered, not yet accepted */
	uint16_t nb_waiting;
	uint32_t flow;				/* of the next packet */
	uint64_t numbers[SEQUENCE_FLOWS];
	uint64_t due;				/* time of the next packet */
	bool has_sent;
	bool has_received;
};

static struct own_queue queues[SEQUENCE_PORTS * SEQUENCE_PAIRS];
static unsigned int nb_queues;
static struct rte_mempool *pool;		/* of this process' share */
static bool may_allocate;			/* from it */
static unsigned int rate, nb_pairs = 6, share_size = 2;
static uint64_t hz, interval;
static uint32_t sender;
static bool sending, ended;
static struct sequence_results *results;
static struct sequence_table *table;

/* ---- Sending ---- */

static void
write_packet(struct own_queue *q, struct packet *packet)
{
	*packet = (struct packet){
		.ether = {
			.dst_addr = q->to,
			.src_addr = q->from,
			.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		},
		.ip = {
			.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16(sizeof(*packet) - sizeof(packet->ether)),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			/* A tap steers by what was sent to it of the same addresses: nothing. */
			.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, q->port, q->queue, q->flow)),
			.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 100 + q->port, q->queue,
							      q->flow)),
		},
		.udp = {
			.src_port = rte_cpu_to_be_16((uint16_t)(1024 + q->flow)),
			.dst_port = RTE_BE16(DISCARD_PORT),
			.dgram_len = rte_cpu_to_be_16(sizeof(packet->udp) + sizeof(packet->mark)),
		},
		.mark = {
			.magic = SEQUENCE_MAGIC,
			.sender = sender,
			.port = q->port,
			.queue = q->queue,
			.flow = q->flow,
			.number = q->numbers[q->flow],
			.sent_at = rte_rdtsc(),
		},
	};
	packet->ip.hdr_checksum = rte_ipv4_cksum(&packet->ip);
}

static bool
add_packet(struct own_queue *q)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (mbuf == NULL) {
		results->no_mbuf++;
		return false;
	}
	write_packet(q, (struct packet *)rte_pktmbuf_append(mbuf, sizeof(struct packet)));
	q->waiting[q->nb_waiting++] = mbuf;
	q->numbers[q->flow]++;
	q->flow = (q->flow + 1) % SEQUENCE_FLOWS;
	q->due += interval;
	return true;
}

static uint16_t
send_some(struct own_queue *q, uint64_t now)
{
	uint16_t accepted;

	/* A longer pause than this shows in the rate instead of flooding the wire. */
	if (now > q->due + hz)
		q->due = now - hz;
	while (may_allocate && sending && q->due <= now && q->nb_waiting < BURST)
		if (!add_packet(q))
			break;
	if (q->nb_waiting > 0)
		death_enter(DEATH_BURST);
	/* With nothing to send, it asks for the lease all the same. */
	accepted = rte_eth_tx_burst(q->port, q->queue, q->waiting, q->nb_waiting);
	death_leave(DEATH_BURST);
	if (accepted == 0)
		return 0;
	results->sent += accepted;
	results->sending += !q->has_sent;
	q->has_sent = true;
	q->nb_waiting -= accepted;
	memmove(q->waiting, q->waiting + accepted, q->nb_waiting * sizeof(q->waiting[0]));
	return accepted;
}

/* ---- Receiving ---- */

static void
note_first(struct own_queue *q)
{
	if (results->received == 0) {
		results->first_packet_at = now_ns();
		table->taken_over_at = rte_rdtsc();
	}
	q->has_received = true;
	results->receiving++;
	may_allocate = true;
}

static uint16_t
receive_some(struct own_queue *q)
{
	struct rte_mbuf *mbufs[BURST];
	struct packet *packet;
	uint16_t count, i;

	if (death_awaits(DEATH_BURST) && rte_eth_rx_queue_count(q->port, q->queue) > 0)
		death_enter(DEATH_BURST);
	count = rte_eth_rx_burst(q->port, q->queue, mbufs, BURST);
	death_leave(DEATH_BURST);
	if (count == 0)
		return 0;
	if (!q->has_received)
		note_first(q);
	for (i = 0; i < count; i++) {
		packet = rte_pktmbuf_mtod(mbufs[i], struct packet *);
		if (rte_pktmbuf_data_len(mbufs[i]) == sizeof(*packet))
			sequence_judge(table, results, q->queue, &packet->mark);
		else
			results->foreign++;
	}
	results->received += count;
	rte_pktmbuf_free_bulk(mbufs, count);
	return count;
}

/* ---- Pools: one for each share ---- */

static struct rte_mempool *
find_pool(unsigned int share, bool create)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *found;

	snprintf(name, sizeof(name), "sequence-%u", share);
	found = create ? rte_pktmbuf_pool_create(name, POOL_SIZE, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
						SOCKET_ID_ANY) : rte_mempool_lookup(name);
	if (found == NULL)
		rte_exit(EXIT_FAILURE, "mempool %s: %s\n", name, rte_strerror(rte_errno));
	return found;
}

static unsigned int
missing_buffers(void)
{
	unsigned int share, missing = 0;

	for (share = 0; share < nb_pairs / share_size; share++)
		missing += POOL_SIZE - rte_mempool_avail_count(find_pool(share, false));
	return missing;
}

/* ---- Orders ---- */

static void *
map_file(const char *path, size_t length)
{
	void *mapping = MAP_FAILED;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, (off_t)length) == 0)
		mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		rte_exit(EXIT_FAILURE, "%s: %s\n", path, strerror(errno));
	close(fd);
	return mapping;
}

static void
own_queue(uint16_t port, unsigned int queue)
{
	struct own_queue *q = &queues[nb_queues++];

	q->port = port;
	q->queue = (uint16_t)queue;
	if (rte_eth_macaddr_get(port, &q->from) != 0 || rte_eth_macaddr_get(!port, &q->to) != 0)
		rte_exit(EXIT_FAILURE, "port %u: no MAC address\n", port);
}

static void
order_own(const char *arguments)
{
	unsigned int share, i;
	char path[64];
	uint16_t port;

	if (nb_queues > 0 || sscanf(arguments, "%u %u %63s", &share, &sender, path) != 3 ||
	    share >= nb_pairs / share_size)
		rte_exit(EXIT_FAILURE, "own %s: no such share\n", arguments);
	table = map_file(path, sizeof(*table));
	pool = find_pool(share, false);
	may_allocate = rte_eal_process_type() == RTE_PROC_PRIMARY;
	for (port = 0; port < SEQUENCE_PORTS; port++)
		for (i = 0; i < share_size; i++)
			own_queue(port, share * share_size + i);
	hz = rte_get_timer_hz();
	interval = hz * nb_queues / rate;
	for (i = 0; i < nb_queues; i++)
		queues[i].due = rte_get_timer_cycles() + i * interval / nb_queues;
	sending = true;
}

static void
order_flows(void)
{
	unsigned int i, flow;

	printf("{\"sent\":[");
	for (i = 0; i < nb_queues; i++)
		for (flow = 0; flow < SEQUENCE_FLOWS; flow++)
			printf("%s[%u,%u,%u,%u,%" PRIu64 "]", i + flow > 0 ? "," : "", sender,
			       queues[i].port, queues[i].queue, flow, queues[i].numbers[flow]);
	printf("],\"received\":[");
	sequence_print_flows(table);
	printf("]}\n");
}

static void
order_heap(void)
{
	struct mallinfo2 heap = mallinfo2();

	printf("{\"used\":%zu}\n", heap.uordblks + heap.hblkhd);
}

static void
order_buffers(void)
{
	unsigned int i;
	uint16_t port;

	for (i = 0; i < nb_queues; i++) {
		rte_pktmbuf_free_bulk(queues[i].waiting, queues[i].nb_waiting);
		queues[i].nb_waiting = 0;
	}
	nb_queues = 0;
	for (port = 0; port < SEQUENCE_PORTS; port++)
		rte_eth_dev_stop(port);
	printf("{\"missing\":%u}\n", missing_buffers());
}

static void
obey(const char *order)
{
	if (strncmp(order, "own ", 4) == 0)
		order_own(order + 4);
	else if (strncmp(order, "die ", 4) == 0) {
		death_watch_puts(pool);
		if (death_plan(order + 4, &results->died_at) != 0)
			rte_exit(EXIT_FAILURE, "%s: no such death\n", order);
	} else if (strcmp(order, "stop") == 0)
		sending = false;
	else if (strcmp(order, "flows") == 0)
		order_flows();
	else if (strcmp(order, "heap") == 0)
		order_heap();
	else if (strcmp(order, "buffers") == 0)
		order_buffers();
	else if (strcmp(order, "quit") == 0)
		ended = true;
	else
		rte_exit(EXIT_FAILURE, "%s: no such order\n", order);
	fflush(stdout);
}

static void
take_orders(void)
{
	static char line[128];
	static size_t length;
	ssize_t count;
	char *end;

	count = read(STDIN_FILENO, line + length, sizeof(line) - 1 - length);
	if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
		ended = true;
	if (count <= 0)
		return;
	length += (size_t)count;
	line[length] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end++ = '\0';
		obey(line);
		length -= (size_t)(end - line);
		memmove(line, end, length + 1);
	}
}

/* ---- The process ---- */

static void
poll_queues(void)
{
	uint64_t now, orders_due = 0;
	unsigned int i, moved;

	while (!ended) {
		moved = 0;
		for (i = 0; i < nb_queues; i++) {
			now = rte_get_timer_cycles();
			moved += receive_some(&queues[i]);
			moved += send_some(&queues[i], now);
		}
		now = rte_get_timer_cycles();
		if (now >= orders_due) {
			take_orders();
			orders_due = now + rte_get_timer_hz() / 1000;
		}
		/* All the processes of a test, and the device's emulation, share few processors. */
		if (moved == 0)
			rte_delay_us_sleep(results->received > 0 ? IDLE_US : STANDBY_US);
	}
}

static void
set_up_port(uint16_t port)
{
	struct rte_eth_conf conf = { 0 };
	uint16_t i;
	int ret;

	ret = rte_eth_dev_configure(port, (uint16_t)nb_pairs, (uint16_t)nb_pairs, &conf);
	for (i = 0; i < nb_pairs && ret == 0; i++) {
		ret = rte_eth_rx_queue_setup(port, i, 0, SOCKET_ID_ANY, NULL,
					     find_pool(i / share_size, false));
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port, i, 0, SOCKET_ID_ANY, NULL);
	}
	for (i = 1; i < nb_pairs / share_size && ret == 0; i++)
		ret = rte_pmd_virtio_lease_own_pool(port, (uint16_t)(i * share_size),
						    (uint16_t)share_size, find_pool(i, false));
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret != 0)
		rte_exit(EXIT_FAILURE, "port %u: %s\n", port, rte_strerror(-ret));
}

static void
set_up(void)
{
	unsigned int share;
	uint16_t port;

	if (rte_eth_dev_count_avail() != SEQUENCE_PORTS)
		rte_exit(EXIT_FAILURE, "%u ports, not %u\n", rte_eth_dev_count_avail(),
			 SEQUENCE_PORTS);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return;
	for (share = 0; share < nb_pairs / share_size; share++)
		find_pool(share, true);
	for (port = 0; port < SEQUENCE_PORTS; port++)
		set_up_port(port);
}

static void
clean_up(void)
{
	unsigned int i;
	uint16_t port;

	for (i = 0; i < nb_queues; i++)
		rte_pktmbuf_free_bulk(queues[i].waiting, queues[i].nb_waiting);
	for (port = 0; port < SEQUENCE_PORTS; port++) {
		if (rte_eal_process_type() == RTE_PROC_PRIMARY)
			rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	rte_eal_cleanup();
}

static void
parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{ "results", required_argument, NULL, 'f' },
		{ "rate", required_argument, NULL, 'r' },
		{ "pairs", required_argument, NULL, 'p' },
		{ "share", required_argument, NULL, 's' },
		{ "death", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int option;

	while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'f')
			results = map_file(optarg, sizeof(*results));
		else if (option == 'd')
			good = results != NULL && death_plan(optarg, &results->died_at) == 0;
		else if (option == 'r')
			good = sscanf(optarg, "%u", &rate) == 1;
		else if (option == 'p')
			good = sscanf(optarg, "%u", &nb_pairs) == 1;
		else
			good = option == 's' && sscanf(optarg, "%u", &share_size) == 1;
	}
	if (!good || optind != argc || results == NULL || rate == 0 || share_size == 0 ||
	    nb_pairs > SEQUENCE_PAIRS)
		rte_exit(EXIT_FAILURE, "usage: sequence EAL-ARGUMENTS -- --results FILE "
			 "--rate PACKETS-PER-SECOND [--pairs NUMBER] [--share NUMBER] "
			 "[--death PLAN]\n");
}

int
main(int argc, char **argv)
{
	int own = 0;

	/* Ours first: there are deaths that come while EAL starts. */
	while (own < argc - 1 && strcmp(argv[own], "--") != 0)
		own++;
	parse_arguments(argc - own, argv + own);
	if (rte_eal_init(own, argv) < 0)
		rte_exit(EXIT_FAILURE, "EAL: %s\n", rte_strerror(rte_errno));
	set_up();
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	results->ready = now_ns();
	poll_queues();
	clean_up();
	return 0;
}
