# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""What scenarios about the kernel driver's uAPI are written with: the conformance program."""

import collections
import re
import subprocess
import time

from lab import (BAR_DEVICES, BOCHS, EDU, IVSHMEM, PORT0, PORT1, PORTS, PREFIX, PROGRAMS, RELEASE,
                 bind, check, load_module, report, unbind, unload_module)

DRIVER = "dmabuf-vfio-pci"
DOORBELLS = (PORT0, "4")
# Doorbells; memory with room for huge pages, twice; registers.
SUBJECTS = (DOORBELLS, (IVSHMEM, "2"), (BOCHS, "0"), (EDU, "0"))


def load_driver(*parameters, module=f"{PREFIX}/modules/{RELEASE}/{DRIVER}.ko"):
    """Load the driver anew, with parameters such as revoke_feature=1, and bind the devices."""
    for device in (*PORTS, *BAR_DEVICES):
        unbind(device)
    unload_module(DRIVER)
    # Built into some kernels; where it is missing, insmod says so.
    subprocess.run(["modprobe", "-q", "vfio-pci-core"], check=False)
    subprocess.run(["insmod", module, *parameters], check=True)
    for helper in ("pte_memtype", "dmabuf_importer"):
        load_module(helper)
    for device in (*PORTS, *BAR_DEVICES):
        bind(device, DRIVER)


def start(subject, *options):
    device, bar = subject
    return subprocess.Popen([f"{PROGRAMS}/dmabuf-conformance", *options, device, bar, PORT1],
                            stdout=subprocess.PIPE, text=True)


def skips(cases):
    """A line for each reason: how many cases it kept from running, and which."""
    by_reason = collections.defaultdict(list)
    for case in cases:
        if skipped := re.match(r"ok (\d+) - (.*) # SKIP (.*)$", case):
            by_reason[skipped[3]].append(skipped)
    for reason, skipped in by_reason.items():
        what = skipped[0][2] if len(skipped) == 1 else \
            f"{len(skipped)} cases, {skipped[0][1]} to {skipped[-1][1]}"
        check(reason, f"skipped without a reason: {what}")
        yield f"skipped: {what}: {reason}"


def judge(output, status, title):
    """Check what it printed; report the number of cases, what was skipped, and all figures."""
    cases = re.findall(r"^(?:not )?ok \d+.*$", output, re.M)
    planned = re.search(r"^1\.\.(\d+)$", output, re.M)
    report("\n".join([f"{title}: {len(cases)} cases", *skips(cases),
                      *re.findall(r"^# (.*)$", output, re.M)]))
    if status != 0:
        print(output)
    check(status == 0, f"{title}: exit status {status}")
    check(planned and int(planned[1]) == len(cases) > 0, f"{title}: not as many cases as planned")


def conformance(subject, *options):
    began = time.monotonic()
    program = start(subject, *options)
    output, _ = program.communicate()
    judge(output, program.returncode,
          f"{' '.join(options) or 'cases'} ({time.monotonic() - began:.1f} s)")
