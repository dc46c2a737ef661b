/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_LESSOR_PRIVATE_H
#define BAR_LESSOR_PRIVATE_H

/*
 * The interrupt thread owns the table and the peers; other threads send it work. The one
 * exception is a slice's state, which bar_lessor_take() moves from FREE to TAKEN by itself.
 */

#include <stdio.h>
#include <sys/queue.h>
#include <sys/un.h>

#include <rte_common.h>

#include "bar_lease_private.h"

/* So much a second beyond so much at once: the time at which all of it is there again. */
struct budget {
	uint64_t each;			/* nanoseconds until there is one more */
	uint64_t burst;			/* all of them */
};

#define BUDGET(per_second, at_once) { \
	.each = UINT64_C(1000000000) / (per_second), \
	.burst = UINT64_C(1000000000) / (per_second) * (at_once), \
}

static inline bool
budget_spend(const struct budget *budget, uint64_t *whole_at, unsigned int count)
{
	uint64_t now = lease_clock();
	uint64_t then = RTE_MAX(*whole_at, now) + count * budget->each;

	if (then > now + budget->burst)
		return false;
	*whole_at = then;
	return true;
}

static inline void
budget_return(const struct budget *budget, uint64_t *whole_at, unsigned int count)
{
	*whole_at -= RTE_MIN(*whole_at, count * budget->each);
}

/* What may be said about the processes of a user. */
struct voice {
	uint64_t lines;
	uint64_t refusals;
	unsigned int unsaid;
};

struct peer {
	TAILQ_ENTRY(peer) next;
	struct bar_lessor *lessor;
	int fd;				/* owned by the channel's watch once there is one */
	struct lease_watch *channel;	/* NULL after its end of file */
	struct lease_watch *process;	/* on the pidfd; NULL before HELLO */
	int pidfd;			/* owned by that watch */
	pid_t pid;			/* 0 before HELLO */
	uid_t uid;			/* before HELLO: of who has opened the channel */
	gid_t gid;
	uint64_t since;
	uint64_t hello_by;
	uint64_t message_budget;
	uint64_t call_budget;
	uint64_t messages;
	uint64_t refused;
	bool drained;
};

