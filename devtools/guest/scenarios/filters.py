#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""Addresses, promiscuous and all-multicast mode, VLAN filter, MTU: what they let pass arrives"""

from frames import FOREIGN, OWN, frame, parse
from lab import check, report
from line import BROADCAST, Line, configure

MULTICAST = "01:00:5e:00:00:05"
EVERYBODY = (OWN, FOREIGN, MULTICAST, BROADCAST)

line = Line()
receiver = line.receiver
said = []


def told(*commands):
    for text in commands:
        receiver.do(text)
        said.append(text)


def addressees(*passed):
    found = [parse(each.frame).to for each in line.exchange(*(frame(to=to) for to in EVERYBODY))]
    check(found == [to for to in EVERYBODY if to in passed],
          f"after {said[-1]}: frames for {found} have passed")


def tags(*passed):
    sent = (None, 100, 200)
    found = [parse(each.frame).vlan for each in line.exchange(*(frame(vlan=tag) for tag in sent))]
    check(found == list(passed), f"after {said[-1]}: VLANs {found} have passed")


said.append("the start")
addressees(*EVERYBODY)
told("set promisc 0 off", "set allmulti 0 off")
addressees(OWN, BROADCAST)
told("set allmulti 0 on")
addressees(OWN, MULTICAST, BROADCAST)
told("set allmulti 0 off", f"mcast_addr add 0 {MULTICAST}")
addressees(OWN, MULTICAST, BROADCAST)
told(f"mcast_addr remove 0 {MULTICAST}", f"mac_addr add 0 {FOREIGN}")
addressees(OWN, FOREIGN, BROADCAST)
configure(receiver)
said.append("a restart")
addressees(OWN, FOREIGN, BROADCAST)
told(f"mac_addr remove 0 {FOREIGN}")
addressees(OWN, BROADCAST)
told(f"mac_addr set 0 {FOREIGN}")
addressees(FOREIGN, BROADCAST)
told(f"mac_addr set 0 {OWN}")
addressees(OWN, BROADCAST)
tags(None, 100, 200)
configure(receiver, "port config 0 rx_offload vlan_filter on")
said.append("vlan_filter on")
tags(None)
told("rx_vlan add 100 0")
tags(None, 100)
configure(receiver)
said.append("a restart")
tags(None, 100)
told("rx_vlan rm 100 0", "rx_vlan add 200 0")
tags(None, 200)
told("set promisc 0 on")
addressees(*EVERYBODY)
report(f"frames passed or not as told by {len(said)} commands")
line.quit()
