# SPDX-License-Identifier: MIT
"""Is the comparison itself right? Two rates: how often it tells a program from itself (A/A), and how
often it notices that one of the two was made 10 % slower, by libfiu at a named point of the library
(bench/delay.h). Everything but the delay is as in any other comparison: processes, turns, statistics.

Each round compares the benchmarks below, PAIRS pairs each; a round is a comparison of each of them,
with the share of alpha that it has in a family of so many."""
import interleaved
import ratios

POINT, PER_CENT = "txn/commit/begin", 10
NAMES = tuple(f"commit/{strategy}/pages:{pages}"
              for strategy in ("redo-declared", "redo-segv") for pages in (1, 4))
PAIRS = 12
PLAN = interleaved.Plan(repetitions=3, min_time=0.002)
WRONG_MAX, FOUND_MIN = 0.01, 0.95


def rates(program, scratch, seed, comparisons, tolerance, tell):
    """Of each kind of comparison: how many there were, and how many got which verdict."""
    environment = {"TMF_BENCH_DURABILITY": "process"}
    slow = dict(environment, TMF_BENCH_DELAY=f"{POINT}={PER_CENT}")
    found = {}
    for kind, delayed in (("A/A", environment), ("delayed", slow)):
        sides = [interleaved.Side(program, folder, settings) for folder, settings in (
            (folder_of(scratch, "old"), environment), (folder_of(scratch, "new"), delayed))]
        found[kind] = count(sides, seed, comparisons, tolerance,
                            lambda done, kind=kind: tell(f"{kind}: {done} of {comparisons}"))
    return found


def folder_of(scratch, name):
    folder = scratch / name
    folder.mkdir(exist_ok=True)
    return folder


def count(sides, seed, comparisons, tolerance, tell):
    verdicts = dict.fromkeys((ratios.SLOWER, ratios.FASTER, ratios.SAME, ratios.UNKNOWN), 0)
    estimates = []
    while len(estimates) < comparisons:
        turns = interleaved.Turns(*sides, NAMES, f"{seed}:{len(estimates)}", PLAN)
        turns.more(PAIRS)
        for name in NAMES:
            ratio = ratios.of_pairs(*turns.times(name), tolerance, share=len(NAMES))
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
    lines.append(f"of A/A comparisons {100 * rate_wrong(found):.1f} % say slower or faster; "
                 f"of delays of {PER_CENT} % at {POINT} {100 * rate_found(found):.1f} % are found")
    return "\n".join(lines) + "\n"
