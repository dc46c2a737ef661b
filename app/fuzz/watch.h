/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_WATCH_H
#define FUZZ_WATCH_H

/**
 * @file
 * In front of the driver's sources: the device gets its turn wherever the driver looks at memory
 * that the device may change meanwhile, and doorbells are counted.
 */

/* Of these only the driver's own code is to be watched. */
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include <bar_slice_doorbell.h>

/** Perhaps let the device do something. */
void watch_load(void);
void watch_doorbell(const volatile void *doorbell, uint16_t queue);

#define __atomic_load_n(where, order) (watch_load(), __atomic_load_n((where), (order)))
#define rte_prefetch0(where) (watch_load(), rte_prefetch0(where))
#define bar_slice_ring_doorbell(doorbell, value) watch_doorbell((doorbell), (value))
#define bar_slice_ring_doorbell_data(doorbell, value) \
	watch_doorbell((doorbell), (uint16_t)(value))

#endif /* FUZZ_WATCH_H */
