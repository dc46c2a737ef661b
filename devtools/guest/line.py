# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Two primaries, one at each end of the wire.

The sender forwards frames of a file to port 0, the receiver what arrives at port 1 to another file.
So a scenario says which frames are sent, and sees each byte that arrives and what the driver has
said of it.
"""

import collections
import re

from frames import frame, read_pcap, write_pcap
from lab import PORT0, PORT1, Testpmd, check, driver_plugin, wait_until
from lease import MEMPOOL, bind_ports

SENT, RECEIVED = "/tmp/sent.pcap", "/tmp/received.pcap"
BROADCAST = "ff:ff:ff:ff:ff:ff"
LAST = frame(data=b"the last one", ports=(7, 7), to=BROADCAST)  # no filter stops it

# What arrived, and what testpmd says of its mbuf: the names of the flags, the VLAN and the hash.
Arrived = collections.namedtuple("Arrived", "frame flags vlan hash segments")

_VERBOSE = re.compile(
    r"length=(?P<length>\d+) - nb_segs=(?P<segments>\d+)(?: - RSS hash=(?P<hash>0x[0-9a-f]+))?"
    r".*?(?: - VLAN tci=(?P<vlan>0x[0-9a-f]+))?(?: - hw ptype| - sw ptype).*?\n"
    r"  ol_flags: (?P<flags>[^\n]*)", re.S)


def end(name, device, cpu, **options):
    """A primary whose port 0 is the device."""
    return Testpmd(name, devices=[device], plugins=[driver_plugin()], prefix=name, cpu=cpu,
                   **options)


def pcap_end(name, device, cpu, pcap):
    """One that forwards between the device and a file, its port 1."""
    return end(name, device, cpu, mode="io", eal=(*MEMPOOL, f"--vdev=net_pcap0,{pcap}"),
               app=("--nb-ports=2", "--no-flush-rx"))


def reopen(process):
    process.do("port stop 1")
    process.do("port start 1")


def configure(process, *commands):
    """What wants port 0 stopped."""
    for text in ("port stop 0", *commands, "port start 0"):
        process.do(text)


class Sender:
    def __init__(self):
        write_pcap(SENT, [])
        self.process = pcap_end("sender", PORT0, 0, f"rx_pcap={SENT}")
        self.process.do("set burst tx delay 1000 retry 1000")  # the first burst asks for a lease
        self.mode("io")

    def mode(self, mode):
        self.process.do(f"set fwd {mode} retry")

    def start(self, frames):
        """Send them, once each, until stopped."""
        write_pcap(SENT, frames)
        reopen(self.process)
        self.process.start()

    def stop(self):
        self.process.stop()


class Line:
    def __init__(self):
        bind_ports()
        self.sender = Sender()
        self.receiver = pcap_end("receiver", PORT1, 1, f"tx_pcap={RECEIVED}")
        self._pass([])  # and what others have left on the wire
        self.receiver.do("set verbose 1")

    def _pass(self, frames):
        """Send frames and a last one; return what has arrived when it has."""
        reopen(self.receiver)
        self.receiver.start()
        self.sender.start([*frames, LAST])
        wait_until(lambda: LAST[42:] in b"".join(read_pcap(RECEIVED)[-1:]), 30, "the last frame")
        self.sender.stop()
        self.receiver.stop()
        return read_pcap(RECEIVED)

    def exchange(self, *frames):
        """Send frames; return those that arrived, but the last one, which nothing may stop."""
        said = len(self.receiver.printed())
        arrived = self._pass(frames)
        told = list(_VERBOSE.finditer(self.receiver.printed(said)))
        check([len(each) for each in arrived] == [int(each["length"]) for each in told],
              f"{len(arrived)} frames arrived, testpmd tells of {len(told)}")
        return [Arrived(packet, each["flags"].split(), each["vlan"] and int(each["vlan"], 16),
                        each["hash"] and int(each["hash"], 16), int(each["segments"]))
                for packet, each in zip(arrived[:-1], told)]

    def quit(self):
        for process in (self.sender.process, self.receiver):
            check(process.quit() == 0, f"{process.name} did not exit cleanly")
