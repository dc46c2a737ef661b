/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_interrupts.h>

#include "rte_pmd_virtio_lease.h"
#include "virtio_lease.h"

/* How long the primary may take for a call: longer than the device for a control command. */
#define CALL_TIMEOUT_MS 2000

/* How much later than a lease an application learns of its end: leases are given back meanwhile. */
#define NEWS_DELAY_US 5000

static uint32_t
doorbell_slot(const struct vlease_process *process, unsigned int queue)
{
	return vlease_doorbell_slot(process->adapter->port_id, (uint16_t)queue);
}

/*
 * The primary stops, configures and starts the port while this process polls it. ethdev's fast path
 * is made for less: it takes the queues from an array in shared memory, where the primary's ethdev
 * leaves a hole for as long as a queue is set up anew, and its burst functions are chosen once. So
 * here it has an array of this process' own, with a queue in every place, and what may have changed
 * is looked up again with each lease. A queue itself stays where it is, and what a burst looks at
 * before it knows that it has the doorbell does not change.
 */
static void
look_again(struct vlease_process *process)
{
	struct rte_eth_dev *dev = &rte_eth_devices[process->adapter->port_id];
	struct rte_eth_fp_ops *fast = &rte_eth_fp_ops[process->adapter->port_id];
	uint16_t i;

	vlease_set_bursts(dev);
	fast->rx_pkt_burst = dev->rx_pkt_burst;
	fast->tx_pkt_burst = dev->tx_pkt_burst;
	fast->tx_pkt_prepare = dev->tx_pkt_prepare;
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		if (dev->data->rx_queues[i] != NULL)
			process->rx_queues[i] = dev->data->rx_queues[i];
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		if (dev->data->tx_queues[i] != NULL)
			process->tx_queues[i] = dev->data->tx_queues[i];
}

/* A queue that is not there: a burst on it asks for the doorbell, and that is all. */
static int
make_no_queues(struct vlease_process *process)
{
	const uint16_t port_id = process->adapter->port_id;
	struct vlease_rxq *rxq;
	struct vlease_txq *txq;
	size_t bytes = process->adapter->max_pairs * (sizeof(*rxq) + sizeof(*txq));
	uint16_t i;

	process->no_queues = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
	if (process->no_queues == NULL)
		return -ENOMEM;
	memset(process->no_queues, 0, bytes);
	for (i = 0; i < process->adapter->max_pairs; i++) {
		rxq = RTE_PTR_ADD(process->no_queues, i * (sizeof(*rxq) + sizeof(*txq)));
		txq = RTE_PTR_ADD(rxq, sizeof(*rxq));
		rxq->doorbell_slot = vlease_doorbell_slot(port_id, 2 * i);
		txq->doorbell_slot = vlease_doorbell_slot(port_id, 2 * i + 1);
		process->rx_queues[i] = rxq;
		process->tx_queues[i] = txq;
	}
	return 0;
}

void
vlease_lessee_take_over(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	struct rte_eth_fp_ops *fast = &rte_eth_fp_ops[process->adapter->port_id];

	look_again(process);
	fast->rxq.data = process->rx_queues;
	fast->txq.data = process->tx_queues;
}

/* By a port with fewer queues than before, one is leased that is not there any more. */
static bool
is_set_up(const struct vlease_process *process, unsigned int queue)
{
	const struct rte_eth_dev_data *data = rte_eth_devices[process->adapter->port_id].data;
	const uint16_t index = (uint16_t)(queue / 2);

	return queue % 2 == 0 ? index < data->nb_rx_queues && data->rx_queues[index] != NULL :
				index < data->nb_tx_queues && data->tx_queues[index] != NULL;
}

void
vlease_lessee_restore_port_id(struct rte_eth_dev *dev)
{
	dev->data->port_id = vlease_adapter(dev)->port_id;
}

