# SPDX-License-Identifier: MIT
"""The strategy study, strategy/STRATEGY/DURABILITY/LOCALITY/arena_mib:A/pages:K: what a transaction
costs, as a multiple of the limit of the same run, and what that consists of; who overtakes whom."""
import re
from collections import defaultdict
from dataclasses import dataclass

import crossover
import curves
import figures
from answers import Answer, Figure, Table, bench_line, duration, not_run, significant

NAME, QUESTION = "cost", "What does it cost?"
USUAL = ("sync", "scattered", 160)
CONTROL = "none"
PERCENTILES = ("p50", "p90", "p99", "p99_9")
PARTS = ("fault", "find", "copy", "log", "sync", "publish", "lock")
SPLIT_PAGES = 64
CERTAIN = 0.95  # share of the draws
TIMES = "\u00a0×"


@dataclass(frozen=True)
class Study:
    places: dict  # (durability, locality, MiB) -> {strategy: {pages: point}}
    limits: dict  # durability -> {pages: point}


def sort_out(points):
    places = defaultdict(lambda: defaultdict(dict))
    limits = defaultdict(dict)
    for name, point in points.items():
        if match := re.fullmatch(r"strategy/limit/([^/]+)/pages:(\d+)", name):
            limits[match[1]][int(match[2])] = point
        elif match := re.fullmatch(r"strategy/([^/]+)/([^/]+)/([^/]+)/arena_mib:(\d+)/pages:(\d+)",
                                   name):
            place = match[2], match[3], int(match[4])
            places[place][match[1]][int(match[5])] = point
    return Study(places, limits)


def answer(benches):
    study = sort_out(benches.points)
    if not study.places:
        return not_run(NAME, QUESTION, bench_line("strategy"))
    usual = study.places.get(USUAL, {})
    limit = study.limits.get(USUAL[0], {})
    crossings = all_crossings(study)
    first, *others = multiple_tables(study)
    shown = [first, *crossing_tables(crossings)[:1]]
    return Answer(NAME, QUESTION, [short(usual, limit), *crossing_sentences(crossings)],
                  benches.source("strategy/"), drawings(study, usual, limit),
                  [*shown, *others, *crossing_tables(crossings)[1:], *number_tables(study)],
                  tables_shown=len(shown), short=short(usual, limit))


def trusted(of_strategies):
    """Without the control, which keeps no promise that would cost anything."""
    return {name: points for name, points in of_strategies.items() if name != CONTROL}


def multiples(points, limit):
    return {pages: curves.multiple(point, limit[pages]) for pages, point in points.items()
            if pages in limit}


def times(point):
    return f"{significant(point.median)}{TIMES}"


# ---- sentences

def short(usual, limit):
    """By the medians; what the repetitions leave open is in the table of who overtakes whom."""
    parts = []
    for pages, name in fastest_from(usual):
        of_name = multiples(usual[name], limit)
        parts.append(f"from {pages_of(pages)} on {name}"
                     + (f" ({times(of_name[pages])} the limit)" if pages in of_name else ""))
    if not parts:
        return "The usual place (sync, scattered, 160\u00a0MiB) was not measured."
    return f"The fastest by the pages that a transaction writes: {', '.join(parts)}."


def fastest_from(of_strategies):
    """[(pages, name)] from how many on who is the fastest of those that keep their promise."""
    of_strategies = trusted(of_strategies)
    changes = []
    for pages, name in crossover.fastest(of_strategies) if of_strategies else ():
        if not changes or changes[-1][1] != name:
            changes.append((pages, name))
    return changes


def pages_of(count):
    return "1\u00a0page" if count == 1 else f"{figures.grouped(count)}\u00a0pages"


def crossing_sentences(crossings):
    """Of the usual place, those that are certain."""
    found = [each for place, each in crossings if place == USUAL and is_certain(each)]
    if not found:
        return []
    words = [f"{each.after} overtakes {each.before} at {significant(each.at, 2)} pages "
             f"({significant(each.low, 2)} to {significant(each.high, 2)})" for each in found]
    return [f"In that place {'; '.join(words)}."]


def is_certain(crossing):
    return crossing.support >= CERTAIN


