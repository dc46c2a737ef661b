#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""perf.py BACK_END ROUNDS MODE...: stock testpmd over our driver and over net_virtio, by turns.

Both forward between the same two devices, in one boot. The host gets a result for each turn.
"""

import json
import re
import statistics
import sys
import time

from lab import (PORTS, CheckFailed, Testpmd, bind, check, driver_plugin, host, load_module, report,
                 wait_until, write)
from plug import mode_in_use, plug

KERNEL_DRIVER = {"ours": "dmabuf-vfio-pci", "stock": "vfio-pci"}

# The load: so many packets go round in each direction, in such bursts. They are most of a ring,
# as under load, but fit into one that lacks a batch of buffers, so that nothing is lost.
IN_FLIGHT = 192
BURSTS = {"taps": (32, 8), "vhost-user": (32,)}

WARM_UP_S = 0.3
# The rate of a round is the median of those in its windows: what else runs on the host takes a
# processor for a fraction of a second at a time.
WINDOWS = 5
WINDOW_S = 0.4
PATIENCE_S = 5
WARM_UP_PATIENCE_S = 1

# A back end in another process does not know where memory is that it has never touched: it asks
# QEMU, drops the packets meanwhile, and says in its statistics how often that was.
ATTEMPTS = {"taps": 1, "vhost-user": 5}
LOOKUPS = re.compile(r"^[rt]x_q0_iotlb_misses: (\d+)$", re.M)


class NotWhole(CheckFailed):
    """Packets were lost while the back end was looking addresses up."""


def packets(testpmd):
    return sum(testpmd.port_stats(port)["RX-packets"] for port in (0, 1))


def take_in(testpmd, patience):
    """Receive what is on its way; return how many packets that was.

    On a busy host, the back end may not get to run for a while: silence means that all have
    arrived only once they have.
    """
    first = before = packets(testpmd)
    deadline = time.monotonic() + patience
    while True:
        testpmd.receive_only(0.3)
        now = packets(testpmd)
        if now == before and (now - first >= 2 * IN_FLIGHT or time.monotonic() > deadline):
            return now - first
        before = now


def sample(testpmd):
    return time.monotonic(), packets(testpmd), host.doorbells()


def difference(earlier, later):
    return [now - then for then, now in zip(earlier, later)]


def send_round(testpmd, burst):
    testpmd.cmd("set fwd io")
    testpmd.cmd(f"set burst {burst}")
    testpmd.cmd(f"start tx_first {IN_FLIGHT // burst}")
    time.sleep(WARM_UP_S)


def warm_up(testpmd, back_end):
    """Until a round loses nothing.

    Queues get their buffers, and ours their leases, when they are first used.
    """
    unknown = lookups(back_end)

    def round_is_whole():
        send_round(testpmd, IN_FLIGHT)
        testpmd.stop()
        return take_in(testpmd, WARM_UP_PATIENCE_S) == 2 * IN_FLIGHT

    try:
        wait_until(round_is_whole, 60, f"{testpmd.name}: as many packets come back as were sent")
    except CheckFailed as error:
        if lookups(back_end) == unknown:
            raise
        raise NotWhole(error) from error


def lookups(back_end):
    """How often the back end did not know where memory is."""
    if back_end == "taps":
        return 0
    said = host.ask("back-end show port xstats all")
    found = LOOKUPS.findall("\n".join(said))
    check(len(found) == 2 * 2, f"the back end does not say what it looked up: {said}")
    return sum(int(count) for count in found)


def measure_round(testpmd, burst):
    """The results of a round, and how many packets went round to its end."""
    send_round(testpmd, burst)
    samples = [sample(testpmd)]
    for _ in range(WINDOWS):
        time.sleep(WINDOW_S)
        samples.append(sample(testpmd))
    testpmd.stop()
    found = take_in(testpmd, PATIENCE_S)
    _, count, doorbells = difference(samples[0], samples[-1])
    if count == 0:
        return None, found
    rates = [moved / seconds for seconds, moved, _ in map(difference, samples, samples[1:])]
    return {"packets_per_second": statistics.median(rates),
            "doorbells_per_packet": doorbells / count}, found


def measure(testpmd, burst, back_end):
    """The results of the first round that is whole. Only the back end may be why one is not."""
    for _ in range(ATTEMPTS[back_end]):
        before = lookups(back_end)
        results, found = measure_round(testpmd, burst)
        if found == 2 * IN_FLIGHT and results:
            return results
        unknown = lookups(back_end) - before
        what = (f"{testpmd.name}: {found} packets went round, not {2 * IN_FLIGHT}; "
                f"the back end did not know {unknown} addresses")
        check(unknown > 0, what)
        report(what)
    raise NotWhole(f"{testpmd.name}: none of {ATTEMPTS[back_end]} rounds was whole")


def check_counter(testpmd, rung_before, said_before):
    """What counts doorbells for both drivers agrees with what ours counts itself."""
    rung = host.doorbells() - rung_before
    said = testpmd.doorbells() - said_before
    check(rung == said, f"{rung} doorbells by QEMU, {said} by the driver")


def turn(driver, back_end):
    """The results of one testpmd, a list with one for each size of bursts."""
    bursts = BURSTS[back_end]
    for port in PORTS:
        bind(port, KERNEL_DRIVER[driver])
    plugins = [driver_plugin()] if driver == "ours" else []
    testpmd = Testpmd(driver, plugins=plugins, mbufs=4096, eal=("--no-telemetry",),
                      app=("--nb-ports=2",))
    modes = {mode_in_use(number) for number in (0, 1)}
    check(len(modes) == 1, f"{driver}: the ports run in different modes: {modes}")
    try:
        warm_up(testpmd, back_end)
        rung, said = host.doorbells(), testpmd.doorbells()
        results = [{"driver": driver, "runs": modes.copy().pop(), "burst": burst,
                    **measure(testpmd, burst, back_end)} for burst in bursts]
    except NotWhole:
        testpmd.quit()
        raise
    if driver == "ours" and len(bursts) > 1:
        check_counter(testpmd, rung, said)
    check(testpmd.quit() == 0, f"{driver} did not exit cleanly")
    return results


def whole_turn(driver, back_end):
    """
    A turn, or a second one. What the back end has asked for it does not ask for again: an answer
    that never comes, as to a question about the memory of an earlier process, keeps a queue from
    moving until its driver starts anew.
    """
    try:
        return turn(driver, back_end)
    except NotWhole as error:
        report(f"{error}; once more")
        return turn(driver, back_end)


def alternate(back_end, mode, number):
    """One turn of each, ours first or stock first by turns as well."""
    texts = []
    for driver in sorted(KERNEL_DRIVER, reverse=number % 2 == 1):
        for result in whole_turn(driver, back_end):
            host.ask("result " + json.dumps({"back_end": back_end, "mode": mode, "round": number,
                                             **result}))
            texts.append(f"{driver} {result['packets_per_second'] / 1000:.0f}")
    return texts


def main():
    back_end, rounds, *modes = sys.argv[1:]
    write("/sys/bus/pci/drivers_autoprobe", "0")
    load_module("dmabuf-vfio-pci")
    for mode in modes:
        plug(mode)
        for number in range(int(rounds)):
            texts = alternate(back_end, mode, number)
            report(f"{back_end} {mode}, {number + 1} of {rounds}: kpps: {', '.join(texts)}")


main()
