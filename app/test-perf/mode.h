/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef MODE_H
#define MODE_H

#include <stdbool.h>
#include <stdint.h>

/** What driver and device have agreed on. */
struct mode {
	const char *name;
	uint64_t features;	/**< VIRTIO 1.2, 5.1.3 and 6, beyond VIRTIO_F_VERSION_1 */
};

extern const struct mode modes[];
extern const unsigned int n_modes;

bool mode_is_packed(const struct mode *mode);
bool mode_is_mergeable(const struct mode *mode);
bool mode_is_in_order(const struct mode *mode);
/** Checksum offload in both directions. */
bool mode_has_checksum(const struct mode *mode);

/** A mode with what else a port of it is made of. */
struct setup {
	const struct mode *mode;
	uint16_t ring;		/**< descriptors of each queue */
	bool vector;		/**< the driver may use vector instructions */
};

#endif /* MODE_H */
