/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Races: two threads touch two mappings of a slice (NC and WC) without pause while the main thread
 * revokes it and a fourth thread resets the device and switches its memory decode off and on.
 * The rule: a touch that begins after a revoke has returned never reaches the device.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "conformance.h"

#define NR_TOUCHERS 2
#define NR_SLICES 2

struct slice {
	int fd;
	const volatile uint32_t *mapping;
	atomic_bool revoked;
};

static struct slice slices[NR_SLICES];
static pthread_barrier_t round_begins, round_ends;
static atomic_bool stop_round, stop;
static atomic_ulong touches, faults, escapes, toggles, resets;

static void *
touch_all(void *arg)
{
	unsigned long good = 0, bad = 0, escaped = 0;

	for (;;) {
		pthread_barrier_wait(&round_begins);
		if (stop)
			break;
		while (!stop_round) {
			for (int i = 0; i < NR_SLICES; i++) {
				bool revoked = slices[i].revoked;
				int signal = touch(slices[i].mapping, NULL);

				good += signal == 0;
				bad += signal != 0;
				escaped += revoked && signal != SIGBUS;
			}
		}
		pthread_barrier_wait(&round_ends);
	}
	touches += good;
	faults += bad;
	escapes += escaped;
	return arg;
}

static void *
disturb(void *arg)
{
	bool has_reset = device_has_reset();

	for (unsigned long i = 0; !stop; i++) {
		if (has_reset && i % 32 == 0) {
			device_reset();
			resets++;
		} else {
			memory_decode(false);
			memory_decode(true);
			toggles++;
		}
		usleep(i % 8 * 2000);
	}
	return arg;
}

static void
one_round(unsigned long nr)
{
	struct peer peer;
	bool with_child = nr % 8 == 0;

	for (int i = 0; i < NR_SLICES; i++) {
		slices[i].fd = new_slice(0, 1);
		if (i % 2)
			memattr_set(slices[i].fd, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_WC);
		slices[i].mapping = map_pages(slices[i].fd, 1);
		slices[i].revoked = false;
	}
	stop_round = false;
	pthread_barrier_wait(&round_begins);
	usleep(nr % 5 * 200);
	if (with_child)
		peer_start(&peer, slices[nr % NR_SLICES].mapping);
	for (int i = 0; i < NR_SLICES; i++) {
		CHECK_OK(revoke_slice(&target.dev, slices[i].fd));
		slices[i].revoked = true;
	}
	if (with_child) {
		escapes += peer_touch(&peer) != SIGBUS;
		peer_stop(&peer);
	}
	usleep(200);
	stop_round = true;
	pthread_barrier_wait(&round_ends);
	for (int i = 0; i < NR_SLICES; i++) {
		munmap((void *)(uintptr_t)slices[i].mapping, target.page);
		close(slices[i].fd);
	}
}

static void
race(const void *arg)
{
	const unsigned int *seconds = arg;
	pthread_t touchers[NR_TOUCHERS], disturber;
	time_t end = time(NULL) + *seconds;
	unsigned long rounds = 0;

	pthread_barrier_init(&round_begins, NULL, NR_TOUCHERS + 1);
	pthread_barrier_init(&round_ends, NULL, NR_TOUCHERS + 1);
	for (int i = 0; i < NR_TOUCHERS; i++)
		CHECK(pthread_create(&touchers[i], NULL, touch_all, NULL) == 0);
	CHECK(pthread_create(&disturber, NULL, disturb, NULL) == 0);

	while (time(NULL) < end)
		one_round(rounds++);
	stop = true;
	pthread_barrier_wait(&round_begins);
	for (int i = 0; i < NR_TOUCHERS; i++)
		pthread_join(touchers[i], NULL);
	pthread_join(disturber, NULL);

	tap_diagnose("%lu revokes, %lu touches, %lu faults, %lu decode toggles, %lu resets",
		     rounds * NR_SLICES, touches, faults, toggles, resets);
	CHECK(touches > 0);
	CHECK(escapes == 0);
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
