/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FAKE_LESSOR_H
#define FAKE_LESSOR_H

/**
 * @file
 * In the library's place: a lessor that is a table, for tests of the driver. A slice changes hands
 * at once, and whatever state the test gives it, it has.
 */

#include <bar_lease.h>

#define FAKE_SLICES 8

struct bar_lessor {
	struct bar_lease_info slices[FAKE_SLICES];
	unsigned int announced[FAKE_SLICES];	/**< resets done later than they were asked for */
	unsigned int offered[FAKE_SLICES];	/**< free, and lessees were told */
};

#endif /* FAKE_LESSOR_H */
