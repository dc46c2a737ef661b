#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""Commands typed into a secondary: some the primary carries out, some read, the rest is refused"""

import re
import time

from lab import check, host, report, wait_until
from lease import (Leases, bind_ports, check_isolation, device_descriptors, feed, process,
                   queues_of, slice_names)

MULTICAST, OTHER_MAC = "01:00:5e:00:00:05", "02:00:00:00:00:77"
HELD = slice_names(1, ("rx",))
FLOWS = 64

bind_ports()
primary = process(0, processes=2, mode="rxonly")
secondary = process(1, processes=2, mode="rxonly")
leases = Leases()


def received():
    return sum(primary.queue_packets(1)["rx"][queue] for queue in queues_of(1))


def arrives(what):
    """Frames for an address that no port has asked for."""
    before = received()
    feed(lambda: received() > before, f"frames in the secondary, {what}")


def is_quiet():
    before = received()
    time.sleep(0.5)
    return received() == before


def nothing_arrives(what):
    wait_until(is_quiet, 10, "what was sent before has been received")
    before = received()
    host.send("tap1", FLOWS)
    time.sleep(1)
    check(received() == before, f"{received() - before} frames in the secondary, {what}")


def shown(what, value):
    for each in (primary, secondary):
        found = re.search(rf"^{what}: (.*)$", each.cmd("show port info 1"), re.M)[1]
        check(found == value, f"{each.name}: {what}: {found}, not {value}")


for each in (primary, secondary):
    each.start()
feed(lambda: leases.held_by(secondary.pid) == HELD, "leases of what it receives from")

arrives("promiscuous as testpmd begins")
secondary.do("set promisc 1 off")
shown("Promiscuous mode", "disabled")
nothing_arrives("not promiscuous")
secondary.do("set promisc 1 on")
shown("Promiscuous mode", "enabled")
arrives("promiscuous again")
for state, said in (("on", "enabled"), ("off", "disabled")):
    secondary.do(f"set allmulti 1 {state}")
    shown("Allmulticast mode", said)
report("both modes are the device's as the secondary has set them")

# What the primary has changed is seen.
primary.do("port config mtu 1 1400")
primary.do(f"mac_addr set 1 {OTHER_MAC}")
shown("MTU", "1400")
shown("MAC address", OTHER_MAC.upper())


# What is the primary's alone.

def refused(command):
    before = complaints()
    secondary.cmd(command)
    wait_until(lambda: complaints() > before, 5, f"a refusal of: {command}")


def complaints():
    return len(re.findall("not supported|diag=-95", secondary.output))


before = primary.cmd("show port info 1")
for command in ("port config mtu 1 1300", "mac_addr add 1 02:00:00:00:00:66",
                "mac_addr set 1 02:00:00:00:00:66", "vlan set strip on 1",
                f"mcast_addr add 1 {MULTICAST}"):
    refused(command)
secondary.stop()
for command in ("port 1 rxq 2 stop", "port 1 txq 3 stop"):
    refused(command)
secondary.start()
check(primary.cmd("show port info 1") == before, "something was changed by a secondary")
arrives("after all that")
wait_until(lambda: not device_descriptors(secondary.pid), 5, "the secondary keeps no descriptor")
check_isolation(secondary, HELD)
for each in (secondary, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
