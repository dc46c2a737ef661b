#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 240
# kernels: 6.12
# command: mutations
"""Control: without one check of the library, the attack that is named for it gets through"""

import json
import os
import re
import subprocess
import sys

from enemy import attack, primary_for_all
from lab import PREFIX, check, report
from lease import Leases, bind_ports, process, wait_for_leases

PATIENCE_S = 180

folder = f"{PREFIX}/mutants/{sys.argv[1]}"
with open(f"{folder}/mutation.json") as file:
    expected = json.load(file)["attack"]

bind_ports()
path = f"{folder}:{os.environ['LD_LIBRARY_PATH']}"
primary = primary_for_all(wrapper=("env", f"LD_LIBRARY_PATH={path}"))
secondary = process(1)
primary.start()
secondary.start()
wait_for_leases(Leases(), secondary, 1)
check(any(mapping.path.startswith(folder) for mapping in primary.maps()),
      f"the primary does not run with {folder}")

enemy = attack(primary)
try:
    output = enemy.communicate(timeout=PATIENCE_S)[0]
except subprocess.TimeoutExpired:
    enemy.kill()
    output = enemy.communicate()[0]
through = re.findall(r"^not ok \d+ - (.*)$", output, re.M)
if not primary.alive:
    through = ["the primary ended"]  # what comes after it finds nobody to attack
report("\n".join(through) or "every attack is refused")
if expected:
    check(any(name in line for name in expected.split("|") for line in through),
          f"not by the attack '{expected}'")
else:
    check(not through, "attacks get through although nothing is broken")
