# SPDX-License-Identifier: MIT
"""For those who do not want a page: the answers and their tables as Markdown, where what was not
measured is said, with the line that measures it; and the bare numbers as CSV."""
import csv
import io

PLAIN = str.maketrans({"\u202f": " ", "\u00a0": " "})


def markdown(safe, answers, facts):
    parts = ["# tmfalloc: what holds, and what it costs\n",
             table_in_markdown("In short", ("question", "answer"),
                               [(answer.question, answer.short) for answer in (safe, *answers)
                                if answer.short])]
    for answer in (safe, *answers):
        parts.append(f"## {answer.question}\n")
        parts += [f"{sentence}\n" for sentence in answer.sentences]
        parts += [f"Measured although {sentence}.\n" for sentence in answer.source.disturbances]
        parts.append(f"```\n{answer.command}\n```\n")
        parts += [table_in_markdown(table.caption, table.head, table.rows, table.strong)
                  for table in answer.tables]
    parts.append("## Where was this measured?\n")
    parts.append(table_in_markdown("Environment", ("what", "value"), facts))
    return "\n".join(parts).translate(PLAIN)


def table_in_markdown(caption, head, rows, strong=frozenset()):
    """The caption is what stands before it."""
    def line(cells):
        return "| " + " | ".join(cells) + " |"
    body = [line([emphasized(escaped(cell), (n, column) in strong)
                  for column, cell in enumerate(row)]) for n, row in enumerate(rows)]
    rule = line(["---"] + ["--:"] * (len(head) - 1))
    return "\n".join([f"{caption.rstrip('.')}:\n", line(map(escaped, head)), rule, *body, ""])


def emphasized(cell, is_strong):
    return f"**{cell}**" if is_strong and cell else cell


def escaped(cell):
    return str(cell).replace("|", "\\|").replace("\n", " ")


def comma_separated(verdicts_found, benches, crossings, facts):
    """The numbers as they were measured, one a line, with their unit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("what", "name", "measure", "value", "unit"))
    for strategy, by_model in verdicts_found.items():
        for model, verdict in by_model.items():
            if verdict.state != "not run":
                name = f"{strategy}/{model}"
                writer.writerow(("verdict", name, "cases", verdict.cases, ""))
                writer.writerow(("verdict", name, "violations", verdict.violations, ""))
    for name, point in benches.points.items():
        for measure in ("median", "low", "high"):
            writer.writerow(("benchmark", name, measure, getattr(point, measure), "ns"))
        writer.writerows(("benchmark", name, counter, value, unit_of(counter))
                         for counter, value in point.counters.items())
    for (durability, locality, arena), each in crossings:
        name = f"{durability}/{locality}/arena_mib:{arena}/{each.before}/{each.after}"
        for measure in ("at", "low", "high"):
            writer.writerow(("crossover", name, measure, getattr(each, measure), "pages"))
        writer.writerow(("crossover", name, "support", each.support, ""))
    writer.writerows(("environment", label, "", value, "") for label, value in facts)
    return out.getvalue().translate(PLAIN)


def unit_of(counter):
    """It is the last word of a counter's name."""
    last = counter.rpartition("_")[2]
    return last if last in ("us", "ns", "bytes", "mib") else ""
