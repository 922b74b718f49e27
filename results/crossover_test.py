# SPDX-License-Identifier: MIT
"""Crossovers where the truth is known."""
import unittest

import crossover
import curves


def line(times_of, spread=0.01):
    """{pages: point} of three repetitions."""
    return {pages: curves.of_times("", [time * (1 + spread * n) for n in (-1, 0, 1)])
            for pages, time in times_of.items()}


COUNTS = (1, 4, 16, 64, 256)


class CrossoverTest(unittest.TestCase):
    def test_lies_where_two_power_laws_meet(self):
        flat, steep = line({n: 100 for n in COUNTS}), line({n: 10 * n for n in COUNTS})
        (found,) = crossover.between("flat", flat, "steep", steep)
        self.assertEqual((found.before, found.after), ("steep", "flat"))
        self.assertAlmostEqual(found.at, 10, places=6)
        self.assertEqual(found.support, 1)
        self.assertTrue(9.5 < found.low < 10 < found.high < 10.5, found)
        (other,) = crossover.between("steep", steep, "flat", flat)
        self.assertEqual((other.before, other.after), ("steep", "flat"))
        self.assertAlmostEqual(other.at, found.at)

    def test_a_wide_spread_is_a_wide_interval(self):
        flat = line({n: 100 for n in COUNTS}, 0.4)
        (found,) = crossover.between("flat", flat, "steep", line({n: 10 * n for n in COUNTS}, 0.4))
        self.assertLess(found.low, 7)
        self.assertGreater(found.high, 13)

    def test_none_where_nobody_overtakes(self):
        slow = line({n: 30 * n for n in COUNTS})
        fast = line({n: 10 * n for n in COUNTS})
        self.assertEqual(crossover.between("slow", slow, "fast", fast), [])

    def test_none_within_the_margin(self):
        straight = line({n: 100 * n for n in COUNTS})
        wavering = line({n: 100 * n * (1.01 if n > 16 else 0.99) for n in COUNTS})
        self.assertEqual(crossover.between("straight", straight, "wavering", wavering), [])

    def test_noise_lowers_the_certainty(self):
        straight = line({n: 100 * n for n in COUNTS}, 0.5)
        wavering = line({n: 100 * n * (1.1 if n > 16 else 0.9) for n in COUNTS}, 0.5)
        (found,) = crossover.between("straight", straight, "wavering", wavering)
        self.assertLess(found.support, 0.95)

    def test_fastest_by_place(self):
        flat, steep = line({n: 100 for n in COUNTS}), line({n: 10 * n for n in COUNTS})
        self.assertEqual([name for _, name in crossover.fastest({"flat": flat, "steep": steep})],
                         ["steep", "steep", "flat", "flat", "flat"])


if __name__ == "__main__":
    unittest.main()
