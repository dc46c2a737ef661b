/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * How long a revoke takes by how many mappings there are. Every process maps every slice. All
 * buffers of a device are mapped at the same offsets of one inode, so that the zap of a revoke
 * walks the mappings of all of them: its time is a + b * mappings. A revoke that is worse than
 * linear is one that a holder of many mappings can use to hold up the others.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "conformance.h"

#define NR_SLICES 16
#define MAX_PROCESSES 64

/*
 * The cost of a mapping with the most mappings against that with a sixteenth of them, each by the
 * quickest revoke: what else a machine does only ever adds. The constant part makes the latter
 * larger, so a linear revoke stays below 1; 2 leaves room for caches that no longer hold the page
 * tables. A quadratic one comes to 16.
 */
#define ALLOWED_GROWTH 2
/* Noise comes and goes, growth stays: it counts if each of so many attempts shows it. */
#define ATTEMPTS 3

/* Of one size, shared with its processes. */
struct crowd {
	pthread_barrier_t begin, end;
	/* What they do next: touch all slices from here on, or leave. */
	unsigned int nr_revoked;
	bool leave;
	atomic_uint failures;
};

struct times {
	unsigned int mappings;
	uint64_t best_ns, median_ns, worst_ns;
};

static int fds[NR_SLICES];

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static _Noreturn void
be_one_of(struct crowd *crowd)
{
	volatile uint32_t *mappings[NR_SLICES];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vfio_close(&target.dev);
	for (int i = 0; i < NR_SLICES; i++) {
		void *mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fds[i], 0);

		crowd->failures += mapping == MAP_FAILED;
		mappings[i] = mapping;
	}
	for (;;) {
		pthread_barrier_wait(&crowd->begin);
		if (crowd->leave)
			_exit(0);
		for (unsigned int i = 0; i < NR_SLICES; i++)
			crowd->failures += touch(mappings[i], NULL) !=
					   (i < crowd->nr_revoked ? SIGBUS : 0);
		pthread_barrier_wait(&crowd->end);
	}
}

static struct crowd *
crowd_new(unsigned int nr_processes)
{
	struct crowd *crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attr;

	CHECK(crowd != MAP_FAILED);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&crowd->begin, &attr, nr_processes + 1);
	pthread_barrier_init(&crowd->end, &attr, nr_processes + 1);
	for (unsigned int i = 0; i < nr_processes; i++) {
		pid_t pid = fork();

		/* Without all of them, nobody would get past the barrier. */
		if (pid < 0)
			tap_bail_out("fork: %s", strerror(errno));
		if (pid == 0)
			be_one_of(crowd);
	}
	return crowd;
}

static void
crowd_touches(struct crowd *crowd, unsigned int nr_revoked)
{
	crowd->nr_revoked = nr_revoked;
	pthread_barrier_wait(&crowd->begin);
	pthread_barrier_wait(&crowd->end);
}

static void
crowd_leaves(struct crowd *crowd)
{
	crowd->leave = true;
	pthread_barrier_wait(&crowd->begin);
	while (wait(NULL) > 0)
		continue;
	munmap(crowd, sizeof(*crowd));
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Revokes one slice after the other, each with entries in every process. */
static struct times
measure(unsigned int nr_processes)
{
	struct times times = { .mappings = nr_processes * NR_SLICES };
	uint64_t taken[NR_SLICES];
	unsigned int failures;
	struct crowd *crowd;

	for (int i = 0; i < NR_SLICES; i++)
		fds[i] = new_slice(i, 1);
	crowd = crowd_new(nr_processes);
	crowd_touches(crowd, 0);
	for (unsigned int i = 0; i < NR_SLICES; i++) {
		uint64_t begin = now_ns();
		int ret = revoke_slice(&target.dev, fds[i]);

		taken[i] = now_ns() - begin;
		crowd->failures += ret != 0;
		crowd_touches(crowd, i + 1);
	}
	failures = crowd->failures;
	crowd_leaves(crowd);
	for (int i = 0; i < NR_SLICES; i++)
		close(fds[i]);
	CHECK(failures == 0);
	qsort(taken, NR_SLICES, sizeof(taken[0]), compare);
	times.best_ns = taken[0];
	times.median_ns = taken[NR_SLICES / 2];
	times.worst_ns = taken[NR_SLICES - 1];
	tap_diagnose("revoke with %u processes, %u mappings: best %lu us, median %lu us, "
		     "worst %lu us", nr_processes, times.mappings,
		     (unsigned long)times.best_ns / 1000, (unsigned long)times.median_ns / 1000,
		     (unsigned long)times.worst_ns / 1000);
	return times;
}

static double
growth_of_cost(void)
{
	struct times few, many;
	double growth;

	measure(1);
	few = measure(MAX_PROCESSES / 16);
	measure(MAX_PROCESSES / 4);
	many = measure(MAX_PROCESSES);
	growth = (double)many.best_ns / many.mappings / ((double)few.best_ns / few.mappings);
	tap_diagnose("time for each mapping, %u against %u: %.2f times", many.mappings,
		     few.mappings, growth);
	return growth;
}

static void
linear(const void *arg)
{
	for (int i = 0; i < ATTEMPTS; i++)
		if (growth_of_cost() <= ALLOWED_GROWTH)
			return;
	tap_fail(__FILE__, __LINE__, "the cost of a mapping grows with their number");
}

bool
scale(void)
{
	static const struct test_case cases[] = {
		{ .rule = "the time of a revoke is at most linear in the number of mappings",
		  .run = linear },
	};
	static const struct subject revokes = SUBJECT("scale", cases);
	const struct subject *const subjects[] = { &revokes };

	return tap_run(subjects, 1);
}
