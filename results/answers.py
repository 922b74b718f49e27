# SPDX-License-Identifier: MIT
"""The questions the page answers. Each answer is sentences made of numbers, its figures, the
command that gives it again, and the raw numbers; where nothing was measured it says so."""
import re
from collections import defaultdict
from dataclasses import dataclass, field

import curves
import figures
import histograms
from envelopes import Source, source_of
from figures import grouped

PAGES = (1, 4, 16, 64, 256)
LOG_N = "·\u00a0log₂\u00a0N"


@dataclass(frozen=True)
class Figure:
    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    caption: str
    head: tuple
    rows: list
    strong: frozenset = frozenset()  # (row, column) of what stands out

    @property
    def words(self):
        """The columns that hold no numbers."""
        columns = range(1, len(self.head))
        return {column for column in columns
                if all(not row[column][:1].isdigit() for row in self.rows)}


@dataclass(frozen=True)
class Answer:
    name: str  # of the section in the page
    question: str
    sentences: list
    source: Source
    figures: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    tables_shown: int = 0  # of the tables, those that are not folded away
    short: str = ""  # one line of the first table
    state: str = "plain"  # that line is "good", "bad" or "plain"; "missing": nothing was measured

    @property
    def command(self):
        return self.source.command

    @property
    def is_main(self):
        """Asked by those who choose; the others are what stands behind these."""
        return self.name in ("cost", "choice", "peers", "change")


def bench_line(pattern):
    return f"tmf bench --filter '{pattern}' --json FILE"


def not_run(name, question, command):
    return Answer(name, question, ["Not run."], Source(command), short="Not run.", state="missing")


def significant(value, digits=3):
    """A number as a person writes it: no exponent, no digits that mean nothing."""
    return grouped(float(f"{value:.{digits}g}"))


def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{significant(nanoseconds / size)}\u00a0{unit}"
    return f"{significant(nanoseconds)}\u00a0ns"


def percent(share):
    return f"{significant(100 * share, 2)}\u00a0%"


def allocation(benches):
    name, question = "allocation", "How does an allocation's cost grow with the free blocks?"
    families = own_families(benches)
    if not families:
        return not_run(name, question, bench_line("alloc_free/"))
    fits = curves.time_fits(benches.rows)
    nodes = {family: curves.counter_fit(points, "nodes_visited")
             for family, points in families.items()}
    sentences = [allocation_sentence(points, nodes[family], fits[family])
                 for family, points in families.items()]
    return Answer(name, question, sentences, benches.source("alloc_free/"),
                  [time_figure(families, fits), nodes_figure(families, nodes)],
                  [allocation_table(families)])


def own_families(benches):
    """Of our own indexes with sizes 1 to 1024, as many as a figure can show: those that have the
    quantum that all allow, where there are any."""
    families = defaultdict(list)
    for name, point in benches.points.items():
        if re.fullmatch(r"alloc_free/[^/]+/quantum:\d+/free_blocks:\d+", name):
            families[name.rpartition("/")[0]].append(point)
    families = {family: points for family, points in families.items() if len(points) > 1}
    in_common = {family: points for family, points in families.items()
                 if points[0].argument("quantum") == "64"}
    return in_common or families


def family_label(points):
    index = points[0].name.split("/")[1]
    return f"{index}, quantum {points[0].argument('quantum')}"


def allocation_sentence(points, nodes, fit):
    first, last = points[0], points[-1]
    growth = last.counters["free_blocks"] / first.counters["free_blocks"]
    return (f"{family_label(points)}: {duration(first.median)} of the processor per free "
            f"and allocation with {grouped(first.counters['free_blocks'])} free blocks, "
            f"{duration(last.median)} with {grouped(last.counters['free_blocks'])}: "
            f"{significant(last.median / first.median, 2)} times the time for "
            f"{significant(growth, 2)} times the blocks. The index nodes read follow "
            f"{significant(nodes.coefficient)} {LOG_N} with an RMS error of {percent(nodes.rms)}, "
            f"the time {duration(fit.coefficient)} {LOG_N} with {percent(fit.rms)}; that is "
            f"{duration(per_node(first))} for each node read at first, "
            f"{duration(per_node(last))} at last.")


def per_node(point):
    return point.median / point.counters["nodes_visited"]


def free_blocks(points):
    return [point.counters["free_blocks"] for point in points]


