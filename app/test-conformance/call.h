/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef CALL_H
#define CALL_H

#include <stddef.h>

/* A call of the device file that takes a structure, for tests of where the structure lies. */
struct call {
	const char *name;
	/* Returns the request; the structure is about fd and makes the call succeed. */
	unsigned long (*build)(void *structure, size_t *size, int fd);
};

/* No structure is larger. */
#define MAX_CALL 64

extern const struct call export_call, memattr_call, revoke_call;

#endif /* CALL_H */
