/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Races. The main thread exports slices, maps them, and revokes them or closes the device, round
 * after round; two threads touch its mappings without pause. What else goes on meanwhile is in
 * stress_*.c. The number of threads and processes is fixed, and small: a guest of 4 GiB whose
 * kernel checks each access has room for them.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "stress.h"

#define NR_TOUCHERS 2
/* Rounds from one close of the device to the next. */
#define ROUNDS_OPEN 24

struct shared_slice {
	int fd;
	unsigned long generation;
	volatile uint32_t *mapping;
};

struct stress_state *stress_state;
pthread_rwlock_t stress_device_lock;

static struct shared_slice slices[NR_SHARED];
/* Held while slices[].fd is changed, or duplicated. */
static pthread_mutex_t slices_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t round_begins, round_ends;
static atomic_bool stop_round, stop_touchers;

void
stress_wrong(const char *call, int error)
{
	if (stress_state->wrong++ == 0)
		snprintf(stress_state->first_wrong, sizeof(stress_state->first_wrong), "%s: %s",
			 call, strerror(error));
}

void
stress_escape(const char *who, int signal)
{
	if (stress_state->escapes++ == 0)
		snprintf(stress_state->first_escape, sizeof(stress_state->first_escape),
			 "%s, signal %d, after %lu closes", who, signal, stress_state->reopens);
}

bool
stress_borrow(unsigned int nr, struct loan *loan)
{
	pthread_mutex_lock(&slices_lock);
	loan->nr = nr;
	loan->generation = slices[nr].generation;
	loan->fd = fcntl(slices[nr].fd, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_unlock(&slices_lock);
	return loan->fd >= 0;
}

void
stress_return(struct loan *loan)
{
	close(loan->fd);
}

bool
stress_is_revoked(const struct loan *loan)
{
	return stress_state->revoked[loan->nr] >= loan->generation;
}

void
stress_touch(const struct loan *loan, const volatile uint32_t *address)
{
	bool revoked = stress_is_revoked(loan);
	int signal = touch(address, NULL);

	stress_state->touches++;
	stress_state->faults += signal == SIGBUS;
	if (revoked && signal != SIGBUS)
		stress_escape(loan->who, signal);
	if (signal && signal != SIGBUS)
		stress_wrong("touch", 0);
}

static void *
touch_all(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&round_begins);
		if (stop_touchers)
			break;
		while (!stop_round) {
			for (unsigned int i = 0; i < NR_SHARED; i++) {
				struct loan loan = { .who = "toucher", .nr = i,
						     .generation = slices[i].generation };

				stress_touch(&loan, slices[i].mapping);
			}
		}
		pthread_barrier_wait(&round_ends);
	}
	return arg;
}

/* A new buffer for each slice. Those of before are revoked by now, as their generation tells. */
static void
renew_slices(unsigned long generation)
{
	pthread_rwlock_rdlock(&stress_device_lock);
	pthread_mutex_lock(&slices_lock);
	for (unsigned int i = 0; i < NR_SHARED; i++) {
		void *mapping;

		if (slices[i].mapping) {
			unmap_pages(slices[i].mapping, 1);
			close(slices[i].fd);
		}
		/* The first two are of one page; every other one is write-combining. */
		slices[i].fd = export_pages(i / 2, 1);
		slices[i].generation = generation;
		if (slices[i].fd < 0)
			tap_bail_out("export: %s", strerror(errno));
		if (i % 2)
			memattr_set(slices[i].fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC);
		/* Refused while the device is off, which will not last. */
		while (!(mapping = stress_map(slices[i].fd, 0, target.page)))
			usleep(100);
		slices[i].mapping = mapping;
	}
	pthread_mutex_unlock(&slices_lock);
	pthread_rwlock_unlock(&stress_device_lock);
}

static void
revoke_slices(void)
{
	for (unsigned int i = 0; i < NR_SHARED; i++) {
		pthread_rwlock_rdlock(&stress_device_lock);
		if (revoke_slice(&target.dev, slices[i].fd))
			stress_wrong("revoke", errno);
		stress_state->revoked[i] = slices[i].generation;
		pthread_rwlock_unlock(&stress_device_lock);
	}
}

static void
close_device(void)
{
	pthread_rwlock_wrlock(&stress_device_lock);
	stress_reopen_device();
	for (unsigned int i = 0; i < NR_SHARED; i++)
		stress_state->revoked[i] = slices[i].generation;
	pthread_rwlock_unlock(&stress_device_lock);
}

