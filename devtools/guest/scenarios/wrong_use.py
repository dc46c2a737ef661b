#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 600
"""Wrong use gives one line with object and cause, no success, and leaves nothing behind"""

import os
import subprocess

from lab import (PORT0, PORT1, PORTS, SHARED_PAGE_PORT, Testpmd, bind, check, driver_of,
                 driver_plugin, load_module, report, unbind, wait_until)

LEASE_DRIVER = "dmabuf-vfio-pci"
MBUFS = 4096


# What every case has in common

def testpmd(name, devices, plugin=True, app=(), **options):
    """The command line of the guides: it ends where a port is missing."""
    return Testpmd(name, devices=devices, plugins=[driver_plugin()] if plugin else [],
                   mbufs=MBUFS, app=(f"--nb-ports={len(devices)}", *app), **options)


def files():
    """What there is of the processes in the file system; the numbers of pages say nothing."""
    pages = [name for name in os.listdir("/dev/hugepages") if name.startswith("lab")]
    return len(pages), set(os.listdir("/var/run/dpdk/lab"))


def our_lines(process):
    return [line for line in process.output.splitlines()
            if line.startswith(("net_virtio_lease:", "bar_lease:"))]


def check_line(lines, device, *says):
    about = [line for line in lines if device in line]
    check(len(about) == 1, f"{len(about)} lines about {device}, not one: {about}")
    for words in says:
        check(words in about[0], f"the line does not say '{words}': {about[0]}")
    report(about[0])


def refused(name, device, *says, arguments="", others=(PORT1,)):
    """A primary that is given a device that it cannot have, and others that are good."""
    bound_to = driver_of(device)
    process = testpmd(name, (device + arguments, *others), wait=0)
    status = process.wait(90)
    check(status > 0, f"{name}: exit status {status}")
    lines = our_lines(process)
    check(len(lines) == 1, f"{name}: {len(lines)} lines of ours, not one: {lines}")
    check_line(lines, device, *says)
    pages, names = files()
    check(pages <= stock[0] and names == stock[1],
          f"{name}: left {pages} pages and {names}, stock leaves {stock}")
    check(driver_of(device) == bound_to, f"{name}: {device} is bound to {driver_of(device)} now")


def works(device=PORT0, plugin=True):
    """The same device, used rightly, at once."""
    process = testpmd("right", (device,), plugin)
    check(our_lines(process) == [], f"complaints about right use: {our_lines(process)}")
    check(process.quit() == 0, "right use does not end well")


def left_by_stock():
    """EAL keeps the files of its memory; this is what it keeps when there is no device."""
    process = testpmd("stock", ("0000:ff:1f.7",), plugin=False, wait=0)
    check(process.wait(90) > 0, "stock testpmd does without a port that it was asked for")
    return files()


# The cases

def bound_to_kernel_driver():
    bind(PORT0, "virtio-pci")
    refused("virtio-pci", PORT0, "bound to 'virtio-pci'", f"write {LEASE_DRIVER} to",
            f"/sys/bus/pci/devices/{PORT0}/driver_override")
    bind(PORT0, LEASE_DRIVER)
    works()


def bound_to_nothing():
    unbind(PORT0)
    refused("unbound", PORT0, "bound to no driver", f"write {LEASE_DRIVER} to",
            f"/sys/bus/pci/devices/{PORT0}/driver_override")
    bind(PORT0, LEASE_DRIVER)
    works()


def bound_to_plain_vfio_pci():
    """Linux 6.12's exports no DMABUF, 7.2's none that can be mapped."""
    bind(PORT0, "vfio-pci")
    refused("vfio-pci", PORT0, "bound to vfio-pci", "cannot map and revoke DMABUFs",
            f"bind it to {LEASE_DRIVER}")
    bind(PORT0, LEASE_DRIVER)
    works()


