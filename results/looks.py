# SPDX-License-Identifier: MIT
"""When is enough measured? The pairs are looked at after 1/4, 1/2 and all of the repetitions, or of
the time, and measuring ends where nothing is left to tell. Whoever looks more often is wrong more
often, so the confidence of each interval allows for all looks at all benchmarks (ratios.py)."""
import time

import ratios

PARTS = (4, 2, 1)


def judge(turns, repetitions, seconds, tolerance, tell=lambda *_: None):
    """Of each benchmark of the turns its ratio. seconds: of measuring, or None."""
    found = {}
    for _ in measured(turns, repetitions, seconds, tell):
        found = {name: ratios.of_pairs(*turns.times(name), tolerance, len(turns.names) * len(PARTS))
                 for name in turns.names}
        if all(ratio.verdict != ratios.UNKNOWN for ratio in found.values()):
            break
    return found


def measured(turns, repetitions, seconds, tell):
    """Goes on to each look."""
    begun = time.monotonic()
    for part in PARTS:
        if seconds:
            turns.until(begun + seconds / part,
                        lambda pairs, left: tell(f"pair {pairs}, {left:.0f} s to the next look"))
        else:
            turns.more(max(repetitions // part, 1) - turns.pairs,
                       lambda done, count: tell(f"pair {done} of {count}"))
        yield
