/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef VIRTIO_LEASE_H
#define VIRTIO_LEASE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <ethdev_driver.h>
#include <rte_errno.h>
#include <rte_memzone.h>
#include <rte_pci.h>
#include <rte_string_fns.h>

#include <bar_lease.h>

#include "virtio_lease_compat.h"
#include "virtio_lease_cvq.h"
#include "virtio_lease_doorbell.h"
#include "virtio_lease_logs.h"
#include "virtio_lease_pci.h"
#include "virtio_lease_rxtx.h"
#include "virtio_lease_virtio.h"

#define VLEASE_MAX_PAIRS (VLEASE_MAX_VQS / 2)

/* Descriptors of a queue where the application has no wish. */
#define VLEASE_DEFAULT_QUEUE_SIZE 256
#define VLEASE_MIN_QUEUE_SIZE 32
#define VLEASE_TX_MAX_SEGMENTS 32

/* Addresses that a port takes besides its own; with the promiscuous mode there is no limit. */
#define VLEASE_MAX_MACS 64
#define VLEASE_MAX_MULTICAST 256

/* RSS: a Toeplitz key for the longest input, the largest table that is of use. */
#define VLEASE_RSS_KEY_SIZE 40
#define VLEASE_MAX_RETA_SIZE RTE_ETH_RSS_RETA_SIZE_512

/* How frames are spread over the receive queues: what the device can do, what was asked for. */
struct vlease_rss {
	uint32_t supported_types;	/* VIRTIO_NET_HASH_TYPE_* */
	uint32_t types;			/* 0: the device spreads as it likes */
	uint16_t reta_size;
	uint16_t nb_queues;		/* that reta[] was made for */
	uint16_t reta[VLEASE_MAX_RETA_SIZE];
	uint8_t key[VLEASE_RSS_KEY_SIZE];
};

/*
 * The port, in memory shared by all processes: dev_private. It holds no address that is valid in
 * one process only, and only the primary writes to it.
 */
struct vlease_adapter {
	uint64_t usable;		/* features offered and not switched off */
	uint64_t features;		/* negotiated, or what the next start will negotiate */
	uint16_t port_id;
	uint16_t max_pairs;		/* of the device */
	uint16_t max_mtu;
	uint16_t max_rx_desc;		/* of the device's first receive queue */
	uint16_t max_tx_desc;
	char address[PCI_PRI_STR_SIZE + 1];
	struct rte_ether_addr device_mac;	/* as the device came with it */
	struct rte_ether_addr macs[VLEASE_MAX_MACS];	/* ethdev's: dev->data->mac_addrs */
	uint32_t nb_multicast;
	struct rte_ether_addr multicast[VLEASE_MAX_MULTICAST];
	struct vlease_rss rss;
	/* Written by the interrupt thread, on the end of lessees. */
	uint64_t queues_reset;
	uint64_t queues_quarantined;
	uint64_t mbufs_reclaimed;
	uint64_t mbufs_recovered;
	uint64_t pools_rebuilt;
	struct bar_lease_counters leases[VLEASE_MAX_VQS];
};

/* A queue that owns a pool; under the lock of virtio_lease_owned.c. */
struct vlease_owner {
	struct vlease_owned *owned;	/* NULL: it owns none */
	uint64_t settled;		/* number of the latest lease whose end was dealt with */
	/* While the pool is to be rebuilt. */
	bool held;			/* was free, and is kept from everybody */
	bool pending;			/* reset, and its lessor has not been told */
	bool stale;			/* holds mbufs of the time before the rebuild */
};

