# SPDX-License-Identifier: MIT
"""Which index, and which quantum? One line for each pair that was measured, from several families
of benchmarks: alloc_free with the allocators of others, trace, fragmentation, txn_alloc."""
import re
from dataclasses import dataclass

import curves
import figures
from answers import Answer, Figure, Table, bench_line, not_run, significant

QUESTION = "Which index and quantum?"
FAMILIES = ("alloc_free/", "latency/", "trace/", "fragmentation/", "txn_alloc/")
FEW, MANY = 10 ** 5, 10 ** 6
ORIGINAL = ("rb-twin", 64)  # two red-black trees of pointers, 64 bytes: what the question is about
NOT_EXACT = ("tlsf",)  # good fit instead of best fit: no answer, but the price of exactness
COMMON_QUANTUM = 64  # that every index allows
PEERS = {"jemalloc": "jemalloc", "mimalloc": "mimalloc", "boost-rbtree": "Boost rbtree_best_fit"}
PARTS = (25, 50, 75, 100)  # percent of a run


@dataclass(frozen=True)
class Measured:
    """The points of a run by what they measure; kinds are (index, quantum)."""
    own: dict  # kind -> {free blocks: point}, sizes 1 to 1024
    peers: dict  # name -> {free blocks: point}, likewise
    traces: dict  # kind -> {trace: point}
    fragmentation: dict  # kind -> point, sizes 1 to 1024
    transactions: dict  # kind -> {strategy: point}
    latency: dict  # kind -> {free blocks: point}, sizes 1 to 1024


def kind_name(kind):
    return f"{kind[0]}, quantum {kind[1]}"


def sort_out(points):
    found = Measured({}, {}, {}, {}, {}, {})
    for name, point in points.items():
        put(found, name, point)
    return found


def put(found, name, point):
    if match := re.fullmatch(r"alloc_free/([^/]+)/quantum:(\d+)/free_blocks:(\d+)", name):
        of_kind(found.own, match)[int(match[3])] = point
    elif match := re.fullmatch(r"alloc_free/([^/]+)/free_blocks:(\d+)", name):
        found.peers.setdefault(match[1], {})[int(match[2])] = point
    elif match := re.fullmatch(r"latency/([^/]+)/quantum:(\d+)/free_blocks:(\d+)", name):
        of_kind(found.latency, match)[int(match[3])] = point
    elif match := re.fullmatch(r"trace/([^/]+)/quantum:(\d+)/([^/]+)", name):
        of_kind(found.traces, match)[match[3]] = point
    elif match := re.fullmatch(r"fragmentation/([^/]+)/quantum:(\d+)/uniform", name):
        found.fragmentation[match[1], int(match[2])] = point
    elif match := re.fullmatch(r"txn_alloc/([^/]+)/([^/]+)/quantum:(\d+)", name):
        kind = match[2], int(match[3])
        found.transactions.setdefault(kind, {})[match[1]] = point


def of_kind(of_kinds, match):
    return of_kinds.setdefault((match[1], int(match[2])), {})


def choice(benches):
    found = sort_out(benches.points)
    if not found.own:
        return not_run("choice", QUESTION, bench_line("alloc_free/|trace/|txn_alloc/|latency/"))
    drawings = [time_figure(found), pages_figure(found)]
    if found.fragmentation:
        drawings.append(fragmentation_figure(found))
    if lost_kinds(found):
        drawings.append(lost_figure(found))
    sentences = [sentence(found, blocks) for blocks in (FEW, MANY)]
    return Answer("choice", QUESTION, [text for text in sentences if text],
                  benches.source(*FAMILIES), drawings, [kinds_table(found), peers_table(found)],
                  tables_shown=1, short=short(found))


def short(found):
    """With as many free blocks as were measured of any."""
    blocks = max(blocks for of_kind in found.own.values() for blocks in of_kind)
    kind = best(found, blocks)
    if kind is None:
        return "No index that is exact was measured."
    text = f"{kind_name(kind)}: the fastest exact one at {figures.short(blocks)} free blocks"
    times = faster(found, kind, blocks, found.own.get(ORIGINAL, {}))
    if times and kind != ORIGINAL:
        text += f", {significant(times, 2)}\u00a0× faster than the original"
    return text + "."


def best(found, blocks):
    """The fastest exact kind with so many free blocks; None where none was measured."""
    exact = [kind for kind, of_kind in found.own.items()
             if kind[0] not in NOT_EXACT and blocks in of_kind]
    return min(exact, key=lambda kind: found.own[kind][blocks].median, default=None)


