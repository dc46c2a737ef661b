/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Telemetry passes on no more than an error's number, so what is wrong with a command is in its
 * answer. All of it runs on the interrupt thread, where neither the list of lessors nor a table
 * changes under our hands.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_string_fns.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "bar_lessor_private.h"

/* The name that DPDK 23.03 gave it. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

/* Entries of an answer: 16 kB is the most that telemetry sends, and it would cut off the rest. */
#define PAGE 48

struct request {
	struct rte_tel_data *data;
	const struct command *command;
	struct bar_lessor *lessor;
	char name[BAR_LEASE_NAME_SIZE];
	const char *rest;		/* of the parameters; NULL: there is none */
};

struct command {
	const char *name;
	void (*fn)(struct request *request);
	const char *help;
};

static __rte_format_printf(2, 3) void
say_error(struct request *request, const char *format, ...)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rte_tel_data_start_dict(request->data);
	rte_tel_data_add_dict_string(request->data, "error", text);
}

static bool
read_number(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && isdigit((unsigned char)*text) && *end == '\0';
}

/* Where the answer is to begin; absent: at the beginning. */
static bool
read_start(struct request *request, uint64_t *start)
{
	*start = 0;
	if (request->rest == NULL || read_number(request->rest, start))
		return true;
	say_error(request, "%s: '%s' is not a number", request->name, request->rest);
	return false;
}

/* DPDK 22.11 has no array of dictionaries: a dictionary by number serves. */
static void
add_entry(struct rte_tel_data *data, uint64_t number, struct rte_tel_data *entry)
{
	char name[24];

	snprintf(name, sizeof(name), "%" PRIu64, number);
	if (rte_tel_data_add_dict_container(data, name, entry, 0) != 0)
		rte_tel_data_free(entry);
}

static struct rte_tel_data *
new_entry(void)
{
	struct rte_tel_data *entry = rte_tel_data_alloc();

	if (entry != NULL)
		rte_tel_data_start_dict(entry);
	return entry;
}

/* There is more, to be had by this parameter. */
static void
add_next(struct rte_tel_data *data, uint64_t next)
{
	rte_tel_data_add_dict_uint(data, "next", next);
}

static const char *
slice_name(const struct request *request, unsigned int slice)
{
	return request->lessor->slots[slice].slice.name;
}

/* ---- Slices ---- */

/* Which slice, and whose. */
static struct rte_tel_data *
new_slice_entry(const struct request *request, unsigned int slice,
		const struct bar_lease_info *info)
{
	struct rte_tel_data *entry = new_entry();

	if (entry == NULL)
		return NULL;
	rte_tel_data_add_dict_string(entry, "slice", slice_name(request, slice));
	rte_tel_data_add_dict_string(entry, "state", bar_lease_state_name(info->state));
	rte_tel_data_add_dict_int(entry, "pid", info->pid);
	rte_tel_data_add_dict_uint(entry, "uid", info->uid);
	return entry;
}

static void
add_slice(struct request *request, unsigned int slice, const struct bar_lease_info *info)
{
	struct rte_tel_data *entry = new_slice_entry(request, slice, info);

	if (entry == NULL)
		return;
	rte_tel_data_add_dict_uint(entry, "granted", info->granted);
	rte_tel_data_add_dict_uint(entry, "refused", info->refused);
	rte_tel_data_add_dict_uint(entry, "granted_at", info->granted_at);
	rte_tel_data_add_dict_uint(entry, "revoked_at", info->revoked_at);
	rte_tel_data_add_dict_uint(entry, "freed_at", info->freed_at);
	rte_tel_data_add_dict_int(entry, "former", info->former);
	add_entry(request->data, slice, entry);
}

