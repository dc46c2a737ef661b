/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A primary or secondary process that shows whether its queues lose, double or reorder packets.
 *
 * Each queue sends numbered packets in many flows to the other port and judges what it receives,
 * flow by flow. Which queue, of whatever process, a flow arrives on is up to the wire, but it is
 * always the same. Nothing is dropped here: what a queue does not accept is offered again.
 *
 * It answers orders on standard input with one line of JSON each:
 *
 *	start	begin to send; until then, it only receives
 *	stop	send no more, but go on receiving
 *	report	counters of each queue; times of silence are since the report before
 *	flows	the next number of each flow sent, and of each flow received
 *	quit	end, as at the end of file
 *
 * usage: sequence EAL-ARGUMENTS -- --queues FIRST-LAST --rate PACKETS-PER-SECOND [--pairs NUMBER]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_udp.h>

#include "sequence.h"

#define POOL_NAME "sequence"
#define POOL_SIZE 16384
#define BURST 32
#define DISCARD_PORT 9
#define IDLE_US 20

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
	uint64_t sent;
	uint64_t refused;			/* bursts that were not accepted in full */
	uint64_t no_mbuf;

	uint64_t received;
	uint64_t foreign;
	uint64_t last_arrival;
	uint64_t silence;			/* longest between two arrivals */
	uint64_t received_then;			/* at the start of this second */
	uint64_t rate;				/* of the last full second */
};

static struct own_queue queues[SEQUENCE_PORTS * SEQUENCE_PAIRS];
static unsigned int nb_queues;
static struct rte_mempool *pool;
static unsigned int first_queue, last_queue, rate, nb_pairs = 6;
static uint64_t hz, interval, second_began;
static uint64_t last_arrival, silence;	/* of all queues together */
static bool sending, ended;

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
			.sender = (uint32_t)getpid(),
			.port = q->port,
			.queue = q->queue,
			.flow = q->flow,
			.number = q->numbers[q->flow],
		},
	};
	packet->ip.hdr_checksum = rte_ipv4_cksum(&packet->ip);
}

static bool
add_packet(struct own_queue *q)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (mbuf == NULL) {
		q->no_mbuf++;
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
	while (sending && q->due <= now && q->nb_waiting < BURST)
		if (!add_packet(q))
			break;
	if (q->nb_waiting == 0)
		return 0;
	accepted = rte_eth_tx_burst(q->port, q->queue, q->waiting, q->nb_waiting);
	q->sent += accepted;
	q->nb_waiting -= accepted;
	if (q->nb_waiting > 0)
		q->refused++;
	memmove(q->waiting, q->waiting + accepted, q->nb_waiting * sizeof(q->waiting[0]));
	return accepted;
}

/* ---- Receiving ---- */

static uint16_t
receive_some(struct own_queue *q, uint64_t now)
{
	struct rte_mbuf *mbufs[BURST];
	struct packet *packet;
	uint16_t count, i;

	count = rte_eth_rx_burst(q->port, q->queue, mbufs, BURST);
	if (count == 0)
		return 0;
	for (i = 0; i < count; i++) {
		packet = rte_pktmbuf_mtod(mbufs[i], struct packet *);
		if (rte_pktmbuf_data_len(mbufs[i]) != sizeof(*packet) ||
		    sequence_judge(q->port, q->queue, &packet->mark) != 0)
			q->foreign++;
	}
	rte_pktmbuf_free_bulk(mbufs, count);
	if (q->received > 0)
		q->silence = RTE_MAX(q->silence, now - q->last_arrival);
	if (last_arrival > 0)
		silence = RTE_MAX(silence, now - last_arrival);
	q->last_arrival = now;
	last_arrival = now;
	q->received += count;
	return count;
}

static void
measure_rates(uint64_t now)
{
	unsigned int i;

	if (now - second_began < hz)
		return;
	for (i = 0; i < nb_queues; i++) {
		struct own_queue *q = &queues[i];

		q->rate = (q->received - q->received_then) * hz / (now - second_began);
		q->received_then = q->received;
	}
	second_began = now;
}

/* ---- Orders ---- */

/* The longest since the last report, in milliseconds; it may still be going on. */
static uint64_t
take_silence(uint64_t *longest, uint64_t since)
{
	uint64_t cycles = *longest;

	if (since > 0)
		cycles = RTE_MAX(cycles, rte_get_timer_cycles() - since);
	*longest = 0;
	return cycles * 1000 / hz;
}

static void
order_report(void)
{
	unsigned int i;

	printf("{\"pid\":%d,\"silence_ms\":%" PRIu64 ",\"queues\":[", getpid(),
	       take_silence(&silence, last_arrival));
	for (i = 0; i < nb_queues; i++) {
		struct own_queue *q = &queues[i];

		printf("%s{\"port\":%u,\"queue\":%u,\"sent\":%" PRIu64 ",\"refused\":%" PRIu64
		       ",\"no_mbuf\":%" PRIu64 ",\"received\":%" PRIu64 ",\"foreign\":%" PRIu64
		       ",\"rate\":%" PRIu64 ",\"silence_ms\":%" PRIu64 ",\"from\":{",
		       i > 0 ? "," : "", q->port, q->queue, q->sent, q->refused, q->no_mbuf,
		       q->received, q->foreign, q->rate,
		       take_silence(&q->silence, q->last_arrival));
		sequence_print_counts(q->port, q->queue);
		printf("}}");
	}
	printf("]}\n");
}

