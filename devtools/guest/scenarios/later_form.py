#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""A kernel with the later form of the uAPI, REVOKE as a feature, serves the same programs"""

from lab import check, load_module, wait_until
from lease import (Leases, bind_ports, check_isolation, kill_at_full_speed, process, queues_of,
                   slice_names, wait_for_leases)

VICTIM = 1

load_module("dmabuf-vfio-pci", "revoke_feature=1")
bind_ports()
primary, victim = process(0), process(VICTIM)
leases = Leases()
primary.start()
victim.start()
wait_for_leases(leases, victim, VICTIM)
check_isolation(victim, slice_names(VICTIM))

kill_at_full_speed(victim)
wait_until(lambda: leases.are("free", slice_names(VICTIM)), 10, "the dead one's queues are free")
check(all(end["revoked_at"] > 0 for end in leases.of(slice_names(VICTIM))),
      "a slice was not revoked")


def received():
    return sum(primary.queue_packets(0)["rx"][queue] for queue in queues_of(VICTIM))


before = received()
successor = process(VICTIM, name="successor")
successor.start()
wait_until(lambda: received() > before, 30, "the successor receives")
for each in (successor, primary):
    check(each.quit() == 0, f"{each.name} did not exit cleanly")
