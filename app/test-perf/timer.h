/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef TIMER_H
#define TIMER_H

/**
 * @file
 * The two ends of a timed window. What stands before an end in the program is done when the timer
 * is read, and what stands behind has not begun.
 */

#include <stdint.h>

#include <rte_cycles.h>

#ifdef RTE_ARCH_X86_64
#include <x86intrin.h>
#endif

static inline uint64_t
timer_read(void)
{
#ifdef RTE_ARCH_X86_64
	uint64_t now;

	/* AMD64 manual 3, RDTSC: reads are not ordered; LFENCE orders them. */
	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
#else
	return rte_rdtsc_precise();
#endif
}

#endif /* TIMER_H */
