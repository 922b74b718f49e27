# SPDX-License-Identifier: MIT
"""The statistics on times made by hand, of which the truth is known; turns of programs that only
play; and compare.py on two results."""
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from xml.etree import ElementTree

import numpy

import interleaved
import ratios

HERE = pathlib.Path(__file__).parent
TRIALS, PAIRS, TOLERANCE = 200, 24, 0.05


def pairs(random, shift, noise=0.03):
    """With a drift of the machine, and one process in twenty that is disturbed."""
    drift = numpy.exp(numpy.cumsum(random.normal(0, 0.2, PAIRS)))
    sides = []
    for slower in (1, shift):
        disturbed = numpy.where(random.random(PAIRS) < 0.05, random.uniform(1, 5, PAIRS), 1)
        sides.append(100 * drift * slower * disturbed * numpy.exp(random.normal(0, noise, PAIRS)))
    return sides


def verdicts(shift, seed):
    random = numpy.random.default_rng(seed)
    return [ratios.of_pairs(*pairs(random, shift), TOLERANCE).verdict for _ in range(TRIALS)]


def result(shift, pages, seed, broken=None):
    random = numpy.random.default_rng(seed)
    rows = [{"run_name": name, "run_type": "iteration", "time_unit": "us", "pages_dirtied": pages,
             "real_time": 100 * slower * float(numpy.exp(random.normal(0, 0.01)))}
            for name, slower in (("commit/slow", shift), ("commit/same", 1)) for _ in range(12)]
    for row in rows:
        if row["run_name"] == broken:
            row.update(error_occurred=True, error_message="no room")
    return {"schema": "tmf/1", "command": "bench", "arguments": [], "environment": {}, "cases": 24,
            "violations": 0, "failures": [], "metrics": {"benchmarks": rows}, "seconds": 1}


