/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <unistd.h>

#include "virtio_lease.h"

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

int
vlease_lessee_create(struct vlease_process *process)
{
	struct bar_lessee_conf conf = {
		.name = process->adapter->address,
		.nb_slices = 2 * process->adapter->max_pairs,
		.length = (size_t)sysconf(_SC_PAGESIZE),
		.granted = granted,
		.lost = lost,
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
