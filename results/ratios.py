# SPDX-License-Identifier: MIT
"""How much slower is NEW than OLD: the ratio of two times, its interval, and what that says.

Times of a machine that others use too have a long tail to one side, and drift. So everything is
done with logarithms, whose differences are ratios; a mean is taken of the middle three tenths, and
an interval by Student's t for such means: Tukey and McLaughlin's for pairs that were measured one
right after the other, Yuen's and Welch's for two results that were not. Both are SciPy's.

The verdict is read off the interval alone:

    slower       all of it lies above 1 + tolerance
    faster       all of it lies below 1 / (1 + tolerance)
    same         all of it lies between these two
    cannot tell  otherwise

so each is right wherever the interval holds the true ratio. Many benchmarks are many chances to be
wrong: with m of them, looked at l times, each interval is given the confidence 1 - alpha / (m l)
(Bonferroni), so that with probability 1 - alpha all of them hold at once, at every look. Holm's and
Benjamini and Hochberg's steps would decide a little sooner, but give no intervals, and do not bound
how often a claim of one side stands for the other, or "same" for a change."""
import math
from dataclasses import dataclass

import numpy
from scipy import optimize, stats

ALPHA = 0.05
TRIM = 0.35  # of either end: where bursts of others slow two fifths of the pairs, these go both ways
COUNT_MIN = 5  # fewer times say nothing about their own spread
MORE_MAX = 1000
SLOWER, FASTER, SAME, UNKNOWN = "slower", "faster", "same", "cannot tell"


@dataclass(frozen=True)
class Ratio:
    """NEW by OLD; low and high are the ends of the interval."""
    count: int  # of pairs, or of the fewer times of the two
    estimate: float
    low: float
    high: float
    verdict: str
    more: int  # times or pairs that would presumably do to tell; above MORE_MAX: too many


def of_pairs(old, new, tolerance, share=1):
    """old[i] and new[i] were measured together. share: alpha is divided by it, m l above."""
    shifts = numpy.log(numpy.asarray(new, float) / numpy.asarray(old, float))
    return judge(len(shifts), *pairs_interval(shifts, ALPHA / share), tolerance)


def of_times(old, new, tolerance, share=1):
    """Two lists of any lengths."""
    old, new = numpy.log(numpy.asarray(old, float)), numpy.log(numpy.asarray(new, float))
    return judge(min(len(old), len(new)), *times_interval(old, new, ALPHA / share), tolerance)


def pairs_interval(shifts, alpha):
    middle = stats.trim_mean(shifts, TRIM)
    if len(shifts) < COUNT_MIN:
        return middle, -math.inf, math.inf
    low, high = stats.mstats.trimmed_mean_ci(shifts, limits=(TRIM, TRIM), alpha=alpha)
    return middle, float(low), float(high)


def times_interval(old, new, alpha):
    """The shifts of `old` that a test does not tell from `new`."""
    middle = stats.trim_mean(new, TRIM) - stats.trim_mean(old, TRIM)
    if min(len(old), len(new)) < COUNT_MIN:
        return middle, -math.inf, math.inf
    if numpy.ptp(old) == numpy.ptp(new) == 0:
        return middle, middle, middle

    def excess(shift):
        return stats.ttest_ind(new - shift, old, equal_var=False, trim=TRIM).pvalue - alpha

    far = 1.0  # as far as it is rejected
    while excess(middle - far) > 0 or excess(middle + far) > 0:
        far *= 2
    return (middle, optimize.brentq(excess, middle - far, middle),
            optimize.brentq(excess, middle, middle + far))


def judge(count, middle, low, high, tolerance):
    edge = math.log1p(tolerance)
    verdict = UNKNOWN
    if low > edge:
        verdict = SLOWER
    elif high < -edge:
        verdict = FASTER
    elif -edge < low and high < edge:
        verdict = SAME
    more = repetitions_more(count, middle, high - low, edge) if verdict == UNKNOWN else 0
    return Ratio(count, math.exp(middle), math.exp(low), exp(high), verdict, more)


def exp(value):
    return math.exp(value) if value < 700 else math.inf


def repetitions_more(count, middle, width, edge):
    """Half an interval, which shrinks with the root of their number, must fit between the middle and
    the nearer edge."""
    if count < COUNT_MIN:
        return COUNT_MIN - count
    gap = abs(abs(middle) - edge)
    needed = count * (width / 2 / gap) ** 2 if gap > 0 else math.inf
    return min(max(math.ceil(min(needed, 1e9)) - count, 1), MORE_MAX + 1)
