#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Three stock testpmd processes forward on their own queues of both ports; no packet is missing"""

import time

from lab import check, report
from lease import QUEUES, Leases, bind_ports, cast, wait_for_leases
from traffic import Account, check_settled

FORWARDING_S = 4

bind_ports()
processes = cast()
primary = processes[0]
leases = Leases()
account = Account(primary, processes[1:])

for process in processes:
    process.cmd("set fwd flowgen")
    process.start()
for number, process in enumerate(processes[1:], 1):
    wait_for_leases(leases, process, number)
time.sleep(FORWARDING_S)

for process in processes:
    process.stop()
ways = account.settle()
for port, count in enumerate(account.packets()):
    for way, packets in count.items():
        report(f"port {port} {way} packets by queue: {' '.join(map(str, packets))}")
        check(len(packets) == QUEUES and all(packets), f"port {port}: a {way} queue was idle")
for port, (sent, received, dropped) in enumerate(ways):
    report(f"port {port} to {1 - port}: {sent} sent, {received} received, "
           f"{dropped} dropped by taps")
check_settled(ways)

for process in reversed(processes):
    check(process.quit() == 0, f"{process.name} did not exit cleanly")
