/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bus_pci_driver.h>
#include <ethdev_pci.h>
#include <linux/vfio.h>
#include <rte_malloc.h>
#include <rte_version.h>
#include <rte_vfio.h>

#include "virtio_lease.h"

RTE_LOG_REGISTER(vlease_logtype, pmd.net.virtio_lease, NOTICE);

struct vlease_process *vlease_processes[RTE_MAX_ETHPORTS];

/* ---- The primary ---- */

static int
choose_usable(struct vlease_process *process, const struct vlease_devargs *devargs)
{
	struct vlease_adapter *adapter = process->adapter;
	uint64_t offered = vlease_pci_device_features(&process->pci);
	uint64_t missing = devargs->required & ~offered;

	if (missing != 0) {
		missing = RTE_BIT64(rte_bsf64(missing));
		VLEASE_LOG(ERR, "%s: argument %s=1: the device does not offer %s",
			   adapter->address, vlease_argument_name(missing),
			   vlease_feature_name(missing));
		return -ENOTSUP;
	}
	if ((offered & VIRTIO_F_VERSION_1) == 0) {
		VLEASE_LOG(ERR, "%s: does not offer VIRTIO_F_VERSION_1", adapter->address);
		return -ENOTSUP;
	}
	adapter->usable = vlease_features_usable(offered & ~devargs->refused);
	if ((offered & VIRTIO_F_RING_RESET) == 0)
		VLEASE_LOG(WARNING, "%s: offers no VIRTIO_F_RING_RESET: a dead lessee's queues "
			   "stay unusable until the port is restarted", adapter->address);
	return 0;
}

static int
adapter_init(struct vlease_process *process, const struct rte_eth_dev *dev)
{
	struct vlease_adapter *adapter = process->adapter;
	struct virtio_net_config config;
	uint64_t features;
	int ret;

	ret = vlease_pci_config_read(&process->pci, 0, &config, sizeof(config));
	if (ret != 0)
		return ret;
	if ((adapter->usable & VIRTIO_NET_F_RSS) != 0 &&
	    vlease_rss_probe(adapter, &config) != 0)
		adapter->usable &= ~VIRTIO_NET_F_RSS;
	features = vlease_features_choose(adapter->usable, 0, 0);
	adapter->features = features;
	adapter->port_id = dev->data->port_id;
	adapter->max_pairs = 1;
	if ((features & VIRTIO_NET_F_MQ) != 0)
		adapter->max_pairs = RTE_MIN(rte_le_to_cpu_16(config.max_virtqueue_pairs),
					     VLEASE_MAX_PAIRS);
	if (adapter->max_pairs == 0) {
		VLEASE_LOG(ERR, "%s: claims to have no queues", adapter->address);
		return -EINVAL;
	}
	adapter->max_mtu = UINT16_MAX - RTE_ETHER_HDR_LEN;
	if ((features & VIRTIO_NET_F_MTU) != 0)
		adapter->max_mtu = RTE_MIN(rte_le_to_cpu_16(config.mtu), adapter->max_mtu);
	if ((features & VIRTIO_NET_F_MAC) != 0)
		memcpy(adapter->device_mac.addr_bytes, config.mac, sizeof(config.mac));
	else
		rte_eth_random_addr(adapter->device_mac.addr_bytes);
	rte_ether_addr_copy(&adapter->device_mac, &adapter->macs[0]);
	return 0;
}

/* Sizes are powers of two; some devices offer others for packed queues (VIRTIO 1.2, 2.8.10.1). */
static uint16_t
max_desc(struct vlease_process *process, uint16_t queue)
{
	uint16_t size = RTE_MIN(vlease_pci_max_queue_size(&process->pci, queue),
				VLEASE_MAX_QUEUE_SIZE);

	return size == 0 ? 0 : RTE_BIT32(rte_fls_u32(size) - 1);
}

static int
read_queue_sizes(struct vlease_process *process)
{
	struct vlease_adapter *adapter = process->adapter;

	adapter->max_rx_desc = max_desc(process, 0);
	adapter->max_tx_desc = max_desc(process, 1);
	if (RTE_MIN(adapter->max_rx_desc, adapter->max_tx_desc) >= VLEASE_MIN_QUEUE_SIZE)
		return 0;
	VLEASE_LOG(ERR, "%s: queues of %u and %u descriptors: need at least %u", adapter->address,
		   adapter->max_rx_desc, adapter->max_tx_desc, VLEASE_MIN_QUEUE_SIZE);
	return -ENOTSUP;
}

