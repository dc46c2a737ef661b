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
	/* -ENODEV: the device went away, and the kernel has taken the mappings with it. */
	if (ret != 0 && ret != -EBADFD && ret != -ENODEV) {
		LEASE_LOG(ERR, "%s: %s: cannot revoke: %s", lessor->name, slot->slice.name,
			  bar_slice_error());
		return;
	}
	slot->info.revoked_at = lease_clock();
	close(slot->dmabuf);
	slot->dmabuf = -1;
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
	if (lessor_is_started(lessor))
		peers_tell(lessor, LEASE_AVAILABLE, slot_index(lessor, slot), 0);
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
		return;
	}
	slice_free(lessor, slot);
}

static void
slice_refuse(struct peer *peer, struct slot *slot, int error)
{
	pid_t holder = slot->holder != NULL ? slot->holder->pid : 0;

	if (slot_state(slot) == BAR_LEASE_TAKEN)
		holder = getpid();
	slot->info.refused++;
	slot->counters->refused++;
	LEASE_LOG(INFO, "%s: %s: refused to process %d: %s, holder %d", peer->lessor->name,
		  slot->slice.name, peer->pid, strerror(error), holder);
	peer_tell(peer, LEASE_REFUSE, slot_index(peer->lessor, slot), error, holder);
}

int32_t
lease_number(const struct slot *slot)
{
	return (int32_t)(uint32_t)slot->info.granted;
}

void
slice_grant(struct peer *peer, struct slot *slot)
{
	struct bar_lessor *lessor = peer->lessor;
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_GRANT,
		.slice = slot_index(lessor, slot),
	};
	long page = sysconf(_SC_PAGESIZE);
	int ret;

	slot->counters->requests++;
	if (!lessor_is_started(lessor)) {
		slice_refuse(peer, slot, ENETDOWN);
		return;
	}
	if (!slot_claim(slot, BAR_LEASE_LEASED)) {
		slice_refuse(peer, slot, slot_state(slot) == BAR_LEASE_QUARANTINED ?
			     ENOTRECOVERABLE : EBUSY);
		return;
	}
	ret = bar_slice_export(lessor->device_fd, &lessor->support, slot->slice.bar,
			       slot->slice.offset, (uint64_t)page, slot->slice.name,
			       lessor->memattr);
	if (ret < 0) {
		LEASE_LOG(ERR, "%s: %s: %s", lessor->name, slot->slice.name, bar_slice_error());
		slot_set_state(slot, BAR_LEASE_FREE);
		slice_refuse(peer, slot, -ret);
		return;
	}
	slot->dmabuf = ret;
	slot->holder = peer;
	slot->info.pid = peer->pid;
	slot->info.uid = peer->uid;
	slot->info.ended = false;
	slot->info.granted++;
	slot->info.granted_at = lease_clock();
	message.value = lease_number(slot);
	ret = lease_send(peer->fd, &message, slot->dmabuf);
	if (ret == 0)
		return;

	/* It never arrived, so nobody has touched anything: no reset is due. */
	LEASE_LOG(WARNING, "%s: %s: process %d does not take its lease: %s", lessor->name,
		  slot->slice.name, peer->pid, strerror(-ret));
	slice_revoke(lessor, slot);
	slot->holder = NULL;
	slot_set_state(slot, slot->dmabuf < 0 ? BAR_LEASE_FREE : BAR_LEASE_QUARANTINED);
	slice_refuse(peer, slot, -ret);
}

void
slice_release(struct peer *peer, struct slot *slot, int32_t lease)
{
	if (slot->holder != peer || lease != lease_number(slot))
		return; /* stale, or not its own */
	if (slot_state(slot) == BAR_LEASE_LEASED)
		slice_revoke(peer->lessor, slot);
	slice_reset(peer->lessor, slot);
}
