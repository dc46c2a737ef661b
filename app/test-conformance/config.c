/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <linux/pci_regs.h>

#include <stdio.h>

#include "conformance.h"

uint16_t
config_read(unsigned int reg)
{
	uint16_t value;

	CHECK(pread(target.dev.fd, &value, 2, target.config_offset + reg) == 2);
	return value;
}

static void
config_write(unsigned int reg, uint16_t value)
{
	CHECK(pwrite(target.dev.fd, &value, 2, target.config_offset + reg) == 2);
}

int
memory_decode_try(bool on)
{
	off_t at = target.config_offset + PCI_COMMAND;
	uint16_t command;

	if (pread(target.dev.fd, &command, 2, at) != 2)
		return -1;
	command = on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY;
	return pwrite(target.dev.fd, &command, 2, at) == 2 ? 0 : -1;
}

void
memory_decode(bool on)
{
	CHECK_OK(memory_decode_try(on));
}

/* Of a configuration space at an offset of a file; 0 if it has no such capability. */
static unsigned int
find_capability(int fd, off_t offset, unsigned int id)
{
	uint16_t header;
	unsigned int at;

	if (pread(fd, &header, 2, offset + PCI_CAPABILITY_LIST) != 2)
		return 0;
	at = header & 0xff;
	/* 48 capabilities fill the configuration space: a list that is longer is a loop. */
	for (int i = 0; i < 48 && at; i++) {
		if (pread(fd, &header, 2, offset + at) != 2)
			return 0;
		if ((header & 0xff) == id)
			return at;
		at = header >> 8;
	}
	return 0;
}

static unsigned int
power_management_capability(void)
{
	return find_capability(target.dev.fd, target.config_offset, PCI_CAP_ID_PM);
}

bool
has_power_management(void)
{
	return power_management_capability();
}

void
power_state(unsigned int d)
{
	unsigned int reg = power_management_capability() + PCI_PM_CTRL;

	config_write(reg, (config_read(reg) & ~PCI_PM_CTRL_STATE_MASK) | d);
}

/* As pci_bridge_wait_for_secondary_bus() judges it: behind a slow port it does not look. */
bool
upstream_link_active(const char *bdf)
{
	uint32_t capability = 0;
	uint16_t status = 0;
	bool active = true;
	unsigned int at;
	char path[80];
	int fd;

	/* The symbolic link leads to the device's folder in that of its port. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/../config", bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	at = fd < 0 ? 0 : find_capability(fd, 0, PCI_CAP_ID_EXP);
	if (at && pread(fd, &capability, 4, at + PCI_EXP_LNKCAP) == 4 &&
	    pread(fd, &status, 2, at + PCI_EXP_LNKSTA) == 2)
		active = !(capability & PCI_EXP_LNKCAP_DLLLARC) ||
			 (capability & PCI_EXP_LNKCAP_SLS) <= PCI_EXP_LNKCAP_SLS_5_0GB ||
			 (status & PCI_EXP_LNKSTA_DLLLA);
	close(fd);
	return active;
}
