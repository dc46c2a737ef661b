/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_kvargs.h>

#include "virtio_lease.h"

struct parsing {
	const char *address;
	struct vlease_devargs *devargs;
};

/* 0 or 1; -1 and a line in the log for what is neither. */
static int
parse_bit(const struct parsing *parsing, const char *key, const char *value)
{
	if (value != NULL && (strcmp(value, "0") == 0 || strcmp(value, "1") == 0))
		return value[0] - '0';
	VLEASE_LOG(ERR, "%s: argument %s=%s: the values are 0 and 1", parsing->address, key,
		   value == NULL ? "" : value);
	return -1;
}

static int
parse_memattr(const struct parsing *parsing, const char *value)
{
	if (strcmp(value, "wc") == 0) {
		parsing->devargs->memattr = BAR_SLICE_WRITE_COMBINED;
	} else if (strcmp(value, "nc") == 0) {
		parsing->devargs->memattr = BAR_SLICE_UNCACHED;
	} else {
		VLEASE_LOG(ERR, "%s: argument " VLEASE_ARG_MEMATTR "=%s: the values are wc "
			   "(write-combining) and nc (uncached)", parsing->address, value);
		return -EINVAL;
	}
	return 0;
}

static int
parse_primary_death(const struct parsing *parsing, const char *value)
{
	if (strcmp(value, "wait") != 0 && strcmp(value, "exit") != 0) {
		VLEASE_LOG(ERR, "%s: argument " VLEASE_ARG_PRIMARY_DEATH "=%s: the values are "
			   "wait and exit", parsing->address, value);
		return -EINVAL;
	}
	parsing->devargs->exit_with_primary = strcmp(value, "exit") == 0;
	return 0;
}

static int
parse_lease(const char *key, const char *value, void *arg)
{
	struct parsing *parsing = arg;
	int bit = parse_bit(parsing, key, value);

	parsing->devargs->lease = bit == 1;
	return bit < 0 ? -EINVAL : 0;
}

/* Arguments that say whether a feature is used: 0 for never, 1 for nothing else. */
static const struct {
	const char *key;
	uint64_t feature;
} choices[] = {
	{ VLEASE_ARG_PACKED, VIRTIO_F_RING_PACKED },
	{ VLEASE_ARG_IN_ORDER, VIRTIO_F_IN_ORDER },
	{ VLEASE_ARG_MRG_RXBUF, VIRTIO_NET_F_MRG_RXBUF },
	{ VLEASE_ARG_EVENT_IDX, VIRTIO_F_EVENT_IDX },
	{ VLEASE_ARG_INDIRECT, VIRTIO_F_INDIRECT_DESC },
};

const char *
vlease_argument_name(uint64_t feature)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(choices); i++)
		if (choices[i].feature == feature)
			return choices[i].key;
	return NULL;
}

static int
parse_choice(const struct parsing *parsing, unsigned int choice, const char *value)
{
	int bit = parse_bit(parsing, choices[choice].key, value);

	if (bit < 0)
		return -EINVAL;
	if (bit == 1)
		parsing->devargs->required |= choices[choice].feature;
	else
		parsing->devargs->refused |= choices[choice].feature;
	return 0;
}

static int
parse_policy(const struct parsing *parsing, const char *value)
{
	char error[BAR_LEASE_ERROR_SIZE];
	int ret = bar_lease_parse_rules(value, parsing->devargs->policy, error);

	if (ret < 0) {
		VLEASE_LOG(ERR, "%s: argument " VLEASE_ARG_POLICY "=%s: %s", parsing->address,
			   value, error);
		return -EINVAL;
	}
	parsing->devargs->nb_rules = (unsigned int)ret;
	return 0;
}

static int
parse_socket(const struct parsing *parsing, const char *value)
{
	char *path = parsing->devargs->socket;

	if (value[0] == '/' && strlcpy(path, value, sizeof(parsing->devargs->socket)) <
	    sizeof(parsing->devargs->socket))
		return 0;
	VLEASE_LOG(ERR, "%s: argument " VLEASE_ARG_SOCKET "=%s: the value is an absolute path of "
		   "at most %zu characters", parsing->address, value,
		   sizeof(parsing->devargs->socket) - 1);
	return -EINVAL;
}

