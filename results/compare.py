# SPDX-License-Identifier: MIT
"""tmf compare: is NEW slower than OLD? Two results of tmf bench, or two revisions that are built and
measured in turns. Called by harness/compare.c, which puts what is written to --metrics into the
envelope. Exits 0 where there is a verdict on everything that could be compared, whatever it is; 2
for wrong words, 3 where it cannot run."""
import argparse
import dataclasses
import json
import pathlib
import sys

try:
    import ratios
except ImportError as missing:
    print(f"tmf compare: {missing}: apt install python3-numpy python3-scipy", file=sys.stderr)
    sys.exit(3)
import envelopes
import gate
import interleaved
import looks
import revisions
import tables

# Counted, not timed: the same number on every machine, unless they depend on the time they are given.
COUNTERS = ("nodes_visited", "pages_dirtied", "pages_dirtied_100", "pages_per_free",
            "pages_per_alloc", "instructions", "log_bytes", "syncs", "rounding_bytes",
            "metadata_bytes", "high_water_bytes", "max_nodes", "p99_99_nodes")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tmf compare")
    parser.add_argument("words", nargs="*")
    for name in ("metrics", "junit", "markdown"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    for name in ("scratch", "source", "program"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    parser.add_argument("--revisions", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--filter", default="commit/")
    parser.add_argument("--tolerance", type=float, default=5)
    parser.add_argument("--repetitions", type=int, default=64)
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--time", type=float, help="seconds of measuring, not of building")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def tell(sentence):
    if sys.stderr.isatty():
        print(f"\r\033[Kcompare: {sentence}", end="", file=sys.stderr, flush=True)


def rows_of(path):
    """Of a result of bench: the runs of each benchmark, and of those that failed what they said."""
    envelope = envelopes.load(path)
    if envelope.command != "bench":
        raise envelopes.Malformed(f"{path} is a result of tmf {envelope.command}, not of bench")
    rows, broken = {}, {}
    for row in envelope.metrics.get("benchmarks", ()):
        if row.get("error_occurred"):
            broken[row["run_name"]] = row.get("error_message", "it failed")
        elif row["run_type"] == "iteration":
            rows.setdefault(row["run_name"], []).append(row)
    return rows, broken


def compare_files(paths, tolerance):
    (old, _), (new, broken) = map(rows_of, paths)
    names = [name for name in old if name in new]
    if not names:
        raise envelopes.Malformed(f"{paths[0]} and {paths[1]} have no benchmark in common")
    compared = []
    for name in names:
        times = [[interleaved.time_of(row) for row in side[name]] for side in (old, new)]
        ratio = ratios.of_times(*times, tolerance, share=len(names))
        compared.append(entry(name, ratio, old[name], new[name]))
    return {"benchmarks": compared, "paired": False, **only(old, new),
            "broken": {name: said for name, said in broken.items() if name in old}}


def only(old, new):
    return {"only_old": [name for name in old if name not in new],
            "only_new": [name for name in new if name not in old]}


def compare_revisions(options, tolerance):
    sides = [revisions.side(options.source, revision, options.scratch / name, tell)
             for revision, name in zip(options.words, ("old", "new"))]
    old, new = (side.names(options.filter) for side in sides)
    names = [name for name in old if name in new]
    if not names:
        raise envelopes.Malformed(f"no benchmark of both revisions matches {options.filter}")
    pinned = interleaved.pin_alike(sides)
    turns = interleaved.Turns(*sides, names, options.seed)
    found = looks.judge(turns, options.repetitions, options.time, tolerance, tell)
    compared = [entry(name, found[name], *turns.rows[name]) for name in names]
    return {"benchmarks": compared, "paired": True, "pairs": turns.pairs, "pinned": pinned,
            "commits": [side.commit for side in sides], **only(old, new)}


def entry(name, ratio, old, new):
    return {"run_name": name, **dataclasses.asdict(ratio), "counters": counters(old, new)}


def counters(old, new):
    """Those that are the same in every run of a side, and differ between the sides: [old, new]."""
    found = {}
    for key in COUNTERS:
        sides = [{row.get(key) for row in rows} for rows in (old, new)]
        constant = all(len(side) == 1 and None not in side for side in sides)
        if constant and min(len(old), len(new)) > 1 and sides[0] != sides[1]:
            found[key] = [side.pop() for side in sides]
    return found


def failures(metrics):
    for row in metrics["benchmarks"]:
        what = []
        if row["verdict"] == ratios.SLOWER:
            what.append(f"slower: {row['estimate']:.3f} times, "
                        f"between {row['low']:.3f} and {row['high']:.3f}")
        what += [f"{key} rose from {old:.10g} to {new:.10g}"
                 for key, (old, new) in row["counters"].items() if new > old]
        if what:
            yield {"case": row["run_name"], "what": "\n".join(what)}
    for name, said in metrics.get("broken", {}).items():
        yield {"case": name, "what": f"failed, where the old one did not: {said}"}


def self_test(options, tolerance):
    found = gate.rates(options.program, options.scratch, options.seed, options.comparisons,
                       tolerance, tell)
    return {"self_test": found, "cases": sum(row["comparisons"] for row in found.values()),
            "failures": [{"case": "the gate", "what": what} for what in gate.judge(found)],
            "text": gate.text(found)}


def compare(options, tolerance):
    metrics = (compare_revisions(options, tolerance) if options.revisions
               else compare_files(options.words, tolerance))
    failed = list(failures(metrics))
    if options.junit:
        tables.write_junit(options.junit, metrics, failed)
    if options.markdown:
        options.markdown.write_text(tables.markdown(metrics), encoding="utf-8")
    return {**metrics, "tolerance": tolerance, "alpha": ratios.ALPHA,
            "cases": len(metrics["benchmarks"]), "failures": failed, "text": tables.text(metrics)}


def main():
    options = parse(sys.argv[1:])
    tolerance = options.tolerance / 100
    try:
        metrics = self_test(options, tolerance) if options.self_test else compare(options, tolerance)
        options.metrics.write_text(json.dumps(tables.finite(metrics)), encoding="utf-8")
    except (envelopes.Malformed, revisions.Unknown) as error:
        print(f"tmf compare: {error}", file=sys.stderr)
        return 2
    except (interleaved.Failed, revisions.Unbuilt, OSError) as error:
        print(f"tmf compare: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
