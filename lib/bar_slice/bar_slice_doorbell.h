/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_SLICE_DOORBELL_H
#define BAR_SLICE_DOORBELL_H

/**
 * @file
 * Ringing a doorbell through a slice, and the ordering that makes it mean something.
 *
 * The rules, as what the device can observe:
 *
 * 1. What the driver stored in memory before the doorbell (descriptors, avail index) is visible
 *    to the device before the doorbell write is (VIRTIO 1.2, 2.7.13.3.1 and 4.1.5.2).
 *    A write-combined store is not ordered after earlier stores, so this takes a store fence on
 *    x86; for an uncached doorbell the processor's own order would do.
 * 2. The doorbell leaves the processor soon: without a second fence a write-combining buffer
 *    may hold it for as long as nothing evicts it (Intel SDM volume 3, 12.3.1).
 * 3. Two doorbells to one page may reach the device as one, the later value winning. One page
 *    holds the doorbell of one queue only, so that loses nothing.
 *
 * This is the one file that may assume a processor.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Rule 1 before the doorbell, rule 2 behind it. */
static inline void
bar_slice_store_fence(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("sfence" ::: "memory");
#elif defined(__aarch64__)
	__asm__ volatile("dsb st" ::: "memory");
#else
	__sync_synchronize();
#endif
}

/** Ring a 16-bit doorbell: the queue's index, VIRTIO 1.2, 4.1.5.2. */
static inline void
bar_slice_ring_doorbell(volatile uint16_t *doorbell, uint16_t value)
{
	bar_slice_store_fence();
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap16(value);
#endif
	*doorbell = value;
	bar_slice_store_fence();
}

/**
 * Ring a 32-bit doorbell, of a queue with VIRTIO_F_NOTIFICATION_DATA: its index in the lower half,
 * in the upper one how far the driver has got; VIRTIO 1.2, 2.9 and 4.1.5.2.
 */
static inline void
bar_slice_ring_doorbell_data(volatile uint32_t *doorbell, uint32_t value)
{
	bar_slice_store_fence();
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap32(value);
#endif
	*doorbell = value;
	bar_slice_store_fence();
}

#ifdef __cplusplus
}
#endif

#endif /* BAR_SLICE_DOORBELL_H */
