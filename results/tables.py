# SPDX-License-Identifier: MIT
"""What tmf compare found, for people, for pull requests (Markdown), and for CI (JUnit's XML)."""
import math
from xml.etree import ElementTree

HEAD = ("benchmark", "ratio", "interval", "pairs", "verdict", "counters")
NOT_PAIRED = ("The two results were not measured together: a drift of the machine between them is in "
              "every ratio; --revisions has none.")


def cells(row, paired):
    verdict = row["verdict"]
    if row["more"]:
        number = "more than 1000" if row["more"] > 1000 else str(row["more"])
        verdict += f" ({number} {'pairs' if paired else 'repetitions'} more might)"
    changes = [f"{key} {old:.10g} -> {new:.10g}" for key, (old, new) in row["counters"].items()]
    return (row["run_name"], f"{row['estimate']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}",
            str(row["count"]), verdict, ", ".join(changes))


def notes(metrics):
    if not metrics["paired"]:
        yield NOT_PAIRED
    for key, side in (("only_old", "OLD"), ("only_new", "NEW")):
        if metrics[key]:
            yield f"Only in {side}: {', '.join(metrics[key])}."


def text(metrics):
    rows = [HEAD] + [cells(row, metrics["paired"]) for row in metrics["benchmarks"]]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    return "\n".join([*lines, *notes(metrics)]) + "\n"


def markdown(metrics):
    rows = [HEAD, ("---",) * len(HEAD)] + [cells(row, metrics["paired"])
                                           for row in metrics["benchmarks"]]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", *notes(metrics)]) + "\n"


def write_junit(path, metrics, failures):
    what = {failure["case"]: failure["what"] for failure in failures}
    suite = ElementTree.Element("testsuite", name="tmf compare", failures=str(len(what)),
                                tests=str(len(metrics["benchmarks"]) + len(metrics.get("broken", ()))))
    for name in metrics.get("broken", ()):
        case = ElementTree.SubElement(suite, "testcase", classname="tmf.compare", name=name)
        ElementTree.SubElement(case, "failure", message=what[name])
    for row in metrics["benchmarks"]:
        case = ElementTree.SubElement(suite, "testcase", classname="tmf.compare",
                                      name=row["run_name"])
        if row["run_name"] in what:
            ElementTree.SubElement(case, "failure", message=what[row["run_name"]])
        elif row["more"]:
            ElementTree.SubElement(case, "skipped", message=cells(row, metrics["paired"])[4])
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def finite(value):
    """JSON knows no infinite numbers: an interval without an end has null there."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
