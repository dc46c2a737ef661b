/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Start and stop of a single queue (VIRTIO 1.2, 2.6.1). While it is stopped the primary keeps its
 * lease, so that nobody else gets it, and has no doorbell for it, so that bursts return 0.
 */
#include <errno.h>

#include "virtio_lease.h"

static int
complain(struct vlease_process *process, uint16_t queue, int error, const char *why)
{
	char name[8];

	vlease_queue_name(queue, name, sizeof(name));
	VLEASE_LOG(ERR, "%s: %s: cannot be stopped alone: %s", process->adapter->address, name,
		   why);
	return error;
}

/* The device has all queues from its start on, unless it can reset single ones. */
int
vlease_check_deferred_start(struct rte_eth_dev *dev, uint16_t queue)
{
	if ((vlease_adapter(dev)->features & VIRTIO_F_RING_RESET) != 0)
		return 0;
	return complain(vlease_process(dev), queue, -ENOTSUP,
			"the device does not offer VIRTIO_F_RING_RESET");
}

/* Not while the interrupt thread has borrowed a queue. Nothing in here waits for that thread. */
static bool
claim(struct vlease_process *process, uint16_t queue)
{
	const uint32_t slot = vlease_doorbell_slot(process->adapter->port_id, queue);
	bool claimed;

	pthread_mutex_lock(&process->queue_lock);
	/* What this process polls it has the lease of already. */
	if (vlease_doorbell(slot) != NULL) {
		vlease_set_doorbell(slot, NULL);
		claimed = true;
	} else {
		claimed = bar_lessor_hold(process->lessor, queue) == 0;
	}
	pthread_mutex_unlock(&process->queue_lock);
	return claimed;
}

/* From here on only the application's thread concerns itself with the queue. */
static int
seize(struct vlease_process *process, uint16_t queue)
{
	struct bar_lease_info info = { .pid = 0 };
	char why[64];

	if (claim(process, queue))
		return 0;
	bar_lessor_query(process->lessor, queue, &info);
	snprintf(why, sizeof(why), "%s, process %d", bar_lease_state_name(info.state),
		 (int)info.pid);
	return complain(process, queue, -EBUSY, why);
}

static void
set_state(struct rte_eth_dev *dev, uint16_t queue, uint8_t state)
{
	uint8_t *states = queue % 2 == 0 ? dev->data->rx_queue_state : dev->data->tx_queue_state;

	states[queue / 2] = state;
}

static int
stop_queue(struct rte_eth_dev *dev, uint16_t queue)
{
	struct vlease_process *process = vlease_process(dev);
	int ret;

	ret = vlease_check_deferred_start(dev, queue);
	if (ret == 0)
		ret = seize(process, queue);
	if (ret != 0)
		return ret;
	process->stopped[queue] = true;
	set_state(dev, queue, RTE_ETH_QUEUE_STATE_STOPPED);
	/* Not done by the device, it still has the buffers: then nobody else may have the queue. */
	ret = vlease_device_disable_queue(dev, queue);
	if (ret < 0)
		return complain(process, queue, ret, "the device does not complete its reset");
	return 0;
}

static int
start_queue(struct rte_eth_dev *dev, uint16_t queue)
{
	struct vlease_process *process = vlease_process(dev);
	int ret;

	ret = vlease_device_enable_queue(process, queue);
	if (ret != 0)
		return ret;
	set_state(dev, queue, RTE_ETH_QUEUE_STATE_STARTED);
	process->stopped[queue] = false;
	bar_lessor_put(process->lessor, queue);
	return 0;
}

int
vlease_rx_queue_start(struct rte_eth_dev *dev, uint16_t index)
{
	return start_queue(dev, 2 * index);
}

int
vlease_rx_queue_stop(struct rte_eth_dev *dev, uint16_t index)
{
	return stop_queue(dev, 2 * index);
}

int
vlease_tx_queue_start(struct rte_eth_dev *dev, uint16_t index)
{
	return start_queue(dev, 2 * index + 1);
}

int
vlease_tx_queue_stop(struct rte_eth_dev *dev, uint16_t index)
{
	return stop_queue(dev, 2 * index + 1);
}

static void
begin_queue(struct rte_eth_dev *dev, uint16_t queue)
{
	struct vlease_process *process = vlease_process(dev);

	process->stopped[queue] = process->deferred[queue] &&
				  bar_lessor_hold(process->lessor, queue) == 0;
	set_state(dev, queue, process->stopped[queue] ? RTE_ETH_QUEUE_STATE_STOPPED :
						       RTE_ETH_QUEUE_STATE_STARTED);
}

static void
end_queue(struct rte_eth_dev *dev, uint16_t queue)
{
	struct vlease_process *process = vlease_process(dev);

	if (process->stopped[queue])
		bar_lessor_put(process->lessor, queue);
	process->stopped[queue] = false;
	set_state(dev, queue, RTE_ETH_QUEUE_STATE_STOPPED);
}

static void
for_each_queue(struct rte_eth_dev *dev, void (*function)(struct rte_eth_dev *dev, uint16_t queue))
{
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		function(dev, 2 * i);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		function(dev, 2 * i + 1);
}

void
vlease_queues_begin(struct rte_eth_dev *dev)
{
	for_each_queue(dev, begin_queue);
}

void
vlease_queues_end(struct rte_eth_dev *dev)
{
	for_each_queue(dev, end_queue);
}
