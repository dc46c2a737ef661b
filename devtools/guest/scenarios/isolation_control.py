#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Control: a secondary of stock net_virtio fails the isolation check, by descriptors and by BARs"""

from lab import PORTS, CheckFailed, Testpmd, bind, check, report
from lease import check_isolation, device_descriptors, device_mappings

for port in PORTS:
    bind(port, "vfio-pci")
primary = Testpmd("primary", queues=2, num_procs=2)
secondary = Testpmd("secondary", secondary=True, proc_id=1, num_procs=2, queues=2, cpu=1)
primary.start()
secondary.start()

try:
    check_isolation(secondary, set())
except CheckFailed as error:
    report(f"fails as it should: {error}")
else:
    raise CheckFailed("stock net_virtio passes the isolation check")

descriptors = device_descriptors(secondary.pid).values()
check(any("vfio-device" in target for target in descriptors), "no device descriptor was seen")
check(any(target.startswith("/dev/vfio/") for target in descriptors), "no group was seen")
check(sum(mapping.size for mapping in device_mappings(secondary.pid)) > 1 << 20,
      "no BAR was seen")