/* For a moment nobody gets a descriptor; what is open stays open. */
static void
exhaust_descriptors(void)
{
	struct rlimit before, none;

	if (getrlimit(RLIMIT_NOFILE, &before))
		return;
	none = before;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	pthread_rwlock_rdlock(&stress_device_lock);
	for (int i = 0; i < 10; i++)
		if (export_pages(0, 1) != -1 || errno != EMFILE)
			stress_wrong("export without a descriptor", errno);
	pthread_rwlock_unlock(&stress_device_lock);
	setrlimit(RLIMIT_NOFILE, &before);
	stress_state->exhaustions++;
}

static void
one_round(unsigned long nr)
{
	stop_round = false;
	pthread_barrier_wait(&round_begins);
	usleep(nr % 5 * 200);
	if (nr % ROUNDS_OPEN == ROUNDS_OPEN - 1)
		close_device();
	else
		revoke_slices();
	usleep(200);
	stop_round = true;
	pthread_barrier_wait(&round_ends);
	renew_slices(nr + 2);
	if (nr % ROUNDS_OPEN == ROUNDS_OPEN / 2)
		exhaust_descriptors();
}

static void
report(unsigned long rounds)
{
	const struct stress_state *s = stress_state;

	tap_diagnose("%lu revokes, %lu touches, %lu faults, %lu mmap() and %lu refused", rounds *
		     NR_SHARED + s->own_revokes, s->touches, s->faults, s->maps, s->refused_maps);
	tap_diagnose("%lu decode toggles, %lu resets, %lu closes, %lu config reads, %lu forks",
		     s->toggles, s->resets, s->reopens, s->config_reads, s->forks);
	tap_diagnose("%lu passed descriptors, %lu signals, %lu late pages, %lu exhaustions",
		     s->passed, s->signals, s->late_pages, s->exhaustions);
}

static void
start(void)
{
	pthread_rwlockattr_t attr;

	stress_state = mmap(NULL, sizeof(*stress_state), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(stress_state != MAP_FAILED);
	/* Else the readers, of whom there always is one, would never let the device be closed. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&stress_device_lock, &attr);
	pthread_barrier_init(&round_begins, NULL, NR_TOUCHERS + 1);
	pthread_barrier_init(&round_ends, NULL, NR_TOUCHERS + 1);
	stress_start_strangers();
}

static void
race(const void *arg)
{
	static void *(*const work[])(void *arg) = {
		touch_all, touch_all, stress_disturb, stress_read_config, stress_map_and_change,
		stress_map_and_change, stress_own_buffers, stress_pass, stress_late_pages,
	};
	enum { NR = sizeof(work) / sizeof(work[0]) };
	const unsigned int *seconds = arg;
	int buffers = count_buffers(), descriptors = count_descriptors();
	time_t end = time(NULL) + *seconds;
	unsigned long rounds = 0;
	pthread_t threads[NR];

	start();
	/* Nothing is revoked up to generation 0. */
	renew_slices(1);
	for (int i = 0; i < NR; i++)
		CHECK(pthread_create(&threads[i], NULL, work[i], NULL) == 0);
	stress_signal_storm_start(threads, NR);
	while (time(NULL) < end) {
		one_round(rounds++);
		/* It is a hang only when a single round takes that long. */
		alarm(60);
	}
	stress_signal_storm_stop();
	stress_state->stop = true;
	stop_touchers = true;
	pthread_barrier_wait(&round_begins);
	for (int i = 0; i < NR; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < NR_SHARED; i++) {
		unmap_pages(slices[i].mapping, 1);
		close(slices[i].fd);
	}
	stress_stop_strangers();

	report(rounds);
	if (stress_state->wrong)
		tap_fail(__FILE__, __LINE__, "%lu calls failed as none may, first %s",
			 stress_state->wrong, stress_state->first_wrong);
	CHECK(stress_state->touches > 0);
	if (stress_state->escapes)
		tap_fail(__FILE__, __LINE__, "%lu touches reached the device after the revoke, "
			 "first: %s", stress_state->escapes, stress_state->first_escape);
	CHECK(count_buffers() == buffers);
	CHECK(count_descriptors() == descriptors);
}

bool
stress(unsigned int seconds)
{
	const struct test_case cases[] = {
		{ .rule = "no touch reaches the device after its revoke has returned",
		  .run = race, .arg = &seconds },
	};
	const struct subject races = SUBJECT("stress", cases);
	const struct subject *const subjects[] = { &races };

	return tap_run(subjects, 1);
}
