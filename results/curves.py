# SPDX-License-Identifier: MIT
"""Numbers out of Google Benchmark's list: medians with their spread, multiples, fits."""
import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


@dataclass(frozen=True)
class Point:
    """One benchmark over its repetitions; times in nanoseconds."""
    name: str
    median: float
    low: float
    high: float
    runs: int
    counters: dict
    times: tuple = ()  # of each repetition
    label: str = ""  # what the benchmark says of itself

    def argument(self, key):
        """The value of key:value in the name, a string; None where it has none."""
        found = re.search(rf"(?:^|/){key}:([^/]+)", self.name)
        return found and found[1]


@dataclass(frozen=True)
class Fit:
    """y = coefficient * log2(N), least squares; rms relative to the mean of y."""
    coefficient: float
    rms: float


# What Google Benchmark says of every row; all other numbers are counters.
OWN = frozenset(("family_index", "per_family_instance_index", "repetitions", "repetition_index",
                 "threads", "iterations", "real_time", "cpu_time"))


def points(rows):
    """The benchmarks in order of appearance, by name. Those that failed are left out."""
    runs = defaultdict(list)
    for row in rows:
        if row["run_type"] == "iteration" and not row.get("error_occurred"):
            runs[row["run_name"]].append(row)
    return {name: summarize(name, of_name) for name, of_name in runs.items()}


def summarize(name, runs):
    """What makes no system call is judged by the processor's time, which others take less of."""
    key = "cpu_time" if name.startswith(("alloc_free/", "trace/")) else "real_time"
    times = [run[key] * NANOSECONDS[run["time_unit"]] for run in runs]
    counters = {key: float(np.median([run[key] for run in runs]))
                for key, value in runs[0].items()
                if isinstance(value, (int, float)) and key not in OWN
                and all(key in run for run in runs)}
    return Point(name, float(np.median(times)), min(times), max(times), len(runs), counters,
                 tuple(times), runs[0].get("label", ""))


def series(all_points, start):
    """The points whose name starts so."""
    return [point for name, point in all_points.items() if name.startswith(start)]


def time_fits(rows):
    """Google Benchmark's own fit of the processor's time, by family."""
    fits = {}
    rms = {row["run_name"]: row["rms"] for row in rows if row.get("aggregate_name") == "RMS"}
    for row in rows:
        if row.get("aggregate_name") == "BigO":
            unit = NANOSECONDS[row["time_unit"]]
            name = row["run_name"]
            fits[name] = Fit(row["cpu_coefficient"] * unit, rms[name])
    return fits


def counter_fit(of_family, counter):
    """The same fit, with the same definition of its error, to a counter."""
    x = np.log2([point.counters["free_blocks"] for point in of_family])
    y = np.array([point.counters[counter] for point in of_family])
    coefficient = float(x @ y / (x @ x))
    rms = float(np.sqrt(np.mean((y - coefficient * x) ** 2)) / np.mean(y))
    return Fit(coefficient, rms)


def of_times(name, times, label=""):
    return Point(name, float(np.median(times)), min(times), max(times), len(times), {},
                 tuple(times), label)


def exactly(value):
    """A counter as a point: it has no spread."""
    return Point("", value, value, value, 1, {})


def scaled(point, factor):
    return Point(point.name, point.median * factor, point.low * factor, point.high * factor,
                 point.runs, point.counters)


def multiple(point, limit):
    """How many times the limit, of the medians, and the range that the spreads of both allow."""
    return Point(point.name, point.median / limit.median, point.low / limit.high,
                 point.high / limit.low, point.runs, {})
