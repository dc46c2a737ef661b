# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Accounts for every packet between the two ports, and for every buffer."""

from lab import check, host, wait_until
from lease import free_buffers


class Account:
    """What is sent from now on arrives or is dropped by a tap, which counts it."""

    def __init__(self, primary, others):
        self._primary, self._processes = primary, [primary, *others]
        # What an earlier test has left on its way is not ours.
        self.drain()
        self.begin()

    def begin(self):
        self._taps, self._ports = host.tap_stats(), self._counters()

    def _counters(self):
        return [self._primary.queue_packets(port) for port in (0, 1)]

    def drain(self):
        """All have stopped: take in what is still on its way."""
        wait_until(self._drained, 60, "the wire is empty")

    def _drained(self):
        """A second has brought nothing new."""
        seen = [counter["rx"] for counter in self._counters()]
        for process in self._processes:
            process.receive_only()
        return [counter["rx"] for counter in self._counters()] == seen

    def packets(self):
        """{"rx": packets of each queue, "tx": likewise} of each port, since the beginning."""
        return [{way: [now - then for now, then in zip(packets, first[way])]
                 for way, packets in counter.items()}
                for counter, first in zip(self._counters(), self._ports)]

    def settle(self):
        """Return (sent, received, dropped) for the way from port 0 and that from port 1."""
        self.drain()
        counts, taps, ways = self.packets(), host.tap_stats(), []
        for source, sink in ((0, 1), (1, 0)):
            into, out = f"tap{source}", f"tap{sink}"
            dropped = (taps[into]["rx_dropped"] - self._taps[into]["rx_dropped"] +
                       taps[out]["tx_dropped"] - self._taps[out]["tx_dropped"])
            ways.append((sum(counts[source]["tx"]), sum(counts[sink]["rx"]), dropped))
        return ways


def check_settled(ways):
    for sent, received, dropped in ways:
        check(sent == received + dropped,
              f"{sent - received - dropped} packets are missing: {sent} sent, {received} "
              f"received, {dropped} dropped by taps")


def check_buffers(primary):
    """With the ports stopped, every buffer is back in its pool."""
    free, size = free_buffers(primary)
    check(free == size, f"{size - free} of {size} buffers are missing")
