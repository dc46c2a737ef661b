# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""What was measured in the lab's guests: ratios of ours to stock, of turns next to each other."""

import json
import statistics

DRIVERS = ("ours", "stock")
PACKETS = "packets_per_second"
DOORBELLS = "doorbells_per_packet"


def median_ratio(ours, stock):
    """(median, p25, p75) of the ratios of pairs; None if stock has some zero, as doorbells may."""
    if not ours or not all(stock):
        return None
    ratios = [mine / theirs for mine, theirs in zip(ours, stock)]
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return statistics.median(ratios), quartiles[0], quartiles[2]


class Cell:
    """One mode, back end and size of bursts: what both drivers did in each alternation."""

    def __init__(self, mode, back_end, burst):
        self.mode, self.back_end, self.burst = mode, back_end, burst
        self.turns = {driver: {} for driver in DRIVERS}  # {round: result}

    def values(self, driver, what):
        rounds = sorted(set(self.turns["ours"]) & set(self.turns["stock"]))
        return [self.turns[driver][number][what] for number in rounds]

    def median(self, driver, what):
        return statistics.median(self.values(driver, what))

    def ratio(self, what):
        return median_ratio(*(self.values(driver, what) for driver in DRIVERS))

    def runs(self, driver):
        return " or ".join(sorted(set(self.values(driver, "runs"))))

    def name(self):
        return f"{self.mode}, {self.back_end}, bursts of {self.burst}"


class LabResults:
    def __init__(self, path):
        cells = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                turn = json.loads(line)
                key = (turn["mode"], turn["back_end"], turn["burst"])
                cell = cells.setdefault(key, Cell(*key))
                cell.turns[turn["driver"]][turn["round"]] = turn
        self.cells = cells

    def rounds(self):
        """The alternations of the cell that has the fewest."""
        return min(len(cell.values("ours", PACKETS)) for cell in self.cells.values())

    def of_doorbells(self):
        """A back end that polls wants no doorbells."""
        return {key: cell for key, cell in self.cells.items() if cell.back_end == "taps"}

    def worst(self, what):
        """(ratio, cell): the slowest, or the one with the most doorbells."""
        cells = self.of_doorbells() if what == DOORBELLS else self.cells
        found = [(cell.ratio(what)[0], cell) for cell in cells.values() if cell.ratio(what)]
        pick = max if what == DOORBELLS else min
        return pick(found, key=lambda pair: pair[0], default=(None, None))

    def table(self, what, cells):
        columns = list(dict.fromkeys((back_end, burst) for _, back_end, burst in cells))
        yield f"{'back end':20}" + "".join(f"{back_end:>12}" for back_end, _ in columns)
        yield f"{'burst':20}" + "".join(f"{burst:>12}" for _, burst in columns)
        for mode in dict.fromkeys(mode for mode, _, _ in cells):
            ratios = [cells[mode, *column].ratio(what) if (mode, *column) in cells else None
                      for column in columns]
            yield f"{mode:20}" + "".join(f"{ratio[0]:12.2f}" if ratio else f"{'-':>12}"
                                         for ratio in ratios)
        yield ""

    def tables(self):
        yield ("packets a second in the lab, ours / stock, more than 1 is faster: medians of "
               f"{self.rounds()} alternations")
        yield from self.table(PACKETS, self.cells)
        yield "doorbells a packet in the lab, ours / stock, likewise"
        yield from self.table(DOORBELLS, self.of_doorbells())

    def full_table(self):
        yield "In the lab: thousand packets a second, doorbells for 1000 packets."
        yield "Ratios: median, p25 and p75 of the alternations."
        yield ""
        yield (f"{'mode':18}{'back end':11}{'burst':>5}  {'ours':>6} {'stock':>6}  "
               f"{'ratio':>14}  {'ours':>7} {'stock':>7}  {'ratio':>14}  runs: ours, stock")
        for cell in self.cells.values():
            texts = []
            for what, format_ in ((PACKETS, "6.1f"), (DOORBELLS, "7.2f")):
                scale = 1 / 1000 if what == PACKETS else 1000
                ratio = cell.ratio(what)
                texts += [*(f"{cell.median(driver, what) * scale:{format_}}"
                            for driver in DRIVERS),
                          f" {' '.join(f'{part:.2f}' for part in ratio)}" if ratio else
                          f"{'-':>15}"]
            yield (f"{cell.mode:18}{cell.back_end:11}{cell.burst:5}  {' '.join(texts)}  "
                   f"{', '.join(cell.runs(driver) for driver in DRIVERS)}")
        yield ""

    def summary(self):
        for what, name in ((PACKETS, "throughput"), (DOORBELLS, "doorbells")):
            ratio, cell = self.worst(what)
            if ratio is not None:
                yield f"worst {name} in the lab: {cell.name()}"
        for mode, runs in {cell.mode: tuple(cell.runs(driver) for driver in DRIVERS)
                           for cell in self.cells.values()}.items():
            if set(runs) != {mode}:
                yield f"where {mode} is offered, ours runs {runs[0]}, stock {runs[1]}"

    def document(self):
        """For JSON."""
        cells = []
        for cell in self.cells.values():
            entry = {"mode": cell.mode, "back_end": cell.back_end, "burst": cell.burst}
            for driver in DRIVERS:
                entry[driver] = {"runs": cell.runs(driver),
                                 **{what: [round(value, 5) for value in cell.values(driver, what)]
                                    for what in (PACKETS, DOORBELLS)}}
            for what in (PACKETS, DOORBELLS):
                if ratio := cell.ratio(what):
                    entry[f"{what}_ratio"] = dict(zip(("median", "p25", "p75"),
                                                      (round(part, 4) for part in ratio)))
            cells.append(entry)
        return {"alternations": self.rounds(), "cells": cells}
