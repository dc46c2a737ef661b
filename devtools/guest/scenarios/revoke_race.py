#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
"""Revokes raced against writers on every core: no late write reaches the device"""

import json
import os
import subprocess
import sys

from lab import PORT0, PROGRAMS, bind, check, host, load_module, report

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
PAGE = os.sysconf("SC_PAGESIZE")
EVENT = "virtio_pci_notify_write"

load_module("dmabuf-vfio-pci")
bind(PORT0, "dmabuf-vfio-pci")
host.trace(EVENT)
host.trace_clear()
program = subprocess.run([f"{PROGRAMS}/revoke-race", PORT0, str(ROUNDS)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
host.trace(EVENT, on=False)
before, during, late = host.trace_race(0, PAGE, 2 * PAGE)
report(f"the device heard {before} writes before the revokes, {during} while they were under way, "
       f"{late} after")
check(program.returncode == 0, f"revoke-race: {program.stderr}")
done = json.loads(program.stdout)
report(f"{done['rounds']} revokes, {done['writers']} writers; {done['rung']} writes went through, "
       f"{done['faults']} raised SIGBUS; a revoke took {done['mean_us']} us on average, "
       f"{done['worst_us']} us at worst")
check(late == 0, f"{late} writes reached the device after the revoke of their page")
check(before + during == done["rung"],
      f"{done['rung']} writes went through, but the device heard {before + during}")
# Without any, revokes would have met writers that stood still.
check(during >= ROUNDS, f"only {during} writes were under way in {ROUNDS} revokes")
