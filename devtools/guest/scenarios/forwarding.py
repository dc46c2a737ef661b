#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Three stock testpmd processes forward on their own queues of both ports; no packet is missing"""

import time

from lab import check, host, report, wait_until
from lease import QUEUES, Leases, bind_ports, cast, wait_for_leases

FORWARDING_S = 4

bind_ports()
processes = cast()
primary = processes[0]
leases = Leases()


def received():
    return [primary.xstats(port)["rx_good_packets"] for port in (0, 1)]


def drained():
    """Take in what is still on its way, until a second brings nothing new."""
    seen = received()
    for process in processes:
        process.receive_only()
    return received() == seen


# What an earlier test has left on its way is not ours.
wait_until(drained, 60, "the wire is empty")
before, first = host.tap_stats(), [primary.queue_packets(port) for port in (0, 1)]

for process in processes:
    process.cmd("set fwd flowgen")
    process.start()
for number, process in enumerate(processes[1:], 1):
    wait_for_leases(leases, process, number)
time.sleep(FORWARDING_S)

for process in processes:
    process.stop()
wait_until(drained, 60, "the wire is empty")

counts = [{way: [now - then for now, then in zip(packets, first[port][way])]
           for way, packets in primary.queue_packets(port).items()} for port in (0, 1)]
for port, count in enumerate(counts):
    for way, packets in count.items():
        report(f"port {port} {way} packets by queue: {' '.join(map(str, packets))}")
        check(len(packets) == QUEUES and all(packets), f"port {port}: a {way} queue was idle")

taps = host.tap_stats()
for source, sink in ((0, 1), (1, 0)):
    into, out = f"tap{source}", f"tap{sink}"
    sent, arrived = sum(counts[source]["tx"]), sum(counts[sink]["rx"])
    dropped = (taps[into]["rx_dropped"] - before[into]["rx_dropped"] +
               taps[out]["tx_dropped"] - before[out]["tx_dropped"])
    report(f"port {source} to {sink}: {sent} sent, {arrived} received, {dropped} dropped by taps")
    check(sent == arrived + dropped, f"{sent - arrived - dropped} packets are missing")

for process in reversed(processes):
    check(process.quit() == 0, f"{process.name} did not exit cleanly")