def sentence(found, blocks):
    kind = best(found, blocks)
    if kind is None:
        return None
    text = (f"With {figures.short(blocks)} free blocks the fastest index that keeps the placement "
            f"exactly is {kind_name(kind)}: "
            f"{significant(found.own[kind][blocks].median)}\u00a0ns for a free and an allocation")
    times = faster(found, kind, blocks, found.own.get(ORIGINAL, {}))
    if times and kind != ORIGINAL:
        text += f", {significant(times, 2)} times faster than {kind_name(ORIGINAL)}"
    times = faster(found, kind, blocks, found.peers.get("boost-rbtree", {}))
    if times:
        text += f", {significant(times, 2)} times faster than Boost's rbtree_best_fit"
    times = faster(found, kind, blocks, found.peers.get("jemalloc", {}))
    if times:
        text += f", {significant(1 / times, 2)} times the time of jemalloc"
    return text + "."


def faster(found, kind, blocks, other):
    """How many times faster than `other` is the kind? None where one of them was not measured."""
    own = found.own[kind].get(blocks)
    return other[blocks].median / own.median if own and blocks in other else None


def cell(value, digits=3):
    return "" if value is None else significant(value, digits)


def counter(point, name):
    return point.counters.get(name) if point else None


def lost_percent(found, kind):
    """Of all traces together: rounding and metadata by what was asked for."""
    of_traces = [point.counters for point in found.traces.get(kind, {}).values()]
    if not of_traces or any("live_bytes" not in counters for counters in of_traces):
        return None
    return 100 * sum(map(lost_bytes, of_traces)) / sum(each["live_bytes"] for each in of_traces)


def lost_bytes(counters):
    return counters["rounding_bytes"] + counters["metadata_bytes"]


HEAD = ("index", "quantum", "ns at 10⁵", "of jemalloc", "rb-twin/64 is", "ns at 10⁶",
        "of jemalloc", "rb-twin/64 is", "pages a pair", "pages an op",
        "pages a hundred", "nodes a pair", "instructions", "tail", "rounding, B", "lost in traces, %", "undo-fsync, µs", "redo-wp, µs")
CAPTION = ("A free and an allocation: processor time with 10⁵ and 10⁶ free blocks, as multiples of "
           "jemalloc's time and of how much slower the original is; pages dirtied, index nodes "
           "read and instructions with as many blocks as were measured; tail: what 99.99 % of "
           "single operations keep to, by the median; bytes lost to rounding per block; rounding "
           "and metadata by what the traces asked for; time in transactions of 100 pairs. Empty: "
           "not measured in this run.")


def kinds_table(found):
    return Table(CAPTION, HEAD, [kind_row(found, kind) for kind in found.own])


def kind_row(found, kind):
    last = found.own[kind][max(found.own[kind])]
    in_transactions = found.transactions.get(kind, {})
    numbers = []
    for blocks in (FEW, MANY):
        own = found.own[kind].get(blocks)
        jemalloc = faster(found, kind, blocks, found.peers.get("jemalloc", {}))
        numbers += [cell(own and own.median), times_cell(jemalloc and 1 / jemalloc),
                    times_cell(faster(found, kind, blocks, found.own.get(ORIGINAL, {})))]
    numbers += [cell(counter(last, "pages_dirtied")), cell(pages_of_operation(last))]
    numbers += [cell(counter(last, name)) for name in
                ("pages_dirtied_100", "nodes_visited", "instructions")]
    of_latency = found.latency.get(kind, {})
    numbers.append(times_cell(counter(of_latency.get(max(of_latency, default=0)), "tail")))
    numbers.append(cell(counter(last, "rounding_bytes")))
    numbers.append(cell(lost_percent(found, kind)))
    for strategy in ("undo-fsync", "redo-wp"):
        point = in_transactions.get(strategy)
        numbers.append(cell(point and point.median / 1e3))
    return (kind[0], str(kind[1]), *numbers)


def pages_of_operation(point):
    """A free and an allocation are one each: the mean of both."""
    halves = [counter(point, "pages_per_free"), counter(point, "pages_per_alloc")]
    return None if None in halves else sum(halves) / 2


def times_cell(value):
    return "" if value is None else f"{significant(value, 2)}\u00a0×"


def peers_table(found):
    rows = [(name, *(cell(of_peer[blocks].median if blocks in of_peer else None)
                     for blocks in (FEW, MANY)),
             cell(counter(of_peer[max(of_peer)], "instructions")))
            for name, of_peer in found.peers.items()]
    return Table("Allocators of others, the same requests", ("allocator", "ns at 10⁵", "ns at 10⁶",
                                                           "instructions"), rows)