def all_crossings(study):
    """Of those that keep their promise, in every place."""
    return [(place, each) for place, of_strategies in study.places.items()
            for each in crossover.of_all(trusted(of_strategies))]


# ---- tables

def place_name(place):
    durability, locality, arena = place
    size = f"{arena // 1024}\u00a0GiB" if arena % 1024 == 0 else f"{arena}\u00a0MiB"
    return f"{durability}, {locality}, {size}"


def multiple_tables(study):
    """The usual place first."""
    places = sorted(study.places, key=lambda place: place != USUAL)
    return [multiple_table(place, study.places[place], study.limits.get(place[0], {}))
            for place in places]


def multiple_table(place, of_strategies, limit):
    counts = sorted({pages for points in of_strategies.values() for pages in points})
    rows = [(name, *(shown_multiple(points.get(pages), limit.get(pages)) for pages in counts))
            for name, points in of_strategies.items()]
    rows.append(("the limit", *(duration(limit[pages].median) if pages in limit else ""
                                for pages in counts)))
    caption = (f"Median transaction by the pages it writes, as a multiple of the limit: "
               f"{place_name(place)}. Strong: the fastest that keeps its promise. The limit: one "
               "write of as many pages in one piece, and one sync where there is any.")
    return Table(caption, ("strategy", *(pages_of(pages) for pages in counts)), rows,
                 fastest_cells(of_strategies, counts))


def shown_multiple(point, limit):
    return times(curves.multiple(point, limit)) if point and limit else ""


def fastest_cells(of_strategies, counts):
    cells = set()
    for column, pages in enumerate(counts, 1):
        measured = [(points[pages].median, row) for row, (name, points)
                    in enumerate(of_strategies.items()) if pages in points and name != CONTROL]
        cells.update([(min(measured)[1], column)] if measured else [])
    return frozenset(cells)


def crossing_tables(crossings):
    """Of the usual place, and of the others."""
    groups = ([pair for pair in crossings if pair[0] == USUAL],
              [pair for pair in crossings if pair[0] != USUAL])
    return [crossing_table(group) for group in groups if group]


def crossing_table(crossings):
    rows = [(place_name(place), each.before, each.after, significant(each.at, 2),
             f"{significant(each.low, 2)} to {significant(each.high, 2)}",
             f"{100 * each.support:.0f}\u00a0%") for place, each in crossings]
    strong = frozenset((n, 3) for n, (_, each) in enumerate(crossings) if is_certain(each))
    return Table("Who overtakes whom: a straight line between the logarithms of the medians on "
                 "both sides, and what 95 % of 2000 draws of the repetitions say of it. Last: the "
                 "share of the draws in which it happens at all; below 95 % nothing is claimed, "
                 "the others are strong.",
                 ("where", "faster until then", "faster from then on", "at so many pages",
                  "95 % of draws", "certainty"), rows, strong)


def number_tables(study):
    return [latency_table(study), split_table(study)]


def every_point(study):
    for durability, of_pages in study.limits.items():
        for pages, point in of_pages.items():
            yield durability, pages, point
    for (durability, _, _), of_strategies in study.places.items():
        for points in of_strategies.values():
            for pages, point in points.items():
                yield durability, pages, point


def counter(point, name, digits=4):
    value = point.counters.get(name)
    return "" if value is None else significant(value, digits)


def throughput(point, limit):
    """Of the limit's; more is better."""
    own = point.counters.get("per_second")
    of_limit = limit.counters.get("per_second") if limit else None
    return significant(own / of_limit) if own and of_limit else ""


def latency_table(study):
    rows = [(point.name, *(counter(point, f"{which}_us") for which in PERCENTILES),
             f"{duration(point.low)} to {duration(point.high)}", counter(point, "per_second"),
             throughput(point, study.limits.get(durability, {}).get(pages)),
             counter(point, "transactions"))
            for durability, pages, point in every_point(study)]
    return Table("Latency in µs and throughput. Empty: too few transactions for that percentile",
                 ("benchmark", "p50", "p90", "p99", "p99.9", "p50 of all repetitions",
                  "per second", "of the limit's", "transactions"), rows)


