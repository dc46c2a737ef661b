#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Runs test-perf and makes perf.json, perf.txt and perf.svg of what it prints."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import lab_results

KEY = ("path", "dir", "mode", "ring", "len", "burst")
DRIVERS = ("ours", "stock")
PLOTTED = {"ring": 256, "len": 64}
MEANING = {
    "not yet": "ours has no such mode yet (not yet)",
    "neither": "no driver has such a mode (neither)",
    "stock none": "stock has no such mode (stock none)",
}
SERIES = (("ours", "scalar", "#0060ad"), ("ours", "vector", "#00a0e0"),
          ("stock", "scalar", "#c03020"), ("stock", "vector", "#f09020"))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the test-perf that was built")
    parser.add_argument("--output", required=True, help="folder for the results")
    parser.add_argument("--rounds", type=int, help="rounds of each cell (60; --quick: 20)")
    parser.add_argument("--quick", action="store_true",
                        help="fewer rounds; instructions only of bursts of 32, for 64 bytes and "
                             "rings of 256")
    parser.add_argument("--lab", help="results of the guests, to go with it")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 20 if arguments.quick else 60
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    return arguments


def say(text):
    print(f"perf: {text}", file=sys.stderr, flush=True)


def run(program, *arguments):
    """The lines of one run: (kind, {key: value}) each."""
    result = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"perf: {program} {' '.join(map(str, arguments))}: status {result.returncode}")
    for line in result.stdout.splitlines():
        kind, *fields = line.split("\t")
        yield kind, dict(field.split("=", 1) for field in fields)


class Matrix:
    """What was measured: cells[key][driver], a dict of cycles, instructions or absent."""

    def __init__(self):
        self.cells = defaultdict(lambda: {driver: {} for driver in DRIVERS})
        self.timer = {}

    def add(self, lines):
        for kind, fields in lines:
            if kind == "timer":
                self.timer = {name: int(value) for name, value in fields.items()}
                continue
            for name in ("ring", "len", "burst"):
                fields[name] = int(fields[name])
            cell = self.cells[tuple(fields[name] for name in KEY)][fields["driver"]]
            if kind == "absent":
                cell["absent"] = fields["reason"]
                continue
            if "instructions" in fields:
                cell["instructions"] = float(fields["instructions"])
            if fields["cycles"]:
                cell.setdefault("rounds", []).extend(map(float, fields["cycles"].split(",")))

    def summarize(self):
        for cell in self.cells.values():
            for result in cell.values():
                if "rounds" not in result:
                    continue
                rounds = result["rounds"]
                result["cycles"] = statistics.median(rounds)
                quartiles = statistics.quantiles(rounds, n=4) if len(rounds) > 1 else rounds * 3
                result["p25"], result["p75"] = quartiles[0], quartiles[2]
        self.run_scalar_where_vectors_are_allowed()

    def run_scalar_where_vectors_are_allowed(self):
        """Without vector bursts of its own, that is what our driver does there, too."""
        for key, cell in self.cells.items():
            if key[0] == "vector" and "cycles" in cell["stock"] and "cycles" not in cell["ours"]:
                cell["ours"] = self.cells["scalar", *key[1:]]["ours"]

    def ratio(self, key, what="cycles"):
        """Of ours to stock; None if one of them is absent."""
        values = [self.cells[key][driver].get(what) for driver in DRIVERS]
        return None if None in values else values[0] / values[1]

    def values(self, name):
        """What a part of the key can be, in the order of the program."""
        at = KEY.index(name)
        values = list(dict.fromkeys(key[at] for key in self.cells))
        return values if name == "mode" else sorted(values)

    def ratios(self, **part):
        """(ratio, key) of each cell with both, of those whose key has this part."""
        for key in self.cells:
            if part.items() <= dict(zip(KEY, key)).items() and self.ratio(key) is not None:
                yield self.ratio(key), key

    def worst(self, path, **part):
        return max(self.ratios(path=path, **part), default=(None, None))


