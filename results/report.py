# SPDX-License-Identifier: MIT
"""tmf report: envelopes in; one self-contained page out, or its tables as Markdown or CSV. Exits 2
for a file that is no envelope, 3 where a module is missing. The page needs no network: figures are
inline, fonts are the reader's."""
import argparse
import pathlib
import sys

try:
    import jinja2
    import answers
    import change
    import choice
    import environment
    import formats
    import judging
    import noticing
    import peers
    import safety
    import study
    import verdicts
except ImportError as missing:
    print(f"tmf report: {missing}: apt install python3-matplotlib python3-numpy python3-jinja2",
          file=sys.stderr)
    sys.exit(3)
import envelopes
import references
import shards
from benches import Benches

HERE = pathlib.Path(__file__).parent


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tmf report", description="JSON to one page.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="what --json of a command wrote")
    parser.add_argument("--out", default="report.html", metavar="PAGE")
    parser.add_argument("--format", default="html", choices=("html", "md", "csv"))
    parser.add_argument("--reference", metavar="DIR",
                        help="compare with the results there (default: the last in results/data)")
    return parser.parse_args(arguments)


def load_all(paths):
    return shards.merged([envelopes.load(path) for path in paths])


def all_answers(loaded, benches, reference):
    """The four that people come for beside the verdicts, and what stands behind them."""
    return [study.answer(benches), choice.choice(benches), peers.answer(benches),
            change.answer(loaded, benches, reference), noticing.answer(loaded), judging.answer(loaded),
            answers.allocation(benches), answers.commit(benches), answers.waiting(loaded),
            answers.reading(benches)]


def render(loaded, all_of_them):
    loader = jinja2.FileSystemLoader(HERE)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                  lstrip_blocks=True).get_template("page.html.j2")
    campaigns = [envelope for envelope in loaded if envelope.command in verdicts.MODELS]
    return template.render(
        models=verdicts.MODELS, verdicts=verdicts.table(loaded), campaigns=campaigns,
        safe=safety.short(loaded), safe_state=safety.state(loaded),
        failures=[failure for envelope in campaigns for failure in envelope.failures],
        counterexamples=verdicts.counterexamples(campaigns),
        campaign_tables=[answers.rows_table(envelope.again(), envelope.runs())
                         for envelope in campaigns if envelope.runs()],
        answers=all_of_them, facts=environment.facts(loaded),
        grouped=answers.grouped)


def make(options, loaded):
    benches, facts = Benches(loaded), environment.facts(loaded)
    if options.format == "csv":
        return formats.comma_separated(verdicts.table(loaded), benches,
                                       study.all_crossings(study.sort_out(benches.points)), facts)
    found = references.find(options.reference, options.files)
    all_of_them = all_answers(loaded, benches, Benches(load_all(found)) if found else None)
    if options.format == "md":
        return formats.markdown(safety.as_answer(loaded), all_of_them, facts)
    return render(loaded, all_of_them)


def main(words):
    options = parse(words)
    try:
        loaded = load_all(options.files)
        text = make(options, loaded)
        if options.out == "-":
            sys.stdout.write(text)
        else:
            pathlib.Path(options.out).write_text(text, encoding="utf-8")
    except envelopes.Malformed as error:
        print(f"tmf report: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"tmf report: {options.out} cannot be written: {error.strerror}", file=sys.stderr)
        return 3
    if options.out != "-":
        print("\n".join(verdicts.lines(loaded)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
