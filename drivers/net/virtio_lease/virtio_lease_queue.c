/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdio.h>
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

/*
 * A process that has not answered the stop may be in the middle of a burst on it. Without a lessor
 * (a device of a benchmark) there is no other process.
 */
static bool
is_in_use(const struct vlease_process *process, uint16_t queue)
{
	return process->lessor != NULL &&
	       bar_lessor_state(process->lessor, queue) == BAR_LEASE_REVOKED;
}

static int
check_not_in_use(struct vlease_process *process, uint16_t queue)
{
	struct bar_lease_info info;
	char name[8];

	if (!is_in_use(process, queue) || bar_lessor_query(process->lessor, queue, &info) != 0)
		return 0;
	vlease_queue_name(queue, name, sizeof(name));
	VLEASE_LOG(ERR, "%s: %s: cannot be set up: process %d, which polled it, has not answered "
		   "the stop; wait for its answer, or end it", process->adapter->address, name,
		   info.pid);
	return -EBUSY;
}

static void
release_queue(struct vlease_process *process, uint16_t queue)
{
	if (process->rings[queue] == NULL || is_in_use(process, queue))
		return;
	vlease_device_reclaim_queue(process, queue);
	rte_memzone_free(process->rings[queue]);
	process->rings[queue] = NULL;
	memset(&process->queues[queue], 0, sizeof(process->queues[queue]));
}

/* No name is used twice: a ring that is in use when the port is closed stays for ever. */
static const struct rte_memzone *
reserve_ring(size_t bytes, unsigned int socket)
{
	static unsigned int number;
	char name[RTE_MEMZONE_NAMESIZE];

	snprintf(name, sizeof(name), "vlease_ring_%u", number++);
	return rte_memzone_reserve_aligned(name, bytes, (int)socket, RTE_MEMZONE_IOVA_CONTIG,
					   RTE_CACHE_LINE_SIZE);
}

/* The first time, with room for the largest ring. */
static int
allocate_object(struct vlease_process *process, uint16_t queue, unsigned int socket)
{
	uint16_t most = RTE_MIN(vlease_pci_max_queue_size(&process->pci, queue),
				VLEASE_MAX_QUEUE_SIZE);
	size_t bytes = queue % 2 == 0 ? vlease_rxq_bytes(most) : vlease_txq_bytes(most);

	if (process->objects[queue] == NULL)
		process->objects[queue] = rte_zmalloc_socket("vlease_queue", bytes,
							     RTE_CACHE_LINE_SIZE, (int)socket);
	return process->objects[queue] == NULL ? -ENOMEM : 0;
}

/* Memory for a queue and its ring, which lives until the queue's release, and their description. */
static int
prepare_queue(struct rte_eth_dev *dev, uint16_t queue, uint16_t size, unsigned int socket,
	      uint16_t free_thresh, uint64_t offloads, struct rte_mempool *pool)
{
	struct vlease_process *process = vlease_process(dev);
	const uint64_t features = process->adapter->features;
	const size_t bytes = pool != NULL ? vlease_rxq_ring_bytes(size, features) :
			     vlease_txq_ring_bytes(size, features, offloads);
	const struct rte_memzone *ring;
	int ret;

	ret = check_size(dev, queue, size);
	if (ret == 0)
		ret = check_not_in_use(process, queue);
	if (ret == 0)
		ret = allocate_object(process, queue, socket);
	if (ret != 0)
		return ret;
	release_queue(process, queue);
	ring = reserve_ring(bytes, socket);
	if (ring == NULL)
		return -ENOMEM;
	process->rings[queue] = ring;
	process->queues[queue] = (struct vlease_queue_config){
		.ring = ring->addr,
		.ring_iova = ring->iova,
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

int
vlease_rx_queue_setup(struct rte_eth_dev *dev, uint16_t index, uint16_t nb_desc,
		      unsigned int socket, const struct rte_eth_rxconf *conf,
		      struct rte_mempool *pool)
{
	struct vlease_process *process = vlease_process(dev);
	uint16_t queue = 2 * index;
	int ret;

	ret = conf->rx_deferred_start ? vlease_check_deferred_start(dev, queue) : 0;
	if (ret == 0)
		ret = prepare_queue(dev, queue, nb_desc, socket, conf->rx_free_thresh,
				    conf->offloads | dev->data->dev_conf.rxmode.offloads, pool);
	if (ret == 0)
		ret = vlease_rxq_init(process->objects[queue], &process->queues[queue]);
	if (ret != 0)
		return ret;
	process->deferred[queue] = conf->rx_deferred_start;
	dev->data->rx_queues[index] = process->objects[queue];
	ret = vlease_check_rx_buffers(dev, index, dev->data->mtu);
	if (ret != 0)
		dev->data->rx_queues[index] = NULL;
	return ret;
}

int
vlease_tx_queue_setup(struct rte_eth_dev *dev, uint16_t index, uint16_t nb_desc,
		      unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct vlease_process *process = vlease_process(dev);
	uint16_t queue = 2 * index + 1;
	int ret;

	ret = conf->tx_deferred_start ? vlease_check_deferred_start(dev, queue) : 0;
	if (ret == 0)
		ret = prepare_queue(dev, queue, nb_desc, socket, conf->tx_free_thresh,
				    conf->offloads | dev->data->dev_conf.txmode.offloads, NULL);
	if (ret == 0)
		ret = vlease_txq_init(process->objects[queue], &process->queues[queue]);
	if (ret != 0)
		return ret;
	process->deferred[queue] = conf->tx_deferred_start;
	dev->data->tx_queues[index] = process->objects[queue];
	return ret;
}

void
vlease_rx_queue_release(struct rte_eth_dev *dev, uint16_t index)
{
	release_queue(vlease_process(dev), 2 * index);
}

void
vlease_tx_queue_release(struct rte_eth_dev *dev, uint16_t index)
{
	release_queue(vlease_process(dev), 2 * index + 1);
}

void
vlease_queues_free(struct vlease_process *process, bool objects)
{
	uint16_t i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i++) {
		release_queue(process, i);
		if (objects && process->rings[i] == NULL)
			rte_free(process->objects[i]);
	}
}
