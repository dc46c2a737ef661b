/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <stdio.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_devargs.h>

#include "virtio_lease.h"

static bool
bound(const char *address)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	return access(path, F_OK) == 0;
}

static bool
id_is(const char *address, const char *file, unsigned int expected)
{
	unsigned int id = 0;
	char path[64];
	FILE *sysfs;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, file);
	sysfs = fopen(path, "re");
	if (sysfs == NULL)
		return false;
	if (fscanf(sysfs, "%x", &id) != 1)
		id = 0;
	fclose(sysfs);
	return id == expected;
}

/* Without an IOMMU this is what becomes of a device that somebody has tried to bind to VFIO. */
static void
explain_if_unbound(const struct rte_devargs *given)
{
	char address[PCI_PRI_STR_SIZE + 1];
	struct vlease_devargs devargs;
	struct vfio_device *device;
	struct rte_pci_addr addr;

	if (given->policy != RTE_DEV_ALLOWED || rte_pci_addr_parse(given->name, &addr) != 0)
		return;
	rte_pci_device_name(&addr, address, sizeof(address));
	if (!id_is(address, "vendor", VIRTIO_PCI_VENDOR_ID) ||
	    !id_is(address, "device", VIRTIO_PCI_MODERN_NET_ID) || bound(address) ||
	    vlease_parse_devargs(address, given, &devargs) != 0 || !devargs.lease)
		return;
	if (vfio_device_open(address, &device) != 0)
		VLEASE_LOG(ERR, "%s", vfio_device_error());
	else
		vfio_device_close(device, 0); /* bound in this very moment */
}

static void
explain_unbound(void *arg __rte_unused)
{
	struct rte_devargs *given;

	RTE_EAL_DEVARGS_FOREACH("pci", given)
		explain_if_unbound(given);
}

/*
 * EAL leaves a device that is bound to no kernel driver out of the PCI bus, without a word and
 * before any driver could say one. It calls back here once it knows what was asked for.
 */
RTE_INIT(look_for_unbound)
{
	rte_vdev_add_custom_scan(explain_unbound, NULL);
}
