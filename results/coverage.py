# SPDX-License-Identifier: MIT
"""What of alloc/ and txn/ was run, from the JSON that gcovr makes of gcc's counters.

    coverage.py table JSON             lines and branches per file, and per layer
    coverage.py unreached JSON ROWS    the error branches of txn/ that were not reached

An error branch is a line that speaks of an error and was never run, or was run and never went one
of its ways; of a condition of several terms, those of the terms that speak of one. ROWS names those that need not be, one a line: FILE | FUNCTION | TEXT | REASON, where
TEXT is part of the source line, or empty for all of the function, and FUNCTION may be *. Exit
status 1: one is not in ROWS, or a row names none that was not reached.
"""
import json
import re
import sys

LAYERS = ("alloc", "txn")
SPEAKS_OF_ERRORS = re.compile(r"\berror\b|\berrno\b|\bE[A-Z]{4,}\b|\bTMF_E[A-Z]+\b|\btmf_fail\b")
# What a bug that was switched on would do is no way of the library's own.
SWITCHED_ON = re.compile(r"TMF_MUTANT")
FUNCTION = re.compile(r"^[a-z][^;=]*?\b(\w+)\([^;]*$")


def lines_of(file):
    return [line for line in file["lines"] if not line["gcovr/noncode"]]


def count(file):
    lines = lines_of(file)
    branches = [branch for line in lines for branch in line["branches"]]
    return [len(lines), sum(line["count"] > 0 for line in lines),
            len(branches), sum(branch["count"] > 0 for branch in branches)]


def percent(part, whole):
    return f"{100 * part / whole:.1f}" if whole else "-"


def print_row(name, counts):
    lines, run, branches, taken = counts
    print(f"{name:<24} {lines:>6} {run:>6} {percent(run, lines):>6}"
          f" {branches:>9} {taken:>6} {percent(taken, branches):>6}")


def print_table(files):
    print(f"{'file':<24} {'lines':>6} {'run':>6} {'%':>6} {'branches':>9} {'taken':>6} {'%':>6}")
    for layer in LAYERS:
        total = [0, 0, 0, 0]
        for file in sorted(files, key=lambda file: file["file"]):
            if file["file"].startswith(layer + "/"):
                counts = count(file)
                total = [sum(pair) for pair in zip(total, counts)]
                print_row(file["file"], counts)
        print_row(layer + ", all", total)
    return 0


def functions_of(source):
    """The name of the function that each line is in, or near enough."""
    name, names = "", []
    for text in source:
        found = FUNCTION.match(text)
        name = found.group(1) if found else name
        names.append(name)
    return names


def ways_of(text, branches):
    """gcc counts two ways of each term of a condition, in order, where it can tell them apart."""
    terms = re.split(r"&&|\|\|", text)
    if len(branches) != 2 * len(terms):
        return branches
    return [branch for n, term in enumerate(terms) if SPEAKS_OF_ERRORS.search(term)
            for branch in branches[2 * n:2 * n + 2]]


def unreached_of(file):
    """(line number, function, text, how) of each error branch that was not reached."""
    with open(file["file"], encoding="utf-8") as opened:
        source = opened.read().split("\n")
    functions = functions_of(source)
    for line in lines_of(file):
        number = line["line_number"]
        text = source[number - 1].strip()
        ways = ways_of(text, line["branches"])
        one_way = line["count"] > 0 and any(branch["count"] == 0 for branch in ways)
        if not SPEAKS_OF_ERRORS.search(text) or SWITCHED_ON.search(text):
            continue
        if line["count"] == 0 or one_way:
            yield number, functions[number - 1], text, "one way only" if one_way else "never"


class Row:
    """An error branch that need not be reached, or several."""

    def __init__(self, line, number):
        parts = [part.strip() for part in line.split("|", 3)]
        if len(parts) != 4 or not parts[3]:
            raise ValueError(f"line {number} is not FILE | FUNCTION | TEXT | REASON: {line}")
        self.file, self.function, self.text, _ = parts
        self.number = number
        self.used = False

    def allows(self, file, function, text):
        allowed = (self.file == file and self.function in (function, "*") and self.text in text)
        self.used = self.used or allowed
        return allowed


def read_rows(path):
    with open(path, encoding="utf-8") as opened:
        lines = enumerate(opened.read().splitlines(), 1)
    return [Row(line, number) for number, line in lines
            if line.strip() and not line.startswith("#")]


def print_unreached(files, path):
    rows = read_rows(path)
    allowed, found = 0, 0
    for file in sorted(files, key=lambda file: file["file"]):
        name = file["file"].removeprefix("txn/")
        if name == file["file"]:
            continue
        for number, function, text, how in unreached_of(file):
            # All of them, not the first: a row that another one covers is used as well.
            if any([row.allows(name, function, text) for row in rows]):
                allowed += 1
                continue
            found += 1
            print(f"txn/{name}:{number}: {function}: {how}: {text}")
    idle = [row for row in rows if not row.used]
    for row in idle:
        print(f"{path}:{row.number}: allows what was reached, or is not there:"
              f" {row.file} | {row.function} | {row.text}")
    print(f"{found} error branches of txn/ were not reached, {allowed} more need not be,"
          f" {len(idle)} rows are idle")
    return 1 if found or idle else 0


def main(arguments):
    with open(arguments[1], encoding="utf-8") as opened:
        files = json.load(opened)["files"]
    if arguments[0] == "table":
        return print_table(files)
    try:
        return print_unreached(files, arguments[2])
    except ValueError as error:
        sys.exit(f"{arguments[2]}: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
