# SPDX-License-Identifier: MIT
"""The parts of a power campaign, --shard 1/N to N/N, are one again. What a part counted of its own
images is added up; what every part knows of the whole life is the same in all."""
import dataclasses
import re
from collections import defaultdict

from envelopes import Malformed

ADDED = ("distinct", "cases", "nested", "went_on", "unfinished", "violations",
         "recovering_seconds", "seconds")
SHARD = re.compile(r"(\d+)/(\d+)$")
OWN = ("--shard", "--json", "-j")  # of a part, not of the campaign


def split(arguments):
    """The words of the whole campaign; and (I, N), or None."""
    words, shard, rest = [], None, list(arguments)
    while rest:
        name, given, value = rest.pop(0).partition("=")
        if name not in OWN:
            words.append(name + given + value)
            continue
        value = value if given else rest.pop(0)
        shard = SHARD.match(value) if name == "--shard" else shard
    return tuple(words), tuple(int(part) for part in shard.groups()) if shard else None


def merged(envelopes):
    """In the order of the first part of each campaign."""
    parts = defaultdict(list)
    for number, envelope in enumerate(envelopes):
        words, shard = split(envelope.arguments)
        whole = envelope.command != "power" or shard is None or envelope.line
        shard = None if whole else shard
        parts[number if whole else words].append((shard, envelope))
    return [join(words, group) if len(group) > 1 or group[0][0] and group[0][1].command == "power"
            else group[0][1] for words, group in parts.items()]


def join(words, group):
    group = sorted(group, key=lambda part: part[0])
    count = group[0][0][1]
    if [shard for shard, _ in group] != [(n, count) for n in range(1, count + 1)]:
        paths = ", ".join(envelope.path for _, envelope in group)
        raise Malformed(f"{paths}: these are not the {count} parts of one campaign, each once")
    parts = [envelope for _, envelope in group]
    if len({tuple(map(key_of, part.runs())) for part in parts}) != 1:
        raise Malformed(f"{parts[0].path} and the other parts of its campaign differ in their runs")
    metrics = {"runs": [join_rows(rows) for rows in zip(*(part.runs() for part in parts))],
               "counterexamples": [example for part in parts
                                   for example in part.metrics.get("counterexamples", ())],
               "branches": sorted({name for part in parts
                                   for name in part.metrics.get("branches", ())})}
    return dataclasses.replace(
        parts[0], arguments=words, metrics=metrics,
        failures=tuple(failure for part in parts for failure in part.failures),
        **{name: sum(getattr(part, name) for part in parts)
           for name in ("cases", "violations", "seconds")})


def key_of(row):
    names = ("strategy", "durability", "index", "quantum", "workload")
    return tuple(row.get(name) for name in names)


def join_rows(rows):
    joined = dict(rows[0])
    joined.update({name: sum(row[name] for row in rows) for name in ADDED if name in joined})
    seconds = joined["recovering_seconds"]
    joined["images_per_second"] = joined["cases"] / seconds if seconds else 0
    return joined
