/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "bar_lease_private.h"

/* The name that DPDK 23.03 gave it. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

struct telemetry_job {
	const char *name;
	struct rte_tel_data *data;
	int ret;
};

/* DPDK 22.11 has no array of dictionaries: a dictionary by slice number serves. */
static void
add_slice(struct rte_tel_data *slices, struct bar_lessor *lessor, unsigned int slice)
{
	struct rte_tel_data *entry = rte_tel_data_alloc();
	struct bar_lease_info info;
	char number[12];

	if (entry == NULL)
		return;
	bar_lessor_query(lessor, slice, &info);
	rte_tel_data_start_dict(entry);
	rte_tel_data_add_dict_string(entry, "slice", lease_slice_name(lessor, slice));
	rte_tel_data_add_dict_string(entry, "state", bar_lease_state_name(info.state));
	rte_tel_data_add_dict_int(entry, "pid", info.pid);
	rte_tel_data_add_dict_uint(entry, "uid", info.uid);
	rte_tel_data_add_dict_uint(entry, "granted", info.granted);
	rte_tel_data_add_dict_uint(entry, "refused", info.refused);
	rte_tel_data_add_dict_uint(entry, "granted_at", info.granted_at);
	rte_tel_data_add_dict_uint(entry, "revoked_at", info.revoked_at);
	rte_tel_data_add_dict_uint(entry, "freed_at", info.freed_at);
	snprintf(number, sizeof(number), "%u", slice);
	if (rte_tel_data_add_dict_container(slices, number, entry, 0) != 0)
		rte_tel_data_free(entry);
}

/* On the interrupt thread, where neither the list nor a table changes under our hands. */
static void
list_lessors(void *arg)
{
	struct telemetry_job *job = arg;
	struct bar_lessor *lessor = NULL;

	rte_tel_data_start_array(job->data, RTE_TEL_STRING_VAL);
	lease_lessors_lock();
	while ((lessor = lease_lessor_next(lessor)) != NULL)
		rte_tel_data_add_array_string(job->data, lease_lessor_name(lessor));
	lease_lessors_unlock();
}

static void
list_slices(void *arg)
{
	struct telemetry_job *job = arg;
	struct bar_lessor *lessor = NULL;
	unsigned int i, count;

	job->ret = -ENOENT;
	lease_lessors_lock();
	while ((lessor = lease_lessor_next(lessor)) != NULL) {
		if (strcmp(lease_lessor_name(lessor), job->name) != 0)
			continue;
		count = RTE_MIN(lease_lessor_nb_slices(lessor),
				(unsigned int)RTE_TEL_MAX_DICT_ENTRIES);
		rte_tel_data_start_dict(job->data);
		for (i = 0; i < count; i++)
			add_slice(job->data, lessor, i);
		job->ret = 0;
		break;
	}
	lease_lessors_unlock();
}

static int
handle_list(const char *cmd __rte_unused, const char *params __rte_unused,
	    struct rte_tel_data *data)
{
	struct telemetry_job job = { .data = data };

	return lease_run(list_lessors, &job);
}

static int
handle_slices(const char *cmd __rte_unused, const char *params, struct rte_tel_data *data)
{
	struct telemetry_job job = { .name = params, .data = data };

	if (params == NULL)
		return -EINVAL;
	if (lease_run(list_slices, &job) != 0)
		return -ENOMEM;
	return job.ret;
}

RTE_INIT(bar_lease_telemetry_init)
{
	rte_telemetry_register_cmd("/bar_lease/list", handle_list,
				   "Names of the lessors of this process. Takes no parameters.");
	rte_telemetry_register_cmd("/bar_lease/slices", handle_slices,
				   "State, holder and times (monotonic, ns) of every slice. "
				   "Parameter: name of the lessor.");
}
