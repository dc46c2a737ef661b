/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */

/*
 * What a burst of our driver costs, and one of stock net_virtio_user, in cycles and instructions
 * a packet. Prints one line a result; perf.py makes tables of them.
 */

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "measure.h"
#include "port.h"

#define MAX_ROUNDS 1000
#define MAX_PORTS 4

/** So often a round is tried that others interrupt. */
#define MAX_TRIES 10

/** Counting instructions takes 10 us each (tried: a virtual machine). */
#define STEPPED_PACKETS 64

static const uint16_t rings[] = { 256, 1024 };
static const uint16_t bursts[] = { 1, 4, 32 };
static const uint16_t lengths[] = { 64, 1518 };

#define MAX_CELLS (2 * RTE_DIM(bursts) * RTE_DIM(lengths))

static const struct option long_options[] = {
	{ "list", no_argument, NULL, 'l' },
	{ "mode", required_argument, NULL, 'm' },
	{ "ring", required_argument, NULL, 'r' },
	{ "burst", required_argument, NULL, 'b' },
	{ "length", required_argument, NULL, 's' },
	{ "rounds", required_argument, NULL, 'n' },
	{ "packets", required_argument, NULL, 'p' },
	{ "instructions", no_argument, NULL, 'i' },
	{ 0 },
};

struct options {
	const char *mode;	/* NULL: all */
	unsigned int ring;	/* 0: all */
	unsigned int burst;	/* 0: all */
	unsigned int length;	/* 0: all */
	unsigned int rounds;
	unsigned int packets;	/* in a round, at least */
	bool instructions;
};

/** A port's results in one cell. */
struct result {
	bool measured;
	double instructions;
	double cycles[MAX_ROUNDS];
};

static const struct port_kind *const kinds[] = { &ours, &stock };
static struct result results[MAX_PORTS][MAX_CELLS];

static unsigned int
number(const char *text, unsigned int least, unsigned int most)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *text == '\0' || *end != '\0' || value < least || value > most) {
		fprintf(stderr, "%s: not a number from %u to %u\n", text, least, most);
		exit(2);
	}
	return value;
}

static void
list_modes(void)
{
	unsigned int i;

	for (i = 0; i < n_modes; i++)
		printf("mode\t%s\n", modes[i].name);
	for (i = 0; i < RTE_DIM(rings); i++)
		printf("ring\t%u\n", rings[i]);
	exit(0);
}

static void
parse(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){ .rounds = 20, .packets = 2048 };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'l':
			list_modes();
			break;
		case 'm':
			options->mode = optarg;
			break;
		case 'r':
			options->ring = number(optarg, 1, UINT16_MAX);
			break;
		case 'b':
			options->burst = number(optarg, 1, MAX_BURST);
			break;
		case 's':
			options->length = number(optarg, 1, UINT16_MAX);
			break;
		case 'n':
			options->rounds = number(optarg, 0, MAX_ROUNDS);
			break;
		case 'p':
			options->packets = number(optarg, 1, 1u << 24);
			break;
		case 'i':
			options->instructions = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: not understood\n", argv[optind]);
		exit(2);
	}
}

/** The last processor that this process may use: interrupts are likelier on the first. */
static int
choose_processor(void)
{
	int processor = CPU_SETSIZE - 1;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return 0;
	while (processor > 0 && !CPU_ISSET(processor, &allowed))
		processor--;
	return processor;
}

static void
start_eal(void)
{
	char lcores[16];
	const char *arguments[] = {
		"test-perf", "--no-huge", "-m", "512", "--no-pci", "--no-shconf",
		"--iova-mode=va", "--no-telemetry", "--log-level=error",
		"--log-level=pmd.net.virtio*:error", "--lcores", lcores,
	};

	snprintf(lcores, sizeof(lcores), "0@%d", choose_processor());
	if (rte_eal_init(RTE_DIM(arguments), (char **)(uintptr_t)arguments) < 0) {
		fprintf(stderr, "EAL: %s\n", rte_strerror(rte_errno));
		exit(1);
	}
}

static unsigned int
make_cells(struct cell *cells, const struct options *options)
{
	const unsigned int n_lengths = RTE_DIM(lengths), n_bursts = RTE_DIM(bursts);
	unsigned int i, n = 0;

	for (i = 0; i < 2 * n_bursts * n_lengths; i++) {
		struct cell cell = {
			.tx = i / n_lengths / n_bursts,
			.burst = bursts[i / n_lengths % n_bursts],
			.len = lengths[i % n_lengths],
		};

		if ((options->burst == 0 || options->burst == cell.burst) &&
		    (options->length == 0 || options->length == cell.len))
			cells[n++] = cell;
	}
	return n;
}

static void
print_head(const char *what, const struct port *port, const struct cell *cell)
{
	printf("%s\tmode=%s\tring=%u\tdriver=%s\tpath=%s\tdir=%s\tburst=%u\tlen=%u", what,
	       port->setup.mode->name, port->setup.ring, port->kind->driver,
	       port->setup.vector ? "vector" : "scalar", cell->tx ? "tx" : "rx", cell->burst,
	       cell->len);
}

static void
print_absent(const struct port *port, const struct cell *cells, unsigned int n,
	     const char *reason)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		print_head("absent", port, &cells[i]);
		printf("\treason=%s\n", reason);
	}
}

