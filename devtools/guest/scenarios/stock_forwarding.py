#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""Three stock testpmd processes forward on their own queues of both ports through vfio-pci"""

import time

from lab import PORTS, Testpmd, bind, check, report, wait_until

QUEUES = 6
PROCESSES = 3

for port in PORTS:
    bind(port, "vfio-pci")

primary = Testpmd("primary", queues=QUEUES, num_procs=PROCESSES)
secondaries = [
    Testpmd(f"secondary{number}", secondary=True, proc_id=number, cpu=number % 2,
            queues=QUEUES, num_procs=PROCESSES)
    for number in range(1, PROCESSES)
]
processes = [primary, *secondaries]

for process in processes:
    process.start()


def every_queue_busy():
    counts = [primary.queue_packets(port) for port in (0, 1)]
    check(all(len(count[way]) == QUEUES for count in counts for way in ("rx", "tx")),
          f"counters are not of {QUEUES} queues: {counts}")
    return all(all(count["rx"]) and all(count["tx"]) for count in counts)


wait_until(every_queue_busy, 60, "traffic on every queue of both ports")
time.sleep(2)

for process in processes:
    process.stop()
for process in processes:
    process.receive_only()

for port in (0, 1):
    for way, packets in primary.queue_packets(port).items():
        report(f"port {port} {way} packets by queue: {' '.join(map(str, packets))}")

for process in reversed(processes):
    check(process.quit() == 0, f"{process.name} did not exit cleanly")
