#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
"""The kernel driver keeps every rule of the uAPI that the conformance program knows"""

import re
import subprocess

from lab import PORT0, PORT1, PROGRAMS, check, load_module, report
from lease import bind_ports

BAR = "4"  # of the doorbells
STRESS_S = "5"


def conformance(*arguments):
    """Run it; print what failed, report what was skipped and why."""
    run = subprocess.run([f"{PROGRAMS}/dmabuf-conformance", *arguments, PORT0, BAR, PORT1],
                         stdout=subprocess.PIPE, text=True)
    cases = re.findall(r"^(?:not )?ok \d+.*$", run.stdout, re.M)
    planned = re.search(r"^1\.\.(\d+)$", run.stdout, re.M)
    report("\n".join([f"{len(cases)} cases {' '.join(arguments)}".rstrip(),
                      *(case for case in cases if "# SKIP" in case)]))
    if run.returncode != 0:
        print(run.stdout)
    check(run.returncode == 0, f"exit status {run.returncode}")
    check(planned and int(planned[1]) == len(cases) > 0, "not as many cases as planned")


bind_ports()
load_module("pte_memtype")
conformance()
conformance("--stress", STRESS_S)
