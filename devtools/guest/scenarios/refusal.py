#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""A second process that polls leased queues is refused and told why; the holder goes on"""

import time

from lab import check, report, wait_until
from lease import Leases, bind_ports, process, queues_of, slice_names, wait_for_leases

bind_ports()
primary, holder = process(0), process(1)
leases = Leases()
primary.start()
holder.start()
wait_for_leases(leases, holder, 1)
granted = {entry["slice"]: entry["granted_at"] for entry in leases.of(slice_names(1))}

intruder = process(1, name="intruder", lcore=6)
arrived = time.monotonic()
intruder.start()


def packets():
    return sum(primary.queue_packets(0)["rx"][queue] for queue in queues_of(1))


before, began = packets(), time.monotonic()
time.sleep(3)
rate = (packets() - before) / (time.monotonic() - began)
report(f"the holder receives {rate:.0f} packets/s beside the intruder")
check(rate > 0, "the holder's queues stand still")

refused = [line for line in intruder.output.splitlines() if "refused" in line]
report(refused[0] if refused else "nothing was said")
check(any(f"process {holder.pid} holds it" in line for line in refused),
      "the refused process is not told who holds the queue")
check(leases.held_by(intruder.pid) == set(), "the intruder holds a lease")
check({entry["slice"]: entry["granted_at"] for entry in leases.of(slice_names(1))} == granted,
      "the holder's leases have changed")
attempts = sum(entry["refused"] for entry in leases.of(slice_names(1)))
waited = time.monotonic() - arrived
report(f"{attempts} requests refused in {waited:.0f} s")
# By the time stamp counter, whose rate EAL may have estimated.
check(attempts <= len(slice_names(1)) * (waited / 0.9 + 1),
      "a refused poller asks more often than once a second for each slice")

# When the holder goes, the one who waits gets the queues.
check(holder.quit() == 0, "the holder did not exit cleanly")
wait_until(lambda: leases.held_by(intruder.pid) == slice_names(1), 10, "the intruder's turn")
