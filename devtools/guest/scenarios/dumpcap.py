#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""dpdk-dumpcap in a secondary captures every frame that the primary handles, and takes no lease"""

import collections
import signal
import time

from frames import read_pcapng
from lab import PORTS, Program, check, driver_plugin, report, wait_until
from lease import Leases, bind_ports, process, queues_of, wait_for_leases

BURSTS, BURST = 4, 32
CAPTURE = "/tmp/capture.pcapng"

bind_ports()
primary, secondary = both = process(0, processes=2), process(1, processes=2)
leases = Leases()


def counts():
    """{(port, way, queue): packets}, by the driver's counters."""
    return {(port, way, queue): packets
            for port in (0, 1) for way, queues in primary.queue_packets(port).items()
            for queue, packets in enumerate(queues)}


def difference(before):
    return {key: value - before[key] for key, value in counts().items()}


def arrived(before, sent):
    now = difference(before)
    return all(sum(packets for (_, its, _), packets in now.items() if its == way) == sent
               for way in ("rx", "tx"))


def send():
    """A known number of frames on each queue; return how many each queue has then handled."""
    before = counts()
    for each in both:
        each.cmd(f"start tx_first {BURSTS}")
    sent = BURSTS * BURST * len(PORTS) * len(both) * len(queues_of(0))
    wait_until(lambda: arrived(before, sent), 30, f"{sent} frames sent have arrived")
    for each in both:
        each.stop()
    return difference(before)


def quiet():
    before = counts()
    time.sleep(1)
    return counts() == before


# The first burst of a queue asks for its lease and is not sent.
for each in both:
    each.start()
wait_for_leases(leases, secondary, 1)
for each in both:
    each.stop()
for each in both:
    each.cmd("set fwd rxonly")
    each.start()
wait_until(quiet, 30, "nothing is on its way any more")
for each in both:
    each.stop()
held = leases.all()

# It takes no -d, so the driver comes by LD_PRELOAD. Without -p it would switch promiscuous mode
# off at its end, and testpmd's frames are for nobody.
dumpcap = Program("dumpcap", ["dpdk-dumpcap", "--file-prefix", "lab", "-p", "-i", "*", "-w",
                              CAPTURE], {"LD_PRELOAD": driver_plugin()})
wait_until(lambda: "Packets captured:" in dumpcap.output, 60, "dumpcap captures")
handled = send()
dumpcap.kill(signal.SIGINT)
check(dumpcap.wait() == 0, "dumpcap did not exit cleanly")

captured = read_pcapng(CAPTURE)
report(f"{len(captured)} frames captured, all that the primary handled")
names = [f"dpdk:{port}" for port in (0, 1)]
found = collections.Counter(
    (names.index(frame.interface), {"in": "rx", "out": "tx"}[frame.way], frame.queue)
    for frame in captured)
# DPDK 22.11 tells only the primary of a capture: what a secondary polls is never in it.
expected = {key: packets for key, packets in handled.items()
            if key[2] in queues_of(0) and packets}
check(found == expected, f"captured {dict(found)}, the primary handled {expected}")
others = sum(packets for (_, _, queue), packets in handled.items() if queue in queues_of(1))
check(others, "the secondary handled nothing")
report(f"{others} frames that the secondary handled are not captured, as with any driver")
for frame in captured:
    check(len(frame.frame) == 64 and frame.frame[12:14] == b"\x08\x00" and
          frame.frame[23] == 17, f"no frame of testpmd's: {frame}")

check(leases.all() == held, "leases have changed")
send()
for each in (secondary, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
