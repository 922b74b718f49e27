# SPDX-License-Identifier: MIT
"""Is the comparison itself right? Two rates: how often it tells a program from itself (A/A), and how
often it notices that one of the two was made 10 % slower, by libfiu at a named point of the library
(bench/delay.h; the other spends 0 % there, since a point that is enabled costs something by itself).
Everything but the delay is as in any other comparison: processes, turns, looks, statistics.

Each round is a comparison of two revisions with the benchmarks below, and counts as one comparison of
each of them."""
import interleaved
import looks
import ratios

POINT, PER_CENT = "txn/commit/begin", 10
NAMES = "commit/redo-.*/pages:1$"
REPETITIONS = 64  # at most, of a comparison
PLAN = interleaved.Plan(repetitions=1, min_time=0.002)
WRONG_MAX, FOUND_MIN = 0.01, 0.95


def rates(program, scratch, seed, comparisons, tolerance, tell):
    """Of each kind of comparison: how many there were, and how many got which verdict."""
    names = interleaved.Side(program, folder_of(scratch, "old")).names(NAMES)
    found = {}
    for kind, per_cent in (("A/A", 0), ("delayed", PER_CENT)):
        sides = [interleaved.Side(program, folder_of(scratch, name), delayed(by))
                 for name, by in (("old", 0), ("new", per_cent))]
        interleaved.pin_alike(sides)
        found[kind] = count(sides, names, seed, comparisons, tolerance,
                            lambda done, kind=kind: tell(f"{kind}: {done} of {comparisons}"))
    return found


def delayed(per_cent):
    return {"TMF_BENCH_DURABILITY": "process", "TMF_BENCH_DELAY": f"{POINT}={per_cent}"}


def folder_of(scratch, name):
    folder = scratch / name
    folder.mkdir(exist_ok=True)
    return folder


def count(sides, names, seed, comparisons, tolerance, tell):
    verdicts = dict.fromkeys((ratios.SLOWER, ratios.FASTER, ratios.SAME, ratios.UNKNOWN), 0)
    estimates = []
    while len(estimates) < comparisons:
        turns = interleaved.Turns(*sides, names, f"{seed}:{len(estimates)}", PLAN)
        for ratio in looks.judge(turns, REPETITIONS, None, tolerance).values():
            verdicts[ratio.verdict] += 1
            estimates.append(ratio.estimate)
        tell(len(estimates))
    return {"comparisons": len(estimates), "ratio": sorted(estimates)[len(estimates) // 2],
            "verdicts": verdicts}


def judge(found):
    """What does not hold, sentences."""
    wrong, noticed = rate_wrong(found), rate_found(found)
    if wrong > WRONG_MAX:
        yield f"{100 * wrong:.1f} % of the A/A comparisons say slower or faster, at most 1 % may"
    if noticed < FOUND_MIN:
        yield f"{100 * noticed:.1f} % of the delays are found, at least 95 % must be"


def rate_wrong(found):
    verdicts = found["A/A"]["verdicts"]
    return (verdicts[ratios.SLOWER] + verdicts[ratios.FASTER]) / found["A/A"]["comparisons"]


def rate_found(found):
    return found["delayed"]["verdicts"][ratios.SLOWER] / found["delayed"]["comparisons"]


def text(found):
    lines = [f"{'':10} {'comparisons':>11} {'ratio':>6}" + "".join(
        f" {verdict:>11}" for verdict in found["A/A"]["verdicts"])]
    for kind, row in found.items():
        lines.append(f"{kind:10} {row['comparisons']:11} {row['ratio']:6.3f}" + "".join(
            f" {number:11}" for number in row["verdicts"].values()))
    return "\n".join([*lines, sentence(found)]) + "\n"


def sentence(found):
    return (f"Of A/A comparisons {100 * rate_wrong(found):.1f} % say slower or faster; "
            f"of delays of {PER_CENT} % at {POINT} {100 * rate_found(found):.1f} % are found.")
