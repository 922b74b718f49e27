# SPDX-License-Identifier: MIT
"""Strategy by fault model: held, caught, or not run. Numbers are sums of the envelopes' runs."""
import itertools
import re
from dataclasses import dataclass

MODELS = {
    "kill": "The process dies",
    "error": "Calls fail",
    "power": "Power fails",
    "threads": "Threads race",
    "procs": "Processes race, lock holders die",
}
CONTROL = "nothing"  # what a strategy survives that has to be caught
WIDTH = 22  # of a column, in characters


def must_be_caught(model, survives):
    return survives != "power" if model == "power" else survives == CONTROL


@dataclass(frozen=True)
class Verdict:
    state: str  # "held", "caught" or "not run"
    cases: int = 0
    violations: int = 0
    first: str = ""  # the first case that failed
    as_expected: bool = True


def judge(envelopes, model, strategy):
    chosen = [envelope for envelope in envelopes if envelope.command == model]
    runs = [run for envelope in chosen for run in envelope.runs() if run["strategy"] == strategy]
    if not runs:
        return Verdict("not run")
    violations = sum(run["violations"] for run in runs)
    return Verdict(state="caught" if violations else "held",
                   cases=sum(run["cases"] for run in runs),
                   violations=violations,
                   first=first_failure(chosen, strategy) if violations else "",
                   as_expected=bool(violations) == must_be_caught(model, runs[0]["survives"]))


def first_failure(envelopes, strategy):
    for envelope in envelopes:
        for failure in (*envelope.failures, *envelope.metrics.get("counterexamples", ())):
            if strategy in failure["case"].split(":"):
                return failure["case"]
    return ""


def strategies(envelopes):
    """In order of appearance, controls last."""
    survives = {run["strategy"]: run["survives"] for envelope in envelopes
                if envelope.command in MODELS for run in envelope.runs()}
    return sorted(survives, key=lambda name: survives[name] == CONTROL)


def table(envelopes):
    return {strategy: {model: judge(envelopes, model, strategy) for model in MODELS}
            for strategy in strategies(envelopes)}


def length(example):
    """Of the story, by its case: transactions, then what had reached the medium."""
    transactions = re.search(r":txns=(\d+)", example["case"])
    return int(transactions[1]) if transactions else 0, example["case"].count("+")


def counterexamples(envelopes):
    """How those that must lose do, each by the shortest way that was found."""
    shortest = {}
    for envelope in envelopes:
        for example in envelope.metrics.get("counterexamples", ()):
            known = shortest.setdefault(example["strategy"], example)
            shortest[example["strategy"]] = min(known, example, key=length)
    return list(shortest.values())


def words(verdict, unexpected=" !"):
    if verdict.state == "not run":
        return "-"
    count = (f"holds, {verdict.cases} cases" if verdict.state == "held" else
             f"loses {verdict.violations} of {verdict.cases}")
    return count + ("" if verdict.as_expected else unexpected)


def lines(envelopes):
    """The table for a terminal, and the counterexamples under it."""
    by_strategy = table(envelopes)
    if not by_strategy:
        return
    tried = [model for model in MODELS
             if any(by_model[model].state != "not run" for by_model in by_strategy.values())]
    rows = [("strategy", *tried)] + [(strategy, *(words(by_model[model]) for model in tried))
                                     for strategy, by_model in by_strategy.items()]
    for row in rows:
        yield (f"{row[0]:<16}" + "".join(f"{word:<{WIDTH}}" for word in row[1:])).rstrip()
    verdicts = itertools.chain(*(by_model.values() for by_model in by_strategy.values()))
    if not all(verdict.as_expected for verdict in verdicts):
        yield "!: not as it must be"
    for example in counterexamples(envelopes):
        yield ""
        yield f"{example['strategy']} loses, as it must; the shortest way to it:"
        yield from (f"  {line}" for line in example["what"].splitlines())
        yield f"  replay: {example['replay']}"
