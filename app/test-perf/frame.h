/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FRAME_H
#define FRAME_H

/**
 * @file
 * The traffic: one UDP flow.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define FRAME_MAX 1518

/** Where its checksum starts, and where from there it goes; VIRTIO 1.2, 5.1.6.2. */
#define FRAME_CSUM_START 34
#define FRAME_CSUM_OFFSET 6

/** The frame of @p len bytes, the same in every call. */
const void *frame_of(uint16_t len);

/** Make a fresh mbuf that frame; @p checksum: its checksum is yet to be computed. */
void frame_write(struct rte_mbuf *m, uint16_t len, bool checksum);

#endif /* FRAME_H */
