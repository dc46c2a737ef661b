/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef PRELOAD_H
#define PRELOAD_H

/* Call it on QEMU's main thread, before devices are made; more than once does no harm. */
void offer_notification_data(void);

#endif /* PRELOAD_H */