static int
process_init(struct vlease_process *process, struct rte_eth_dev *dev,
	     const struct vlease_devargs *devargs)
{
	int ret;

	ret = vlease_pci_open(&process->pci, process->adapter->address);
	if (ret != 0)
		return ret;
	ret = choose_usable(process, devargs);
	if (ret == 0)
		ret = adapter_init(process, dev);
	if (ret == 0)
		ret = vlease_device_begin(process);
	if (ret == 0)
		ret = read_queue_sizes(process);
	if (ret == 0)
		ret = vlease_pci_check_doorbell_pages(&process->pci,
						      2 * process->adapter->max_pairs);
	if (ret != 0)
		goto no_device;
	ret = vlease_dma_start(process);
	if (ret != 0)
		goto no_device;
	ret = vlease_cvq_create(&process->cvq, process->adapter->address,
				dev->device->numa_node);
	if (ret != 0)
		goto no_cvq;
	ret = vlease_lessor_create(process, devargs);
	if (ret == 0)
		return 0;

	vlease_cvq_destroy(&process->cvq);
no_cvq:
	vlease_dma_stop(process);
no_device:
	vlease_pci_close(&process->pci);
	return ret;
}

static int
primary_init(struct rte_eth_dev *dev, void *arg)
{
	struct vlease_adapter *adapter = dev->data->dev_private;
	struct vlease_process *process;
	int ret;

	process = calloc(1, sizeof(*process));
	if (process == NULL)
		return -ENOMEM;
	strlcpy(adapter->address, dev->device->name, sizeof(adapter->address));
	process->adapter = adapter;
	process->quiet = true;
	pthread_mutex_init(&process->queue_lock, NULL);
	ret = process_init(process, dev, arg);
	if (ret != 0) {
		free(process);
		return ret;
	}
	dev->process_private = process;
	vlease_processes[dev->data->port_id] = process;
	dev->data->mac_addrs = adapter->macs;
	dev->data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	dev->dev_ops = &vlease_primary_ops;
	vlease_set_bursts(dev);
	ret = vlease_interrupts_create(dev);
	if (ret != 0)
		vlease_dev_close(dev);
	return ret;
}

/* ---- Secondaries ---- */

/*
 * EAL hands the primary's default VFIO container to every secondary. Where it is empty, as it is
 * unless another driver of the primary put a device there, it serves nothing, and this process
 * is better off without it. Its number stays taken, since EAL remembers it.
 */