static void
add_lease(struct request *request, unsigned int slice, const struct bar_lease_info *info)
{
	const struct bar_lessor *lessor = request->lessor;
	struct rte_tel_data *entry = new_slice_entry(request, slice, info);

	if (entry == NULL)
		return;
	rte_tel_data_add_dict_uint(entry, "since", info->granted_at);
	if (lessor->doorbells != NULL)
		rte_tel_data_add_dict_uint(entry, "doorbells",
					   lessor->doorbells(lessor->arg, slice));
	add_entry(request->data, slice, entry);
}

static bool
is_any(const struct bar_lease_info *info __rte_unused)
{
	return true;
}

static bool
is_lease(const struct bar_lease_info *info)
{
	return info->state == BAR_LEASE_LEASED || info->state == BAR_LEASE_REVOKED;
}

static void
list_table(struct request *request, bool (*wanted)(const struct bar_lease_info *info),
	   void (*add)(struct request *request, unsigned int slice,
		       const struct bar_lease_info *info))
{
	unsigned int slice, count = 0;
	struct bar_lease_info info;
	uint64_t first;

	if (!read_start(request, &first))
		return;
	rte_tel_data_start_dict(request->data);
	for (slice = (unsigned int)RTE_MIN(first, (uint64_t)request->lessor->nb_slots);
	     slice < request->lessor->nb_slots; slice++) {
		bar_lessor_query(request->lessor, slice, &info);
		if (!wanted(&info))
			continue;
		if (count++ == PAGE) {
			add_next(request->data, slice);
			return;
		}
		add(request, slice, &info);
	}
}

static void
list_slices(struct request *request)
{
	list_table(request, is_any, add_slice);
}

static void
list_leases(struct request *request)
{
	list_table(request, is_lease, add_lease);
}

/* By number or name, or what comes after the name's last slash. */
static bool
find_slice(struct request *request, unsigned int *slice)
{
	const char *given = request->rest, *name, *last;
	uint64_t number;
	unsigned int i;

	if (given == NULL) {
		say_error(request, "%s: which slice?", request->name);
		return false;
	}
	if (read_number(given, &number) && number < request->lessor->nb_slots) {
		*slice = (unsigned int)number;
		return true;
	}
	for (i = 0; i < request->lessor->nb_slots; i++) {
		name = slice_name(request, i);
		last = strrchr(name, '/');
		if (strcmp(given, name) == 0 || (last != NULL && strcmp(given, last + 1) == 0)) {
			*slice = i;
			return true;
		}
	}
	say_error(request, "%s: no slice '%s': there are 0 to %u, or by name as %s", request->name,
		  given, request->lessor->nb_slots - 1, slice_name(request, 0));
	return false;
}

static void
revoke_slice(struct request *request)
{
	struct bar_lease_info info;
	unsigned int slice;
	int ret;

	if (!find_slice(request, &slice))
		return;
	ret = bar_lessor_revoke(request->lessor, slice);
	bar_lessor_query(request->lessor, slice, &info);
	if (ret == -ENOENT) {
		say_error(request, "%s: not leased, but %s", slice_name(request, slice),
			  bar_lease_state_name(info.state));
	} else if (ret == -EALREADY) {
		say_error(request, "%s: revoked already; process %d has not let go of it",
			  slice_name(request, slice), info.pid);
	} else if (ret != 0) {
		say_error(request, "%s: cannot be revoked, see the log: %s",
			  slice_name(request, slice), strerror(-ret));
	} else {
		rte_tel_data_start_dict(request->data);
		rte_tel_data_add_dict_string(request->data, "revoked", slice_name(request, slice));
		rte_tel_data_add_dict_int(request->data, "pid", info.pid);
	}
}

/* ---- Peers ---- */

