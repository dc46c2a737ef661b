#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# machine: no-iommu
"""Without an IOMMU no device is leased: one line says so, whatever the device is bound to"""

from lab import PORT0, CheckFailed, bind, check, driver_of, load_module, report
from wrong_use import LEASE_DRIVER, check_line, files, left_by_stock, our_lines, testpmd

NOIOMMU_MODE = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"


def refused(name, *says):
    bound_to = driver_of(PORT0)
    process = testpmd(name, (PORT0,), wait=0)
    status = process.wait(90)
    check(status > 0, f"{name}: exit status {status}")
    lines = our_lines(process)
    check(len(lines) == 1, f"{name}: {len(lines)} lines of ours, not one: {lines}")
    check_line(lines, PORT0, *says)
    check(files() == stock, f"{name}: left {files()}, stock leaves {stock}")
    check(driver_of(PORT0) == bound_to, f"{name}: {PORT0} is bound to {driver_of(PORT0)} now")


def binding_fails():
    """The kernel's VFIO does not take the device, which is left without a driver."""
    try:
        bind(PORT0, LEASE_DRIVER)
    except (CheckFailed, OSError):
        check(driver_of(PORT0) is None, f"{PORT0} is bound to {driver_of(PORT0)}")
    else:
        raise CheckFailed(f"{LEASE_DRIVER} takes a device without an IOMMU")


stock = left_by_stock()
load_module(LEASE_DRIVER)
refused("virtio-pci", "in no IOMMU group", "no IOMMU or it is off")
binding_fails()
refused("unbound", "in no IOMMU group", "no IOMMU or it is off")

# VFIO's mode without protection gives the device a group, but one that confines nothing.
try:
    with open(NOIOMMU_MODE, "w") as mode:
        mode.write("1")
except OSError:
    report("this kernel has no no-IOMMU mode of VFIO")
else:
    bind(PORT0, LEASE_DRIVER)
    refused("no-IOMMU mode", "no-IOMMU mode", "does not confine DMA", "need an IOMMU")
