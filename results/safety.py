# SPDX-License-Identifier: MIT
"""Is it safe? The verdicts in a sentence, and as an answer like the others."""
import verdicts
from answers import Answer, Table
from envelopes import Source, source_of

QUESTION = "Is it safe?"
AGAIN = "tmf run --out DIR"


def short(envelopes):
    """One line: who holds wherever tried, who is caught, what is not as it must be."""
    found = verdicts.table(envelopes)
    if not found:
        return f"Not run: no result of {', '.join(verdicts.MODELS)} was given."
    tried = {strategy: {model: verdict for model, verdict in by_model.items()
                        if verdict.state != "not run"} for strategy, by_model in found.items()}
    held = [strategy for strategy, by_model in tried.items()
            if all(verdict.state == "held" for verdict in by_model.values())]
    parts = [f"{', '.join(held)} held in every model that was tried"] if held else []
    parts += [f"{strategy} is caught by {', '.join(models)}, as it must be"
              for strategy, models in caught(tried, True).items()]
    parts += [f"{strategy} is NOT as it must be under {', '.join(models)}"
              for strategy, models in unexpected(tried).items()]
    return "; ".join(parts) + "."


def caught(tried, as_expected):
    found = {strategy: [model for model, verdict in by_model.items()
                        if verdict.state == "caught" and verdict.as_expected == as_expected]
             for strategy, by_model in tried.items()}
    return {strategy: models for strategy, models in found.items() if models}


def unexpected(tried):
    found = {strategy: [model for model, verdict in by_model.items() if not verdict.as_expected]
             for strategy, by_model in tried.items()}
    return {strategy: models for strategy, models in found.items() if models}


def state(envelopes):
    found = verdicts.table(envelopes)
    if not found:
        return "missing"
    return "bad" if unexpected(found) else "good"


def as_answer(envelopes):
    """For formats that have no template of their own."""
    found = verdicts.table(envelopes)
    campaigns = [envelope for envelope in envelopes if envelope.command in verdicts.MODELS]
    rows = [(strategy, *(verdicts.words(verdict, ", NOT as it must be")
                         for verdict in by_model.values())) for strategy, by_model in found.items()]
    tables = [Table("Strategy by fault model", ("strategy", *verdicts.MODELS), rows)] if rows else []
    return Answer("verdicts", QUESTION, [short(envelopes)], source_of(campaigns) if campaigns else Source(AGAIN),
                  tables=tables, short=short(envelopes), state=state(envelopes))
