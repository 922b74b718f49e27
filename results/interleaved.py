# SPDX-License-Identifier: MIT
"""Runs two programs of benchmarks in turns. What is compared is measured a moment apart, in a fresh
process each, so that neither a drift of the machine nor the luck of one process's memory layout
lies between them: a pair is one run of OLD and one of NEW, of all benchmarks in the same order, which
is drawn anew for every pair; within every two pairs each of them is first once."""
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field

PIN = "TMF_BENCH_PIN"  # the cores to run on: harness/pinning.h
WITHOUT_CALLS = ("alloc_free/", "trace/")  # judged by the processor's time: harness/bench_rows.c


class Failed(Exception):
    """A benchmark that does not run; the text is what it said."""


@dataclass
class Side:
    """One of the two: a program of benchmarks, and a folder of its own for what it keeps."""
    program: pathlib.Path
    folder: pathlib.Path
    environment: dict = field(default_factory=dict)
    commit: str = ""  # that it was built of

    def call(self, *options, seed=1):
        environment = dict(os.environ, TMF_BENCH_DIR=str(self.folder),
                           TMF_BENCH_KEEP=str(self.folder), TMF_BENCH_SEED=str(seed),
                           **self.environment)
        environment.setdefault("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=8192")
        done = subprocess.run([self.program, *options], env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{self.program} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def reads(self, variable):
        """Does the program know this variable of the environment?"""
        return variable.encode() in self.program.read_bytes()

    def names(self, pattern):
        """Of its benchmarks that match."""
        listed = self.call("--benchmark_list_tests=true", f"--benchmark_filter={pattern}")
        return [plain(line) for line in listed.splitlines()]

    def measure(self, names, plan, seed):
        """One process: of each benchmark the row of the median, with its counters."""
        out = self.folder / "run.json"
        self.call(f"--benchmark_filter=^({'|'.join(names)})$", f"--benchmark_out={out}",
                  f"--benchmark_repetitions={plan.repetitions + 1}",  # the first is to warm up
                  f"--benchmark_min_time={plan.min_time}",
                  "--benchmark_enable_random_interleaving=true", seed=seed)
        with open(out, encoding="utf-8") as file:
            rows = [row for row in json.load(file)["benchmarks"] if row["run_type"] == "iteration"]
        for row in rows:
            if row.get("error_occurred"):
                raise Failed(f"{row['run_name']}: {row['error_message']}")
        kept = [row for row in rows if not is_warm_up(row, plan)]
        return {name: median_row([row for row in kept if row["run_name"] == name])
                for name in names}


def is_warm_up(row, plan):
    """One that runs as often as it says itself has its warm-up within (harness/bench_repetitions.h)."""
    return row["repetitions"] == plan.repetitions + 1 and row["repetition_index"] == 0


def pin_alike(sides):
    """Pinned are both or none: a revision from before may not know how. Returns whether they are."""
    if not all(side.reads(PIN) for side in sides) and os.environ.pop(PIN, None) is not None:
        print("tmf compare: one of the revisions cannot pin its threads: neither is pinned",
              file=sys.stderr)
    return PIN in os.environ


def median_row(rows):
    return sorted(rows, key=time_of)[len(rows) // 2]


def plain(name):
    """As tmf_bench reports it, without how it was told to measure."""
    return re.sub(r"/(iterations:\d+|repeats:\d+|manual_time|real_time|process_time)(?=/|$)", "", name)


def time_of(row):
    if "p50_ns" in row:
        return row["p50_ns"]
    key = "cpu_time" if row["run_name"].startswith(WITHOUT_CALLS) else "real_time"
    return row[key] * {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[row["time_unit"]]


@dataclass(frozen=True)
class Plan:
    """Of one process."""
    repetitions: int = 3
    min_time: float = 0.02


class Turns:
    """The pairs of some benchmarks, as many as were asked for so far."""

    def __init__(self, old, new, names, seed, plan=Plan()):
        self.sides, self.names, self.plan = (old, new), names, plan
        self.random = random.Random(seed)
        self.rows = {name: ([], []) for name in names}
        self.firsts, self.longest = [], 0

    @property
    def pairs(self):
        return len(self.rows[self.names[0]][0])

    def until(self, end, tell=lambda *_: None):
        """As many as there is time for, the longest so far being the measure; at least one."""
        while not self.pairs or time.monotonic() + self.longest <= end:
            begun = time.monotonic()
            self.pair()
            self.longest = max(self.longest, time.monotonic() - begun)
            tell(self.pairs, max(end - time.monotonic(), 0))

    def more(self, count, tell=lambda *_: None):
        for number in range(count):
            self.pair()
            tell(number + 1, count)

    def pair(self):
        if not self.firsts:
            self.firsts = self.random.sample((0, 1), 2)
        first, seed = self.firsts.pop(), self.random.randrange(1 << 32)
        for side in (first, 1 - first):
            measured = self.sides[side].measure(self.names, self.plan, seed)
            for name, row in measured.items():
                self.rows[name][side].append(row)

    def times(self, name):
        return tuple([time_of(row) for row in rows] for rows in self.rows[name])
