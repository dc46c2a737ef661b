/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* What happens to the device meanwhile. */

#include <linux/pci_regs.h>
#include <sys/ioctl.h>

#include "stress.h"

void *
stress_disturb(void *arg)
{
	bool has_reset = device_has_reset();

	for (unsigned long i = 0; !stress_state->stop; i++) {
		pthread_rwlock_rdlock(&stress_device_lock);
		if (has_reset && i % 32 == 0) {
			if (device_reset())
				stress_wrong("VFIO_DEVICE_RESET", errno);
			stress_state->resets++;
		} else {
			if (memory_decode_try(false) || memory_decode_try(true))
				stress_wrong("write to the command register", errno);
			stress_state->toggles++;
		}
		pthread_rwlock_unlock(&stress_device_lock);
		usleep(i % 8 * 2000);
	}
	return arg;
}

void *
stress_read_config(void *arg)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t word;

	for (unsigned int reg = 0; !stress_state->stop; reg = (reg + 4) % PCI_CFG_SPACE_SIZE) {
		pthread_rwlock_rdlock(&stress_device_lock);
		if (pread(target.dev.fd, &word, 4, target.config_offset + reg) != 4)
			stress_wrong("read of configuration space", errno);
		if (ioctl(target.dev.fd, VFIO_DEVICE_GET_INFO, &info))
			stress_wrong("VFIO_DEVICE_GET_INFO", errno);
		pthread_rwlock_unlock(&stress_device_lock);
		stress_state->config_reads++;
		usleep(500);
	}
	return arg;
}

void
stress_reopen_device(void)
{
	close(target.dev.fd);
	vfio_open_device_file(&target.dev);
	stress_state->reopens++;
}