static void
drop_empty_container(void)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int null, container = rte_vfio_get_container_fd();

	if (container < 0 || ioctl(container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		return;
	/* Fails for as long as no group is attached. */
	if (ioctl(container, VFIO_IOMMU_GET_INFO, &info) == 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup3(null, container, O_CLOEXEC);
	close(null);
}

static bool
queues_are_set_up(const struct rte_eth_dev *dev)
{
	uint16_t i;

	if (dev->data->rx_queues == NULL || dev->data->tx_queues == NULL)
		return false;
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		if (dev->data->rx_queues[i] == NULL)
			return false;
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		if (dev->data->tx_queues[i] == NULL)
			return false;
	return dev->data->nb_rx_queues + dev->data->nb_tx_queues > 0;
}

static int
secondary_init(struct rte_eth_dev *dev, void *arg)
{
	struct vlease_adapter *adapter = dev->data->dev_private;
	struct vlease_process *process;
	int ret;

	drop_empty_container();
	if (!queues_are_set_up(dev)) {
		VLEASE_LOG(ERR, "%s: the primary process has not set up the port's queues yet; "
			   "start secondary processes after that", adapter->address);
		return -EAGAIN;
	}
	process = calloc(1, sizeof(*process));
	if (process == NULL)
		return -ENOMEM;
	process->adapter = adapter;
	ret = vlease_lessee_create(process, arg);
	if (ret != 0) {
		free(process);
		return ret;
	}
	dev->process_private = process;
	vlease_processes[dev->data->port_id] = process;
	dev->dev_ops = &vlease_secondary_ops;
	vlease_set_bursts(dev);
	return 0;
}

/* ---- The PCI bus ---- */

/*
 * A port's name is not its device's: net_virtio, in a secondary that was started without this
 * driver, looks ports up by the address, and would take ours for one of its own.
 */
static void
port_name(const struct rte_pci_device *pci_dev, char *name, size_t size)
{
	snprintf(name, size, "%s_lease", pci_dev->name);
}

static bool
driven_by_vfio_here(const struct rte_pci_device *pci_dev)
{
	char path[64], target[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", pci_dev->name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strcmp(strrchr(target, '/') + 1, "dmabuf-vfio-pci") == 0;
}

/*
 * Each release of DPDK may lay out anew what its drivers share with its libraries, while the
 * names of the libraries (librte_eal.so.23) stay the same for a year of releases.
 */
static int
check_release(const char *address)
{
	if (rte_version_year() == RTE_VER_YEAR && rte_version_month() == RTE_VER_MONTH)
		return 0;
	VLEASE_LOG(ERR, "%s: this driver was built with headers of DPDK %u.%02u and is run by "
		   "%s: build it with the headers of that release (devtools/sdk-headers)",
		   address, RTE_VER_YEAR, RTE_VER_MONTH, rte_version());
	return -ENOEXEC;
}

static int
pci_probe(struct rte_pci_driver *driver __rte_unused, struct rte_pci_device *pci_dev)
{
	bool primary = rte_eal_process_type() == RTE_PROC_PRIMARY;
	char name[RTE_ETH_NAME_MAX_LEN];
	struct vlease_devargs devargs;
	int ret;

	ret = vlease_parse_devargs(pci_dev->name, pci_dev->device.devargs, &devargs);
	if (ret != 0)
		return ret;
	/* Left to the next driver: what was not named and is not bound to our kernel driver. */
	if (!devargs.lease ||
	    (pci_dev->device.devargs == NULL && !driven_by_vfio_here(pci_dev)))
		return 1;
	ret = check_release(pci_dev->name);
	if (ret != 0)
		return ret;
	port_name(pci_dev, name, sizeof(name));
	ret = rte_eth_dev_create(&pci_dev->device, name,
				 primary ? sizeof(struct vlease_adapter) : 0,
				 eth_dev_pci_specific_init, pci_dev,
				 primary ? primary_init : secondary_init, &devargs);
	if (ret == 0 && !primary)
		vlease_lessee_take_over(rte_eth_dev_allocated(name));
	return ret;
}

static int
pci_remove(struct rte_pci_device *pci_dev)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_eth_dev *dev;

	port_name(pci_dev, name, sizeof(name));
	dev = rte_eth_dev_allocated(name);
	if (dev == NULL || dev->state == RTE_ETH_DEV_UNUSED)
		return 0;
	if (rte_eal_process_type() == RTE_PROC_PRIMARY && dev->data->dev_started)
		rte_eth_dev_stop(dev->data->port_id);
	return rte_eth_dev_destroy(dev, vlease_dev_close);
}

/* Memory that the application brings along; in a secondary, the device is out of reach. */
static int
pci_dma(struct rte_pci_device *pci_dev, void *address, uint64_t iova, size_t length, bool map)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	const struct rte_eth_dev *dev;
	int ret;

	port_name(pci_dev, name, sizeof(name));
	dev = rte_eth_dev_allocated(name);
	if (dev == NULL || rte_eal_process_type() != RTE_PROC_PRIMARY) {
		VLEASE_LOG(ERR, "%s: only the primary process can map memory for DMA",
			   pci_dev->name);
		rte_errno = ENOTSUP;
		return -1;
	}
	if (map)
		ret = vfio_device_dma_map(vlease_process(dev)->pci.device, address, iova, length);
	else
		ret = vfio_device_dma_unmap(vlease_process(dev)->pci.device, iova, length);
	if (ret == 0)
		return 0;
	VLEASE_LOG(ERR, "%s", vfio_device_error());
	rte_errno = -ret;
	return -1;
}

static int
pci_dma_map(struct rte_pci_device *pci_dev, void *address, uint64_t iova, size_t length)
{
	return pci_dma(pci_dev, address, iova, length, true);
}

static int
pci_dma_unmap(struct rte_pci_device *pci_dev, void *address, uint64_t iova, size_t length)
{
	return pci_dma(pci_dev, address, iova, length, false);
}

/* ---- Registration ---- */

static const struct rte_pci_id vlease_ids[] = {
	{ RTE_PCI_DEVICE(VIRTIO_PCI_VENDOR_ID, VIRTIO_PCI_MODERN_NET_ID) },
	{ .vendor_id = 0 },
};

/* Without RTE_PCI_DRV_NEED_MAPPING: the bus opens and maps nothing, in either process type. */
static struct rte_pci_driver vlease_driver = {
	.id_table = vlease_ids,
	.probe = pci_probe,
	.remove = pci_remove,
	.dma_map = pci_dma_map,
	.dma_unmap = pci_dma_unmap,
};

RTE_PMD_REGISTER_PCI(net_virtio_lease, vlease_driver);
RTE_PMD_REGISTER_PCI_TABLE(net_virtio_lease, vlease_ids);
RTE_PMD_REGISTER_KMOD_DEP(net_virtio_lease, "* dmabuf-vfio-pci");
RTE_PMD_REGISTER_PARAM_STRING(net_virtio_lease,
	VLEASE_ARG_LEASE "=<0|1> " VLEASE_ARG_MEMATTR "=<wc|nc> "
	VLEASE_ARG_PRIMARY_DEATH "=<wait|exit> " VLEASE_ARG_PACKED "=<0|1> "
	VLEASE_ARG_IN_ORDER "=<0|1> " VLEASE_ARG_MRG_RXBUF "=<0|1> " VLEASE_ARG_EVENT_IDX "=<0|1> "
	VLEASE_ARG_INDIRECT "=<0|1> " VLEASE_ARG_POLICY "=<rules> " VLEASE_ARG_FENCE "=<ms> "
	VLEASE_ARG_SOCKET "=<path> " VLEASE_ARG_SOCKET_MODE "=<octal>");
