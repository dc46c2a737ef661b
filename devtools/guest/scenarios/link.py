#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""The link goes down and up: an interrupt tells the primary, the lease channel the secondary"""

import atexit
import re

from lab import check, host, report, wait_until
from lease import bind_ports, process

bind_ports()
primary, secondary = process(0, processes=2), process(1, processes=2)
atexit.register(host.monitor, "set_link net0 on")


def link(each, port):
    return re.search(r"Link status: (\w+)", each.cmd(f"show port info {port}"))[1]


for round_number in range(1, 4):
    for number, state in enumerate(("off", "on"), 2 * round_number - 1):
        host.monitor(f"set_link net0 {state}")
        for each in (primary, secondary):
            wait_until(lambda: each.output.count("Port 0: link state change event") >= number, 10,
                       f"{each.name} is told that the link is {state}")
        expected = {"off": "down", "on": "up"}[state]
        for each in (primary, secondary):
            check(link(each, 0) == expected, f"{each.name}: link {link(each, 0)}")
            check(link(each, 1) == "up", f"{each.name}: port 1 {link(each, 1)}")
report(f"{number} changes, each told to both processes")

for each in (secondary, primary):
    check("Port 1: link state change" not in each.output, f"{each.name} was told of port 1")
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
