#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""The figures of README.md, from the newest reference run in results/data/. Between the lines
<!-- figures: NAME --> and <!-- end --> stands the answer of that name: its short form, and its
first table. --check changes nothing and exits 1 where something else stands there."""
import argparse
import pathlib
import re
import sys

import formats
import references
import report
import safety
from benches import Benches
from envelopes import Malformed

README = pathlib.Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
TABLES = {"choice": 0, "peers": 2}  # too wide for a README; of the others the first


def blocks(folder):
    """{name: text} of all answers that the results there give."""
    loaded = report.load_all(references.results_in(folder))
    answers = [safety.as_answer(loaded), *report.all_answers(loaded, Benches(loaded), None)]
    return {answer.name: block(answer, folder.name) for answer in answers}


def block(answer, source):
    lines = [f"{answer.short} (`results/data/{source}`, by `{answer.command.splitlines()[0]}`)", ""]
    lines += [formats.table_in_markdown(table.caption, table.head, table.rows, table.strong)
              for table in answer.tables[:TABLES.get(answer.name, 1)]]
    return "\n".join(lines).translate(formats.PLAIN)


def refreshed(text, of_names):
    def replace(match):
        if match[2] not in of_names:
            raise Malformed(f"README.md wants figures of '{match[2]}', which is no answer: "
                            f"{', '.join(of_names)}")
        return match[1] + of_names[match[2]] + match[3]
    return BLOCK.sub(replace, text)


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--readme", type=pathlib.Path, default=README)
    parser.add_argument("--data", type=pathlib.Path, help="a folder of results (default: the last)")
    options = parser.parse_args(words)
    folder = options.data or (references.folders() or [None])[-1]
    if folder is None:
        print("readme.py: no reference run in results/data: ./tmf reference makes one",
              file=sys.stderr)
        return 3
    try:
        old = options.readme.read_text(encoding="utf-8")
        new = refreshed(old, blocks(folder))
    except (Malformed, OSError) as error:
        print(f"readme.py: {error}", file=sys.stderr)
        return 2
    if options.check:
        print("README.md states " + ("what" if old == new else "something else than")
              + f" {folder} says")
        return int(old != new)
    options.readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
