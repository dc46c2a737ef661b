/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef STEPPING_H
#define STEPPING_H

/**
 * @file
 * Counting instructions one by one: between stepping_begin() and stepping_end() the processor
 * traps after each, and the handler counts. Needs no performance counters, which many virtual
 * machines lack, knows every instruction that the processor knows, and is exact. A repeated string
 * instruction counts once for each repetition.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

/** A function to step through: called alike, whatever it does with its arguments. */
#if __has_attribute(noipa)
#define STEPPED __attribute__((noipa))
#else
#define STEPPED __attribute__((noinline))
#endif

extern volatile uint64_t stepping_count;

/** Whether this processor can be stepped. Call once before the first stepping_begin(). */
bool stepping_init(void);

#ifdef RTE_ARCH_X86_64

/* The trap flag is bit 8 of RFLAGS. Behind the stack pointer may stand data of the caller. */
#define STEPPING_SET_FLAGS(operation) \
	asm volatile("lea -128(%%rsp), %%rsp\n\t" \
		     "pushfq\n\t" \
		     operation ", (%%rsp)\n\t" \
		     "popfq\n\t" \
		     "lea 128(%%rsp), %%rsp" ::: "memory", "cc")

static inline void
stepping_begin(void)
{
	stepping_count = 0;
	STEPPING_SET_FLAGS("orq $0x100");
}

static inline uint64_t
stepping_end(void)
{
	STEPPING_SET_FLAGS("andq $~0x100");
	return stepping_count;
}

#else

static inline void
stepping_begin(void)
{
}

static inline uint64_t
stepping_end(void)
{
	return 0;
}

#endif

#endif /* STEPPING_H */
