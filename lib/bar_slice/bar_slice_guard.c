/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "bar_slice_private.h"

/*
 * The table is read by a signal handler while other threads change it, so the handler takes no
 * lock. A slot's fields mean something only for as long as its state, which holds a generation,
 * is the same before and after they were read; whoever moves a slot from GUARDED to REPLACING by
 * compare-and-swap owns it until it is REPLACED.
 */
enum phase {
	FREE,
	GUARDED,
	REPLACING,
	REPLACED,
};

#define PHASE_BITS 2

struct slot {
	_Atomic uint64_t state;	/* generation << PHASE_BITS | phase */
	_Atomic uintptr_t start;
	_Atomic size_t length;
	_Atomic(bar_slice_lost_fn) lost;
	void *_Atomic arg;
};

static struct slot slots[BAR_SLICE_MAX_MAPPINGS];
static atomic_uint slots_used; /* no slot from here on was ever taken */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER; /* of those who change slots */

static const struct sigaction default_action = { .sa_handler = SIG_DFL };
static const struct sigaction ignore_action = { .sa_handler = SIG_IGN };
static struct sigaction first_previous;
static _Atomic(const struct sigaction *) previous_action = &default_action;
static int installed;

static enum phase
phase_of(uint64_t state)
{
	return (enum phase)(state & ((1U << PHASE_BITS) - 1));
}

static uint64_t
with_phase(uint64_t state, enum phase phase)
{
	return (state >> PHASE_BITS) << PHASE_BITS | phase;
}

static uint64_t
next_generation(uint64_t state, enum phase phase)
{
	return ((state >> PHASE_BITS) + 1) << PHASE_BITS | phase;
}

/* Another thread is inside mmap(); it may have to be given this processor. */
static void
wait_for_replacement(void)
{
	poll(NULL, 0, 1);
}

/* What became of a fault at an address of a slot. */
enum outcome {
	GO_ON,		/* private memory is there now */
	LOOK_AGAIN,	/* the slot changed hands meanwhile */
	CANNOT,		/* no memory for a replacement */
};

static enum outcome
replace(struct slot *slot, uint64_t state, uintptr_t start, size_t length)
{
	bar_slice_lost_fn lost;
	void *mapping;

	if (!atomic_compare_exchange_strong(&slot->state, &state, with_phase(state, REPLACING)))
		return LOOK_AGAIN;
	/* In one step: another thread sees either the revoked slice or the memory, never a gap. */
	mapping = mmap((void *)start, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	if (mapping == MAP_FAILED) {
		atomic_store(&slot->state, state);
		return CANNOT;
	}
	/* Before the others go on, so that they find it told when they look. */
	lost = atomic_load(&slot->lost);
	if (lost != NULL)
		lost(atomic_load(&slot->arg));
	atomic_store(&slot->state, with_phase(state, REPLACED));
	return GO_ON;
}

static enum outcome
settle(struct slot *slot, uint64_t state, uintptr_t start, size_t length)
{
	switch (phase_of(state)) {
	case GUARDED:
		return replace(slot, state, start, length);
	case REPLACING:
		wait_for_replacement();
		return LOOK_AGAIN;
	case REPLACED: /* it faulted before, and is told only now */
		return GO_ON;
	case FREE:
	default:
		return LOOK_AGAIN;
	}
}

/* Whether the fault is dealt with and the access can be tried again. */
static int
settle_fault(uintptr_t fault)
{
	enum outcome outcome;
	uintptr_t start;
	unsigned int i;
	size_t length;
	uint64_t state;

again:
	for (i = 0; i < atomic_load(&slots_used); i++) {
		state = atomic_load(&slots[i].state);
		if (phase_of(state) == FREE)
			continue;
		start = atomic_load(&slots[i].start);
		length = atomic_load(&slots[i].length);
		if (fault - start >= length)
			continue;
		if (atomic_load(&slots[i].state) != state)
			goto again;
		outcome = settle(&slots[i], state, start, length);
		if (outcome == LOOK_AGAIN)
			goto again;
		return outcome == GO_ON;
	}
	return 0;
}

/* Let the signal have its default effect when this handler returns. */
static void
fall_back_to_default(int synchronous)
{
	sigaction(SIGBUS, &default_action, NULL);
	/* A fault repeats by itself, and a core dump then shows where. */
	if (!synchronous)
		raise(SIGBUS);
}

static void
pass_on(int signo, siginfo_t *info, void *context)
{
	const struct sigaction *previous = atomic_load(&previous_action);
	/* Not kill(2) and its like, and not memory failure found while nobody touched it. */
	int synchronous = info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
	sigset_t mask;

	/* The kernel treats a fault that is ignored like one without a handler. */
	if (previous->sa_handler == SIG_IGN && !synchronous)
		return;
	if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN) {
		fall_back_to_default(synchronous);
		return;
	}
	/* The mask it asked for; it may also leave by siglongjmp(). */
	sigorset(&mask, &((const ucontext_t *)context)->uc_sigmask, &previous->sa_mask);
	if (!(previous->sa_flags & SA_NODEFER))
		sigaddset(&mask, signo);
	if (previous->sa_flags & (int)SA_RESETHAND)
		atomic_store(&previous_action, &default_action);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (previous->sa_flags & SA_SIGINFO)
		previous->sa_sigaction(signo, info, context);
	else
		previous->sa_handler(signo);
}

