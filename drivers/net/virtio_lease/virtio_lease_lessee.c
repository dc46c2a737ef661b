/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <unistd.h>

#include "virtio_lease.h"

/* How long the primary may take for a call: longer than the device for a control command. */
#define CALL_TIMEOUT_MS 2000

struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS];

static uint32_t
doorbell_slot(const struct vlease_process *process, unsigned int queue)
{
	return vlease_doorbell_slot(process->adapter->port_id, (uint16_t)queue);
}

static void
granted(void *arg, unsigned int queue, void *address)
{
	vlease_set_doorbell(doorbell_slot(arg, queue), address);
}

/* May run as a signal handler: a store is all it does. */
static void
lost(void *arg, unsigned int queue)
{
	vlease_set_doorbell(doorbell_slot(arg, queue), NULL);
}

static void
tell_link(const struct vlease_process *process)
{
	rte_eth_dev_callback_process(&rte_eth_devices[process->adapter->port_id],
				     RTE_ETH_EVENT_INTR_LSC, NULL);
}

static void
notice(void *arg, uint32_t code, int32_t value __rte_unused)
{
	if (code == VLEASE_NOTICE_LINK)
		tell_link(arg);
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
vlease_lessee_create(struct vlease_process *process)
{
	struct bar_lessee_conf conf = {
		.name = process->adapter->address,
		.nb_slices = 2 * process->adapter->max_pairs,
		.length = (size_t)sysconf(_SC_PAGESIZE),
		.granted = granted,
		.lost = lost,
		.notice = notice,
		.arg = process,
	};
	int ret;

	ret = bar_lessee_create(&conf, &process->lessee);
	if (ret != 0)
		VLEASE_LOG(ERR, "%s: no channel to the primary process: %s", conf.name,
			   rte_strerror(-ret));
	return ret;
}

void
vlease_lessee_destroy(struct vlease_process *process)
{
	unsigned int i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i++)
		lost(process, i);
	bar_lessee_destroy(process->lessee);
}

void
vlease_request_doorbell(uint32_t slot)
{
	struct vlease_process *process = vlease_processes[slot / VLEASE_MAX_VQS];
	unsigned int queue = slot % VLEASE_MAX_VQS;

	if (process == NULL)
		return;
	if (process->lessee != NULL)
		bar_lessee_request(process->lessee, queue);
	else if (process->lessor != NULL && bar_lessor_take(process->lessor, queue) == 0)
		vlease_set_doorbell(slot, vlease_pci_doorbell(&process->pci,
							      process->doorbell_offset[queue]));
}
