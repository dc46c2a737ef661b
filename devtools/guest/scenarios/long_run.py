#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# command: long
# timeout: 300
"""Mixed traffic with offloads toggled and ports restarted: every packet and buffer accounted for"""

import collections
import os
import random
import re
import sys
import time

from lab import check, report, wait_until
from lease import Leases, bind_ports, process, slice_names, wait_for_leases
from traffic import Account, check_buffers, check_settled

PROCESSES = 2
TRAFFIC_S = 4
MODES = ("flowgen", "txonly", "io", "macswap", "csum", "5tswap")
RING_SIZES = (64, 128, 256)
MTUS = (1500, 2000, 9000)
# Sizes of the segments of what txonly sends; the later ones only with the offload for them.
SEGMENTS = ("64", "700", "1514", "64,128,256", "20,700,700", "500,1000,2000,2000")
# testpmd knows no command for the others, or asks for more than the toggle.
TOGGLES = {
    "rx": ("vlan_strip", "vlan_filter", "udp_cksum", "tcp_cksum", "tcp_lro", "scatter", "rss_hash"),
    "tx": ("vlan_insert", "udp_cksum", "tcp_cksum", "tcp_tso", "multi_segs", "mbuf_fast_free"),
}

seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 100000
chance = random.Random(seed)
done = collections.Counter()
until = time.monotonic() + int(os.environ["STRESS_S"])

bind_ports()
primary, secondary = process(0, processes=PROCESSES), process(1, processes=PROCESSES)
leases = Leases()


def capabilities(way):
    said = primary.do(f"show port 0 {way}_offload capabilities").lower()
    return [name for name in TOGGLES[way] if re.search(rf"\b{name}\b", said)]


offloads = {way: capabilities(way) for way in TOGGLES}
report(f"seed {seed}; toggled: " +
       "; ".join(f"{way} {' '.join(names)}" for way, names in offloads.items()))


def configure():
    """Anything, with both ports stopped; return the offloads that are on."""
    on = set()
    for way, names in offloads.items():
        for name in names:
            state = chance.choice(("on", "off"))
            if state == "on":
                on.add(name)
                done[name] += 1
            for port in (0, 1):
                primary.do(f"port config {port} {way}_offload {name} {state}")
    mtu = chance.choice(MTUS if "scatter" in on else MTUS[:2])
    for port in (0, 1):
        primary.do(f"port config mtu {port} {mtu}")
    primary.do(f"port config all rxd {chance.choice(RING_SIZES)}")
    primary.do(f"port config all txd {chance.choice(RING_SIZES)}")
    return on, mtu


def restart():
    primary.do("port stop all")
    check_buffers(primary)
    on, mtu = configure()
    primary.do("port start all")
    for port in (0, 1):
        for what in ("promisc", "allmulti"):
            primary.do(f"set {what} {port} off")
            primary.do(f"set {what} {port} on")
    done["restarts"] += 1
    return on, mtu


def sizes(mode, on, mtu):
    """flowgen puts whatever it is told to send into one segment."""
    several = "multi_segs" in on and mode != "flowgen"
    return [segments for segments in SEGMENTS
            if sum(map(int, segments.split(","))) <= mtu + 14 and (several or "," not in segments)]


def traffic(on, mtu):
    """Both processes, each in a mode of its own. One that only passes on gets some to begin."""
    account.begin()
    for each in (primary, secondary):
        mode = chance.choice(MODES)
        each.cmd(f"set txpkts {chance.choice(sizes(mode, on, mtu))}")
        each.cmd(f"set fwd {mode}")
        each.cmd("start" if mode in ("flowgen", "txonly") else "start tx_first 8")
        done[mode] += 1
    time.sleep(TRAFFIC_S)
    for each in (primary, secondary):
        each.stop()
    ways = account.settle()
    check_settled(ways)
    for count, what in zip(map(sum, zip(*ways)), ("sent", "received", "dropped by taps")):
        done[what] += count


def restart_under_its_hands():
    """The secondary goes on polling while the primary stops and starts the ports."""
    secondary.cmd("set fwd flowgen")
    secondary.start()
    wait_for_leases(leases, secondary, 1)
    primary.do("port stop all")
    check(not leases.held_by(secondary.pid), "the secondary holds leases of a stopped port")
    primary.do("port start all")
    wait_until(lambda: leases.held_by(secondary.pid) == slice_names(1), 30,
               "the secondary has its leases again")
    secondary.stop()
    account.drain()
    done["restarts with a live secondary"] += 1


account = Account(primary, [secondary])
round_number = 0
while time.monotonic() < until:
    round_number += 1
    print(f"round {round_number}", flush=True)
    traffic(*restart())
    if chance.random() < 0.5:
        restart_under_its_hands()
    for each in (primary, secondary):
        check(each.alive, f"{each.name} has died in round {round_number}")

check(secondary.quit() == 0, "the secondary did not exit cleanly")
primary.do("port stop all")
check_buffers(primary)
check(primary.quit() == 0, "the primary did not exit cleanly")
report(f"{round_number} rounds: " + ", ".join(f"{count} {what}" for what, count in done.items()))
