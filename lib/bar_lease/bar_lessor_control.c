/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the operator can do, and what comes of itself when a time is over.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_alarm.h>

#include "bar_lessor_private.h"

/* ---- Times ---- */

/*
 * Whoever is killed may be in the middle of a burst: that is what it is for. Its end is then seen
 * as any other.
 */
static void
fence(struct peer *peer)
{
	int error = 0;

	if (peer->pid == getpid())
		error = EDEADLK;
	else if (syscall(SYS_pidfd_send_signal, peer->pidfd, SIGKILL, NULL, 0) != 0)
		error = errno;
	peer_event(peer, BAR_LEASE_EVENT_FENCED, error);
	if (error == 0)
		LEASE_LOG(NOTICE, "%s: process %d has not let go in time: killed",
			  peer->lessor->name, peer->pid);
	else if (error != ESRCH) /* it has just ended */
		LEASE_LOG(ERR, "%s: process %d has not let go in time and cannot be killed: %s",
			  peer->lessor->name, peer->pid, strerror(error));
}

static void
fence_late(struct bar_lessor *lessor, uint64_t now)
{
	struct slot *slot, *other;

	for (slot = lessor->slots; slot < lessor->slots + lessor->nb_slots; slot++) {
		if (slot->holder == NULL || slot->fence_at == 0 || slot->fence_at > now)
			continue;
		for (other = slot; other < lessor->slots + lessor->nb_slots; other++)
			if (other->holder == slot->holder)
				other->fence_at = 0;
		fence(slot->holder);
	}
}

static void
hang_up_on_silent(struct bar_lessor *lessor, uint64_t now)
{
	struct peer *peer, *following;

	for (peer = TAILQ_FIRST(&lessor->peers); peer != NULL; peer = following) {
		following = TAILQ_NEXT(peer, next);
		if (peer->process == NULL && peer->hello_by <= now)
			peer_hangup(peer, -ETIMEDOUT);
	}
}

static void
times_over(void *arg)
{
	struct bar_lessor *lessor = arg;
	uint64_t now = lease_clock(), next = UINT64_MAX;
	const struct peer *peer;
	unsigned int i;

	lessor->alarm_at = 0;
	hang_up_on_silent(lessor, now);
	fence_late(lessor, now);
	TAILQ_FOREACH(peer, &lessor->peers, next)
		if (peer->process == NULL)
			next = RTE_MIN(next, peer->hello_by);
	for (i = 0; i < lessor->nb_slots; i++)
		if (lessor->slots[i].holder != NULL && lessor->slots[i].fence_at != 0)
			next = RTE_MIN(next, lessor->slots[i].fence_at);
	if (next != UINT64_MAX)
		lessor_wake_at(lessor, next);
}

void
lessor_wake_at(struct bar_lessor *lessor, uint64_t time)
{
	uint64_t now = lease_clock();

	if (lessor->alarm_at != 0) {
		if (lessor->alarm_at <= time)
			return;
		rte_eal_alarm_cancel(times_over, lessor);
	}
	lessor->alarm_at = time;
	/* A microsecond late, so that it is not early. */
	if (rte_eal_alarm_set(time <= now ? 1 : (time - now) / 1000 + 1, times_over, lessor) == 0)
		return;
	lessor->alarm_at = 0;
	LEASE_LOG(ERR, "%s: no memory for a timer: limits in time are not kept", lessor->name);
}

void
lessor_wake_never(struct bar_lessor *lessor)
{
	rte_eal_alarm_cancel(times_over, lessor);
}

/* ---- Commands ---- */

struct revoke_job {
	struct bar_lessor *lessor;
	struct slot *slot;
	int ret;
};

static void
revoke_one(void *arg)
{
	struct revoke_job *job = arg;
	struct slot *slot = job->slot;
	enum bar_lease_state state = slot_state(slot);

	if (slot->holder == NULL || (state != BAR_LEASE_LEASED && state != BAR_LEASE_REVOKED)) {
		job->ret = -ENOENT;
		return;
	}
	if (state == BAR_LEASE_REVOKED && slot->dmabuf < 0) {
		job->ret = -EALREADY;
		return;
	}
	LEASE_LOG(NOTICE, "%s: %s: revoked from process %d as asked for", job->lessor->name,
		  slot->slice.name, slot->holder->pid);
	if (state == BAR_LEASE_LEASED)
		slice_lose(job->lessor, slot);
	else
		slice_revoke(job->lessor, slot);
	peer_tell(slot->holder, LEASE_REVOKED, slot_index(job->lessor, slot), lease_number(slot),
		  0);
	job->ret = slot->dmabuf < 0 ? 0 : -EIO;
}

int
bar_lessor_revoke(struct bar_lessor *lessor, unsigned int slice)
{
	struct revoke_job job = { .lessor = lessor };
	int ret;

	if (slice >= lessor->nb_slots)
		return -EINVAL;
	job.slot = &lessor->slots[slice];
	ret = lease_run(revoke_one, &job);
	return ret != 0 ? ret : job.ret;
}

