/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Against the revoke, on every processor at once. What is got while the lease stands is its
 * holder's; afterwards nothing may be left of it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

#include "hostile.h"

#define ROUNDS 8
#define MAX_THREADS 16
#define LEAD_MS 5

struct race {
	struct holding holding;
	int (*step)(struct race *race);
	atomic_bool revoked;
	int socket[2];
};

struct runner {
	struct race *race;
	int processor;
	pthread_t thread;
	int last;	/**< what it got after the revoke */
};

static void *
run(void *arg)
{
	struct runner *runner = arg;
	cpu_set_t set;
	bool over;

	CPU_ZERO(&set);
	CPU_SET(runner->processor, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	do {
		over = atomic_load(&runner->race->revoked);
		runner->last = runner->race->step(runner->race);
	} while (!over);
	return NULL;
}

/** WORKED if one of them could still do it. */
static int
race_once(int (*step)(struct race *race))
{
	const struct timespec lead = { .tv_nsec = LEAD_MS * 1000000 };
	int i, n = get_nprocs() < MAX_THREADS ? get_nprocs() : MAX_THREADS, ret;
	struct race race = { .holding = take_lease(), .step = step };
	struct runner runners[MAX_THREADS];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, race.socket) != 0)
		cannot_begin("socketpair");
	for (i = 0; i < n; i++) {
		runners[i] = (struct runner){ .race = &race, .processor = i };
		if (pthread_create(&runners[i].thread, NULL, run, &runners[i]) != 0)
			cannot_begin("a thread");
	}
	nanosleep(&lead, NULL);
	lose_lease(&race.holding);
	atomic_store(&race.revoked, true);
	for (ret = GOT_SIGBUS, i = 0; i < n; i++) {
		pthread_join(runners[i].thread, NULL);
		if (i == 0 || runners[i].last == WORKED)
			ret = runners[i].last;
	}
	return ret;
}

/** Each round in a process of its own: the slice is free when it has ended. */
static int
race(int (*step)(struct race *race))
{
	int i, status, ret = WORKED;
	pid_t pid;

	for (i = 0; i < ROUNDS && (i == 0 || ret != WORKED); i++) {
		pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(race_once(step) & 0xff);
		}
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			cannot_begin("a racer died");
		ret = (int8_t)WEXITSTATUS(status);
	}
	return ret;
}

static int
write_step(struct race *race)
{
	return touch(race->holding.page);
}

static int
map_step(struct race *race)
{
	volatile uint16_t *page = mmap(NULL, victim.page, PROT_READ | PROT_WRITE, MAP_SHARED,
				       race->holding.fd, race->holding.offset);
	int ret;

	if (page == MAP_FAILED)
		return errno;
	ret = touch(page);
	munmap((void *)(uintptr_t)page, victim.page);
	return ret;
}

static int
fork_step(struct race *race)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(-touch(race->holding.page));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -WTERMSIG(status);
}

static int
duplicate_step(struct race *race)
{
	int copy = dup(race->holding.fd), ret = map_and_touch(copy, race->holding.offset);

	close(copy);
	return ret;
}

static int
pass_step(struct race *race)
{
	int fd, ret;

	if (!send_descriptor(race->socket[0], race->holding.fd))
		cannot_begin("sendmsg");
	fd = receive_descriptor(race->socket[1]);
	ret = map_and_touch(fd, race->holding.offset);
	close(fd);
	return ret;
}

static int
move_step(struct race *race)
{
	void *page = mmap(NULL, victim.page, PROT_READ | PROT_WRITE, MAP_SHARED,
			  race->holding.fd, race->holding.offset);
	void *place, *moved;
	int ret;

	if (page == MAP_FAILED)
		return errno;
	place = mmap(NULL, victim.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(page, victim.page, victim.page, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	if (moved == MAP_FAILED)
		return errno;
	ret = touch(moved);
	munmap(moved, victim.page);
	return ret;
}

#define RACE(name) \
	static int \
	race_##name(const void *arg) \
	{ \
		return race(name##_step); \
	}

RACE(write)
RACE(map)
RACE(fork)
RACE(duplicate)
RACE(pass)
RACE(move)

static const struct attack attacks[] = {
	{ "write", race_write, GOT_SIGBUS, 0, NULL, NULL },
	{ "map and write", race_map, ENODEV, GOT_SIGBUS, NULL, NULL },
	{ "fork and write", race_fork, GOT_SIGBUS, 0, NULL, NULL },
	{ "duplicate, map and write", race_duplicate, ENODEV, GOT_SIGBUS, NULL, NULL },
	{ "pass on, map and write", race_pass, ENODEV, GOT_SIGBUS, NULL, NULL },
	{ "map, move and write", race_move, ENODEV, GOT_SIGBUS, NULL, NULL },
};

const struct attack_group race_group = { GROUP("race", attacks), .channel = false };
