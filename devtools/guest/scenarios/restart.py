#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 900
"""The primary stops, reconfigures, starts and closes its ports under secondaries that poll them"""

import re
import signal
import time

from lab import check, host, report, wait_until
from lease import (Leases, bind_ports, cast, free_buffers, queues_of, slice_names,
                   wait_for_leases)

ROUNDS = 5
SIZES = (128, 256)  # descriptors of a ring, in turn
BOUND_S = 20        # half a second for each port by the driver, and much more by emulation

bind_ports()
primary, sleeper, other = processes = cast()
secondaries = {1: sleeper, 2: other}
leases = Leases()


def counts(queues):
    """Packets of each of these queues, of both ports and ways, by the counters in memory."""
    return [primary.queue_packets(port)[way][queue]
            for port in (0, 1) for way in ("rx", "tx") for queue in queues]


def all_move(queues, what):
    before = counts(queues)
    wait_until(lambda: all(now > then for now, then in zip(counts(queues), before)), 60, what)


def stop_ports():
    """Return the seconds that it took."""
    primary.stop()
    began = time.monotonic()
    primary.cmd("port stop all")
    return time.monotonic() - began


def start_ports():
    answer = primary.cmd("port start all")
    primary.start()
    return answer


def all_resume(numbers, what):
    for number in numbers:
        wait_for_leases(leases, secondaries[number], number, 60)
        all_move(queues_of(number), f"packets on each queue of {secondaries[number].name}, {what}")
    all_move(queues_of(0), f"packets on each queue of the primary, {what}")


def state_of(number):
    return {entry["state"] for entry in leases.of(slice_names(number))}


def receives_nothing(seconds=4):
    before = primary.queue_packets(0)["rx"]
    time.sleep(seconds)
    return primary.queue_packets(0)["rx"] == before


def ring_sizes():
    return {int(size) for port in (0, 1) for way in ("rxq", "txq")
            for size in re.findall(r"Number of [RT]XDs: (\d+)",
                                   primary.cmd(f"show {way} info {port} 0"))}


for process in processes:
    process.start()
all_resume((1, 2), "at first")

# They are told, let go, and resume by themselves.
stops = []
for number in range(ROUNDS):
    stops.append(stop_ports())
    check(state_of(1) == state_of(2) == {"free"},
          f"after a stop the secondaries' slices are {state_of(1)} and {state_of(2)}")
    size = SIZES[number % 2]
    primary.cmd(f"port config all rxd {size}")
    primary.cmd(f"port config all txd {size}")
    start_ports()
    check(ring_sizes() == {size}, f"rings of {ring_sizes()} descriptors, not {size}")
    all_resume((1, 2), f"after stop {number + 1} and rings of {size}")
report("seconds a stop takes: " + " ".join(f"{stop:.1f}" for stop in stops))

# One that does not answer costs the others the bound; its queues come back when it does.
sleeper.kill(signal.SIGSTOP)
took = stop_ports()
report(f"seconds with a secondary that does not answer: {took:.1f}")
check(1.0 <= took < BOUND_S, "the bound does not hold")
check(state_of(1) == {"revoked"}, f"the slices of the one that sleeps are {state_of(1)}")
start_ports()
all_resume((2,), "while another sleeps")
check(state_of(1) == {"revoked"}, f"after the start they are {state_of(1)}")

stop_ports()
for what in ("rxd", "txd"):
    primary.cmd(f"port config all {what} {SIZES[1]}")
start_ports()
check(f"process {sleeper.pid}, which polled it, has not answered the stop" in primary.output,
      "its queue is set up anew while it sleeps, or nothing is said")
sleeper.kill(signal.SIGCONT)
wait_until(lambda: state_of(1) <= {"resetting", "leased"}, 30, "the one that slept lets go")
start_ports()
all_resume((1, 2), "all awake")

# What only the primary can do, it does for a secondary.
other.cmd("set promisc 0 off")
check("Promiscuous mode: disabled" in primary.cmd("show port info 0"), "the mode is not shared")
wait_until(receives_nothing, 30, "the device is not promiscuous, and what it had is received")
other.cmd("set promisc 0 on")
all_move(queues_of(2), "packets on each queue, promiscuous again")
for state in ("off", "on"):
    host.monitor(f"set_link port1 {state}")
    shown = "up" if state == "on" else "down"
    wait_until(lambda: f"Link status: {shown}" in other.cmd("show port info 1"), 10,
               f"the link is {shown}, in a secondary")

# No buffer is missing: nobody has died.
for process in processes:
    process.stop()
free, size = free_buffers(primary)
queued = sum(value for port in (0, 1) for name, value in primary.xstats(port).items()
             if name.endswith(("_posted", "_pending")))
report(f"buffers: {size}, of these {free} free and {queued} in queues")
check(free + queued == size, f"{size - free - queued} buffers are missing")

# A port that is closed under them is of no use to them, but does them no harm.
for process in (sleeper, other):
    process.start()
primary.cmd("port stop all")
primary.cmd("port close all")
for process in (sleeper, other):
    for port in (0, 1):
        wait_until(lambda: f"Port {port}: link state change event" in process.output, 10,
                   f"{process.name} is told of port {port}")
time.sleep(2)
for process in (sleeper, other):
    check(process.alive, f"{process.name} has died of the close")
    process.stop()
for process in reversed(processes):
    check(process.quit() == 0, f"{process.name} did not exit cleanly")
