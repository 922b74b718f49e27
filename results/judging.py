# SPDX-License-Identifier: MIT
"""Is tmf compare right? What its self-test has found: how often it tells a program from itself, and
how often it notices that one of the two is 10 % slower (gate.py)."""
import gate
from answers import Answer, Table, grouped, not_run
from envelopes import source_of

NAME, QUESTION = "gate", "Is the verdict on a regression right?"
AGAIN = "tmf compare --self-test --json FILE"


def answer(envelopes):
    tested = next((envelope for envelope in envelopes if "self_test" in envelope.metrics), None)
    if tested is None:
        return not_run(NAME, QUESTION, AGAIN)
    found = tested.metrics["self_test"]
    said = gate.sentence(found)
    wrong = list(gate.judge(found))
    return Answer(NAME, QUESTION, [said, *wrong], source_of([tested]), tables=[table(found)],
                  tables_shown=1, short=said, state="bad" if wrong else "good")


def table(found):
    verdicts = list(found["A/A"]["verdicts"])
    rows = [(kind, grouped(row["comparisons"]), f"{row['ratio']:.3f}",
             *(grouped(row["verdicts"][verdict]) for verdict in verdicts)) for kind, row in found.items()]
    return Table("Comparisons of a program with itself (A/A) and with itself delayed, by verdict",
                 ("kind", "comparisons", "median ratio", *verdicts), rows)
