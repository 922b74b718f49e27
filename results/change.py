# SPDX-License-Identifier: MIT
"""What changed since the last reference? Counters that are the same on every machine are compared
exactly. Times of two runs are compared where both come from one kind of machine, and named slower
or faster only where no repetition of one reaches any of the other: `tmf compare` measures both in
one run, and decides. Where a result of that is given, it is what is shown."""
from dataclasses import dataclass

import curves
from answers import Answer, Table, duration, not_run, significant
from envelopes import Source, source_of

NAME, QUESTION = "change", "What changed since the last reference?"
AGAIN = "tmf compare --revisions OLD NEW --json FILE"
TOLERANCE = 1.05
EXACT = ("nodes_visited", "pages_dirtied", "pages_dirtied_100", "log_bytes", "syncs",
         "rounding_bytes", "metadata_bytes", "external_100")
# Counted over as many transactions as time allowed; or of peers, whose versions are not ours.
NOT_EXACT_IN = ("strategy/", "engine/", "split/", "floor/", "commits/", "recovery/")
WORDS = ("slower", "faster", "same", "cannot tell")


@dataclass(frozen=True)
class Change:
    name: str
    old: object
    new: object
    ratio: object  # a point: new by old
    verdict: str


def answer(loaded, benches, reference):
    """reference: Benches, or None. loaded: all envelopes."""
    compared = [envelope for envelope in loaded if envelope.command == "compare"]
    rows = [row for envelope in compared for row in envelope.metrics.get("benchmarks", [])]
    if rows:
        return decided(compared, rows)
    common = [name for name in benches.points if reference and name in reference.points]
    if not common:
        return not_run(NAME, QUESTION, AGAIN)
    changes = [change_of(reference.points[name], benches.points[name]) for name in common]
    counters = [row for name in common
                for row in counter_rows(reference.points[name], benches.points[name])]
    alike = machine(reference) == machine(benches)
    return Answer(NAME, QUESTION, sentences(changes if alike else [], counters, reference, alike),
                  source(common, benches, reference), tables=[*([times_table(changes)] if alike else []),
                                 *([counters_table(counters)] if counters else [])],
                  tables_shown=0, short=short(changes if alike else [], counters),
                  state=state(changes if alike else [], counters))


def source(common, benches, reference):
    """Both measured again, each by its own revision; and the line that decides."""
    sides = [each.source(*common) for each in (reference, benches)]
    revisions = [revision(each) for each in (reference, benches)]
    lines = dict.fromkeys(f"{side.command}  # at {of}" for side, of in zip(sides, revisions))
    return Source("\n".join((*lines, f"tmf compare --revisions {' '.join(revisions)}")),
                  tuple(dict.fromkeys(sides[0].disturbances + sides[1].disturbances)))


def revision(benches):
    return benches.envelopes[0].environment.get("revision", "unknown")


# ---- what tmf compare has decided

def decided(compared, rows):
    counts = {word: sum(row["verdict"] == word for row in rows) for word in WORDS}
    text = f"tmf compare, {len(rows)} benchmarks: " + counted(counts) + "."
    table = Table("New by old, as tmf compare has measured both in one run",
                  ("benchmark", "ratio", "interval", "verdict"),
                  [(row["run_name"], number(row["estimate"]),
                    f"{number(row['low'])} to {number(row['high'])}", row["verdict"])
                   for row in rows])
    return Answer(NAME, QUESTION, [text], source_of(compared),
                  tables=[table], short=text, state="bad" if counts["slower"] else "good")


def number(value):
    """Too few repetitions have an interval without end."""
    return "?" if value is None else significant(value, 4)


def counted(counts):
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


# ---- two runs

def machine(benches):
    environment = benches.envelopes[0].environment
    system = environment.get("file_system", {})
    return (environment.get("processor"), environment.get("cores"), environment.get("kernel"),
            system.get("type"), system.get("device"))


def change_of(old, new):
    of_times = curves.multiple(new, old)
    if of_times.low > TOLERANCE:
        word = "slower"
    elif of_times.high < 1 / TOLERANCE:
        word = "faster"
    elif 1 / TOLERANCE < of_times.low and of_times.high < TOLERANCE:
        word = "same"
    else:
        word = "cannot tell"
    return Change(new.name, old, new, of_times, word)


def counter_rows(old, new):
    if new.name.startswith(NOT_EXACT_IN):
        return []
    return [(new.name, key.replace("_", " "), significant(old.counters[key], 6),
             significant(new.counters[key], 6)) for key in EXACT
            if key in old.counters and key in new.counters
            and abs(old.counters[key] - new.counters[key]) > 1e-9 * abs(old.counters[key])]


def short(changes, counters):
    counts = {word: sum(change.verdict == word for change in changes) for word in WORDS}
    parts = [f"{len(changes)} times: {counted(counts)}"] if changes else []
    parts.append(f"{len(counters)} counters differ" if counters else "no counter differs")
    return "; ".join(parts).capitalize() + "."


def state(changes, counters):
    return "bad" if any(change.verdict == "slower" for change in changes) or counters else "good"


def sentences(changes, counters, reference, alike):
    said = [f"The reference is revision {revision(reference)}. {short(changes, counters)}"]
    if not alike:
        said.append("It was measured on another kind of machine, so its times are not compared.")
    said += [f"{change.name}: {significant(change.ratio.median)}\u00a0× the time of then."
             for change in sorted(changes, key=lambda change: -change.ratio.median)[:5]
             if change.verdict == "slower"]
    said.append("Times of two runs drift with the machine: what counts as slower or faster here "
                "is to be measured again by tmf compare, which runs both revisions side by side.")
    return said


def times_table(changes):
    order = {word: n for n, word in enumerate(WORDS)}
    rows = [(change.name, change.verdict, duration(change.old.median), duration(change.new.median),
             significant(change.ratio.median, 3),
             f"{significant(change.ratio.low, 3)} to {significant(change.ratio.high, 3)}")
            for change in sorted(changes, key=lambda change: order[change.verdict])]
    return Table("Times, then and now", ("benchmark", "verdict", "then", "now", "now by then",
                                         "range"), rows)


def counters_table(rows):
    return Table("Counters that differ", ("benchmark", "counter", "then", "now"), rows)
