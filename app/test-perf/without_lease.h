/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef WITHOUT_LEASE_H
#define WITHOUT_LEASE_H

/**
 * @file
 * Put in front of the data path's sources to build them as if doorbells were not leased. With
 * WITHOUT_FLAG they are, but bursts do not say when they are under way. With WITHOUT_LEASE the
 * program has one doorbell, which is always there.
 */

#include "virtio_lease_doorbell.h"

#ifdef WITHOUT_FLAG
#define vlease_burst_begin(slot) vlease_doorbell(slot)
#define vlease_burst_end(slot) RTE_SET_USED(slot)
#endif

#ifdef WITHOUT_LEASE
/* Room for a doorbell that carries data. */
extern volatile uint16_t the_doorbell[2];

static inline volatile uint16_t *
always_there(void)
{
	return the_doorbell;
}

#define vlease_burst_begin(slot) always_there()
#define vlease_burst_end(slot) RTE_SET_USED(slot)
#endif

#endif /* WITHOUT_LEASE_H */