def split_table(study):
    keys = (*(f"{part}_us" for part in PARTS), "mean_us")
    rows = [(point.name, *(counter(point, key, 3) for key in keys),
             *(counter(point, key) for key in ("pages_dirtied", "log_bytes", "syncs")))
            for _, _, point in every_point(study) if "fault_us" in point.counters]
    return Table("What a transaction consists of, µs in the mean",
                 ("benchmark", *PARTS, "whole", "pages dirtied", "log bytes", "syncs"), rows)


# ---- figures

def drawings(study, usual, limit):
    found = []
    if usual and limit:
        found = [multiples_figure(usual, limit), tails_figure(usual), split_figure(usual)]
    return [drawing for drawing in (*found, *place_figures(study)) if drawing]


def multiples_figure(usual, limit):
    lines = []
    for name, points in usual.items():
        of_name = multiples(points, limit)
        lines.append((name, sorted(of_name), [of_name[pages] for pages in sorted(of_name)], None))
    lines = [line for line in lines if line[1]]
    ticks = sorted({pages for line in lines for pages in line[1]})
    drawing = figures.sweep(lines, "cost-multiples", "Median time of a transaction as a multiple "
                            "of the limit, by strategy, against the pages it writes; the numbers "
                            "are in the table below.", "pages written",
                            "times the limit", ticks, log_y=True, level=("the limit", 1))
    return Figure(drawing, f"Lower is better. {place_name(USUAL)}. Bars: the range that the "
                           "repetitions of both allow.")


def tails_figure(usual):
    """Of each strategy with one page, where the tail is longest beside the median."""
    pages = 1
    rows = []
    for name, points in usual.items():
        values = [points[pages].counters.get(f"{which}_us") for which in PERCENTILES
                  ] if pages in points else []
        values = [value for value in values if value]
        if len(values) > 1:
            words = ["p50", "p90", "p99", "p99.9"][:len(values)] if not rows else [""] * 4
            rows.append(figures.Range(name, values[0], values[-1],
                                      tuple(zip(values, words,
                                                ["left", "below", "below", "right"]))))
    if not rows:
        return None
    drawing = figures.ranges(rows, "cost-tails", "Percentiles of a transaction that writes one "
                             "page, by strategy; the numbers are in the table below.",
                             "µs per transaction", (0, 0, 0, 0))
    return Figure(drawing, f"Single transactions of one page, not their mean: median, 90th, 99th "
                           f"and 99.9th percentile. {place_name(USUAL)}.")


def split_figure(usual):
    rows = [(name, [points[SPLIT_PAGES].counters.get(f"{part}_us", 0) for part in PARTS])
            for name, points in usual.items() if SPLIT_PAGES in points]
    if not rows:
        return None
    drawing = figures.stacked(rows, PARTS, "cost-split", f"What a transaction of {SPLIT_PAGES} "
                              "pages consists of, by strategy; the numbers are in the table below.",
                              "% of a transaction")
    return Figure(drawing, f"Where the time of {SPLIT_PAGES} pages goes: storing with page faults, "
                           "finding the pages, copying and comparing, writing the log, syncing it, "
                           f"publishing into the .odb, locks. {place_name(USUAL)}.")


def place_figures(study):
    """The same transaction elsewhere: larger arenas."""
    by_arena = defaultdict(dict)
    for (durability, locality, arena), of_strategies in study.places.items():
        if (durability, locality) != USUAL[:2]:
            continue
        for name, points in of_strategies.items():
            if SPLIT_PAGES in points:
                by_arena[name][arena] = points[SPLIT_PAGES]
    lines = [(name, sorted(points), [curves.scaled(points[arena], 1e-3) for arena in sorted(points)],
              None) for name, points in by_arena.items() if len(points) > 1]
    if not lines:
        return []
    ticks = sorted({arena for _, arenas, _, _ in lines for arena in arenas})
    drawing = figures.sweep(lines, "cost-arena", f"Median time of a transaction of {SPLIT_PAGES} "
                            "pages against the size of the arena, by strategy; the numbers are in "
                            "the table below.", "MiB of arena", "µs per transaction", ticks,
                            log_y=True)
    return [Figure(drawing, f"Does a larger arena cost more? {SPLIT_PAGES} scattered pages, sync. "
                            "Bars from the smallest to the largest repetition.")]
