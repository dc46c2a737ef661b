#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 900
# kernels: 6.12
"""Deaths of any kind at any moment under traffic: nothing of the others lost, nothing grows"""

import atexit
import collections
import contextlib
import glob
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import lab
from lab import PORTS, PROGRAMS, check, driver_plugin, host, report, wait_until
from lease import Leases, bind_ports

DEATHS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
PREFIX = "chaos"
SHARES = 4      # the first is the primary's, which does not die
SHARE = 2       # queue pairs of each port
RATE = 200      # packets/s that a process sends: the taps' queues never fill up
RESERVE = 3     # processes whose EAL is up, beside those that ask for leases already
PATIENCE = 60   # seconds until a share must be served again
LOOKS = 10      # at what the primary has
AFTERMATH_S = 4  # at RATE, in which each flow sends something to its last receiver
FILES = "/dev/shm"
LIMIT = "/sys/fs/cgroup/doomed"
GRACE_MS = 50   # that the operator gives to who stopped or hangs
# What a process leaves in memory that EAL shares, when it is killed, stays there.
MEMORY = 128 + DEATHS * 3 // 10  # MiB
# EAL loads all the drivers that it finds, which takes longer than the rest of its start.
DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring")
# What a thread has freed and keeps for its next allocation would count as used.
EXACT_HEAP = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}

FIELDS = ("ready", "died_at", "first_packet_at", "receiving", "sending", "sent", "received", "lost",
          "duplicated", "reordered", "foreign", "gone", "no_mbuf")
Results = collections.namedtuple("Results", FIELDS)

# Ways to die, and which of them fit into which moment: see death.h.
SUDDEN = ("kill", "segv", "abort", "exit", "exec")
WAYS = {
    "outside": ("kill",),               # SIGKILL, from somebody else
    "now": (*SUDDEN, "oom", "stack", "stop"),   # between bursts
    "burst": (*SUDDEN, "stop", "hang"),
    "put": (*SUDDEN, "stop"),
    "hello": SUDDEN,
    "request": SUDDEN,
    "grant": (*SUDDEN, "stop"),
    "map": (*SUDDEN, "stop"),
}
# How many times, or how many instructions; a share has two queues each way on two ports.
COUNTS = {"burst": 3000, "put": 120, "hello": len(PORTS), "request": 8, "grant": 8, "map": 8}
SERVING = ("outside", "now", "burst", "put")    # moments of one that forwards
HANDSHAKE = ("request", "grant", "map")
ASKING = ("outside", *HANDSHAKE)                # of one that takes over

seed = time.time_ns() % 100000
chance = random.Random(seed)


def milliseconds(values):
    if not values:
        return "unknown"
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return "/".join(f"{value / 1e6:.0f}" for value in
                    (statistics.median(ordered), p99, ordered[-1])) + " ms"


