/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * When the process that owns a pool dies, the pool is rebuilt, but not before the device has
 * forgotten every buffer of it: that is when each queue of the group, on whatever port, has been
 * reset since, or was free, and is kept from everybody. Ports notice the death one by one.
 *
 * Until it dies or takes its leave, nobody else gets a queue of the group, also where all were
 * revoked and it has let go of them: it may stand still in the middle of an operation on the pool.
 *
 * The rebuild and all that leads to it runs on the interrupt thread. Others have the lock only for
 * a moment, and call no lessor meanwhile that would wait for that thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_interrupts.h>

#include "rte_pmd_virtio_lease.h"
#include "virtio_lease.h"
#include "virtio_lease_pool.h"

RTE_EXPORT_EXPERIMENTAL_SYMBOL(rte_pmd_virtio_lease_own_pool, 26.03)

/* EAL's alarms accept no 0. */
#define AT_ONCE_US 1

struct vlease_owned {
	TAILQ_ENTRY(vlease_owned) next;
	struct vlease_pool pool;
	pid_t dead;			/* whose death is being dealt with, or 0 */
	unsigned int reclaimed;		/* mbufs found in its queues */
	bool stuck;			/* a queue cannot be reset; said so */
	pid_t waiting;			/* refused a queue for the sake of another, or 0 */
};

/* A queue of a group, as the search for what is in the way of the rebuild meets it. */
struct place {
	struct vlease_process *process;
	struct vlease_owner *owner;
	uint16_t queue;
};

static TAILQ_HEAD(, vlease_owned) all_owned = TAILQ_HEAD_INITIALIZER(all_owned);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The queue of a group that comes after this one, of all ports; begins with all zeros. */
static bool
next_place(const struct vlease_owned *owned, struct place *place)
{
	unsigned int port = 0, queue = 0;

	if (place->process != NULL) {
		port = place->process->adapter->port_id;
		queue = place->queue + 1u;
	}
	for (; port < RTE_MAX_ETHPORTS; port++, queue = 0) {
		place->process = vlease_processes[port];
		if (place->process == NULL)
			continue;
		for (; queue < 2u * place->process->adapter->max_pairs; queue++) {
			place->owner = &place->process->owners[queue];
			place->queue = (uint16_t)queue;
			if (place->owner->owned == owned)
				return true;
		}
	}
	return false;
}

enum verdict { IS_DONE, IS_AWAITED, IS_MISUSED };

/* How things stand with one queue. Keeps a free one. Of a misuse: whose it is. */
static enum verdict
judge(const struct vlease_owned *owned, const struct place *place, pid_t *holder)
{
	struct vlease_process *process = place->process;
	struct bar_lease_info info;

	if (place->owner->held || place->owner->pending)
		return IS_DONE;
	bar_lessor_query(process->lessor, place->queue, &info);
	if (info.former != 0 && info.former != owned->dead &&
	    info.granted != place->owner->settled) {
		*holder = info.former;
		return IS_MISUSED;
	}
	*holder = info.pid;
	if ((info.state == BAR_LEASE_LEASED || info.state == BAR_LEASE_REVOKED) &&
	    info.pid != owned->dead)
		return IS_MISUSED;
	if (process->quiet)
		return IS_DONE;
	if (!process->started)
		return IS_AWAITED;
	if (info.state == BAR_LEASE_FREE)
		place->owner->held = bar_lessor_hold(process->lessor, place->queue) == 0;
	if (place->owner->held || (info.state == BAR_LEASE_TAKEN && process->stopped[place->queue]))
		return IS_DONE;
	if (info.state == BAR_LEASE_FREE || info.state == BAR_LEASE_TAKEN) {
		*holder = getpid();
		return IS_MISUSED;
	}
	return IS_AWAITED;
}

static void
name_place(const struct place *place, char *name, size_t size)
{
	char queue[8];

	vlease_queue_name(place->queue, queue, sizeof(queue));
	snprintf(name, size, "%s: %s", place->process->adapter->address, queue);
}

/* A queue that stays in quarantine keeps all others waiting: worth one line. */
static void
explain_wait(struct vlease_owned *owned, const struct place *place)
{
	char name[64];

	if (owned->stuck || bar_lessor_state(place->process->lessor, place->queue) !=
	    BAR_LEASE_QUARANTINED)
		return;
	owned->stuck = true;
	name_place(place, name, sizeof(name));
	VLEASE_LOG(ERR, "%s: cannot be reset: pool %s of process %d, which has ended, cannot be "
		   "rebuilt, and its queues cannot be granted, before the port is stopped or "
		   "started", name, owned->pool.mempool->name, (int)owned->dead);
}

