#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
"""Revokes hold under races and device errors, and scale with the number of mappings"""

import os

from lab import IVSHMEM, host, report
from uapi import DOORBELLS, conformance, judge, load_driver, start

STRESS_S = "5"
ERROR_S = "20"
# As QEMU's monitor names them: a completion timeout is not fatal, a malformed packet is.
ERRORS = ("COMP_TIME", "MALF_TLP")


def device_error(error):
    """Let the device report an error while the program has its slices mapped."""
    program = start(DOORBELLS, "--wait-for-error", ERROR_S)
    output = ""
    for line in program.stdout:
        output += line
        if "waiting for an error" in line:
            report(host.monitor(f"pcie_aer_inject_error port0 {error}").strip())
    judge(output, program.wait(), f"error {error}")


load_driver()
conformance(DOORBELLS, "--stress", STRESS_S)
conformance((IVSHMEM, "2"), "--stress", STRESS_S)
if os.path.exists("/proc/thread-self/fail-nth"):
    conformance(DOORBELLS, "--fail-nth")
    report("--scale skipped: on a kernel full of checkers it is their time that counts")
else:
    conformance(DOORBELLS, "--scale")
    report("--fail-nth skipped: the kernel injects no failures (CONFIG_FAULT_INJECTION)")
for error in ERRORS:
    device_error(error)
