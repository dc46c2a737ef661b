/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A queue counts in its own memory, written by whoever polls it; anybody may read.
 */
#include <stdio.h>
#include <string.h>

#include "virtio_lease.h"

static void
add_rx_queue(const struct vlease_rxq *rxq, uint16_t i, struct rte_eth_stats *stats,
	     struct eth_queue_stats *queues)
{
	stats->ipackets += rxq->stats.packets;
	stats->ibytes += rxq->stats.bytes;
	stats->ierrors += rxq->stats.errors;
	stats->rx_nombuf += rxq->stats.nombuf;
	if (queues != NULL && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		queues->q_ipackets[i] = rxq->stats.packets;
		queues->q_ibytes[i] = rxq->stats.bytes;
		queues->q_errors[i] = rxq->stats.errors;
	}
}

static void
add_tx_queue(const struct vlease_txq *txq, uint16_t i, struct rte_eth_stats *stats,
	     struct eth_queue_stats *queues)
{
	stats->opackets += txq->stats.packets;
	stats->obytes += txq->stats.bytes;
	stats->oerrors += txq->stats.errors;
	if (queues != NULL && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		queues->q_opackets[i] = txq->stats.packets;
		queues->q_obytes[i] = txq->stats.bytes;
	}
}

int
vlease_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		 struct eth_queue_stats *queues)
{
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		if (dev->data->rx_queues[i] != NULL)
			add_rx_queue(dev->data->rx_queues[i], i, stats, queues);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		if (dev->data->tx_queues[i] != NULL)
			add_tx_queue(dev->data->tx_queues[i], i, stats, queues);
	return 0;
}

int
vlease_stats_reset(struct rte_eth_dev *dev)
{
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		if (dev->data->rx_queues[i] != NULL)
			memset(&((struct vlease_rxq *)dev->data->rx_queues[i])->stats, 0,
			       sizeof(struct vlease_rx_stats));
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		if (dev->data->tx_queues[i] != NULL)
			memset(&((struct vlease_txq *)dev->data->tx_queues[i])->stats, 0,
			       sizeof(struct vlease_tx_stats));
	return 0;
}

/* ---- Extended statistics: of the port, then of each receive and of each transmit queue ---- */

struct port_xstat {
	const char *name;
	size_t offset;		/* in struct vlease_adapter */
};

struct queue_xstat {
	const char *name;
	uint64_t (*read)(const void *queue);
};

static const struct port_xstat port_xstats[] = {
	{ "lease_queues_reset", offsetof(struct vlease_adapter, queues_reset) },
	{ "lease_queues_quarantined", offsetof(struct vlease_adapter, queues_quarantined) },
	{ "lease_mbufs_reclaimed", offsetof(struct vlease_adapter, mbufs_reclaimed) },
	{ "lease_mbufs_recovered", offsetof(struct vlease_adapter, mbufs_recovered) },
	{ "lease_pools_rebuilt", offsetof(struct vlease_adapter, pools_rebuilt) },
};

static uint64_t
rx_posted(const void *queue)
{
	return vlease_rxq_posted(queue);
}

static uint64_t
rx_doorbells(const void *queue)
{
	return ((const struct vlease_rxq *)queue)->stats.doorbells;
}

static uint64_t
rx_suppressed(const void *queue)
{
	return ((const struct vlease_rxq *)queue)->stats.suppressed;
}

static uint64_t
tx_pending(const void *queue)
{
	return vlease_txq_pending(queue);
}

static uint64_t
tx_doorbells(const void *queue)
{
	return ((const struct vlease_txq *)queue)->stats.doorbells;
}

static uint64_t
tx_suppressed(const void *queue)
{
	return ((const struct vlease_txq *)queue)->stats.suppressed;
}

static uint64_t
tx_full(const void *queue)
{
	return ((const struct vlease_txq *)queue)->stats.full;
}

static const struct queue_xstat rx_xstats[] = {
	{ "posted", rx_posted },
	{ "doorbells", rx_doorbells },
	{ "suppressed", rx_suppressed },
};

static const struct queue_xstat tx_xstats[] = {
	{ "pending", tx_pending },
	{ "doorbells", tx_doorbells },
	{ "suppressed", tx_suppressed },
	{ "full", tx_full },
};

struct lease_xstat {
	const char *name;
	size_t offset;		/* in struct bar_lease_counters */
};

