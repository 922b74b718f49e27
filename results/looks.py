# SPDX-License-Identifier: MIT
"""When is enough measured? The pairs are looked at after 1/4, 1/2 and all of the repetitions, and
measuring ends where nothing is left to tell. Whoever looks more often is wrong more often, so the
confidence of each interval allows for all looks at all benchmarks (ratios.py)."""
import ratios

PARTS = (4, 2, 1)


def judge(turns, repetitions, tolerance, tell=lambda *_: None):
    """Of each benchmark of the turns its ratio."""
    names, found = turns.names, {}
    for look in [max(repetitions // part, 1) for part in PARTS]:
        turns.more(look - len(turns.times(names[0])[0]), tell)
        found = {name: ratios.of_pairs(*turns.times(name), tolerance, len(names) * len(PARTS))
                 for name in names}
        if all(ratio.verdict != ratios.UNKNOWN for ratio in found.values()):
            break
    return found
