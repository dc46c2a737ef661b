/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_interrupts.h>
#include <rte_string_fns.h>

#include "bar_lessor_private.h"

RTE_LOG_REGISTER(bar_lease_logtype, lib.bar_lease, NOTICE);

static int
check_conf(const struct bar_lessor_conf *conf)
{
	if (conf->name == NULL || strnlen(conf->name, BAR_LEASE_NAME_SIZE) == BAR_LEASE_NAME_SIZE ||
	    conf->nb_slices == 0 || conf->nb_slices > BAR_LEASE_MAX_SLICES ||
	    conf->reset == NULL || conf->nb_rules > BAR_LEASE_MAX_RULES ||
	    rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -EINVAL;
	if (conf->support.interface != BAR_SLICE_REVOKE_IOCTL &&
	    conf->support.interface != BAR_SLICE_REVOKE_FEATURE) {
		LEASE_LOG(ERR, "%s: the kernel cannot map and revoke slices of this device: bind "
			  "it to dmabuf-vfio-pci", conf->name);
		return -ENOTSUP;
	}
	if (conf->memattr == BAR_SLICE_WRITE_COMBINED && !conf->support.memattr) {
		LEASE_LOG(ERR, "%s: the kernel cannot map slices write-combining", conf->name);
		return -ENOTSUP;
	}
	return 0;
}

int
bar_lessor_create(const struct bar_lessor_conf *conf, struct bar_lessor **lessor)
{
	struct bar_lessor *new;
	unsigned int i;
	int ret;

	ret = check_conf(conf);
	if (ret != 0)
		return ret;
	new = calloc(1, sizeof(*new) + conf->nb_slices * sizeof(new->slots[0]));
	if (new == NULL)
		return -ENOMEM;
	strlcpy(new->name, conf->name, sizeof(new->name));
	new->device_fd = conf->device_fd;
	new->support = conf->support;
	new->memattr = conf->memattr;
	new->reset = conf->reset;
	new->call = conf->call;
	new->admit = conf->admit;
	new->ended = conf->ended;
	new->event = conf->event;
	new->doorbells = conf->doorbells;
	new->arg = conf->arg;
	new->fence_ns = (uint64_t)conf->fence_ms * 1000000;
	new->listener_fd = -1;
	new->spare_fd = -1;
	policy_set(new, conf->policy, conf->nb_rules);
	new->nb_slots = conf->nb_slices;
	TAILQ_INIT(&new->peers);
	TAILQ_INIT(&new->joining);
	for (i = 0; i < conf->nb_slices; i++) {
		new->slots[i].slice = conf->slices[i];
		new->slots[i].dmabuf = -1;
		new->slots[i].counters = conf->counters != NULL ? &conf->counters[i] :
							       &new->not_counted;
	}
	ret = lessor_publish(new);
	if (ret != 0) {
		free(new);
		return ret;
	}
	ret = lessor_listen(new, conf->socket_path, conf->socket_mode);
	if (ret != 0) {
		bar_lessor_destroy(new);
		return ret;
	}
	*lessor = new;
	return 0;
}

static void
revoke_everything(void *arg)
{
	struct bar_lessor *lessor = arg;
	struct peer *peer;
	unsigned int i;

	__atomic_store_n(&lessor->started, 0, __ATOMIC_RELEASE);
	TAILQ_FOREACH(peer, &lessor->peers, next)
		peer_revoke_all(peer);
	for (i = 0; i < lessor->nb_slots; i++) {
		struct slot *slot = &lessor->slots[i];

		if (slot->holder != NULL)
			peer_tell(slot->holder, LEASE_REVOKED, i, lease_number(slot), 0);
	}
}

/* With every answer that comes before it ends, the slice is free without a reset. */
static void
stop_begin(void *arg)
{
	struct bar_lessor *lessor = arg;

	lessor->stopping = true;
	revoke_everything(lessor);
}

static void
lessor_teardown(void *arg)
{
	struct bar_lessor *lessor = arg;
	struct peer *peer;
	unsigned int i;

	lessor_listen_no_more(lessor);
	lessor_drop_joining(lessor);
	revoke_everything(lessor);
	for (i = 0; i < lessor->nb_slots; i++)
		if (!slice_is_revoked(lessor, &lessor->slots[i]))
			close(lessor->slots[i].dmabuf);
	lessor_wake_never(lessor); /* after all that may set a time */
	while ((peer = TAILQ_FIRST(&lessor->peers)) != NULL)
		peer_free(peer);
	free(lessor);
}

void
bar_lessor_destroy(struct bar_lessor *lessor)
{
	if (lessor == NULL)
		return;
	lessor_unpublish(lessor);
	lease_run(lessor_teardown, lessor);
}

static void
lessor_open(void *arg)
{
	struct bar_lessor *lessor = arg;
	struct slot *slot;
	unsigned int i;

	for (i = 0; i < lessor->nb_slots; i++) {
		slot = &lessor->slots[i];
		if (slot_state(slot) == BAR_LEASE_QUARANTINED)
			slot_set_state(slot, slice_is_revoked(lessor, slot) ?
				       BAR_LEASE_FREE : BAR_LEASE_QUARANTINED);
	}
	__atomic_store_n(&lessor->started, 1, __ATOMIC_RELEASE);
	for (i = 0; i < lessor->nb_slots; i++) {
		slot = &lessor->slots[i];
		if (slot_state(slot) == BAR_LEASE_RESETTING)
			slice_reset(lessor, slot);
	}
	peers_tell(lessor, LEASE_AVAILABLE, LEASE_ALL_SLICES, 0);
}

void
bar_lessor_start(struct bar_lessor *lessor)
{
	lease_run(lessor_open, lessor);
}

struct stop_job {
	struct bar_lessor *lessor;
	uint64_t deadline;
	int count;
};

static void
stop_end(void *arg)
{
	struct stop_job *job = arg;
	unsigned int i;

	job->count = 0;
	for (i = 0; i < job->lessor->nb_slots; i++)
		if (job->lessor->slots[i].holder != NULL)
			job->count++;
	/* On the interrupt thread itself no answer can arrive while we wait. */
	job->lessor->stopping = job->count > 0 && lease_clock() < job->deadline;
}

int
bar_lessor_stop(struct bar_lessor *lessor, unsigned int timeout_ms)
{
	struct stop_job job = { .lessor = lessor };

	if (!rte_thread_is_intr())
		job.deadline = lease_clock() + (uint64_t)timeout_ms * 1000000;
	lease_run(stop_begin, lessor);
	lease_run(stop_end, &job);
	while (lessor->stopping) {
		rte_delay_us_sleep(1000);
		lease_run(stop_end, &job);
	}
	return job.count;
}

unsigned int
bar_lessor_count_lessees(const struct bar_lessor *lessor)
{
	return __atomic_load_n(&lessor->nb_peers, __ATOMIC_RELAXED);
}

enum bar_lease_state
bar_lessor_state(const struct bar_lessor *lessor, unsigned int slice)
{
	return slot_state(&lessor->slots[slice]);
}

int
bar_lessor_hold(struct bar_lessor *lessor, unsigned int slice)
{
	if (slice >= lessor->nb_slots || !slot_claim(&lessor->slots[slice], BAR_LEASE_TAKEN))
		return -EBUSY;
	return 0;
}

int
bar_lessor_take(struct bar_lessor *lessor, unsigned int slice)
{
	return lessor_is_started(lessor) ? bar_lessor_hold(lessor, slice) : -ENETDOWN;
}

void
bar_lessor_put(struct bar_lessor *lessor, unsigned int slice)
{
	int expected = BAR_LEASE_TAKEN;

	__atomic_compare_exchange_n(&lessor->slots[slice].state, &expected, BAR_LEASE_FREE, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void
bar_lessor_offer(struct bar_lessor *lessor, unsigned int slice)
{
	if (lessor_is_started(lessor) && slot_state(&lessor->slots[slice]) == BAR_LEASE_FREE)
		peers_tell(lessor, LEASE_AVAILABLE, slice, 0);
}

struct notice_job {
	struct bar_lessor *lessor;
	uint32_t code;
	int32_t value;
};

static void
notify(void *arg)
{
	struct notice_job *job = arg;

	peers_tell(job->lessor, LEASE_NOTICE, job->code, job->value);
}

void
bar_lessor_notify(struct bar_lessor *lessor, uint32_t code, int32_t value)
{
	struct notice_job job = { .lessor = lessor, .code = code, .value = value };

	lease_run(notify, &job);
}

struct query_job {
	const struct slot *slot;
	struct bar_lease_info *info;
};

static void
query(void *arg)
{
	struct query_job *job = arg;

	*job->info = job->slot->info;
	job->info->state = slot_state(job->slot);
	job->info->former = job->slot->former != NULL ? job->slot->former->pid : 0;
	if (job->info->state == BAR_LEASE_TAKEN)
		job->info->pid = getpid();
}

int
bar_lessor_query(struct bar_lessor *lessor, unsigned int slice, struct bar_lease_info *info)
{
	struct query_job job;

	if (slice >= lessor->nb_slots)
		return -EINVAL;
	job.slot = &lessor->slots[slice];
	job.info = info;
	return lease_run(query, &job);
}
