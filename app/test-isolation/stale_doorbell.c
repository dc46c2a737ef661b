/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A secondary process that leaves a child behind with its doorbell mapped.
 *
 * It polls one receive queue until it holds the lease, then forks. The child inherits the mapping
 * and waits for orders on standard input; the parent polls on until somebody kills it.
 *
 *	ring	write to the doorbell once; answers "rang" or "SIGBUS"
 *	quit	end
 *
 * usage: stale-doorbell EAL-ARGUMENTS -- PORT QUEUE
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <bar_slice_doorbell.h>

#define BURST 32
#define LEASE_TIMEOUT_S 20

static sigjmp_buf after_fault;

static void
on_sigbus(int signo)
{
	siglongjmp(after_fault, signo);
}

/* The mapping as /proc shows it; the name ends in the queue's. */
static volatile uint16_t *
find_doorbell(const char *address, unsigned int queue)
{
	char line[512], suffix[32], *name;
	volatile uint16_t *found = NULL;
	unsigned long start;
	FILE *maps;

	snprintf(suffix, sizeof(suffix), "/rxq%u\n", queue);
	maps = fopen("/proc/self/maps", "r");
	if (maps == NULL)
		return NULL;
	while (found == NULL && fgets(line, sizeof(line), maps) != NULL) {
		name = strstr(line, "/dmabuf:");
		if (name == NULL || strstr(name, address) == NULL ||
		    strcmp(line + strlen(line) - strlen(suffix), suffix) != 0 ||
		    sscanf(line, "%lx", &start) != 1)
			continue;
		found = (volatile uint16_t *)start;
	}
	fclose(maps);
	return found;
}

static void
poll_once(uint16_t port, uint16_t queue)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t count = rte_eth_rx_burst(port, queue, mbufs, BURST);

	rte_pktmbuf_free_bulk(mbufs, count);
}

static void
ring(volatile uint16_t *doorbell, uint16_t vq)
{
	/* The child's own handler, so that the library's cannot hide the fault. */
	if (sigsetjmp(after_fault, 1) != 0) {
		puts("SIGBUS");
		return;
	}
	bar_slice_ring_doorbell(doorbell, vq);
	puts("rang");
}

static int
obey(volatile uint16_t *doorbell, uint16_t vq)
{
	struct sigaction action = { .sa_handler = on_sigbus };
	char order[16];

	sigaction(SIGBUS, &action, NULL);
	printf("child %d\n", getpid());
	while (fgets(order, sizeof(order), stdin) != NULL) {
		if (strcmp(order, "ring\n") == 0)
			ring(doorbell, vq);
		else if (strcmp(order, "quit\n") == 0)
			break;
	}
	_exit(0);
}

int
main(int argc, char **argv)
{
	volatile uint16_t *doorbell = NULL;
	struct rte_eth_dev_info info;
	uint16_t port, queue;
	uint64_t deadline;
	int ret;

	ret = rte_eal_init(argc, argv);
	if (ret < 0 || argc - ret != 3)
		rte_exit(EXIT_FAILURE, "usage: stale-doorbell EAL-ARGUMENTS -- PORT QUEUE\n");
	port = (uint16_t)atoi(argv[ret + 1]);
	queue = (uint16_t)atoi(argv[ret + 2]);
	if (rte_eth_dev_info_get(port, &info) != 0)
		rte_exit(EXIT_FAILURE, "no port %u\n", port);
	setvbuf(stdout, NULL, _IOLBF, 0);

	deadline = rte_get_timer_cycles() + LEASE_TIMEOUT_S * rte_get_timer_hz();
	while (doorbell == NULL) {
		if (rte_get_timer_cycles() > deadline)
			rte_exit(EXIT_FAILURE, "port %u: no lease on rxq%u\n", port, queue);
		poll_once(port, queue);
		doorbell = find_doorbell(rte_dev_name(info.device), queue);
	}
	/* Receive queue n is virtqueue 2n: VIRTIO 1.2, 5.1.2. */
	if (fork() == 0)
		return obey(doorbell, 2 * queue);
	printf("parent %d holds rxq%u\n", getpid(), queue);
	for (;;)
		poll_once(port, queue);
}