static void
order_flows(void)
{
	unsigned int i, flow;

	printf("{\"sent\":[");
	for (i = 0; i < nb_queues; i++)
		for (flow = 0; flow < SEQUENCE_FLOWS; flow++)
			printf("%s[%d,%u,%u,%u,%" PRIu64 "]", i + flow > 0 ? "," : "", getpid(),
			       queues[i].port, queues[i].queue, flow, queues[i].numbers[flow]);
	printf("],\"received\":[");
	sequence_print_flows();
	printf("]}\n");
}

static void
set_sending(bool on)
{
	unsigned int i;

	sending = on;
	for (i = 0; i < nb_queues; i++)
		queues[i].due = rte_get_timer_cycles() + i * interval / nb_queues;
	printf("{\"sending\":%s}\n", on ? "true" : "false");
}

static void
obey(const char *order)
{
	if (strcmp(order, "start") == 0)
		set_sending(true);
	else if (strcmp(order, "stop") == 0)
		set_sending(false);
	else if (strcmp(order, "report") == 0)
		order_report();
	else if (strcmp(order, "flows") == 0)
		order_flows();
	else if (strcmp(order, "quit") == 0)
		ended = true;
	else
		printf("{\"error\":\"no such order\"}\n");
	fflush(stdout);
}

static void
take_orders(void)
{
	static char line[64];
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
	if (length == sizeof(line) - 1)
		length = 0;
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
			moved += receive_some(&queues[i], now);
			moved += send_some(&queues[i], now);
		}
		now = rte_get_timer_cycles();
		measure_rates(now);
		if (now >= orders_due) {
			take_orders();
			orders_due = now + hz / 1000;
		}
		/* All the processes of a test, and the device's emulation, share few processors. */
		if (moved == 0)
			rte_delay_us_sleep(IDLE_US);
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
		ret = rte_eth_rx_queue_setup(port, i, 0, SOCKET_ID_ANY, NULL, pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port, i, 0, SOCKET_ID_ANY, NULL);
	}
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret != 0)
		rte_exit(EXIT_FAILURE, "port %u: %s\n", port, rte_strerror(-ret));
}

/*
 * The pool has no caches: rte_mempool_put_bulk() raises a cache's length before it stores the
 * pointers, so a process killed in between leaves its successor mbufs that have other owners.
 */
static void
set_up(void)
{
	uint16_t port;

	if (rte_eth_dev_count_avail() != SEQUENCE_PORTS)
		rte_exit(EXIT_FAILURE, "%u ports, not %u\n", rte_eth_dev_count_avail(),
			 SEQUENCE_PORTS);
	if (rte_eal_process_type() == RTE_PROC_PRIMARY) {
		pool = rte_pktmbuf_pool_create(POOL_NAME, POOL_SIZE, 0, 0,
					       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
		if (pool == NULL)
			rte_exit(EXIT_FAILURE, "mempool: %s\n", rte_strerror(rte_errno));
		for (port = 0; port < SEQUENCE_PORTS; port++)
			set_up_port(port);
	} else {
		pool = rte_mempool_lookup(POOL_NAME);
		if (pool == NULL)
			rte_exit(EXIT_FAILURE, "no mempool: is sequence the primary process?\n");
	}
}

static void
set_up_queues(void)
{
	uint16_t port;
	unsigned int i;

	for (port = 0; port < SEQUENCE_PORTS; port++) {
		for (i = first_queue; i <= last_queue; i++) {
			struct own_queue *q = &queues[nb_queues++];

			q->port = port;
			q->queue = (uint16_t)i;
			if (rte_eth_macaddr_get(port, &q->from) != 0 ||
			    rte_eth_macaddr_get(!port, &q->to) != 0)
				rte_exit(EXIT_FAILURE, "port %u: no MAC address\n", port);
		}
	}
	hz = rte_get_timer_hz();
	interval = hz * nb_queues / rate;
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

static bool
parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{ "queues", required_argument, NULL, 'q' },
		{ "rate", required_argument, NULL, 'r' },
		{ "pairs", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q' && sscanf(optarg, "%u-%u", &first_queue, &last_queue) == 2)
			continue;
		if (option == 'r' && sscanf(optarg, "%u", &rate) == 1)
			continue;
		if (option == 'p' && sscanf(optarg, "%u", &nb_pairs) == 1)
			continue;
		return false;
	}
	return optind == argc && rate > 0 && nb_pairs <= SEQUENCE_PAIRS &&
	       first_queue <= last_queue && last_queue < nb_pairs;
}

int
main(int argc, char **argv)
{
	int ret;

	ret = rte_eal_init(argc, argv);
	if (ret < 0 || !parse_arguments(argc - ret, argv + ret))
		rte_exit(EXIT_FAILURE, "usage: sequence EAL-ARGUMENTS -- --queues FIRST-LAST "
			 "--rate PACKETS-PER-SECOND [--pairs NUMBER]\n");
	set_up();
	set_up_queues();
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	poll_queues();
	clean_up();
	return 0;
}
