/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_RX_VECTOR_H
#define VIRTIO_LEASE_RX_VECTOR_H

/**
 * @file
 * Burst functions that receive four frames at a time, for queues without offloads. Those of AVX2
 * are there if the compiler knows it: CC_AVX2_SUPPORT.
 */

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;

/**
 * Whether vlease_rx_burst() returns one of them for a queue with these features and offloads: if
 * EAL allows vectors of this width and the processor has them.
 */
bool vlease_rx_has_vectors(uint64_t features, uint64_t offloads);

uint16_t vlease_recv_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts);
uint16_t vlease_recv_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					 uint16_t nb_pkts);
uint16_t vlease_recv_in_order_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					uint16_t nb_pkts);
uint16_t vlease_recv_in_order_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						  uint16_t nb_pkts);
uint16_t vlease_recv_packed_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
				      uint16_t nb_pkts);
uint16_t vlease_recv_packed_mergeable_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
						uint16_t nb_pkts);
uint16_t vlease_recv_packed_in_order_avx2_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					       uint16_t nb_pkts);
uint16_t vlease_recv_packed_in_order_mergeable_avx2_pkts(void *rx_queue,
							 struct rte_mbuf **rx_pkts,
							 uint16_t nb_pkts);

#endif /* VIRTIO_LEASE_RX_VECTOR_H */
