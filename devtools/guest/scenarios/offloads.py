#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# kernels: 6.12
# machine: default packed
"""Checksums, TSO, VLAN tags, large and jumbo frames: what arrives is what the commands asked for"""

from frames import frame, parse
from lab import check, report, wait_until
from line import Line, configure

KINDS = [(protocol, version) for protocol in ("udp", "tcp") for version in (4, 6)]
WRONG = 0x1234
LARGE, SEGMENT = bytes(range(250)) * 20, 1000
MTU, JUMBO = 9000, bytes(range(250)) * 32

line = Line()
sender, receiver = line.sender, line.receiver


def parsed(arrived):
    return [parse(each.frame) for each in arrived]


def wrong_checksums():
    return [frame(protocol, version=version, checksum=WRONG) for protocol, version in KINDS]


def checksums_are_filled_in():
    found = parsed(line.exchange(*wrong_checksums()))
    check([each.valid for each in found] == [False] * len(KINDS), f"not passed on as is: {found}")
    configure(sender.process, "csum set udp hw 0", "csum set tcp hw 0")
    sender.mode("csum")
    found = parsed(line.exchange(*wrong_checksums()))
    check([(each.protocol, each.version) for each in found] == KINDS, f"not all came: {found}")
    check(all(each.valid for each in found), f"wrong checksums: {found}")
    report("checksums of UDP and TCP over IPv4 and IPv6 are the device's")


def large_frames_are_segmented(version):
    found = parsed(line.exchange(frame("tcp", LARGE, version=version, sequence=5)))
    check(len(found) == len(LARGE) // SEGMENT, f"{len(found)} segments")
    check([each.sequence for each in found] == [5 + at for at in range(0, len(LARGE), SEGMENT)],
          f"sequence numbers: {[each.sequence for each in found]}")
    check(all(each.valid for each in found), f"wrong checksums: {found}")
    check(b"".join(each.data for each in found) == LARGE, "the data has changed")
    report(f"IPv{version}: {len(LARGE)} bytes sent as one frame arrive as {len(found)} segments")


def tags_are_inserted():
    configure(sender.process, "tx_vlan set 0 100")
    sender.mode("mac")
    found = parsed(line.exchange(frame(), frame("tcp")))
    check([each.vlan for each in found] == [100, 100], f"tags: {[each.vlan for each in found]}")
    check(all(each.valid for each in found), f"wrong checksums: {found}")
    configure(sender.process, "tx_vlan reset 0")
    check([each.vlan for each in parsed(line.exchange(frame()))] == [None], "still tagged")


def flagged(arrived, flag):
    return all(f"RTE_MBUF_F_RX_{flag}" in each.flags for each in arrived)


def unfinished_checksums_are_told():
    """The sender left them to the device, which leaves them to whoever sends them on."""
    configure(receiver, "port config 0 rx_offload udp_cksum on",
              "port config 0 rx_offload tcp_cksum on")
    found = line.exchange(*wrong_checksums())
    check(len(found) == len(KINDS) and flagged(found, "L4_CKSUM_NONE"), f"flags: {found}")
    sender.mode("io")
    found = line.exchange(*wrong_checksums())
    check(len(found) == len(KINDS) and flagged(found, "L4_CKSUM_UNKNOWN"), f"flags: {found}")
    sender.mode("csum")


def large_frames_stay_whole(version):
    found = line.exchange(frame("tcp", LARGE, version=version))
    check(len(found) == 1 and flagged(found, "LRO"), f"{len(found)} frames: {found[0].flags}")
    check(found[0].segments > 1 and parse(found[0].frame).data == LARGE, "the data has changed")
    report(f"IPv{version}: with LRO they arrive as one again, in {found[0].segments} buffers")


def tags_are_stripped():
    receiver.do("vlan set strip on 0")
    found = line.exchange(frame(), frame(vlan=100))
    check([parse(each.frame).vlan for each in found] == [None, None], "still tagged")
    check([each.vlan for each in found] == [None, 100], f"{[each.vlan for each in found]} told")
    check(flagged(found[1:], "VLAN_STRIPPED"), f"flags: {found}")
    receiver.do("vlan set strip off 0")
    check([parse(each.frame).vlan for each in line.exchange(frame(vlan=100))] == [100], "stripped")


def jumbo_frames_are_scattered():
    refused = "frames of 9018 bytes (MTU 9000), buffers of"
    receiver.cmd(f"port config mtu 0 {MTU}")
    wait_until(lambda: refused in receiver.output, 5, "a buffer has no room for a jumbo frame")
    configure(sender.process, *(f"port config 0 tx_offload {offload} on"
                                for offload in ("multi_segs", "mbuf_fast_free")))
    configure(receiver, "port config 0 rx_offload scatter on", f"port config mtu 0 {MTU}")
    check(f"MTU: {MTU}" in receiver.cmd("show port info 0"), "the MTU is another")
    found = line.exchange(frame(data=JUMBO), frame(data=b"small"))
    check([parse(each.frame).data for each in found] == [JUMBO, b"small"], "the data has changed")
    check(found[0].segments > 1 == found[1].segments,
          f"in {[each.segments for each in found]} buffers")
    report(f"{len(found[0].frame)} bytes arrive as they were sent, in {found[0].segments} buffers")


checksums_are_filled_in()
configure(sender.process, f"tso set {SEGMENT} 0")
for version in (4, 6):
    large_frames_are_segmented(version)
unfinished_checksums_are_told()
configure(receiver, "port config 0 rx_offload tcp_lro on")
for version in (4, 6):
    large_frames_stay_whole(version)
configure(sender.process, "tso set 0 0")
tags_are_inserted()
tags_are_stripped()
configure(receiver, "port config 0 rx_offload tcp_lro off")
jumbo_frames_are_scattered()
line.quit()