static const struct lease_xstat lease_xstats[] = {
	{ "lease_waits", offsetof(struct bar_lease_counters, requests) },
	{ "lease_refused", offsetof(struct bar_lease_counters, refused) },
	{ "lease_lost", offsetof(struct bar_lease_counters, lost) },
};

static unsigned int
count_xstats(const struct rte_eth_dev *dev)
{
	return RTE_DIM(port_xstats) +
	       dev->data->nb_rx_queues * (RTE_DIM(rx_xstats) + RTE_DIM(lease_xstats)) +
	       dev->data->nb_tx_queues * (RTE_DIM(tx_xstats) + RTE_DIM(lease_xstats));
}

/* The virtqueues of one way: from first, every second. */
static unsigned int
read_leases(const struct vlease_adapter *adapter, uint16_t first, uint16_t nb_queues,
	    struct rte_eth_xstat *xstats, unsigned int n)
{
	const uint64_t *counter;
	unsigned int i, j;

	for (i = 0; i < nb_queues; i++)
		for (j = 0; j < RTE_DIM(lease_xstats); j++, n++) {
			xstats[n].id = n;
			counter = RTE_PTR_ADD(&adapter->leases[first + 2 * i],
					      lease_xstats[j].offset);
			xstats[n].value = __atomic_load_n(counter, __ATOMIC_RELAXED);
		}
	return n;
}

static unsigned int
name_leases(const char *kind, uint16_t nb_queues, struct rte_eth_xstat_name *names,
	    unsigned int n)
{
	unsigned int i, j;

	for (i = 0; i < nb_queues; i++)
		for (j = 0; j < RTE_DIM(lease_xstats); j++, n++)
			snprintf(names[n].name, sizeof(names[n].name), "%s_q%u_%s", kind, i,
				 lease_xstats[j].name);
	return n;
}

static unsigned int
read_queues(void **queues, uint16_t nb_queues, const struct queue_xstat *table,
	    unsigned int nb_entries, struct rte_eth_xstat *xstats, unsigned int n)
{
	unsigned int i, j;

	for (i = 0; i < nb_queues; i++)
		for (j = 0; j < nb_entries; j++, n++) {
			xstats[n].id = n;
			xstats[n].value = queues[i] != NULL ? table[j].read(queues[i]) : 0;
		}
	return n;
}

static unsigned int
name_queues(const char *kind, uint16_t nb_queues, const struct queue_xstat *table,
	    unsigned int nb_entries, struct rte_eth_xstat_name *names, unsigned int n)
{
	unsigned int i, j;

	for (i = 0; i < nb_queues; i++)
		for (j = 0; j < nb_entries; j++, n++)
			snprintf(names[n].name, sizeof(names[n].name), "%s_q%u_%s", kind, i,
				 table[j].name);
	return n;
}

int
vlease_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int size)
{
	const uint8_t *adapter = (const uint8_t *)vlease_adapter(dev);
	unsigned int n, count = count_xstats(dev);

	if (xstats == NULL || size < count)
		return (int)count;
	for (n = 0; n < RTE_DIM(port_xstats); n++) {
		xstats[n].id = n;
		memcpy(&xstats[n].value, adapter + port_xstats[n].offset, sizeof(uint64_t));
	}
	n = read_queues(dev->data->rx_queues, dev->data->nb_rx_queues, rx_xstats,
			RTE_DIM(rx_xstats), xstats, n);
	n = read_queues(dev->data->tx_queues, dev->data->nb_tx_queues, tx_xstats,
			RTE_DIM(tx_xstats), xstats, n);
	n = read_leases(vlease_adapter(dev), 0, dev->data->nb_rx_queues, xstats, n);
	n = read_leases(vlease_adapter(dev), 1, dev->data->nb_tx_queues, xstats, n);
	return (int)n;
}

int
vlease_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
			unsigned int size)
{
	unsigned int n, count = count_xstats(dev);

	if (names == NULL || size < count)
		return (int)count;
	for (n = 0; n < RTE_DIM(port_xstats); n++)
		strlcpy(names[n].name, port_xstats[n].name, sizeof(names[n].name));
	n = name_queues("rx", dev->data->nb_rx_queues, rx_xstats, RTE_DIM(rx_xstats), names, n);
	n = name_queues("tx", dev->data->nb_tx_queues, tx_xstats, RTE_DIM(tx_xstats), names, n);
	n = name_leases("rx", dev->data->nb_rx_queues, names, n);
	n = name_leases("tx", dev->data->nb_tx_queues, names, n);
	return (int)n;
}
