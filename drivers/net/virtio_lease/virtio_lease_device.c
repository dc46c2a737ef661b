/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "virtio_lease.h"

/* How long lessees may take to let go of their queues when the port is stopped. */
#define LET_GO_TIMEOUT_MS 500

/*
 * VIRTIO 1.2, 3.1.1, steps 1 to 6. Only with the features agreed does a device tell of all its
 * queues (QEMU: none above the first pair before VIRTIO_NET_F_MQ is).
 */
int
vlease_device_begin(struct vlease_process *process)
{
	struct vlease_pci *pci = &process->pci;
	int ret;

	ret = vlease_pci_reset(pci);
	if (ret != 0)
		return ret;
	memset(process->enabled, 0, sizeof(process->enabled));
	vlease_pci_add_status(pci, VIRTIO_STATUS_ACKNOWLEDGE);
	vlease_pci_add_status(pci, VIRTIO_STATUS_DRIVER);
	return vlease_pci_negotiate(pci, process->adapter->features);
}

/*
 * A device may hold up what arrives for a pair of which the receive queue is not enabled, before
 * it looks where RSS would send it (QEMU). All queues that only have to be there have one ring, in
 * which there is never anything.
 */
static int
reserve_idle_ring(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	const size_t bytes = RTE_MAX(vlease_ring_bytes(VLEASE_MIN_QUEUE_SIZE),
				     vlease_packed_ring_bytes(VLEASE_MIN_QUEUE_SIZE));

	if (process->idle_ring == NULL)
		process->idle_ring = rte_eth_dma_zone_reserve(dev, "vlease_idle", 0, bytes,
							      RTE_CACHE_LINE_SIZE,
							      dev->device->numa_node);
	if (process->idle_ring == NULL)
		return -ENOMEM;
	memset(process->idle_ring->addr, 0, bytes);
	return 0;
}

static int
enable_queue(struct vlease_process *process, uint16_t index,
	     const struct vlease_queue_config *config, uint16_t vector)
{
	const uint16_t size = config->size;
	struct vlease_pci_queue queue = {
		.index = index,
		.size = size,
		.vector = vector,
		.desc_iova = config->ring_iova,
	};

	if (vlease_is_packed(config)) {
		queue.driver_iova = queue.desc_iova + vlease_packed_driver_offset(size);
		queue.device_iova = queue.desc_iova + vlease_packed_device_offset(size);
	} else {
		queue.driver_iova = queue.desc_iova + vlease_avail_offset(size);
		queue.device_iova = queue.desc_iova + vlease_used_offset(size);
	}

	process->enabled[index] = true;
	return vlease_pci_queue_enable(&process->pci, &queue);
}

static int
enable_idle_queue(struct vlease_process *process, uint16_t index)
{
	const struct vlease_queue_config idle = {
		.ring_iova = process->idle_ring->iova,
		.size = VLEASE_MIN_QUEUE_SIZE,
		.features = process->adapter->features,
	};

	return enable_queue(process, index, &idle, 0);
}

/* A queue of the device, empty: whoever polls it first posts its buffers. */
int
vlease_device_enable_queue(struct vlease_process *process, uint16_t index)
{
	return enable_queue(process, index, &process->queues[index],
			    vlease_queue_vector(process, index));
}

static bool
is_configured(const struct rte_eth_dev *dev, uint16_t index)
{
	return index / 2 < (index % 2 == 0 ? dev->data->nb_rx_queues : dev->data->nb_tx_queues);
}

/*
 * Its last holder has not answered the stop, or has since, and the lessor has it reset. Such a
 * queue is left alone, and the device has an idle one, until vlease_device_reset_queue() is called.
 */
static bool
is_left_alone(const struct vlease_process *process, uint16_t index)
{
	enum bar_lease_state state = bar_lessor_state(process->lessor, index);

	return state == BAR_LEASE_REVOKED || state == BAR_LEASE_RESETTING;
}

/* Virtqueues of all pairs of which the application uses one. */
static uint16_t
count_places(const struct rte_eth_dev *dev)
{
	return 2 * RTE_MAX(dev->data->nb_rx_queues, dev->data->nb_tx_queues);
}

static int
enable_queues(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	uint16_t i;
	int ret;

	ret = reserve_idle_ring(dev);
	for (i = 0; i < count_places(dev) && ret == 0; i++)
		if (!is_configured(dev, i) || is_left_alone(process, i))
			ret = enable_idle_queue(process, i);
		else if (!process->deferred[i])
			ret = vlease_device_enable_queue(process, i);
	return ret;
}

int
vlease_device_reclaim_queue(struct vlease_process *process, uint16_t queue)
{
	struct vlease_queue_config config = process->queues[queue];
	int freed;

	if (process->rings[queue] == NULL)
		return 0;
	vlease_owned_look(process, queue, &config);
	if (queue % 2 == 0)
		freed = vlease_rxq_reclaim(process->objects[queue], &config);
	else
		freed = vlease_txq_reclaim(process->objects[queue], &config);
	if (freed >= 0 && config.owner_ended)
		vlease_owned_reclaimed(process, queue, (unsigned int)freed);
	return freed;
}