def measure(arguments):
    # Each pass is a process of its own: where its memory lies is part of what it measures.
    passes = min(arguments.rounds, 2 if arguments.quick else 6)
    matrix = Matrix()
    for i in range(passes):
        rounds = arguments.rounds // passes + (i < arguments.rounds % passes)
        say(f"cycles, pass {i + 1} of {passes}: {rounds} rounds")
        matrix.add(run(arguments.program, "--rounds", rounds))
    say("instructions" + ("" if arguments.quick else " (some minutes)"))
    subset = ("--ring", 256, "--length", 64, "--burst", 32) if arguments.quick else ()
    matrix.add(run(arguments.program, "--rounds", 0, "--instructions", *subset))
    matrix.summarize()
    return matrix


def absence(cell):
    """Why a cell has no ratio; None if nothing is absent."""
    mine, theirs = (cell[driver].get("absent") for driver in DRIVERS)
    if theirs == "none":
        return "neither" if mine else "stock none"
    return f"stock {theirs}" if theirs else mine


def text_of_ratio(matrix, key, what):
    if key not in matrix.cells:
        return ""
    ratio = matrix.ratio(key, what)
    if ratio is not None:
        return f"{ratio:.2f}"
    return absence(matrix.cells[key]) or ""


def ratio_tables(matrix, what):
    """A table for each path and direction: a row for each mode."""
    columns = [(ring, length, burst) for ring in matrix.values("ring")
               for length in matrix.values("len") for burst in matrix.values("burst")]
    for path in matrix.values("path"):
        for direction in matrix.values("dir"):
            yield f"{what} a packet, ours / stock: {path} {direction}"
            heads = [""] + [f"{ring}/{length}" if burst == 1 else ""
                            for ring, length, burst in columns]
            yield (f"{'ring/bytes':22}" + "".join(f"{head:>7}" for head in heads[1:])).rstrip()
            yield f"{'burst':22}" + "".join(f"{column[2]:>7}" for column in columns)
            for mode in matrix.values("mode"):
                texts = [text_of_ratio(matrix, (path, direction, mode, *column), what)
                         for column in columns]
                if len(set(texts) - {""}) == 1 and not texts[0][:1].isdigit():
                    texts = texts[:1]
                yield (f"{mode:22}" + "".join(f"{text:>7}" for text in texts)).rstrip()
            yield ""


# What lease_cost.c is built as: as it is, and without more and more of what a lease takes.
LEASE_BUILDS = ("lease-cost", "lease-cost-without-flag", "lease-cost-without-lease")


def lease_costs(program):
    """{(mode, direction, packets): instructions of a burst in each build}"""
    costs = defaultdict(list)
    for build in LEASE_BUILDS:
        for kind, fields in run(os.path.join(os.path.dirname(program), build)):
            if kind == "burst":
                key = (fields["mode"], fields["dir"], int(fields["packets"]))
                costs[key].append(int(fields["instructions"]))
    return costs


def lease_table(costs):
    yield "Instructions a burst. Lease: to find the doorbell that this process holds, and test it."
    yield "Flag: to say that a burst is under way, for orderly stops."
    yield f"{'mode':22}{'dir':>4}{'packets':>8}{'all':>7}{'without':>9}{'lease':>7}{'flag':>6}"
    for (mode, direction, packets), (whole, flagless, bare) in costs.items():
        yield (f"{mode:22}{direction:>4}{packets:8}{whole:7}{bare:9}{flagless - bare:7}"
               f"{whole - flagless:6}")
    yield ""


def text_of_result(result):
    if "cycles" not in result:
        return result.get("absent", "-")
    return f"{result['cycles']:7.1f} {result['p25']:7.1f} {result['p75']:7.1f}"