static void
add_peer(struct rte_tel_data *data, unsigned int number, const struct bar_lease_peer *peer)
{
	struct rte_tel_data *entry = new_entry();

	if (entry == NULL)
		return;
	rte_tel_data_add_dict_int(entry, "pid", peer->pid);
	rte_tel_data_add_dict_uint(entry, "uid", peer->uid);
	rte_tel_data_add_dict_uint(entry, "gid", peer->gid);
	rte_tel_data_add_dict_uint(entry, "since", peer->since);
	rte_tel_data_add_dict_uint(entry, "slices", peer->slices);
	rte_tel_data_add_dict_uint(entry, "messages", peer->messages);
	rte_tel_data_add_dict_uint(entry, "refused", peer->refused);
	rte_tel_data_add_dict_int(entry, "connected", peer->connected);
	rte_tel_data_add_dict_int(entry, "drained", peer->drained);
	add_entry(data, number, entry);
}

static void
list_peers(struct request *request)
{
	struct bar_lease_peer peers[BAR_LEASE_MAX_PEERS];
	unsigned int i, count;
	uint64_t first;
	int ret;

	if (!read_start(request, &first))
		return;
	ret = bar_lessor_peers(request->lessor, peers, RTE_DIM(peers));
	count = (unsigned int)RTE_MAX(ret, 0);
	rte_tel_data_start_dict(request->data);
	for (i = (unsigned int)RTE_MIN(first, (uint64_t)count); i < count; i++) {
		if (i - first == PAGE) {
			add_next(request->data, i);
			return;
		}
		add_peer(request->data, i, &peers[i]);
	}
}

/* PID[,GRACE_MS] */
static void
drain(struct request *request)
{
	const char *separator = request->rest == NULL ? NULL : strchr(request->rest, ',');
	uint64_t pid, grace_ms = 0;
	char number[16];
	int ret;

	strlcpy(number, request->rest == NULL ? "" : request->rest, sizeof(number));
	number[strcspn(number, ",")] = '\0';
	if (!read_number(number, &pid) || pid > INT32_MAX ||
	    (separator != NULL && (!read_number(separator + 1, &grace_ms) ||
				   grace_ms > UINT32_MAX))) {
		say_error(request, "%s: which process? PID, or PID,MILLISECONDS to kill it then",
			  request->name);
		return;
	}
	ret = bar_lessor_drain(request->lessor, (pid_t)pid,
			       separator != NULL ? BAR_LEASE_FENCE : 0, (unsigned int)grace_ms);
	if (ret == -ESRCH) {
		say_error(request, "%s: process %d is not attached", request->name, (int)pid);
	} else if (ret == -EDEADLK) {
		say_error(request, "%s: process %d is the lessor itself", request->name, (int)pid);
	} else if (ret < 0) {
		say_error(request, "%s: process %d: %s", request->name, (int)pid, strerror(-ret));
	} else {
		rte_tel_data_start_dict(request->data);
		rte_tel_data_add_dict_int(request->data, "drained", (int)pid);
		rte_tel_data_add_dict_int(request->data, "slices", ret);
	}
}

/* ---- Policy ---- */

static void
policy(struct request *request)
{
	struct bar_lease_rule rules[BAR_LEASE_MAX_RULES];
	char error[BAR_LEASE_ERROR_SIZE], text[RTE_TEL_MAX_STRING_LEN], number[12];
	int i, count;

	if (request->rest != NULL) {
		count = bar_lease_parse_rules(request->rest, rules, error);
		if (count < 0) {
			say_error(request, "%s: rules, %s", request->name, error);
			return;
		}
		bar_lessor_set_policy(request->lessor, rules, (unsigned int)count);
	}
	count = bar_lessor_get_policy(request->lessor, rules);
	rte_tel_data_start_dict(request->data);
	for (i = 0; i < count; i++) {
		bar_lease_format_rule(&rules[i], text, sizeof(text));
		snprintf(number, sizeof(number), "%d", i);
		rte_tel_data_add_dict_string(request->data, number, text);
	}
}

/* ---- Events ---- */

