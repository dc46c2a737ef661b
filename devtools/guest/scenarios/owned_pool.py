#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""A lessee with a pool of its own loses no buffer when it is killed; of a shared pool it does"""

import re
import signal
import time

from lab import Telemetry, check, report, wait_until
from lease import (Leases, bind_ports, feed, kill_at_full_speed, lease_forward,
                   slices_of_lessee)

DEATHS = 4
HELD = 100
VICTIM, SURVIVOR = 1, 0


def missing(primary, pool):
    """By its latest word, two reports later."""
    time.sleep(2.5)
    said = re.findall(rf"pool {pool}: .* (\d+) missing", primary.output)
    return int(said[-1]) if said else 0


def kills(kind, pool, *arguments):
    """Returns how many buffers are missing in the end, with nobody left, and how many came back."""
    def lessee(name, number):
        return lease_forward(f"{kind}-{name}", 1 + number, "--hold", str(HELD))

    primary = lease_forward(f"{kind}-primary", 0, "--lessees", "2", *arguments)
    leases, telemetry = Leases(), Telemetry("lab")
    survivor = lessee("survivor", SURVIVOR)

    def received(number):
        return [telemetry.queue_packets(port)["rx"][number] for port in (0, 1)]

    for death in range(DEATHS):
        victim = lessee(f"victim{death}", VICTIM)
        feed(lambda: leases.held_by(victim.pid) == slices_of_lessee(VICTIM),
             "the victim has its leases")
        before = received(VICTIM)
        feed(lambda: all(now > then for now, then in zip(received(VICTIM), before)),
             "the victim forwards")
        kill_at_full_speed(victim)
        wait_until(lambda: leases.are("free", slices_of_lessee(VICTIM)), 10, "its queues are free")
        before = received(SURVIVOR)
        feed(lambda: all(now > then for now, then in zip(received(SURVIVOR), before)),
             "the survivor forwards")
    check(survivor.alive, "the survivor has died")
    survivor.kill(signal.SIGTERM)
    check(survivor.wait() == 0, "the survivor did not end in an orderly way")
    wait_until(lambda: leases.are("free", slices_of_lessee(SURVIVOR)), 10, "all queues are free")
    lost = missing(primary, pool)
    recovered = sum(telemetry.ask(f"/ethdev/xstats,{port}")["lease_mbufs_recovered"]
                    for port in (0, 1))
    telemetry.close()
    primary.kill(signal.SIGTERM)
    check(primary.wait() == 0, "the primary did not end in an orderly way")
    return lost, recovered


bind_ports()
lost, recovered = kills("owned", f"lessee_{VICTIM}")
report(f"pool of its own: {DEATHS} deaths with {HELD} buffers in hand each: {recovered} recovered, "
       f"{lost} missing")
check(lost == 0, "an owned pool has lost buffers")
check(recovered >= DEATHS * HELD, "fewer came back than were in hand")
lost, recovered = kills("shared", "shared", "--shared")
report(f"shared pool: {DEATHS} deaths with {HELD} buffers in hand each: {recovered} recovered, "
       f"{lost} missing")
check(lost >= DEATHS * HELD, "the loss of a shared pool is not counted")
check(recovered == 0, "a shared pool was rebuilt")