/* The port, in this process: process_private, from libc, so that the kernel frees it. */
struct vlease_process {
	struct vlease_adapter *adapter;
	/* The primary: owner of the device. */
	struct vlease_pci pci;
	struct vlease_cvq cvq;
	struct rte_intr_handle *interrupts;	/* changes of configuration, receive queues */
	struct rte_intr_handle *removal;
	/* The interrupt thread borrows a queue: meanwhile none is stopped or started. */
	pthread_mutex_t queue_lock;
	bool started;				/* the device; read by the interrupt thread */
	bool queue_interrupts;			/* of receive queues; since the start */
	struct bar_lessor *lessor;
	const struct rte_memzone *idle_ring;	/* for queues that nobody polls, or NULL */
	uint64_t doorbell_offset[VLEASE_MAX_VQS];
	/* What the queues are made of: reclaim believes nothing that lessees can write to. */
	struct vlease_queue_config queues[VLEASE_MAX_VQS];
	bool deferred[VLEASE_MAX_VQS];		/* not to be started with the port */
	bool stopped[VLEASE_MAX_VQS];		/* alone, and held by the primary */
	/*
	 * Their memory. A queue stays where it is until the port is closed, since a thread of a
	 * secondary may be about to look at it. A ring goes when its queue is released.
	 */
	void *objects[VLEASE_MAX_VQS];
	const struct rte_memzone *rings[VLEASE_MAX_VQS];
	bool enabled[VLEASE_MAX_VQS];	/* in the device, since its last reset */
	struct vlease_owner owners[VLEASE_MAX_VQS];
	bool quiet;			/* the device knows of no buffer; under the same lock */
	/* A secondary: holder of leases. */
	struct bar_lessee *lessee;
	bool exit_with_primary;
	/* Of leases: what the application is still to be told of; interrupt thread. */
	struct vlease_queue_news {
		bool is_lost;		/* and no other was granted since */
		bool lost, regained;	/* not told yet */
	} news[VLEASE_MAX_VQS];
	bool has_news;
	/* ethdev's, in shared memory, when dev->data is a copy: see the lessee's file. */
	struct rte_eth_dev_data *shared_data;
	/* What ethdev's fast path of this process takes for the queues; see the lessee's file. */
	void *rx_queues[VLEASE_MAX_PAIRS];
	void *tx_queues[VLEASE_MAX_PAIRS];
	void *no_queues;		/* what is there in place of queues not set up */
};

/* By port id, for those who have no rte_eth_dev: the burst functions' slow path. */
extern struct vlease_process *vlease_processes[RTE_MAX_ETHPORTS];

#define VLEASE_ARG_LEASE "lease"
#define VLEASE_ARG_MEMATTR "memattr"
#define VLEASE_ARG_PRIMARY_DEATH "primary_death"
#define VLEASE_ARG_PACKED "packed"
#define VLEASE_ARG_IN_ORDER "in_order"
#define VLEASE_ARG_MRG_RXBUF "mrg_rxbuf"
#define VLEASE_ARG_EVENT_IDX "event_idx"
#define VLEASE_ARG_INDIRECT "indirect"
#define VLEASE_ARG_POLICY "policy"
#define VLEASE_ARG_FENCE "fence"
#define VLEASE_ARG_SOCKET "socket"
#define VLEASE_ARG_SOCKET_MODE "socket_mode"

struct vlease_devargs {
	bool lease;			/* 0: leave the device to another driver */
	enum bar_slice_memattr memattr;
	bool exit_with_primary;		/* a secondary ends when it has lost the primary */
	uint64_t refused;		/* features not to use, though offered */
	uint64_t required;		/* features that the device must offer */
	struct bar_lease_rule policy[BAR_LEASE_MAX_RULES];
	unsigned int nb_rules;		/* 0: everybody may lease everything */
	unsigned int fence_ms;
	char socket[108];		/* where secondaries find the primary, or empty */
	mode_t socket_mode;
};

/* virtio_lease_devargs.c: -EINVAL, and a line in the log, for what is not understood. */
int vlease_parse_devargs(const char *address, const struct rte_devargs *given,
			 struct vlease_devargs *devargs);

/* The argument that says whether a feature is used, or NULL. */
const char *vlease_argument_name(uint64_t feature);

static inline struct vlease_process *
vlease_process(const struct rte_eth_dev *dev)
{
	return dev->process_private;
}

static inline struct vlease_adapter *
vlease_adapter(const struct rte_eth_dev *dev)
{
	return vlease_process(dev)->adapter;
}

/* virtio_lease_ethdev.c: operations, of the primary and of secondaries */
extern const struct eth_dev_ops vlease_primary_ops;
extern const struct eth_dev_ops vlease_secondary_ops;
void vlease_set_bursts(struct rte_eth_dev *dev);
int vlease_dev_close(struct rte_eth_dev *dev);

/* virtio_lease_info.c: what the port says of itself */
int vlease_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info);
void vlease_rxq_info_get(struct rte_eth_dev *dev, uint16_t index, struct rte_eth_rxq_info *info);
void vlease_txq_info_get(struct rte_eth_dev *dev, uint16_t index, struct rte_eth_txq_info *info);
int vlease_rx_burst_mode_get(struct rte_eth_dev *dev, uint16_t index,
			     struct rte_eth_burst_mode *mode);
int vlease_tx_burst_mode_get(struct rte_eth_dev *dev, uint16_t index,
			     struct rte_eth_burst_mode *mode);
int vlease_get_reg(struct rte_eth_dev *dev, struct rte_dev_reg_info *info);
int vlease_priv_dump(struct rte_eth_dev *dev, FILE *file);

