#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Doorbell pages are write-combining in the page table, and uncached with memattr=nc"""

import os

from lab import check, load_module, report, wait_until
from lease import Leases, bind_ports, device_mappings, process, wait_for_leases

bind_ports()
load_module("pte_memtype")


def page_table_entry(pid, address):
    """What the processor's page table says, by the test module."""
    file = os.open("/proc/pte_memtype", os.O_RDWR)
    try:
        os.write(file, f"{pid} {address:x}".encode())
        return os.pread(file, 128, 0).decode().strip()
    finally:
        os.close(file)


def check_memory_type(memattr, expected):
    primary, secondary = (process(number, devargs=f"memattr={memattr}") for number in (0, 1))
    primary.start()
    secondary.start()
    wait_for_leases(Leases(), secondary, 1)
    for mapping in device_mappings(secondary.pid):
        entry = wait_until(
            lambda page=mapping.start: (e := page_table_entry(secondary.pid, page)) and
            "present=1" in e and e, 20, f"{mapping} is touched")
        report(f"{mapping.path}: {entry}")
        check(entry.split()[-1] in expected, f"{mapping}: memattr={memattr} gives {entry}")
    secondary.quit()
    primary.quit()


check_memory_type("wc", ["WC"])
check_memory_type("nc", ["UC", "UC-"])
