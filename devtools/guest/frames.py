# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Frames for scenarios to send, and the files that captures of frames are in."""

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
