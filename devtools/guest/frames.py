# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Frames, and the files that they are captured in or sent from."""

import collections
import struct

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_FLAGS, _QUEUE = 2, 6  # options of a packet

# A frame of a pcapng file: `way` is "in" or "out", `interface` the name that the capture gives.
Captured = collections.namedtuple("Captured", "interface way queue frame")


def _options(data):
    options = {}
    while len(data) >= 4:
        code, length = struct.unpack_from("<HH", data)
        if code == 0:
            break
        options[code] = data[4:4 + length]
        data = data[4 + (length + 3) // 4 * 4:]
    return options


def read_pcapng(path):
    """Every frame of a capture of dpdk-dumpcap, which is little-endian."""
    with open(path, "rb") as file:
        data = file.read()
    names, captured, at = [], [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12 or struct.unpack_from("<I", data, at + length - 4)[0] != length:
            raise ValueError(f"{path}: the block at {at} is cut short")
        body = data[at + 8:at + length - 4]
        if kind == _SECTION and struct.unpack_from("<I", body)[0] != _BYTE_ORDER:
            raise ValueError(f"{path}: not of this byte order")
        if kind == _INTERFACE:
            names.append(_options(body[8:])[2].decode())
        if kind == _PACKET:
            interface, _, _, size, _ = struct.unpack_from("<IIIII", body)
            options = _options(body[20 + (size + 3) // 4 * 4:])
            captured.append(Captured(
                names[interface], {1: "in", 2: "out"}[struct.unpack("<I", options[_FLAGS])[0] & 3],
                struct.unpack("<I", options[_QUEUE])[0], body[20:20 + size]))
        at += length
    return captured



def write_pcap(path, frames):
    """As net_pcap reads them."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def read_pcap(path):
    """The frames that are whole so far in a file of net_pcap's."""
    with open(path, "rb") as file:
        data = file.read()
    at, frames = 24, []
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        if at + 16 + size > len(data):
            break
        frames.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return frames


# Frames: Ethernet, perhaps a VLAN tag, IPv4 or IPv6, UDP or TCP.

OWN, FOREIGN = "02:00:00:00:00:01", "02:00:00:00:00:ee"  # of port 1; of nobody
ADDRESSES = {4: (bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))),
             6: (bytes.fromhex("20010db8") + bytes(11) + b"\1",
                 bytes.fromhex("20010db8") + bytes(11) + b"\2")}
PROTOCOLS = {"udp": 17, "tcp": 6}
CHECKSUM_AT = {"udp": 6, "tcp": 16}

# What is in a frame; `valid` says whether its checksums are right.
Parsed = collections.namedtuple("Parsed", "to vlan version protocol ports sequence data valid")


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def _sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


def _pseudo_header(version, protocol, addresses, length):
    return b"".join(addresses) + struct.pack(">IHBB" if version == 6 else ">BBH", *(
        (length, 0, 0, PROTOCOLS[protocol]) if version == 6 else (0, PROTOCOLS[protocol], length)))


def _segment(protocol, version, ports, sequence, data, checksum):
    if protocol == "udp":
        header = struct.pack(">HHHH", *ports, 8 + len(data), 0)
    else:
        header = struct.pack(">HHIIBBHHH", *ports, sequence, 1, 5 << 4, 0x10, 65535, 0, 0)
    segment = header + data
    if checksum is None:
        checksum = 0xffff ^ _sum(_pseudo_header(version, protocol, ADDRESSES[version],
                                                len(segment)) + segment)
    at = CHECKSUM_AT[protocol]
    return segment[:at] + struct.pack(">H", checksum) + segment[at + 2:]


def frame(protocol="udp", data=b"data", *, version=4, ports=(1000, 2000), sequence=1, to=OWN,
          vlan=None, checksum=None):
    """With the right checksum of the segment unless one is given."""
    segment = _segment(protocol, version, ports, sequence, data, checksum)
    if version == 4:
        header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64,
                             PROTOCOLS[protocol], 0, *ADDRESSES[4])
        header = header[:10] + struct.pack(">H", 0xffff ^ _sum(header)) + header[12:]
    else:
        header = struct.pack(">IHBB16s16s", 6 << 28, len(segment), PROTOCOLS[protocol], 64,
                             *ADDRESSES[6])
    tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
    kind = struct.pack(">H", 0x0800 if version == 4 else 0x86dd)
    return mac(to) + mac("02:00:00:00:00:aa") + tag + kind + header + segment


def parse(packet):
    vlan, at = None, 12
    if packet[at:at + 2] == b"\x81\x00":
        vlan, at = struct.unpack_from(">H", packet, at + 2)[0], at + 4
    version = {b"\x08\x00": 4, b"\x86\xdd": 6}[packet[at:at + 2]]
    packet_ip = packet[at + 2:]
    size = 20 if version == 4 else 40
    length = struct.unpack_from(">H", packet_ip, 2 if version == 4 else 4)[0]
    segment = packet_ip[size:length if version == 4 else size + length]
    number = packet_ip[9 if version == 4 else 6]
    protocol = {value: key for key, value in PROTOCOLS.items()}[number]
    addresses = (packet_ip[12:16], packet_ip[16:20]) if version == 4 else \
        (packet_ip[8:24], packet_ip[24:40])
    valid = _sum(_pseudo_header(version, protocol, addresses, len(segment)) + segment) == 0xffff
    if version == 4:
        valid = valid and _sum(packet_ip[:20]) == 0xffff
    return Parsed(packet[:6].hex(":"), vlan, version, protocol,
                  struct.unpack_from(">HH", segment),
                  struct.unpack_from(">I", segment, 4)[0] if protocol == "tcp" else None,
                  segment[8 if protocol == "udp" else 20:], valid)
