/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the port says of itself. Secondaries say it, too, from what is in shared memory.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_ether.h>

#include "virtio_lease.h"
#include "virtio_lease_rx_offload.h"
#include "virtio_lease_rx_vector.h"

/* Buffers smaller than this cannot take what VIRTIO 1.2, 5.1.6.3.1 asks for. */
#define MIN_RX_BUFFER RTE_ETHER_MAX_LEN

/* Largest packet that an mbuf's 16-bit data length lets us describe in one buffer. */
#define MAX_RX_PACKET 65535

int
vlease_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);

	info->max_rx_queues = adapter->max_pairs;
	info->max_tx_queues = adapter->max_pairs;
	info->max_mac_addrs = (adapter->usable & VIRTIO_NET_F_CTRL_RX) != 0 ? VLEASE_MAX_MACS : 1;
	info->min_rx_bufsize = MIN_RX_BUFFER;
	info->max_rx_pktlen = MAX_RX_PACKET;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = adapter->max_mtu;
	info->rx_offload_capa = vlease_rx_capabilities(adapter->usable);
	info->tx_offload_capa = vlease_tx_capabilities(adapter->usable);
	info->max_lro_pkt_size = MAX_RX_PACKET;
	vlease_rss_info(adapter, info);
	info->default_rxportconf.ring_size = RTE_MIN(VLEASE_DEFAULT_QUEUE_SIZE,
						     adapter->max_rx_desc);
	info->default_txportconf.ring_size = RTE_MIN(VLEASE_DEFAULT_QUEUE_SIZE,
						     adapter->max_tx_desc);
	info->rx_desc_lim = (struct rte_eth_desc_lim){
		.nb_max = adapter->max_rx_desc,
		.nb_min = VLEASE_MIN_QUEUE_SIZE,
		.nb_align = 1,
	};
	info->tx_desc_lim = info->rx_desc_lim;
	info->tx_desc_lim.nb_max = adapter->max_tx_desc;
	info->tx_desc_lim.nb_seg_max = VLEASE_TX_MAX_SEGMENTS;
	info->tx_desc_lim.nb_mtu_seg_max = VLEASE_TX_MAX_SEGMENTS;
	if ((adapter->usable & VIRTIO_F_RING_RESET) != 0)
		info->dev_capa = RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP |
				 RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP;
	info->speed_capa = RTE_ETH_LINK_SPEED_FIXED;
	return 0;
}

/*
 * All queues have the offloads of the port, none has its own. Whether a start is deferred only the
 * primary knows. What becomes of a frame for which there is no buffer is the device's affair.
 */