/* Whose pool it is, unless it is this process'; 0: nobody's. */
static pid_t
find_other(const struct vlease_owned *owned, pid_t pid)
{
	struct bar_lease_info info;
	struct place place = { 0 };
	pid_t other;

	/* No queue is granted before the pool is rebuilt. */
	if (owned->dead != 0)
		return owned->dead;
	while (next_place(owned, &place)) {
		bar_lessor_query(place.process->lessor, place.queue, &info);
		other = info.former;
		if (info.state == BAR_LEASE_LEASED || info.state == BAR_LEASE_REVOKED)
			other = info.pid;
		if (other != 0 && other != pid && info.granted != place.owner->settled)
			return other;
	}
	return 0;
}

pid_t
vlease_owned_admit(void *arg, unsigned int queue, pid_t pid)
{
	const struct vlease_process *process = arg;
	struct vlease_owned *owned;
	pid_t other = 0;

	pthread_mutex_lock(&lock);
	owned = process->owners[queue].owned;
	if (owned != NULL)
		other = find_other(owned, pid);
	if (other != 0)
		owned->waiting = pid;
	pthread_mutex_unlock(&lock);
	return other;
}

/* Whoever was refused a queue may have given up on others that are free by now. */
static void
offer(struct vlease_owned *owned)
{
	struct place place = { 0 };

	if (owned->waiting == 0 || find_other(owned, owned->waiting) != 0)
		return;
	owned->waiting = 0;
	while (next_place(owned, &place))
		bar_lessor_offer(place.process->lessor, place.queue);
}

/* Nobody's end is being dealt with any more: the queues are free, as far as they were. */
static void
release(struct vlease_owned *owned, const struct vlease_owner *current)
{
	struct place place = { 0 };

	owned->dead = 0;
	owned->stuck = false;
	while (next_place(owned, &place)) {
		if (place.owner->held)
			bar_lessor_put(place.process->lessor, place.queue);
		/* For the current one its reset says so. */
		if (place.owner->pending && place.owner != current)
			bar_lessor_reset_done(place.process->lessor, place.queue);
		place.owner->held = false;
		place.owner->pending = false;
	}
	offer(owned);
}

/* What the dead process has held is dealt with, also where its port has yet to hear of the end. */
static void
settle(struct vlease_owned *owned, bool rebuilt)
{
	struct bar_lease_info info;
	struct place place = { 0 };

	while (next_place(owned, &place)) {
		bar_lessor_query(place.process->lessor, place.queue, &info);
		if (info.pid != owned->dead && info.state != BAR_LEASE_TAKEN)
			continue;
		place.owner->settled = info.granted;
		place.owner->stale = rebuilt && !place.owner->pending &&
				     (info.state == BAR_LEASE_REVOKED ||
				      info.state == BAR_LEASE_RESETTING);
	}
}

static void
rebuild(struct vlease_owned *owned)
{
	unsigned int missing = vlease_pool_count_missing(&owned->pool);
	struct vlease_adapter *adapter;
	struct place place = { 0 };

	next_place(owned, &place);
	adapter = place.process->adapter;
	missing -= RTE_MIN(missing, owned->reclaimed);
	vlease_pool_rebuild(&owned->pool);
	adapter->pools_rebuilt++;
	adapter->mbufs_recovered += missing;
	VLEASE_LOG(NOTICE, "%s: pool %s is rebuilt: process %d had ended with %u of its buffers in "
		   "hand", adapter->address, owned->pool.mempool->name, (int)owned->dead, missing);
}

/* The interrupt thread, with the lock. */
static void
try_rebuild(struct vlease_owned *owned, const struct vlease_owner *current)
{
	struct place place = { 0 };
	bool wait = false;
	pid_t holder;
	char name[64];

	while (next_place(owned, &place)) {
		switch (judge(owned, &place, &holder)) {
		case IS_DONE:
			break;
		case IS_AWAITED:
			explain_wait(owned, &place);
			wait = true;
			break;
		case IS_MISUSED:
			name_place(&place, name, sizeof(name));
			VLEASE_LOG(ERR, "%s: process %d holds it, and process %d, which has ended, "
				   "held others of pool %s: it is not rebuilt; a pool has one "
				   "owner", name, (int)holder, (int)owned->dead,
				   owned->pool.mempool->name);
			settle(owned, false);
			release(owned, current);
			return;
		}
	}
	if (wait)
		return;
	rebuild(owned);
	settle(owned, true);
	release(owned, current);
}

