# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""The cast of the main job: a primary that owns both devices, and secondaries on leases."""

import contextlib
import os
import re
import subprocess
import time

import lab
from lab import PORTS, Telemetry, Testpmd, bind, check, driver_plugin, load_module

PROCESSES = 3
QUEUES = 6
SHARE = QUEUES // PROCESSES  # queues of each port that one process polls

# A process killed inside an operation on the default mempool, a ring, can stop all others that
# use it; one killed inside an operation on this stack cannot.
MEMPOOL = ("--mbuf-pool-ops-name=lf_stack",)

POLLERS = "/sys/fs/cgroup/pollers"


def bind_ports():
    load_module("dmabuf-vfio-pci")
    for port in PORTS:
        bind(port, "dmabuf-vfio-pci")


def polling_threads(pid):
    """EAL's workers or, where there are none, the main thread."""
    workers = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with (contextlib.suppress(FileNotFoundError, ProcessLookupError),
              open(f"/proc/{pid}/task/{thread}/comm") as comm):
            if comm.read().startswith("rte-worker"):
                workers.append(thread)
    return workers or [str(pid)]


def pace(pid):
    """
    Grant all polling threads together a third of a processor. Emulated traffic at full speed
    keeps QEMU's main loop so busy that a new process takes a quarter of a minute to start.
    """
    if not os.path.exists(f"{POLLERS}/cpu.max"):
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=True)
        lab.write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu")
        os.mkdir(POLLERS)
        lab.write(f"{POLLERS}/cgroup.type", "threaded")
        lab.write(f"{POLLERS}/cpu.max", "30000 100000")
    for thread in polling_threads(pid):
        lab.write(f"{POLLERS}/cgroup.threads", thread)


def feed(until, what):
    """
    Send frames of 64 flows into both ends of the wire until something is true. A queue's first
    bursts ask for its lease and are not sent, so once is not enough.
    """
    def fed():
        for tap in ("tap0", "tap1"):
            lab.host.send(tap, 64)
        return until()
    lab.wait_until(fed, 30, what)


def kill_at_full_speed(victim):
    """kill -9; its end is not paced, or its polling thread would take seconds to die."""
    for thread in polling_threads(victim.pid):
        lab.write("/sys/fs/cgroup/cgroup.threads", thread)
    killed = time.monotonic_ns()
    victim.kill()
    return killed


def process(number, *, name=None, devargs=None, processes=PROCESSES, share=SHARE, eal=(), app=(),
            wait=120, **options):
    """
    Process 0 is the primary; the others are secondaries. {port} in devargs is the port. Paced once
    it is up, so with wait=0 never: all the threads that are yet to come would be.
    """
    devices = PORTS if devargs is None else [f"{port},{devargs.format(port=port)}"
                                             for port in PORTS]
    started = Testpmd(name or ("primary" if number == 0 else f"secondary{number}"),
                      devices=devices, plugins=[driver_plugin()], secondary=number > 0,
                      proc_id=number, num_procs=processes, queues=processes * share,
                      cpu=number % 2, eal=(*MEMPOOL, *eal), app=("--nb-ports=2", *app), wait=wait,
                      **options)
    if wait:
        pace(started.pid)
    return started


def lease_forward(name, number, *arguments, prefix="lab", devargs=None):
    """The example. Number 0 is the primary, number n lessee n - 1."""
    argv = [f"{lab.PROGRAMS}/lease_forward", "--lcores", f"{number}@{number % 2}", "-n", "1",
            "--file-prefix", prefix, "-d", driver_plugin(),
            "--proc-type", "secondary" if number else "primary"]
    for port in PORTS:
        argv += ["-a", port if devargs is None else f"{port},{devargs}"]
    argv.append("--")
    if number:
        argv += ["--lessee", str(number - 1)]
    started = lab.Program(name, [*argv, *arguments])
    started.expect("forwards" if number else "lessees may come")
    if number:
        pace(started.pid)
    return started


def slices_of_lessee(number):
    """Those of lease_forward's lessee."""
    return {f"{port}/bar4/{way}q{number}" for port in PORTS for way in ("rx", "tx")}


