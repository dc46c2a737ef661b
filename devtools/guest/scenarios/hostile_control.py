#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 180
# kernels: 6.12
"""Control: with what a secondary of stock net_virtio is given, attacks of the same suite succeed"""

import re
import struct
import subprocess

from lab import PORT0, PORTS, PROGRAMS, Testpmd, bind, check, report

USER = 1001
VIRTQUEUE = 2
VFIO_OFFSET_SHIFT = 40  # of a region, in the descriptor of a device

# Those that a lease must not allow, of each kind.
SUCCEED = ("page: map two pages of one", "page: map the next page", "page: map the page before",
           "page: map the 16th page after", "page: pwrite() the descriptor",
           "page: VFIO: ask for a region", "page: VFIO: reset the device", "keep: a mapping",
           "keep: the descriptor", "keep: a mapping in a forked child",
           "keep: the descriptor in a third process", "race: write", "race: map and write")


def notify_page(virtqueue):
    """Where in the descriptor its doorbell is: VIRTIO 1.2, 4.1.4.4."""
    with open(f"/sys/bus/pci/devices/{PORT0}/config", "rb") as file:
        config = file.read()
    at = config[0x34]
    while at and not (config[at] == 0x09 and config[at + 3] == 2):
        at = config[at + 1]
    check(at, "no notification capability")
    offset, _, multiplier = struct.unpack_from("<III", config, at + 8)
    return (config[at + 4] << VFIO_OFFSET_SHIFT) + offset + virtqueue * multiplier


for port in PORTS:
    bind(port, "vfio-pci")
primary = Testpmd("primary", queues=2, num_procs=2)
secondary = Testpmd("secondary", secondary=True, proc_id=1, num_procs=2, queues=2, cpu=1)
program = subprocess.run([f"{PROGRAMS}/hostile", "--stock", str(secondary.pid), str(primary.pid),
                          PORT0, str(notify_page(VIRTQUEUE)), str(USER)],
                         capture_output=True, text=True, check=False)
lines = program.stdout.splitlines()
check(program.returncode == 0 and lines, program.stderr)
succeeded = {match[1] for line in lines if (match := re.fullmatch(r"ok \d+ - (.*): success", line))}
report("\n".join(sorted(succeeded)))
report(lines[-1].lstrip("# "))
check(succeeded >= set(SUCCEED), f"these do not: {set(SUCCEED) - succeeded}")
