/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <stdio.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_vect.h>

#include "port.h"

/** Of every pool: what both rings of the largest size, the cache and the bursts can hold. */
#define POOL_SIZE 4095
#define POOL_CACHE 256

static int
complain(const struct port *port, const char *what, int ret)
{
	fprintf(stderr, "%s, %s, ring of %u: %s: %s\n", port->kind->driver, port->setup.mode->name,
		port->setup.ring, what, rte_strerror(-ret));
	return ret;
}

static int
make_pool(struct port *port)
{
	static unsigned int serial;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "driver_%u", serial++);
	port->pool = rte_pktmbuf_pool_create(name, POOL_SIZE, POOL_CACHE, 0,
					     RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return port->pool ? 0 : complain(port, "pool of mbufs", -rte_errno);
}

static int
start(struct port *port)
{
	struct rte_eth_conf conf = { 0 };
	int ret;

	if (mode_has_checksum(port->setup.mode)) {
		conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
		conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	}
	ret = rte_eth_dev_configure(port->id, 1, 1, &conf);
	if (ret != 0)
		return complain(port, "configuring the port", ret);
	ret = rte_eth_rx_queue_setup(port->id, 0, port->setup.ring, SOCKET_ID_ANY, NULL,
				     port->pool);
	if (ret != 0)
		return complain(port, "setting up the receive queue", ret);
	ret = rte_eth_tx_queue_setup(port->id, 0, port->setup.ring, SOCKET_ID_ANY, NULL);
	if (ret != 0)
		return complain(port, "setting up the transmit queue", ret);
	ret = rte_eth_dev_start(port->id);
	return ret == 0 ? 0 : complain(port, "starting the port", ret);
}

static void
discard(struct port *port)
{
	rte_eth_dev_close(port->id);
	port->kind->destroy(port);
	rte_mempool_free(port->pool);
	port->pool = NULL;
}

int
port_open(struct port *port, const struct port_kind *kind, const struct setup *setup)
{
	int ret;

	*port = (struct port){ .kind = kind, .setup = *setup };
	/* What --force-max-simd-bitwidth does for a process, for one port. */
	ret = rte_vect_set_max_simd_bitwidth(setup->vector ? RTE_VECT_SIMD_512 :
					     RTE_VECT_SIMD_DISABLED);
	if (ret != 0)
		return complain(port, "choosing the width of vectors", ret);
	ret = kind->create(port);
	if (ret != 0)
		return ret == -ENOTSUP ? ret : complain(port, "making the port", ret);
	ret = make_pool(port);
	if (ret == 0)
		ret = start(port);
	if (ret == 0) {
		ret = kind->attach(port);
		if (ret == 0)
			return 0;
		complain(port, "attaching the device", ret);
		rte_eth_dev_stop(port->id);
	}
	discard(port);
	return ret;
}

void
port_close(struct port *port)
{
	if (port->pool == NULL)
		return;
	rte_eth_dev_stop(port->id);
	discard(port);
}
