#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 180
"""An unprivileged process that may lease one slice gets nothing else, by no attack of the suite"""

import re
import subprocess

from lab import PORT0, PROGRAMS, check, host, report
from lease import Leases, bind_ports, process, queues_of, slice_names, wait_for_leases

ENEMY, CITIZEN = 1001, 1002  # users
SOCKET = "/run/{port}.sock"

# As VIRTIO 1.2, 5.1.2 numbers virtqueues. Those of process 2, which does not run, are free.
KEPT, MINE, _, DENIED = (2 * queue + tx for queue in queues_of(2) for tx in (0, 1))
OTHERS, PRIMARYS = 2 * queues_of(1)[0], 2 * queues_of(0)[0]


def as_user(uid, *command, **options):
    """Without any capability, and no way to one."""
    return subprocess.Popen(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                             "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
                             f"{PROGRAMS}/hostile", *map(str, command)],
                            stdout=subprocess.PIPE, text=True, **options)


def heard(virtqueue):
    return host.trace_count(f"virtio_queue_notify .* n {virtqueue} ")


bind_ports()
# In a device argument there is no =.
primary = process(0, devargs=f"socket={SOCKET},socket_mode=0666,"
                  f"policy=uid{ENEMY}:slices0-{MINE};uid{ENEMY}:deny;uid*")
secondary = process(1)
leases = Leases()
primary.start()
secondary.start()
wait_for_leases(leases, secondary, 1)
held = {entry["slice"]: entry["granted_at"] for entry in leases.of(slice_names(1))}
descriptors = len(primary.fds())

socket = SOCKET.format(port=PORT0)
citizen = as_user(CITIZEN, "--honest", socket, OTHERS, stdin=subprocess.PIPE)
host.trace("virtio_queue_notify")
host.trace_clear()
enemy = as_user(ENEMY, socket, primary.pid, PORT0, KEPT, MINE, OTHERS, PRIMARYS, DENIED)
lines = enemy.communicate()[0].splitlines()
notified = {virtqueue: heard(virtqueue) for virtqueue in (KEPT, MINE)}
host.trace("virtio_queue_notify", on=False)
report(citizen.communicate("")[0].strip())

report("\n".join(line.lstrip("# ") for line in lines))
wrong = [line for line in lines if line.startswith("not ok")]
check(not wrong, "\n".join(wrong))
check(enemy.returncode == 0, f"the suite ended with {enemy.returncode}")
check(citizen.returncode == 0, "an honest process was not served")
report(f"the device heard {notified[MINE]} notifications of a leased slice, {notified[KEPT]} of "
       "one that was written to after its revoke only")
check(notified[MINE] > 0, "the device hears nothing at all: the check would be empty")
check(notified[KEPT] == 0, "the device heard what was written after a revoke")
check({entry["slice"]: entry["granted_at"] for entry in leases.of(slice_names(1))} == held,
      "the honest secondary has lost a lease")
check(leases.are("free", slice_names(2)), "a slice is not free again")
check(len(primary.fds()) <= descriptors, f"the primary has {len(primary.fds())} descriptors "
      f"open, before it had {descriptors}")
total = int(re.search(r"# (\d+) attacks", lines[-1])[1])
check(total >= 60, f"only {total} attacks")