/* virtio_lease_device.c: the device's life, in the primary */
int vlease_device_begin(struct vlease_process *process);
int vlease_device_start(struct rte_eth_dev *dev);
int vlease_device_stop(struct rte_eth_dev *dev);
int vlease_device_reset_queue(void *process, unsigned int queue);
int vlease_device_enable_queue(struct vlease_process *process, uint16_t queue);
/* Reset it and take its mbufs back: returns their number. Needs VIRTIO_F_RING_RESET. */
int vlease_device_disable_queue(struct rte_eth_dev *dev, uint16_t queue);
/* Take back the mbufs of a queue that neither the device nor anybody else uses; their number. */
int vlease_device_reclaim_queue(struct vlease_process *process, uint16_t queue);

/* virtio_lease_features.c: which VIRTIO features make which offloads, and back */
/* Of what is offered, what does not lack a feature that it depends on. */
uint64_t vlease_features_usable(uint64_t offered);
/* RTE_ETH_{RX,TX}_OFFLOAD_* that a port can have. */
uint64_t vlease_rx_capabilities(uint64_t usable);
uint64_t vlease_tx_capabilities(uint64_t usable);
/* What to negotiate for these offloads. */
uint64_t vlease_features_choose(uint64_t usable, uint64_t rx_offloads, uint64_t tx_offloads);
/* Without VIRTIO_F_ or VIRTIO_NET_F_; NULL: the driver does not know it. */
const char *vlease_feature_name(uint64_t bit);

/* virtio_lease_rxmode.c: which frames the device takes */
int vlease_promiscuous_enable(struct rte_eth_dev *dev);
int vlease_promiscuous_disable(struct rte_eth_dev *dev);
int vlease_allmulticast_enable(struct rte_eth_dev *dev);
int vlease_allmulticast_disable(struct rte_eth_dev *dev);
int vlease_mac_addr_add(struct rte_eth_dev *dev, struct rte_ether_addr *address, uint32_t index,
			uint32_t pool);
void vlease_mac_addr_remove(struct rte_eth_dev *dev, uint32_t index);
int vlease_mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *address);
int vlease_set_mc_addr_list(struct rte_eth_dev *dev, struct rte_ether_addr *list, uint32_t count);
int vlease_vlan_filter_set(struct rte_eth_dev *dev, uint16_t id, int on);
int vlease_vlan_offload_set(struct rte_eth_dev *dev, int changed);
int vlease_mtu_set(struct rte_eth_dev *dev, uint16_t mtu);
int vlease_check_rx_buffers(const struct rte_eth_dev *dev, uint16_t queue, uint16_t mtu);
/* After a start: what ethdev does not replay. */
int vlease_rxmode_replay(struct rte_eth_dev *dev);

/* virtio_lease_rss.c: on which queue a frame arrives */
/* -ENOTSUP: what the device says of its RSS cannot be used; logged. */
int vlease_rss_probe(struct vlease_adapter *adapter, const struct virtio_net_config *config);
void vlease_rss_info(const struct vlease_adapter *adapter, struct rte_eth_dev_info *info);
int vlease_rss_configure(struct rte_eth_dev *dev);
/* After a start or a change: how many queues are in use, and how they are chosen. */
int vlease_rss_apply(struct rte_eth_dev *dev);
int vlease_rss_hash_update(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf);
int vlease_rss_hash_conf_get(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf);
int vlease_reta_update(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *groups,
		       uint16_t size);
int vlease_reta_query(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *groups,
		      uint16_t size);

/* virtio_lease_queue.c: memory of the queues, in the primary */
int vlease_rx_queue_setup(struct rte_eth_dev *dev, uint16_t index, uint16_t nb_desc,
			  unsigned int socket, const struct rte_eth_rxconf *conf,
			  struct rte_mempool *pool);
int vlease_tx_queue_setup(struct rte_eth_dev *dev, uint16_t index, uint16_t nb_desc,
			  unsigned int socket, const struct rte_eth_txconf *conf);
void vlease_rx_queue_release(struct rte_eth_dev *dev, uint16_t index);
void vlease_tx_queue_release(struct rte_eth_dev *dev, uint16_t index);
/* When the port is closed; but the queues themselves only if no other process looks at them. */
void vlease_queues_free(struct vlease_process *process, bool objects);

/* virtio_lease_intr.c: interrupts, in the primary */
int vlease_interrupts_create(struct rte_eth_dev *dev);
void vlease_interrupts_destroy(struct rte_eth_dev *dev);
/* After the negotiation, before the queues are enabled. */
int vlease_interrupts_start(struct rte_eth_dev *dev);
void vlease_interrupts_stop(struct rte_eth_dev *dev);
/* For struct vlease_pci_queue. */
uint16_t vlease_queue_vector(const struct vlease_process *process, uint16_t queue);
int vlease_rx_queue_intr_enable(struct rte_eth_dev *dev, uint16_t index);
int vlease_rx_queue_intr_disable(struct rte_eth_dev *dev, uint16_t index);

