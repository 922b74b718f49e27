# SPDX-License-Identifier: MIT
"""The page as a reader's browser shows it: headless Chromium, at 400 and 1400 pixels, light and
dark. No error on the console, nothing fetched, no scrolling sideways, every text readable against
what is behind it, and in tables and figures the numbers of the JSON. Exits 77 where there is no
browser."""
import json
import math
import pathlib
import re
import sys
import tempfile
import unittest
from statistics import median

import report

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("browser_test: apt install chromium chromium-driver python3-selenium")
    sys.exit(77)

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
FILES = ("kill", "kill-none", "error", "power", "threads", "procs", "mutants", "judgement",
         "strategy", "engine")
CHROMIUM, DRIVER = pathlib.Path("/usr/bin/chromium"), pathlib.Path("/usr/bin/chromedriver")
WIDTHS, SCHEMES = (400, 1400), ("light", "dark")
CONTRAST_MIN = 4.5  # WCAG AA; 3 for graphics

# Every text of the page, HTML and SVG, by its colour and the first background behind it.
CONTRASTS = """
const shown = text => text.textContent.trim() && text.parentElement.checkVisibility();
const parse = colour => colour.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
const behind = element => {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
while (walker.nextNode()) {
  const text = walker.currentNode, at = text.parentElement;
  if (!shown(text) || at.tagName == "STYLE" || at.closest("#cost-split")) continue;
  const style = getComputedStyle(at);
  const ink = at.closest("svg") ? style.fill : style.color;
  const [a, b] = [luminance(parse(ink)), luminance(behind(at))].sort((x, y) => y - x);
  found.push([text.textContent.trim(), (a + 0.05) / (b + 0.05)]);
}
return found.sort((x, y) => x[1] - y[1]).slice(0, 3);
"""
TABLE = """
const table = [...document.querySelectorAll("table")]
  .find(each => each.caption.textContent.startsWith(arguments[0]));
return [...table.rows].map(row => [...row.cells].map(cell => cell.textContent.trim()));
"""
# Text of a figure that is drawn over the edge of it, or outside the page.
OUTSIDE = """
return [...document.querySelectorAll("svg")].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1
        || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  }).map(text => svg.id + ": " + text.textContent);
});
"""
# Heights of a line's points in a figure, in its own units.
HEIGHTS = """
const axes = document.querySelector("#" + arguments[0]);
return [...axes.querySelectorAll("g")].filter(g => /line2d_\\d+$/.test(g.id))
  .map(g => [...g.querySelectorAll("use")].map(use => Number(use.getAttribute("y"))))
  .filter(heights => heights.length == arguments[1]);
"""


def make_page(folder):
    path = pathlib.Path(folder) / "page.html"
    status = report.main(["--out", str(path), *(str(FIXTURES / f"{name}.json") for name in FILES)])
    assert status == 0
    return path


def medians():
    times = {}
    for row in json.loads((FIXTURES / "strategy.json").read_text(encoding="utf-8"))[
            "metrics"]["benchmarks"]:
        times.setdefault(row["run_name"], []).append(row["real_time"])
    return {name: median(of_name) for name, of_name in times.items()}