static void
reclaim_queues(struct vlease_process *process)
{
	uint16_t i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i++)
		if (!is_left_alone(process, i))
			vlease_device_reclaim_queue(process, i);
}

/* The device has been reset, and knows of no buffer any more. */
static void
quieten(struct vlease_process *process)
{
	reclaim_queues(process);
	vlease_owned_set_quiet(process, true);
}

/* VIRTIO 1.2, 5.1.2: the control queue follows all pairs that the device could have. */
static uint16_t
control_queue_index(const struct vlease_adapter *adapter)
{
	return (adapter->features & VIRTIO_NET_F_MQ) != 0 ? 2 * adapter->max_pairs : 2;
}

int
vlease_device_start(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	struct vlease_adapter *adapter = process->adapter;
	int ret;

	ret = vlease_owned_check(process);
	if (ret != 0)
		return ret;
	ret = vlease_device_begin(process);
	if (ret == 0 && !process->quiet)
		quieten(process);
	if (ret == 0)
		ret = vlease_interrupts_start(dev);
	if (ret == 0)
		ret = enable_queues(dev);
	if (ret == 0 && (adapter->features & VIRTIO_NET_F_CTRL_VQ) != 0)
		ret = vlease_cvq_enable(&process->cvq, &process->pci,
					control_queue_index(adapter), adapter->features);
	if (ret != 0)
		goto failed;
	vlease_pci_add_status(&process->pci, VIRTIO_STATUS_DRIVER_OK);
	ret = vlease_rss_apply(dev);
	if (ret == 0)
		ret = vlease_rxmode_replay(dev);
	if (ret != 0)
		goto failed;
	vlease_queues_begin(dev);
	vlease_owned_set_quiet(process, false);
	bar_lessor_start(process->lessor);
	process->started = true;
	vlease_owned_started();
	/* With interrupts of the link ethdev does not ask. */
	vlease_primary_ops.link_update(dev, 0);
	vlease_announce(dev);
	return 0;

failed:
	VLEASE_LOG(ERR, "%s: cannot be started: %s", adapter->address, rte_strerror(-ret));
	vlease_cvq_disable(&process->cvq);
	vlease_pci_add_status(&process->pci, VIRTIO_STATUS_FAILED);
	vlease_pci_reset(&process->pci);
	vlease_interrupts_stop(dev);
	return ret;
}

int
vlease_device_stop(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	int held, ret;

	pthread_mutex_lock(&process->queue_lock);
	process->started = false;
	pthread_mutex_unlock(&process->queue_lock);
	held = bar_lessor_stop(process->lessor, LET_GO_TIMEOUT_MS);
	if (held > 0)
		VLEASE_LOG(WARNING, "%s: %d queues are out of use until the processes that polled "
			   "them, and do not answer, do so or end", process->adapter->address,
			   held);
	vlease_lessor_give_back(process);
	vlease_cvq_disable(&process->cvq);
	ret = vlease_device_begin(process);
	vlease_interrupts_stop(dev);
	/* A device that may still write to the buffers keeps them. */
	if (ret == 0)
		quieten(process);
	return ret;
}

/* The device forgets a queue, alone, and ends what it does for it: VIRTIO 1.2, 2.6.1. */
int
vlease_device_disable_queue(struct rte_eth_dev *dev, uint16_t index)
{
	struct vlease_process *process = vlease_process(dev);
	int ret = 0;

	if ((process->adapter->features & VIRTIO_F_RING_RESET) == 0)
		return -ENOTSUP;
	if (process->enabled[index])
		ret = vlease_pci_queue_reset(&process->pci, index);
	if (ret != 0)
		return ret;
	process->enabled[index] = false;
	return vlease_device_reclaim_queue(process, index);
}

/*
 * The end of a lessee: nobody rings this queue's doorbell any more, but the device may still be
 * working on what was posted.
 */
int
vlease_device_reset_queue(void *arg, unsigned int queue)
{
	struct vlease_process *process = arg;
	struct vlease_adapter *adapter = process->adapter;
	struct rte_eth_dev *dev = &rte_eth_devices[adapter->port_id];
	uint16_t index = (uint16_t)queue;
	char name[8];
	int ret, freed;

	freed = vlease_device_disable_queue(dev, index);
	ret = RTE_MIN(freed, 0);
	/* A lessee may have had the lease of a queue that the application has not set up. */
	if (ret == 0 && is_configured(dev, index))
		ret = vlease_device_enable_queue(process, index);
	else if (ret == 0 && index < count_places(dev))
		ret = enable_idle_queue(process, index);
	if (ret != 0) {
		adapter->queues_quarantined++;
		return vlease_owned_reset(process, index, ret);
	}
	adapter->queues_reset++;
	adapter->mbufs_reclaimed += (uint64_t)freed;
	vlease_queue_name(index, name, sizeof(name));
	VLEASE_LOG(INFO, "%s: %s: reset, %d buffers reclaimed", adapter->address, name, freed);
	return vlease_owned_reset(process, index, 0);
}
