# SPDX-License-Identifier: MIT
"""How it compares with the peers: engine/ENGINE/WORK, the same work by each in the same run. The
default strategy, with the durability of its name, beside the peers whose commits outlive the same;
whoever is faster than it is named first. Ratios are taken within each repetition, so that a disk
that drifts does not come into them."""
import re
from collections import defaultdict
from dataclasses import dataclass

import curves
import figures
from answers import Answer, Figure, Table, bench_line, duration, not_run, significant

NAME, QUESTION = "peers", "How does it compare with the peers?"
OUTLIVES = {"power loss": "survive power loss", "kill": "survive the death of the process alone"}
OWN_DURABILITY = {"power loss": "sync", "kill": "process"}
USUAL_DEFAULT = "redo-wp"
TIMES = "\u00a0×"


@dataclass(frozen=True)
class Race:
    """One work by all engines whose commits outlive the same; a control outlives nothing."""
    work: str
    outlives: str
    own: object  # tmf's point
    ways: dict  # every strategy and way to open that was measured: name without tmf- -> point
    peers: dict  # name -> point
    controls: dict


def works(rows):
    """{work: {engine: point}}; and the reads of a work that has both, as one of its own."""
    found = defaultdict(dict)
    reads = defaultdict(list)
    for name, point in curves.points(rows).items():
        if name.startswith("engine/") and name.count("/") > 1:
            _, engine, work = name.split("/", 2)
            found[work][engine] = point
    for row in rows:
        if row["run_type"] == "iteration" and "read_ns" in row and not row.get("error_occurred"):
            reads[row["run_name"]].append(row)
    for name, runs in reads.items():
        _, engine, work = name.split("/", 2)
        found[f"{work} reads"][engine] = curves.of_times(name, [run["read_ns"] for run in runs],
                                                        runs[0].get("label", ""))
    return found


def races(rows):
    found = works(rows)
    default = default_strategy(found)
    return [race for outlives in OUTLIVES for work, engines in found.items()
            if (race := race_of(work, outlives, engines, default))]


def default_strategy(found):
    """Of it alone more was measured than pages."""
    for engines in found.values():
        for engine in engines:
            if match := re.fullmatch(r"tmf-(.+)-sync-exclusive", engine):
                return match[1]
    return USUAL_DEFAULT


def race_of(work, outlives, engines, default):
    """None where tmf or every peer is missing."""
    own = engines.get(f"tmf-{default}-{OWN_DURABILITY[outlives]}")
    ways = {re.sub(r"^tmf-|-(sync|process)(?=-|$)", "", name): point
            for name, point in engines.items()
            if re.match(rf"tmf-.*-{OWN_DURABILITY[outlives]}(-|$)", name)
            and point.label == f"survives {outlives}"}
    others = {name: point for name, point in engines.items() if not name.startswith("tmf-")}
    peers = {name: point for name, point in others.items()
             if point.label == f"survives {outlives}"}
    controls = {name: point for name, point in others.items()
                if point.label == "survives nothing" and outlives == "power loss"}
    return Race(work, OUTLIVES[outlives], own, ways, peers, controls) if own and peers else None


def ratio_of(point, own):
    """How many times the own time; low and high are the smallest and largest of a repetition."""
    if len(point.times) != len(own.times):
        return curves.multiple(point, own)
    return curves.of_times(point.name, [of_peer / of_own for of_peer, of_own
                                        in zip(point.times, own.times)])


def ratio(race, peer):
    return ratio_of(race.peers[peer], race.own)


def verdict(of_times):
    if of_times.low > 1:
        return "tmf"
    return "peer" if of_times.high < 1 else "tie"


def answer(benches):
    found = races(benches.rows)
    if not found:
        return not_run(NAME, QUESTION, bench_line("^engine/"))
    losses = [(race, peer) for race in found for peer in race.peers
              if verdict(ratio(race, peer)) == "peer"]
    ties = sum(verdict(ratio(race, peer)) == "tie" for race in found for peer in race.peers)
    duels = sum(len(race.peers) for race in found)
    return Answer(NAME, QUESTION, sentences(found, losses), benches.source("engine/"),
                  drawings(found), [*(race_table(found, what) for what in kinds(found)),
                                    numbers_table(benches)], tables_shown=len(kinds(found)),
                  short=short(duels, ties, losses), state="bad" if losses else "good")


def kinds(found):
    return list(dict.fromkeys(race.outlives for race in found))


def short(duels, ties, losses):
    text = f"tmf is faster in {duels - ties - len(losses)} of {duels} comparisons"
    if ties:
        text += f", as fast as far as can be told in {ties}"
    if not losses:
        return text + "; no peer wins."
    still = len(lost_anyway(losses))
    return (f"{text}; a peer wins {len(losses)}: {', '.join(lost_to(losses))}. With tmf's fastest "
            f"strategy and way to open for each, a peer wins {still or 'none'}.")


def lost_to(losses):
    """Of each peer how often, and where by how much at most."""
    for peer in dict.fromkeys(name for _, name in losses):
        own = [loss for loss in losses if loss[1] == peer]
        race, _ = worst = min(own, key=lambda loss: ratio(*loss).median)
        yield (f"{peer} {len(own)} (the most in {work_words(race.work)}, "
               f"{significant(1 / ratio(*worst).median, 2)}{TIMES})")


def lost_anyway(losses):
    """Those in which not even the fastest way of tmf is as fast as the peer."""
    return [(race, peer) for race, peer in losses
            if verdict(ratio_of(race.peers[peer], race.ways[fastest_way(race)])) == "peer"]


