#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
# machine: rss
"""RSS: frames arrive on the queues that key, table and kinds of hash send them to, with the hash"""

import re
import struct

from frames import ADDRESSES, frame
from lab import PORT1, check, report, wait_until
from lease import MEMPOOL, bind_ports
from line import Sender, configure, end

QUEUES = 4
FLOWS = [(1000 + number, 2000) for number in range(64)]
UNCLASSIFIED = 0
OTHER_KEY = bytes(range(7, 47))

bind_ports()
sender = Sender()
receiver = end("receiver", PORT1, 1, mode="rxonly", queues=QUEUES, eal=MEMPOOL,
               app=("--nb-ports=1", "--rss-udp"))


def toeplitz(key, data):
    window, value = int.from_bytes(key, "big"), 0
    for at in range(8 * len(data)):
        if data[at // 8] >> (7 - at % 8) & 1:
            value ^= window >> (8 * len(key) - 32 - at) & 0xffffffff
    return value


def hash_of(key, version, ports):
    return toeplitz(key, b"".join(ADDRESSES[version]) + struct.pack(">HH", *ports))


def received():
    return receiver.queue_packets(0)["rx"]


def spread(version):
    """How many frames arrive on each queue, one of each flow being sent."""
    before = received()
    receiver.start()
    sender.start([frame(version=version, ports=ports) for ports in FLOWS])
    wait_until(lambda: sum(received()) - sum(before) == len(FLOWS), 30, "every frame has arrived")
    sender.stop()
    receiver.stop()
    return [now - then for now, then in zip(received(), before)]


def expect(what, key, table, versions=(4, 6)):
    """That they arrive where the hash says; without one, on the queue for the unclassified."""
    for version in versions:
        expected = [0] * QUEUES
        for ports in FLOWS:
            expected[table[hash_of(key, version, ports) % len(table)] if key else
                     UNCLASSIFIED] += 1
        found = spread(version)
        check(found == expected, f"{what}, IPv{version}: on queues {found}, not {expected}")
    report(f"{what}: {' '.join(map(str, found))}")


def shown_key():
    return bytes.fromhex(re.search(r"RSS key:\s+([0-9A-F]+)",
                                   receiver.cmd("show port 0 rss-hash key"))[1])


def shown_table():
    size = int(re.search(r"Redirection table size: (\d+)", receiver.cmd("show port info 0"))[1])
    masks = ",".join(["0xffffffffffffffff"] * (size // 64))
    said = receiver.cmd(f"show port 0 rss reta {size} ({masks})")
    return [int(queue) for queue in re.findall(r"hash index=\d+, queue=(\d+)", said)]


def set_table(table):
    for at in range(0, len(table), 8):  # testpmd takes a word of 128 characters
        entries = ",".join(f"({at + index},{queue})"
                           for index, queue in enumerate(table[at:at + 8]))
        receiver.do(f"port config 0 rss reta {entries}")


key, table = shown_key(), shown_table()
check(set(table) == set(range(QUEUES)), f"the table names {set(table)}")
expect("at first", key, table)

uneven = [3 if index % 3 else 1 for index in range(len(table))]
set_table(uneven)
check(shown_table() == uneven, f"table: {shown_table()}")
expect("another table", key, uneven)

receiver.do(f"port config 0 rss-hash-key ipv4-udp {OTHER_KEY.hex()}")
check(shown_key() == OTHER_KEY, f"key: {shown_key().hex()}")
expect("another key", OTHER_KEY, uneven, versions=(4,))
expect("IPv6 not hashed", None, uneven, versions=(6,))

receiver.do("port config all rss udp")
configure(receiver)
expect("after a restart", OTHER_KEY, uneven)


def hashes(version):
    """(hash, queue) of each frame that has its hash with it, one of each flow being sent."""
    said = len(receiver.printed())
    receiver.do("set verbose 1")
    spread(version)
    receiver.do("set verbose 0")
    return sorted((int(value, 16), int(queue, 16)) for value, queue in re.findall(
        r"RSS hash=(0x[0-9a-f]+) - RSS queue=(0x[0-9a-f]+)", receiver.printed(said)))


def echo():
    """Bytes that come back to the sender of one frame of each flow, and those that were sent."""
    frames = [frame(ports=ports, data=bytes(number)) for number, ports in enumerate(FLOWS)]
    before = sender.process.port_stats(0)
    receiver.do("set burst tx delay 1000 retry 1000")  # the first burst asks for a lease
    receiver.do("set fwd io retry")
    receiver.start()
    sender.start(frames)
    wait_until(lambda: sender.process.port_stats(0)["RX-packets"] - before["RX-packets"] ==
               len(frames), 30, "every frame has come back")
    sender.stop()
    receiver.stop()
    receiver.do("set fwd rxonly")
    return (sender.process.port_stats(0)["RX-bytes"] - before["RX-bytes"],
            sum(len(each) for each in frames))


check(hashes(4) == [], "hashes that nobody has asked for")
configure(receiver, "port config 0 rx_offload rss_hash on")
for version in (4, 6):
    expected = [hash_of(OTHER_KEY, version, ports) for ports in FLOWS]
    expected = sorted((value, uneven[value % len(uneven)]) for value in expected)
    found = hashes(version)
    check(found == expected, f"IPv{version}: hashes {found}, not {expected}")
report(f"{len(FLOWS)} hashes are right")
back, sent = echo()
check(back == sent, f"{back} bytes came back, {sent} were sent")
receiver.do(f"port config 0 rss-hash-key ipv4-udp {OTHER_KEY.hex()}")
check(hashes(6) == [], "hashes of what is not hashed")

for process in (sender.process, receiver):
    check(process.quit() == 0, f"{process.name} did not exit cleanly")