/* -1 and a line in the log for what is no number of this base, or too large. */
static int
parse_number(const struct parsing *parsing, const char *key, const char *value, int base,
	     unsigned long max, const char *what)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, base);
	if (errno == 0 && isdigit((unsigned char)value[0]) && *end == '\0' && number <= max)
		return (int)number;
	VLEASE_LOG(ERR, "%s: argument %s=%s: the value is %s", parsing->address, key, value, what);
	return -1;
}

static int
parse_fence(const struct parsing *parsing, const char *value)
{
	int ms = parse_number(parsing, VLEASE_ARG_FENCE, value, 10, INT_MAX,
			      "a time in milliseconds, 0 for never");

	parsing->devargs->fence_ms = (unsigned int)ms;
	return ms < 0 ? -EINVAL : 0;
}

static int
parse_socket_mode(const struct parsing *parsing, const char *value)
{
	int mode = parse_number(parsing, VLEASE_ARG_SOCKET_MODE, value, 8, 0777,
				"the mode of a file in octal digits, such as 0660");

	parsing->devargs->socket_mode = (mode_t)mode;
	return mode < 0 ? -EINVAL : 0;
}

static const struct {
	const char *key;
	int (*parse)(const struct parsing *parsing, const char *value);
} others[] = {
	{ VLEASE_ARG_MEMATTR, parse_memattr },
	{ VLEASE_ARG_PRIMARY_DEATH, parse_primary_death },
	{ VLEASE_ARG_POLICY, parse_policy },
	{ VLEASE_ARG_FENCE, parse_fence },
	{ VLEASE_ARG_SOCKET, parse_socket },
	{ VLEASE_ARG_SOCKET_MODE, parse_socket_mode },
};

static int
parse_other(const char *key, const char *value, void *arg)
{
	struct parsing *parsing = arg;
	unsigned int i;

	if (strcmp(key, VLEASE_ARG_LEASE) == 0)
		return 0;
	for (i = 0; i < RTE_DIM(others); i++)
		if (strcmp(key, others[i].key) == 0)
			return others[i].parse(parsing, value == NULL ? "" : value);
	for (i = 0; i < RTE_DIM(choices); i++)
		if (strcmp(key, choices[i].key) == 0)
			return parse_choice(parsing, i, value);
	VLEASE_LOG(ERR, "%s: argument %s: unknown; the arguments are " VLEASE_ARG_MEMATTR "=wc|nc, "
		   VLEASE_ARG_PRIMARY_DEATH "=wait|exit, and with 0|1: "
		   VLEASE_ARG_LEASE ", " VLEASE_ARG_PACKED ", "
		   VLEASE_ARG_IN_ORDER ", " VLEASE_ARG_MRG_RXBUF ", " VLEASE_ARG_EVENT_IDX ", "
		   VLEASE_ARG_INDIRECT "; " VLEASE_ARG_POLICY "=RULES with no = in them, "
		   VLEASE_ARG_FENCE "=MS, " VLEASE_ARG_SOCKET "=PATH, " VLEASE_ARG_SOCKET_MODE
		   "=MODE", parsing->address, key);
	return -EINVAL;
}

int
vlease_parse_devargs(const char *address, const struct rte_devargs *given,
		     struct vlease_devargs *devargs)
{
	struct parsing parsing = { .address = address, .devargs = devargs };
	struct rte_kvargs *kvargs;
	int ret;

	*devargs = (struct vlease_devargs){ .lease = true, .memattr = BAR_SLICE_WRITE_COMBINED };
	if (given == NULL)
		return 0;
	kvargs = rte_kvargs_parse(given->args, NULL);
	if (kvargs == NULL) {
		VLEASE_LOG(ERR, "%s: arguments '%s': not of the form key=value,...", address,
			   given->args);
		return -EINVAL;
	}
	ret = rte_kvargs_process(kvargs, VLEASE_ARG_LEASE, parse_lease, &parsing);
	/* With lease=0 the other arguments are for another driver. */
	if (ret == 0 && devargs->lease)
		ret = rte_kvargs_process(kvargs, NULL, parse_other, &parsing);
	rte_kvargs_free(kvargs);
	return ret == 0 ? 0 : -EINVAL;
}
