/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_LEASE_PRIVATE_H
#define BAR_LEASE_PRIVATE_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <rte_log.h>

#include "bar_lease.h"

/* Since Linux 6.5; Debian 12's C library headers are older. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

extern int bar_lease_logtype;

#define LEASE_LOG(level, ...) \
	rte_log(RTE_LOG_##level, bar_lease_logtype, \
		RTE_FMT("bar_lease: " RTE_FMT_HEAD(__VA_ARGS__,) "\n", \
			RTE_FMT_TAIL(__VA_ARGS__,)))

/* ---- Messages: one fixed size, host byte order, both ends on one machine. ---- */

#define LEASE_PROTOCOL_VERSION 2

enum lease_message_type {
	LEASE_HELLO = 1,	/* lessee: who I am is told by the kernel */
	LEASE_WELCOME,		/* lessor: value = number of slices */
	LEASE_REQUEST,		/* lessee: slice */
	LEASE_GRANT,		/* lessor: slice, with its DMABUF; value = number of the lease */
	LEASE_REFUSE,		/* lessor: slice; value = errno, holder = pid or 0. With
				 * LEASE_ALL_SLICES in place of WELCOME: a hangup follows */
	LEASE_RELEASE,		/* lessee: slice, value as granted; not to be touched again. Or
				 * LEASE_ALL_SLICES: it takes its leave, and has nothing left */
	LEASE_REVOKED,		/* lessor: slice, value as granted; answer: LEASE_RELEASE */
	LEASE_AVAILABLE,	/* lessor: slice is free, or LEASE_ALL_SLICES: ask again */
	LEASE_CALL,		/* lessee: code, value, serial number; for the user */
	LEASE_ANSWER,		/* lessor: as called, value = 0 or a negative errno */
	LEASE_NOTICE,		/* lessor: code, value; for the user, no answer */
};

#define LEASE_ALL_SLICES UINT32_MAX

struct lease_message {
	uint16_t version;
	uint16_t type;		/* enum lease_message_type */
	uint32_t slice;		/* the code, where it is about no slice */
	int32_t value;
	int32_t holder;		/* the serial number of a call and its answer */
};

/* What arrived with a message; every descriptor in it is the receiver's to close. */
struct lease_ancillary {
	int fd;			/* the one descriptor sent, or -1 */
	int pidfd;		/* of the sender, or -1 */
	struct ucred cred;	/* pid 0 where the kernel gave none */
};

/*
 * Send without waiting. -EAGAIN: the peer does not read; -EPIPE or -ECONNRESET: it is gone.
 */
int lease_send(int channel, const struct lease_message *message, int fd);

/*
 * Receive one message, without waiting. A truncated or oversized message, a wrong version and
 * more than one descriptor are -EPROTO, and nothing is left open. -EAGAIN: nothing there;
 * -EPIPE: end of file.
 */
int lease_receive(int channel, struct lease_message *message, struct lease_ancillary *ancillary);

void lease_ancillary_close(struct lease_ancillary *ancillary);

/* Room for what one side has to say at once of a device's queues. */
void lease_widen(int channel);

/* ---- The EAL interrupt thread ---- */

/* Call fn whenever fd is readable or hung up. fn has to read, or to remove the watch. */
struct lease_watch;
struct lease_watch *lease_watch_add(int fd, void (*fn)(void *arg), void *arg);

/* End a watch and close its fd. On the interrupt thread only, also from within fn. */
void lease_watch_remove(struct lease_watch *watch);

/* Run fn on the interrupt thread and wait for its end; directly when already there. */
int lease_run(void (*fn)(void *arg), void *arg);

/* Run fn on the interrupt thread some time. -ENOMEM. */
int lease_post(void (*fn)(void *arg), void *arg);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t lease_clock(void);

/* ---- The rendezvous over rte_mp ---- */

#define LEASE_ACTION "bar_lease"

struct lease_rendezvous_request {
	uint16_t version;
	char name[BAR_LEASE_NAME_SIZE];
};

struct lease_rendezvous_reply {
	uint16_t version;
	int32_t error;		/* negative errno, or 0 with one descriptor */
};

/* ---- Lessors of this process, for telemetry ---- */

struct bar_lessor *lease_lessor_next(struct bar_lessor *after);
void lease_lessors_lock(void);
void lease_lessors_unlock(void);

#endif /* BAR_LEASE_PRIVATE_H */