static void
add_event(struct request *request, const struct bar_lease_event *event)
{
	struct rte_tel_data *entry = new_entry();

	if (entry == NULL)
		return;
	rte_tel_data_add_dict_uint(entry, "time", event->time);
	rte_tel_data_add_dict_string(entry, "event", bar_lease_event_name(event->type));
	if (event->slice >= 0)
		rte_tel_data_add_dict_string(entry, "slice",
					     slice_name(request, (unsigned int)event->slice));
	if (event->pid != 0) {
		rte_tel_data_add_dict_int(entry, "pid", event->pid);
		rte_tel_data_add_dict_uint(entry, "uid", event->uid);
	}
	if (event->error != 0)
		rte_tel_data_add_dict_string(entry, "error", strerror(event->error));
	add_entry(request->data, event->number, entry);
}

static void
list_events(struct request *request)
{
	struct bar_lease_event events[PAGE + 1];
	uint64_t since;
	int i, count;

	if (!read_start(request, &since))
		return;
	count = bar_lessor_events(request->lessor, since, events, RTE_DIM(events));
	rte_tel_data_start_dict(request->data);
	for (i = 0; i < RTE_MIN(count, PAGE); i++)
		add_event(request, &events[i]);
	if (count > PAGE)
		add_next(request->data, events[PAGE - 1].number);
}

/* ---- Commands ---- */

static void
list_lessors(void *arg)
{
	struct rte_tel_data *data = arg;
	struct bar_lessor *lessor = NULL;

	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	lease_lessors_lock();
	while ((lessor = lease_lessor_next(lessor)) != NULL)
		rte_tel_data_add_array_string(data, lessor->name);
	lease_lessors_unlock();
}

static int
handle_list(const char *cmd __rte_unused, const char *params __rte_unused,
	    struct rte_tel_data *data)
{
	return lease_run(list_lessors, data);
}

static const struct command commands[] = {
	{ "/bar_lease/slices", list_slices,
	  "State, holder and times (monotonic, ns) of slices. Parameters: lessor[,first slice]." },
	{ "/bar_lease/leases", list_leases,
	  "Who has leased which slice, and since when. Parameters: lessor[,first slice]." },
	{ "/bar_lease/peers", list_peers,
	  "The processes that are served. Parameters: lessor[,first]." },
	{ "/bar_lease/revoke", revoke_slice,
	  "Revokes a lease. Parameters: lessor,slice (by number or name)." },
	{ "/bar_lease/drain", drain,
	  "Revokes all of a process, for good, and kills it if it holds on for a time. "
	  "Parameters: lessor,process[,milliseconds]." },
	{ "/bar_lease/policy", policy,
	  "Who may lease what. Parameters: lessor[,rules], such as uid=1000:max=4;uid=*:deny." },
	{ "/bar_lease/events", list_events,
	  "What has happened lately. Parameters: lessor[,number of the last one known]." },
};

static void
carry_out(void *arg)
{
	struct request *request = arg;

	lease_lessors_lock();
	while ((request->lessor = lease_lessor_next(request->lessor)) != NULL)
		if (strcmp(request->lessor->name, request->name) == 0)
			break;
	if (request->lessor != NULL)
		request->command->fn(request);
	else
		say_error(request, "no lessor '%s': see /bar_lease/list", request->name);
	lease_lessors_unlock();
}

static int
handle(const char *cmd, const char *params, struct rte_tel_data *data)
{
	struct request request = { .data = data, .command = commands };

	while (strcmp(request.command->name, cmd) != 0)
		request.command++;
	if (params != NULL) {
		strlcpy(request.name, params, sizeof(request.name));
		request.name[strcspn(request.name, ",")] = '\0';
		request.rest = strchr(params, ',');
		if (request.rest != NULL)
			request.rest++;
	}
	return lease_run(carry_out, &request);
}

RTE_INIT(bar_lease_telemetry_init)
{
	unsigned int i;

	rte_telemetry_register_cmd("/bar_lease/list", handle_list,
				   "Names of the lessors of this process. Takes no parameters.");
	for (i = 0; i < RTE_DIM(commands); i++)
		rte_telemetry_register_cmd(commands[i].name, handle, commands[i].help);
}
