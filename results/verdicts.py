# SPDX-License-Identifier: MIT
"""Strategy by fault model: held, caught, or not run. Numbers are sums of the envelopes' runs."""
from dataclasses import dataclass

MODELS = {
    "kill": "The process dies",
    "error": "Calls fail",
    "power": "Power fails",
    "threads": "Threads race",
    "procs": "Processes race, lock holders die",
}
CONTROL = "nothing"  # what a strategy survives that has to be caught


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
