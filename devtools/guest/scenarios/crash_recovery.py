#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 600
"""kill -9 of a secondary under traffic, 8 times: queues recovered, nothing grows, others go on"""

import statistics
import time

import lab
from lab import check, report, wait_until
from lease import (Leases, bind_ports, free_buffers, kill_at_full_speed, process, queues_of,
                   slice_names, wait_for_leases)

ROUNDS = 8
VICTIM, SURVIVOR = 2, 1
# What a process can have in its hands when it is killed: a burst of testpmd's, and a batch that the
# driver is returning to the pool (TX_COLLECT; virtio_lease_rxtx.h, the contract of reclaim).
IN_HAND = 32 + 64
# Else it may also be killed while it fills or empties a cache, with more than a queue's buffers.
NO_CACHE = ("--mbcache=0",)

bind_ports()
primary, survivor, victim = (process(number, app=NO_CACHE) for number in range(3))
leases = Leases()
for each in (primary, survivor, victim):
    each.start()
wait_for_leases(leases, survivor, SURVIVOR)
wait_for_leases(leases, victim, VICTIM)


def received(queues):
    """Packets so far of each of these queues, of both ports."""
    counts = [primary.queue_packets(port)["rx"] for port in (0, 1)]
    return [count[queue] for count in counts for queue in queues]


def packets(queues):
    return sum(received(queues))


def is_hugepage(path):
    return path.startswith("/dev/hugepages/")


def holdings():
    """What must not grow with every death."""
    return {
        "descriptors": sum(not is_hugepage(path) for path in lab.fds(primary.pid).values()),
        "mappings": sum(not is_hugepage(mapping.path) for mapping in lab.maps(primary.pid)),
        "leases": sum(entry["state"] == "leased" for entry in leases.all().values()),
    }


def hugepages():
    """Grows: what a testpmd has from rte_malloc() stays allocated when it is killed."""
    return sum(is_hugepage(path) for path in lab.fds(primary.pid).values())


def milliseconds(values):
    return f"median {statistics.median(values):.1f} ms, worst {max(values):.1f} ms"


def rate(queues, seconds=0.5):
    """Packets received per second on these queues, now."""
    before, began = packets(queues), time.monotonic()
    time.sleep(seconds)
    return (packets(queues) - before) / (time.monotonic() - began)


def all_move(queues):
    before = received(queues)
    wait_until(lambda: all(now > then for now, then in zip(received(queues), before)), 30,
               f"each of the queues {queues} receives")


def missing():
    """Buffers neither in the pool nor in a queue."""
    free, size = free_buffers(primary)
    counters = [primary.xstats(port) for port in (0, 1)]
    return size - free - sum(value for counter in counters for name, value in counter.items()
                             if name.endswith(("_posted", "_pending")))


survivors = [*queues_of(0), *queues_of(SURVIVOR)]
first, first_hugepages = holdings(), hugepages()
revoked, freed, taken_over, reclaimed, kept, lost = [], [], [], [], [], []
for number in range(ROUNDS):
    names = slice_names(VICTIM)
    buffers = sum(primary.xstats(port)["lease_mbufs_reclaimed"] for port in (0, 1))
    usual = rate(survivors)

    killed = kill_at_full_speed(victim)
    wait_until(lambda: leases.are("free", names), 10, "the victim's queues are free again")
    ends = leases.of(names)
    revoked.append((max(end["revoked_at"] for end in ends) - killed) / 1e6)
    freed.append((max(end["freed_at"] for end in ends) - killed) / 1e6)
    check(min(end["revoked_at"] for end in ends) > killed, "a slice was not revoked")
    reclaimed.append(sum(primary.xstats(port)["lease_mbufs_reclaimed"] for port in (0, 1)) -
                     buffers)
    kept.append(rate(survivors) / max(usual, 1))
    idle = packets(queues_of(VICTIM))

    victim = process(VICTIM, name=f"successor{number + 1}", app=NO_CACHE)
    victim.start()
    wait_until(lambda: packets(queues_of(VICTIM)) > idle, 30, "the successor receives")
    taken_over.append((time.monotonic_ns() - killed) / 1e6)
    wait_for_leases(leases, victim, VICTIM)
    check(holdings() == first, f"round {number + 1}: {first} has become {holdings()}")
    all_move(survivors)

    # While nobody forwards, each buffer is in the pool, in a queue, or lost with the dead.
    for each in (victim, survivor, primary):
        each.stop()
    lost.append(missing() - sum(lost))
    check(0 <= lost[-1] <= IN_HAND, f"round {number + 1}: {lost[-1]} buffers missing, the dead had "
                                    f"at most {IN_HAND} in its hands")
    for each in (victim, survivor, primary):
        each.start()
    all_move([*survivors, *queues_of(VICTIM)])

report(f"kill to revoked: {milliseconds(revoked)}")
report(f"kill to reset, buffers back: {milliseconds(freed)}")
report(f"kill to the successor's first packet: {milliseconds(taken_over)}")
report(f"buffers a death: {min(reclaimed)} to {max(reclaimed)} reclaimed, "
       f"{min(lost)} to {max(lost)} lost in its hands")
report(f"hugepages that dead testpmd processes never freed: {hugepages() - first_hugepages}")
report("survivors' rate right after a death, as a ratio to that before: "
       f"median {statistics.median(kept):.2f}, worst {min(kept):.2f}")
check(min(reclaimed) > 0, "no buffers came back")
for each in (survivor, primary):
    check(each.alive, f"{each.name} has died")
