# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""A source broken on purpose, for as long as it takes to build it."""

import contextlib
import pathlib


@contextlib.contextmanager
def broken(path, old, new):
    """The file with new in place of old, which must stand in it exactly once: else ValueError."""
    path = pathlib.Path(path)
    source = path.read_text()
    if source.count(old) != 1:
        raise ValueError(f"'{old}' stands {source.count(old)} times in {path.name}, not once")
    path.write_text(source.replace(old, new))
    try:
        yield
    finally:
        path.write_text(source)


def chosen(mutations, names):
    """Those that are named, or all; ends the program if there is no such one."""
    unknown = set(names) - {mutation.name for mutation in mutations}
    if unknown:
        raise SystemExit(f"no such mutation: {' '.join(sorted(unknown))}")
    return [mutation for mutation in mutations if not names or mutation.name in names]