class Process:
    """A sequence process, from its start on."""

    serial = 0
    died = collections.Counter()        # by moment and way

    def __init__(self, death=None):
        Process.serial += 1
        self.serial = Process.serial
        self.share = None
        self.plan = self.way = None
        self.died_at = None             # where it cannot say so itself
        self._file = f"{FILES}/results-{self.serial}"
        self._log = f"{FILES}/log-{self.serial}"
        # No two that live have the same lcore.
        lcore = 0 if self.serial == 1 else self.serial % 120 + 1
        argv = [f"{PROGRAMS}/sequence", "-n", "1", "--file-prefix", PREFIX,
                "--lcores", f"{lcore}@{self.serial % 2}", "--single-file-segments",
                "--proc-type", "primary" if self.serial == 1 else "secondary",
                "-d", driver_plugin()]
        # Growth would ask all others, also those that were stopped.
        if self.serial == 1:
            argv += ["-m", str(MEMORY)]
        for port in PORTS:
            argv += ["-a", port]
        argv += ["--", "--results", self._file, "--rate", str(RATE),
                 "--pairs", str(SHARES * SHARE), "--share", str(SHARE)]
        if death:
            self._note(*death)
            argv += ["--death", self.plan]
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=log, text=True, bufsize=1, env=EXACT_HEAP)
        self.pid = self._process.pid
        self.started_at = time.monotonic_ns()

    def _note(self, moment, way):
        self.moment, self.way = moment, way
        self.plan = f"{moment} {way} {chance.randint(1, COUNTS.get(moment, 1))}"

    @property
    def results(self):
        try:
            with open(self._file, "rb") as file:
                data = file.read(8 * len(FIELDS))
        except FileNotFoundError:
            data = b""
        return Results(*struct.unpack(f"{len(FIELDS)}Q", data.ljust(8 * len(FIELDS), b"\0")))

    def order(self, text):
        with contextlib.suppress(BrokenPipeError):  # dead already: who looks after it will see
            self._process.stdin.write(text + "\n")

    def ask(self, text):
        self.order(text)
        for line in self._process.stdout:
            if line.startswith("{"):    # EAL writes there, too
                return json.loads(line)
        check(False, f"sequence has ended with status {self._process.wait()}")

    def own(self, share):
        self.share = share
        self.order(f"own {share.number} {share.next_sender()} {FILES}/table-{share.number}")

    def doom(self, moment, way):
        """It dies when its moment comes."""
        self._note(moment, way)
        if way == "oom":
            lab.write(f"{LIMIT}/cgroup.procs", str(self.pid))
        if moment == "outside":
            self.died_at = time.monotonic_ns()
            self.kill()
        else:
            self.order(f"die {self.plan}")

    def kill(self):
        self._process.kill()

    @property
    def has_failed_to_start(self):
        """
        Every EAL that starts cleans up behind the dead, and locks each file for a moment, also one
        that another is about to lock, which then gives up (DPDK 22.11, eal_clean_runtime_dir() and
        rte_fbarray_init()). Neither has come to our driver yet.
        """
        return (self._process.poll() is not None and not self.results.died_at and
                "Cannot initialize local memory map" in self.last_words())

    @property
    def has_ended(self):
        """Also checks that it was meant to."""
        if self._process.poll() is None:
            return False
        if self.died_at is None:
            self.died_at = self.results.died_at
        check(self.plan is not None and self.died_at,
              f"process {self.serial} ended unasked, status {self._process.returncode}, plan "
              f"{self.plan}: {self.last_words()}")
        return True

    def last_words(self, lines=8):
        with open(self._log) as log:
            return "".join(log.readlines()[-lines:])

    @property
    def forwards(self):
        now = self.results
        return now.receiving == now.sending == SHARE * len(PORTS)

    def bury(self):
        """Return its last results; nothing of it stays."""
        results = self.results
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        os.unlink(self._file)
        os.unlink(self._log)
        # EAL would leave these for ever.
        for name in os.listdir(f"/var/run/dpdk/{PREFIX}"):
            if f"_{self.pid}_" in name or name.endswith(f"_{self.pid}"):
                with contextlib.suppress(FileNotFoundError):    # EAL has noticed, too
                    os.unlink(f"/var/run/dpdk/{PREFIX}/{name}")
        return results

    def end(self):
        """Without further ado."""
        self.kill()
        self._process.wait()

    def quit(self):
        """Return the exit status."""
        self.order("quit")
        return self._process.wait(60)


class Share:
    """The queues that one process after another polls."""

    def __init__(self, number):
        self.number = number
        self.owner = self.standby = None
        self._sender = 0
        self.open = []      # deaths that no successor has made good yet
        first = number * SHARE
        self.names = {f"{port}/bar4/{way}q{queue}" for port in PORTS for way in ("rx", "tx")
                      for queue in range(first, first + SHARE)}

    def next_sender(self):
        self._sender += 1
        return self._sender


