/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_COMPAT_H
#define VIRTIO_LEASE_COMPAT_H

/**
 * @file
 * What differs between the releases of DPDK that the driver builds against, 22.11 to 25.11. The
 * driver is written for the newest, and asks nowhere else for the release. Functions that are
 * declared here have the form of 25.11; tables of operations name them with op_.
 *
 * All releases accept without any of this: __atomic builtins, rte_atomic_thread_fence(),
 * offsetof() of mbuf fields, __rte_cache_aligned behind a field. 25.11 no longer accepts
 * __rte_packed (write the attribute), nor 24.11 what rte_atomic.h has besides the fences.
 */

#include <stdint.h>

#include <ethdev_driver.h>
#include <rte_version.h>

/*
 * Until 25.11 the counters of single queues were fields of rte_eth_stats, under the same names.
 * Now they have a struct of their own, and may not be asked for.
 */
#if RTE_VERSION < RTE_VERSION_NUM(25, 11, 0, 0)
#define eth_queue_stats rte_eth_stats
#endif

/* Since 25.07 the sources say what is exported, and version.map is not looked at any more. */
#if __has_include(<eal_export.h>)
#include <eal_export.h>
#else
#define RTE_EXPORT_EXPERIMENTAL_SYMBOL(symbol, since)
#endif

int vlease_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		     struct eth_queue_stats *queues);

#if RTE_VERSION < RTE_VERSION_NUM(25, 11, 0, 0)
static inline int
vlease_op_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	return vlease_stats_get(dev, stats, stats);
}
#else
#define vlease_op_stats_get vlease_stats_get
#endif

/* Until 25.11 the number of used descriptors of a receive queue had no sign. */
int vlease_rx_queue_count(void *rx_queue);

#if RTE_VERSION < RTE_VERSION_NUM(25, 11, 0, 0)
static inline uint32_t
vlease_op_rx_queue_count(void *rx_queue)
{
	return (uint32_t)vlease_rx_queue_count(rx_queue);
}
#else
#define vlease_op_rx_queue_count vlease_rx_queue_count
#endif

#endif /* VIRTIO_LEASE_COMPAT_H */
