/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bar_lessor_private.h"

/* Messages taken from one peer before the others get their turn, and time spent on them. */
#define MESSAGES_PER_TURN 32
#define TURN_NS 1000000

static const struct budget message_budget =
	BUDGET(BAR_LEASE_MESSAGES_PER_SECOND, BAR_LEASE_MESSAGE_BURST);
static const struct budget call_budget =
	BUDGET(BAR_LEASE_CALLS_PER_SECOND, BAR_LEASE_CALL_BURST);

bool
peer_spend(struct peer *peer, unsigned int count)
{
	return budget_spend(&message_budget, &peer->message_budget, count);
}

/* Messages that this one makes an honest lessee send: they come of our own doing. */
static unsigned int
count_answers(const struct peer *peer, uint16_t type, uint32_t slice)
{
	if (type == LEASE_REVOKED) /* it gives it back, and wants it again */
		return 2 + BAR_LEASE_GRANT_COST;
	if (type != LEASE_AVAILABLE)
		return 0;
	return slice == LEASE_ALL_SLICES ? peer->lessor->nb_slots : 1;
}

/*
 * Without a word that it is available, a lessee asks again by itself, and a notice is not about
 * leases. When it loses any other message, because it does not read, it and the table would
 * disagree for ever: its end of file then comes like any other, once what is on its way from here
 * has returned.
 */
void
peer_tell(struct peer *peer, uint16_t type, uint32_t slice, int32_t value, int32_t holder)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
		.value = value,
		.holder = holder,
	};

	if (peer->channel == NULL)
		return;
	if (lease_send(peer->fd, &message, -1) == 0)
		budget_return(&message_budget, &peer->message_budget,
			      count_answers(peer, type, slice));
	else if (type != LEASE_AVAILABLE && type != LEASE_NOTICE)
		shutdown(peer->fd, SHUT_RDWR);
}

void
peers_tell(struct bar_lessor *lessor, uint16_t type, uint32_t subject, int32_t value)
{
	struct peer *peer;

	/* Before its HELLO, a peer waits for WELCOME and nothing else. */
	TAILQ_FOREACH(peer, &lessor->peers, next)
		if (peer->process != NULL)
			peer_tell(peer, type, subject, value, 0);
}

void
peer_revoke_all(struct peer *peer)
{
	struct bar_lessor *lessor = peer->lessor;
	unsigned int i;

	for (i = 0; i < lessor->nb_slots; i++) {
		struct slot *slot = &lessor->slots[i];

		if (slot->holder == peer && slot_state(slot) == BAR_LEASE_LEASED)
			slice_lose(lessor, slot);
	}
}

