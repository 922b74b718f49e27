# SPDX-License-Identifier: MIT
"""Would the harness notice? Seeded bugs by fault model, as `tmf mutants` has found them."""
from answers import Answer, Table, not_run, shown
from envelopes import source_of

NAME, QUESTION = "noticing", "Would the harness notice?"
AGAIN = "tmf mutants --all-models --json FILE"
FOUND = ("caught", "hung")


def answer(envelopes):
    found = next((envelope for envelope in envelopes if envelope.command == "mutants"), None)
    if found is None or not found.metrics.get("mutants"):
        return not_run(NAME, QUESTION, AGAIN)
    mutants = found.metrics["mutants"]
    return Answer(NAME, QUESTION, sentences(mutants), source_of([found]),
                  tables=[totals(found), matrix(mutants)], tables_shown=1)


def own_cell(mutant):
    """What the model that must see it says."""
    return next((cell for cell in mutant["cells"] if cell["model"] == mutant["model"]), None)


def verdict(mutant):
    cell = own_cell(mutant)
    return cell["verdict"] if cell else "not tried"


def sentences(mutants):
    real = [mutant for mutant in mutants if not mutant["equivalent"]]
    tried = [mutant for mutant in real if verdict(mutant) in (*FOUND, "survived")]
    caught = [mutant for mutant in tried if verdict(mutant) in FOUND]
    missed = [mutant["mutant"] for mutant in tried if mutant not in caught]
    said = [f"Of {len(tried)} seeded bugs {len(caught)} were found by the model that must see them."]
    if missed:
        said.append(f"Nobody noticed {', '.join(missed)}.")
    if len(real) > len(tried):
        said.append(f"{len(real) - len(tried)} more were not tried: their model does not run here.")
    if len(mutants) > len(real):
        said.append(f"{len(mutants) - len(real)} are equivalent: no model can tell them from the "
                    "original, and none did.")
    return said


def totals(envelope):
    rows = [tuple(shown(row[key]) for key in ("model", "must_see", "caught", "hung", "survived",
                                              "not_run"))
            for row in envelope.metrics.get("models", [])]
    return Table("Seeded bugs by the model that must see them",
                 ("model", "must see", "caught", "hung", "survived", "not run"), rows)


def shown_cell(mutant, model):
    cell = next((cell for cell in mutant["cells"] if cell["model"] == model), None)
    if cell is None:
        return ""
    mark = "● " if model == mutant["model"] else ""
    if cell["verdict"] != "caught":
        return mark + cell["verdict"]
    return f"{mark}{shown(cell['cases'])} cases, {cell['seconds']:.1f} s"


def matrix(mutants):
    models = list(dict.fromkeys(cell["model"] for mutant in mutants for cell in mutant["cells"]))
    rows = [(mutant["mutant"], mutant["about"], *(shown_cell(mutant, model) for model in models),
             mutant["equivalent"] or "") for mutant in mutants]
    return Table("Seeded bug by model: after how many cases it was caught. ● must see it",
                 ("mutant", "what it breaks", *models, "equivalent, because"), rows)