def doorbells_share_a_page():
    bind(SHARED_PAGE_PORT, LEASE_DRIVER)
    refused("shared-page", SHARED_PAGE_PORT, "queue 1: doorbell shares its page with queue 0",
            "notify_off_multiplier 4", "need page-per-vq")
    bind(SHARED_PAGE_PORT, "vfio-pci")
    works(SHARED_PAGE_PORT, plugin=False)


def wrong_arguments():
    for argument, cause in (("lease=2", "the values are 0 and 1"),
                            ("memattr=uc", "the values are wc (write-combining) and nc"),
                            ("packed=2", "the values are 0 and 1"),
                            ("packed=1", "the device does not offer RING_PACKED"),
                            ("policy=uid0;user7", "position 6, 'user7': none of uid, gid"),
                            ("socket=here", "an absolute path"),
                            ("foo=1", "the arguments are memattr=wc|nc")):
        refused(argument, PORT0, f"argument {argument.partition('=')[0]}", cause,
                arguments="," + argument)
    works()


def other_release():
    """Stands in for a library of the same name from a later release."""
    source = """unsigned int rte_version_year(void) { return 23; }
                unsigned int rte_version_month(void) { return 7; }
                const char *rte_version(void) { return "DPDK 23.07.0"; }"""
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", "/tmp/release.so"],
                   input=source, text=True, check=True)
    os.environ["LD_PRELOAD"] = "/tmp/release.so"
    refused("release", PORT0, "headers of DPDK 22.11", "run by DPDK 23.07.0",
            "devtools/sdk-headers", others=())
    del os.environ["LD_PRELOAD"]
    works()


def secondary_is_refused(primary, name, **options):
    """Return it, after its end."""
    before = files()
    secondary = testpmd(name, PORTS, secondary=True, wait=0, **options)
    status = secondary.wait(90)
    check(status > 0, f"{name}: exit status {status}")
    wait_until(lambda: files()[1] == before[1], 5, f"the end of {name}'s files")
    check(primary.alive, f"{name}: the primary has ended")
    return secondary


def secondary_comes_early():
    """The primary has found the ports, but not configured them."""
    primary = testpmd("unconfigured", PORTS, app=("--disable-device-start",))
    secondary = secondary_is_refused(primary, "early")
    lines = our_lines(secondary)
    check(len(lines) == len(PORTS), f"not one line for each port: {lines}")
    for port in PORTS:
        check_line(lines, port, "the primary process has not set up the port's queues yet",
                   "start secondary processes after that")
    primary.cmd("port start all")
    return primary


def secondary_lacks_the_plugin(primary):
    """Then the line is of ethdev; the primary cannot know, and has to go on."""
    primary.start()
    secondary = secondary_is_refused(primary, "without-d", plugin=False)
    lines = [line for line in secondary.output.splitlines() if "primary process" in line]
    for port in PORTS:
        check_line(lines, port, "is not driven by the primary process")
    check(our_lines(primary) == [], f"the primary complains: {our_lines(primary)}")
    before = sum(primary.queue_packets(0)["rx"])
    wait_until(lambda: sum(primary.queue_packets(0)["rx"]) > before, 10,
               "packets in the primary after the secondary's end")
    primary.stop()


def secondary_comes_rightly(primary):
    secondary = testpmd("right", PORTS, secondary=True)
    check(our_lines(secondary) == [], f"complaints about right use: {our_lines(secondary)}")
    for process in (secondary, primary):
        check(process.quit() == 0, f"{process.name} did not exit cleanly")


if __name__ == "__main__":
    stock = left_by_stock()
    load_module(LEASE_DRIVER)
    for port in PORTS:
        bind(port, LEASE_DRIVER)
    bound_to_kernel_driver()
    bound_to_nothing()
    bound_to_plain_vfio_pci()
    doorbells_share_a_page()
    wrong_arguments()
    other_release()
    configured = secondary_comes_early()
    secondary_lacks_the_plugin(configured)
    secondary_comes_rightly(configured)
