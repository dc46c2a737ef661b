#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""Single queues are stopped, resized, started and deferred while a secondary's go on"""

import re

from lab import PORT0, check, report, wait_until
from lease import Leases, bind_ports, process, queues_of, wait_for_leases

bind_ports()
primary, secondary = process(0, processes=2), process(1, processes=2)
leases = Leases()


def info(way, queue):
    """What testpmd shows of a queue of port 0: {name: value}."""
    return dict(re.findall(r"^([^:\n]+): (.*)$", primary.do(f"show {way}q info 0 {queue}"), re.M))


def packets(way, queues):
    return [primary.queue_packets(0)[way][queue] for queue in queues]


def all_move(queues, what, ways=("rx", "tx")):
    before = {way: packets(way, queues) for way in ways}
    wait_until(lambda: all(now > then for way in ways
                           for now, then in zip(packets(way, queues), before[way])), 30, what)


def state(way, queue):
    return leases.all()[f"{PORT0}/bar4/{way}q{queue}"]["state"]


def forward(*moving, still=()):
    """The primary polls; the secondary, which has never stopped, goes on as well."""
    idle = {way: packets(way, still) for way in ("rx", "tx")}
    primary.start()
    all_move(moving, f"packets on queues {moving} of the primary")
    all_move(queues_of(1), "packets on the secondary's queues")
    check({way: packets(way, still) for way in ("rx", "tx")} == idle, "a stopped queue moves")
    primary.stop()


secondary.start()
wait_for_leases(leases, secondary, 1)
forward(0, 1)

for way in ("rx", "tx"):
    primary.do(f"port 0 {way}q 0 stop")
    check(info(way, 0)[f"{way.capitalize()} queue state"] == "stopped", f"{way}q0 is not stopped")
    check(state(way, 0) == "taken", f"{way}q0 is {state(way, 0)}")
counters = primary.xstats(0)
check(counters["rx_q0_posted"] == 0 and counters["tx_q0_pending"] == 0,
      "a stopped queue keeps buffers")
forward(1, still=(0,))

for way in ("rx", "tx"):
    primary.do(f"port config 0 {way}q 0 ring_size 128")
    primary.do(f"port 0 {way}q 0 setup")
    check(info(way, 0)[f"Number of {way.upper()}Ds"] == "128", f"{way}q0: {info(way, 0)}")
    primary.do(f"port 0 {way}q 0 start")
    check(info(way, 0)[f"{way.capitalize()} queue state"] == "started", f"{way}q0 is not started")
forward(0, 1)
report("queue 0 stopped, set up with 128 descriptors, started; the secondary's went on")

complaints = len(primary.output)
primary.cmd("port 0 rxq 2 stop")
wait_until(lambda: f"{secondary.pid}" in primary.output, 5, "the primary says who holds queue 2")
check(state("rx", 2) == "leased", f"rxq2 is {state('rx', 2)}")
all_move(queues_of(1), "packets on the secondary's queues, one of which was to be stopped")

primary.do("port stop 0")
for way in ("rx", "tx"):
    primary.do(f"port 0 {way}q 1 deferred_start on")
primary.do("port start 0")
for way in ("rx", "tx"):
    check(info(way, 1)[f"{way.capitalize()} queue state"] == "stopped", f"{way}q1 was not deferred")
wait_for_leases(leases, secondary, 1)
forward(0, still=(1,))
for way in ("rx", "tx"):
    primary.do(f"port 0 {way}q 1 start")
forward(0, 1)
report("queue 1 started later than its port")

for each in (secondary, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
