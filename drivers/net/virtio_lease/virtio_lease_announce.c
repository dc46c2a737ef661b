/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The device asks that the network be told where the port is, after a migration for example
 * (VIRTIO 1.2, 5.1.6.5.4). The interrupt thread sends a frame that says so.
 */
#include <errno.h>

#include <rte_arp.h>
#include <rte_cycles.h>

#include "virtio_lease.h"

/* How long a thread that polls may take to end its burst. */
#define BURST_TIMEOUT_US 10000
#define BURST_POLL_US 10

static bool
is_asked(struct vlease_process *process)
{
	rte_le16_t status;

	if ((process->adapter->features & VIRTIO_NET_F_GUEST_ANNOUNCE) == 0)
		return false;
	return vlease_pci_config_read(&process->pci, offsetof(struct virtio_net_config, status),
				      &status, sizeof(status)) == 0 &&
	       (rte_le_to_cpu_16(status) & VIRTIO_NET_S_ANNOUNCE) != 0;
}

static volatile uint16_t *
doorbell_of(struct vlease_process *process, uint16_t queue)
{
	return vlease_pci_doorbell(&process->pci, process->doorbell_offset[queue]);
}

/* A queue that a thread of this process polls: it keeps the lease, and has no doorbell for it. */
static bool
interrupt_polling(struct vlease_process *process, uint16_t queue, uint32_t slot)
{
	unsigned int waited = 0;

	if (vlease_doorbell_init() != 0)
		return false;
	while (!vlease_doorbell_is_quiet(slot)) {
		if (waited >= BURST_TIMEOUT_US) {
			vlease_set_doorbell(slot, doorbell_of(process, queue));
			return false;
		}
		rte_delay_us_sleep(BURST_POLL_US);
		waited += BURST_POLL_US;
	}
	return true;
}

/* Not on a queue that a secondary has leased. */
static bool
send_on(struct rte_eth_dev *dev, uint16_t queue, struct rte_mbuf *frame)
{
	struct vlease_process *process = vlease_process(dev);
	const uint32_t slot = vlease_doorbell_slot(dev->data->port_id, queue);
	const bool polled = vlease_doorbell(slot) != NULL;
	uint16_t sent;

	if (polled ? !interrupt_polling(process, queue, slot) :
		     bar_lessor_hold(process->lessor, queue) != 0)
		return false;
	sent = vlease_txq_send(dev->data->tx_queues[queue / 2], doorbell_of(process, queue),
			       &frame, 1);
	if (polled)
		vlease_set_doorbell(slot, doorbell_of(process, queue));
	else
		bar_lessor_put(process->lessor, queue);
	return sent == 1;
}

/* One that may be rebuilt at the death of a secondary is that one's alone. */
static struct rte_mempool *
common_pool(const struct rte_eth_dev *dev)
{
	const struct vlease_process *process = vlease_process(dev);
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		if (process->owners[2 * i].owned == NULL && process->queues[2 * i].pool != NULL)
			return process->queues[2 * i].pool;
	return NULL;
}

static int
send_announcement(struct rte_eth_dev *dev)
{
	struct rte_mempool *pool = common_pool(dev);
	struct rte_mbuf *frame;
	uint16_t i;

	frame = pool == NULL ? NULL : rte_net_make_rarp_packet(pool, &dev->data->mac_addrs[0]);
	if (frame == NULL)
		return -ENOMEM;
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		if (send_on(dev, 2 * i + 1, frame))
			return 0;
	rte_pktmbuf_free(frame);
	return -EBUSY;
}

void
vlease_announce(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	int ret;

	pthread_mutex_lock(&process->queue_lock);
	if (process->started && is_asked(process)) {
		ret = send_announcement(dev);
		if (ret != 0)
			VLEASE_LOG(WARNING, "%s: cannot tell the network where the port is: %s",
				   process->adapter->address,
				   ret == -EBUSY ? "no transmit queue is free" :
						   "no buffer is free");
		/* The device asks until it is told; what it cannot be told is in the log. */
		vlease_cvq_command(&process->cvq, VIRTIO_NET_CTRL_ANNOUNCE,
				   VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0);
	}
	pthread_mutex_unlock(&process->queue_lock);
}
