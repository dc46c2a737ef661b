#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# machine: packed
"""Over packed rings, used in order or not: forwarding, a death, buffers back, a successor"""

import re

from lab import check, report, wait_until
from lease import (Leases, bind_ports, check_isolation, device_descriptors, kill_at_full_speed,
                   process, queues_of, slice_names, wait_for_leases)

VICTIM = 1
LAYOUTS = ("Packed", "Packed, in order")  # of port 0 and port 1

# Each process chooses by itself: what the processor has, as far as EAL may use it.
with open("/proc/cpuinfo") as cpuinfo:
    VECTORS = ", vector AVX2" if re.search(r"^flags.* avx2\b", cpuinfo.read(), re.M) else ""

bind_ports()
primary = process(0)
victim = process(VICTIM, eal=("--force-max-simd-bitwidth=64",))
leases = Leases()


def check_modes(each, vectors):
    for port, layout in enumerate(LAYOUTS):
        for info, mode in (("rxq", f"{layout}, mergeable{vectors}"), ("txq", layout)):
            text = each.cmd(f"show {info} info {port} 0")
            check(f"Burst mode: {mode}\n" in text,
                  f"{each.name}: port {port} {info}: not {mode}: {text}")


check_modes(primary, VECTORS)
check_modes(victim, "")


def counts(queues):
    """Packets of each of these queues, of both ports and ways, by the counters in memory."""
    return [primary.queue_packets(port)[way][queue]
            for port in (0, 1) for way in ("rx", "tx") for queue in queues]


def all_move(queues, what):
    before = counts(queues)
    wait_until(lambda: all(now > then for now, then in zip(counts(queues), before)), 30, what)


def reclaimed():
    return sum(primary.xstats(port)["lease_mbufs_reclaimed"] for port in (0, 1))


for each in (primary, victim):
    each.start()
wait_for_leases(leases, victim, VICTIM)
all_move(queues_of(0), "packets on each queue of the primary")
all_move(queues_of(VICTIM), "packets on each queue of the secondary")
wait_until(lambda: not device_descriptors(victim.pid), 5, "the secondary keeps no descriptor")
check_isolation(victim, slice_names(VICTIM))

buffers = reclaimed()
kill_at_full_speed(victim)
wait_until(lambda: leases.are("free", slice_names(VICTIM)), 10, "the dead one's queues are free")
check(reclaimed() > buffers, "no buffers came back")
report(f"{reclaimed() - buffers} buffers came back from {len(slice_names(VICTIM))} queues")
all_move(queues_of(0), "packets on each queue of the primary, after the death")

successor = process(VICTIM, name="successor")
successor.start()
wait_for_leases(leases, successor, VICTIM)
all_move(queues_of(VICTIM), "packets on each queue of the successor")
for each in (successor, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
