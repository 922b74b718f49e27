# SPDX-License-Identifier: MIT
"""Matplotlib figures as inline SVG that takes its ink, its colours and its font from the page, and
so is readable on light and dark. Figures are drawn in stand-in colours, exchanged at the end."""
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot

INK = "#010101"
FAINT = "#020202"
PAPER = "#030303"
SERIES = tuple(f"#0a00{n:02}" for n in range(1, 10))
PAGE_COLOURS = {INK: "currentColor", FAINT: "var(--faint)", PAPER: "var(--paper)"}
PAGE_COLOURS.update({stand_in: f"var(--series-{n})" for n, stand_in in enumerate(SERIES, 1)})

pyplot.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "tmf", "font.size": 10.5, "figure.figsize": (4.6, 3.3),
    "figure.constrained_layout.use": True, "savefig.transparent": True,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT,
    "xtick.color": FAINT, "xtick.labelcolor": INK, "ytick.color": FAINT, "ytick.labelcolor": INK,
    "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.5, "grid.alpha": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.8,
    "lines.markersize": 4.5, "errorbar.capsize": 2.5,
})


def inline(figure, name, description):
    """The figure as an <svg> element whose ids begin with `name`."""
    raw = io.BytesIO()
    figure.savefig(raw, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    root = ElementTree.fromstring(raw.getvalue())
    for element in root.iter():
        simplify(element, name)
    for child in [child for child in root if child.tag == "metadata"]:
        root.remove(child)
    box = root.get("viewBox")
    root.attrib = {"viewBox": box, "role": "img", "aria-label": description, "id": name}
    return exchange_colours(ElementTree.tostring(root, encoding="unicode"))


def simplify(element, name):
    """No name spaces (HTML knows them), ids of its own, the font of the page."""
    element.tag = local(element.tag)
    for key in list(element.attrib):
        value = element.attrib.pop(key)
        if key == "id":
            value = f"{name}-{value}"
        value = re.sub(r"url\(#", f"url(#{name}-", value)
        if local(key) == "href":
            value = value.replace("#", f"#{name}-", 1)
        value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
        element.set(local(key), value)


def local(name):
    return name.rpartition("}")[2]


def exchange_colours(text):
    for stand_in, colour in PAGE_COLOURS.items():
        text = text.replace(stand_in, colour)
    return text
