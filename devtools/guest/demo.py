#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""The main job, shown: leases on doorbells, a kill -9, and a successor"""

import threading
import time

from lab import PORTS, RELEASE, Telemetry, driver_of, host, wait_until
from lease import (Leases, bind_ports, device_descriptors, device_mappings, kill_at_full_speed,
                   process, queues_of, slice_names, wait_for_leases)

VICTIM = 2
SAMPLE_S = 0.5


class Timeline:
    """What the host makes a picture of: rates of each queue, and what happened to the victim's."""

    def __init__(self):
        self._telemetry = Telemetry("lab")
        self._ended = threading.Event()
        self._began = time.monotonic_ns()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _seconds(self, at):
        return (at - self._began) / 1e9

    def _sample(self):
        at, counts = time.monotonic_ns(), self._telemetry.queue_packets(0)["rx"]
        while not self._ended.wait(SAMPLE_S):
            then, before = at, counts
            at, counts = time.monotonic_ns(), self._telemetry.queue_packets(0)["rx"]
            rates = (f"{(now - once) * 1e9 / (at - then):.0f}"
                     for now, once in zip(counts, before))
            host.ask(f"result rates {self._seconds(at):.3f} {' '.join(rates)}")

    def mark(self, at, text):
        """At is a time of CLOCK_MONOTONIC, in ns."""
        for queue in queues_of(VICTIM):
            host.ask(f"result event {self._seconds(at):.3f} {queue} {text}")

    def end(self):
        self._ended.set()
        self._thread.join()


def say(text=""):
    print(text, flush=True)


def packets(port=0):
    return primary.queue_packets(port)["rx"]


def show_rates(seconds=2):
    before, began = packets(), time.monotonic()
    time.sleep(seconds)
    after, took = packets(), time.monotonic() - began
    for number, who in enumerate(("primary", "secondary 1", "secondary 2")):
        rates = "  ".join(f"q{queue} {(after[queue] - before[queue]) / took:6.0f}"
                          for queue in queues_of(number))
        say(f"    {who:12} packets/s received on port 0:  {rates}")


say(f"\nLinux {RELEASE}. Two virtio-net devices behind an IOMMU, wired back to back.")
bind_ports()
for port in PORTS:
    say(f"    {port} is bound to {driver_of(port)}")

say("\nA stock dpdk-testpmd as the primary, two more as secondaries, two queues of each port each.")
primary, secondary, victim = cast = [process(number) for number in range(3)]
leases = Leases()
for each in cast:
    each.start()
wait_for_leases(leases, secondary, 1)
wait_for_leases(leases, victim, VICTIM)
timeline = Timeline()
say("    " + " ".join(secondary.argv))
say("\nAll of them forward:")
show_rates()

say(f"\nWhat secondary 2 (process {victim.pid}) holds of the devices, from /proc:")
say(f"    descriptors of VFIO, IOMMU or BARs: {len(device_descriptors(victim.pid))}")
for mapping in sorted(device_mappings(victim.pid), key=lambda each: each.path):
    say(f"    {mapping.start:x}-{mapping.end:x} {mapping.perms} {mapping.path}")

say(f"\nkill -9 {victim.pid}, under traffic.")
names = slice_names(VICTIM)
idle = sum(packets()[queue] for queue in queues_of(VICTIM))
killed = kill_at_full_speed(victim)
wait_until(lambda: leases.are("free", names), 20, "the queues are free again")
ends = leases.of(names)
revoked, freed = (max(end[what] for end in ends) for what in ("revoked_at", "freed_at"))
timeline.mark(killed, "killed")
timeline.mark(revoked, f"revoked after {(revoked - killed) / 1e6:.1f} ms")
timeline.mark(freed, f"reset after {(freed - killed) / 1e6:.1f} ms")
say(f"    after {(revoked - killed) / 1e6:6.1f} ms all {len(names)} doorbells are revoked")
say(f"    after {(freed - killed) / 1e6:6.1f} ms "
    "its queues are reset and free; "
    f"{sum(primary.xstats(port)['lease_mbufs_reclaimed'] for port in (0, 1))} buffers are back")
say("The others carry on, less what the dead process sent to them:")
show_rates()

say("\nThe same command again: a successor takes the queues over.")
successor = process(VICTIM, name="successor")
successor.start()
wait_until(lambda: sum(packets()[queue] for queue in queues_of(VICTIM)) > idle, 30, "traffic")
taken_over = time.monotonic_ns()
timeline.mark(taken_over, f"taken over after {(taken_over - killed) / 1e9:.1f} s")
wait_for_leases(leases, successor, VICTIM)
show_rates()
timeline.end()

for each in (successor, secondary, primary):
    each.quit()
say("\nThat was the main job. Rates under emulation say nothing about hardware.\n")
