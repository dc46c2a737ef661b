#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 120
# command: debug-kernel
"""Minutes of races, and all that ran before them, upset no checker and leak nothing"""

import os

from lab import IVSHMEM, check, kernel_leaks, report
from uapi import DOORBELLS, conformance, load_driver

# One is reset by itself, the other by its bus.
SUBJECTS = (DOORBELLS, (IVSHMEM, "2"))

load_driver()
for subject in SUBJECTS:
    conformance(subject, "--stress", str(int(os.environ["STRESS_S"]) // len(SUBJECTS)))

leaks = kernel_leaks()
check(not leaks, f"kmemleak reports {len(leaks)} leaks:\n" + "".join(leaks[:5]))
report("kmemleak reports nothing")
