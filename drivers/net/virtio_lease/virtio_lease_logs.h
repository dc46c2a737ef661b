/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_LOGS_H
#define VIRTIO_LEASE_LOGS_H

#include <rte_common.h>
#include <rte_log.h>

extern int vlease_logtype;

/* Every line names its object first: the device's address, then the queue, where there is one. */
#define VLEASE_LOG(level, ...) \
	rte_log(RTE_LOG_##level, vlease_logtype, \
		RTE_FMT("net_virtio_lease: " RTE_FMT_HEAD(__VA_ARGS__,) "\n", \
			RTE_FMT_TAIL(__VA_ARGS__,)))

#endif /* VIRTIO_LEASE_LOGS_H */
