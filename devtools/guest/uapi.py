# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""What scenarios about the kernel driver's uAPI are written with: the conformance program."""

import re
import subprocess
import time

from lab import (BAR_DEVICES, BOCHS, EDU, IVSHMEM, PORT0, PORT1, PORTS, PREFIX, PROGRAMS, RELEASE,
                 bind, check, load_module, report, unbind, unload_module)

DRIVER = "dmabuf-vfio-pci"
DOORBELLS = (PORT0, "4")
# Doorbells; memory with room for huge pages, twice; registers.
SUBJECTS = (DOORBELLS, (IVSHMEM, "2"), (BOCHS, "0"), (EDU, "0"))


def load_driver(*parameters):
    """Load the driver anew, with parameters such as revoke_feature=1, and bind the devices."""
    for device in (*PORTS, *BAR_DEVICES):
        unbind(device)
    unload_module(DRIVER)
    if parameters:
        subprocess.run(["modprobe", "vfio-pci-core"], check=True)
        subprocess.run(["insmod", f"{PREFIX}/modules/{RELEASE}/{DRIVER}.ko", *parameters],
                       check=True)
    for module in (DRIVER, "pte_memtype", "dmabuf_importer"):
        load_module(module)
    for device in (*PORTS, *BAR_DEVICES):
        bind(device, DRIVER)


def start(subject, *options):
    device, bar = subject
    return subprocess.Popen([f"{PROGRAMS}/dmabuf-conformance", *options, device, bar, PORT1],
                            stdout=subprocess.PIPE, text=True)


def judge(output, status, title):
    """Check what it printed; report the number of cases, what was skipped, and all figures."""
    cases = re.findall(r"^(?:not )?ok \d+.*$", output, re.M)
    planned = re.search(r"^1\.\.(\d+)$", output, re.M)
    report("\n".join([f"{title}: {len(cases)} cases", *(case for case in cases if "# SKIP" in case),
                      *re.findall(r"^# (.*)$", output, re.M)]))
    if status != 0:
        print(output)
    check(status == 0, f"{title}: exit status {status}")
    check(planned and int(planned[1]) == len(cases) > 0, f"{title}: not as many cases as planned")
    check(all(re.search(r"# SKIP \S", case) for case in cases if "# SKIP" in case),
          f"{title}: a case is skipped without a reason")


def conformance(subject, *options):
    began = time.monotonic()
    program = start(subject, *options)
    output, _ = program.communicate()
    judge(output, program.returncode,
          f"{' '.join(options) or 'cases'} ({time.monotonic() - began:.1f} s)")