static void
print_result(const struct port *port, const struct cell *cell, const struct result *result,
	     unsigned int rounds)
{
	unsigned int i;

	print_head("cell", port, cell);
	if (result->instructions >= 0)
		printf("\tinstructions=%.2f", result->instructions);
	printf("\tcycles=");
	for (i = 0; i < rounds; i++)
		printf("%s%.2f", i > 0 ? "," : "", result->cycles[i]);
	printf("\n");
}

static void
cut_short(const struct port *port, const struct cell *cell)
{
	fprintf(stderr, "%s, %s, ring of %u, %s: burst of %u: cut short\n", port->kind->driver,
		port->setup.mode->name, port->setup.ring, cell->tx ? "tx" : "rx", cell->burst);
	exit(1);
}

/** A port whose driver was allowed vector instructions uses the very function of the one before. */
static bool
has_no_vectors(const struct port *port, const struct port *scalar, bool tx)
{
	if (tx)
		return rte_eth_fp_ops[port->id].tx_pkt_burst ==
		       rte_eth_fp_ops[scalar->id].tx_pkt_burst;
	return rte_eth_fp_ops[port->id].rx_pkt_burst == rte_eth_fp_ops[scalar->id].rx_pkt_burst;
}

/** Decide whether there is something to measure, and say so if there is not. */
static bool
is_measurable(struct port *port, const struct port *scalar, const struct cell *cell)
{
	char reason[64];
	unsigned int moved;

	if (port->setup.vector && has_no_vectors(port, scalar, cell->tx)) {
		print_absent(port, cell, 1, port->kind == &ours ? "not yet" : "none");
		return false;
	}
	moved = measure_trial(port, cell);
	if (moved == cell->burst)
		return true;
	if (port->kind == &ours)
		cut_short(port, cell);
	snprintf(reason, sizeof(reason), "moves %u of %u", moved, cell->burst);
	print_absent(port, cell, 1, reason);
	return false;
}

/** How often another thread has taken this one's processor. */
static long
preemptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

/** A round on a busy machine: one in which this thread has lost its processor says nothing. */
static double
measure_undisturbed(struct port *port, const struct cell *cell, unsigned int packets)
{
	unsigned int tries = 0;
	double cost;
	long before;

	do {
		before = preemptions();
		cost = measure_cycles(port, cell, packets);
	} while (cost >= 0 && preemptions() != before && ++tries < MAX_TRIES);
	return cost;
}

static void
run_rounds(struct port *ports, unsigned int n_ports, const struct cell *cells,
	   unsigned int n_cells, const struct options *options)
{
	unsigned int round, i, p;
	double cost;

	for (round = 0; round < options->rounds; round++) {
		for (i = 0; i < n_cells; i++) {
			for (p = 0; p < n_ports; p++) {
				if (!results[p][i].measured)
					continue;
				cost = measure_undisturbed(&ports[p], &cells[i],
							   options->packets);
				if (cost < 0)
					cut_short(&ports[p], &cells[i]);
				results[p][i].cycles[round] = cost;
			}
		}
	}
}

static void
run_ports(struct port *ports, unsigned int n_ports, const struct cell *cells,
	  unsigned int n_cells, const struct options *options)
{
	unsigned int i, p;

	for (p = 0; p < n_ports; p++) {
		for (i = 0; i < n_cells; i++) {
			struct result *result = &results[p][i];

			/* The scalar port of a driver stands in front of the other. */
			result->measured = is_measurable(&ports[p], &ports[p - 1], &cells[i]);
			result->instructions = -1;
			if (result->measured && options->instructions)
				result->instructions = measure_instructions(&ports[p], &cells[i],
									    STEPPED_PACKETS);
		}
	}
	run_rounds(ports, n_ports, cells, n_cells, options);
	for (p = 0; p < n_ports; p++)
		for (i = 0; i < n_cells; i++)
			if (results[p][i].measured)
				print_result(&ports[p], &cells[i], &results[p][i],
					     options->rounds);
}

static void
run_mode(const struct mode *mode, uint16_t ring, const struct options *options)
{
	struct cell cells[MAX_CELLS];
	unsigned int n_cells = make_cells(cells, options), n_ports = 0, i;
	struct port ports[MAX_PORTS];
	int ret;

	for (i = 0; i < MAX_PORTS; i++) {
		struct setup setup = { mode, ring, i % 2 == 1 };

		ret = port_open(&ports[n_ports], kinds[i / 2], &setup);
		if (ret == 0)
			n_ports++;
		else if (ret == -ENOTSUP)
			print_absent(&ports[n_ports], cells, n_cells, "not yet");
		else
			exit(1);
	}
	run_ports(ports, n_ports, cells, n_cells, options);
	while (n_ports > 0)
		port_close(&ports[--n_ports]);
}

int
main(int argc, char **argv)
{
	struct options options;
	unsigned int i, ring, runs = 0;

	parse(argc, argv, &options);
	start_eal();
	measure_init();
	printf("timer\toverhead=%u\thz=%ju\n", measure_overhead(), (uintmax_t)rte_get_tsc_hz());
	for (i = 0; i < n_modes; i++) {
		if (options.mode != NULL && strcmp(options.mode, modes[i].name) != 0)
			continue;
		for (ring = 0; ring < RTE_DIM(rings); ring++) {
			if (options.ring != 0 && options.ring != rings[ring])
				continue;
			run_mode(&modes[i], rings[ring], &options);
			runs++;
		}
	}
	if (runs == 0) {
		fprintf(stderr, "no such mode or ring: see --list\n");
		return 2;
	}
	stock_end();
	return rte_eal_cleanup() == 0 ? 0 : 1;
}
