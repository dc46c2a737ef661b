#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 240
# command: mutations
"""A kernel driver broken on purpose is caught by the case that is named for it"""

import json
import re
import subprocess
import sys

import lab
from lab import IVSHMEM, PORT0, PORT1, PREFIX, PROGRAMS, bind, check, load_module, report

name = sys.argv[1]
with open(f"{PREFIX}/mutants/{name}.json") as file:
    mutation = json.load(file)
case, device = mutation["case"], mutation["device"]

subprocess.run(["modprobe", "vfio_pci_core"], check=True)
subprocess.run(["insmod", f"{PREFIX}/mutants/{name}.ko"], check=True)
load_module("pte_memtype")
for bdf in (PORT0, PORT1, IVSHMEM):
    bind(bdf, "dmabuf-vfio-pci")
target = (PORT0, "4", PORT1) if device == "virtio" else (IVSHMEM, "2", PORT1)


def failures(*options):
    """What conformance finds wrong, a line each."""
    run = subprocess.run([f"{PROGRAMS}/dmabuf-conformance", *options, *target],
                         stdout=subprocess.PIPE, text=True, errors="replace")
    print(run.stdout)
    found = re.findall(r"^not ok \d+ - (.*)$", run.stdout, re.M)
    if run.returncode != 0 and not found:
        found = [f"ended with status {run.returncode}"]
    return found


found = failures() + failures("--stress", "3")
bad = lab.bad_kernel_log(lab.kernel_log(f"begin mutant@{name}"))
if bad:
    found.append(f"kernel log: {bad[0]}")
    print(*lab.kernel_log(f"begin mutant@{name}")[-40:], sep="\n")
report("\n".join(found[:4]) or "nothing found")
if case:
    check(any(case in line for line in found), f"not caught by a case with '{case}'")
else:
    check(not found, "cases fail although nothing is broken")
