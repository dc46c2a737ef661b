/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

/**
 * @file
 * What the fuzzer hands to a target, taken bit by bit from its start. Behind its end all is zero.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct input {
	const uint8_t *at, *end;
};

static inline size_t
input_left(const struct input *in)
{
	return (size_t)(in->end - in->at);
}

/** A number of that many bytes, the lowest first. */
static inline uint64_t
take(struct input *in, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes && in->at < in->end; i++)
		value |= (uint64_t)*in->at++ << (8 * i);
	return value;
}

/** A number below @p below, which is at most 256. */
static inline unsigned int
take_below(struct input *in, unsigned int below)
{
	return (unsigned int)(take(in, 1) % below);
}

/** What must hold whatever a device does. */
#define require(condition, what) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, (what)); \
			abort(); \
		} \
	} while (0)

#endif /* FUZZ_INPUT_H */