def in_common(found):
    """{index: {free blocks: point}} at the quantum that all allow."""
    return {index: of_kind for (index, quantum), of_kind in found.own.items()
            if quantum == COMMON_QUANTUM}


def block_ticks(lines):
    return sorted({blocks for _, x, _, _ in lines for blocks in x})


def time_figure(found):
    lines = [(index, sorted(of_kind), [of_kind[n] for n in sorted(of_kind)], None)
             for index, of_kind in in_common(found).items()]
    lines += [(label, sorted(found.peers[name]),
               [found.peers[name][n] for n in sorted(found.peers[name])], None)
              for name, label in PEERS.items() if name in found.peers]
    drawing = figures.sweep(lines, "choice-time", "Time of a free and an allocation against the "
                            "number of free blocks, by index and beside allocators of others; the "
                            "numbers are in the table below.", "free blocks",
                            "processor ns per free and allocation", block_ticks(lines), log_y=True)
    return Figure(drawing, f"Every index at quantum {COMMON_QUANTUM}, sizes 1 to 1024, beside "
                           "allocators of others in the same run. Bars from the smallest to the "
                           "largest repetition.")


def pages_figure(found):
    lines = [(index, sorted(of_kind),
              [curves.exactly(of_kind[n].counters["pages_dirtied"]) for n in sorted(of_kind)], None)
             for index, of_kind in in_common(found).items()]
    drawing = figures.sweep(lines, "choice-pages", "Pages dirtied by a free and an allocation "
                            "against the number of free blocks; the numbers are in the table.",
                            "free blocks", "pages dirtied per free and allocation",
                            block_ticks(lines))
    return Figure(drawing, f"What a transaction pays for: pages of 4096 bytes that a pair stores "
                           f"to, at quantum {COMMON_QUANTUM}. Counted, not timed.")


def fragmentation_figure(found):
    """Kinds that place alike are one line."""
    alike = {}
    for kind, point in found.fragmentation.items():
        values = tuple(point.counters[f"external_{part}"] for part in PARTS)
        alike.setdefault(tuple(round(value, 1) for value in values), (values, []))[1].append(kind)
    lines = [(alike_name(kinds), PARTS, [curves.exactly(value) for value in values], None)
             for values, kinds in alike.values()]
    drawing = figures.sweep(lines, "choice-fragmentation", "External fragmentation over a long "
                            "run, by index and quantum; the numbers are in the results.",
                            "% of the run", "% of the heap free below its highest block", PARTS,
                            log_x=False)
    return Figure(drawing, "Blocks of changing sizes come and go (bench/fragmentation_bench.cc); "
                           "indexes that place alike are one line. Counted, not timed.")


def alike_name(kinds):
    names = [index for index, _ in kinds]
    quanta = sorted({str(quantum) for _, quantum in kinds}, key=int)
    some = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return f"{some}, {'/'.join(quanta)}"


def lost_kinds(found):
    """The original, and the exact kind that loses least in the traces."""
    lost = {kind: lost_percent(found, kind) for kind in found.traces
            if lost_percent(found, kind) is not None and kind[0] not in NOT_EXACT}
    if ORIGINAL not in lost or len(lost) < 2:
        return None
    return ORIGINAL, min(lost, key=lost.get)


def lost_figure(found):
    kinds = lost_kinds(found)
    lost = {trace: [percent_lost(found.traces[kind][trace]) for kind in kinds]
            for trace in found.traces[ORIGINAL]}
    widest = max(lost, key=lambda trace: max(lost[trace]) / min(lost[trace]))
    words = {widest: [kind_name(kind) for kind in kinds]}
    rows = [figures.Range(trace, min(values), max(values),
                          tuple(zip(values, words.get(trace, ("", "")), ("below", "below"))))
            for trace, values in lost.items()]
    drawing = figures.ranges(rows, "choice-lost", "Memory lost to rounding and metadata in each "
                             "trace; the numbers are in the results.", "% of what was asked for",
                             colours=(1, 2))
    return Figure(drawing, f"Memory lost per recorded trace where it needs most: "
                           f"{kind_name(kinds[0])} beside {kind_name(kinds[1])}, the one that "
                           "loses least of all of them together.")


def percent_lost(point):
    return 100 * lost_bytes(point.counters) / point.counters["live_bytes"]
