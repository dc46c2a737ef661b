#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Turns a corpus, a text file with an input a line, into a folder for libFuzzer, and back.

corpus.py unpack FILE FOLDER
corpus.py pack FOLDER FILE
"""

import pathlib
import sys

HEADER = """\
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""


def unpack(file, folder):
    folder.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            (folder / f"line{number}").write_bytes(bytes.fromhex(line))


def pack(folder, file):
    inputs = {path.read_bytes() for path in folder.iterdir()}
    lines = [data.hex() for data in sorted(inputs, key=lambda data: (len(data), data)) if data]
    file.write_text(HEADER + "".join(line + "\n" for line in lines))


def main():
    commands = {"unpack": unpack, "pack": pack}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))


main()