static void
on_sigbus(int signo, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	/* The code for a fault that the mapping's owner refused (VM_FAULT_SIGBUS). */
	if (info->si_code != BUS_ADRERR || !settle_fault((uintptr_t)info->si_addr))
		pass_on(signo, info, context);
	errno = saved_errno;
}

static void
before_fork(void)
{
	pthread_mutex_lock(&table_lock);
}

static void
after_fork_in_parent(void)
{
	pthread_mutex_unlock(&table_lock);
}

/* A thread that was replacing a mapping does not exist here: let the next fault do it. */
static void
after_fork_in_child(void)
{
	unsigned int i;

	for (i = 0; i < atomic_load(&slots_used); i++) {
		uint64_t state = atomic_load(&slots[i].state);

		if (phase_of(state) == REPLACING)
			atomic_store(&slots[i].state, with_phase(state, GUARDED));
	}
	pthread_mutex_unlock(&table_lock);
}

/*
 * Called with the table locked. When somebody has put back an action from before ours, ours is
 * installed anew: EAL does so around every growth of its memory (alloc_seg() saves and restores
 * the action). A handler that came after ours may call ours and stays.
 */
static int
install_handler(void)
{
	struct sigaction now, ours = { .sa_sigaction = on_sigbus };

	if (sigaction(SIGBUS, NULL, &now) != 0)
		return -errno;
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus)
		return 0;
	if (now.sa_handler == SIG_DFL) {
		atomic_store(&previous_action, &default_action);
	} else if (now.sa_handler == SIG_IGN) {
		atomic_store(&previous_action, &ignore_action);
	} else if (!installed) {
		first_previous = now;
		atomic_store(&previous_action, &first_previous);
	} else if (now.sa_handler != first_previous.sa_handler) {
		return 0;
	}
	/* On the alternate stack, where the previous handler may expect to be. */
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (now.sa_flags & SA_RESTART);
	sigfillset(&ours.sa_mask);
	if (sigaction(SIGBUS, &ours, NULL) != 0)
		return -errno;
	if (!installed)
		installed = pthread_atfork(before_fork, after_fork_in_parent,
					   after_fork_in_child) == 0;
	return installed ? 0 : -ENOMEM;
}

static struct slot *
find_free(void)
{
	unsigned int used = atomic_load(&slots_used);
	unsigned int i;

	for (i = 0; i < used; i++)
		if (phase_of(atomic_load(&slots[i].state)) == FREE)
			return &slots[i];
	if (used == BAR_SLICE_MAX_MAPPINGS)
		return NULL;
	atomic_store(&slots_used, used + 1);
	return &slots[used];
}

int
bar_slice_guard(void *address, size_t length, bar_slice_lost_fn lost, void *arg)
{
	struct slot *slot = NULL;
	int ret;

	pthread_mutex_lock(&table_lock);
	ret = install_handler();
	if (ret == 0) {
		slot = find_free();
		ret = slot == NULL ? -ENOSPC : 0;
	}
	if (ret == 0) {
		atomic_store(&slot->start, (uintptr_t)address);
		atomic_store(&slot->length, length);
		atomic_store(&slot->lost, lost);
		atomic_store(&slot->arg, arg);
		atomic_store(&slot->state, next_generation(atomic_load(&slot->state), GUARDED));
	}
	pthread_mutex_unlock(&table_lock);
	if (ret == -ENOSPC)
		return bar_slice_fail(ENOSPC, "mapping at %p: %d mappings are guarded already",
				      address, BAR_SLICE_MAX_MAPPINGS);
	if (ret != 0)
		return bar_slice_fail(-ret, "mapping at %p: no handler for SIGBUS: %s", address,
				      strerror(-ret));
	return 0;
}

static struct slot *
find_guarded(uintptr_t start, size_t length)
{
	unsigned int used = atomic_load(&slots_used);
	unsigned int i;

	for (i = 0; i < used; i++)
		if (phase_of(atomic_load(&slots[i].state)) != FREE &&
		    atomic_load(&slots[i].start) == start &&
		    atomic_load(&slots[i].length) == length)
			return &slots[i];
	return NULL;
}

int
bar_slice_unguard(void *address, size_t length)
{
	struct slot *slot;
	uint64_t state;

	pthread_mutex_lock(&table_lock);
	slot = find_guarded((uintptr_t)address, length);
	if (slot != NULL) {
		state = atomic_load(&slot->state);
		/* Once the slot is free nothing may be mapped at its address any more. */
		while (phase_of(state) == REPLACING ||
		       !atomic_compare_exchange_strong(&slot->state, &state,
						       next_generation(state, FREE))) {
			wait_for_replacement();
			state = atomic_load(&slot->state);
		}
	}
	pthread_mutex_unlock(&table_lock);
	if (slot == NULL)
		return bar_slice_fail(EINVAL, "mapping at %p of 0x%zx bytes: not one of"
				      " bar_slice_map()", address, length);
	return 0;
}
