/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef LEASE_WORLD_H
#define LEASE_WORLD_H

/**
 * @file
 * What the tests of lib/bar_lease share: EAL without devices, rte_mp within the process, files in
 * memory in place of DMABUFs, and one lessor. Each test ends with a check that no descriptor is
 * left open.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include <rte_eal.h>

#include "bar_lease.h"
#include "bar_lease_private.h"

#define NB_SLICES 8
#define PAGE 4096
#define LESSOR_NAME "0000:00:04.0"

/* Every wait ends with a failure after this long. */
#define PATIENCE_MS 10000

/* What the lessor did, in this order. */
enum event_kind { EVENT_EXPORT, EVENT_REVOKE, EVENT_RESET };

#define MAX_TOLD 65536

/* The test and the interrupt thread use it at the same time. */
struct world {
	struct bar_lessor *lessor;
	/* What the fakes answer. */
	_Atomic int export_error;		/* negative errno, or 0 */
	_Atomic int revoke_error;
	_Atomic int map_error;
	_Atomic unsigned int failed_maps;
	_Atomic int reset_error;
	_Atomic bool reset_waits;	/* until reset_go() */
	struct bar_lease_counters counters[NB_SLICES];
	bool no_calls;			/* the lessor takes none */
	_Atomic int call_result;
	_Atomic uint32_t failing_call;	/* with this code: -EPERM; 0: none */
	_Atomic unsigned int calls;	/* how many came; then the latest */
	_Atomic uint32_t call_code;
	_Atomic int32_t call_value;
	_Atomic pid_t in_the_way;	/* nobody else is admitted; 0: everybody */
	_Atomic unsigned int ended[NB_SLICES];	/* who held it has, or had let go of it */
	_Atomic pid_t reset_watches;	/* notes whether it had ended when reset was called */
	_Atomic bool reset_saw_end;
	_Atomic int owner_uses;		/* the lessor's process has taken a slice */
	_Atomic bool granted_while_used;	/* an export came while it had */
	int reply_error;		/* of rte_mp_request_sync(), a positive errno */
	_Atomic bool pauses_never_end;	/* of a refused lessee, by themselves */
	_Atomic unsigned int nb_told;	/* events that the lessor has told; the first of them */
	struct bar_lease_event told[MAX_TOLD];
	_Atomic uint64_t doorbells[NB_SLICES];
	/* In place of the lessor's action, when set. */
	rte_mp_t scripted_primary;
};

extern struct world world;

/* Group fixtures: EAL. */
int eal_setup(void **state);
int eal_teardown(void **state);

/* Test fixtures: with a started lessor of NB_SLICES slices, and without one. */
int world_setup(void **state);
int world_setup_empty(void **state);
int world_teardown(void **state);

struct bar_lessor_conf lessor_conf(void);
/* Create and start it, with rules for its policy; NULL: none. */
void lessor_create(struct bar_lessor_conf *conf, const char *rules);

unsigned int count_events(enum event_kind kind, unsigned int slice);
/* Position of the last such event among all, -1: there is none. */
int last_event(enum event_kind kind, unsigned int slice);
/* Let reset callbacks that wait go on. */
void reset_go(void);

void sleep_ms(unsigned int ms);
/* Whether condition() came true within PATIENCE_MS. */
bool eventually(bool (*condition)(void *arg), void *arg);

/* The first event of this type that the lessor has told, of a slice or, for -1, of any. */
const struct bar_lease_event *told(enum bar_lease_event_type type, int slice);
const struct bar_lease_event *wait_told(enum bar_lease_event_type type, int slice);

/* One of world.counters. */
uint64_t counted(const uint64_t *counter);

struct bar_lease_info slice_info(unsigned int slice);
enum bar_lease_state slice_state(unsigned int slice);
void wait_state(unsigned int slice, enum bar_lease_state state);
void wait_events(enum event_kind kind, unsigned int slice, unsigned int count);

/* Keep the interrupt thread from working, so that what happens meanwhile finds it late. */
void interrupts_hold(void);
void interrupts_go(void);
/* Return when what was posted before has run. */
void interrupts_pass(void);

/* The rendezvous of a process that speaks for itself: its end of a channel, or negative errno. */
int meet(void);
/* The same, and greeted, as this process. */
int attach(void);

/* As the processor does at a revoked page; returns whether the write reached the slice. */
bool touch(void *address);
/* The page faults without being revoked: the device is in D3, or being reset. */
void page_off(void *address);
/* Whether this DMABUF was revoked. */
bool is_revoked(int dmabuf);
unsigned int count_mappings(void);
unsigned int count_descriptors(void);

#endif /* LEASE_WORLD_H */
