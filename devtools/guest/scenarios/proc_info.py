#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""dpdk-proc-info and testpmd read what queues in use by others do, and take no lease for it"""

import glob
import re
import subprocess
import time

from lab import PORTS, Telemetry, check, report, wait_until
from lease import Leases, bind_ports, eal_arguments, process, queues_of, wait_for_leases

SIZE = 256  # descriptors of a queue

bind_ports()
primary, secondary = process(0), process(1)
leases = Leases()
for each in (primary, secondary):
    each.start()
wait_for_leases(leases, secondary, 1)
held = leases.all()


def proc_info(*options):
    """Return what it says of each port, or of the process: {heading: text}."""
    result = subprocess.run(["dpdk-proc-info", *eal_arguments(), "--", *options],
                            capture_output=True, text=True, timeout=60, check=False)
    said = result.stdout + result.stderr
    check(result.returncode == 0, f"{options}: exit status {result.returncode}: {said}")
    bad = [line for line in said.splitlines() if re.search("error|fail|cannot", line, re.I)
           and not re.search(r"errors: +0|_errors", line)]
    check(not bad, f"{options}: {bad}")
    check(leases.all() == held, f"{options}: leases have changed")
    return said


def packets(number):
    return [primary.queue_packets(port)["rx"][queue] for port in (0, 1)
            for queue in queues_of(number)]


def all_move(number, what):
    before = packets(number)
    wait_until(lambda: all(now > then for now, then in zip(packets(number), before)), 30, what)


def between(name, values, before, after):
    check(len(values) == len(PORTS), f"{name}: {len(values)} values, not one for each port")
    for low, value, high in zip(before, values, after):
        check(0 < low <= int(value) <= high, f"{name}: {value} is not from {low} to {high}")


def received():
    return [primary.xstats(port)["rx_good_packets"] for port in (0, 1)]


before = received()
text = proc_info("--stats", "--show-port", "--show-mempool=mb_pool_0", "--show-ring")
between("RX-packets", re.findall(r"^  RX-packets: +(\d+)", text, re.M), before, received())
for port in PORTS:
    check(f"driver net_virtio_lease device {port}" in text, f"nothing about {port}: {text}")
check(len(re.findall(r"Link up at", text)) == len(PORTS), "the links are not said to be up")
check(re.search(r"Name: mb_pool_0 .*Size 16384", text, re.S), f"not the pool: {text}")

before = received()
text = proc_info("--xstats", "--version")
between("rx_good_packets", re.findall(r"rx_good_packets: (\d+)", text), before, received())
for queue in queues_of(1):
    for way in ("rx", "tx"):
        for name, least in (("doorbells", 1), ("suppressed", 0), ("lease_waits", 1),
                            ("lease_refused", 0), ("lease_lost", 0)):
            found = re.findall(rf"{way}_q{queue}_{name}: (\d+)", text)
            check(len(found) == len(PORTS) and all(int(value) >= least for value in found),
                  f"{way} queue {queue}: {name} {found}")

# A secondary is not told of the leases, which the primary's telemetry has, nor of registers.
text = proc_info("--show-port-private")
check(text.count("features:") == len(PORTS) and "RING_RESET" in text, f"private: {text}")
check(text.count("rxq2: 256 descriptors, started\n") == len(PORTS), f"private: {text}")
refused = subprocess.run(["dpdk-proc-info", *eal_arguments(), "--", "--dump-regs=/tmp/refused"],
                         capture_output=True, text=True, timeout=60, check=False)
check(refused.stdout.count("Error getting device reg info: -95") == len(PORTS) and
      not glob.glob("/tmp/refused*"), f"registers: {refused.stdout}")
text = Telemetry("lab").ask("/ethdev/dump_priv,0")
check(f"rxq2: 256 descriptors, started, leased, process {secondary.pid}\n" in text, text)

all_move(0, "packets on each queue of the primary")
all_move(1, "packets on each queue of the secondary")
check(leases.all() == held, "leases have changed")

before = received()
proc_info("--stats-reset")
after = received()
check(all(now < then for now, then in zip(after, before)), f"not reset: {before}, then {after}")
all_move(1, "packets on each queue of the secondary")
report("neither process nor any lease was touched")


# The primary does not poll: what the secondary sends stays in its queues.

def descriptors(teller, what):
    """What it is told of queue 0 of port 0."""
    return teller.do(f"show port 0 rxq 0 desc {what}").rpartition("=")[2].strip()


def used(teller):
    return int(descriptors(teller, "used count"))


def settled():
    before = used(primary)
    time.sleep(1)
    return 0 < before == used(primary)


primary.stop()
wait_until(lambda: used(primary) > 0, 30, "frames in the primary's queue")
secondary.stop()
wait_until(settled, 30, "no more frames on their way")
count = used(primary)
for offset in {0, count - 1, min(count, SIZE - 1)}:
    found = descriptors(primary, f"{offset} status")  # those behind are posted, or not yet again
    check((found == "DONE") == (offset < count), f"{offset}, of {count} used: {found}")
check(used(secondary) == 0, "the secondary looks into a queue that it does not hold")
report(f"{count} of {SIZE} descriptors used, told to who polls the queue, and to nobody else")
for each in (secondary, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
