/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef LEASE_AGENT_H
#define LEASE_AGENT_H

/**
 * @file
 * A process of its own at the other end of a channel, which does what the test says, word by word
 * of the protocol. It can be honest, hostile, or dead.
 */

#include "lease_world.h"

struct agent;

/* Through the rendezvous only. */
struct agent *agent_attach(void);
/* With a channel that is there already, as another user where this process is root. */
struct agent *agent_take(int channel, uid_t uid);
/* And greeted. */
struct agent *agent_start(void);

pid_t agent_pid(const struct agent *agent);

/* These return what sendmsg() returned, or its negative errno. */
int agent_send(struct agent *agent, const void *data, size_t length, unsigned int nb_fds);
int agent_say(struct agent *agent, enum lease_message_type type, uint32_t slice, int32_t value);
/* Send it so many times, without waiting and without reading; returns how many went. */
int agent_flood(struct agent *agent, enum lease_message_type type, uint32_t slice, int count);

/* The next message, which must be of this type; any AVAILABLE before it is passed over. */
struct lease_message agent_hear(struct agent *agent, enum lease_message_type type);
/* Read to the end of file; fails when it does not come. */
void agent_hear_end(struct agent *agent);
/* Whether nothing is there to be read. */
bool agent_hears_nothing(struct agent *agent);

/* Ask, and be granted or refused. */
struct lease_message agent_hear_answer(struct agent *agent, unsigned int slice);
/* Ask and be granted; returns the number of the lease. */
int32_t agent_get(struct agent *agent, unsigned int slice);
/* Ask and be refused. */
void agent_be_refused(struct agent *agent, unsigned int slice, int error, pid_t holder);
/* Whether the DMABUF that came last is revoked. */
bool agent_sees_revoked(struct agent *agent);

/* Close the channel and live on. */
void agent_close(struct agent *agent);
/* Fork a child that keeps the channel; returns its pid. */
pid_t agent_fork(struct agent *agent);
/* SIGKILL; returns when it has ended. It stays a zombie until reaped. */
void agent_kill(struct agent *agent);
void agent_reap(struct agent *agent);
/* Kill and reap all. */
void agents_end(void);

/* An honest lessee, which holds the last slice, and is served whatever others do. */
struct agent *bystander_start(void);
void bystander_is_served(struct agent *bystander);

#endif /* LEASE_AGENT_H */
