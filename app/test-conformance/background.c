/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <poll.h>

#include "conformance.h"

static void *
run(void *arg)
{
	struct background *background = arg;

	background->ret = background->call(background->arg);
	background->done = true;
	return NULL;
}

void
background_start(struct background *background, int (*call)(void *arg), void *arg)
{
	background->call = call;
	background->arg = arg;
	background->done = false;
	CHECK(pthread_create(&background->thread, NULL, run, background) == 0);
}

bool
background_wait(struct background *background, unsigned int milliseconds)
{
	for (unsigned int i = 0; i < milliseconds && !background->done; i++)
		usleep(1000);
	if (!background->done)
		return false;
	pthread_join(background->thread, NULL);
	return true;
}

bool
readable(int fd, int milliseconds)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, milliseconds) == 1 && (pollfd.revents & POLLIN);
}