struct peer *
peer_create(struct bar_lessor *lessor, int fd, uid_t uid)
{
	struct peer *peer = NULL;

	if (__atomic_add_fetch(&lessor->nb_peers, 1, __ATOMIC_RELAXED) > BAR_LEASE_MAX_PEERS)
		errno = EUSERS;
	else
		peer = calloc(1, sizeof(*peer));
	if (peer == NULL) {
		__atomic_fetch_sub(&lessor->nb_peers, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	peer->lessor = lessor;
	peer->fd = fd;
	peer->uid = uid;
	lease_widen(fd);
	return peer;
}

void
peer_discard(struct peer *peer)
{
	__atomic_fetch_sub(&peer->lessor->nb_peers, 1, __ATOMIC_RELAXED);
	free(peer);
}

void
peer_free(struct peer *peer)
{
	struct bar_lessor *lessor = peer->lessor;
	unsigned int i;

	TAILQ_REMOVE(&lessor->peers, peer, next);
	for (i = 0; i < lessor->nb_slots; i++) {
		if (lessor->slots[i].former != peer)
			continue;
		lessor->slots[i].former = NULL;
		bar_lessor_offer(lessor, i);
	}
	lease_watch_remove(peer->channel);
	lease_watch_remove(peer->process);
	peer_discard(peer);
}

unsigned int
peer_count_held(const struct peer *peer)
{
	unsigned int i, count = 0;

	for (i = 0; i < peer->lessor->nb_slots; i++)
		count += peer->lessor->slots[i].holder == peer;
	return count;
}

/* Only what it holds, or has let go of when it was revoked, is a reason to wait for its end. */
void
peer_settle(struct peer *peer)
{
	const struct bar_lessor *lessor = peer->lessor;
	unsigned int i;

	if (peer->channel != NULL)
		return;
	for (i = 0; i < lessor->nb_slots; i++)
		if (lessor->slots[i].holder == peer || lessor->slots[i].former == peer)
			return;
	peer_free(peer);
}

static const char *
hangup_reason(const struct peer *peer, int error)
{
	if (error == -EDQUOT)
		return "too many requests";
	if (error == -ETIMEDOUT)
		return "it says nothing";
	if (error == -EUSERS && peer->process == NULL)
		return "too many processes of its user";
	if (error == -EACCES)
		return "no rule lets its user lease anything";
	if (error == -ESRCH)
		return "it has ended, or is in another namespace of processes";
	return strerror(-error);
}

void
peer_hangup(struct peer *peer, int error)
{
	if (error != 0)
		PEER_LOG(peer, WARNING, "%s: process %d of user %u: hanging up: %s",
			 peer->lessor->name, peer->pid, peer->uid, hangup_reason(peer, error));
	if (error != 0 || peer->process != NULL)
		peer_event(peer, BAR_LEASE_EVENT_HUNG_UP, -error);
	peer_revoke_all(peer);
	lease_watch_remove(peer->channel);
	peer->channel = NULL;
	peer_settle(peer);
}

/*
 * EAL looks the callback up by the descriptor's number, for events that it fetched before: this
 * one may belong to a descriptor that was closed since, whose number the pidfd was given.
 */
static bool
has_ended(const struct peer *peer)
{
	struct pollfd process = { .fd = peer->pidfd, .events = POLLIN };

	return poll(&process, 1, 0) > 0;
}

static void
peer_ended(void *arg)
{
	struct peer *peer = arg;
	struct bar_lessor *lessor = peer->lessor;
	unsigned int i, count = 0;

	if (!has_ended(peer))
		return;
	/* Revoke every slice before the first reset: resets take longer. */
	peer_revoke_all(peer);
	for (i = 0; i < lessor->nb_slots; i++) {
		struct slot *slot = &lessor->slots[i];

		if (slot->former == peer)
			slot->info.ended = true;
		if (slot->holder == peer) {
			slot->former = peer;
			slot->info.ended = true;
			slice_reset(lessor, slot);
			count++;
		}
	}
	for (i = 0; i < lessor->nb_slots; i++)
		if (lessor->slots[i].former == peer && lessor->ended != NULL)
			lessor->ended(lessor->arg, i, peer->pid);
	PEER_LOG(peer, NOTICE, "%s: process %d has ended: %u slices revoked and reset",
		 lessor->name, peer->pid, count);
	peer_event(peer, BAR_LEASE_EVENT_ENDED, 0);
	peer_free(peer);
}

/* The pidfd of whoever sent the message; where the kernel attaches none, by its pid. */
static int
sender_pidfd(struct peer *peer, struct lease_ancillary *ancillary)
{
	struct pollfd hangup = { .fd = peer->fd, .events = 0 };
	int pidfd = ancillary->pidfd;

	/* A negative errno in its place: the sender has ended, and its pid may be another's. */
	if (pidfd != -1) {
		ancillary->pidfd = -1;
		return pidfd;
	}
	pidfd = (int)syscall(SYS_pidfd_open, ancillary->cred.pid, 0);
	if (pidfd < 0)
		return -errno;
	/* A live channel behind the open shows that the pid was not handed to somebody else. */
	if (poll(&hangup, 1, 0) != 0) {
		close(pidfd);
		return -ESRCH;
	}
	return pidfd;
}

/* Whether there is room for one more process of its user. */
static int
check_user(const struct peer *peer)
{
	const struct bar_lease_rule *rule = policy_of_peer(peer);
	unsigned int max = BAR_LEASE_MAX_PEERS_PER_USER, count = 0;
	const struct peer *other;

	if (rule == NULL)
		return -EACCES;
	if (rule->max_peers != BAR_LEASE_ANY)
		max = rule->max_peers;
	else if (peer->uid == 0 || peer->uid == getuid())
		max = BAR_LEASE_MAX_PEERS;
	TAILQ_FOREACH(other, &peer->lessor->peers, next)
		count += other->process != NULL && other->uid == peer->uid;
	return count < max ? 0 : -EUSERS;
}

static int
peer_refuse(struct peer *peer, int error)
{
	refusal_event(peer, -1, -error);
	peer_tell(peer, LEASE_REFUSE, LEASE_ALL_SLICES, -error, 0);
	return error;
}

static int
peer_hello(struct peer *peer, struct lease_ancillary *ancillary)
{
	int off = 0, pidfd, ret;

	if (peer->process != NULL || ancillary->fd >= 0)
		return -EPROTO;
	peer->pid = ancillary->cred.pid;
	peer->uid = ancillary->cred.uid;
	peer->gid = ancillary->cred.gid;
	/* Without a number here it could not be named. */
	ret = peer->pid == 0 ? -ESRCH : check_user(peer);
	if (ret != 0)
		return peer_refuse(peer, ret);
	pidfd = sender_pidfd(peer, ancillary);
	if (pidfd < 0)
		return pidfd;
	peer->pidfd = pidfd;
	peer->process = lease_watch_add(pidfd, peer_ended, peer);
	if (peer->process == NULL) {
		close(pidfd);
		return -ENOMEM;
	}
	/* One is enough: each further message would bring one more to close. */
	setsockopt(peer->fd, SOL_SOCKET, SO_PASSPIDFD, &off, sizeof(off));
	peer->since = lease_clock();
	PEER_LOG(peer, INFO, "%s: process %d of user %u attached", peer->lessor->name, peer->pid,
		 peer->uid);
	peer_event(peer, BAR_LEASE_EVENT_ATTACHED, 0);
	peer_tell(peer, LEASE_WELCOME, 0, (int32_t)peer->lessor->nb_slots, 0);
	return 0;
}

/* Returns 1: what was asked for may have taken long, so it is the others' turn. */
static int
peer_call(struct peer *peer, const struct lease_message *message)
{
	struct bar_lessor *lessor = peer->lessor;
	int ret = -ENOTSUP;

	if (!budget_spend(&call_budget, &peer->call_budget, 1))
		ret = -EAGAIN;
	else if (lessor->call != NULL)
		ret = lessor->call(lessor->arg, message->slice, message->value);
	peer_tell(peer, LEASE_ANSWER, message->slice, ret, message->holder);
	return 1;
}

static int
peer_message(struct peer *peer, const struct lease_message *message,
	     struct lease_ancillary *ancillary)
{
	struct bar_lessor *lessor = peer->lessor;

	peer->messages++;
	if (!peer_spend(peer, 1))
		return -EDQUOT;
	if (message->type == LEASE_HELLO)
		return peer_hello(peer, ancillary);
	if (peer->process == NULL || ancillary->fd >= 0)
		return -EPROTO;
	if (message->type == LEASE_CALL)
		return peer_call(peer, message);
	if (message->type == LEASE_RELEASE && message->slice == LEASE_ALL_SLICES) {
		slices_leave(peer);
		return 0;
	}
	if (message->slice >= lessor->nb_slots)
		return -EPROTO;
	switch (message->type) {
	case LEASE_REQUEST:
		return slice_grant(peer, &lessor->slots[message->slice]);
	case LEASE_RELEASE:
		slice_release(peer, &lessor->slots[message->slice], message->value);
		return 0;
	default:
		return -EPROTO;
	}
}

static void
peer_readable(void *arg)
{
	struct peer *peer = arg;
	struct lease_ancillary ancillary;
	struct lease_message message;
	uint64_t end = lease_clock() + TURN_NS;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < MESSAGES_PER_TURN && ret == 0 && lease_clock() < end; i++) {
		ret = lease_receive(peer->fd, &message, &ancillary);
		if (ret == 0) {
			ret = peer_message(peer, &message, &ancillary);
			lease_ancillary_close(&ancillary);
		}
	}
	if (ret < 0 && ret != -EAGAIN)
		peer_hangup(peer, ret == -EPIPE ? 0 : ret);
}

static void
drop_oldest_silent(struct bar_lessor *lessor, uid_t uid)
{
	struct peer *peer, *oldest = NULL;
	struct pollfd said = { .events = POLLIN };
	unsigned int count = 0;

	TAILQ_FOREACH(peer, &lessor->peers, next) {
		if (peer->process != NULL || peer->uid != uid)
			continue;
		if (count++ == 0)
			oldest = peer;
	}
	if (count <= BAR_LEASE_MAX_SILENT)
		return;
	said.fd = oldest->fd;
	if (poll(&said, 1, 0) == 0) /* else it is about to be served */
		peer_hangup(oldest, -ETIMEDOUT);
}

void
peer_begin(struct peer *peer)
{
	struct bar_lessor *lessor = peer->lessor;

	TAILQ_INSERT_TAIL(&lessor->peers, peer, next);
	peer->hello_by = lease_clock() + BAR_LEASE_HELLO_MS * UINT64_C(1000000);
	peer->channel = lease_watch_add(peer->fd, peer_readable, peer);
	if (peer->channel == NULL) {
		LEASE_LOG(ERR, "%s: no memory to serve another process", lessor->name);
		close(peer->fd);
		peer_free(peer);
		return;
	}
	drop_oldest_silent(lessor, peer->uid);
	lessor_wake_at(lessor, peer->hello_by);
}

void
peer_admit(void *arg)
{
	struct peer *peer = arg;

	lease_lessors_lock();
	TAILQ_REMOVE(&peer->lessor->joining, peer, next);
	lease_lessors_unlock();
	peer_begin(peer);
}
