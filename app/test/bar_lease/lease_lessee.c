/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <string.h>

#include <rte_interrupts.h>

#include "lease_lessee.h"

struct hand hand;

static void
granted(void *arg, unsigned int slice, void *address)
{
	assert_ptr_equal(arg, &hand);
	hand.granted[slice]++;
	hand.address[slice] = address;
}

static void
lost(void *arg, unsigned int slice)
{
	assert_ptr_equal(arg, &hand);
	hand.lost[slice]++;
	hand.told[slice] += rte_thread_is_intr() != 0;
	hand.address[slice] = NULL;
}

static bool
busy(void *arg, unsigned int slice)
{
	assert_ptr_equal(arg, &hand);
	assert_null(hand.address[slice]);
	return hand.busy[slice];
}

static void
hangup(void *arg)
{
	assert_ptr_equal(arg, &hand);
	if (hand.destroy_at_hangup)
		hand_destroy();
	hand.hangups++;
}

static void
notice(void *arg, uint32_t code, int32_t value)
{
	assert_ptr_equal(arg, &hand);
	hand.notice_code = code;
	hand.notice_value = value;
	hand.notices++;
}

struct bar_lessee_conf
hand_conf(void)
{
	struct bar_lessee_conf conf = {
		.name = LESSOR_NAME,
		.nb_slices = NB_SLICES,
		.length = PAGE,
		.granted = granted,
		.lost = lost,
		.busy = busy,
		.hangup = hangup,
		.notice = notice,
		.arg = &hand,
	};

	return conf;
}

void
hand_create(void)
{
	struct bar_lessee_conf conf = hand_conf();

	memset(&hand, 0, sizeof(hand));
	assert_int_equal(bar_lessee_create(&conf, &hand.lessee), 0);
}

void
hand_destroy(void)
{
	bar_lessee_destroy(hand.lessee);
	hand.lessee = NULL;
}

static bool
has_hung_up(void *arg)
{
	return hand.hangups != 0;
}

void
hand_wait_hangup(void)
{
	assert_true(eventually(has_hung_up, NULL));
	interrupts_pass();
	assert_int_equal(hand.hangups, 1);
}

int
hand_teardown(void **state)
{
	hand_destroy();
	return world_teardown(state);
}
