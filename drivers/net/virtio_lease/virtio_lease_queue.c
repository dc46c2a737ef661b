/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "virtio_lease.h"

/*
 * The device sets the largest size. A split ring's is a power of two (VIRTIO 1.2, 2.7); a packed
 * one's need not be (2.8.10.1), but our indices have the wrap counter in the bit above the place.
 */
static int
check_size(struct rte_eth_dev *dev, uint16_t queue, uint16_t size)
{
	struct vlease_process *process = vlease_process(dev);
	uint16_t most = vlease_pci_max_queue_size(&process->pci, queue);
	char name[8];

	if (rte_is_power_of_2(size) && size <= most)
		return 0;
	vlease_queue_name(queue, name, sizeof(name));
	VLEASE_LOG(ERR, "%s: %s: %u descriptors: need a power of two, at most %u",
		   process->adapter->address, name, size, most);
	return -EINVAL;
}

/* What a queue is made of; the ring lives until vlease_{rx,tx}_queue_release(). */
static int
describe_queue(struct rte_eth_dev *dev, uint16_t queue, uint16_t size, unsigned int socket,
	       uint16_t free_thresh, uint64_t offloads, struct rte_mempool *pool)
{
	struct vlease_queue_config *config = &vlease_process(dev)->queues[queue];
	const uint64_t features = vlease_adapter(dev)->features;
	const size_t bytes = pool != NULL ? vlease_rxq_ring_bytes(size, features) :
			     vlease_txq_ring_bytes(size, features, offloads);
	const struct rte_memzone *zone;

	zone = rte_eth_dma_zone_reserve(dev, "vlease_ring", queue, bytes, RTE_CACHE_LINE_SIZE,
					(int)socket);
	if (zone == NULL)
		return -ENOMEM;
	*config = (struct vlease_queue_config){
		.ring = zone->addr,
		.ring_iova = zone->iova,
		.pool = pool,
		.size = size,
		.vq_index = queue,
		.port_id = dev->data->port_id,
		.free_thresh = free_thresh,
		.features = features,
		.offloads = offloads,
	};
	return 0;
}

static void
release_queue(struct rte_eth_dev *dev, uint16_t queue, void **object)
{
	rte_free(*object);
	*object = NULL;
	memset(&vlease_process(dev)->queues[queue], 0, sizeof(struct vlease_queue_config));
	rte_eth_dma_zone_free(dev, "vlease_ring", queue);
}

int
vlease_rx_queue_setup(struct rte_eth_dev *dev, uint16_t index, uint16_t nb_desc,
		      unsigned int socket, const struct rte_eth_rxconf *conf,
		      struct rte_mempool *pool)
{
	void **object = &dev->data->rx_queues[index];
	uint16_t queue = 2 * index;
	int ret;

	ret = conf->rx_deferred_start ? vlease_check_deferred_start(dev, queue) : 0;
	if (ret == 0)
		ret = check_size(dev, queue, nb_desc);
	if (ret != 0)
		return ret;
	vlease_process(dev)->deferred[queue] = conf->rx_deferred_start;
	release_queue(dev, queue, object);
	ret = describe_queue(dev, queue, nb_desc, socket, conf->rx_free_thresh,
			     conf->offloads | dev->data->dev_conf.rxmode.offloads, pool);
	if (ret != 0)
		return ret;
	*object = rte_zmalloc_socket("vlease_rxq", vlease_rxq_bytes(nb_desc),
				     RTE_CACHE_LINE_SIZE, (int)socket);
	ret = *object == NULL ? -ENOMEM :
	      vlease_rxq_init(*object, &vlease_process(dev)->queues[queue]);
	if (ret == 0)
		ret = vlease_check_rx_buffers(dev, index, dev->data->mtu);
	if (ret != 0)
		release_queue(dev, queue, object);
	return ret;
}

int
vlease_tx_queue_setup(struct rte_eth_dev *dev, uint16_t index, uint16_t nb_desc,
		      unsigned int socket, const struct rte_eth_txconf *conf)
{
	void **object = &dev->data->tx_queues[index];
	uint16_t queue = 2 * index + 1;
	int ret;

	ret = conf->tx_deferred_start ? vlease_check_deferred_start(dev, queue) : 0;
	if (ret == 0)
		ret = check_size(dev, queue, nb_desc);
	if (ret != 0)
		return ret;
	vlease_process(dev)->deferred[queue] = conf->tx_deferred_start;
	release_queue(dev, queue, object);
	ret = describe_queue(dev, queue, nb_desc, socket, conf->tx_free_thresh,
			     conf->offloads | dev->data->dev_conf.txmode.offloads, NULL);
	if (ret != 0)
		return ret;
	*object = rte_zmalloc_socket("vlease_txq", vlease_txq_bytes(nb_desc),
				     RTE_CACHE_LINE_SIZE, (int)socket);
	ret = *object == NULL ? -ENOMEM :
	      vlease_txq_init(*object, &vlease_process(dev)->queues[queue]);
	if (ret != 0)
		release_queue(dev, queue, object);
	return ret;
}

void
vlease_rx_queue_release(struct rte_eth_dev *dev, uint16_t index)
{
	release_queue(dev, 2 * index, &dev->data->rx_queues[index]);
}

void
vlease_tx_queue_release(struct rte_eth_dev *dev, uint16_t index)
{
	release_queue(dev, 2 * index + 1, &dev->data->tx_queues[index]);
}
