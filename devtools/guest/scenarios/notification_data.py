#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
# machine: perf
"""VIRTIO_F_NOTIFICATION_DATA: doorbells are 4-byte writes that say where the ring goes on"""

import re

from lab import check, host, report, wait_until, write
from lease import Leases, bind_ports, process, queues_of, wait_for_leases
from plug import agreed_features, plug
from traffic import Account, check_settled

RING = 256  # testpmd's default
BURST = 32
ROUNDS = RING // BURST * 2 + 3  # around the ring, with its wrap counter, and on
NOTIFICATION_DATA = f"unknown-features(0x{1 << 38:016x})"  # QEMU has no name for it
CONTROL_QUEUE = 16  # behind the queues of eight pairs; VIRTIO 1.2, 5.1.2


def next_split(count):
    """VIRTIO 1.2, 2.9: where the next buffer is made available, after so many."""
    return count & 0xffff


def next_packed(count):
    return count % RING | (0x8000 if count // RING % 2 == 0 else 0)


def doorbells():
    """Of the trace: {virtqueue: [(value, bytes), ...]}."""
    rung = {}
    for line in host.trace_lines("^virtio_pci_notify_write "):
        page, value, size = re.search(r"0x(\w+) = 0x(\w+) \((\d+)\)", line).groups()
        rung.setdefault(int(page, 16) // 0x1000, []).append((int(value, 16), int(size)))
    return rung


def send(sender, rounds):
    """One burst on each of its queues, as often, and all of it received by whoever may."""
    for _ in range(rounds):
        sender.cmd("start tx_first 1")
        sender.stop()


def check_last(primary, sender, rung, next_place):
    """The last doorbell of each queue says where it stands. The trace does not name the port."""
    for queue in queues_of(sender):
        virtqueue = 2 * queue + 1
        sent = [primary.queue_packets(port)["tx"][queue] for port in (0, 1)]
        expected = sorted(virtqueue | next_place(count) << 16 for count in sent)
        last = sorted(value for value, _ in rung[virtqueue][-2:])
        check(last == expected, f"virtqueue {virtqueue}: after {sent} packets the last doorbells "
                                f"say {last}, not {expected}")


def run(mode, next_place):
    # With the event index the device asks for few doorbells; an eventfd has no room for data.
    plug(mode, notification_data="on", ioeventfd="off", event_idx="off")
    bind_ports()
    host.trace("virtio_pci_notify_write")
    host.trace_clear()
    primary, secondary = process(0), process(1)
    leases = Leases()
    for port in (0, 1):
        agreed = agreed_features(port)
        check(NOTIFICATION_DATA in agreed, f"{mode}: not agreed on: {agreed}")
    for each in (primary, secondary):
        each.start()
    wait_for_leases(leases, secondary, 1)
    for each in (primary, secondary):
        each.stop()
        each.do("set fwd rxonly")
        each.do(f"set burst {BURST}")

    account = Account(primary, [secondary])
    for each in (primary, secondary):
        send(each, ROUNDS - 1)
    # While the device is at a queue it asks for no doorbells; not so for the last.
    account.drain()
    for each in (primary, secondary):
        send(each, 1)
    check_settled(account.settle())
    host.trace("virtio_pci_notify_write", on=False)

    rung = doorbells()
    for virtqueue, values in rung.items():
        for value, size in values:
            check(size == 4, f"virtqueue {virtqueue}: a doorbell of {size} bytes")
            check(value & 0xffff == virtqueue, f"virtqueue {virtqueue} is called {value:#x}")
    for number, each in enumerate((primary, secondary)):
        check_last(primary, number, rung, next_place)
        for queue in queues_of(number):
            value = rung[2 * queue][0][0]
            check(value == 2 * queue | next_place(RING) << 16,
                  f"virtqueue {2 * queue}: with all buffers posted the doorbell says {value:#x}")
    check(len(rung.get(CONTROL_QUEUE, ())) > 1, "no doorbell of the control queue")
    total = sum(len(values) for virtqueue, values in rung.items() if virtqueue != CONTROL_QUEUE)
    said = primary.doorbells()
    check(total == said, f"{mode}: {total} doorbells at the device, {said} by the driver")
    report(f"{mode}: {total} doorbells with data of {len(rung) - 1} virtqueues, each as the driver "
           f"counts them; {len(rung[CONTROL_QUEUE])} of the control queue")
    for each in (secondary, primary):
        check(each.quit() == 0, f"{each.name} did not exit cleanly")


write("/sys/bus/pci/drivers_autoprobe", "0")
run("split-mrg", next_split)
run("packed-mrg", next_packed)
