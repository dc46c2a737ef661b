#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
# kernels: 6.12
"""Stock secondaries without root's rights: of another user, and of one in namespaces of its own"""

import glob
import os
import signal

from lab import check, report, wait_until
from lease import Leases, bind_ports, check_isolation, pace, process, slice_names

USER = 4242
# The folder by the very name that root's EAL has for it: EAL compares the names of sockets.
OTHER_USER = ("env", "XDG_RUNTIME_DIR=/var/run", "setpriv", f"--reuid={USER}", f"--regid={USER}",
              "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
NAMESPACES = ("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")


def let_in(group):
    """What stock EAL makes for its own user alone."""
    shared = ["/dev/hugepages", *glob.glob("/dev/hugepages/labmap_*"), "/run/dpdk/lab",
              *glob.glob("/run/dpdk/lab/*")]
    for path in shared:
        os.chown(path, -1, group)
        os.chmod(path, 0o770 if os.path.isdir(path) else 0o660)
    os.chmod("/run/dpdk", 0o711)


def credentials(pid):
    with open(f"/proc/{pid}/status") as status:
        said = dict(line.rstrip("\n").split(":\t", 1) for line in status)
    return said


class Inner:
    """The process in the namespaces; what was started is unshare."""

    def __init__(self, outer):
        with open(f"/proc/{outer.pid}/task/{outer.pid}/children") as children:
            self.pid = int(children.read())
        self.name = outer.name


bind_ports()
# Memory that EAL takes later would be in files that nobody has let the others in to.
primary = process(0, processes=3, share=2, devargs=f"policy=uid{USER};uid*:deny",
                  eal=("-m", "256"))
let_in(USER)
plain = process(1, wrapper=OTHER_USER)
contained = process(2, wrapper=(*NAMESPACES, *OTHER_USER, "unshare", "--user",
                                "--map-current-user"))
inner = Inner(contained)
pace(inner.pid)
leases = Leases()
for each in (primary, plain, contained):
    each.start()

for number, holder in ((1, plain), (2, inner)):
    wait_until(lambda: leases.held_by(holder.pid) == slice_names(number), 60,
               f"{holder.name} holds a lease on each of its queues")
    check({leases.of({name})[0]["uid"] for name in slice_names(number)} == {USER},
          f"{holder.name} is not known as user {USER}")
    check_isolation(holder, slice_names(number))
check(credentials(plain.pid)["CapBnd"].strip("0") == "", "it has capabilities")
check(os.readlink(f"/proc/{inner.pid}/ns/user") != os.readlink("/proc/self/ns/user"),
      "it is in the user namespace of the others")


def packets():
    return [primary.queue_packets(port) for port in (0, 1)]


def all_move():
    return all(now > was for before, after in zip(first, packets()) for way in ("rx", "tx")
               for now, was in zip(after[way], before[way]))


first = packets()
wait_until(all_move, 60, "every queue sends and receives")
report(f"user {USER}: {len(slice_names(1))} leases without a capability, "
       f"{len(slice_names(2))} in namespaces of its own")

# The rules hold for root, too.
refused = process(1, name="refused", lcore=8, wait=0)
check(refused.wait(120) != 0, "a process that no rule allows has started")
check("Permission denied" in refused.output, f"nothing says why: {refused.output}")

# The end of a process in another namespace is seen like any other.
os.kill(inner.pid, signal.SIGKILL)
wait_until(lambda: leases.are("free", slice_names(2)), 20, "its queues are free")
check(leases.held_by(plain.pid) == slice_names(1), "the other has lost leases")
check(plain.quit() == 0 and primary.quit() == 0, "a process did not exit cleanly")
