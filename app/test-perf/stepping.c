/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <signal.h>

#include "stepping.h"

volatile uint64_t stepping_count;

#ifdef RTE_ARCH_X86_64

static void
count_step(int signal __rte_unused)
{
	stepping_count++;
}

bool
stepping_init(void)
{
	struct sigaction action = { .sa_handler = count_step };

	return sigaction(SIGTRAP, &action, NULL) == 0;
}

#else

bool
stepping_init(void)
{
	return false;
}

#endif