struct slot {
	struct bar_lessor_slice slice;
	int state;			/* enum bar_lease_state; atomic */
	int dmabuf;			/* while LEASED or not revoked for sure, else -1 */
	struct peer *holder;		/* while LEASED or REVOKED */
	struct peer *former;		/* let go of it when it was revoked, and lives; or NULL */
	uint64_t fence_at;		/* the holder of what is REVOKED is killed; 0: never */
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
	pid_t (*admit)(void *arg, unsigned int slice, pid_t pid);
	void (*ended)(void *arg, unsigned int slice, pid_t pid);
	void (*event)(void *arg, const struct bar_lease_event *event);
	uint64_t (*doorbells)(void *arg, unsigned int slice);
	void *arg;
	uint64_t fence_ns;		/* 0: never */
	uint64_t alarm_at;		/* 0: not set */
	struct bar_lease_rule rules[BAR_LEASE_MAX_RULES];
	unsigned int nb_rules;
	uint64_t nb_events;		/* so far */
	struct bar_lease_event events[BAR_LEASE_KEPT_EVENTS];
	struct voice voices[64];	/* of users, by their numbers */
	struct lease_watch *listener;	/* owns listener_fd once there is one */
	int listener_fd;		/* -1: none */
	int spare_fd;			/* in order to refuse when there is no other */
	uint64_t no_descriptors;	/* budget of lines about that */
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t socket_inode;		/* 0: no socket made */
	dev_t socket_device;
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

/* bar_lease_policy.c: the rule that counts, or NULL where the answer is no */
const struct bar_lease_rule *policy_of_peer(const struct peer *peer);
const struct bar_lease_rule *policy_of_slice(const struct peer *peer, unsigned int slice);
void policy_set(struct bar_lessor *lessor, const struct bar_lease_rule *rules,
		unsigned int nb_rules);

/* bar_lessor_event.c: what is said of what happens */
void lessor_event(struct bar_lessor *lessor, enum bar_lease_event_type type);
void peer_event(struct peer *peer, enum bar_lease_event_type type, int error);
void slot_event(struct bar_lessor *lessor, const struct slot *slot, enum bar_lease_event_type type,
		int error);
void refusal_event(struct peer *peer, int slice, int error);
/* Whether one more line about processes of this user may go to the log. */
bool peer_may_be_logged(struct peer *peer);

#define PEER_LOG(peer, level, ...) do { \
	if (rte_log_can_log(bar_lease_logtype, RTE_LOG_##level) && peer_may_be_logged(peer)) \
		LEASE_LOG(level, __VA_ARGS__); \
} while (0)

/* bar_lessor_control.c: have a look, at this time, at whose time is over */
void lessor_wake_at(struct bar_lessor *lessor, uint64_t time);
void lessor_wake_never(struct bar_lessor *lessor);

/* bar_lessor_slice.c: the life of a slice */
void slice_revoke(struct bar_lessor *lessor, struct slot *slot);
/* A lease is revoked that was not given back. */
void slice_lose(struct bar_lessor *lessor, struct slot *slot);
/* Where the kernel refused to revoke, somebody may still have the doorbell: ask it again. */
bool slice_is_revoked(struct bar_lessor *lessor, struct slot *slot);
/* The holder cannot touch what the slice drives any more, or has promised not to. */
void slice_reset(struct bar_lessor *lessor, struct slot *slot);
/* Or refuse it. -EDQUOT: it asks for too much in too little time. */
int slice_grant(struct peer *peer, struct slot *slot);
void slice_release(struct peer *peer, struct slot *slot, int32_t lease);
/* It is done with all slices, and with what it shared with them. */
void slices_leave(struct peer *peer);
/* Tells the leases of one slice apart, so that a late RELEASE cannot end the next lease. */
int32_t lease_number(const struct slot *slot);

/* bar_lessor_peer.c: the processes at the other ends */
void peer_tell(struct peer *peer, uint16_t type, uint32_t slice, int32_t value, int32_t holder);
/* Something that no lessee needs to hear in order to agree with the table. */
void peers_tell(struct bar_lessor *lessor, uint16_t type, uint32_t subject, int32_t value);
void peer_revoke_all(struct peer *peer);
unsigned int peer_count_held(const struct peer *peer);
/* Whether its messages are not too many, with so many more. */
bool peer_spend(struct peer *peer, unsigned int count);
/* Any thread. NULL and errno: EUSERS, ENOMEM; the channel is still the caller's. */
struct peer *peer_create(struct bar_lessor *lessor, int fd, uid_t uid);
/* One that was not served yet; its channel stays open. */
void peer_discard(struct peer *peer);
/* Serve it. Its channel is closed with it. */
void peer_begin(struct peer *peer);
/* The same for one that is joining: runs on the interrupt thread. */
void peer_admit(void *peer);
/* End of file (0), or nothing sensible to expect any more: revoke now, reset when it has ended. */
void peer_hangup(struct peer *peer, int error);
void peer_free(struct peer *peer);
/* Free it if the channel has ended and there is nothing to wait for. */
void peer_settle(struct peer *peer);

/* bar_lessor_rendezvous.c: how processes find a lessor */
int lessor_publish(struct bar_lessor *lessor);
void lessor_unpublish(struct bar_lessor *lessor);
/* Forget the peers that were made and not admitted: after lessor_unpublish(). */
void lessor_drop_joining(struct bar_lessor *lessor);

/* bar_lessor_socket.c: the other way to find it. Both also where there is no socket. */
int lessor_listen(struct bar_lessor *lessor, const char *path, mode_t mode);
void lessor_listen_no_more(struct bar_lessor *lessor);

#endif /* BAR_LESSOR_PRIVATE_H */
