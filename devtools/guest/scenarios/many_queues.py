#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
# machine: wide
"""128 queue pairs, half of them polled by a secondary: frames pass all, and its death frees its"""

import time

from lab import PORTS, check, report, wait_until
from lease import (Leases, bind_ports, check_isolation, device_descriptors, in_place,
                   kill_at_full_speed, process)

PAIRS, PROCESSES = 128, 2
SHARE = PAIRS // PROCESSES
# Flows enough that each queue gets some, rings so small that the pool is filled soon.
OPTIONS = {"processes": PROCESSES, "share": SHARE, "mbufs": 65536,
           "app": ("--flowgen-flows=4096", "--rxd=64", "--txd=64")}

bind_ports()
primary, victim = (process(number, **OPTIONS) for number in range(PROCESSES))
leases = Leases()


def slices(number):
    return {f"{port}/bar4/{way}q{queue}" for port in PORTS for way in ("rx", "tx")
            for queue in range(number * SHARE, (number + 1) * SHARE)}


def counts():
    return [primary.queue_packets(port)[way] for port in (0, 1) for way in ("rx", "tx")]


def all_move(what):
    before = counts()
    began = time.monotonic()
    wait_until(lambda: all(now > then for pair in zip(counts(), before)
                           for now, then in zip(*pair)),
               60, what)
    report(f"{what}: after {time.monotonic() - began:.0f} s")


def wait_for_leases(holder):
    wait_until(lambda: leases.held_by(holder.pid) == slices(1) and
               in_place(holder.pid, slices(1)), 60, f"{holder.name} holds all its leases")


for port in (0, 1):
    for each in (primary, victim):
        said = each.cmd(f"show port info {port}")
        for text in (f"Current number of RX queues: {PAIRS}\nMax possible RX queues: {PAIRS}\n",
                     "Link speed: 10 Gbps\nLink duplex: half-duplex\n"):
            check(text in said, f"{each.name} does not say {text}: {said}")
check(len(leases.all()) == 2 * 2 * PAIRS, f"{len(leases.all())} slices")
primary.start()
victim.start()
wait_for_leases(victim)
all_move("packets on each of the queues")
wait_until(lambda: not device_descriptors(victim.pid), 5, "the secondary keeps no descriptor")
check_isolation(victim, slices(1))

kill_at_full_speed(victim)
wait_until(lambda: leases.are("free", slices(1)), 30, "its queues are free")
check(leases.are("taken", slices(0)), "the primary's are not its own any more")
successor = process(1, name="successor", **OPTIONS)
successor.start()
wait_for_leases(successor)
all_move("packets on each of the queues, with the successor")
for each in (successor, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
