/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_CHANNEL_H
#define FUZZ_CHANNEL_H

/**
 * @file
 * What both ends of the channel are fuzzed in: one thread, in which EAL's interrupt thread has its
 * turn when the input says so, a clock that only the input moves, and processes that are no more
 * than what the kernel says of them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_eal.h>

#include "bar_lease_private.h"
#include "input.h"

extern struct input channel_input;

/* ---- channel_eal.c ---- */

#define N_PROCESSES 4

/** At the other ends. The last one is in another PID namespace: the kernel gives no pid of it. */
struct process {
	pid_t pid;
	uid_t uid;
	int end;	/**< readable when it has ended; a pidfd is a duplicate */
	bool ended;
};

extern struct process processes[N_PROCESSES];

/** What happens while the library waits for something. */
extern void (*while_waiting)(void);

/** A grant that the kernel has taken, or not, for a slice. */
extern void (*on_grant_sent)(uint32_t slice, bool sent);

/** A process was sent SIGKILL. */
extern void (*on_kill)(struct process *process);

void eal_begin(void);
/** Everything must be gone. */
void eal_end(void);

/** EAL's interrupt thread deals with all that is ready now, in any order. Returns how much. */
unsigned int interrupts_turn(void);
/** Until nothing is ready. */
void interrupts_idle(void);
void clock_advance(uint64_t ns);

void process_start(struct process *process, uid_t uid);
void process_end(struct process *process);

/** The number of the channel that was made last. */
unsigned int latest_channel(void);
/** From here on what the library receives from that channel is sent by that process. */
void sent_by(unsigned int channel, const struct process *process);

/** The handler of the rendezvous, or NULL. */
extern rte_mp_t rendezvous_action;
/** What it answered, with a duplicate of the descriptor; name is empty where it did not. */
extern struct rte_mp_msg rendezvous_answer;
/** In place of the primary, for bar_lessee_create(): fills in the answer. */
extern void (*primary)(struct rte_mp_msg *answer);

unsigned int count_descriptors(void);

/* ---- channel.c ---- */

/** Send bytes with so many descriptors, without waiting. Returns whether the kernel took them. */
bool send_bytes(int fd, const void *data, size_t length, unsigned int n_fds);
/** Read and close all there is; returns the number of messages. */
unsigned int drain(int fd);
/** Any message, mostly one that makes sense. */
struct lease_message take_message(unsigned int n_slices, int32_t lease);
/** How many descriptors go with it: mostly none. */
unsigned int take_rights(void);

void fuzz_lessor(void);
void fuzz_lessee(void);

#endif /* FUZZ_CHANNEL_H */
