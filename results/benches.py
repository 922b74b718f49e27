# SPDX-License-Identifier: MIT
"""Several results of `tmf bench` as one list of benchmarks, each of which knows the line that
measures it again."""
import curves
from envelopes import Malformed, source_of


class Benches:
    def __init__(self, envelopes):
        self.envelopes = [envelope for envelope in envelopes
                          if envelope.command == "bench" and "benchmarks" in envelope.metrics]
        self.rows = [row for envelope in self.envelopes for row in envelope.metrics["benchmarks"]]
        self.refuse_twins()
        self.points = curves.points(self.rows)

    def refuse_twins(self):
        """Two measurements of one thing are not one measurement: `tmf compare` is for these."""
        measured_by = {}
        for envelope in self.envelopes:
            for name in {row["run_name"] for row in envelope.metrics["benchmarks"]}:
                if name in measured_by:
                    raise Malformed(f"{measured_by[name]} and {envelope.path} are both results of "
                                    f"{name}: a page shows one")
                measured_by[name] = envelope.path

    def series(self, start):
        return curves.series(self.points, start)

    def source(self, *starts):
        """Of what begins so."""
        return source_of([envelope for envelope in self.envelopes if any(
            row["run_name"].startswith(starts) for row in envelope.metrics["benchmarks"])])
