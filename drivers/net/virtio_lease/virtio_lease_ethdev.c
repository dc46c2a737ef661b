/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "virtio_lease.h"

void
vlease_set_bursts(struct rte_eth_dev *dev)
{
	const uint64_t features = vlease_adapter(dev)->features;
	const struct rte_eth_conf *conf = &dev->data->dev_conf;

	dev->rx_pkt_burst = vlease_rx_burst(features, conf->rxmode.offloads);
	dev->tx_pkt_burst = vlease_tx_burst(features, conf->txmode.offloads);
	dev->tx_pkt_prepare = vlease_tx_prepare(conf->txmode.offloads);
	dev->rx_queue_count = vlease_op_rx_queue_count;
	dev->rx_descriptor_status = vlease_rx_descriptor_status;
	dev->tx_descriptor_status = vlease_tx_descriptor_status;
	/* At its start ethdev has made a copy, which is what applications call. */
	if (dev->data->dev_started)
		rte_eth_fp_ops[dev->data->port_id].rx_pkt_burst = dev->rx_pkt_burst;
}

static int
dev_configure(struct rte_eth_dev *dev)
{
	const struct rte_eth_conf *conf = &dev->data->dev_conf;
	struct vlease_adapter *adapter = vlease_adapter(dev);
	uint64_t features;
	int ret;

	if ((conf->rxmode.mq_mode != RTE_ETH_MQ_RX_NONE &&
	     conf->rxmode.mq_mode != RTE_ETH_MQ_RX_RSS) ||
	    conf->txmode.mq_mode != RTE_ETH_MQ_TX_NONE) {
		VLEASE_LOG(ERR, "%s: multi-queue modes other than RSS are not supported",
			   adapter->address);
		return -ENOTSUP;
	}
	features = vlease_features_choose(adapter->usable, conf->rxmode.offloads,
					  conf->txmode.offloads);
	if (features != adapter->features) {
		adapter->features = features;
		ret = vlease_device_begin(vlease_process(dev));
		if (ret != 0)
			return ret;
	}
	dev->data->scattered_rx = (features & VIRTIO_NET_F_MRG_RXBUF) != 0 &&
				  (conf->rxmode.offloads & (RTE_ETH_RX_OFFLOAD_SCATTER |
							    RTE_ETH_RX_OFFLOAD_TCP_LRO)) != 0;
	vlease_set_bursts(dev);
	return vlease_rss_configure(dev);
}

/* Speed in Mbit/s, VIRTIO 1.2, 5.1.4.1; what the device does not know stays unknown. */
static void
read_speed(struct vlease_process *process, struct rte_eth_link *link)
{
	struct virtio_net_config config;
	uint32_t speed;

	if ((process->adapter->features & VIRTIO_NET_F_SPEED_DUPLEX) == 0)
		return;
	if (vlease_pci_config_read(&process->pci, 0, &config, sizeof(config)) != 0)
		return;
	speed = rte_le_to_cpu_32(config.speed);
	if (speed <= INT32_MAX)
		link->link_speed = speed;
	if (config.duplex <= 1)
		link->link_duplex = config.duplex;
}

static int
link_update(struct rte_eth_dev *dev, int wait __rte_unused)
{
	struct vlease_process *process = vlease_process(dev);
	struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_UNKNOWN,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
		.link_status = RTE_ETH_LINK_UP,
	};
	rte_le16_t status;

	if (!process->started) {
		link.link_status = RTE_ETH_LINK_DOWN;
	} else if ((process->adapter->features & VIRTIO_NET_F_STATUS) != 0) {
		if (vlease_pci_config_read(&process->pci,
					   offsetof(struct virtio_net_config, status),
					   &status, sizeof(status)) != 0 ||
		    (rte_le_to_cpu_16(status) & VIRTIO_NET_S_LINK_UP) == 0)
			link.link_status = RTE_ETH_LINK_DOWN;
	}
	read_speed(process, &link);
	return rte_eth_linkstatus_set(dev, &link);
}

static int
dev_stop(struct rte_eth_dev *dev)
{
	struct rte_eth_link link = { .link_status = RTE_ETH_LINK_DOWN };
	int ret;

	ret = vlease_device_stop(dev);
	rte_eth_linkstatus_set(dev, &link);
	vlease_queues_end(dev);
	return ret;
}

/* ethdev has stopped the port; what was configured remains. */
static int
dev_reset(struct rte_eth_dev *dev)
{
	return vlease_device_begin(vlease_process(dev));
}

