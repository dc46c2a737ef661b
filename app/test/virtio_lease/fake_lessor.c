/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_lessor.h"

int
bar_lessor_query(struct bar_lessor *lessor, unsigned int slice, struct bar_lease_info *info)
{
	*info = lessor->slices[slice];
	if (info->state == BAR_LEASE_TAKEN)
		info->pid = getpid();
	return 0;
}

enum bar_lease_state
bar_lessor_state(const struct bar_lessor *lessor, unsigned int slice)
{
	return lessor->slices[slice].state;
}

int
bar_lessor_hold(struct bar_lessor *lessor, unsigned int slice)
{
	if (lessor->slices[slice].state != BAR_LEASE_FREE)
		return -EBUSY;
	lessor->slices[slice].state = BAR_LEASE_TAKEN;
	return 0;
}

void
bar_lessor_put(struct bar_lessor *lessor, unsigned int slice)
{
	assert_int_equal(lessor->slices[slice].state, BAR_LEASE_TAKEN);
	lessor->slices[slice].state = BAR_LEASE_FREE;
}

void
bar_lessor_offer(struct bar_lessor *lessor, unsigned int slice)
{
	lessor->offered[slice] += lessor->slices[slice].state == BAR_LEASE_FREE;
}

void
bar_lessor_reset_done(struct bar_lessor *lessor, unsigned int slice)
{
	if (lessor->slices[slice].state != BAR_LEASE_RESETTING)
		return;
	lessor->slices[slice].state = BAR_LEASE_FREE;
	lessor->announced[slice]++;
}
