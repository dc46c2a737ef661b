/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What the lessor says of what happens: events, and lines in the log that peers are the cause of.
 */
#include <errno.h>
#include <string.h>

#include "bar_lessor_private.h"

static const struct budget line_budget = BUDGET(BAR_LEASE_LINES_PER_SECOND, BAR_LEASE_LINE_BURST);

const char *
bar_lease_event_name(enum bar_lease_event_type type)
{
	switch (type) {
	case BAR_LEASE_EVENT_ATTACHED:
		return "attached";
	case BAR_LEASE_EVENT_REFUSED:
		return "refused";
	case BAR_LEASE_EVENT_GRANTED:
		return "granted";
	case BAR_LEASE_EVENT_REVOKED:
		return "revoked";
	case BAR_LEASE_EVENT_RELEASED:
		return "released";
	case BAR_LEASE_EVENT_FREED:
		return "freed";
	case BAR_LEASE_EVENT_QUARANTINED:
		return "quarantined";
	case BAR_LEASE_EVENT_HUNG_UP:
		return "hung_up";
	case BAR_LEASE_EVENT_ENDED:
		return "ended";
	case BAR_LEASE_EVENT_DRAINED:
		return "drained";
	case BAR_LEASE_EVENT_FENCED:
		return "fenced";
	case BAR_LEASE_EVENT_POLICY:
		return "policy";
	}
	return "unknown";
}

/* Two users may share one place, and then also what they may say. */
static struct voice *
voice_of(const struct peer *peer)
{
	return &peer->lessor->voices[peer->uid % RTE_DIM(peer->lessor->voices)];
}

bool
peer_may_be_logged(struct peer *peer)
{
	struct voice *voice = voice_of(peer);

	if (!budget_spend(&line_budget, &voice->lines, 1)) {
		voice->unsaid++;
		return false;
	}
	if (voice->unsaid > 0)
		LEASE_LOG(NOTICE, "%s: %u lines about processes of user %u were left out",
			  peer->lessor->name, voice->unsaid, peer->uid);
	voice->unsaid = 0;
	return true;
}

static void
add_event(struct bar_lessor *lessor, struct bar_lease_event *event)
{
	event->number = ++lessor->nb_events;
	event->time = lease_clock();
	lessor->events[event->number % BAR_LEASE_KEPT_EVENTS] = *event;
	if (lessor->event != NULL)
		lessor->event(lessor->arg, event);
}

void
lessor_event(struct bar_lessor *lessor, enum bar_lease_event_type type)
{
	struct bar_lease_event event = { .type = type, .slice = -1 };

	add_event(lessor, &event);
}

void
peer_event(struct peer *peer, enum bar_lease_event_type type, int error)
{
	struct bar_lease_event event = {
		.type = type,
		.slice = -1,
		.pid = peer->pid,
		.uid = peer->uid,
		.error = error,
	};

	add_event(peer->lessor, &event);
}

void
slot_event(struct bar_lessor *lessor, const struct slot *slot, enum bar_lease_event_type type,
	   int error)
{
	struct bar_lease_event event = {
		.type = type,
		.slice = (int)slot_index(lessor, slot),
		.pid = slot->info.pid,
		.uid = slot->info.uid,
		.error = error,
	};

	add_event(lessor, &event);
}

void
refusal_event(struct peer *peer, int slice, int error)
{
	struct bar_lease_event event = {
		.type = BAR_LEASE_EVENT_REFUSED,
		.slice = slice,
		.pid = peer->pid,
		.uid = peer->uid,
		.error = error,
	};

	if (budget_spend(&line_budget, &voice_of(peer)->refusals, 1))
		add_event(peer->lessor, &event);
}

struct events_job {
	const struct bar_lessor *lessor;
	uint64_t since;
	struct bar_lease_event *events;
	unsigned int max;
	int count;
};

static void
copy_events(void *arg)
{
	struct events_job *job = arg;
	const uint64_t last = job->lessor->nb_events;
	uint64_t number = job->since + 1;

	if (last > BAR_LEASE_KEPT_EVENTS)
		number = RTE_MAX(number, last - BAR_LEASE_KEPT_EVENTS + 1);
	for (; number <= last && (unsigned int)job->count < job->max; number++)
		job->events[job->count++] = job->lessor->events[number % BAR_LEASE_KEPT_EVENTS];
}

int
bar_lessor_events(struct bar_lessor *lessor, uint64_t since, struct bar_lease_event *events,
		  unsigned int max)
{
	struct events_job job = {
		.lessor = lessor, .since = since, .events = events, .max = max,
	};
	int ret;

	if (since >= UINT64_MAX - 1)
		return 0;
	ret = lease_run(copy_events, &job);
	return ret != 0 ? ret : job.count;
}
