# SPDX-License-Identifier: MIT
"""How long readers and writers wait for the lock and hold it, from the histograms of `tmf threads`
and `tmf procs`: of each kind, how many of a hundred took longer. Histograms of several runs add
up."""
from collections import Counter
from math import ceil, log10

import curves
import figures

KINDS = {"of readers": "readers wait", "of writers": "writers wait",
         "held by readers": "readers hold", "held by writers": "writers hold"}
PER_DECADE = 4
SHORTEST = 0.1  # µs


def figure(waits, name):
    """An SVG of those of KINDS that are there; None: there are none with buckets."""
    lines = [(label, *longer(merged(waits, kind)), None) for kind, label in KINDS.items()]
    lines = [line for line in lines if len(line[1]) > 1]
    if not lines:
        return None
    return figures.sweep(lines, name, "Of a hundred waits and holds, how many took longer than a "
                         "time; percentiles are in the table below.", "µs",
                         "of 100, took longer", [10 ** power for power in range(-1, 8)], log_y=True)


def merged(waits, kind):
    """Counts by the longest time of a bucket, PER_DECADE of them."""
    counts = Counter()
    for wait in waits:
        for most, count in wait.get("buckets_us", ()) if wait["kind"] == kind else ():
            counts[ceil(PER_DECADE * log10(max(most, SHORTEST)))] += count
    return counts


def longer(counts):
    """Times, and how many of a hundred took longer; but for the longest, which none did."""
    total = left = sum(counts.values())
    times, shares = [], []
    for step in sorted(counts)[:-1]:
        left -= counts[step]
        times.append(10 ** (step / PER_DECADE))
        shares.append(curves.exactly(100 * left / total))
    return times, shares
