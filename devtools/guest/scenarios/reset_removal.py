#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
# machine: wide
"""A device that broke is reset, one that is asked back is let go, one is pulled out"""

import os
import re
import struct
import threading

from lab import PORT0, PORT1, check, driver_of, host, report, unbind, wait_until
from lease import Leases, bind_ports, process, queues_of, wait_for_leases

DESC_SIZE, FLAGS_OFFSET = 16, 12  # of a split ring, VIRTIO 1.2, 2.7.5
NEXT_AND_WRITE, NOWHERE = 3, 0xffff

bind_ports()
primary, secondary = process(0, processes=2), process(1, processes=2)
leases = Leases()


def counts(queues):
    return [primary.queue_packets(port)[way][queue]
            for port in (0, 1) for way in ("rx", "tx") for queue in queues]


def all_move(queues, what):
    before = counts(queues)
    wait_until(lambda: all(now > then for now, then in zip(counts(queues), before)), 30, what)


def break_ring():
    """Chains into nowhere, where the device stops. A refill with vectors mends them."""
    zone = re.search(r"name:<vlease_ring_4>, len:\w+, virt:(0x\w+)", primary.cmd("dump_memzone"))
    size = int(re.search(r"Number of RXDs: (\d+)", primary.cmd("show rxq info 0 0"))[1])
    with open(f"/proc/{primary.pid}/mem", "r+b", buffering=0) as memory:
        for number in range(size):
            memory.seek(int(zone[1], 16) + DESC_SIZE * number + FLAGS_OFFSET)
            memory.write(struct.pack("<HH", NEXT_AND_WRITE, NOWHERE))


def event(port, name):
    return f"Port {port}: {name} event" in primary.output


def is_told_to_reset():
    break_ring()
    return event(0, "reset")


for each in (primary, secondary):
    each.start()
wait_for_leases(leases, secondary, 1)
wait_until(is_told_to_reset, 30, "testpmd is told that the device needs a reset")
check(any(f"Desc next is {NOWHERE}" in line for line in host.qemu_errors()),
      f"QEMU did not find the ring broken: {host.qemu_errors()}")
primary.stop()
for command in ("port stop 0", "port reset 0", "port start 0"):
    primary.do(command)
primary.start()
wait_for_leases(leases, secondary, 1)
for number in (0, 1):
    all_move(queues_of(number), f"packets on the queues of process {number} after the reset")
report("broken, reset, and in use again by both processes")
check(secondary.quit() == 0, "the secondary did not exit cleanly")

asked = threading.Thread(target=unbind, args=(PORT1,))
asked.start()
wait_until(lambda: event(1, "device removal"), 10, "testpmd is told that the device is asked back")
asked.join(30)
check(driver_of(PORT1) is None, "it is not let go")
wait_until(lambda: "valid ports array is [ 0 ]" in primary.cmd("show port info 1"), 10,
           "the port is closed")
report("asked back, and let go")

# The device does not come back: scenarios run in the order of their names, this one last here.
host.monitor("device_del port0")
wait_until(lambda: event(0, "device removal"), 30, "testpmd is told of what is pulled out")
wait_until(lambda: not os.path.exists(f"/sys/bus/pci/devices/{PORT0}"), 30, "it is gone")
wait_until(lambda: "valid ports array is [ ]" in primary.cmd("show port info 0"), 10,
           "the port is closed")
check(primary.quit() == 0, "the primary did not exit cleanly")
report("pulled out, and let go")
