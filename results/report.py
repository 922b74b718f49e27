# SPDX-License-Identifier: MIT
"""tmf report: envelopes in, one self-contained page out, and the verdicts printed. Exits 2 for a file that is no envelope, 3
where a module is missing. The page needs no network: figures are inline, fonts are the reader's."""
import argparse
import pathlib
import sys

try:
    import jinja2
    import answers
    import choice
    import environment
    import noticing
    import verdicts
except ImportError as missing:
    print(f"tmf report: {missing}: apt install python3-matplotlib python3-numpy python3-jinja2",
          file=sys.stderr)
    sys.exit(3)
import envelopes
import shards

HERE = pathlib.Path(__file__).parent


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tmf report", description="JSON to one page.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="what --json of a command wrote")
    parser.add_argument("--out", default="report.html", metavar="PAGE")
    return parser.parse_args(arguments)


def load_all(paths):
    loaded = shards.merged([envelopes.load(path) for path in paths])
    benches = [envelope.path for envelope in loaded if envelope.command == "bench"]
    if len(benches) > 1:
        raise envelopes.Malformed(f"{' and '.join(benches)} are both results of bench: a page "
                                  "shows one")
    return loaded


def all_answers(loaded):
    bench = next((envelope for envelope in loaded if "benchmarks" in envelope.metrics), None)
    return [noticing.answer(loaded), choice.choice(bench), answers.allocation(bench), answers.commit(bench),
            answers.waiting(loaded), answers.reading(bench)]


def render(loaded):
    loader = jinja2.FileSystemLoader(HERE)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                  lstrip_blocks=True).get_template("page.html.j2")
    campaigns = [envelope for envelope in loaded if envelope.command in verdicts.MODELS]
    return template.render(
        models=verdicts.MODELS, verdicts=verdicts.table(loaded), campaigns=campaigns,
        failures=[failure for envelope in campaigns for failure in envelope.failures],
        counterexamples=verdicts.counterexamples(campaigns),
        campaign_tables=[answers.rows_table(envelope.again(), envelope.runs())
                         for envelope in campaigns if envelope.runs()],
        answers=all_answers(loaded), facts=environment.facts(loaded),
        grouped=answers.grouped)


def main():
    options = parse(sys.argv[1:])
    try:
        loaded = load_all(options.files)
        pathlib.Path(options.out).write_text(render(loaded), encoding="utf-8")
    except envelopes.Malformed as error:
        print(f"tmf report: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"tmf report: {options.out} cannot be written: {error.strerror}", file=sys.stderr)
        return 3
    for line in verdicts.lines(loaded):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
