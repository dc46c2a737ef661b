#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""DPDK's l3fwd-power, unmodified, sleeps until frames arrive, and again when there are no more"""

import atexit
import os
import time

from lab import EXAMPLES, Program, Telemetry, check, host, report, wait_until
from lease import bind_ports, eal_arguments, pace

bind_ports()
forwarder = Program("l3fwd-power", [
    f"{EXAMPLES}/l3fwd-power-shared", "--lcores", "0@0", "-n", "1", *eal_arguments(),
    "--", "-p", "3", "-P", "--config=(0,0,0),(1,0,0)", "--parse-ptype", "--interrupt-only"])
wait_until(lambda: "entering main interrupt loop" in forwarder.output, 60, "it forwards")
pace(forwarder.pid)
telemetry = Telemetry("lab")
FRAMES = 5
WOKEN = "is waked up from rx interrupt on port {} queue 0"


def received():
    return [telemetry.queue_packets(port)["rx"][0] for port in (0, 1)]


def processor_time():
    with open(f"/proc/{forwarder.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(seconds=2):
    """Of a processor."""
    before, began = processor_time(), time.monotonic()
    time.sleep(seconds)
    return (processor_time() - before) / (time.monotonic() - began)


def woken(port):
    return forwarder.output.count(WOKEN.format(port))


def sleeps():
    """It says so when it has been awake."""
    return forwarder.output.rfind("sleeps until") >= forwarder.output.rfind("is waked up")


def is_woken(port):
    """
    Whether a frame wakes it. Every 10 ms it gets up by itself; who comes just then is received
    without an interrupt.
    """
    wait_until(sleeps, 10, "it sleeps")
    before, seen = woken(port), received()[port]
    host.send(f"tap{port}", 1)
    wait_until(lambda: received()[port] > seen, 10, f"it receives from port {port}")
    time.sleep(0.5)  # what it says of it comes through a terminal
    return woken(port) > before


def check_wakes(port):
    woke = sum(is_woken(port) for _ in range(FRAMES))
    check(woke >= FRAMES - 1, f"it is woken by {woke} of {FRAMES} frames on port {port}")


def cut(state):
    for net in ("net0", "net1"):
        host.monitor(f"set_link {net} {state}")


atexit.register(cut, "on")
check("RX interrupt won't enable" not in forwarder.output, "it cannot sleep")
for port in (0, 1):
    check_wakes(port)
cut("off")
time.sleep(1)
# One that polls takes all of the third that is granted.
wait_until(lambda: share() < 0.1, 30, "it sleeps, with next to nothing of a processor")
before = [woken(port) for port in (0, 1)]
report(f"asleep it takes {share():.2f} of a processor")
check([woken(port) for port in (0, 1)] == before, "it is woken though nothing arrives")
cut("on")
check_wakes(0)
