/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * EAL maps its memory into its own VFIO container, which does not hold this device: the same is
 * done here for the device's container, for the memory there is and for what comes and goes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_memory.h>

#include "virtio_lease.h"

/* IOVAs of DPDK memory hold for all processes; external memory is the application's to map. */
static int
map_segment(struct vlease_process *process, const struct rte_memseg *segment)
{
	int ret;

	if (segment->iova == RTE_BAD_IOVA)
		return 0;
	ret = vfio_device_dma_map(process->pci.device, segment->addr, segment->iova,
				  segment->len);
	if (ret == -EEXIST) /* came while we walked, and was reported, too */
		return 0;
	if (ret != 0)
		VLEASE_LOG(ERR, "%s", vfio_device_error());
	return ret;
}

static int
map_walked(const struct rte_memseg_list *list, const struct rte_memseg *segment, void *arg)
{
	return list->external ? 0 : map_segment(arg, segment);
}

static void
memory_event(enum rte_mem_event event, const void *address, size_t length, void *arg)
{
	struct vlease_process *process = arg;
	struct rte_memseg_list *list = rte_mem_virt2memseg_list(address);
	const uint8_t *next = address, *end = next + length;
	const struct rte_memseg *segment;

	if (list == NULL || list->external)
		return;
	for (; next < end; next += segment->len) {
		segment = rte_mem_virt2memseg(next, list);
		if (segment == NULL)
			return;
		if (event == RTE_MEM_EVENT_ALLOC)
			map_segment(process, segment);
		else if (segment->iova != RTE_BAD_IOVA)
			vfio_device_dma_unmap(process->pci.device, segment->iova, segment->len);
	}
}

static void
event_name(const struct vlease_process *process, char *name, size_t size)
{
	snprintf(name, size, "vlease_%s", process->adapter->address);
}

int
vlease_dma_start(struct vlease_process *process)
{
	char name[RTE_MEM_EVENT_CALLBACK_NAME_LEN];

	event_name(process, name, sizeof(name));
	/* ENOTSUP: memory is fixed at start (--legacy-mem, --no-huge), so no event will come. */
	if (rte_mem_event_callback_register(name, memory_event, process) != 0 &&
	    rte_errno != ENOTSUP) {
		VLEASE_LOG(ERR, "%s: cannot follow memory events: %s", process->adapter->address,
			   rte_strerror(rte_errno));
		return -rte_errno;
	}
	if (rte_memseg_walk(map_walked, process) != 0) {
		vlease_dma_stop(process);
		return -EFAULT;
	}
	return 0;
}

/* The maps themselves end with the device's container. */
void
vlease_dma_stop(struct vlease_process *process)
{
	char name[RTE_MEM_EVENT_CALLBACK_NAME_LEN];

	event_name(process, name, sizeof(name));
	rte_mem_event_callback_unregister(name, process);
}
