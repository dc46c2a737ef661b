/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_EAL_H
#define FUZZ_EAL_H

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_log.h>

#include "input.h"

/** Start EAL without devices, quietly; once. */
static inline void
start_eal(char *program)
{
	const char *args[] = {
		program, "--no-huge", "--no-shconf", "-m", "64", "--no-pci", "--no-telemetry",
		"--iova-mode=va", "-l", "0", "--log-level=lib.eal:error",
	};

	require(rte_eal_init(RTE_DIM(args), (char **)(uintptr_t)args) >= 0, "EAL");
	rte_log_set_global_level(RTE_LOG_EMERG);
}

#endif /* FUZZ_EAL_H */
