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
	void *volatile address[NB_SLICES];	/* as a driver's doorbell */
	volatile unsigned int granted[NB_SLICES];
	volatile unsigned int lost[NB_SLICES];
	volatile bool busy[NB_SLICES];
	volatile unsigned int hangups;
	volatile unsigned int notices;		/* how many came; then the latest */
	uint32_t notice_code;
	int32_t notice_value;
};

extern struct hand hand;

struct bar_lessee_conf hand_conf(void);
void hand_create(void);
void hand_destroy(void);
void hand_wait_hangup(void);
/* Test fixture: hand_destroy() and world_teardown(). */
int hand_teardown(void **state);

#endif /* LEASE_LESSEE_H */
