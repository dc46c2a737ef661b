/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef MEASURE_H
#define MEASURE_H

/**
 * @file
 * What a burst costs its caller. In each lap the device makes a burst's worth of work, then comes
 * the window, which holds one call of rte_eth_rx_burst() or rte_eth_tx_burst() and nothing else,
 * and then the device and the pool are served.
 */

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define MAX_BURST 32

struct cell {
	bool tx;
	uint16_t burst;		/**< divides MAX_BURST */
	uint16_t len;
};

/** Call once, before all else here. */
void measure_init(void);

/** Cycles of the timer in an empty window, which are subtracted from each. */
unsigned int measure_overhead(void);

/**
 * Whether the port moves the packets of each burst in that very burst. Leaves it empty.
 *
 * @return
 *   Number of packets moved by the first burst that did not move all; cell->burst: all do.
 */
unsigned int measure_trial(struct port *port, const struct cell *cell);

/**
 * Run at least @p packets packets, behind as many as fill the ring, which warm up.
 *
 * @return
 *   Cycles, or instructions, per packet; negative: a burst was cut short. measure_instructions()
 *   also if this processor cannot count them.
 */
double measure_cycles(struct port *port, const struct cell *cell, unsigned int packets);
double measure_instructions(struct port *port, const struct cell *cell, unsigned int packets);

#endif /* MEASURE_H */
