#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""A forwarding secondary holds its doorbell pages, each named, and nothing else of a device"""

from lab import check, report
from lease import (Leases, bind_ports, cast, check_isolation, device_mappings, slice_names,
                   wait_for_leases)

bind_ports()
primary, *secondaries = cast()
for process in (primary, *secondaries):
    process.start()
leases = Leases()
for number, secondary in enumerate(secondaries, 1):
    wait_for_leases(leases, secondary, number)
    check_isolation(secondary, slice_names(number))
    report("\n".join(str(mapping) for mapping in device_mappings(secondary.pid)))

# The owner of the devices fails the same check: it looks at the right things.
check(device_mappings(primary.pid), "the primary maps no BAR: the check sees nothing")
