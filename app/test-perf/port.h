/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef PORT_H
#define PORT_H

/**
 * @file
 * A port of one queue pair under measurement, and the device behind it, in this process. Whichever
 * driver it is, the port is used by rte_eth_rx_burst() and rte_eth_tx_burst(), and the device asks
 * for neither doorbells nor interrupts and sees the memory at addresses of its own.
 */

#include <stdint.h>

#include <rte_mempool.h>

#include "mode.h"

struct port;

/** A driver with its device. */
struct port_kind {
	const char *driver;
	/**
	 * Make an ethdev port, not configured, whose device has the features of the mode: port->id.
	 *
	 * @return
	 *   0; -ENOTSUP: the driver does not have the mode; else it has said what failed.
	 */
	int (*create)(struct port *port);
	/** The port is started: have the device serve it. */
	int (*attach)(struct port *port);
	/** Remove a closed port and its device. */
	void (*destroy)(struct port *port);
	/** Hand frames to the driver. Returns how many. */
	unsigned int (*deliver)(struct port *port, uint16_t len, unsigned int n);
	/** Take frames that the driver has sent and complete them. Returns how many. */
	unsigned int (*take)(struct port *port, uint16_t len, unsigned int n);
};

extern const struct port_kind ours, stock;

struct port {
	const struct port_kind *kind;
	struct setup setup;
	uint16_t id;
	struct rte_mempool *pool;	/**< of the driver's mbufs; each port has its own */
	void *device;			/**< the kind's own */
};

/** Open and start a port of @p kind. Errors as port_kind.create. */
int port_open(struct port *port, const struct port_kind *kind, const struct setup *setup);
void port_close(struct port *port);

/**
 * Before EAL's memory goes, when all ports are closed: the vhost library frees in a thread of its
 * own what it had of a port, and this waits for it.
 */
void stock_end(void);

#endif /* PORT_H */
