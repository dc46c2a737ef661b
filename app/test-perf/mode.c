/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "mode.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))
#define PACKED FEATURE(VIRTIO_F_RING_PACKED)
#define MERGEABLE FEATURE(VIRTIO_NET_F_MRG_RXBUF)
#define IN_ORDER FEATURE(VIRTIO_F_IN_ORDER)
#define CHECKSUM (FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM))

/* A mode is one line. Whether a driver has it is asked of the driver. */
const struct mode modes[] = {
	{ "split", 0 },
	{ "split-mrg", MERGEABLE },
	{ "split-order", IN_ORDER },
	{ "split-mrg-order", MERGEABLE | IN_ORDER },
	{ "split-csum", CHECKSUM },
	{ "split-mrg-csum", MERGEABLE | CHECKSUM },
	{ "split-order-csum", IN_ORDER | CHECKSUM },
	{ "split-mrg-order-csum", MERGEABLE | IN_ORDER | CHECKSUM },
	{ "packed", PACKED },
	{ "packed-mrg", PACKED | MERGEABLE },
	{ "packed-order", PACKED | IN_ORDER },
	{ "packed-mrg-order", PACKED | MERGEABLE | IN_ORDER },
	{ "packed-csum", PACKED | CHECKSUM },
	{ "packed-mrg-csum", PACKED | MERGEABLE | CHECKSUM },
	{ "packed-order-csum", PACKED | IN_ORDER | CHECKSUM },
	{ "packed-mrg-order-csum", PACKED | MERGEABLE | IN_ORDER | CHECKSUM },
};

const unsigned int n_modes = sizeof(modes) / sizeof(modes[0]);

bool
mode_is_packed(const struct mode *mode)
{
	return mode->features & PACKED;
}

bool
mode_is_mergeable(const struct mode *mode)
{
	return mode->features & MERGEABLE;
}

bool
mode_is_in_order(const struct mode *mode)
{
	return mode->features & IN_ORDER;
}

bool
mode_has_checksum(const struct mode *mode)
{
	return mode->features & CHECKSUM;
}
