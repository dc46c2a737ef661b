/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Interrupts, in the primary: MSI-X vector 0 for changes of the device's configuration, 1 + N for
 * receive queue N if the application asks for interrupts of these. And the kernel's wish to have
 * the device back.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_interrupts.h>

#include "virtio_lease.h"

#define CONFIG_VECTOR 0
#define FIRST_QUEUE_VECTOR RTE_INTR_VEC_RXTX_OFFSET

/* What a device that is no longer there reads as; no status of a present one has all bits. */
#define STATUS_OF_NOTHING UINT8_MAX

static void
forget(int eventfd)
{
	uint64_t count;

	/* Not blocking; nothing to read means that this was done already. */
	if (read(eventfd, &count, sizeof(count)) < 0)
		return;
}

static void
wake(int eventfd)
{
	const uint64_t one = 1;

	/* It can only fail when the count is at its limit: then who waits is awake. */
	if (write(eventfd, &one, sizeof(one)) < 0)
		return;
}

static void
tell(struct rte_eth_dev *dev, enum rte_eth_event_type event, const char *what)
{
	VLEASE_LOG(NOTICE, "%s: %s", vlease_adapter(dev)->address, what);
	rte_eth_dev_callback_process(dev, event, NULL);
}

static void
config_changed(void *arg)
{
	struct rte_eth_dev *dev = arg;
	struct vlease_process *process = vlease_process(dev);
	uint8_t status;

	forget(rte_intr_fd_get(process->interrupts));
	if (!process->started)
		return;
	status = vlease_pci_status(&process->pci);
	if (status == STATUS_OF_NOTHING) {
		tell(dev, RTE_ETH_EVENT_INTR_RMV, "the device is gone");
		return;
	}
	/* VIRTIO 1.2, 2.1.2: it says so with a change of its configuration. */
	if ((status & VIRTIO_STATUS_NEEDS_RESET) != 0)
		tell(dev, RTE_ETH_EVENT_INTR_RESET, "the device needs a reset");
	if (vlease_primary_ops.link_update(dev, 0) == 0) {
		if (dev->data->dev_conf.intr_conf.lsc)
			rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
		vlease_lessor_notify_link(process);
	}
	vlease_announce(dev);
}

/* Unbinding waits until the device is closed (Linux, vfio_unregister_group_dev()). */
static void
removal_requested(void *arg)
{
	struct rte_eth_dev *dev = arg;

	forget(rte_intr_fd_get(vlease_process(dev)->removal));
	tell(dev, RTE_ETH_EVENT_INTR_RMV, "somebody wants to unbind or remove the device");
}

static void
drop_handle(struct rte_intr_handle **handle, rte_intr_callback_fn function, void *arg)
{
	if (*handle == NULL)
		return;
	if (rte_intr_fd_get(*handle) >= 0) {
		rte_intr_callback_unregister_sync(*handle, function, arg);
		close(rte_intr_fd_get(*handle));
	}
	rte_intr_instance_free(*handle);
	*handle = NULL;
}

/* RTE_INTR_HANDLE_VDEV: EAL polls the descriptors, and the rest is the driver's. */
static int
make_handle(struct rte_intr_handle **handle, rte_intr_callback_fn function, void *arg)
{
	int fd;

	*handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (*handle == NULL)
		return -ENOMEM;
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0 || rte_intr_fd_set(*handle, fd) != 0 ||
	    rte_intr_type_set(*handle, RTE_INTR_HANDLE_VDEV) != 0 ||
	    rte_intr_efd_counter_size_set(*handle, sizeof(uint64_t)) != 0 ||
	    rte_intr_callback_register(*handle, function, arg) != 0) {
		drop_handle(handle, function, arg);
		return -ENOMEM;
	}
	return 0;
}

int
vlease_interrupts_create(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	int ret;

	ret = make_handle(&process->interrupts, config_changed, dev);
	if (ret == 0)
		ret = make_handle(&process->removal, removal_requested, dev);
	if (ret == 0)
		ret = vfio_device_set_request_eventfd(process->pci.device,
						      rte_intr_fd_get(process->removal));
	if (ret != 0) {
		VLEASE_LOG(ERR, "%s: no interrupts: %s", process->adapter->address,
			   rte_strerror(-ret));
		vlease_interrupts_destroy(dev);
		return ret;
	}
	dev->intr_handle = process->interrupts;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_RMV;
	if ((process->adapter->usable & VIRTIO_NET_F_STATUS) != 0 &&
	    vfio_device_msix_count(process->pci.device) > 0)
		dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC;
	return 0;
}