def eal_arguments(prefix="lab"):
    """By which another program than testpmd takes part."""
    arguments = ["--file-prefix", prefix, "-d", driver_plugin(), *MEMPOOL]
    for port in PORTS:
        arguments += ["-a", port]
    return arguments


def cast(**options):
    """The primary and its secondaries, not forwarding yet."""
    return [process(number, **options) for number in range(PROCESSES)]


def queues_of(number):
    """The queues of each port that testpmd gives to this process."""
    return range(number * SHARE, (number + 1) * SHARE)


def slice_names(number, directions=("rx", "tx")):
    """The slices that this process should hold, by the name that maps and telemetry show."""
    return {f"{port}/bar4/{direction}q{queue}"
            for port in PORTS for direction in directions for queue in queues_of(number)}


class Leases:
    """What the primary says of its slices."""

    def __init__(self, prefix="lab"):
        self._telemetry = Telemetry(prefix)

    def all(self):
        """{slice name: {"state": ..., "pid": ..., ...}}"""
        return {entry["slice"]: entry for port in PORTS for entry in self._of_port(port)}

    def _of_port(self, port):
        """An answer has some of the slices, and the number of the next."""
        found, first = [], 0
        while first is not None:
            answer = self._telemetry.ask(f"/bar_lease/slices,{port},{first}")
            first = answer.pop("next", None)
            found += answer.values()
        return found

    def ask(self, question):
        """The answer to any /bar_lease/ command with its parameters."""
        return self._telemetry.ask(f"/bar_lease/{question}")

    def held_by(self, pid):
        return {name for name, entry in self.all().items()
                if entry["state"] == "leased" and entry["pid"] == pid}

    def of(self, names):
        return [entry for name, entry in self.all().items() if name in names]

    def are(self, state, names):
        return all(entry["state"] == state for entry in self.of(names))


def free_buffers(primary):
    """(free, all) mbufs of the pool that the processes share; caches of all lcores included."""
    dump = primary.cmd("dump_mempool mb_pool_0")
    count = {name: int(value) for name, value in re.findall(r"^ *(\w+)=(\d+)$", dump, re.M)}
    cached = count["total_cache_count"] if count["cache_size"] else 0
    return cached + count["common_pool_count"], count["size"]


def in_place(pid, names):
    """It has mapped these slices, and closed the descriptors that they came by."""
    mapped = {mapping.path.removeprefix("/dmabuf:") for mapping in lab.maps(pid)}
    received = [target for target in lab.fds(pid).values() if target.startswith("/dmabuf:")]
    return names <= mapped and not received


def wait_for_leases(leases, holder, number, seconds=30):
    names = slice_names(number)
    lab.wait_until(lambda: leases.held_by(holder.pid) == names and in_place(holder.pid, names),
                   seconds, f"{holder.name} holds a lease on each of its queues, and no more")


# What a process holds of a device

_DEVICE_FILES = re.compile(r"/dev/(vfio|iommu|mem|uio)|\[(vfio|iommufd)|/dmabuf|/sys/.*/resource")


def device_descriptors(pid):
    """Descriptors by which a process could reach a device or an IOMMU."""
    return {fd: target for fd, target in lab.fds(pid).items() if _DEVICE_FILES.search(target)}


def device_mappings(pid):
    """Mappings of device memory, whatever they are called: the kernel marks each pf or io."""
    found, mapping = [], None
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                mapping = lab.Mapping(line)
            elif line.startswith("VmFlags:"):
                flags = line.split()[1:]
                if ("pf" in flags or "io" in flags) and not mapping.path.startswith("[v"):
                    found.append(mapping)
    return found


def check_isolation(process, expected):
    """It holds one page for each slice of expected, and nothing else of any device."""
    descriptors = device_descriptors(process.pid)
    check(not descriptors, f"{process.name} holds descriptors of a device: {descriptors}")
    mappings = device_mappings(process.pid)
    for mapping in mappings:
        check(mapping.path.startswith("/dmabuf:") and mapping.size == os.sysconf("SC_PAGESIZE"),
              f"{process.name} maps device memory that is no doorbell page: {mapping}")
    names = sorted(mapping.path.removeprefix("/dmabuf:") for mapping in mappings)
    check(names == sorted(expected),
          f"{process.name} maps {names}, its leases are {sorted(expected)}")
