#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 240
# command: mutations
"""A kernel driver broken on purpose is caught by the case that is named for it"""

import json
import re
import sys

import lab
from lab import IVSHMEM, PREFIX, check, report
from uapi import DOORBELLS, load_driver, start

name = sys.argv[1]
with open(f"{PREFIX}/mutants/{name}.json") as file:
    mutation = json.load(file)
case = mutation["case"]
subject = {"virtio": DOORBELLS, "ivshmem": (IVSHMEM, "2")}[mutation["device"]]
load_driver(module=f"{PREFIX}/mutants/{name}.ko")


def failures(*options):
    """What conformance finds wrong, a line each."""
    program = start(subject, *options)
    output, _ = program.communicate()
    print(output)
    found = re.findall(r"^not ok \d+ - (.*)$", output, re.M)
    if program.returncode != 0 and not found:
        found = [f"ended with status {program.returncode}"]
    return found


if case.startswith("stress"):
    found = failures("--stress", "5")
elif case and case != "kernel log":
    found = failures("--only", case)
else:
    found = failures() + failures("--stress", "5")
bad = lab.bad_kernel_log(lab.kernel_log(f"begin mutant@{name}"))
if bad:
    found.append(f"kernel log: {bad[0]}")
    print(*lab.kernel_log(f"begin mutant@{name}")[-40:], sep="\n")
report("\n".join(found[:4]) or "nothing found")
if case:
    check(any(case in line for line in found), f"not caught by a case with '{case}'")
else:
    check(not found, "cases fail although nothing is broken")
