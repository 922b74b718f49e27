# SPDX-License-Identifier: MIT
"""Reading what the commands wrote. Whatever is not an envelope ends here, in a sentence."""
import gzip
import json
import shlex
from dataclasses import dataclass

FIELDS = {"command": str, "arguments": list, "environment": dict, "cases": int, "violations": int,
          "failures": list, "metrics": dict, "seconds": (int, float)}
# What the entries of a command's list have to carry.
LISTS = {
    "kill": ("runs", ("strategy", "survives", "cases", "violations")),
    "error": ("runs", ("strategy", "survives", "cases", "violations")),
    "power": ("runs", ("strategy", "survives", "cases", "violations", "workload", "distinct",
                       "nested", "went_on", "recovering_seconds", "seconds")),
    "threads": ("runs", ("strategy", "survives", "cases", "violations")),
    "procs": ("runs", ("strategy", "survives", "cases", "violations")),
    "mutants": ("mutants", ("mutant", "about", "model", "equivalent", "cells")),
    "bench": ("benchmarks", ("run_name", "run_type")),
    "compare": ("benchmarks", ("run_name", "estimate", "low", "high", "verdict")),
}


SEEDED = ("kill", "error", "power", "threads", "procs", "mutants", "bench", "compare")


class Malformed(Exception):
    """A file that is not what it should be; the text names the file and what is wrong with it."""


@dataclass(frozen=True)
class Envelope:
    path: str
    command: str
    arguments: tuple
    environment: dict
    cases: int
    violations: int
    seed: int
    failures: tuple
    metrics: dict
    seconds: float
    line: str  # that does it again, as the command says itself; "": it does not
    disturbances: tuple  # what disturbed it: sentences

    def runs(self):
        return self.metrics.get("runs", [])

    def again(self):
        """The line that measures this again, seed and all; where it worked and where it wrote its
        JSON is nobody's business."""
        if self.line:
            return self.line
        words, skip = ["tmf", self.command], False
        for word in self.arguments:
            if not (skip or word.startswith(("--json", "--dir")) or word in ("-j", "--quiet", "-q")):
                words.append(word)
            skip = word in ("--json", "-j", "--dir")
        if self.command in SEEDED and not any(word.startswith(("-s", "--seed")) for word in words):
            words += ["--seed", str(self.seed)]
        return shlex.join(words)


@dataclass(frozen=True)
class Source:
    """Where numbers come from: the lines that give them again, and what disturbed the measuring."""
    command: str
    disturbances: tuple = ()


def source_of(envelopes):
    return Source("\n".join(dict.fromkeys(envelope.again() for envelope in envelopes)),
                  tuple(dict.fromkeys(sentence for envelope in envelopes
                                      for sentence in envelope.disturbances)))


def load(path):
    try:
        opener = gzip.open if str(path).endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise Malformed(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise Malformed(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != "tmf/1":
        raise Malformed(f'{path} is no result of tmf: its "schema" is not "tmf/1"')
    for name, kind in FIELDS.items():
        if not isinstance(content.get(name), kind):
            raise Malformed(f'{path} is damaged: "{name}" is missing or of the wrong type')
    check_list(path, content)
    found = {name: content[name] for name in FIELDS}
    found["arguments"] = tuple(content["arguments"])
    found["failures"] = tuple(content["failures"])
    return Envelope(path=path, seed=content.get("seed", 1), line=content.get("again", ""),
                    disturbances=tuple(each["what"] for each in content.get("disturbances", ())),
                    **found)


def check_list(path, content):
    name, keys = LISTS.get(content["command"], ("runs", ()))
    entries = content["metrics"].get(name, [])
    whole = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    missing = [key for key in keys if not whole or any(key not in entry for entry in entries)]
    if not whole or missing:
        raise Malformed(f'{path} is damaged: "metrics.{name}" is no list of objects with '
                        f'{", ".join(missing or ("fields",))}')
