/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * rte_mp finds the lessor and hands out one end of a channel. What runs on its thread must not
 * wait for the interrupt thread, which may be waiting for an answer through rte_mp.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_string_fns.h>

#include "bar_lessor_private.h"

static TAILQ_HEAD(, bar_lessor) lessors = TAILQ_HEAD_INITIALIZER(lessors);
static pthread_mutex_t lessors_mutex = PTHREAD_MUTEX_INITIALIZER;

void
lease_lessors_lock(void)
{
	pthread_mutex_lock(&lessors_mutex);
}

void
lease_lessors_unlock(void)
{
	pthread_mutex_unlock(&lessors_mutex);
}

struct bar_lessor *
lease_lessor_next(struct bar_lessor *after)
{
	return after == NULL ? TAILQ_FIRST(&lessors) : TAILQ_NEXT(after, next);
}

/* Returns the lessee's end of a new channel. The list of lessors is locked. */
static int
open_channel(struct bar_lessor *lessor)
{
	struct peer *peer;
	int on = 1, ends[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	lease_widen(ends[1]);
	/* Before the lessee can send: what is sent earlier carries no credentials. */
	if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
		goto failed;
	setsockopt(ends[0], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)); /* Linux 6.5 */
	peer = peer_create(lessor, ends[0], getuid());
	if (peer == NULL)
		goto failed;
	if (lease_post(peer_admit, peer) != 0) {
		peer_discard(peer);
		errno = ENOMEM;
		goto failed;
	}
	TAILQ_INSERT_TAIL(&lessor->joining, peer, next);
	return ends[1];

failed:
	ret = -errno;
	close(ends[0]);
	close(ends[1]);
	return ret;
}

static struct bar_lessor *
lessor_find(const char *name)
{
	struct bar_lessor *lessor;

	TAILQ_FOREACH(lessor, &lessors, next)
		if (strcmp(lessor->name, name) == 0)
			return lessor;
	return NULL;
}

static int
rendezvous(const struct rte_mp_msg *msg, const void *sender)
{
	struct rte_mp_msg answer = { .len_param = sizeof(struct lease_rendezvous_reply) };
	struct lease_rendezvous_reply *reply = (void *)answer.param;
	struct lease_rendezvous_request request = { 0 };
	struct bar_lessor *lessor;
	int ret;

	if (msg->len_param == sizeof(request)) /* else of another version */
		memcpy(&request, msg->param, sizeof(request));
	request.name[sizeof(request.name) - 1] = '\0';
	strlcpy(answer.name, LEASE_ACTION, sizeof(answer.name));
	reply->version = LEASE_PROTOCOL_VERSION;

	lease_lessors_lock();
	lessor = lessor_find(request.name);
	if (request.version != LEASE_PROTOCOL_VERSION)
		ret = -EPROTO;
	else if (lessor == NULL)
		ret = -ENOENT;
	else
		ret = open_channel(lessor);
	lease_lessors_unlock();

	if (ret >= 0) {
		answer.num_fds = 1;
		answer.fds[0] = ret;
	} else {
		reply->error = ret;
	}
	rte_mp_reply(&answer, sender);
	if (ret >= 0)
		close(ret);
	return 0;
}

/* The first lessor opens the rendezvous for all of them. */
int
lessor_publish(struct bar_lessor *lessor)
{
	int ret = 0;

	lease_lessors_lock();
	if (lessor_find(lessor->name) != NULL) {
		ret = -EEXIST;
	} else if (TAILQ_EMPTY(&lessors) &&
		   rte_mp_action_register(LEASE_ACTION, rendezvous) != 0) {
		ret = -rte_errno;
		LEASE_LOG(ERR, "%s: no multi-process channel: %s", lessor->name,
			  rte_strerror(rte_errno));
	}
	if (ret == 0)
		TAILQ_INSERT_TAIL(&lessors, lessor, next);
	lease_lessors_unlock();
	return ret;
}

void
lessor_unpublish(struct bar_lessor *lessor)
{
	lease_lessors_lock();
	TAILQ_REMOVE(&lessors, lessor, next);
	/* Does not wait for a running rendezvous(), which may be waiting for the lock. */
	if (TAILQ_EMPTY(&lessors))
		rte_mp_action_unregister(LEASE_ACTION);
	lease_lessors_unlock();
}

void
lessor_drop_joining(struct bar_lessor *lessor)
{
	struct peer *peer;

	/* On the interrupt thread itself, a destroy comes before what was posted to it. */
	while ((peer = TAILQ_FIRST(&lessor->joining)) != NULL) {
		TAILQ_REMOVE(&lessor->joining, peer, next);
		rte_eal_alarm_cancel(peer_admit, peer);
		close(peer->fd);
		peer_discard(peer);
	}
}
