#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""After the revoke, writing to a doorbell still mapped by a forked child raises SIGBUS, unseen"""

import signal
import subprocess

from lab import (PORT0, PORTS, PROGRAMS, check, driver_plugin, host, process_exists, report,
                 wait_until)
from lease import MEMPOOL, Leases, bind_ports, process, queues_of

QUEUE = queues_of(1)[0]
VIRTQUEUE = 2 * QUEUE  # VIRTIO 1.2, 5.1.2
ORDERS = 1000

bind_ports()
primary = process(0)
leases = Leases()

argv = [f"{PROGRAMS}/stale-doorbell", "--lcores", "2@1", "-n", "1", "--file-prefix", "lab",
        "--proc-type", "secondary", "-d", driver_plugin(), *MEMPOOL]
for port in PORTS:
    argv += ["-a", port]
program = subprocess.Popen([*argv, "--", "0", str(QUEUE)], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True, bufsize=1)


def order(count):
    """Have the child ring; return its answers."""
    answers = []
    for _ in range(count):
        program.stdin.write("ring\n")
        answers.append(program.stdout.readline().strip())
    return answers


def notifications():
    return host.trace_count(f"virtio_queue_notify .* n {VIRTQUEUE} ")


# Both speak on one pipe, in any order: "child PID", "parent PID ...".
pids = {}
while len(pids) < 2:
    line = program.stdout.readline()
    check(line, "stale-doorbell ended early")
    if line.startswith(("child ", "parent ")):
        who, pid = line.split()[:2]
        pids[who] = int(pid)

host.trace("virtio_queue_notify")
host.trace_clear()
check(set(order(50)) == {"rang"}, "the child cannot ring although the lease is good")
heard = notifications()
report(f"before: 50 writes by the child, the device heard {heard}")
check(heard > 0, "the device hears nothing at all: the check that follows would be empty")

program.send_signal(signal.SIGKILL)
wait_until(lambda: leases.are("free", [f"{PORT0}/bar4/rxq{QUEUE}"]), 10, "the queue is free")
check(process_exists(pids["child"]), "the child has gone, too")
host.trace_clear()
answers = order(ORDERS)
heard = notifications()
report(f"after: {answers.count('SIGBUS')} of {ORDERS} writes raised SIGBUS, "
       f"the device heard {heard}")
check(set(answers) == {"SIGBUS"}, "a write after the revoke went through")
check(heard == 0, "the device heard a notification after the revoke")
host.trace("virtio_queue_notify", on=False)
program.stdin.write("quit\n")
