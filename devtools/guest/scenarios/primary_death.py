#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""kill -9 of the primary: secondaries lose link and doorbells at once; a new primary starts"""

import signal
import time

from lab import Telemetry, check, host, report, wait_until
from lease import (Leases, bind_ports, feed, kill_at_full_speed, lease_forward,
                   slices_of_lessee)

SILENCE_S = 3


def notifications():
    return host.trace_count("virtio_queue_notify ")


def forwards(lessee, number, prefix="lab"):
    """It has its leases, and frames arrive on its queues."""
    leases, telemetry = Leases(prefix), Telemetry(prefix)

    def received():
        return [telemetry.queue_packets(port)["rx"][number] for port in (0, 1)]

    feed(lambda: leases.held_by(lessee.pid) == slices_of_lessee(number),
         f"{lessee.name} has its leases")
    before = received()
    feed(lambda: all(now > then for now, then in zip(received(), before)),
         f"{lessee.name} receives on both ports")
    telemetry.close()


bind_ports()
host.trace("virtio_queue_notify")
host.trace_clear()
primary = lease_forward("primary", 0, "--lessees", "2")
waiting = lease_forward("waiting", 1)
ending = lease_forward("ending", 2, devargs="primary_death=exit")
forwards(waiting, 0)
forwards(ending, 1)
before = notifications()
check(before > 0, "the device hears nothing at all: the check that follows would be empty")

killed = kill_at_full_speed(primary)
for port in (0, 1):
    wait_until(lambda: f"port {port}: link down" in waiting.output, 10,
               f"the secondary says that the link of port {port} is down")
told = time.monotonic_ns()
status = ending.wait(20)
ended = time.monotonic_ns()
host.trace_clear()
for tap in ("tap0", "tap1"):
    host.send(tap, 64)
time.sleep(SILENCE_S)
heard = notifications()
report(f"notifications of the device before: {before}; in {SILENCE_S} s after the end: {heard}")
report(f"kill to the link down in a secondary: {(told - killed) / 1e6:.0f} ms; "
       f"to the end of the one with primary_death=exit: {(ended - killed) / 1e6:.0f} ms")
check(heard == 0, "a doorbell reaches the device without a primary")
check(status == 0, f"primary_death=exit ended with {status}")
check(waiting.alive, "the secondary that waits has died")
for port in (0, 1):
    for way in ("Rx", "Tx"):
        check(f"port {port}: {way} queue 0: lease lost" in waiting.output,
              f"no event for the {way} queue of port {port}")

# The old secondary still has the old primary's memory and files: the new one uses other names.
successor = lease_forward("new-primary", 0, "--lessees", "2", prefix="lab2")
partner = lease_forward("new-secondary", 1, prefix="lab2")
forwards(partner, 0, "lab2")
check(notifications() > 0, "the new processes ring no doorbell")
check(waiting.alive, "the old secondary has died of the new primary")
waiting.kill(signal.SIGTERM)
check(waiting.wait() == 0, "the old secondary did not end in an orderly way")
for each in (partner, successor):
    each.kill(signal.SIGTERM)
    check(each.wait() == 0, f"{each.name} did not end in an orderly way")
host.trace("virtio_queue_notify", on=False)

# With nobody left of the old ones, the old names serve again.
third = lease_forward("third-primary", 0, "--lessees", "2")
forwards(lease_forward("third-secondary", 1), 0)
