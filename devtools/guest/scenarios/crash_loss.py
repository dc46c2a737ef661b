#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 600
"""kill -9 of a secondary, 5 times: no packet between the others is lost, doubled or reordered"""

import json
import random
import subprocess
import time

from lab import PORTS, PROGRAMS, check, driver_plugin, host, report, wait_until
from lease import MEMPOOL, bind_ports

ROUNDS = 5
RATE = 2000  # packets/s that a process sends: the taps' queues never fill up
PAIRS = 6
SHARE = 2  # queue pairs of each port that one process polls
FLOWS = len(PORTS) * SHARE * 64  # that one process sends
BASELINE_S = 5
STALL_MS = 1000  # of one queue, while its process goes on receiving on others
PAUSE_MS = 5000  # of all queues of a process: on a busy host, whole guests pause
SLOWEST = 0.5  # of the rate without kills: other guests may be running beside this one


class Sequence:
    """A process that numbers what it sends and judges the numbers of what it receives."""

    def __init__(self, number):
        """Process 0 is the primary. Each polls queues of its own on lcores of its own."""
        cpu = number % 2
        argv = [f"{PROGRAMS}/sequence", "-n", "1", "--file-prefix", "sequence",
                "--lcores", f"{2 * number}@{cpu},{2 * number + 1}@{cpu}",
                "--proc-type", "primary" if number == 0 else "secondary",
                "-d", driver_plugin(), *MEMPOOL]
        for port in PORTS:
            argv += ["-a", port]
        argv += ["--", "--queues", f"{number * SHARE}-{(number + 1) * SHARE - 1}",
                 "--rate", str(RATE), "--pairs", str(PAIRS)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, bufsize=1)
        self.pid = self._answer()["ready"]

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith("{"):  # EAL writes there, too
                return json.loads(line)
        check(False, f"sequence has ended with status {self._process.wait()}")

    def order(self, text):
        self._process.stdin.write(text + "\n")
        return self._answer()

    def kill(self):
        self._process.kill()
        self._process.wait()

    def quit(self):
        """Return the exit status."""
        self._process.stdin.write("quit\n")
        return self._process.wait(60)


# What reports say

def queues(*processes):
    """The queues of all these processes; times of silence start anew."""
    found = []
    for process in processes:
        answer = process.order("report")
        found += [{**queue, "pause_ms": answer["silence_ms"]} for queue in answer["queues"]]
    return found


def received(on_queues, *senders):
    """{event: how many} of what came from these senders."""
    total = dict.fromkeys(("packets", "flows", "gaps", "duplicates", "reorderings"), 0)
    for queue in on_queues:
        for sender in senders:
            for event, count in queue["from"].get(str(sender.pid), {}).items():
                total[event] += count
    return total


def silence(on_queues):
    """The longest of one queue, in ms, beyond that of all queues of its process together."""
    return max(queue["silence_ms"] - queue["pause_ms"] for queue in on_queues)


def pause(on_queues):
    """The longest of all queues of a process together, in ms."""
    return max(queue["pause_ms"] for queue in on_queues)


def text(events):
    return ", ".join(f"{count} {event}" for event, count in events.items())


# Three processes, and a look at them while nobody dies

bind_ports()
primary, survivor, victim = everybody = [Sequence(number) for number in range(3)]
survivors = (primary, survivor)
victims = [victim]
for process in everybody:
    process.order("start")
wait_until(lambda: received(queues(*everybody), *everybody)["flows"] == len(everybody) * FLOWS,
           60, "every flow has arrived somewhere")

before = received(queues(*survivors), *survivors)["packets"]
began = time.monotonic()
time.sleep(BASELINE_S)
now = queues(*survivors)
after = received(now, *survivors)["packets"]
usual_rate = (after - before) / (time.monotonic() - began)
usual_silence, usual_pause = silence(now), pause(now)
wire = host.tap_stats()


# Deaths

def all_receive(process):
    return all(queue["received"] and queue["sent"] for queue in queues(process))


began = time.monotonic()
silences, pauses, absences = [], [], []
for number in range(ROUNDS):
    time.sleep(random.uniform(0.2, 1))
    killed = time.monotonic()
    victim.kill()
    victim = Sequence(2)
    victims.append(victim)
    victim.order("start")
    wait_until(lambda: all_receive(victim), 60, "the successor sends and receives on each queue")
    absences.append(time.monotonic() - killed)
    now = queues(*survivors)
    silences.append(silence(now))
    pauses.append(pause(now))
    lost = received(now, *survivors)
    check(lost["gaps"] == lost["duplicates"] == lost["reorderings"] == 0,
          f"death {number + 1} did harm to survivors: {text(lost)}")

packets = lost["packets"] - after
rate = packets / (time.monotonic() - began)


# What is still on its way arrives; then nothing that was sent may be missing

everybody = (primary, survivor, victim)
for process in everybody:
    process.order("stop")


def quiet():
    earlier = received(queues(*everybody), *everybody)
    time.sleep(0.5)
    return received(queues(*everybody), *everybody) == earlier


wait_until(quiet, 30, "the wire is empty")
sent, arrivals = {}, {}
for process in everybody:
    flows = process.order("flows")
    if process in survivors:
        sent |= {tuple(flow): count for *flow, count in flows["sent"]}
    for *flow, queue, count in flows["received"]:
        arrivals.setdefault(tuple(flow), []).append((process, queue, count))

to_survivors = 0
for flow, count in sent.items():
    arrived = arrivals.get(flow, [])
    check(len(arrived) == 1, f"flow {flow} arrived at {len(arrived)} processes, not at one")
    process, queue, upto = arrived[0]
    if process in survivors:
        to_survivors += 1
        check(upto == count,
              f"flow {flow}: sent up to {count}, queue {queue} of survivors received up to {upto}")

# A process with the pid of one that died would be taken for it.
check(len({process.pid for process in (*survivors, *victims)}) == ROUNDS + 3, "pids were reused")
final = queues(*survivors)
report(f"between survivors, {to_survivors} flows: {text(received(final, *survivors))}")
report(f"from victims to survivors: {text(received(final, *victims))}")
report(f"from survivors to the last victim: {text(received(queues(victim), *survivors))}")
report(f"survivors received {usual_rate:.0f} packets/s, {rate:.0f} during {ROUNDS} deaths, "
       f"ratio {rate / usual_rate:.2f}")
report(f"victims were away for {min(absences):.1f} to {max(absences):.1f} s")
report(f"silence of one queue of a survivor: {usual_silence} ms, during deaths "
       f"{max(silences)} ms; of all its queues at once: {usual_pause} ms, {max(pauses)} ms")
for tap, counters in host.tap_stats().items():
    report(f"{tap} dropped {counters['tx_dropped'] - wire[tap]['tx_dropped']} packets "
           "for queues that nobody polled")

check(all(queue["foreign"] == 0 for queue in final), "a packet arrived that nobody sent")
check(rate > SLOWEST * usual_rate, "deaths of another slow survivors down")
check(max(silences) <= STALL_MS, "a survivor's queue stood still")
check(max(pauses) <= PAUSE_MS, "a survivor stood still")
for process in (victim, survivor, primary):
    check(process.quit() == 0, "a process did not exit cleanly")