static void
try_all(void *arg __rte_unused)
{
	struct vlease_owned *owned;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(owned, &all_owned, next)
		if (owned->dead != 0)
			try_rebuild(owned, NULL);
	pthread_mutex_unlock(&lock);
}

static void
post_try(void)
{
	if (rte_eal_alarm_set(AT_ONCE_US, try_all, NULL) != 0)
		VLEASE_LOG(ERR, "no memory for a timer: pools are not rebuilt");
}

static void
begin(struct vlease_owned *owned, pid_t dead)
{
	owned->dead = dead;
	owned->reclaimed = 0;
}

void
vlease_owned_look(struct vlease_process *process, uint16_t queue,
		  struct vlease_queue_config *config)
{
	struct vlease_owner *owner = &process->owners[queue];
	struct bar_lease_info info;
	struct vlease_owned *owned;

	/* Whose a queue is changes on the application's thread only, with the port stopped. */
	if (owner->owned == NULL || bar_lessor_query(process->lessor, queue, &info) != 0)
		return;
	pthread_mutex_lock(&lock);
	owned = owner->owned;
	/* Of one that this process has taken since, the lessor has told. */
	if (owned->dead == 0 && info.ended && info.granted != owner->settled &&
	    info.state != BAR_LEASE_TAKEN) {
		begin(owned, info.pid);
		if (!rte_thread_is_intr())
			post_try();
	}
	config->owned = owned->pool.mempool;
	config->owner_ended = owner->stale || (owned->dead == info.pid &&
					       info.granted != owner->settled);
	pthread_mutex_unlock(&lock);
}

void
vlease_owned_reclaimed(struct vlease_process *process, uint16_t queue, unsigned int count)
{
	pthread_mutex_lock(&lock);
	process->owners[queue].stale = false;
	process->owners[queue].owned->reclaimed += count;
	pthread_mutex_unlock(&lock);
}

int
vlease_owned_reset(struct vlease_process *process, uint16_t queue, int result)
{
	struct vlease_queue_config unused;
	struct vlease_owner *owner = &process->owners[queue];
	struct vlease_owned *owned;

	/* A reset that failed has not come to the reclaim. */
	if (result != 0)
		vlease_owned_look(process, queue, &unused);
	pthread_mutex_lock(&lock);
	owned = owner->owned;
	if (owned != NULL && owned->dead != 0) {
		owner->pending = result == 0;
		try_rebuild(owned, owner);
		if (owner->pending)
			result = -EINPROGRESS;
	} else if (owned != NULL) {
		offer(owned);
	}
	pthread_mutex_unlock(&lock);
	return result;
}

void
vlease_owned_ended(void *arg, unsigned int queue, pid_t pid)
{
	struct vlease_process *process = arg;
	const struct vlease_owner *owner = &process->owners[queue];
	struct bar_lease_info info;

	bar_lessor_query(process->lessor, queue, &info);
	pthread_mutex_lock(&lock);
	if (owner->owned != NULL && info.granted != owner->settled) {
		if (owner->owned->dead == 0)
			begin(owner->owned, pid);
		try_rebuild(owner->owned, NULL);
	}
	pthread_mutex_unlock(&lock);
}

/* Before the lessor grants any. */
static void
keep_free_queues(struct vlease_process *process)
{
	struct vlease_owner *owner;
	uint16_t i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i++) {
		owner = &process->owners[i];
		if (owner->owned != NULL && owner->owned->dead != 0 && !owner->held)
			owner->held = bar_lessor_hold(process->lessor, i) == 0;
	}
}

void
vlease_owned_set_quiet(struct vlease_process *process, bool quiet)
{
	pthread_mutex_lock(&lock);
	process->quiet = quiet;
	if (!quiet)
		keep_free_queues(process);
	pthread_mutex_unlock(&lock);
	if (quiet)
		vlease_owned_started();
}

void
vlease_owned_started(void)
{
	bool any;

	pthread_mutex_lock(&lock);
	any = !TAILQ_EMPTY(&all_owned);
	pthread_mutex_unlock(&lock);
	if (any)
		post_try();
}

int
vlease_owned_check(const struct vlease_process *process)
{
	const struct vlease_owned *owned;
	char name[8];
	uint16_t i;

	for (i = 0; i < 2 * process->adapter->max_pairs; i += 2) {
		owned = process->owners[i].owned;
		if (owned == NULL || process->rings[i] == NULL ||
		    process->queues[i].pool == owned->pool.mempool)
			continue;
		vlease_queue_name(i, name, sizeof(name));
		VLEASE_LOG(ERR, "%s: %s: owns pool %s, but was set up with pool %s",
			   process->adapter->address, name, owned->pool.mempool->name,
			   process->queues[i].pool->name);
		return -EINVAL;
	}
	return 0;
}