def full_table(matrix):
    yield "Cycles a packet: median, p25 and p75 of the rounds. Instructions a packet."
    yield ""
    yield (f"{'path':7}{'mode':21}{'ring':>5} dir {'bytes':>5} {'burst':>5}  {'ours':>23}  "
           f"{'stock':>23}  {'ratio':>5}  {'instructions':>13}  ratio")
    modes = matrix.values("mode")
    for key in sorted(matrix.cells, key=lambda key: (key[0], modes.index(key[2]), key[3], key[1],
                                                     key[4], key[5])):
        path, direction, mode, ring, length, burst = key
        cell = matrix.cells[key]
        ratio, steps = matrix.ratio(key), matrix.ratio(key, "instructions")
        counts = "".join(f" {cell[driver]['instructions']:6.1f}"
                         if "instructions" in cell[driver] else "      -" for driver in DRIVERS)
        yield (f"{path:7}{mode:21}{ring:5} {direction:3} {length:5} {burst:5}  "
               f"{text_of_result(cell['ours']):>23}  {text_of_result(cell['stock']):>23}  "
               f"{f'{ratio:.2f}' if ratio else '-':>5} {counts}  "
               f"{f'{steps:.2f}' if steps else '-':>5}")


def absences(matrix):
    """One line for each reason why cells have no ratio."""
    reasons = defaultdict(int)
    for cell in matrix.cells.values():
        if absence(cell):
            reasons[absence(cell)] += 1
    both = sum(matrix.ratio(key) is not None for key in matrix.cells)
    return [f"{both} of {len(matrix.cells)} cells have both"] + [
        f"{count} cells without: {MEANING.get(reason, reason)}"
        for reason, count in reasons.items()]


def spread(matrix):
    """How noisy it was: the median, over all cells, of the quartiles' distance."""
    widths = [(result["p75"] - result["p25"]) / result["cycles"]
              for cell in matrix.cells.values() for result in cell.values() if "cycles" in result]
    return statistics.median(widths) if widths else 0


def name_of(key):
    return " ".join(f"{name}={value}" for name, value in zip(KEY, key))


def text_of_worst(worst):
    return "-" if worst[0] is None else f"{worst[0]:.2f}"


def dearer_than_stock(matrix):
    dearer = sorted((pair for pair in matrix.ratios() if pair[0] > 1), reverse=True)
    yield f"{len(dearer)} cells in which ours takes more cycles than stock"
    for ratio, key in dearer:
        yield f"    {ratio:.2f} {name_of(key)}"


def summary(matrix, lab):
    yield from absences(matrix)
    yield from dearer_than_stock(matrix)
    yield f"spread (p75 - p25) / median: {spread(matrix):.1%} in the median cell"
    worst = {path: matrix.worst(path) for path in ("scalar", "vector")}
    for path, (ratio, key) in worst.items():
        if ratio is not None:
            yield f"worst {path} cell: {name_of(key)}"
    ratio, key = matrix.worst("scalar", len=64, burst=32)
    if ratio is not None:
        yield f"worst scalar cell of 64 bytes in bursts of 32: {ratio:.2f} ({name_of(key)})"
    worst["lab"] = lab.worst(lab_results.PACKETS) if lab else (None, None)
    worst["doorbells"] = lab.worst(lab_results.DOORBELLS) if lab else (None, None)
    yield from lab.summary() if lab else ()
    yield "worst ratio to stock: " + ", ".join(
        f"{name} {text_of_worst(pair)}" for name, pair in worst.items())


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"