class Statistics(unittest.TestCase):
    def test_the_same_program_is_not_told_from_itself(self):
        found = verdicts(1, 1)
        wrong = found.count(ratios.SLOWER) + found.count(ratios.FASTER)
        self.assertLessEqual(wrong, TRIALS // 100)
        self.assertGreater(found.count(ratios.SAME), TRIALS // 2)

    def test_a_change_is_told(self):
        self.assertGreater(verdicts(1.15, 2).count(ratios.SLOWER), 0.95 * TRIALS)
        self.assertGreater(verdicts(1 / 1.15, 3).count(ratios.FASTER), 0.95 * TRIALS)

    def test_intervals_hold_as_often_as_they_say(self):
        random = numpy.random.default_rng(4)
        for of, share in ((ratios.of_pairs, 1), (ratios.of_times, 1)):
            held = 0
            for _ in range(TRIALS):
                old, new = (numpy.exp(random.normal(mean, 0.1, PAIRS)) for mean in (0, 0.1))
                ratio = of(old, new, TOLERANCE, share)
                held += ratio.low <= numpy.exp(0.1) <= ratio.high
            self.assertTrue(0.9 * TRIALS <= held <= 0.995 * TRIALS, f"{of}: {held} of {TRIALS}")

    def test_a_share_of_alpha_makes_intervals_wider(self):
        old, new = pairs(numpy.random.default_rng(5), 1)
        one, many = (ratios.of_pairs(old, new, TOLERANCE, share) for share in (1, 100))
        self.assertLess(many.low, one.low)
        self.assertGreater(many.high, one.high)

    def test_few_times_tell_nothing_and_say_how_many_would(self):
        ratio = ratios.of_pairs([1, 1, 1], [2, 2, 2], TOLERANCE)
        self.assertEqual((ratio.verdict, ratio.more), (ratios.UNKNOWN, ratios.COUNT_MIN - 3))
        vague = ratios.of_pairs(*pairs(numpy.random.default_rng(6), 1, noise=0.3), TOLERANCE)
        self.assertEqual(vague.verdict, ratios.UNKNOWN)
        self.assertGreater(vague.more, 0)


class FakeSide:
    """A program that takes a second of a clock of its own, and says which order it was given."""

    def __init__(self, clock, variables=(), seconds=1):
        self.clock, self.variables, self.seconds, self.seeds = clock, variables, seconds, []

    def measure(self, names, _plan, seed):
        self.clock[0] += self.seconds
        self.seeds.append(seed)
        return {name: {} for name in names}

    def reads(self, variable):
        return variable in self.variables


class InTurns(unittest.TestCase):
    def pairs_within(self, seconds):
        clock = [100]
        turns = interleaved.Turns(FakeSide(clock), FakeSide(clock), ["a"], 1)
        with unittest.mock.patch("time.monotonic", lambda: clock[0]):
            turns.until(100 + seconds)
        return turns

    def test_as_many_pairs_as_there_is_time_for_at_least_one(self):
        for seconds, pairs in ((0, 1), (1, 1), (2, 1), (3.9, 1), (4, 2), (20, 10)):
            self.assertEqual(self.pairs_within(seconds).pairs, pairs, seconds)

    def test_both_have_one_order_which_is_another_in_each_pair(self):
        old, new = self.pairs_within(20).sides
        self.assertEqual(old.seeds, new.seeds)
        self.assertEqual(len(set(old.seeds)), 10)

    def test_pinned_are_both_or_none(self):
        for variables, pinned in ((("TMF_BENCH_PIN",), True), ((), False)):
            sides = [FakeSide([0], ("TMF_BENCH_PIN",)), FakeSide([0], variables)]
            with unittest.mock.patch.dict(os.environ, TMF_BENCH_PIN="1,0"):
                with contextlib.redirect_stderr(io.StringIO()) as said:
                    self.assertEqual(interleaved.pin_alike(sides), pinned)
                self.assertEqual("TMF_BENCH_PIN" in os.environ, pinned)
                self.assertEqual("neither is pinned" in said.getvalue(), not pinned)

    def test_the_warm_up_does_not_count(self):
        plan = interleaved.Plan(repetitions=3)
        rows = [{"repetitions": 4, "repetition_index": index} for index in range(4)]
        own = [{"repetitions": 3, "repetition_index": index} for index in range(3)]
        self.assertEqual([interleaved.is_warm_up(row, plan) for row in rows + own],
                         [True] + 6 * [False])


class Command(unittest.TestCase):
    def compare(self, shift, pages, broken=None):
        """What compare.py finds, and the JUnit it writes."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder, name) for name in ("old", "new", "metrics", "xml", "md")]
            paths[0].write_text(json.dumps(result(1, 4, 7)), encoding="utf-8")
            paths[1].write_text(json.dumps(result(shift, pages, 8, broken)), encoding="utf-8")
            subprocess.run([sys.executable, "-B", HERE / "compare.py", *paths[:2], "--metrics",
                            paths[2], "--junit", paths[3], "--markdown", paths[4]], check=True)
            self.assertIn("| commit/same |", paths[4].read_text(encoding="utf-8"))
            return json.loads(paths[2].read_text(encoding="utf-8")), ElementTree.parse(paths[3])

    def test_a_regression_is_a_failure(self):
        found, junit = self.compare(1.2, 4)
        self.assertEqual([row["verdict"] for row in found["benchmarks"]], ["slower", "same"])
        self.assertEqual([failure["case"] for failure in found["failures"]], ["commit/slow"])
        self.assertEqual([case.get("name") for case in junit.iterfind("testcase[failure]")],
                         ["commit/slow"])

    def test_one_that_fails_now_is_a_failure(self):
        found, junit = self.compare(1, 4, broken="commit/slow")
        self.assertEqual(found["failures"], [{
            "case": "commit/slow", "what": "failed, where the old one did not: no room"}])
        self.assertEqual(len(junit.findall("testcase[failure]")), 1)

    def test_the_same_is_none(self):
        self.assertEqual(self.compare(1, 4)[0]["failures"], [])

    def test_counters_compare_exactly(self):
        rose, fell = (self.compare(1, pages)[0] for pages in (4.001, 3.999))
        self.assertEqual(len(rose["failures"]), 2)
        self.assertEqual(fell["failures"], [])
        self.assertEqual(fell["benchmarks"][0]["counters"], {"pages_dirtied": [4, 3.999]})


if __name__ == "__main__":
    unittest.main()