class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(word)
        cls.browser = webdriver.Chrome(service=Service(str(DRIVER)), options=options)
        cls.addClassCleanup(cls.browser.quit)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.browser.get(make_page(cls.folder.name).as_uri())

    def show(self, width, scheme, media="screen"):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False})

    def ask(self, script, *words):
        return self.browser.execute_script(script, *words)

    def each_way(self):
        for width in WIDTHS:
            for scheme in SCHEMES:
                self.show(width, scheme)
                yield f"{width} pixels, {scheme}"

    def test_console_is_silent_and_nothing_is_fetched(self):
        self.assertEqual(self.browser.get_log("browser"), [])
        requests = [json.loads(entry["message"])["message"]
                    for entry in self.browser.get_log("performance")]
        urls = [request["params"]["request"]["url"] for request in requests
                if request["method"] == "Network.requestWillBeSent"]
        self.assertEqual([url for url in urls if not url.startswith(("file:", "data:"))], [])
        self.assertEqual(len([url for url in urls if url.startswith("file:")]), 1)

    def test_page_never_scrolls_sideways(self):
        for is_open in (False, True):
            self.ask("document.querySelectorAll('details').forEach(each =>"
                     "each.open = arguments[0])", is_open)
            for way in self.each_way():
                wide, page = self.ask("const root = document.documentElement;"
                                      "return [root.scrollWidth, root.clientWidth]")
                self.assertLessEqual(wide, page, way)
        self.ask("document.querySelectorAll('details').forEach(each => each.open = false)")

    def test_every_text_is_readable(self):
        for way in self.each_way():
            least = self.ask(CONTRASTS)
            self.assertGreaterEqual(least[0][1], CONTRAST_MIN, (way, least))

    def test_schemes_differ(self):
        papers = set()
        for scheme in SCHEMES:
            self.show(1400, scheme)
            papers.add(self.ask("return getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(papers), 2)

    def test_words_of_figures_are_inside_them(self):
        for way in self.each_way():
            self.assertEqual(self.ask(OUTSIDE), [], way)

    def test_table_shows_the_numbers_of_the_json(self):
        self.show(1400, "light")
        found = medians()
        head, *rows = self.ask(TABLE, "Median transaction by the pages it writes, as a multiple of "
                                      "the limit: sync, scattered, 160")
        counts = [int(re.match(r"\d+", word)[0]) for word in head[1:]]
        strategies = [row for row in rows if row[0] != "the limit"]
        self.assertEqual(len(strategies), 5)
        for name, *cells in strategies:
            for pages, cell in zip(counts, cells):
                ratio = (found[f"strategy/{name}/sync/scattered/arena_mib:160/pages:{pages}"]
                         / found[f"strategy/limit/sync/pages:{pages}"])
                self.assertEqual(cell, f"{ratio:.3g}\u00a0×")

    def test_figure_shows_the_numbers_of_the_json(self):
        """The height of a point is a line in the logarithm of its number: two give it, all obey."""
        self.show(1400, "light")
        found, counts = medians(), (1, 16, 64, 256)
        names = ("undo-fsync", "undo-mlock", "redo-segv", "redo-wp", "none")
        drawn = self.ask(HEIGHTS, "cost-multiples", len(counts))[::3]  # ends of bars follow each
        self.assertEqual(len(drawn), len(names))
        numbers = [math.log(found[f"strategy/{name}/sync/scattered/arena_mib:160/pages:{pages}"]
                            / found[f"strategy/limit/sync/pages:{pages}"])
                   for name in names for pages in counts]
        heights = [height for line in drawn for height in line]
        low, high = numbers.index(min(numbers)), numbers.index(max(numbers))
        scale = (heights[high] - heights[low]) / (numbers[high] - numbers[low])
        self.assertLess(scale, -5)  # SVG counts downwards
        for number, height in zip(numbers, heights):
            self.assertAlmostEqual(heights[low] + scale * (number - numbers[low]), height, delta=0.1)

    def test_keyboard_reaches_the_answers(self):
        self.show(1400, "light")
        self.ask("document.activeElement.blur(); window.scrollTo(0, 0)")
        self.browser.switch_to.active_element.send_keys(Keys.TAB)
        first = self.browser.switch_to.active_element
        self.assertEqual(first.text, "To the answers")
        self.assertGreaterEqual(first.location["x"], 0)
        first.send_keys(Keys.ENTER)
        self.assertEqual(self.ask("return location.hash"), "#main")

    def test_screen_reader_finds_its_way(self):
        missing = """return {
          main: document.querySelectorAll("main").length,
          nameless: [...document.querySelectorAll("nav, section, [role=region], svg[role=img]")]
            .filter(each => !each.getAttribute("aria-label") && !document.getElementById(
              each.getAttribute("aria-labelledby"))).length,
          captionless: [...document.querySelectorAll("table")].filter(each => !each.caption).length,
          scopeless: document.querySelectorAll("th:not([scope])").length,
          unreachable: [...document.querySelectorAll(".scroll, pre")]
            .filter(each => each.tabIndex < 0).length,
          levels: [...document.querySelectorAll("h1, h2, h3")].map(each => Number(each.tagName[1]))}
        """
        found = self.ask(missing)
        levels = found.pop("levels")
        self.assertEqual(found, {"main": 1, "nameless": 0, "captionless": 0, "scopeless": 0,
                                 "unreachable": 0})
        self.assertEqual(levels.count(1), 1)
        self.assertTrue(all(after <= before + 1 for before, after in zip(levels, levels[1:])))

    def test_print_is_black_on_white(self):
        self.show(1400, "dark", media="print")
        self.assertEqual(self.ask("return getComputedStyle(document.body).color"), "rgb(0, 0, 0)")
        self.assertGreaterEqual(self.ask(CONTRASTS)[0][1], CONTRAST_MIN)


if __name__ == "__main__":
    if not (CHROMIUM.exists() and DRIVER.exists()):
        print("browser_test: apt install chromium chromium-driver python3-selenium")
        sys.exit(77)
    unittest.main()