def fastest_way(race):
    return min(race.ways, key=lambda name: race.ways[name].median)


def loss_words(loss):
    race, peer = loss
    faster = 1 / ratio(race, peer).median
    return f"{peer} in {work_words(race.work)}, {significant(faster, 2)}{TIMES} faster"


def work_words(work):
    return work.replace("/", " ").replace(":", "\u00a0")


def sentences(found, losses):
    said = [f"{loss_words(loss)} ({duration(loss[0].peers[loss[1]].median)}, tmf "
            f"{duration(loss[0].own.median)})." for loss in losses]
    if losses:
        still = lost_anyway(losses)
        said.append(f"Of these {len(losses)}, tmf is at least as fast in {len(losses) - len(still)} "
                    "with the strategy and the way to open that suit the work (the tables name them).")
    for peer in dict.fromkeys(name for race in found for name in race.peers):
        ratios = [(ratio(race, peer).median, race) for race in found if peer in race.peers]
        (least, where), (most, elsewhere) = min(ratios, key=by_ratio), max(ratios, key=by_ratio)
        said.append(f"{peer} takes {significant(least, 2)}{TIMES} tmf's time "
                    f"({work_words(where.work)}) to {significant(most, 2)}{TIMES} "
                    f"({work_words(elsewhere.work)}).")
    return said


def by_ratio(pair):
    return pair[0]


def race_table(found, what):
    chosen = [race for race in found if race.outlives == what]
    names = list(dict.fromkeys(name for race in chosen for name in (*race.peers, *race.controls)))
    rows = [(work_words(race.work), winner(race), duration(race.own.median),
             f"{fastest_way(race)}, {duration(race.ways[fastest_way(race)].median)}",
             *(shown(race, name) for name in names)) for race in chosen]
    strong = frozenset((n, 1) for n, row in enumerate(rows) if not row[1].startswith("tmf"))
    controls = {name for race in chosen for name in race.controls}
    head = [name + (", a control" if name in controls else "") for name in names]
    return Table(f"Time of a transaction of engines whose commits {what}, and how many times tmf's "
                 "time that is. A winner is one that is faster in every repetition.",
                 ("work", "winner", "tmf", "fastest tmf", *head), rows, strong)


def winner(race):
    """Among all, by the medians; named alone only where the spreads leave no doubt."""
    best = min(race.peers, key=lambda name: race.peers[name].median)
    said = verdict(ratio(race, best))
    return {"tmf": "tmf", "peer": best, "tie": f"tmf or {best}"}[said]


def shown(race, name):
    point = race.peers.get(name) or race.controls.get(name)
    if point is None:
        return ""
    of_times = ratio_of(point, race.own)
    return f"{duration(point.median)}, {significant(of_times.median)}{TIMES}"


def numbers_table(benches):
    points = benches.series("engine/")
    counters = list(dict.fromkeys(name for point in points for name in point.counters))
    rows = [(point.name, duration(point.median), duration(point.low), duration(point.high),
             *(significant(point.counters[name], 4) if name in point.counters else ""
               for name in counters)) for point in points]
    return Table("Engines, and what else was counted", ("benchmark", "median", "smallest", "largest",
                 *(name.replace("_", " ") for name in counters)), rows)


# ---- figures

def drawings(found):
    drawn = [pages_figure(found, what) for what in kinds(found)]
    drawn += [ratios_figure(found, what) for what in kinds(found)]
    return [drawing for drawing in drawn if drawing]


def pages_figure(found, what):
    series = defaultdict(dict)
    for race in found:
        count = pages_of(race)
        if race.outlives != what or count is None:
            continue
        for name, point in {"tmf": race.own, **race.peers, **race.controls}.items():
            series[name][int(count)] = curves.scaled(point, 1e-3)
    lines = [(name, sorted(points), [points[n] for n in sorted(points)], None)
             for name, points in series.items() if len(points) > 1]
    if not lines:
        return None
    ticks = sorted({count for line in lines for count in line[1]})
    drawing = figures.sweep(lines, f"peers-pages-{kind_id(what)}", "Time of a transaction against "
                            f"the pages it writes, by engine, commits that {what}; the numbers are "
                            "in the table below.", "scattered pages written",
                            "µs per transaction", ticks, log_y=True)
    return Figure(drawing, f"Lower is better. Engines whose commits {what}. Bars from the smallest "
                           "to the largest repetition.")


def ratios_figure(found, what):
    rows = []
    for race in found:
        if race.outlives == what and pages_of(race) is None:
            rows += [ratio_range(race, peer) for peer in race.peers]
    if not rows:
        return None
    drawing = figures.ranges(rows, f"peers-work-{kind_id(what)}", "How many times tmf's time each "
                             f"peer takes for each work, commits that {what}; the numbers are in "
                             "the table below.", "times tmf's time", mark=1)
    return Figure(drawing, f"Right of 1: tmf is faster. Engines whose commits {what}. Lines: what "
                           "the repetitions of both allow.")


def ratio_range(race, peer):
    of_times = ratio(race, peer)
    return figures.Range(f"{work_words(race.work)}: {peer}", of_times.low, of_times.high,
                         ((of_times.median, f"{significant(of_times.median)}{TIMES}", "below"),))


def pages_of(race):
    return race.own.argument("pages")


def kind_id(what):
    return "power" if what == OUTLIVES["power loss"] else "kill"
