/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include "virtio_lease_split_rx.h"

uint16_t
vlease_recv_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, false, false, false);
}

uint16_t
vlease_recv_in_order_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, true, false, false);
}

uint16_t
vlease_recv_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, false, true, false);
}

uint16_t
vlease_recv_in_order_mergeable_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, true, true, false);
}

uint16_t
vlease_recv_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, false, false, true);
}

uint16_t
vlease_recv_in_order_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, true, false, true);
}

uint16_t
vlease_recv_mergeable_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts, uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, false, true, true);
}

uint16_t
vlease_recv_in_order_mergeable_offload_pkts(void *rx_queue, struct rte_mbuf **rx_pkts,
					    uint16_t nb_pkts)
{
	return rx_burst(rx_queue, rx_pkts, nb_pkts, true, true, true);
}
