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

/* Messages taken from one peer before the others get their turn. */
#define MESSAGES_PER_TURN 32

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

	if (peer->channel != NULL && lease_send(peer->fd, &message, -1) != 0 &&
	    type != LEASE_AVAILABLE && type != LEASE_NOTICE)
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

		if (slot->holder == peer && slot_state(slot) == BAR_LEASE_LEASED) {
			slice_revoke(lessor, slot);
			slot->counters->lost++;
		}
	}
}

void
peer_free(struct peer *peer)
{
	TAILQ_REMOVE(&peer->lessor->peers, peer, next);
	lease_watch_remove(peer->channel);
	lease_watch_remove(peer->process);
	__atomic_fetch_sub(&peer->lessor->nb_peers, 1, __ATOMIC_RELAXED);
	free(peer);
}

static bool
peer_holds_any(const struct peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->lessor->nb_slots; i++)
		if (peer->lessor->slots[i].holder == peer)
			return true;
	return false;
}

/* End of file, or nothing sensible to expect any more: revoke now, reset when it has ended. */
static void
peer_hangup(struct peer *peer)
{
	peer_revoke_all(peer);
	lease_watch_remove(peer->channel);
	peer->channel = NULL;
	/* Only what it still holds is a reason to wait for its end. */
	if (!peer_holds_any(peer))
		peer_free(peer);
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

		if (slot->holder == peer) {
			slot->info.ended = true;
			slice_reset(lessor, slot);
			count++;
		}
	}
	LEASE_LOG(NOTICE, "%s: process %d has ended: %u slices revoked and reset", lessor->name,
		  peer->pid, count);
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

static int
peer_hello(struct peer *peer, struct lease_ancillary *ancillary)
{
	int off = 0, pidfd;

	if (peer->process != NULL || ancillary->cred.pid == 0 || ancillary->fd >= 0)
		return -EPROTO;
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
	peer->pid = ancillary->cred.pid;
	peer->uid = ancillary->cred.uid;
	LEASE_LOG(INFO, "%s: process %d of user %u attached", peer->lessor->name, peer->pid,
		  peer->uid);
	peer_tell(peer, LEASE_WELCOME, 0, (int32_t)peer->lessor->nb_slots, 0);
	return 0;
}

/* Returns 1: what was asked for may have taken long, so it is the others' turn. */
static int
peer_call(struct peer *peer, const struct lease_message *message)
{
	struct bar_lessor *lessor = peer->lessor;
	int ret = -ENOTSUP;

	if (lessor->call != NULL)
		ret = lessor->call(lessor->arg, message->slice, message->value);
	peer_tell(peer, LEASE_ANSWER, message->slice, ret, message->holder);
	return 1;
}

static int
peer_message(struct peer *peer, const struct lease_message *message,
	     struct lease_ancillary *ancillary)
{
	struct bar_lessor *lessor = peer->lessor;

	if (message->type == LEASE_HELLO)
		return peer_hello(peer, ancillary);
	if (peer->process == NULL || ancillary->fd >= 0)
		return -EPROTO;
	if (message->type == LEASE_CALL)
		return peer_call(peer, message);
	if (message->slice >= lessor->nb_slots)
		return -EPROTO;
	switch (message->type) {
	case LEASE_REQUEST:
		slice_grant(peer, &lessor->slots[message->slice]);
		return 0;
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
	unsigned int i;
	int ret = 0;

	for (i = 0; i < MESSAGES_PER_TURN && ret == 0; i++) {
		ret = lease_receive(peer->fd, &message, &ancillary);
		if (ret == 0) {
			ret = peer_message(peer, &message, &ancillary);
			lease_ancillary_close(&ancillary);
		}
	}
	if (ret >= 0 || ret == -EAGAIN)
		return;
	if (ret != -EPIPE)
		LEASE_LOG(WARNING, "%s: process %d: hanging up: %s", peer->lessor->name,
			  peer->pid, strerror(-ret));
	peer_hangup(peer);
}

void
peer_admit(void *arg)
{
	struct peer *peer = arg;

	lease_lessors_lock();
	TAILQ_REMOVE(&peer->lessor->joining, peer, next);
	lease_lessors_unlock();
	TAILQ_INSERT_TAIL(&peer->lessor->peers, peer, next);
	peer->channel = lease_watch_add(peer->fd, peer_readable, peer);
	if (peer->channel == NULL) {
		LEASE_LOG(ERR, "%s: no memory to serve another process", peer->lessor->name);
		close(peer->fd);
		peer_free(peer);
	}
}
