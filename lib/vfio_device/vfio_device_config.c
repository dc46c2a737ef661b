/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "vfio_device_private.h"

/* Behind the header, four bytes each at least (PCI 3.0, 6.7). */
#define MAX_CAPABILITIES ((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / 4)

static int
fail_access(const struct vfio_device *device, const char *verb, uint32_t offset, size_t length,
	    ssize_t done)
{
	if (done < 0)
		return vfio_device_fail(errno, "%s: %s %zu bytes of config space at 0x%x: %s",
					device->address, verb, length, offset, strerror(errno));
	return vfio_device_fail(EIO, "%s: %s %zu bytes of config space at 0x%x: only %zd done",
				device->address, verb, length, offset, done);
}

int
vfio_device_config_read(const struct vfio_device *device, uint32_t offset, void *data,
			size_t length)
{
	ssize_t done = pread(device->fd, data, length, (off_t)(device->config_offset + offset));

	if (done < 0 || (size_t)done != length)
		return fail_access(device, "read", offset, length, done);
	return 0;
}

int
vfio_device_config_write(const struct vfio_device *device, uint32_t offset, const void *data,
			 size_t length)
{
	ssize_t done = pwrite(device->fd, data, length, (off_t)(device->config_offset + offset));

	if (done < 0 || (size_t)done != length)
		return fail_access(device, "write", offset, length, done);
	return 0;
}

int
vfio_device_find_capability(const struct vfio_device *device, uint8_t id, uint8_t after)
{
	uint32_t next_at = after == 0 ? PCI_CAPABILITY_LIST : after + PCI_CAP_LIST_NEXT;
	unsigned int visited;
	uint16_t status;
	uint8_t next, found;
	int ret;

	ret = vfio_device_config_read(device, PCI_STATUS, &status, sizeof(status));
	if (ret != 0)
		return ret;
	if (!(le16toh(status) & PCI_STATUS_CAP_LIST))
		return 0;
	for (visited = 0; visited <= MAX_CAPABILITIES; visited++) {
		ret = vfio_device_config_read(device, next_at, &next, sizeof(next));
		if (ret != 0)
			return ret;
		/* The two low bits are reserved and must be masked (PCI 3.0, 6.7). */
		next &= 0xfc;
		if (next < PCI_STD_HEADER_SIZEOF)
			return 0;
		ret = vfio_device_config_read(device, next + PCI_CAP_LIST_ID, &found,
					      sizeof(found));
		if (ret != 0)
			return ret;
		if (found == id)
			return next;
		next_at = (uint32_t)next + PCI_CAP_LIST_NEXT;
	}
	return vfio_device_fail(ELOOP, "%s: the list of PCI capabilities does not end",
				device->address);
}

int
vfio_device_set_bus_master(const struct vfio_device *device, int enable)
{
	uint16_t command;
	int ret;

	ret = vfio_device_config_read(device, PCI_COMMAND, &command, sizeof(command));
	if (ret != 0)
		return ret;
	if (enable)
		command |= htole16(PCI_COMMAND_MASTER);
	else
		command &= htole16((uint16_t)~PCI_COMMAND_MASTER);
	return vfio_device_config_write(device, PCI_COMMAND, &command, sizeof(command));
}
