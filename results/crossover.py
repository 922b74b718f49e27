# SPDX-License-Identifier: MIT
"""Where does one way overtake another? Between two measured numbers of pages, by a straight line
between the logarithms; how sure that is, by drawing the repetitions again (bootstrap, fixed seed)."""
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
MARGIN = 1.05  # who is not somewhere on each side so much faster has not overtaken anyone


@dataclass(frozen=True)
class Crossover:
    """From `at` on `after` is the faster one, until there `before`."""
    before: str
    after: str
    at: float
    low: float  # 95 % of the draws are between these
    high: float
    support: float  # share of the draws that have it


def between(name, of_name, other, of_other):
    """of_...: {x: point}. All crossovers, by x."""
    x = sorted(set(of_name) & set(of_other))
    if len(x) < 2:
        return []
    log_x = np.log(x)
    middle = np.array([np.log(of_name[n].median / of_other[n].median) for n in x])
    random = np.random.default_rng(1)
    draws = drawn(random, of_name, x) - drawn(random, of_other, x)
    found = [(place, middle[n + 1] > middle[n]) for n, place in crossings(middle, log_x)
             if is_clear(middle, n)]
    return [describe((name, other) if rises else (other, name), place,
                     draws if rises else -draws, log_x) for place, rises in found]


def drawn(random, points, x):
    """Logarithms of medians of repetitions drawn again: DRAWS rows, a column for each x."""
    columns = [np.median(random.choice(points[n].times or (points[n].median,),
                                       (DRAWS, max(len(points[n].times), 1))), axis=1) for n in x]
    return np.log(np.column_stack(columns))


def crossings(difference, log_x):
    """(number of the interval, logarithm of where in it) of each change of sign."""
    changes = np.flatnonzero(np.sign(difference[:-1]) * np.sign(difference[1:]) < 0)
    return [(n, place_of(difference[n], difference[n + 1], log_x[n], log_x[n + 1]))
            for n in changes]


def place_of(left, right, from_x, to_x):
    return from_x + (to_x - from_x) * left / (left - right)


def is_clear(difference, interval):
    """On both sides, as far as the sign stays, the faster is so by the margin somewhere."""
    sides = (difference[interval::-1], difference[interval + 1:])
    return all(np.max(np.abs(same_sign(side))) > np.log(MARGIN) for side in sides)


def same_sign(side):
    other = np.flatnonzero(np.sign(side) != np.sign(side[0]))
    return side[:other[0]] if len(other) else side


def describe(names, place, draws, log_x):
    """In each draw the crossing of the same direction that is nearest counts."""
    found = [nearest(place, draw, log_x) for draw in draws]
    found = [each for each in found if each is not None]
    low, high = np.exp(np.percentile(found, (2.5, 97.5))) if found else (np.nan, np.nan)
    return Crossover(*names, float(np.exp(place)), float(low), float(high),
                     len(found) / len(draws))


def nearest(place, draw, log_x):
    """Of those where the difference rises."""
    places = [at for n, at in crossings(draw, log_x) if draw[n + 1] > draw[n]]
    return min(places, key=lambda at: abs(at - place), default=None)


def of_all(series):
    """series: {name: {x: point}}. Every pair's, by where it is."""
    names = list(series)
    found = [crossing for n, name in enumerate(names) for other in names[n + 1:]
             for crossing in between(name, series[name], other, series[other])]
    return sorted(found, key=lambda crossing: crossing.at)


def fastest(series):
    """[(x, name)] of the fastest at each x that all have."""
    common = sorted(set.intersection(*(set(points) for points in series.values())))
    return [(x, min(series, key=lambda name, x=x: series[name][x].median)) for x in common]