/* The interrupt thread only. */
static void
raise_event(const struct vlease_process *process, enum rte_eth_event_type event, void *details)
{
	struct rte_eth_dev *dev = &rte_eth_devices[process->adapter->port_id];

	vlease_lessee_restore_port_id(dev);
	rte_eth_dev_callback_process(dev, event, details);
}

static void
tell_queue(const struct vlease_process *process, unsigned int queue, bool held)
{
	struct rte_pmd_virtio_lease_queue_event event = {
		.queue = (uint16_t)(queue / 2),
		.rx = queue % 2 == 0,
		.held = held,
	};

	raise_event(process, RTE_ETH_EVENT_QUEUE_STATE, &event);
}

/* At most one loss and one gain a queue are due: the latest, in their order. */
static void
tell_news(void *arg)
{
	struct vlease_process *process = arg;
	struct vlease_queue_news *news;
	unsigned int i;

	process->has_news = false;
	for (i = 0; i < 2 * process->adapter->max_pairs; i++) {
		news = &process->news[i];
		if (news->regained && news->is_lost)
			tell_queue(process, i, true);
		if (news->lost)
			tell_queue(process, i, false);
		if (news->regained && !news->is_lost)
			tell_queue(process, i, true);
		news->lost = false;
		news->regained = false;
	}
}

/* The lessor waits for its leases, and must not wait for what an application does with an event. */
static void
note_news(struct vlease_process *process)
{
	if (!process->has_news)
		process->has_news = rte_eal_alarm_set(NEWS_DELAY_US, tell_news, process) == 0;
	if (!process->has_news)
		tell_news(process);
}

static void
granted(void *arg, unsigned int queue, void *address)
{
	struct vlease_process *process = arg;
	struct vlease_queue_news *news = &process->news[queue];

	look_again(process);
	if (!is_set_up(process, queue))
		return;
	vlease_doorbell_offer(doorbell_slot(process, queue), address);
	if (!news->is_lost)
		return;
	news->is_lost = false;
	news->regained = true;
	note_news(process);
}

/* May run as a signal handler: then stores are all it does, and the lessor's word comes later. */
static void
lost(void *arg, unsigned int queue)
{
	struct vlease_process *process = arg;

	vlease_doorbell_withdraw(doorbell_slot(process, queue));
	if (!rte_thread_is_intr())
		return;
	process->news[queue].is_lost = true;
	process->news[queue].lost = true;
	note_news(process);
}

static bool
busy(void *arg, unsigned int queue)
{
	return !vlease_doorbell_is_quiet(doorbell_slot(arg, queue));
}

/*
 * From here on nobody writes to what ethdev shares between processes, or somebody does who does not
 * mean this process any more: it goes on with a copy, in which the link is down.
 */
static void
part_with_primary(struct vlease_process *process)
{
	struct rte_eth_dev *dev = &rte_eth_devices[process->adapter->port_id];
	const struct rte_eth_link down = { .link_status = RTE_ETH_LINK_DOWN };
	struct rte_eth_dev_data *copy = malloc(sizeof(*copy));

	if (copy == NULL) {
		VLEASE_LOG(ERR, "%s: no memory: the link stays as it was",
			   process->adapter->address);
		return;
	}
	*copy = *dev->data;
	copy->dev_link = down;
	process->shared_data = dev->data;
	dev->data = copy;
}

/* The port is of no use any more; an application learns it from the link. */
static void
hangup(void *arg)
{
	static bool ending; /* also because of another port */
	struct vlease_process *process = arg;

	part_with_primary(process);
	raise_event(process, RTE_ETH_EVENT_INTR_LSC, NULL);
	if (!process->exit_with_primary || ending)
		return;
	ending = true;
	VLEASE_LOG(NOTICE, "%s: ends, since the primary process is gone: " VLEASE_ARG_PRIMARY_DEATH
		   "=exit", process->adapter->address);
	kill(getpid(), SIGTERM);
}

static void
notice(void *arg, uint32_t code, int32_t value __rte_unused)
{
	if (code == VLEASE_NOTICE_LINK)
		raise_event(arg, RTE_ETH_EVENT_INTR_LSC, NULL);
	else if (code == VLEASE_NOTICE_BURSTS)
		look_again(arg);
}

