#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""DPDK's symmetric_mp, unmodified: two processes forward, one is killed, a successor goes on"""

import atexit
import re
import signal
import time

from lab import EXAMPLES, PORTS, Program, Telemetry, check, host, report, wait_until
from lease import (Leases, bind_ports, check_isolation, device_descriptors, eal_arguments,
                   feed, kill_at_full_speed, pace)

PROCESSES = 2


def instance(number, name):
    """Instance 0 is the primary; each polls the queue of its number of both ports."""
    started = Program(name, [
        f"{EXAMPLES}/symmetric_mp-shared", "--lcores", f"{number}@{number}", "-n", "1",
        "--proc-type", "secondary" if number else "primary", *eal_arguments(),
        "--", "-p", "3", f"--num-procs={PROCESSES}", f"--proc-id={number}"])
    started.expect(f"using queue {number} of each port")
    pace(started.pid)
    return started


def slices(number):
    return {f"{port}/bar4/{way}q{number}" for port in PORTS for way in ("rx", "tx")}


def counts():
    """What the driver has counted: {(port, way): packets of each queue}."""
    return {(port, way): queues for port in (0, 1)
            for way, queues in telemetry.queue_packets(port).items()}


def all_move(number, what):
    before = counts()
    feed(lambda: all(queues[number] > before[key][number] for key, queues in counts().items()),
         what)


def quiet():
    before = counts()
    time.sleep(1)
    return counts() == before


bind_ports()
primary = instance(0, "primary")
telemetry, leases = Telemetry("lab"), Leases()
victim = instance(1, "victim")
feed(lambda: leases.are("taken", slices(0)), "the primary has taken its queues")
feed(lambda: leases.held_by(victim.pid) == slices(1), "the victim has its leases")
for number in range(PROCESSES):
    all_move(number, f"frames on queue {number} of both ports")
wait_until(lambda: not device_descriptors(victim.pid), 5, "the victim keeps no descriptor")
check_isolation(victim, slices(1))

kill_at_full_speed(victim)
wait_until(lambda: leases.are("free", slices(1)), 10, "the victim's queues are free")
feed(lambda: True, "what went round may all have been the victim's")
all_move(0, "frames on queue 0 after the death")

earlier = counts()
successor = instance(1, "successor")
feed(lambda: leases.held_by(successor.pid) == slices(1), "the successor has its leases")
for number in range(PROCESSES):
    all_move(number, f"frames on queue {number} with the successor")

# With the wire cut nothing goes round any more, and what each has counted can be compared.
for tap in ("net0", "net1"):
    atexit.register(host.monitor, f"set_link {tap} on")
    host.monitor(f"set_link {tap} off")
wait_until(quiet, 30, "nothing is on its way any more")
final = counts()
for number, process, since in ((1, successor, earlier), (0, primary, None)):
    process.kill(signal.SIGTERM)
    check(process.wait() == 0, f"{process.name} did not exit cleanly")
    said = re.findall(r"Port (\d): RX - (\d+), TX - (\d+), Drop - (\d+)", process.output)
    check(len(said) == len(PORTS), f"{process.name}: {process.last_lines(5)}")
    for port, received, sent, _ in said:
        for way, value in (("rx", received), ("tx", sent)):
            key = (int(port), way)
            ours = final[key][number] - (since[key][number] if since else 0)
            check(int(value) == ours, f"{process.name}: {key} {value}, the driver says {ours}")
    report(f"{process.name}: port, received, sent, dropped: " +
           ", ".join(" ".join(numbers) for numbers in said))
