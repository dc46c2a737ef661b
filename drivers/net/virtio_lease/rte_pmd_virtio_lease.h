/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef RTE_PMD_VIRTIO_LEASE_H
#define RTE_PMD_VIRTIO_LEASE_H

/**
 * @file
 * What net_virtio_lease offers beyond ethdev.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_compat.h>
#include <rte_mempool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Let a mempool belong to whoever holds these queue pairs, so that it is rebuilt whole when that
 * process dies: with what was posted, pending, in caches, in its hands, or in a ring operation
 * that it did not finish. Called for the same pool on several ports or pairs, it makes one group
 * of them all.
 *
 * The process that holds queues of the group is the only one that uses the pool: it alone
 * allocates from it and frees to it, and the Rx queues of the group are set up with it. Its mbufs
 * are attached to none of another pool. What leaves the process in another way than through
 * queues of the group has to be copied.
 *
 * One process at a time is granted queues of the group. Others are refused with EBUSY, and told
 * which process is in the way, until that has ended or has closed its ports. To have its queues
 * revoked is not enough: a process that has let go of them, but lives, may have mbufs in hand, or
 * hang in the middle of an operation on the pool. It gets them again when it asks; to make it end
 * is up to the operator.
 *
 * From the death until the pool is rebuilt, no queue of the group is granted to anybody. The
 * rebuild comes when the last queue that the dead process held has been reset; if one cannot be,
 * with the next stop or start of its port. A process that closes its ports while it lives takes
 * its mbufs with it: it frees them first, or they are missing. Where the primary itself polls a
 * queue of the group, nothing is rebuilt: a line in the log names pool, queue and holder, and the
 * extended statistic lease_mbufs_recovered does not count.
 *
 * In the primary process, while the port is stopped; before rte_eth_dev_start() at the latest. It
 * lasts until the port is closed, or called with @p mp NULL, which has to be before the pool is
 * freed.
 *
 * @param port_id
 *   A port of net_virtio_lease.
 * @param first_pair
 *   First of the queue pairs: Rx and Tx queue of this number.
 * @param nb_pairs
 *   How many, from the first on.
 * @param mp
 *   A pool of mbufs over a multi-producer ring: its operations are ring_mp_mc or ring_mp_sc.
 *   NULL: these pairs own no pool any more.
 * @return
 *   - 0: success;
 *   - -ENODEV: no port of this driver; -EPERM: not the primary process;
 *   - -EBUSY: the port is started, or the group is waiting for a rebuild;
 *   - -EINVAL: the port has no such pairs, or the pool is not one of mbufs;
 *   - -EEXIST: one of the queues owns another pool;
 *   - -ENOTSUP: another kind of pool, named in the log;
 *   - -ENOMEM.
 */
__rte_experimental
int rte_pmd_virtio_lease_own_pool(uint16_t port_id, uint16_t first_pair, uint16_t nb_pairs,
				  struct rte_mempool *mp);

/**
 * To which ret_param of a callback for RTE_ETH_EVENT_QUEUE_STATE points, during the call. Raised in
 * a secondary, from the interrupt thread, when it loses the lease of a queue although it lives, and
 * when it gets one again. Until then bursts on the queue return 0, and ask for it.
 */
struct rte_pmd_virtio_lease_queue_event {
	uint16_t queue;		/**< index of the Rx or Tx queue */
	bool rx;		/**< an Rx queue; else a Tx queue */
	bool held;		/**< whether this process holds its lease now */
};

#ifdef __cplusplus
}
#endif

#endif /* RTE_PMD_VIRTIO_LEASE_H */