def write_json(matrix, costs, lab, arguments, loads, path):
    cells = []
    for key, cell in matrix.cells.items():
        entry = dict(zip(KEY, key), **cell)
        for what in ("cycles", "instructions"):
            ratio = matrix.ratio(key, what)
            if ratio is not None:
                entry[f"{what}_ratio"] = round(ratio, 4)
        cells.append(entry)
    document = {
        "processor": processor(),
        "processors": os.cpu_count(),
        "tsc_hz": matrix.timer["hz"],
        "timer_overhead_cycles": matrix.timer["overhead"],
        "load_average": {"before": loads[0], "after": loads[1]},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": arguments.rounds,
        "unit": "TSC cycles and instructions a packet",
        "worst": {path: dict(zip(("ratio", "cell"), matrix.worst(path)))
                  for path in ("scalar", "vector")},
        "spread": round(spread(matrix), 4),
        "cells": cells,
        "instructions_a_burst": [
            {"mode": mode, "dir": direction, "packets": packets,
             **dict(zip(LEASE_BUILDS, instructions))}
            for (mode, direction, packets), instructions in costs.items()],
        "lab": lab.document() if lab else None,
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def plot_script(matrix, path):
    """A panel for each direction and burst; in it, each mode's cycles of each driver."""
    modes = matrix.values("mode")
    yield "set terminal svg size 1300,1000 dynamic background 'white' font 'sans,12'"
    yield f"set output '{path}'"
    yield (f"set multiplot layout {len(matrix.values('dir'))},{len(matrix.values('burst'))} title "
           f"'TSC cycles a packet, median and quartiles ({PLOTTED['len']} bytes, rings of "
           f"{PLOTTED['ring']})'")
    yield "set xtics rotate by 90 right (" + ", ".join(
        f"'{mode}' {i}" for i, mode in enumerate(modes)) + ")"
    yield f"set xrange [-0.5:{len(modes) - 0.5}]"
    yield "set yrange [0:*]\nset grid ytics\nset key above\nset bars 0"
    for direction in matrix.values("dir"):
        for burst in matrix.values("burst"):
            plots = []
            for n, (driver, series_path, color) in enumerate(SERIES):
                rows = []
                for i, mode in enumerate(modes):
                    result = matrix.cells[(series_path, direction, mode, PLOTTED["ring"],
                                           PLOTTED["len"], burst)][driver]
                    if "cycles" in result:
                        rows.append(f"{i + (n - 1.5) * 0.15} {result['cycles']} {result['p25']} "
                                    f"{result['p75']}")
                if rows:
                    block = f"$d_{direction}_{burst}_{n}"
                    yield f"{block} << END\n" + "\n".join(rows) + "\nEND"
                    plots.append(f"{block} using 1:2:3:4 with yerrorbars pt 7 ps 0.6 lw 2 "
                                 f"lc rgb '{color}' title '{driver} {series_path}'")
            yield f"set title '{direction}, bursts of {burst}'"
            if plots:
                yield "plot " + ", ".join(plots)
    yield "unset multiplot"


def write_plot(matrix, path):
    if shutil.which("gnuplot") is None:
        say("no gnuplot here: no plot")
        return
    subprocess.run(["gnuplot"], input="\n".join(plot_script(matrix, path)) + "\n", text=True,
                   check=True)


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.output, exist_ok=True)
    began, before = time.monotonic(), os.getloadavg()
    lab = lab_results.LabResults(arguments.lab) if arguments.lab else None
    matrix, costs = measure(arguments), lease_costs(arguments.program)
    write_json(matrix, costs, lab, arguments, (before, os.getloadavg()),
               f"{arguments.output}/perf.json")
    tables = [*ratio_tables(matrix, "cycles"), *ratio_tables(matrix, "instructions"),
              *lease_table(costs), *(lab.tables() if lab else ())]
    details = [*full_table(matrix), "", *(lab.full_table() if lab else ())]
    with open(f"{arguments.output}/perf.txt", "w", encoding="utf-8") as file:
        print(*tables, *details, *summary(matrix, lab), sep="\n", file=file)
    write_plot(matrix, f"{arguments.output}/perf.svg")
    print(*tables, sep="\n")
    say(f"{time.monotonic() - began:.0f} s on {processor()}, load {before[0]:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after")
    print(*summary(matrix, lab), sep="\n")


if __name__ == "__main__":
    main()
