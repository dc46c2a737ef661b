/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef LEASE_LESSEE_H
#define LEASE_LESSEE_H

/**
 * @file
 * One lessee in this process, with a user who notes what it is told.
 */

#include "lease_world.h"

struct hand {
	struct bar_lessee *lessee;
	bool destroy_at_hangup;
	void *_Atomic address[NB_SLICES];	/* as a driver's doorbell */
	_Atomic unsigned int granted[NB_SLICES];
	_Atomic unsigned int lost[NB_SLICES];	/* how often that was said */
	_Atomic unsigned int told[NB_SLICES];	/* on the interrupt thread */
	_Atomic bool busy[NB_SLICES];
	_Atomic unsigned int hangups;
	_Atomic unsigned int notices;		/* how many came; then the latest */
	_Atomic uint32_t notice_code;
	_Atomic int32_t notice_value;
};

extern struct hand hand;

struct bar_lessee_conf hand_conf(void);
void hand_create(void);
void hand_destroy(void);
void hand_wait_hangup(void);
/* Test fixture: hand_destroy() and world_teardown(). */
int hand_teardown(void **state);

#endif /* LEASE_LESSEE_H */