def allocation_figure(families, values, fits, name, title, what):
    lines = [(family_label(points), free_blocks(points), [values(point) for point in points],
              fits[family]) for family, points in families.items()]
    description = f"{what} against the number of free blocks; the numbers are in the table below."
    ticks = [10 ** power for power in range(2, 7)]
    return figures.sweep(lines, name, description, "free blocks", title, ticks)


def time_figure(families, fits):
    drawing = allocation_figure(families, lambda point: point, fits, "allocation-time",
                                "processor ns per free and allocation",
                                "Time of a free and an allocation")
    runs = next(iter(families.values()))[0].runs
    return Figure(drawing, f"Median of {runs} repetitions, bars from the smallest to the largest. "
                           f"Dashed: c {LOG_N}, fitted by Google Benchmark.")


def nodes_figure(families, fits):
    def nodes(point):
        return curves.exactly(point.counters["nodes_visited"])
    drawing = allocation_figure(families, nodes, fits, "allocation-nodes",
                                "index nodes read per free and allocation", "Index nodes read")
    return Figure(drawing, "The same work, counted instead of timed: the same number on every "
                           f"machine. Dashed: c {LOG_N}, least squares.")


def allocation_table(families):
    rows = [(point.name, *times(point), *(significant(point.counters[key], 6) for key in
                                          ("free_blocks", "nodes_visited", "pages_dirtied")))
            for points in families.values() for point in points]
    return Table("Per free and allocation", ("benchmark", *TIMES, "free blocks",
                                             "nodes read", "pages dirtied"), rows)


TIMES = ("median", "smallest", "largest")


def times(point):
    return duration(point.median), duration(point.low), duration(point.high)


def commit(benches):
    name, question = "commit", "What does a commit cost, beside what the disk allows?"
    limit = {point.argument("pages"): point for point in benches.series("limit/")}
    strategies = defaultdict(list)
    for point in benches.series("commit/"):
        if point.argument("pages") in limit:
            strategies[point.name.split("/")[1]].append(point)
    if not strategies:
        return not_run(name, question, bench_line("^(commit|limit)/"))
    multiples = {strategy: [curves.multiple(point, limit[point.argument("pages")])
                            for point in points] for strategy, points in strategies.items()}
    sentences = [commit_sentence(strategy, strategies[strategy], multiples[strategy])
                 for strategy in strategies]
    return Answer(name, question, sentences, benches.source("commit/", "limit/"),
                  [latency_figure(strategies, limit), multiples_figure(multiples)],
                  [commit_table(strategies, multiples, limit)])


def commit_sentence(strategy, points, multiples):
    parts = [f"{duration(point.median)} for {pages_of(point)}, {significant(times.median)} times "
             f"the limit" for point, times in zip(points, multiples)]
    return f"{strategy}: {parts[0]}; {parts[-1]}."


def pages_of(point):
    count = point.argument("pages")
    return f"{count} page" if count == "1" else f"{count} pages"


def page_counts(points):
    return [int(point.argument("pages")) for point in points]


def latency_figure(strategies, limit):
    points_of = {**strategies, "limit": list(limit.values())}
    lines = [(label, page_counts(points), [curves.scaled(point, 1e-3) for point in points], None)
             for label, points in points_of.items()]
    drawing = figures.sweep(lines, "commit-latency", "Time of a transaction against the pages it "
                            "writes, beside the limit; the numbers are in the table below.",
                            "scattered pages written", "µs per transaction", PAGES, log_y=True)
    return Figure(drawing, "Limit: one write of as many pages in one piece and one fdatasync, same "
                           "folder, same run. Bars from the smallest to the largest repetition.")


def multiples_figure(multiples):
    lines = [(label, page_counts(points), points, None) for label, points in multiples.items()]
    lines.append(("limit", PAGES, [curves.exactly(1)] * len(PAGES), None))
    drawing = figures.sweep(lines, "commit-multiples", "The same as multiples of the limit; the "
                            "numbers are in the table below.", "scattered pages written",
                            "times the limit", PAGES, log_y=True)
    return Figure(drawing, "Bars: the range that the spreads of both allow.")


def commit_table(strategies, multiples, limit):
    rows = [(point.name, *times(point), "1", "", "", "") for point in limit.values()]
    for strategy, points in strategies.items():
        rows += [(point.name, *times(point), f"{significant(multiple.median)} "
                  f"({significant(multiple.low)} to {significant(multiple.high)})",
                  *(significant(point.counters[key], 6)
                    for key in ("pages_dirtied", "log_bytes", "syncs")))
                 for point, multiple in zip(points, multiples[strategy])]
    return Table("Per transaction", ("benchmark", *TIMES, "times the limit", "pages dirtied",
                                     "log bytes", "syncs"), rows)