/* virtio_lease_announce.c: if the device asks for it, tell the network where the port is */
void vlease_announce(struct rte_eth_dev *dev);

/* virtio_lease_queue_state.c: start and stop of single queues */
int vlease_rx_queue_start(struct rte_eth_dev *dev, uint16_t index);
int vlease_rx_queue_stop(struct rte_eth_dev *dev, uint16_t index);
int vlease_tx_queue_start(struct rte_eth_dev *dev, uint16_t index);
int vlease_tx_queue_stop(struct rte_eth_dev *dev, uint16_t index);
int vlease_check_deferred_start(struct rte_eth_dev *dev, uint16_t queue);
/* With the port: all start that are not deferred, before leases are granted; all stop. */
void vlease_queues_begin(struct rte_eth_dev *dev);
void vlease_queues_end(struct rte_eth_dev *dev);

/* virtio_lease_dma.c: the device's access to memory, in the primary */
int vlease_dma_start(struct vlease_process *process);
void vlease_dma_stop(struct vlease_process *process);

/* virtio_lease_lessor.c and virtio_lease_lessee.c: the two sides of a doorbell */
int vlease_lessor_create(struct vlease_process *process, const struct vlease_devargs *devargs);
void vlease_lessor_give_back(struct vlease_process *process);
/* The link has changed, as dev_link says by now: secondaries raise the event. Any thread. */
void vlease_lessor_notify_link(struct vlease_process *process);
/* Other burst functions are the right ones, for queues that stay as they are. Any thread. */
void vlease_lessor_notify_bursts(struct vlease_process *process);
int vlease_lessee_create(struct vlease_process *process, const struct vlease_devargs *devargs);
/* When ethdev has made the port known to this process' fast path. */
void vlease_lessee_take_over(struct rte_eth_dev *dev);
/* A primary that closes the port zeroes what is shared, and ethdev needs this of it. */
void vlease_lessee_restore_port_id(struct rte_eth_dev *dev);
void vlease_lessee_destroy(struct vlease_process *process);

/* Operations of a secondary that the primary carries out. */
int vlease_lessee_link_update(struct rte_eth_dev *dev, int wait);
int vlease_lessee_promiscuous_enable(struct rte_eth_dev *dev);
int vlease_lessee_promiscuous_disable(struct rte_eth_dev *dev);
int vlease_lessee_allmulticast_enable(struct rte_eth_dev *dev);
int vlease_lessee_allmulticast_disable(struct rte_eth_dev *dev);

/* What secondaries ask the primary for, and what it tells them. */
enum vlease_call {
	VLEASE_CALL_LINK_UPDATE,
	VLEASE_CALL_PROMISCUOUS,	/* value: 0 or 1 */
	VLEASE_CALL_ALLMULTICAST,	/* value: 0 or 1 */
};

enum vlease_notice {
	VLEASE_NOTICE_LINK,
	VLEASE_NOTICE_BURSTS,
};

/* virtio_lease_owned.c: pools that belong to whoever holds some queues, in the primary */
/* Before a queue is reclaimed: fills in what its configuration says of owned and owner_ended. */
void vlease_owned_look(struct vlease_process *process, uint16_t queue,
		       struct vlease_queue_config *config);
/* So many mbufs were found in it. */
void vlease_owned_reclaimed(struct vlease_process *process, uint16_t queue, unsigned int count);
/*
 * The end of a queue's reset, for a lessor. Takes what the reset came to, returns what the lessor
 * is told: -EINPROGRESS, when the queue has to wait for others. Interrupt thread.
 */
int vlease_owned_reset(struct vlease_process *process, uint16_t queue, int result);
/* The end of a process that held the queue, or had let go of it. Interrupt thread. */
void vlease_owned_ended(void *process, unsigned int queue, pid_t pid);
/* The process for whose sake another does not get a queue, or 0. Interrupt thread. */
pid_t vlease_owned_admit(void *process, unsigned int queue, pid_t pid);
/* Whether the device has forgotten all buffers; and whenever the port has been started. */
void vlease_owned_set_quiet(struct vlease_process *process, bool quiet);
void vlease_owned_started(void);
/* -EINVAL: a receive queue takes its buffers from another pool than it owns; logged. */
int vlease_owned_check(const struct vlease_process *process);
/* The port is not there any more. */
void vlease_owned_forget_port(struct vlease_process *process);

/* virtio_lease_stats.c, with vlease_stats_get() */
int vlease_stats_reset(struct rte_eth_dev *dev);
int vlease_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int size);
int vlease_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
			    unsigned int size);

#endif /* VIRTIO_LEASE_H */
