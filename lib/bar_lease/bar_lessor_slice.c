/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bar_lessor_private.h"

const char *
bar_lease_state_name(enum bar_lease_state state)
{
	switch (state) {
	case BAR_LEASE_FREE:
		return "free";
	case BAR_LEASE_TAKEN:
		return "taken";
	case BAR_LEASE_LEASED:
		return "leased";
	case BAR_LEASE_REVOKED:
		return "revoked";
	case BAR_LEASE_RESETTING:
		return "resetting";
	case BAR_LEASE_QUARANTINED:
		return "quarantined";
	}
	return "unknown";
}

void
slice_revoke(struct bar_lessor *lessor, struct slot *slot)
{
	int ret;

	ret = bar_slice_revoke(lessor->device_fd, &lessor->support, slot->dmabuf);
	slot_set_state(slot, BAR_LEASE_REVOKED);
	slot->fence_at = 0;
	if (lessor->fence_ns != 0) {
		slot->fence_at = lease_clock() + lessor->fence_ns;
		lessor_wake_at(lessor, slot->fence_at);
	}
	/* -ENODEV: the device went away, and the kernel has taken the mappings with it. */
	if (ret != 0 && ret != -EBADFD && ret != -ENODEV) {
		LEASE_LOG(ERR, "%s: %s: cannot revoke: %s", lessor->name, slot->slice.name,
			  bar_slice_error());
		slot_event(lessor, slot, BAR_LEASE_EVENT_REVOKED, -ret);
		return;
	}
	slot->info.revoked_at = lease_clock();
	close(slot->dmabuf);
	slot->dmabuf = -1;
	slot_event(lessor, slot, BAR_LEASE_EVENT_REVOKED, 0);
}

/* Of a counter that others read meanwhile; nobody else writes it. */
static void
count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

void
slice_lose(struct bar_lessor *lessor, struct slot *slot)
{
	slice_revoke(lessor, slot);
	count(&slot->counters->lost);
}

bool
slice_is_revoked(struct bar_lessor *lessor, struct slot *slot)
{
	if (slot->dmabuf >= 0)
		slice_revoke(lessor, slot);
	return slot->dmabuf < 0;
}

static void
slice_free(struct bar_lessor *lessor, struct slot *slot)
{
	slot->info.freed_at = lease_clock();
	slot_set_state(slot, BAR_LEASE_FREE);
	slot_event(lessor, slot, BAR_LEASE_EVENT_FREED, 0);
	bar_lessor_offer(lessor, slot_index(lessor, slot));
}

void
bar_lessor_reset_done(struct bar_lessor *lessor, unsigned int slice)
{
	struct slot *slot = &lessor->slots[slice];

	if (lessor_is_started(lessor) && slot_state(slot) == BAR_LEASE_RESETTING)
		slice_free(lessor, slot);
}

void
slice_reset(struct bar_lessor *lessor, struct slot *slot)
{
	int ret;

	slot->holder = NULL;
	if (!slice_is_revoked(lessor, slot)) {
		slot_set_state(slot, BAR_LEASE_QUARANTINED);
		slot_event(lessor, slot, BAR_LEASE_EVENT_QUARANTINED, EIO);
		return;
	}
	slot_set_state(slot, BAR_LEASE_RESETTING);
	if (!lessor_is_started(lessor) && !lessor->stopping)
		return; /* until the start */
	ret = lessor_is_started(lessor) ? lessor->reset(lessor->arg, slot_index(lessor, slot)) : 0;
	if (ret == -EINPROGRESS)
		return; /* until bar_lessor_reset_done() */
	if (ret != 0) {
		LEASE_LOG(ERR, "%s: %s: cannot be reset (%s): quarantined", lessor->name,
			  slot->slice.name, strerror(-ret));
		slot_set_state(slot, BAR_LEASE_QUARANTINED);
		slot_event(lessor, slot, BAR_LEASE_EVENT_QUARANTINED, -ret);
		return;
	}
	slice_free(lessor, slot);
}

/* Because of the process in its way, if it is one. */
static void
slice_refuse(struct peer *peer, struct slot *slot, int error, pid_t holder)
{
	if (slot->holder != NULL)
		holder = slot->holder->pid;
	else if (slot_state(slot) == BAR_LEASE_TAKEN)
		holder = getpid();
	slot->info.refused++;
	count(&slot->counters->refused);
	peer->refused++;
	refusal_event(peer, (int)slot_index(peer->lessor, slot), error);
	PEER_LOG(peer, INFO, "%s: %s: refused to process %d: %s, holder %d", peer->lessor->name,
		 slot->slice.name, peer->pid, strerror(error), holder);
	peer_tell(peer, LEASE_REFUSE, slot_index(peer->lessor, slot), error, holder);
}

int32_t
lease_number(const struct slot *slot)
{
	return (int32_t)(uint32_t)slot->info.granted;
}

