/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */

/*
 * The driver as it is, with all of its ethdev operations but those that start and stop the
 * device: queues and burst functions are what it sets up itself, from the features that it has
 * chosen. Behind the queues is the software device of the unit tests.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <linux/virtio_pci.h>

#include <rte_malloc.h>

#include "software_device.h"
#include "virtio_lease.h"

#include "frame.h"
#include "measure.h"
#include "port.h"

#define MAX_RING 1024

struct lease {
	struct rte_device device;
	struct vlease_process process;
	struct vlease_adapter adapter;
	/** What the driver reads of the device: it offers all there is. */
	struct virtio_pci_common_cfg registers;
	struct software_device rx, tx;
	uint8_t sent[FRAME_MAX];
};

/**
 * Where the device sees a piece of the driver's memory: mapped a second time, as a vhost back end
 * does it, since caches may tell the two addresses apart.
 */
static void *
device_view(void *address)
{
	static uint8_t *view;
	const struct rte_memseg_list *list = rte_mem_virt2memseg_list(address);

	if (view == NULL) {
		int fd = rte_memseg_get_fd(rte_mem_virt2memseg(address, list));

		view = mmap(NULL, list->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (view == MAP_FAILED) {
			perror("mapping EAL memory a second time");
			exit(1);
		}
	}
	return view + RTE_PTR_DIFF(address, list->base_va);
}

static void
serve(struct software_device *device, const struct vlease_queue_config *queue, bool checksum)
{
	void *ring = device_view(queue->ring);

	if (vlease_is_packed(queue))
		software_device_init_packed(device, ring, queue->size);
	else
		software_device_init(device, ring, queue->size);
	device->in_order = vlease_is_in_order(queue);
	device->offset = (uint8_t *)ring - (uint8_t *)queue->ring;
	if (checksum)
		device->header = (struct vlease_net_hdr){
			.flags = 1, /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
			.csum_start = RTE_LE16(FRAME_CSUM_START),
			.csum_offset = RTE_LE16(FRAME_CSUM_OFFSET),
		};
	software_device_suppress(device, true);
	vlease_set_doorbell(vlease_doorbell_slot(queue->port_id, queue->vq_index),
			    &device->doorbell);
}

static int
lease_start(struct rte_eth_dev *dev)
{
	struct lease *lease = container_of(vlease_process(dev), struct lease, process);
	bool checksum = dev->data->dev_conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

	serve(&lease->rx, &lease->process.queues[0], checksum);
	serve(&lease->tx, &lease->process.queues[1], checksum);
	dev->data->rx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
	dev->data->tx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
	return 0;
}

static int
lease_stop(struct rte_eth_dev *dev)
{
	const struct vlease_queue_config *queues = vlease_process(dev)->queues;
	unsigned int i;

	for (i = 0; i < 2; i++)
		vlease_set_doorbell(vlease_doorbell_slot(dev->data->port_id, i), NULL);
	vlease_rxq_reclaim(dev->data->rx_queues[0], &queues[0]);
	vlease_txq_reclaim(dev->data->tx_queues[0], &queues[1]);
	return 0;
}

static int
lease_close(struct rte_eth_dev *dev)
{
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		vlease_rx_queue_release(dev, i);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		vlease_tx_queue_release(dev, i);
	/* Parts of struct lease. */
	dev->data->mac_addrs = NULL;
	dev->data->dev_private = NULL;
	return 0;
}

static int
lease_init(struct rte_eth_dev *dev, void *arg)
{
	static struct eth_dev_ops ops;
	struct lease *lease = arg;

	ops = vlease_primary_ops;
	ops.dev_start = lease_start;
	ops.dev_stop = lease_stop;
	ops.dev_close = lease_close;
	dev->dev_ops = &ops;
	dev->process_private = &lease->process;
	dev->data->dev_private = &lease->adapter;
	dev->data->mac_addrs = lease->adapter.macs;
	lease->adapter.port_id = dev->data->port_id;
	return 0;
}

static int
ours_create(struct port *port)
{
	const uint64_t wanted = port->setup.mode->features | VIRTIO_F_VERSION_1;
	static const struct rte_driver driver = { .name = "net_virtio_lease" };
	static unsigned int serial;
	struct lease *lease = rte_zmalloc("lease", sizeof(*lease), RTE_CACHE_LINE_SIZE);
	char name[RTE_ETH_NAME_MAX_LEN];
	int ret;

	if (lease == NULL)
		return -ENOMEM;
	lease->process.adapter = &lease->adapter;
	lease->process.pci.common = (volatile void *)&lease->registers;
	/* The driver's choice, where a device offers everything. */
	if ((wanted & ~vlease_features_choose(UINT64_MAX, VLEASE_RX_OFFLOADS,
					      VLEASE_TX_OFFLOADS)) != 0) {
		rte_free(lease);
		return -ENOTSUP;
	}
	lease->registers.queue_size = RTE_LE16(MAX_RING);
	lease->adapter.usable = wanted;
	lease->adapter.features = wanted;
	lease->adapter.max_rx_desc = MAX_RING;
	lease->adapter.max_tx_desc = MAX_RING;
	lease->adapter.max_pairs = 1;
	lease->adapter.max_mtu = RTE_ETHER_MTU;
	snprintf(lease->adapter.address, sizeof(lease->adapter.address), "software");
	snprintf(name, sizeof(name), "net_virtio_lease_software%u", serial++);
	lease->device.name = "software";
	lease->device.driver = &driver;
	lease->device.numa_node = SOCKET_ID_ANY;
	ret = rte_eth_dev_create(&lease->device, name, 0, NULL, NULL, lease_init, lease);
	if (ret == 0) {
		port->device = lease;
		return rte_eth_dev_get_port_by_name(name, &port->id);
	}
	rte_free(lease);
	return ret;
}

/** The first poll posts the buffers. */
static int
ours_attach(struct port *port)
{
	struct rte_mbuf *mbuf;

	return rte_eth_rx_burst(port->id, 0, &mbuf, 1) == 0 ? 0 : -EIO;
}

static void
ours_destroy(struct port *port)
{
	rte_free(port->device);
}

static unsigned int
ours_deliver(struct port *port, uint16_t len, unsigned int n)
{
	struct lease *lease = port->device;
	const void *frame = frame_of(len);
	unsigned int i;

	for (i = 0; i < n; i++)
		if (software_device_deliver_hidden(&lease->rx, frame, len) != 1)
			break;
	software_device_show(&lease->rx, 0);
	return i;
}

static unsigned int
ours_take(struct port *port, uint16_t len, unsigned int n)
{
	struct lease *lease = port->device;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (software_device_take(&lease->tx, lease->sent, sizeof(lease->sent)) != len)
			break;
	software_device_complete(&lease->tx, i);
	return i;
}

const struct port_kind ours = {
	.driver = "ours",
	.create = ours_create,
	.attach = ours_attach,
	.destroy = ours_destroy,
	.deliver = ours_deliver,
	.take = ours_take,
};
