/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_LESSOR_PRIVATE_H
#define BAR_LESSOR_PRIVATE_H

/*
 * The interrupt thread owns the table and the peers; other threads send it work. The one
 * exception is a slice's state, which bar_lessor_take() moves from FREE to TAKEN by itself.
 */

#include <sys/queue.h>

#include "bar_lease_private.h"

struct peer {
	TAILQ_ENTRY(peer) next;
	struct bar_lessor *lessor;
	int fd;				/* owned by the channel's watch once there is one */
	struct lease_watch *channel;	/* NULL after its end of file */
	struct lease_watch *process;	/* on the pidfd; NULL before HELLO */
	int pidfd;			/* owned by that watch */
	pid_t pid;
	uid_t uid;
};

struct slot {
	struct bar_lessor_slice slice;
	int state;			/* enum bar_lease_state; atomic */
	int dmabuf;			/* while LEASED or not revoked for sure, else -1 */
	struct peer *holder;		/* while LEASED or REVOKED */
	struct bar_lease_counters *counters;	/* of its user */
	struct bar_lease_info info;
};

struct bar_lessor {
	TAILQ_ENTRY(bar_lessor) next;
	char name[BAR_LEASE_NAME_SIZE];
	int device_fd;
	struct bar_slice_support support;
	enum bar_slice_memattr memattr;
	int (*reset)(void *arg, unsigned int slice);
	int (*call)(void *arg, uint32_t code, int32_t value);
	void *arg;
	int started;			/* atomic */
	bool stopping;			/* what is let go of now, the stopping thread resets */
	unsigned int nb_peers;		/* atomic: counted by the rte_mp thread, too */
	TAILQ_HEAD(, peer) peers;
	TAILQ_HEAD(, peer) joining;	/* not yet admitted; under lessors_mutex */
	struct bar_lease_counters not_counted;	/* where nobody wants to know */
	unsigned int nb_slots;
	struct slot slots[];
};

static inline int
slot_state(const struct slot *slot)
{
	return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
}

static inline void
slot_set_state(struct slot *slot, enum bar_lease_state state)
{
	__atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
}

static inline bool
slot_claim(struct slot *slot, enum bar_lease_state state)
{
	int expected = BAR_LEASE_FREE;

	return __atomic_compare_exchange_n(&slot->state, &expected, state, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline unsigned int
slot_index(const struct bar_lessor *lessor, const struct slot *slot)
{
	return (unsigned int)(slot - lessor->slots);
}

static inline bool
lessor_is_started(const struct bar_lessor *lessor)
{
	return __atomic_load_n(&lessor->started, __ATOMIC_ACQUIRE) != 0;
}

/* bar_lessor_slice.c: the life of a slice */
void slice_revoke(struct bar_lessor *lessor, struct slot *slot);
/* Where the kernel refused to revoke, somebody may still have the doorbell: ask it again. */
bool slice_is_revoked(struct bar_lessor *lessor, struct slot *slot);
/* The holder cannot touch what the slice drives any more, or has promised not to. */
void slice_reset(struct bar_lessor *lessor, struct slot *slot);
void slice_grant(struct peer *peer, struct slot *slot);
void slice_release(struct peer *peer, struct slot *slot, int32_t lease);
/* Tells the leases of one slice apart, so that a late RELEASE cannot end the next lease. */
int32_t lease_number(const struct slot *slot);

/* bar_lessor_peer.c: the processes at the other ends */
void peer_tell(struct peer *peer, uint16_t type, uint32_t slice, int32_t value, int32_t holder);
/* Something that no lessee needs to hear in order to agree with the table. */
void peers_tell(struct bar_lessor *lessor, uint16_t type, uint32_t subject, int32_t value);
void peer_revoke_all(struct peer *peer);
void peer_free(struct peer *peer);
/* Serve a peer that the rendezvous has made: runs on the interrupt thread. */
void peer_admit(void *peer);

/* bar_lessor_rendezvous.c: how processes find a lessor */
int lessor_publish(struct bar_lessor *lessor);
void lessor_unpublish(struct bar_lessor *lessor);
/* Forget the peers that were made and not admitted: after lessor_unpublish(). */
void lessor_drop_joining(struct bar_lessor *lessor);

#endif /* BAR_LESSOR_PRIVATE_H */
