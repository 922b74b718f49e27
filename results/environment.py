# SPDX-License-Identifier: MIT
"""What the results depend on besides our code: one row per fact; where the envelopes differ in it,
each value with the commands it belongs to."""


def flatten(environment, prefix=""):
    for key, value in environment.items():
        label = prefix + key.replace("_", " ")
        if isinstance(value, dict):
            yield from flatten(value, label + ": ")
        elif isinstance(value, list):
            yield label, ", ".join(f"{each:.2f}" for each in value)
        elif isinstance(value, bool):
            yield label, "yes" if value else "no"
        elif prefix == "limits: " and value == -1:
            yield label, "unlimited"
        else:
            yield label, str(value)


def facts(envelopes):
    values = {}  # label -> value -> commands
    for envelope in envelopes:
        for label, value in flatten(envelope.environment):
            values.setdefault(label, {}).setdefault(value, {})[envelope.command] = None
    return [(label, spell(by_value)) for label, by_value in values.items()]


def spell(by_value):
    if len(by_value) == 1:
        return next(iter(by_value))
    return "; ".join(f"{value} ({', '.join(commands)})" for value, commands in by_value.items())
