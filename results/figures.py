# SPDX-License-Identifier: MIT
"""The figures, each a function from numbers to SVG. Lines are labelled where they end; error bars
are the smallest and the largest of all repetitions."""
from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

import svg

LABEL_HEIGHT = 12  # points between two labels, at least
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def sweep(lines, name, description, x_label, y_label, x_ticks, log_x=True, log_y=False,
          level=None):
    """lines: (label, x values, points or numbers, fit or None); level: (label, y) of a line to
    compare with."""
    figure, axes = pyplot.subplots()
    axes.set(xscale="log" if log_x else "linear", yscale="log" if log_y else "linear",
             xlabel=x_label)
    axes.set_title(y_label, loc="left", fontsize=10.5)
    axes.xaxis.set_major_locator(FixedLocator(x_ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    x_format = short if log_x else grouped
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: x_format(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: grouped(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    ends = [draw_line(axes, line, colour) for line, colour in zip(lines, svg.SERIES)]
    if level:
        axes.axhline(level[1], color=svg.INK, linewidth=1, linestyle=(0, (4, 3)))
        ends.append((x_ticks[-1], level[1], level[0], svg.INK))
    if not log_y:
        axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
    else:
        axes.yaxis.set_major_locator(decade_parts(*axes.get_ylim()))
    label_ends(figure, axes, ends)
    return svg.inline(figure, name, description)


def decade_parts(low, high):
    """Every power of ten; 2 and 5 of it too, where there are few of them."""
    return LogLocator(subs=(1,) if np.log10(high / low) > 1.8 else (1, 2, 5))


def draw_line(axes, line, colour):
    label, x, values, fit = line
    middle = [value.median for value in values]
    bars = [[value.median - value.low for value in values],
            [value.high - value.median for value in values]]
    axes.plot(x, middle, color=colour, marker="o", linewidth=0 if fit else 1.8)
    if np.any(bars):
        axes.errorbar(x, middle, yerr=bars, color=colour, fmt="none", elinewidth=1.8)
    if fit:
        smooth = np.geomspace(min(x), max(x), 50)
        axes.plot(smooth, fit.coefficient * np.log2(smooth), color=colour, linestyle=(0, (4, 3)))
    return x[-1], middle[-1], label, colour


def label_ends(figure, axes, ends):
    """To the right of each line's last point, pushed apart where they would overlap."""
    figure.canvas.draw()
    heights = np.array([axes.transData.transform(end[:2])[1] for end in ends]) * 72 / figure.dpi
    order = np.argsort(heights)
    places = heights[order]
    for n in range(1, len(places)):
        places[n] = max(places[n], places[n - 1] + LABEL_HEIGHT)
    places -= np.mean(places - heights[order])
    for n, place in zip(order, places):
        x, y, label, colour = ends[n]
        axes.annotate(label, (x, y), xytext=(8, place - heights[n]), textcoords="offset points",
                      va="center", color=colour, annotation_clip=False)


@dataclass(frozen=True)
class Range:
    """A row of ranges(): a line, and marks on it at (value, word, side of the word)."""
    label: str
    low: float
    high: float
    marks: tuple


SIDES = {"left": {"xytext": (-7, 0), "ha": "right", "va": "center"},
         "below": {"xytext": (0, -6), "ha": "center", "va": "top"},
         "right": {"xytext": (7, 0), "ha": "left", "va": "center"}}


def ranges(rows, name, description, x_label, colours=(0, 0, 0), mark=None):
    """One above the other, each below its label; x is logarithmic. colours: of the n-th marks;
    mark: a value to compare with."""
    figure, axes = pyplot.subplots(figsize=(4.6, 0.8 + 0.6 * len(rows)))
    if mark is not None:
        axes.axvline(mark, color=svg.INK, linewidth=1, zorder=0)
    for n, row in enumerate(rows):
        axes.text(0, n - 0.42, row.label, transform=axes.get_yaxis_transform(), va="center",
                  bbox={"facecolor": svg.PAPER, "edgecolor": "none", "pad": 1})
        axes.plot([row.low, row.high], [n, n], color=svg.SERIES[0])
        for (value, word, side), colour in zip(row.marks, colours):
            ink = {"color": svg.SERIES[colour]} if colour else {}
            axes.plot(value, n, "o", color=svg.SERIES[colour])
            axes.annotate(word, (value, n), textcoords="offset points", **SIDES[side], **ink)
    axes.set(xscale="log", xlabel=x_label, ylim=(len(rows) - 0.45, -0.75), yticks=())
    axes.margins(x=0.18)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(decade_parts(min(row.low for row in rows),
                                              max(row.high for row in rows)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    return svg.inline(figure, name, description)


def short(value):
    """1000000 as 10⁶; numbers that are no power of ten, and small ones, as they are."""
    power = round(np.log10(value))
    if value >= 100 and np.isclose(value, 10.0 ** power):
        return "10" + str(power).translate(SUPERSCRIPT)
    return grouped(value)


def grouped(value):
    text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
    return text.replace(",", "\u202f")


def stacked(rows, parts, name, description, x_label):
    """rows: (label, a number for each part). Each row is 100 %, its whole at its end; a part is
    named where it is first wide enough for its name."""
    figure, axes = pyplot.subplots(figsize=(4.6, 1.1 + 0.5 * len(rows)))
    unnamed = set(parts)
    for n, (label, values) in enumerate(rows):
        whole = sum(values) or 1
        axes.text(0, n - 0.45, f"{label}, {grouped(float(f'{whole:.3g}'))} µs",
                  transform=axes.get_yaxis_transform(), va="center")
        left = 0
        for part, value, colour in zip(parts, values, svg.SERIES):
            width = 100 * value / whole
            axes.barh(n, width, left=left, height=0.42, color=colour, linewidth=0)
            if width > 2.2 * len(part) + 1 and part in unnamed:
                axes.text(left + width / 2, n, part, ha="center", va="center", color=svg.PAPER,
                          fontsize=9)
                unnamed.discard(part)
            left += width
    axes.legend(handles=[Patch(color=colour, label=part) for part, colour
                         in zip(parts, svg.SERIES)], loc="upper center", ncols=4, frameon=False,
                bbox_to_anchor=(0.5, -1.0 / len(rows)), handlelength=0.9, handleheight=0.9, fontsize=9)
    axes.set(xlim=(0, 100), xlabel=x_label, ylim=(len(rows) - 0.6, -0.75), yticks=())
    axes.grid(visible=False)
    return svg.inline(figure, name, description)