struct drain_job {
	struct bar_lessor *lessor;
	pid_t pid;
	bool fence;
	uint64_t fence_at;
	int ret;
};

static void
drain_peer(struct peer *peer, struct drain_job *job)
{
	struct bar_lessor *lessor = job->lessor;
	struct slot *slot;
	int count = 0;

	peer->drained = true;
	peer_revoke_all(peer);
	for (slot = lessor->slots; slot < lessor->slots + lessor->nb_slots; slot++) {
		if (slot->holder != peer)
			continue;
		peer_tell(peer, LEASE_REVOKED, slot_index(lessor, slot), lease_number(slot), 0);
		if (job->fence && (slot->fence_at == 0 || job->fence_at < slot->fence_at))
			slot->fence_at = job->fence_at;
		count++;
	}
	if (job->fence && count > 0)
		lessor_wake_at(lessor, job->fence_at);
	peer_event(peer, BAR_LEASE_EVENT_DRAINED, 0);
	LEASE_LOG(NOTICE, "%s: process %d is drained: %d slices revoked", lessor->name, peer->pid,
		  count);
	job->ret += count;
}

static void
drain(void *arg)
{
	struct drain_job *job = arg;
	struct peer *peer;
	bool found = false;

	TAILQ_FOREACH(peer, &job->lessor->peers, next) {
		if (peer->process == NULL || peer->pid != job->pid)
			continue;
		drain_peer(peer, job);
		found = true;
	}
	if (!found)
		job->ret = -ESRCH;
}

int
bar_lessor_drain(struct bar_lessor *lessor, pid_t pid, unsigned int flags, unsigned int grace_ms)
{
	struct drain_job job = {
		.lessor = lessor,
		.pid = pid,
		.fence = (flags & BAR_LEASE_FENCE) != 0,
		.fence_at = lease_clock() + (uint64_t)grace_ms * 1000000,
	};
	int ret;

	if (job.fence && pid == getpid())
		return -EDEADLK;
	ret = lease_run(drain, &job);
	return ret != 0 ? ret : job.ret;
}

struct policy_job {
	struct bar_lessor *lessor;
	const struct bar_lease_rule *rules;
	struct bar_lease_rule *copy;
	unsigned int nb_rules;
};

static void
set_policy(void *arg)
{
	struct policy_job *job = arg;
	struct bar_lessor *lessor = job->lessor;

	policy_set(lessor, job->rules, job->nb_rules);
	lessor_event(lessor, BAR_LEASE_EVENT_POLICY);
	LEASE_LOG(NOTICE, "%s: a new policy of %u rules; what is leased stays leased",
		  lessor->name, lessor->nb_rules);
	/* What was refused may be had by now. */
	if (lessor_is_started(lessor))
		peers_tell(lessor, LEASE_AVAILABLE, LEASE_ALL_SLICES, 0);
}

int
bar_lessor_set_policy(struct bar_lessor *lessor, const struct bar_lease_rule *policy,
		      unsigned int nb_rules)
{
	struct policy_job job = { .lessor = lessor, .rules = policy, .nb_rules = nb_rules };

	return nb_rules > BAR_LEASE_MAX_RULES ? -EINVAL : lease_run(set_policy, &job);
}

static void
get_policy(void *arg)
{
	struct policy_job *job = arg;

	job->nb_rules = job->lessor->nb_rules;
	memcpy(job->copy, job->lessor->rules, job->nb_rules * sizeof(job->copy[0]));
}

int
bar_lessor_get_policy(struct bar_lessor *lessor, struct bar_lease_rule *rules)
{
	struct policy_job job = { .lessor = lessor, .copy = rules };
	int ret = lease_run(get_policy, &job);

	return ret != 0 ? ret : (int)job.nb_rules;
}

struct peers_job {
	struct bar_lessor *lessor;
	struct bar_lease_peer *peers;
	unsigned int max;
	unsigned int count;
};

static void
describe_peers(void *arg)
{
	struct peers_job *job = arg;
	const struct peer *peer;

	TAILQ_FOREACH(peer, &job->lessor->peers, next) {
		if (job->count++ >= job->max)
			continue;
		job->peers[job->count - 1] = (struct bar_lease_peer){
			.pid = peer->pid,
			.uid = peer->uid,
			.gid = peer->gid,
			.since = peer->since,
			.slices = peer_count_held(peer),
			.messages = peer->messages,
			.refused = peer->refused,
			.connected = peer->channel != NULL,
			.drained = peer->drained,
		};
	}
}

int
bar_lessor_peers(struct bar_lessor *lessor, struct bar_lease_peer *peers, unsigned int max)
{
	struct peers_job job = { .lessor = lessor, .peers = peers, .max = max };
	int ret = lease_run(describe_peers, &job);

	return ret != 0 ? ret : (int)job.count;
}