void
vlease_interrupts_destroy(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);

	dev->intr_handle = NULL;
	drop_handle(&process->interrupts, config_changed, dev);
	drop_handle(&process->removal, removal_requested, dev);
}

/* ---- Of receive queues ---- */

static int
make_queue_eventfds(struct rte_intr_handle *handle, uint16_t count)
{
	uint16_t i;
	int fd;

	if (rte_intr_vec_list_alloc(handle, "vlease_vectors", count) != 0)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		/* From now on vlease_interrupts_stop() closes it. */
		if (rte_intr_efds_index_set(handle, i, fd) != 0 ||
		    rte_intr_nb_efd_set(handle, i + 1) != 0 ||
		    rte_intr_max_intr_set(handle, i + 1 + FIRST_QUEUE_VECTOR) != 0 ||
		    rte_intr_vec_list_index_set(handle, i, i + FIRST_QUEUE_VECTOR) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* Vectors to eventfds: the kernel signals these without waking a thread of ours. */
static int
route(struct vlease_process *process, uint16_t nb_queues)
{
	int fds[FIRST_QUEUE_VECTOR + VLEASE_MAX_PAIRS];
	uint16_t i;
	int ret;

	fds[CONFIG_VECTOR] = rte_intr_fd_get(process->interrupts);
	for (i = 0; i < nb_queues; i++)
		fds[FIRST_QUEUE_VECTOR + i] = rte_intr_efds_index_get(process->interrupts, i);
	ret = vfio_device_set_msix(process->pci.device, fds, FIRST_QUEUE_VECTOR + nb_queues);
	if (ret != 0)
		VLEASE_LOG(ERR, "%s", vfio_device_error());
	return ret;
}

int
vlease_interrupts_start(struct rte_eth_dev *dev)
{
	const uint16_t nb_queues = dev->data->dev_conf.intr_conf.rxq ? dev->data->nb_rx_queues : 0;
	struct vlease_process *process = vlease_process(dev);
	const int vectors = vfio_device_msix_count(process->pci.device);
	int ret = 0;

	if (vectors <= 0 && nb_queues == 0)
		return 0;
	if (vectors < FIRST_QUEUE_VECTOR + nb_queues) {
		VLEASE_LOG(ERR, "%s: interrupts of %u receive queues: need %u MSI-X vectors, the "
			   "device has %d", process->adapter->address, nb_queues,
			   FIRST_QUEUE_VECTOR + nb_queues, vectors);
		return -ENOSPC;
	}
	if (nb_queues > 0)
		ret = make_queue_eventfds(process->interrupts, nb_queues);
	if (ret == 0)
		ret = route(process, nb_queues);
	if (ret == 0)
		ret = vlease_pci_config_vector(&process->pci, CONFIG_VECTOR);
	process->queue_interrupts = ret == 0 && nb_queues > 0;
	if (ret != 0)
		vlease_interrupts_stop(dev);
	return ret;
}

void
vlease_interrupts_stop(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);

	process->queue_interrupts = false;
	vfio_device_set_msix(process->pci.device, NULL, 0);
	if (rte_intr_nb_efd_get(process->interrupts) > 0)
		rte_intr_efd_disable(process->interrupts);
	rte_intr_vec_list_free(process->interrupts);
}

uint16_t
vlease_queue_vector(const struct vlease_process *process, uint16_t queue)
{
	return process->queue_interrupts && queue % 2 == 0 ? FIRST_QUEUE_VECTOR + queue / 2 : 0;
}

/*
 * Where there is something to do already, and where there is nothing to wait for since no buffer
 * was posted yet, the next wait ends at once: then the application polls.
 */
int
vlease_rx_queue_intr_enable(struct rte_eth_dev *dev, uint16_t index)
{
	struct vlease_process *process = vlease_process(dev);
	const uint32_t slot = vlease_doorbell_slot(dev->data->port_id, 2 * index);

	if (!process->queue_interrupts)
		return -ENOTSUP;
	if (vlease_doorbell(slot) == NULL ||
	    vlease_rxq_interrupt(dev->data->rx_queues[index], true))
		wake(rte_intr_efds_index_get(process->interrupts, index));
	return 0;
}

int
vlease_rx_queue_intr_disable(struct rte_eth_dev *dev, uint16_t index)
{
	struct vlease_process *process = vlease_process(dev);

	if (!process->queue_interrupts)
		return -ENOTSUP;
	if (vlease_doorbell(vlease_doorbell_slot(dev->data->port_id, 2 * index)) != NULL)
		vlease_rxq_interrupt(dev->data->rx_queues[index], false);
	return 0;
}
