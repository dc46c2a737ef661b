#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
"""DPDK's ethtool, unmodified: registers, rings, link, address, MTU, stop and start"""

import os
import struct

from lab import EXAMPLES, PORTS, Program, check, report
from lease import bind_ports, eal_arguments

IN_USE = 0x0f  # acknowledged, driver, driver ok, features ok; VIRTIO 1.2, 2.1
QUEUES = 2 * 8 + 1  # of the device: pairs, and the control queue
DUMP = "/tmp/registers"
OTHER_MAC = "02:00:00:00:00:77"


class Ethtool(Program):
    PROMPT = "EthApp> "

    def asks(self, command, *expected):
        said = self.cmd(command)
        for text in expected:
            check(text in said, f"{command}: {said}")
        return said


def registers(port):
    """Those of the device, then a list for each queue."""
    tool.asks(f"regs {port} {DUMP}")
    with open(DUMP, "rb") as file:
        words = [word[0] for word in struct.iter_unpack("<I", file.read())]
    return words[:4], [words[at:at + 3] for at in range(4, len(words), 3)]


bind_ports()
tool = Ethtool("ethtool", [f"{EXAMPLES}/ethtool-shared", "--lcores", "0@0,1@1", "-n", "1",
                           *eal_arguments()],
               {"LD_LIBRARY_PATH": f"{EXAMPLES}:{os.environ['LD_LIBRARY_PATH']}"})
tool.expect(tool.PROMPT)
tool.asks("drvinfo", *(f"Port {port} driver: net_virtio_lease" for port, _ in enumerate(PORTS)))
tool.asks("link", *(f"Port {port}: Up" for port, _ in enumerate(PORTS)))
for sizes in ((128, 256), (64, 128)):
    tool.asks(f"ringparam 0 {sizes[1]} {sizes[0]}")
    tool.asks("ringparam 0", f"Rx Pending: {sizes[0]} ", f"Tx Pending: {sizes[1]} ")
    (status, _, count, _), queues = registers(0)
    check((status, count) == (IN_USE, QUEUES), f"status {status:#x}, {count} queues")
    found = [(size, enabled) for size, enabled, _ in queues]
    check(found == [(size, 1) for size in sizes], f"queues: {found}")
    report(f"registers: status {status:#x}, {count} queues, {found}")
tool.asks("stop 0")
(status, _, _, _), queues = registers(0)
check(status != IN_USE and not any(enabled for _, enabled, _ in queues),
      f"a stopped port has status {status:#x}, queues {queues}")
tool.asks("open 0")
check(registers(0)[0][0] == IN_USE, "started again, the device is not in use")
tool.asks("mtu 0 1400", "MTU set to 1400")
tool.asks(f"macaddr 0 {OTHER_MAC}", "MAC address changed")
tool.asks("macaddr 0", OTHER_MAC)
check(tool.quit() == 0, "it did not exit cleanly")
