# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""The suite of attacks: an unprivileged process that may lease one slice, and those it attacks."""

import subprocess

from lab import PORT0, PROGRAMS
from lease import process, queues_of

ENEMY, CITIZEN = 1001, 1002  # users
SOCKET = "/run/{port}.sock"

# As VIRTIO 1.2, 5.1.2 numbers virtqueues. Those of process 2, which does not run, are free.
KEPT, MINE, _, DENIED = (2 * queue + tx for queue in queues_of(2) for tx in (0, 1))
OTHERS, PRIMARYS = 2 * queues_of(1)[0], 2 * queues_of(0)[0]


def primary_for_all(**options):
    """A primary that lets every user lease, the enemy one slice and one more."""
    # In a device argument there is no =.
    return process(0, devargs=f"socket={SOCKET},socket_mode=0666,"
                   f"policy=uid{ENEMY}:slices0-{MINE};uid{ENEMY}:deny;uid*", **options)


def _as_user(uid, *command, **options):
    """Without any capability, and no way to one."""
    return subprocess.Popen(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                             "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
                             f"{PROGRAMS}/hostile", *map(str, command)],
                            stdout=subprocess.PIPE, text=True, **options)


def honest():
    """Asks for a slice that another holds until its input ends; prints how long answers took."""
    return _as_user(CITIZEN, "--honest", SOCKET.format(port=PORT0), OTHERS, stdin=subprocess.PIPE)


def attack(primary):
    """The whole suite; it prints a line for each attack, `not ok` if it got through."""
    return _as_user(ENEMY, SOCKET.format(port=PORT0), primary.pid, PORT0, KEPT, MINE, OTHERS,
                    PRIMARYS, DENIED)
