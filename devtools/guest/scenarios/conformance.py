#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
# timeout: 300
"""The kernel driver keeps every rule of the uAPI that the conformance program knows"""

from uapi import DOORBELLS, SUBJECTS, conformance, load_driver

load_driver()
for subject in SUBJECTS:
    conformance(subject)
load_driver("revoke_feature=1")
conformance(DOORBELLS)