static int
call(struct rte_eth_dev *dev, enum vlease_call code, int32_t value)
{
	return bar_lessee_call(vlease_process(dev)->lessee, code, value, CALL_TIMEOUT_MS);
}

/* Without an answer, what the primary saw last remains. */
int
vlease_lessee_link_update(struct rte_eth_dev *dev, int wait __rte_unused)
{
	return call(dev, VLEASE_CALL_LINK_UPDATE, 0);
}

int
vlease_lessee_promiscuous_enable(struct rte_eth_dev *dev)
{
	return call(dev, VLEASE_CALL_PROMISCUOUS, 1);
}

int
vlease_lessee_promiscuous_disable(struct rte_eth_dev *dev)
{
	return call(dev, VLEASE_CALL_PROMISCUOUS, 0);
}

int
vlease_lessee_allmulticast_enable(struct rte_eth_dev *dev)
{
	return call(dev, VLEASE_CALL_ALLMULTICAST, 1);
}

int
vlease_lessee_allmulticast_disable(struct rte_eth_dev *dev)
{
	return call(dev, VLEASE_CALL_ALLMULTICAST, 0);
}

int
vlease_lessee_create(struct vlease_process *process, const struct vlease_devargs *devargs)
{
	struct bar_lessee_conf conf = {
		.name = process->adapter->address,
		.socket_path = devargs->socket[0] != '\0' ? devargs->socket : NULL,
		.nb_slices = 2 * process->adapter->max_pairs,
		.length = (size_t)sysconf(_SC_PAGESIZE),
		.granted = granted,
		.lost = lost,
		.busy = busy,
		.hangup = hangup,
		.notice = notice,
		.arg = process,
	};
	int ret;

	ret = vlease_doorbell_init();
	if (ret != 0) {
		VLEASE_LOG(ERR, "%s: the kernel has no private expedited membarrier(2), without "
			   "which no lease can end in an orderly way: %s", conf.name,
			   rte_strerror(-ret));
		return ret;
	}
	process->exit_with_primary = devargs->exit_with_primary;
	ret = make_no_queues(process);
	if (ret != 0)
		return ret;
	ret = bar_lessee_create(&conf, &process->lessee);
	if (ret != 0) {
		VLEASE_LOG(ERR, "%s: no channel to the primary process%s%s: %s", conf.name,
			   conf.socket_path != NULL ? " by " : "", devargs->socket,
			   rte_strerror(-ret));
		free(process->no_queues);
	}
	return ret;
}

void
vlease_lessee_destroy(struct vlease_process *process)
{
	struct rte_eth_dev *dev = &rte_eth_devices[process->adapter->port_id];
	unsigned int i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i++)
		vlease_doorbell_withdraw(doorbell_slot(process, i));
	bar_lessee_destroy(process->lessee);
	rte_eal_alarm_cancel(tell_news, process);
	if (process->shared_data != NULL) {
		free(dev->data);
		dev->data = process->shared_data;
	}
	free(process->no_queues);
}

static void
request_lease(struct bar_lessee *lessee, uint32_t slot, unsigned int queue)
{
	if (vlease_doorbell_accept(slot))
		return;
	/* This burst has come to its end: who waits for that must not meet us here for ever. */
	vlease_burst_end(slot);
	bar_lessee_request(lessee, queue);
}

void
vlease_request_doorbell(uint32_t slot)
{
	struct vlease_process *process = vlease_processes[slot / VLEASE_MAX_VQS];
	unsigned int queue = slot % VLEASE_MAX_VQS;

	if (process == NULL)
		return;
	if (process->lessee != NULL)
		request_lease(process->lessee, slot, queue);
	else if (process->lessor != NULL && bar_lessor_take(process->lessor, queue) == 0)
		vlease_set_doorbell(slot, vlease_pci_doorbell(&process->pci,
							      process->doorbell_offset[queue]));
}
