/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef HOSTILE_H
#define HOSTILE_H

/**
 * @file
 * Attacks of a process that may lease one slice and wants more. Each runs in a process of its own
 * and returns what it got.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "bar_lease_private.h"

/** What an attack got: a positive errno, or one of these. */
enum {
	WORKED = 0,
	GOT_SIGBUS = -SIGBUS,
	GOT_SIGSEGV = -SIGSEGV,
	HUNG_UP_ON = -100,	/**< the lessor ended the channel */
	NO_EFFECT = -101,	/**< nobody took notice */
	NOT_HERE = -102,	/**< this machine has no such thing */
};

struct attack {
	const char *name;
	int (*run)(const void *arg);
	int expected;
	int or_else;		/**< 0: nothing else */
	const void *arg;
	const char *harmless;	/**< why it may work */
};

struct attack_group {
	const char *name;
	const struct attack *attacks;
	size_t n_attacks;
	bool channel;		/**< speaks to the lessor, which a stock driver lacks */
};

#define GROUP(name_, attacks_) \
	.name = (name_), .attacks = (attacks_), \
	.n_attacks = sizeof(attacks_) / sizeof((attacks_)[0])

extern const struct attack_group page_group, device_group, primary_group, keep_group,
	channel_group, race_group;

/** What is attacked. */
struct victim {
	const char *socket;		/**< where the lessor listens */
	const char *bdf;		/**< the device */
	pid_t primary;
	uint32_t mine, others, primarys, denied;	/**< slices: who holds them */
	/**
	 * In place of a lease: what a secondary of a stock driver was given, its descriptor of the
	 * device and where in it the page begins.
	 */
	bool stock;
	int stock_fd;
	off_t stock_offset;
	size_t page;
};

extern struct victim victim;

/** What a call returned: WORKED or errno. */
static inline int
got(long ret)
{
	return ret < 0 ? errno : WORKED;
}

/** End this attack: it could not even begin. */
_Noreturn void cannot_begin(const char *what);

/* ---- hostile_lease.c ---- */

/** A doorbell page that was granted. */
struct holding {
	int channel;
	int fd;
	off_t offset;
	volatile uint16_t *page;	/**< mapped for reading and writing */
	int32_t lease;
};

/** Connect; -1 and errno. */
int channel_open(void);
/** Connect and be welcomed. */
int channel_greeted(void);
bool channel_say(int channel, uint16_t type, uint32_t slice, int32_t value);
/** WORKED with a message, HUNG_UP_ON, or NO_EFFECT after so long. */
int channel_hear(int channel, struct lease_message *message, int *fd, int ms);
/** Passes over what was not asked for. */
int channel_hear_type(int channel, uint16_t type, struct lease_message *message, int *fd);
/** Ask: WORKED with a descriptor, an errno, or HUNG_UP_ON. */
int channel_ask(int channel, uint32_t slice, int *fd, int32_t *lease);
/** Read to the end of file: HUNG_UP_ON or NO_EFFECT. */
int channel_hear_end(int channel, int ms);

/** Waits until the last holder's reset is done. */
struct holding take_lease(void);
/** Have it revoked, and live on. */
void lose_lease(struct holding *holding);

/** Write, or read: WORKED or the signal. In any thread. */
int touch(volatile uint16_t *address);
int look(volatile uint16_t *address);
/** Map a page of it and write there. */
int map_and_touch(int fd, off_t offset);

/* ---- hostile_child.c ---- */

/** A process that does as told. */
struct child {
	pid_t pid;
	int socket;
};

/** Forked: it has what this process has. */
struct child child_start(void);
/** Give it a descriptor; it maps it if asked. Returns what it got. */
int child_give(struct child *child, int fd);
int child_map(struct child *child, off_t offset);
int child_touch(struct child *child, volatile uint16_t *address);
int child_touch_mapped(struct child *child);
bool send_descriptor(int socket, int fd);
/** -1 at end of file. */
int receive_descriptor(int socket);

/** What an exec'ed copy of this program does with a descriptor that it inherited. */
int exec_map(int fd, off_t offset);

#endif /* HOSTILE_H */