/* ---- Whose pool it is ---- */

static void
drop_if_unused(struct vlease_owned *owned)
{
	struct place place = { 0 };

	if (next_place(owned, &place))
		return;
	TAILQ_REMOVE(&all_owned, owned, next);
	free(owned->pool.objects);
	free(owned);
}

static void
drop_unused(void)
{
	struct vlease_owned *owned, *next;

	for (owned = TAILQ_FIRST(&all_owned); owned != NULL; owned = next) {
		next = TAILQ_NEXT(owned, next);
		drop_if_unused(owned);
	}
}

void
vlease_owned_forget_port(struct vlease_process *process)
{
	uint16_t i;

	pthread_mutex_lock(&lock);
	vlease_processes[process->adapter->port_id] = NULL;
	for (i = 0; i < 2 * process->adapter->max_pairs; i++)
		process->owners[i].owned = NULL;
	drop_unused();
	pthread_mutex_unlock(&lock);
	vlease_owned_started();
}

/* With the lock. */
static struct vlease_owned *
find_or_learn(struct rte_mempool *mp, const char *address, int *error)
{
	struct vlease_owned *owned;

	TAILQ_FOREACH(owned, &all_owned, next)
		if (owned->pool.mempool == mp)
			return owned;
	owned = calloc(1, sizeof(*owned));
	*error = owned == NULL ? -ENOMEM : vlease_pool_learn(&owned->pool, mp);
	if (*error == 0) {
		TAILQ_INSERT_TAIL(&all_owned, owned, next);
		return owned;
	}
	if (*error == -ENOTSUP)
		VLEASE_LOG(ERR, "%s: pool %s, of %s, cannot be owned: it takes ring_mp_mc or "
			   "ring_mp_sc", address, mp->name,
			   rte_mempool_get_ops(mp->ops_index)->name);
	else if (*error == -EINVAL)
		VLEASE_LOG(ERR, "%s: pool %s cannot be owned: it is not one of mbufs", address,
			   mp->name);
	free(owned);
	return NULL;
}

/* With the lock. */
static int
check_owners(const struct vlease_process *process, uint16_t first, uint16_t last,
	     const struct vlease_owned *owned)
{
	uint16_t i;

	for (i = first; i <= last; i++) {
		if (process->owners[i].owned == NULL || process->owners[i].owned == owned)
			continue;
		if (owned != NULL)
			return -EEXIST;
		if (process->owners[i].owned->dead != 0)
			return -EBUSY;
	}
	return 0;
}

/* Ends before now are of no interest. */
static int
own(struct vlease_process *process, uint16_t first, uint16_t last, struct rte_mempool *mp)
{
	struct vlease_owned *owned = NULL;
	int ret = 0;
	uint16_t i;

	pthread_mutex_lock(&lock);
	if (mp != NULL)
		owned = find_or_learn(mp, process->adapter->address, &ret);
	if (ret == 0 && owned != NULL && owned->dead != 0)
		ret = -EBUSY;
	if (ret == 0)
		ret = check_owners(process, first, last, owned);
	for (i = first; i <= last && ret == 0; i++)
		process->owners[i].owned = owned;
	drop_unused();
	pthread_mutex_unlock(&lock);
	return ret;
}

int
rte_pmd_virtio_lease_own_pool(uint16_t port_id, uint16_t first_pair, uint16_t nb_pairs,
			      struct rte_mempool *mp)
{
	struct vlease_process *process;
	struct bar_lease_info info;
	struct rte_eth_dev *dev;
	uint16_t i;

	if (!rte_eth_dev_is_valid_port(port_id))
		return -ENODEV;
	dev = &rte_eth_devices[port_id];
	if (dev->dev_ops == &vlease_secondary_ops)
		return -EPERM;
	if (dev->dev_ops != &vlease_primary_ops)
		return -ENODEV;
	if (dev->data->dev_started)
		return -EBUSY;
	process = vlease_process(dev);
	if (nb_pairs == 0 || first_pair + nb_pairs > process->adapter->max_pairs)
		return -EINVAL;
	for (i = 2 * first_pair; i < 2 * (first_pair + nb_pairs); i++)
		if (process->owners[i].owned == NULL &&
		    bar_lessor_query(process->lessor, i, &info) == 0)
			process->owners[i].settled = info.granted;
	return own(process, 2 * first_pair, 2 * (first_pair + nb_pairs) - 1, mp);
}