/* Of all processes of its user. */
static unsigned int
count_held_by_user(const struct peer *peer)
{
	const struct bar_lessor *lessor = peer->lessor;
	unsigned int i, count = 0;

	for (i = 0; i < lessor->nb_slots; i++)
		if (lessor->slots[i].holder != NULL && lessor->slots[i].holder->uid == peer->uid)
			count++;
	return count;
}

/* Why it does not get the slice, although nobody else may have it; 0: it does. */
static int
check_request(const struct peer *peer, const struct slot *slot)
{
	const struct bar_lease_rule *rule = policy_of_slice(peer, slot_index(peer->lessor, slot));

	if (rule == NULL)
		return EACCES;
	if (peer->drained)
		return ESHUTDOWN;
	if (!lessor_is_started(peer->lessor))
		return ENETDOWN;
	if (rule->max_slices != BAR_LEASE_ANY && count_held_by_user(peer) >= rule->max_slices)
		return EDQUOT;
	return 0;
}

int
slice_grant(struct peer *peer, struct slot *slot)
{
	struct bar_lessor *lessor = peer->lessor;
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_GRANT,
		.slice = slot_index(lessor, slot),
	};
	long page = sysconf(_SC_PAGESIZE);
	struct peer *former = slot->former;
	pid_t other = 0;
	int ret;

	count(&slot->counters->requests);
	ret = check_request(peer, slot);
	if (ret == 0 && lessor->admit != NULL && slot_state(slot) == BAR_LEASE_FREE) {
		other = lessor->admit(lessor->arg, message.slice, peer->pid);
		ret = other != 0 ? EBUSY : 0;
	}
	if (ret == 0 && !slot_claim(slot, BAR_LEASE_LEASED))
		ret = slot_state(slot) == BAR_LEASE_QUARANTINED ? ENOTRECOVERABLE : EBUSY;
	if (ret != 0) {
		slice_refuse(peer, slot, ret, other);
		return 0;
	}
	if (!peer_spend(peer, BAR_LEASE_GRANT_COST)) {
		slot_set_state(slot, BAR_LEASE_FREE);
		return -EDQUOT;
	}
	ret = bar_slice_export(lessor->device_fd, &lessor->support, slot->slice.bar,
			       slot->slice.offset, (uint64_t)page, slot->slice.name,
			       lessor->memattr);
	if (ret < 0) {
		LEASE_LOG(ERR, "%s: %s: %s", lessor->name, slot->slice.name, bar_slice_error());
		slot_set_state(slot, BAR_LEASE_FREE);
		slice_refuse(peer, slot, -ret, 0);
		return 0;
	}
	slot->dmabuf = ret;
	slot->holder = peer;
	slot->fence_at = 0; /* that of an earlier holder, who has let go */
	slot->info.pid = peer->pid;
	slot->info.uid = peer->uid;
	slot->info.ended = false;
	slot->info.granted++;
	slot->info.granted_at = lease_clock();
	message.value = lease_number(slot);
	slot_event(lessor, slot, BAR_LEASE_EVENT_GRANTED, 0);
	ret = lease_send(peer->fd, &message, slot->dmabuf);
	if (ret == 0) {
		slot->former = NULL;
		if (former != NULL)
			peer_settle(former);
		return 0;
	}

	/* It never arrived, so nobody has touched anything: no reset is due. */
	PEER_LOG(peer, WARNING, "%s: %s: process %d does not take its lease: %s", lessor->name,
		 slot->slice.name, peer->pid, strerror(-ret));
	slice_revoke(lessor, slot);
	slot->holder = NULL;
	slot_set_state(slot, slot->dmabuf < 0 ? BAR_LEASE_FREE : BAR_LEASE_QUARANTINED);
	slice_refuse(peer, slot, -ret, 0);
	return 0;
}

/* What is revoked already, it may not have let go of all by itself. */
static void
slice_let_go(struct peer *peer, struct slot *slot, bool for_good)
{
	slot_event(peer->lessor, slot, BAR_LEASE_EVENT_RELEASED, 0);
	if (slot_state(slot) == BAR_LEASE_LEASED)
		slice_revoke(peer->lessor, slot);
	else if (!for_good)
		slot->former = peer;
	slice_reset(peer->lessor, slot);
}

void
slice_release(struct peer *peer, struct slot *slot, int32_t lease)
{
	if (slot->holder != peer || lease != lease_number(slot))
		return; /* stale, or not its own */
	slice_let_go(peer, slot, false);
}

/* Also of what it had let go of on a channel that it has no more. */
void
slices_leave(struct peer *peer)
{
	struct bar_lessor *lessor = peer->lessor;
	struct peer *former;
	struct slot *slot;

	for (slot = lessor->slots; slot < lessor->slots + lessor->nb_slots; slot++) {
		if (slot->holder == peer)
			slice_let_go(peer, slot, true);
		former = slot->former;
		if (former == NULL || former->pid != peer->pid)
			continue;
		slot->former = NULL;
		bar_lessor_offer(lessor, slot_index(lessor, slot));
		peer_settle(former);
	}
}
