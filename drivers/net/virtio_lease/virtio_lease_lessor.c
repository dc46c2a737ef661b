/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "virtio_lease.h"

/* "0000:03:00.0/bar4/rxq3": device, BAR and queue, as /proc/PID/maps shows them. */
static void
name_slice(struct bar_lessor_slice *slice, const struct vlease_process *process, uint16_t queue)
{
	char name[8];

	vlease_queue_name(queue, name, sizeof(name));
	snprintf(slice->name, sizeof(slice->name), "%s/bar%u/%s", process->adapter->address,
		 slice->bar, name);
}

static int
describe_slices(struct vlease_process *process, struct bar_lessor_slice *slices, uint16_t count)
{
	uint16_t i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = vlease_pci_doorbell_offset(&process->pci, i, &slices[i].offset);
		if (ret != 0)
			return ret;
		slices[i].bar = process->pci.notify_bar;
		name_slice(&slices[i], process, i);
		process->doorbell_offset[i] = slices[i].offset;
	}
	return 0;
}

/* What the kernel cannot do, such as write-combining without PAT, shows at the first export. */
static int
try_export(const struct bar_lessor_conf *conf)
{
	const struct bar_lessor_slice *slice = &conf->slices[0];
	int fd;

	fd = bar_slice_export(conf->device_fd, &conf->support, slice->bar, slice->offset,
			      (uint64_t)sysconf(_SC_PAGESIZE), slice->name, conf->memattr);
	if (fd < 0) {
		VLEASE_LOG(ERR, "%s: no lease can be granted: %s", conf->name, bar_slice_error());
		return fd;
	}
	close(fd);
	return 0;
}

/* A secondary's ethdev has noted in shared memory what it asks for, as the primary's would. */
static int
carry_out(void *arg, uint32_t code, int32_t value)
{
	const struct vlease_process *process = arg;
	struct rte_eth_dev *dev = &rte_eth_devices[process->adapter->port_id];

	if (value != 0 && value != 1)
		return -EINVAL;
	switch (code) {
	case VLEASE_CALL_LINK_UPDATE:
		vlease_primary_ops.link_update(dev, 0);
		return 0;
	case VLEASE_CALL_PROMISCUOUS:
		return value == 1 ? vlease_primary_ops.promiscuous_enable(dev) :
				    vlease_primary_ops.promiscuous_disable(dev);
	case VLEASE_CALL_ALLMULTICAST:
		return value == 1 ? vlease_primary_ops.allmulticast_enable(dev) :
				    vlease_primary_ops.allmulticast_disable(dev);
	default:
		return -ENOTSUP;
	}
}

void
vlease_lessor_notify_link(struct vlease_process *process)
{
	bar_lessor_notify(process->lessor, VLEASE_NOTICE_LINK, 0);
}

void
vlease_lessor_notify_bursts(struct vlease_process *process)
{
	bar_lessor_notify(process->lessor, VLEASE_NOTICE_BURSTS, 0);
}

/* The holder counts them in shared memory, and may write there what it likes. */
static uint64_t
doorbells(void *arg, unsigned int queue)
{
	const struct vlease_process *process = arg;
	const void *object = process->objects[queue];

	if (object == NULL)
		return 0;
	return queue % 2 == 0 ? ((const struct vlease_rxq *)object)->stats.doorbells :
				((const struct vlease_txq *)object)->stats.doorbells;
}

int
vlease_lessor_create(struct vlease_process *process, const struct vlease_devargs *devargs)
{
	uint16_t nb_queues = 2 * process->adapter->max_pairs;
	struct bar_lessor_conf conf = {
		.name = process->adapter->address,
		.device_fd = vfio_device_fd(process->pci.device),
		.memattr = devargs->memattr,
		.nb_slices = nb_queues,
		.reset = vlease_device_reset_queue,
		.call = carry_out,
		.admit = vlease_owned_admit,
		.ended = vlease_owned_ended,
		.counters = process->adapter->leases,
		.policy = devargs->nb_rules > 0 ? devargs->policy : NULL,
		.nb_rules = devargs->nb_rules,
		.fence_ms = devargs->fence_ms,
		.socket_path = devargs->socket[0] != '\0' ? devargs->socket : NULL,
		.socket_mode = devargs->socket_mode,
		.doorbells = doorbells,
		.arg = process,
	};
	struct bar_lessor_slice *slices;
	int ret;

	ret = bar_slice_probe(conf.device_fd, &conf.support);
	if (ret != 0) {
		VLEASE_LOG(ERR, "%s: %s", conf.name, bar_slice_error());
		return ret;
	}
	if (conf.support.interface == BAR_SLICE_NONE ||
	    conf.support.interface == BAR_SLICE_EXPORT_ONLY) {
		VLEASE_LOG(ERR, "%s: bound to %s, which cannot map and revoke DMABUFs of a BAR on "
			   "this kernel; bind it to dmabuf-vfio-pci", conf.name,
			   vfio_device_driver(process->pci.device));
		return -ENOTSUP;
	}
	slices = calloc(nb_queues, sizeof(*slices));
	if (slices == NULL)
		return -ENOMEM;
	ret = describe_slices(process, slices, nb_queues);
	conf.slices = slices;
	if (ret == 0)
		ret = try_export(&conf);
	if (ret == 0)
		ret = bar_lessor_create(&conf, &process->lessor);
	free(slices);
	return ret;
}

/* The queues that this process polled itself are free again. */
void
vlease_lessor_give_back(struct vlease_process *process)
{
	uint32_t first = vlease_doorbell_slot(process->adapter->port_id, 0);
	uint16_t i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i++) {
		if (vlease_doorbell(first + i) == NULL)
			continue;
		vlease_set_doorbell(first + i, NULL);
		bar_lessor_put(process->lessor, i);
	}
}