class Chaos:
    """Who lives, who died, and what came of it."""

    def __init__(self):
        self.reserve = []
        self.starting = []
        self.deaths = 0
        self.failed_starts = 0
        self.revoked, self.taken_over, self.start_times = [], [], []
        self.total = collections.Counter()
        self.primary = Process()
        wait_until(lambda: not self.primary.has_ended and self.primary.results.ready, 60,
                   "the primary is up")
        self.leases = Leases(PREFIX)
        self.events = {port: 0 for port in PORTS}   # that are known
        self.revoked_at = {}                        # {pid: when the last of its slices was}
        self.shares = [Share(number) for number in range(SHARES)]
        self.primary.own(self.shares[0])
        self.lessees = self.shares[1:]
        for share in self.lessees:
            wait_until(self.has_reserve, PATIENCE, "a process is up")
            share.owner = self._enlist(share)

    # The reserve

    def has_reserve(self):
        """Keep processes starting; whether one is ready."""
        for process in [*self.starting]:
            if process.has_failed_to_start:
                self.starting.remove(process)
                self.failed_starts += 1
            elif process.has_ended:
                self.starting.remove(process)
                self.note_death(process)
            elif ready := process.results.ready:
                self.start_times.append(ready - process.started_at)
                self.starting.remove(process)
                self.reserve.append(process)
        if len(self.starting) < 2 and len(self.reserve) + len(self.starting) < RESERVE:
            doomed = self.deaths and chance.random() < 0.06
            self.starting.append(Process(("hello", chance.choice(WAYS["hello"]))
                                         if doomed else None))
        return self.reserve

    def _enlist(self, share):
        process = self.reserve.pop(0)
        process.own(share)
        return process

    # Deaths

    def note_death(self, process):
        self.deaths += 1
        Process.died[process.moment, process.way] += 1
        self.total.update(process.bury()._asdict())

    def operate(self, process):
        """Have the operator end who stopped or hangs."""
        if process.way not in ("stop", "hang") or not process.results.died_at:
            return
        if process.died_at is None:
            process.died_at = time.monotonic_ns()
            for port in PORTS:
                self.leases.ask(f"drain,{port},{process.pid},{GRACE_MS}")
        elif time.monotonic_ns() - process.died_at > 4 * GRACE_MS * 1000000:
            process.kill()  # it had let go of everything, or never had anything

    def hear(self):
        for port, last in self.events.items():
            more = True
            while more:
                answer = self.leases.ask(f"events,{port},{last}")
                more = answer.pop("next", None)
                for number, event in answer.items():
                    last = max(last, int(number))
                    if event["event"] == "revoked":
                        self.revoked_at[event["pid"]] = event["time"]
            self.events[port] = last

    def succeed(self, share):
        """Bury who has died and let others move up."""
        for process in filter(None, (share.owner, share.standby)):
            self.operate(process)
        if share.standby and share.standby.has_ended:
            self.note_death(share.standby)
            share.standby = None
        if share.owner and share.owner.has_ended:
            share.open.append(share.owner)
            self.note_death(share.owner)
            share.owner, share.standby = share.standby, None
        if share.owner is None and self.has_reserve():
            share.owner = self._enlist(share)
        # Never two that could get half of the queues each.
        if share.owner and share.owner.forwards and not share.standby and self.has_reserve():
            share.standby = self._enlist(share)

    def is_served(self, share):
        """Somebody forwards on all its queues again, and the deaths before are accounted for."""
        self.succeed(share)
        if share.owner is None or share.standby is None:
            return False
        first = share.owner.results.first_packet_at
        if share.open and first:
            self.measure(share, first)
        if not share.owner.forwards:
            return False
        if share.owner.plan and share.owner.moment in HANDSHAKE:
            share.owner.doom("outside", "kill")     # its moment has passed
        # A process that has one plan gets no other: which of them came true could not be told.
        return not share.open and not share.owner.plan

    def measure(self, share, first_packet_at):
        self.hear()
        for dead in share.open:
            if dead.pid in self.revoked_at:
                self.revoked.append(self.revoked_at.pop(dead.pid) - dead.died_at)
            self.taken_over.append(first_packet_at - dead.died_at)
        share.open.clear()

    def describe(self, shares):
        report(f"the primary:\n{self.primary.last_words(40)}")
        for share in shares:
            report(f"share {share.number}: {len(share.open)} deaths not made good")
            for process in filter(None, (share.owner, share.standby)):
                report(f"process {process.serial}, pid {process.pid}, plan {process.plan}: "
                       f"{process.results}\n{process.last_words()}")
                report(lab.stacks(process.pid))
            for entry in self.leases.of(share.names):
                report(str(entry))

    def strike(self):
        """One, two or all three owners, and who would take over, too."""
        for share in chance.sample(self.lessees, chance.choices((1, 2, 3), (85, 10, 5))[0]):
            moment = chance.choice(SERVING)
            if chance.random() < 0.25:
                self._strike_heir(share)
            share.owner.doom(moment, chance.choice(WAYS[moment]))
            yield share

    def _strike_heir(self, share):
        if share.standby.plan:
            return
        moment = chance.choice(ASKING)
        share.standby.doom(moment, chance.choice(WAYS[moment]))


