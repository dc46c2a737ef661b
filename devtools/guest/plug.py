# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Replaces the virtio-net devices while the guest runs, by such that offer something else."""

import os
import re

from lab import PORTS, check, host, unbind, wait_until

# A mode is named by what the devices offer.
PROPERTIES = {"packed": "packed", "mrg": "mrg_rxbuf", "order": "in_order"}
FEATURES = {"packed": "VIRTIO_F_RING_PACKED", "mrg": "VIRTIO_NET_F_MRG_RXBUF",
            "order": "VIRTIO_F_IN_ORDER"}


def unplug(number, port):
    unbind(port)
    host.monitor(f"device_del port{number}")
    wait_until(lambda: not os.path.exists(f"/sys/bus/pci/devices/{port}"), 30, f"{port} is gone")


def has_been_added(device):
    """False: its name, which another one had that has gone, is free a little later."""
    said = host.monitor(f"device_add {device}").strip()
    check(not said or "Duplicate" in said, f"QEMU cannot add {device}: {said}")
    return not said


def plug(mode, **more):
    """Have devices that offer this mode, with more properties, such as event_idx="off"."""
    words = mode.split("-")
    offers = {name: "on" if word in words else "off" for word, name in PROPERTIES.items()} | more
    properties = "".join(f",{name}={value}" for name, value in offers.items())
    for number, port in enumerate(PORTS):
        path = f"/sys/bus/pci/devices/{port}"
        if os.path.exists(path):
            unplug(number, port)
        device = (f"virtio-net-pci,id=port{number},bus=rp{number},netdev=net{number},romfile=,"
                  f"mac=02:00:00:00:00:0{number},mq=on,vectors=18,page-per-vq=on,"
                  f"disable-legacy=on,iommu_platform=on,ats=on{properties}")
        wait_until(lambda: has_been_added(device), 30, f"the name of {port} is free")
        wait_until(lambda: os.path.exists(path), 30, f"{port} is there")


def agreed_features(number):
    """What driver and device have agreed on, as the device knows it: text."""
    status = host.monitor(f"info virtio-status /machine/peripheral/port{number}/virtio-backend")
    return re.search(r"Guest features:(.*?)Host features:", status, re.S)[1]


def mode_in_use(number):
    agreed = agreed_features(number)
    words = [word for word, feature in FEATURES.items() if feature in agreed]
    return "-".join(words if "packed" in words else ["split", *words])
