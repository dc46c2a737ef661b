#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
# kernels: 6.12
# machine: packed
"""The same over packed rings, of one port in order: deaths of any kind at any moment"""

import os

DEATHS = 50

chaos = f"{os.path.dirname(os.path.abspath(__file__))}/chaos.py"
os.execv(chaos, [chaos, str(DEATHS)])
