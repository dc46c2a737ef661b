/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H

/**
 * @file
 * The software device, told by the fuzzer what to do. It keeps to the rules for as long as it is
 * told so, that the driver gets far; and then it does not.
 */

#include <stdbool.h>

#include "input.h"
#include "software_device.h"
#include "virtio_lease_rxtx.h"

struct hostile {
	struct software_device device;
	const struct vlease_queue_config *config;
	bool rx;
	bool lied;		/**< it has broken the rules */
	/**
	 * While the driver is in a burst. On a transmit queue it must not write then what only the
	 * driver may write: the chains that a burst follows are there.
	 */
	bool in_burst;
};

/** Bytes of ring memory that a queue takes. */
static inline size_t
hostile_ring_bytes(const struct vlease_queue_config *config, bool rx)
{
	return rx ? vlease_rxq_ring_bytes(config->size, config->features) :
		    vlease_txq_ring_bytes(config->size, config->features, config->offloads);
}

/** The device and its queue start anew. */
void hostile_attach(struct hostile *h, const struct vlease_queue_config *config, bool rx,
		    uint32_t shuffle);

/** One step of the device. */
void hostile_step(struct hostile *h, struct input *in);

#endif /* FUZZ_HOSTILE_H */