static void
primary_close(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	const bool watched = bar_lessor_count_lessees(process->lessor) > 0;

	vlease_interrupts_destroy(dev);
	vlease_dma_stop(process);
	vlease_queues_free(process, !watched);
	vlease_owned_forget_port(process);
	rte_memzone_free(process->idle_ring);
	bar_lessor_destroy(process->lessor);
	vlease_cvq_destroy(&process->cvq);
	vlease_pci_close(&process->pci);
	dev->data->mac_addrs = NULL; /* part of dev_private */
	/* When a secondary looks at it, or at the queues, for the last time, is not to be known. */
	if (watched)
		dev->data->dev_private = NULL;
}

static void
secondary_close(struct rte_eth_dev *dev)
{
	vlease_processes[vlease_adapter(dev)->port_id] = NULL;
	vlease_lessee_destroy(vlease_process(dev));
	vlease_lessee_restore_port_id(dev);
}

/* Frees what is this process' own; in the primary, that is the device. */
int
vlease_dev_close(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);

	if (process == NULL)
		return 0;
	if (rte_eal_process_type() == RTE_PROC_PRIMARY)
		primary_close(dev);
	else
		secondary_close(dev);
	dev->process_private = NULL;
	free(process);
	return 0;
}

const struct eth_dev_ops vlease_primary_ops = {
	.dev_configure = dev_configure,
	.dev_start = vlease_device_start,
	.dev_stop = dev_stop,
	.dev_close = vlease_dev_close,
	.dev_reset = dev_reset,
	.dev_infos_get = vlease_dev_infos_get,
	.link_update = link_update,
	.promiscuous_enable = vlease_promiscuous_enable,
	.promiscuous_disable = vlease_promiscuous_disable,
	.allmulticast_enable = vlease_allmulticast_enable,
	.allmulticast_disable = vlease_allmulticast_disable,
	.mac_addr_add = vlease_mac_addr_add,
	.mac_addr_remove = vlease_mac_addr_remove,
	.mac_addr_set = vlease_mac_addr_set,
	.set_mc_addr_list = vlease_set_mc_addr_list,
	.vlan_filter_set = vlease_vlan_filter_set,
	.vlan_offload_set = vlease_vlan_offload_set,
	.mtu_set = vlease_mtu_set,
	.rss_hash_update = vlease_rss_hash_update,
	.rss_hash_conf_get = vlease_rss_hash_conf_get,
	.reta_update = vlease_reta_update,
	.reta_query = vlease_reta_query,
	.stats_get = vlease_op_stats_get,
	.stats_reset = vlease_stats_reset,
	.xstats_get = vlease_xstats_get,
	.xstats_get_names = vlease_xstats_get_names,
	.xstats_reset = vlease_stats_reset,
	.rxq_info_get = vlease_rxq_info_get,
	.txq_info_get = vlease_txq_info_get,
	.rx_burst_mode_get = vlease_rx_burst_mode_get,
	.tx_burst_mode_get = vlease_tx_burst_mode_get,
	.get_reg = vlease_get_reg,
	.eth_dev_priv_dump = vlease_priv_dump,
	.tx_done_cleanup = vlease_tx_done_cleanup,
	.get_monitor_addr = vlease_get_monitor_addr,
	.rx_queue_intr_enable = vlease_rx_queue_intr_enable,
	.rx_queue_intr_disable = vlease_rx_queue_intr_disable,
	.rx_queue_start = vlease_rx_queue_start,
	.rx_queue_stop = vlease_rx_queue_stop,
	.tx_queue_start = vlease_tx_queue_start,
	.tx_queue_stop = vlease_tx_queue_stop,
	.rx_queue_setup = vlease_rx_queue_setup,
	.rx_queue_release = vlease_rx_queue_release,
	.tx_queue_setup = vlease_tx_queue_setup,
	.tx_queue_release = vlease_tx_queue_release,
};

/* What a process may do that has no access to the device: read what is in memory, and ask. */
const struct eth_dev_ops vlease_secondary_ops = {
	.dev_close = vlease_dev_close,
	.dev_infos_get = vlease_dev_infos_get,
	.link_update = vlease_lessee_link_update,
	.promiscuous_enable = vlease_lessee_promiscuous_enable,
	.promiscuous_disable = vlease_lessee_promiscuous_disable,
	.allmulticast_enable = vlease_lessee_allmulticast_enable,
	.allmulticast_disable = vlease_lessee_allmulticast_disable,
	.stats_get = vlease_op_stats_get,
	.stats_reset = vlease_stats_reset,
	.xstats_get = vlease_xstats_get,
	.xstats_get_names = vlease_xstats_get_names,
	.xstats_reset = vlease_stats_reset,
	.rxq_info_get = vlease_rxq_info_get,
	.txq_info_get = vlease_txq_info_get,
	.rx_burst_mode_get = vlease_rx_burst_mode_get,
	.tx_burst_mode_get = vlease_tx_burst_mode_get,
	.eth_dev_priv_dump = vlease_priv_dump,
	.tx_done_cleanup = vlease_tx_done_cleanup,
	.get_monitor_addr = vlease_get_monitor_addr,
};