def with_few_drivers():
    """Until the end of this scenario."""
    installed = glob.glob("/usr/lib/*/dpdk/pmds-*")[0]
    few = tempfile.mkdtemp()
    for name in DRIVERS:
        for path in glob.glob(f"{installed}/librte_{name}.so*"):
            shutil.copy(path, few, follow_symlinks=False)
    subprocess.run(["mount", "--bind", few, installed], check=True)
    atexit.register(subprocess.run, ["umount", "-l", installed])


def limit_memory():
    """Of who is to die of it."""
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=True)
    lab.write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")
    os.mkdir(LIMIT)
    lab.write(f"{LIMIT}/memory.max", "32M")
    atexit.register(subprocess.run, ["umount", "/sys/fs/cgroup"])
    atexit.register(lab.write, "/sys/fs/cgroup/cgroup.subtree_control", "-memory")
    atexit.register(os.rmdir, LIMIT)


def is_hugepage(path):
    return path.startswith("/dev/hugepages/")


def holdings(pid):
    """What must not grow with every death."""
    return {
        "descriptors": len(lab.fds(pid)),
        "mappings": sum(not is_hugepage(mapping.path) for mapping in lab.maps(pid)),
    }


# Three lessees with one in waiting each

bind_ports()
limit_memory()
with_few_drivers()
chaos = Chaos()


def all_served(shares=chaos.lessees):
    return all([chaos.is_served(share) for share in shares])


def wait_for(shares):
    deadline = time.monotonic() + PATIENCE
    while not all_served(shares):
        if time.monotonic() > deadline:
            chaos.describe(shares)
            check(False, f"a share is not served again, after {chaos.deaths} deaths")
        time.sleep(0.005)


def at_rest():
    """What the primary has, and uses of its heap; the number of others is always the same."""
    wait_until(lambda: all_served() and len(chaos.has_reserve()) == RESERVE, PATIENCE,
               "everybody is there")
    return holdings(chaos.primary.pid), chaos.primary.ask("heap")["used"]


wait_until(lambda: all_served() and chaos.primary.forwards, 120, "all queues are served")
report(f"seed {seed}")
wire = host.tap_stats()
first, heap = None, []
at_rest()
began = time.monotonic()


# Deaths

while chaos.deaths < DEATHS:
    # By the first time, every thread has used what it ever will.
    if chaos.deaths * LOOKS >= DEATHS * (len(heap) + 1):
        now, used = at_rest()
        first = first or now
        heap.append(used)
    struck = list(chaos.strike())
    wait_for(struck)
    until = time.monotonic() + chance.uniform(0, 0.2)
    while time.monotonic() < until:
        chaos.has_reserve()
        time.sleep(0.01)

took = time.monotonic() - began


