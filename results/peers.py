# SPDX-License-Identifier: MIT
"""How it compares with the peers: engine/ENGINE/WORK, the same work by each in the same run. Only
engines whose commits outlive the same are compared; whoever is faster than tmf is named first."""
from collections import defaultdict
from dataclasses import dataclass

import curves
import figures
from answers import Answer, Figure, Table, bench_line, duration, not_run, significant

NAME, QUESTION = "peers", "How does it compare with the peers?"
PROCESS = ("process", "nosync", "off")  # at the end of a name: survives the death of a process
CONTROLS = ("mmap-msync",)  # survive nothing: what they take is no competitor's time
POWER = "survive power loss"
KILL = "survive the death of the process alone"
TIMES = "\u00a0×"


@dataclass(frozen=True)
class Race:
    """One work by all engines whose commits outlive the same."""
    work: str
    outlives: str
    own: object  # tmf's point
    peers: dict  # name -> point
    controls: dict


def outlives(engine):
    return KILL if engine.endswith(PROCESS) else POWER


def races(points):
    by_work = defaultdict(dict)
    for name, point in points.items():
        if name.startswith("engine/") and name.count("/") > 1:
            _, engine, work = name.split("/", 2)
            by_work[work, outlives(engine)][engine] = point
    return [race for (work, what), of_engines in by_work.items()
            if (race := race_of(work, what, of_engines))]


def race_of(work, what, of_engines):
    """None where tmf or every peer is missing."""
    own = [point for name, point in of_engines.items() if is_own(name)]
    others = {name: point for name, point in of_engines.items() if not is_own(name)}
    peers = {name: point for name, point in others.items() if name not in CONTROLS}
    controls = {name: point for name, point in others.items() if name in CONTROLS}
    if not own or not peers:
        return None
    return Race(work, what, min(own, key=lambda point: point.median), peers, controls)


def is_own(engine):
    return engine == "tmf" or engine.startswith("tmf-")


def ratio(race, peer):
    """How many times tmf's time the peer takes, and what the spreads of both allow."""
    return curves.multiple(race.peers[peer], race.own)


def verdict(of_times):
    if of_times.low > 1:
        return "tmf"
    return "peer" if of_times.high < 1 else "tie"


def answer(benches):
    found = races(benches.points)
    if not found:
        return not_run(NAME, QUESTION, bench_line("^engine/"))
    losses = [(race, peer) for race in found for peer in race.peers
              if verdict(ratio(race, peer)) == "peer"]
    ties = sum(verdict(ratio(race, peer)) == "tie" for race in found for peer in race.peers)
    duels = sum(len(race.peers) for race in found)
    return Answer(NAME, QUESTION, sentences(found, losses), benches.again("engine/"),
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
    return f"{text}; a peer wins {len(losses)}: {'; '.join(map(loss_words, losses))}."


def loss_words(loss):
    race, peer = loss
    faster = 1 / ratio(race, peer).median
    return f"{peer} in {work_words(race.work)}, {significant(faster, 2)}{TIMES} faster"


def work_words(work):
    return work.replace("/", " ").replace(":", "\u00a0")


def sentences(found, losses):
    said = [f"{loss_words(loss)} ({duration(loss[0].peers[loss[1]].median)}, tmf "
            f"{duration(loss[0].own.median)})." for loss in losses]
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
             *(shown(race, name) for name in names)) for race in chosen]
    strong = frozenset((n, 1) for n, row in enumerate(rows) if not row[1].startswith("tmf"))
    head = [name + (", a control" if name in CONTROLS else "") for name in names]
    return Table(f"Time per operation or transaction of engines whose commits {what}, and how many "
                 "times tmf's time that is. A winner is one whose repetitions are all faster.",
                 ("work", "winner", "tmf", *head), rows, strong)


def winner(race):
    """Among all, by the medians; named alone only where the spreads leave no doubt."""
    best = min(race.peers, key=lambda name: race.peers[name].median)
    said = verdict(ratio(race, best))
    return {"tmf": "tmf", "peer": best, "tie": f"tmf or {best}"}[said]


def shown(race, name):
    point = race.peers.get(name) or race.controls.get(name)
    if point is None:
        return ""
    of_times = curves.multiple(point, race.own)
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
        count = race.own.argument("pages")
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
        if race.outlives == what and race.own.argument("pages") is None:
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


def kind_id(what):
    return "kill" if what == KILL else "power"
