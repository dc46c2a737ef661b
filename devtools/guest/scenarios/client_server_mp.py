#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
# machine: rss
"""DPDK's client_server_mp, unmodified: the server receives, clients send on leased queues"""

import signal

from lab import EXAMPLES, PORTS, Program, Telemetry, check, report, wait_until
from lease import (Leases, bind_ports, check_isolation, device_descriptors, eal_arguments,
                   feed, kill_at_full_speed, pace)

CLIENTS = 2


def start(name, program, ready, *arguments, lcore=0):
    started = Program(name, [f"{EXAMPLES}/{program}-shared", "--lcores", f"{lcore}@{lcore % 2}",
                             "-n", "1", *eal_arguments(), *arguments])
    wait_until(lambda: ready in started.output, 60, f"{name} is ready")
    pace(started.pid)
    return started


def client(number, name):
    return start(name, "mp_client", "handling packets", "--proc-type=secondary",
                 "--", "-n", str(number), lcore=1 + number)


def slices(number):
    """A client sends on the queue of its number and receives from a ring in memory."""
    return {f"{port}/bar4/txq{number}" for port in PORTS}


def sent(number):
    return [telemetry.queue_packets(port)["tx"][number] for port in (0, 1)]


def moves(number, what):
    before = sent(number)
    feed(lambda: all(now > then for now, then in zip(sent(number), before)), what)


bind_ports()
server = start("server", "mp_server", "Finished Process Init", "--proc-type=primary",
               "--", "-p", "3", "-n", str(CLIENTS))
telemetry, leases = Telemetry("lab"), Leases()
clients = [client(number, f"client{number}") for number in range(CLIENTS)]
for number, process in enumerate(clients):
    feed(lambda: leases.held_by(process.pid) == slices(number), f"{process.name} has its leases")
    moves(number, f"{process.name} sends on both ports")
    wait_until(lambda: not device_descriptors(process.pid), 5, "it keeps no descriptor")
    check_isolation(process, slices(number))

kill_at_full_speed(clients[1])
wait_until(lambda: leases.are("free", slices(1)), 10, "the dead client's queues are free")
feed(lambda: True, "the server gives every other frame to the dead client")
moves(0, "the other client goes on")
clients[1] = client(1, "successor")
feed(lambda: leases.held_by(clients[1].pid) == slices(1), "the successor has its leases")
for number, process in enumerate(clients):
    moves(number, f"{process.name} sends on both ports")
report("; ".join(f"client {number} sent {' + '.join(map(str, sent(number)))}"
                 for number in range(CLIENTS)))

# SIGINT makes the server stop and close its ports, under its clients' hands.
server.kill(signal.SIGINT)
check(server.wait() == 0, "the server did not exit cleanly")
for process in clients:
    check(process.alive, f"{process.name} died of the server's end")
    process.kill()