# What is still on its way arrives; then nothing that was sent may be missing

def living():
    return [chaos.primary, *(share.owner for share in chaos.lessees)]


last, used = at_rest()
heap.append(used)
goals = [(process, process.results.sent + RATE * AFTERMATH_S) for process in living()]
wait_until(lambda: all(process.results.sent >= goal for process, goal in goals), PATIENCE,
           "each flow sends again")
for process in living():
    process.order("stop")
for process in [share.standby for share in chaos.lessees] + chaos.reserve + chaos.starting:
    process.end()
    process.bury()


def quiet():
    earlier = [process.results.received for process in living()]
    time.sleep(0.5)
    return [process.results.received for process in living()] == earlier


wait_until(quiet, 30, "the wire is empty")
sent, received = {}, {}
for process in living():
    flows = process.ask("flows")
    sent |= {tuple(flow[1:4]): (flow[0], flow[4]) for flow in flows["sent"]}
    for sender, port, queue, flow, _, upto in flows["received"]:
        if sender > received.get((port, queue, flow), (0, 0))[0]:
            received[port, queue, flow] = (sender, upto)
missing = 0
for flow, (sender, count) in sent.items():
    by, upto = received.get(flow, (0, 0))
    if count:
        check(by == sender, f"flow {flow} of sender {sender}: nothing arrived, but of {by}")
        missing += count - upto
for process in living():
    chaos.total.update(process.results._asdict())
leased = sum(entry["state"] == "leased" for entry in chaos.leases.all().values())
for share in chaos.lessees:
    check(share.owner.quit() == 0, "a lessee did not exit cleanly")
    share.owner.bury()
lost_buffers = chaos.primary.ask("buffers")["missing"]
check(chaos.primary.quit() == 0, "the primary did not exit cleanly")

total = chaos.total


def died(place):
    """How many deaths by moment (0) or way (1)."""
    counts = collections.Counter()
    for plan, count in Process.died.items():
        counts[plan[place]] += count
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


report(f"{took:.0f} s, {took / chaos.deaths:.2f} s a death; {died(0)}; {died(1)}")
report(f"{total['sent']} packets sent, {total['received']} received; {total['gone']} went with the "
       f"dead that had received them, {total['foreign']} were foreign, {total['reordered']} late; "
       f"{len(chaos.revoked)} revokes measured; a process starts in "
       f"{milliseconds(chaos.start_times)}")
for tap, counters in host.tap_stats().items():
    report(f"{tap} dropped {counters['tx_dropped'] - wire[tap]['tx_dropped']} packets "
           "for queues that nobody polled")
report(f"{chaos.failed_starts} processes not started: EAL's clean-up had locked a file of theirs")
report(f"of the primary's heap are used, in bytes, at each {100 // LOOKS} % of the deaths: "
       f"{' '.join(map(str, heap))}; it has {last['descriptors']} descriptors and "
       f"{last['mappings']} mappings")
report(f"{chaos.deaths} deaths: {total['lost'] + missing} lost, {total['duplicated']} duplicated, "
       f"{lost_buffers} buffers missing; revoked in {milliseconds(chaos.revoked)}; "
       f"takeover in {milliseconds(chaos.taken_over)}")

check(total["lost"] + missing == 0, "packets of the living were lost")
check(total["duplicated"] == 0, "packets arrived twice")
check(lost_buffers == 0, "mbufs are missing from pools")
check(total["reordered"] == total["foreign"] == 0, "packets arrived late, or that nobody sent")
if DEATHS >= LOOKS:
    check(last == first, f"{first} has become {last}")
    # Half of the least that malloc() gives out; less, for few deaths, than what is under way.
    check(heap[-1] - heap[0] < 16 * DEATHS or DEATHS < 50,
          "the primary's heap grows by 16 bytes for each death, or more")
check(leased == 8 * len(chaos.lessees), f"{leased} leases stand, of {len(chaos.lessees)} lessees")