def waiting(envelopes):
    name, question = "waiting", "How long do processes wait for each other?"
    chosen = [envelope for envelope in envelopes if envelope.command == "procs"]
    runs = [run for envelope in chosen for run in envelope.runs()]
    if not runs:
        return not_run(name, question, "tmf procs --json FILE")
    waits = [wait for envelope in chosen for wait in envelope.metrics.get("waits", [])
             if wait["kind"] != "all"]  # that is what the runs say
    figures_of_kinds = [waits_figure(waits), *histogram_figure(waits)] if waits else []
    return Answer(name, question, [waiting_sentence(run) for run in runs],
                  source_of(chosen), figures_of_kinds,
                  [rows_table("Waits of tmf procs", waits)] if waits else [])


def waits_figure(waits):
    rows = [wait_range(wait, labelled=n == 0) for n, wait in enumerate(waits)]
    drawing = figures.ranges(rows, "waiting-times", "Waiting times for the lock by kind: median, "
                             "99th percentile and longest; the numbers are in the table below.",
                             "µs")
    return Figure(drawing, "Waits for the lock, by kind. Those below 1 µs are drawn as 1 µs.")


def histogram_figure(waits):
    drawing = histograms.figure(waits, "waiting-histograms")
    return [Figure(drawing, "All waits and holds of these runs: of a hundred, how many took longer "
                            "than that.")] if drawing else []


def wait_range(wait, labelled):
    values = [floored(wait[f"{which}_us"]) for which in ("p50", "p99", "max")]
    words = ("median", "p99", "max") if labelled else ("", "", "")
    return figures.Range(f"{wait['workload']}: {wait['kind']}", values[0], values[2],
                         tuple(zip(values, words, ("left", "below", "right"))))


def floored(microseconds):
    return max(microseconds, 1)


def waiting_sentence(run):
    half, most, longest = (duration(1e3 * run[f"wait_{which}_us"]) for which in
                           ("p50", "p99", "max"))
    return (f"{run['strategy']}, {run['workload']}: {run['processes']} processes, "
            f"{grouped(run['kills'])} killed; half of the waits end within {half}, 99 % within "
            f"{most}, all within {longest}.")


def reading(benches):
    name, question = "reading", "What do begin and end of a read cost?"
    found = benches.series("read/")
    if not found:
        return not_run(name, question, bench_line("read/"))
    rows = [figures.Range(words(point), point.low, point.high,
                          ((point.median, duration(point.median), "below"),)) for point in found]
    drawing = figures.ranges(rows, "reading-times", "Time of begin and end of a read; the numbers "
                             "are in the table below.", "ns per read")
    sentences = [f"{words(point).capitalize()}: {duration(point.median)}." for point in found
                 if not point.argument("threads")]
    sentences += beside_each_other(found)
    numbers = [(point.name, *times(point)) for point in found]
    return Answer(name, question, sentences, benches.source("read/"),
                  [Figure(drawing, f"Median of {found[0].runs} repetitions, lines from the "
                                   "smallest to the largest.")],
                  [Table("Per begin and end", ("benchmark", *TIMES), numbers)])


def words(point):
    threads, pages = point.argument("threads"), point.argument("pages")
    if threads:
        return f"{threads} {'thread' if threads == '1' else 'threads'}, {pages} pages"
    return point.name.rpartition("/")[2].replace("_", " ")


def beside_each_other(reads):
    """How many times as much as one thread two read, by what they look at."""
    by = {(point.argument("threads"), point.argument("pages")): point for point in reads}
    more = [(pages, curves.multiple(one, by["2", pages])) for (threads, pages), one in by.items()
            if threads == "1" and ("2", pages) in by]
    return [f"Two threads read {significant(times.median, 2)}\u00a0× as much as one where a read "
            f"looks at {pages} pages ({significant(times.low, 2)} to {significant(times.high, 2)})."
            for pages, times in more]


def rows_table(caption, rows):
    """Runs of an envelope as they are, but for what is a list in itself."""
    head = tuple(key for key, value in rows[0].items() if not isinstance(value, list))
    return Table(caption, tuple(key.replace("_", " ") for key in head),
                 [tuple(shown(row.get(key, "")) for key in head) for row in rows])


def shown(value):
    return value if isinstance(value, str) else grouped(value)
