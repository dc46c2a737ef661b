/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* Signals, in whatever call a thread just is. */

#include <signal.h>

#include "stress.h"

static pthread_t storm;
static const pthread_t *aims;
static unsigned int nr_aims;
static atomic_bool storm_stop;

static void
on_signal(int signal)
{
	stress_state->signals++;
}

static void *
send_signals(void *arg)
{
	for (unsigned int i = 0; !storm_stop; i++) {
		pthread_kill(aims[i % nr_aims], SIGUSR1);
		usleep(300);
	}
	return arg;
}

void
stress_signal_storm_start(const pthread_t *threads, unsigned int nr_threads)
{
	/* No SA_RESTART: calls that can be interrupted are, and return. */
	struct sigaction action = { .sa_handler = on_signal };

	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	aims = threads;
	nr_aims = nr_threads;
	storm_stop = false;
	CHECK(pthread_create(&storm, NULL, send_signals, NULL) == 0);
}

void
stress_signal_storm_stop(void)
{
	storm_stop = true;
	pthread_join(storm, NULL);
}
