#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 180
"""An unprivileged process that may lease one slice gets nothing else, by no attack of the suite"""

import re

from enemy import KEPT, MINE, attack, honest, primary_for_all
from lab import check, host, report
from lease import Leases, bind_ports, process, slice_names, wait_for_leases


def heard(virtqueue):
    return host.trace_count(f"virtio_queue_notify .* n {virtqueue} ")


bind_ports()
primary = primary_for_all()
secondary = process(1)
leases = Leases()
primary.start()
secondary.start()
wait_for_leases(leases, secondary, 1)
held = {entry["slice"]: entry["granted_at"] for entry in leases.of(slice_names(1))}
descriptors = len(primary.fds())

citizen = honest()
host.trace("virtio_queue_notify")
host.trace_clear()
enemy = attack(primary)
lines = enemy.communicate()[0].splitlines()
notified = {virtqueue: heard(virtqueue) for virtqueue in (KEPT, MINE)}
host.trace("virtio_queue_notify", on=False)
report(citizen.communicate("")[0].strip())

report("\n".join(line.lstrip("# ") for line in lines))
wrong = [line for line in lines if line.startswith("not ok")]
check(not wrong, "\n".join(wrong))
check(enemy.returncode == 0, f"the suite ended with {enemy.returncode}")
check(citizen.returncode == 0, "an honest process was not served")
report(f"the device heard {notified[MINE]} notifications of a leased slice, {notified[KEPT]} of "
       "one that was written to after its revoke only")
check(notified[MINE] > 0, "the device hears nothing at all: the check would be empty")
check(notified[KEPT] == 0, "the device heard what was written after a revoke")
check({entry["slice"]: entry["granted_at"] for entry in leases.of(slice_names(1))} == held,
      "the honest secondary has lost a lease")
check(leases.are("free", slice_names(2)), "a slice is not free again")
check(len(primary.fds()) <= descriptors, f"the primary has {len(primary.fds())} descriptors "
      f"open, before it had {descriptors}")
total = int(re.search(r"# (\d+) attacks", lines[-1])[1])
check(total >= 60, f"only {total} attacks")
