#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""The device asks for an announcement: the network is told where the port is, polled or not"""

import re
import time

from lab import PORT0, PORT1, check, host, report, wait_until
from lease import MEMPOOL, bind_ports, feed
from line import end

ADDRESS = "02:00:00:00:00:99"  # QEMU sends an announcement of its own, with its own address
ROUNDS_LAST = 2  # seconds: QEMU asks five times, by default, over 1.3 s

bind_ports()
announcer = end("announcer", PORT0, 0, mode="rxonly", eal=MEMPOOL, app=("--nb-ports=1",))
announcer.do(f"mac_addr set 0 {ADDRESS}")
listener = end("listener", PORT1, 1, mode="rxonly", eal=MEMPOOL, app=("--nb-ports=1",))
listener.do("set verbose 1")
listener.start()


def heard():
    """Announcements of the announcer's."""
    return len(re.findall(rf"src={ADDRESS} - dst=FF:FF:FF:FF:FF:FF - .*type=0x8035",
                          listener.printed()))


def ask_and_hear(what):
    before = heard()
    host.monitor("announce_self")
    wait_until(lambda: heard() > before, 30, f"an announcement, {what}")
    time.sleep(ROUNDS_LAST)
    report(f"{heard() - before} announcements, {what}")


def sent():
    return announcer.port_stats(0)["TX-packets"]


ask_and_hear("with no queue polled")
announcer.do("set fwd io")
before = sent()
announcer.start()
feed(lambda: sent() > before, "the announcer forwards")
ask_and_hear("with its queue polled")
before = sent()
feed(lambda: sent() > before, "it goes on forwarding")
announcer.stop()

# Acknowledged, it is not asked for any more: another change of the configuration brings none.
before = heard()
for state, shown in (("off", "down"), ("on", "up")):
    host.monitor(f"set_link net0 {state}")
    wait_until(lambda: f"Link status: {shown}" in announcer.cmd("show port info 0"), 10,
               f"the link is {shown}")
check(heard() == before, f"{heard() - before} announcements that nobody has asked for")

for process in (announcer, listener):
    check("cannot tell the network" not in process.output, f"{process.name}: {process.output}")
    check(process.quit() == 0, f"{process.name} did not exit cleanly")
