/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_interrupts.h>

#include "bar_lease_private.h"

/* Delay of an alarm that is meant to run at once, in microseconds; EAL accepts no 0. */
#define AT_ONCE 1

/*
 * What comes before EAL is asked comes before its callback. ThreadSanitizer does not see the locks
 * of EAL, which is built without it.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define BEFORE_EAL(arg) __tsan_release(arg)
#define AFTER_EAL(arg) __tsan_acquire(arg)
#else
#define BEFORE_EAL(arg)
#define AFTER_EAL(arg)
#endif

struct lease_watch {
	struct rte_intr_handle *handle;
	void (*fn)(void *arg);
	void *arg;
};

struct job {
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

uint64_t
lease_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * The handle is the watch's own: the one that EAL passes to its unregister callback is a copy
 * that EAL frees.
 */
static void
watch_free(struct rte_intr_handle *eal_copy __rte_unused, void *arg)
{
	struct lease_watch *watch = arg;

	close(rte_intr_fd_get(watch->handle));
	rte_intr_instance_free(watch->handle);
	free(watch);
}

static void
watch_event(void *arg)
{
	struct lease_watch *watch = arg;

	AFTER_EAL(watch);
	watch->fn(watch->arg);
}

struct lease_watch *
lease_watch_add(int fd, void (*fn)(void *arg), void *arg)
{
	struct lease_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->fn = fn;
	watch->arg = arg;
	BEFORE_EAL(watch);
	watch->handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (watch->handle == NULL ||
	    rte_intr_fd_set(watch->handle, fd) != 0 ||
	    rte_intr_type_set(watch->handle, RTE_INTR_HANDLE_EXT) != 0 ||
	    rte_intr_callback_register(watch->handle, watch_event, watch) != 0) {
		rte_intr_instance_free(watch->handle);
		free(watch);
		return NULL;
	}
	return watch;
}

void
lease_watch_remove(struct lease_watch *watch)
{
	int ret;

	if (watch == NULL)
		return;
	ret = rte_intr_callback_unregister(watch->handle, watch_event, watch);
	if (ret == -EAGAIN) /* its own callback is what runs now */
		rte_intr_callback_unregister_pending(watch->handle, watch_event, watch,
						     watch_free);
	else
		watch_free(NULL, watch);
}

static void
run_and_signal(void *arg)
{
	struct job *job = arg;

	AFTER_EAL(job);
	job->fn(job->arg);
	sem_post(&job->done);
}

int
lease_run(void (*fn)(void *arg), void *arg)
{
	struct job job = { .fn = fn, .arg = arg };
	int ret;

	if (rte_thread_is_intr()) {
		fn(arg);
		return 0;
	}
	sem_init(&job.done, 0, 0);
	BEFORE_EAL(&job);
	ret = rte_eal_alarm_set(AT_ONCE, run_and_signal, &job);
	if (ret == 0)
		while (sem_wait(&job.done) != 0)
			; /* EINTR */
	sem_destroy(&job.done);
	return ret;
}

int
lease_post(void (*fn)(void *arg), void *arg)
{
	return rte_eal_alarm_set(AT_ONCE, fn, arg);
}
