/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "virtio_lease_doorbell.h"

struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS];

static int
membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) != 0 ? -errno : 0;
}

int
vlease_doorbell_init(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

void
vlease_doorbell_offer(uint32_t slot, volatile uint16_t *address)
{
	__atomic_store_n(&vlease_doorbells[slot].offered, address, __ATOMIC_RELEASE);
}

bool
vlease_doorbell_accept(uint32_t slot)
{
	struct vlease_doorbell *doorbell = &vlease_doorbells[slot];
	volatile uint16_t *address;

	if (__atomic_load_n(&doorbell->offered, __ATOMIC_RELAXED) == NULL)
		return false;
	address = __atomic_exchange_n(&doorbell->offered, NULL, __ATOMIC_ACQUIRE);
	if (address != NULL)
		vlease_set_doorbell(slot, address);
	return address != NULL;
}

void
vlease_doorbell_withdraw(uint32_t slot)
{
	vlease_doorbell_offer(slot, NULL);
	vlease_set_doorbell(slot, NULL);
}

/*
 * With the barrier in every thread, each burst falls on one side: it has not yet looked, and will
 * find neither doorbell nor offer; or it had looked, and then its mark of being busy is seen. When
 * that mark is gone, so is the burst; but it may have left the doorbell that it was offered.
 */
bool
vlease_doorbell_is_quiet(uint32_t slot)
{
	vlease_doorbell_withdraw(slot);
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
		return false;
	return __atomic_load_n(&vlease_doorbells[slot].busy, __ATOMIC_ACQUIRE) == 0 &&
	       vlease_doorbell(slot) == NULL;
}
