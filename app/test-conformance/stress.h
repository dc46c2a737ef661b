/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef STRESS_H
#define STRESS_H

/*
 * What the parts of the stress have in common. Slices are exported, revoked, and exported again,
 * by one thread; each buffer of a slice is a generation of it. All other threads and processes
 * borrow the buffers and do what may race with that. The rule that each of them checks:
 *
 *	a touch that begins after a revoke of its buffer has returned never reaches the device.
 */

#include "conformance.h"

#define NR_SHARED 4
#define NR_STRANGERS 3

/* In memory that all processes share. */
struct stress_state {
	atomic_bool stop;
	/* Buffers up to this generation are revoked, or orphaned by the close of the device. */
	atomic_ulong revoked[NR_SHARED];
	atomic_ulong touches, faults, escapes;
	atomic_ulong maps, refused_maps, forks, passed, signals, late_pages;
	atomic_ulong toggles, resets, config_reads, reopens, own_revokes, exhaustions;
	char first_escape[160];
	/* Calls that failed as none may, and the first of them. */
	atomic_ulong wrong;
	char first_wrong[160];
};

/* A borrowed buffer: a descriptor of one's own. */
struct loan {
	/* Who touches it; a constant. */
	const char *who;
	int fd;
	unsigned int nr;
	unsigned long generation;
};

extern struct stress_state *stress_state;

/*
 * Held for reading by who uses target.dev.fd, and over a fork until the child has closed it; for
 * writing by who closes the device and opens it again.
 */
extern pthread_rwlock_t stress_device_lock;

/* False when there is no descriptor for it. loan->who is set before. */
bool stress_borrow(unsigned int nr, struct loan *loan);
void stress_return(struct loan *loan);
bool stress_is_revoked(const struct loan *loan);
/* Touches a page of a borrowed buffer, and checks the rule. */
void stress_touch(const struct loan *loan, const volatile uint32_t *address);
void stress_escape(const char *who, int signal);
/* A call that failed, or did not, as it may not. */
void stress_wrong(const char *call, int error);
/* mmap() of a borrowed buffer or an own one: NULL if it is refused, which may be. */
void *stress_map(int fd, uint64_t offset, uint64_t length);

/* Threads: each runs until stress_state->stop. */
void *stress_disturb(void *arg);
void *stress_read_config(void *arg);
void *stress_map_and_change(void *arg);
void *stress_own_buffers(void *arg);
void *stress_pass(void *arg);
void *stress_late_pages(void *arg);

/* Called by the thread that revokes: the device is closed and opened again. */
void stress_reopen_device(void);

/* Processes that are passed descriptors. */
void stress_start_strangers(void);
void stress_stop_strangers(void);

/* The threads that signals interrupt; a handler that does nothing. */
void stress_signal_storm_start(const pthread_t *threads, unsigned int nr_threads);
void stress_signal_storm_stop(void);

#endif /* STRESS_H */
