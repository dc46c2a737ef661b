#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
# kernels: 6.12
"""The operator lists leases, revokes one under traffic, drains and fences, and sets a policy"""

import json
import signal
import subprocess

from lab import PORTS, check, report, wait_until
from lease import (Leases, bind_ports, feed, process, queues_of, slice_names, wait_for_leases)

PORT = PORTS[0]


def operate(command):
    """As an operator does it: by DPDK's own client."""
    said = subprocess.run(["dpdk-telemetry.py", "-f", "lab"], input=f"{command}\nquit\n",
                          capture_output=True, text=True, check=True).stdout
    answers = [json.loads(line) for line in said.splitlines() if line.startswith('{"/bar_lease')]
    check(len(answers) == 1, f"{command}: {said}")
    return answers[0][command.split(",")[0]]


def complains(command, *words):
    said = operate(command).get("error", "no error")
    check(all(str(word) in said for word in words), f"{command}: {said}")
    report(f"{command.split(',', 1)[1]}: {said}")


def happened(kind, **what):
    return [entry for entry in operate(f"/bar_lease/events,{PORT},{seen}").values()
            if isinstance(entry, dict) and entry["event"] == kind
            and all(entry.get(key) == value for key, value in what.items())]


bind_ports()
# In a device argument there is no =.
SOCKET = "socket=/run/bar_lease.{port}"
primary = process(0, devargs=f"policy=uid4242:deny;uid*:max12,{SOCKET}")
victim, other = process(1), process(2)
leases = Leases()
for each in (primary, victim, other):
    each.start()
wait_for_leases(leases, victim, 1)
wait_for_leases(leases, other, 2)
seen = 0

# List
check(set(operate("/bar_lease/list")) == set(PORTS), "the lessors are not those of the ports")
table = operate(f"/bar_lease/leases,{PORT}")
ours = {entry["slice"]: entry for entry in table.values() if entry["pid"] == victim.pid}
check(set(ours) == {name for name in slice_names(1) if name.startswith(PORT)},
      f"the list of leases: {table}")
check(all(entry["uid"] == 0 and entry["since"] > 0 for entry in ours.values()), f"{ours}")
check(any(entry["doorbells"] > 0 for entry in ours.values()), f"no doorbells counted: {ours}")
peers = operate(f"/bar_lease/peers,{PORT}").values()
check({peer["pid"]: peer["slices"] for peer in peers} == {victim.pid: 4, other.pid: 4}, f"{peers}")
check(operate(f"/bar_lease/policy,{PORT}") == {"0": "uid=4242:deny", "1": "uid=*:max=12"},
      "the policy is not that of the device argument")

# Revoke one under traffic: its holder asks again, the others notice nothing
queue = queues_of(1)[0]
name = f"{PORT}/bar4/rxq{queue}"
others = {entry["slice"]: entry for entry in leases.of(slice_names(1) | slice_names(2))
          if entry["slice"] != name}
granted = leases.of({name})[0]["granted"]
before = primary.queue_packets(0)["rx"]
check(operate(f"/bar_lease/revoke,{PORT},rxq{queue}") == {"revoked": name, "pid": victim.pid},
      "the answer to revoke")
feed(lambda: leases.of({name})[0]["granted"] > granted
     and leases.of({name})[0]["state"] == "leased", "the holder has it back")
feed(lambda: all(now > was for now, was in
                 zip(primary.queue_packets(0)["rx"], before)), "packets on every queue")
now = {entry["slice"]: entry for entry in leases.of(others)}
check(all(now[slice]["granted_at"] == others[slice]["granted_at"] and
          now[slice]["revoked_at"] == others[slice]["revoked_at"] for slice in others),
      "another lease has changed")
lost = {key for key, count in primary.xstats(0).items() if "lost" in key and count > 0}
report(f"revoked {name}; counters of losses that are not 0: {lost}")
check(len(lost) == 1, "another queue has lost its lease")
for kind in ("revoked", "released", "freed"):
    check(len(happened(kind, slice=name)) == 1, f"{kind} is not told once")

# Errors name the lease
complains(f"/bar_lease/revoke,{PORT},rxq7", f"{PORT}/bar4/rxq7", "not leased")
complains(f"/bar_lease/revoke,{PORT},rxq99", PORT, "rxq99")
complains(f"/bar_lease/drain,{PORT},1", PORT, "process 1 is not attached")
complains(f"/bar_lease/policy,{PORT},uid=root", PORT, "position 5", "not a number")
complains("/bar_lease/leases,0000:09:00.0", "0000:09:00.0")

# A stopped process: only its end frees what it holds
victim.kill(signal.SIGSTOP)
for port in PORTS:
    check(operate(f"/bar_lease/drain,{port},{victim.pid}") ==
          {"drained": victim.pid, "slices": 4}, "the answer to drain")
check(leases.are("revoked", slice_names(1)), "a slice of the stopped process is not revoked")
complains(f"/bar_lease/revoke,{PORT},rxq{queue}", name, f"process {victim.pid} has not let go")
operate(f"/bar_lease/drain,{PORT},{victim.pid},200")
check(victim.wait(30) == -signal.SIGKILL, "the stopped process was not killed")
wait_until(lambda: leases.are("free", slice_names(1)), 10, "its queues are free")
check(len(happened("fenced", pid=victim.pid)) == 1, "the fence is not told")
check(other.alive and leases.held_by(other.pid) == slice_names(2), "the other lost something")

# A policy that refuses everybody new, and one that takes it back
for port in PORTS:
    check(operate(f"/bar_lease/policy,{port},uid=0:deny") == {"0": "uid=0:deny"}, "the policy")
refused = process(1, name="refused", lcore=6, wait=0)
check(refused.wait(60) != 0, "a process that no rule allows has started")
check(any(PORT in line and "Permission denied" in line for line in refused.output.splitlines()),
      f"nothing says why: {refused.last_lines(5)}")
check(happened("refused", pid=refused.pid), "the refusal is not told")
check(leases.held_by(other.pid) == slice_names(2), "a policy took leases away")
for port in PORTS:
    operate(f"/bar_lease/policy,{port},uid=*")
# It comes by the socket, as it would from a container.
successor = process(1, name="successor", lcore=8, devargs=SOCKET)
successor.start()
feed(lambda: leases.held_by(successor.pid) == slice_names(1), "a successor has the queues")