void
vlease_rxq_info_get(struct rte_eth_dev *dev, uint16_t index, struct rte_eth_rxq_info *info)
{
	const struct vlease_rxq *rxq = dev->data->rx_queues[index];

	info->mp = rxq->pool;
	info->nb_desc = rxq->size;
	info->rx_buf_size = rxq->buf_len;
	info->scattered_rx = dev->data->scattered_rx;
	info->conf.rx_free_thresh = rxq->free_thresh;
	info->conf.rx_deferred_start = vlease_process(dev)->deferred[2 * index];
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

void
vlease_txq_info_get(struct rte_eth_dev *dev, uint16_t index, struct rte_eth_txq_info *info)
{
	const struct vlease_txq *txq = dev->data->tx_queues[index];

	info->nb_desc = txq->size;
	info->conf.tx_free_thresh = txq->free_thresh;
	info->conf.tx_deferred_start = vlease_process(dev)->deferred[2 * index + 1];
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

/* Which burst function it is, for logs of applications, such as testpmd's "show rxq info". */
static int
describe_burst(uint64_t features, bool mergeable, bool offloads, bool vectors,
	       struct rte_eth_burst_mode *mode)
{
	snprintf(mode->info, sizeof(mode->info), "%s%s%s%s%s",
		 (features & VIRTIO_F_RING_PACKED) != 0 ? "Packed" : "Split",
		 (features & VIRTIO_F_IN_ORDER) != 0 ? ", in order" : "",
		 mergeable ? ", mergeable" : "",
		 offloads ? ", offloads" : "",
		 vectors ? ", vector AVX2" : "");
	return 0;
}

int
vlease_rx_burst_mode_get(struct rte_eth_dev *dev, uint16_t index __rte_unused,
			 struct rte_eth_burst_mode *mode)
{
	const uint64_t offloads = dev->data->dev_conf.rxmode.offloads;
	const uint64_t features = vlease_adapter(dev)->features;

	return describe_burst(features, (features & VIRTIO_NET_F_MRG_RXBUF) != 0,
			      vlease_rx_has_offloads(features, offloads),
			      vlease_rx_has_vectors(features, offloads), mode);
}

int
vlease_tx_burst_mode_get(struct rte_eth_dev *dev, uint16_t index __rte_unused,
			 struct rte_eth_burst_mode *mode)
{
	const uint64_t features = vlease_adapter(dev)->features;

	return describe_burst(features, false,
			      vlease_tx_has_offloads(features,
						     dev->data->dev_conf.txmode.offloads),
			      false, mode);
}

/* The common registers, and those of the queues of all pairs of which the port uses one. */
int
vlease_get_reg(struct rte_eth_dev *dev, struct rte_dev_reg_info *info)
{
	const uint16_t nb_queues = 2 * RTE_MAX(dev->data->nb_rx_queues, dev->data->nb_tx_queues);
	const uint32_t length = VLEASE_PCI_COMMON_REGS + nb_queues * VLEASE_PCI_QUEUE_REGS;
	struct vlease_process *process = vlease_process(dev);
	uint32_t *to = info->data;
	uint16_t i;

	info->version = VIRTIO_PCI_MODERN_NET_ID;
	if (to == NULL) {
		info->length = length;
		info->width = sizeof(*to);
		return 0;
	}
	/* A length of 0 asks for all, and who asks so may leave the offset unset. */
	if (info->length != 0 && (info->offset != 0 || info->length != length)) {
		VLEASE_LOG(ERR, "%s: %u registers from %u on: can give all %u only",
			   process->adapter->address, info->length, info->offset, length);
		return -ENOTSUP;
	}
	for (i = 0; i < nb_queues; i++)
		vlease_pci_read_queue(&process->pci, i,
				      &to[VLEASE_PCI_COMMON_REGS + i * VLEASE_PCI_QUEUE_REGS]);
	return vlease_pci_read_common(&process->pci, to);
}

static void
dump_features(FILE *file, const char *what, uint64_t features)
{
	const char *name;
	unsigned int i;

	fprintf(file, "%s:", what);
	for (i = 0; i < 64; i++) {
		if ((features & RTE_BIT64(i)) == 0)
			continue;
		name = vlease_feature_name(RTE_BIT64(i));
		if (name != NULL)
			fprintf(file, " %s", name);
		else
			fprintf(file, " bit %u", i);
	}
	fputc('\n', file);
}

/* A free queue has no holder, and what is taken is the primary's own. */
static void
dump_lease(FILE *file, const struct vlease_process *process, uint16_t queue)
{
	struct bar_lease_info info;

	if (process->lessor == NULL || bar_lessor_query(process->lessor, queue, &info) != 0)
		return;
	fprintf(file, ", %s", bar_lease_state_name(info.state));
	if (info.state != BAR_LEASE_FREE && info.state != BAR_LEASE_TAKEN)
		fprintf(file, ", process %d", (int)info.pid);
}

static void
dump_queue(FILE *file, const struct rte_eth_dev *dev, uint16_t queue, uint16_t size,
	   uint8_t state)
{
	char name[8];

	vlease_queue_name(queue, name, sizeof(name));
	fprintf(file, "%s: %u descriptors, %s", name, size,
		state == RTE_ETH_QUEUE_STATE_STOPPED ? "stopped" : "started");
	dump_lease(file, vlease_process(dev), queue);
	fputc('\n', file);
}

/* In a secondary without the leases, of which only the primary knows. */
int
vlease_priv_dump(struct rte_eth_dev *dev, FILE *file)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);
	const struct rte_eth_dev_data *data = dev->data;
	const struct vlease_rxq *rxq;
	const struct vlease_txq *txq;
	uint16_t i;

	fprintf(file, "device: %s\n", adapter->address);
	dump_features(file, "features", adapter->features);
	dump_features(file, "usable, not negotiated", adapter->usable & ~adapter->features);
	for (i = 0; i < data->nb_rx_queues; i++) {
		rxq = data->rx_queues[i];
		if (rxq != NULL)
			dump_queue(file, dev, 2 * i, rxq->size, data->rx_queue_state[i]);
	}
	for (i = 0; i < data->nb_tx_queues; i++) {
		txq = data->tx_queues[i];
		if (txq != NULL)
			dump_queue(file, dev, 2 * i + 1, txq->size, data->tx_queue_state[i]);
	}
	return 0;
}
