/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_SLICE_PRIVATE_H
#define BAR_SLICE_PRIVATE_H

#include <stddef.h>

#include "bar_slice.h"

/* Keep the text for bar_slice_error() and return -@p error. */
int bar_slice_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Guard @p length bytes of mapping at @p address, as bar_slice_map() promises. Works on any
 * mapping whose loss raises SIGBUS, so that it can be tested without a device.
 * -ENOSPC: the table is full.
 */
int bar_slice_guard(void *address, size_t length, bar_slice_lost_fn lost, void *arg);

/* End the guard; the mapping stays. -EINVAL: there is none of this address and length. */
int bar_slice_unguard(void *address, size_t length);

#endif /* BAR_SLICE_PRIVATE_H */
