# SPDX-License-Identifier: MIT
"""Makes pages as `tmf report` does, of envelopes made by hand, and looks at them."""
import contextlib
import gzip
import io
import json
import pathlib
import re
import subprocess
import tempfile
import unittest
from html.parser import HTMLParser

import histograms
import readme
import report as page_maker

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE / "fixtures"


def section_of(text, name):
    return re.search(rf'<section id="{name}".*?</section>', text, re.DOTALL)[0]


class Page(HTMLParser):
    """The cells of every table, by its caption; ids; and what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.ids, self.references, self.open = {}, [], [], []
        self.caption, self.row = "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.references += [attributes[key] for key in ("href", "src") if key in attributes]
        if tag == "tr":
            self.row = []
            self.tables.setdefault(self.caption, []).append(self.row)
        elif tag in ("td", "th"):
            self.row.append("")
        elif tag == "caption":
            self.caption = ""

    def handle_endtag(self, tag):
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag):]

    def handle_data(self, data):
        if "caption" in self.open:
            self.caption += data
        elif "td" in self.open or "th" in self.open:
            self.row[-1] = f"{self.row[-1]} {data.strip()}".strip()

    def table(self, caption):
        """Cells by (first cell of the row, first word of the head of the column)."""
        head, *rows = next(rows for name, rows in self.tables.items() if name.startswith(caption))
        return {(row[0], word.split()[0]): cell for row in rows for word, cell in zip(head, row)}


def report(*words):
    """What `tmf report WORDS` does, in this process: modules are loaded but once."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "page.html"
        said, printed = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            status = page_maker.main(["--out", str(out), *map(str, words)])
        text = out.read_text(encoding="utf-8") if out.exists() else ""
        done = subprocess.CompletedProcess(words, status, stdout=printed.getvalue(), stderr=said.getvalue())
        return done, text


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def report_of(*contents):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, f"{number}.json") for number in range(len(contents))]
        for path, content in zip(paths, contents):
            path.write_text(content if isinstance(content, str) else json.dumps(content),
                            encoding="utf-8")
        return report(*paths)


def medians_of(name):
    """Of the processor's time where that is judged, in nanoseconds, by benchmark."""
    times = {}
    for row in fixture(name)["metrics"]["benchmarks"]:
        if row["run_type"] != "iteration":
            continue
        scale = {"ns": 1, "us": 1e3}[row["time_unit"]]
        key = "cpu_time" if row["run_name"].startswith(("alloc_free/", "trace/")) else "real_time"
        times.setdefault(row["run_name"], []).append(row[key] * scale)
    return {name: sorted(of_name)[len(of_name) // 2] for name, of_name in times.items()}


def number(text):
    return int(re.sub(r"\s", "", text))


class ReportTest(unittest.TestCase):
    def page(self, *names):
        done, text = report(*(FIXTURES / f"{name}.json" for name in names))
        self.assertEqual(done.returncode, 0, done.stderr)
        return text

    def test_verdicts_are_the_numbers_of_the_envelopes(self):
        verdicts = Page(self.page("kill", "kill-none", "error", "threads",
                                   "procs")).table("Strategy")
        for model in ("kill", "error", "threads", "procs"):
            held = re.fullmatch(r"✓ held ([\d\s]+) cases", verdicts["undo-fsync", model])
            self.assertEqual(number(held[1]), fixture(model)["cases"])
        caught = re.fullmatch(r"✓ caught ([\d\s]+) in ([\d\s]+) cases first at (.*)",
                              verdicts["none", "kill"])
        control = fixture("kill-none")
        self.assertEqual(number(caught[1]), control["violations"])
        self.assertEqual(number(caught[2]), control["cases"])
        self.assertEqual(re.sub(r"\s", "", caught[3]), control["failures"][0]["case"])

    def test_seeded_bugs_are_counted(self):
        text = self.page("mutants")
        page = Page(text)
        self.assertIn("Of 4 seeded bugs 3 were found", text)
        self.assertIn("Nobody noticed owner-unchecked.", text)
        self.assertIn("1 more were not tried", text)
        self.assertIn("1 are equivalent", text)
        totals = page.table("Seeded bugs by the model")
        self.assertEqual((totals["kill", "hung"], totals["threads", "survived"]), ("1", "1"))
        matrix = page.table("Seeded bug by model")
        self.assertEqual(matrix["below-not-joined", "model"], "● 18 cases, 0.0 s")
        self.assertEqual(matrix["undoes-one-too-few", "model"], "survived")
        self.assertEqual(matrix["position-unchecked", "equivalent,"],
                         "a record is only ever written at its own place")
        self.assertIn("Not run.", self.page("kill"))

    def test_how_often_the_gate_errs(self):
        text = self.page("gate")
        self.assertIn("Of A/A comparisons 0.5 % say slower or faster", text)
        self.assertIn("94.0 % are found", text)
        self.assertIn("at least 95 % must be", text)
        rates = Page(text).table("Comparisons of a program with itself")
        self.assertEqual((rates["A/A", "slower"], rates["delayed", "slower"]), ("1", "188"))
        self.assertEqual(rates["delayed", "median"], "1.102")
        self.assertIn("tmf compare --self-test", text)
        self.assertIn("Not run.", self.page("kill"))

    def test_what_was_not_run_is_said(self):
        text = self.page("kill")
        verdicts = Page(text).table("Strategy")
        self.assertEqual(verdicts["undo-fsync", "threads"], "not run")
        self.assertEqual(verdicts["undo-fsync", "procs"], "not run")
        self.assertEqual(text.count(">Not run.<"), 10)  # every other answer

        empty = fixture("bench")
        empty["metrics"] = {}
        done, text = report_of(empty)
        self.assertEqual((done.returncode, text.count(">Not run.<")), (0, 10))

    def test_a_control_is_known_by_what_it_survives(self):
        sound = fixture("kill-none")
        sound["metrics"]["runs"][0]["survives"] = "power"
        _, text = report_of(sound)
        self.assertTrue(Page(text).table("Strategy")["none", "kill"].startswith("✗ caught"))

    def test_a_control_that_holds_is_marked(self):
        control = fixture("kill-none")
        control["metrics"]["runs"][0]["violations"] = 0
        _, text = report_of(control)
        self.assertTrue(Page(text).table("Strategy")["none", "kill"].startswith("✗ held"))

    def test_power_loss_must_catch_what_survives_a_kill_only(self):
        verdicts = Page(self.page("power")).table("Strategy")
        self.assertRegex(verdicts["undo-fsync", "power"], "^✓ held")
        for control in ("undo-mlock", "none"):
            self.assertRegex(verdicts[control, "power"],
                             f"^✓ caught .* first at power: ?{control}:")
        blind = fixture("power")
        for run in blind["metrics"]["runs"]:
            run["violations"] = 0
        verdicts = Page(report_of(blind)[1]).table("Strategy")
        self.assertRegex(verdicts["undo-mlock", "power"], "^✗ held")

    def test_verdicts_are_printed_too(self):
        power, control = fixture("power"), fixture("kill-none")
        done, _ = report(*(FIXTURES / f"{name}.json" for name in ("kill-none", "error", "power")))
        table = {line.split()[0]: line for line in reversed(done.stdout.splitlines()) if line}
        lost = sum(run["violations"] for run in power["metrics"]["runs"]
                   if run["strategy"] == "undo-mlock")
        self.assertRegex(table["undo-mlock"], f"^undo-mlock +- +- +loses {lost} of [0-9]+$")
        self.assertRegex(table["undo-fsync"], "^undo-fsync +- +holds, [0-9]+ cases +holds, [0-9]+ cases")
        self.assertIn(f"loses {control['violations']} of {control['cases']} ", table["none"])
        self.assertNotIn("!", done.stdout)
        for example in power["metrics"]["counterexamples"]:
            self.assertIn(f"replay: {example['replay']}", done.stdout)
        for run in power["metrics"]["runs"]:
            run["violations"] = 0
        done, _ = report_of(power)
        self.assertRegex(done.stdout, "undo-mlock .* holds, [0-9]+ cases !")
        self.assertIn("!: not as it must be", done.stdout)

    def test_parts_of_a_power_campaign_are_one(self):
        parts = ("power-2", "power-1", "power-3")
        self.assertEqual(self.page("kill", *parts), self.page("kill", "power"))
        done, _ = report(*(FIXTURES / f"{name}.json" for name in parts[:2]))
        self.assertEqual(done.returncode, 2)
        self.assertIn("not the 3 parts of one campaign", done.stderr)

    def test_multiples_are_ratios_of_medians(self):
        table = Page(self.page("bench")).table("Per transaction")
        times = {}
        for row in fixture("bench")["metrics"]["benchmarks"]:
            if row["run_type"] == "iteration":
                times.setdefault(row["run_name"], []).append(row["real_time"])
        for pages in (1, 4, 16, 64, 256):
            name = f"commit/undo-fsync/pages:{pages}"
            ratio = sorted(times[name])[1] / sorted(times[f"limit/pages:{pages}"])[1]
            self.assertEqual(table[name, "times"].split(" (")[0], f"{ratio:.3g}")

    def test_choice_is_the_fastest_that_is_exact(self):
        medians = medians_of("judgement")
        text = self.page("judgement")
        own = medians["alloc_free/btree/quantum:64/free_blocks:100000"]
        self.assertGreater(own, medians["alloc_free/tlsf/quantum:64/free_blocks:100000"])
        original = medians["alloc_free/rb-twin/quantum:64/free_blocks:100000"]
        boost = medians["alloc_free/boost-rbtree/free_blocks:100000"]
        jemalloc = medians["alloc_free/jemalloc/free_blocks:100000"]
        self.assertRegex(text, f"is btree, quantum 64: [0-9]+\u00a0ns for a free and an allocation"
                               ", "
                               f"{original / own:.2g} times faster than rb-twin, quantum 64, "
                               f"{boost / own:.2g} times faster than Boost[^,]*, "
                               f"{own / jemalloc:.2g} times the time of jemalloc")

    def test_choice_takes_its_numbers_from_every_family(self):
        medians = medians_of("judgement")
        row = self.choice_row(self.page("judgement"), "btree", "16")
        lost, live = 0, 0
        for each in fixture("judgement")["metrics"]["benchmarks"]:
            if each["run_name"].startswith("trace/btree/quantum:16/"):
                lost += each["rounding_bytes"] + each["metadata_bytes"]
                live += each["live_bytes"]
        self.assertEqual(row["lost"], f"{100 * lost / live:.3g}")
        redo = medians["txn_alloc/redo-wp/btree/quantum:16"] / 1e3
        self.assertEqual(row["redo-wp,"], f"{redo:.3g}")
        self.assertEqual(row["tail"], "7.4\u00a0×")  # with more free blocks

    def test_choice_leaves_out_what_was_not_measured(self):
        few = fixture("judgement")
        few["metrics"]["benchmarks"] = [row for row in few["metrics"]["benchmarks"]
                                        if re.match("alloc_free/[^j]", row["run_name"])]
        done, text = report_of(few)
        self.assertEqual(done.returncode, 0, done.stderr)
        row = self.choice_row(text, "btree", "16")
        self.assertEqual((row["lost"], row["redo-wp,"], row["of"]), ("", "", ""))
        self.assertNotIn("choice-fragmentation", text)

    def choice_row(self, text, index, quantum):
        tables = Page(text).tables
        head, *rows = next(rows for name, rows in tables.items() if name.startswith("A free and"))
        row = next(row for row in rows if row[:2] == [index, quantum])
        return {word.split()[0]: cell for word, cell in zip(head, row)}

    def test_page_stands_alone_and_is_sound(self):
        for bench, drawings in (("bench", 8), ("judgement", 7)):
            text = self.page("kill", "kill-none", "threads", "procs", bench)
            page = Page(text)
            self.assertNotRegex(text, "https?:")
            self.assertNotIn("@import", text)
            self.assertEqual(len(page.ids), len(set(page.ids)), "ids are unique")
            for reference in page.references:
                self.assertTrue(reference.startswith("#") and reference[1:] in page.ids, reference)
            self.assertEqual(text.count("<svg"), drawings)
            self.assertEqual(text.count('role="img" aria-label='), drawings)

    def test_histograms_add_up(self):
        waits = [{"kind": "of readers", "buckets_us": [[0.5, 30], [1, 20]]},
                 {"kind": "of readers", "buckets_us": [[10, 49], [1000, 1]]},
                 {"kind": "of writers", "buckets_us": [[7, 1000]]}]
        times, shares = histograms.longer(histograms.merged(waits, "of readers"))
        self.assertEqual([round(time, 2) for time in times], [0.56, 1, 10])
        self.assertEqual([share.median for share in shares], [70, 50, 1])
        procs = fixture("procs")
        text = report_of(json.dumps(procs))[1]
        self.assertNotIn("waiting-histograms", text)
        for kind in ("of readers", "held by writers"):
            procs["metrics"]["waits"].append(procs["metrics"]["waits"][0] | {
                "kind": kind, "buckets_us": [[1, 5], [20, 3], [300, 1]]})
        text = report_of(json.dumps(procs))[1]
        self.assertIn("waiting-histograms", text)
        for label in ("readers wait", "writers hold"):
            self.assertIn(label, text)
        self.assertNotIn("readers hold", text)

    def test_again_leaves_out_where_it_was_and_has_the_seed(self):
        bench = fixture("bench") | {"seed": 7}
        bench["arguments"] += ["--dir", "/gone/tmf-1", "--quiet"]
        self.assertIn("<code>tmf bench --repetitions 3 --min-time 0.05 --seed 7</code>",
                      report_of(bench)[1])
        bench["arguments"] += ["--seed", "7"]
        self.assertNotIn("--seed 7 --seed 7", report_of(bench)[1])

    def test_again_is_what_the_command_says(self):
        line = "tmf bench --filter . --repetitions 3 --min-time 0.05 --seed 1 --durability sync"
        text = report_of(fixture("bench") | {"again": line})[1]
        for section in ("choice", "allocation", "commit", "reading"):
            self.assertIn(f"<code>{line}</code>", section_of(text, section))

    def test_every_section_with_figures_or_tables_has_its_line(self):
        names = ("bench", "engine", "strategy", "kill", "procs", "mutants", "judgement")
        loaded = [fixture(name) for name in names]
        for number, envelope in enumerate(loaded):
            envelope["again"] = f"tmf line-{number}"
        text = report_of(*loaded)[1]
        for name in re.findall(r'<section id="([^"]+)"', text):
            section = section_of(text, name)
            if name not in ("short", "environment") and ("<figure" in section or "<table" in section):
                self.assertRegex(section, r"<code>tmf line-\d", name)

    def test_what_disturbed_stands_beside_the_figures_of_that_run_alone(self):
        disturbed = fixture("bench") | {"disturbances": [{"name": "folder", "what": "it is on tmpfs"}]}
        text = report_of(disturbed, fixture("procs"))[1]
        for section, count in (("reading", 1), ("commit", 1), ("waiting", 0), ("verdicts", 0)):
            self.assertEqual(section_of(text, section).count("it is on tmpfs"), count, section)
        self.assertIn("measured while disturbed", section_of(text, "short"))
        self.assertNotIn("disturbed", section_of(self.page("bench"), "reading"))

    def test_cost_is_multiples_of_the_limit_of_the_same_run(self):
        medians = medians_of("strategy")
        table = Page(self.page("strategy")).table("Median transaction by the pages it writes, as a "
                                                  "multiple of the limit: sync, scattered, 160")
        for strategy in ("undo-fsync", "redo-segv", "redo-wp", "none"):
            for pages in (1, 16, 64, 256):
                own = medians[f"strategy/{strategy}/sync/scattered/arena_mib:160/pages:{pages}"]
                limit = medians[f"strategy/limit/sync/pages:{pages}"]
                # the head's first word; "1 page" and "16 pages" differ in it
                self.assertEqual(table[strategy, str(pages)], f"{own / limit:.3g}\u00a0×")

    def test_control_never_is_the_fastest(self):
        quick = fixture("strategy")
        for row in quick["metrics"]["benchmarks"]:
            if row["run_name"].startswith("strategy/none/"):
                row["real_time"] = 1.0
        text = report_of(quick)[1]
        self.assertRegex(text, "The fastest by the pages .* on redo-wp")
        self.assertNotIn("on none", text)

    def test_a_peer_that_wins_is_named_in_the_first_table(self):
        short = Page(self.page("engine")).table("Every question")
        said = short["How does it compare with the peers?", "answer"]
        self.assertRegex(said, "^✗ tmf is faster in 17 of 20 comparisons, as fast as far as can be "
                               "told in 1; a peer wins 2: lmdb-sync 2 \\(the most in ycsb-b, 1.4\u00a0×\\)")
        slow = fixture("engine")
        for row in slow["metrics"]["benchmarks"]:
            if not row["run_name"].startswith("engine/tmf-"):
                row["real_time"] *= 10
                row["read_ns"] = row.get("read_ns", 0) * 10
        said = Page(report_of(slow)[1]).table("Every question")
        self.assertRegex(said["How does it compare with the peers?", "answer"],
                         "^✓ tmf is faster in 20 of 20 comparisons; no peer wins.$")

    def test_peers_are_ratios_within_repetitions(self):
        runs = {}
        for row in fixture("engine")["metrics"]["benchmarks"]:
            runs.setdefault(row["run_name"], []).append(row["real_time"])
        pairs = zip(runs["engine/lmdb-sync/bank"], runs["engine/tmf-redo-wp-sync/bank"])
        ratio = sorted(peer / own for peer, own in pairs)[1]
        page = Page(self.page("engine"))
        cell = page.table("Time of a transaction of engines whose commits survive power")["bank", "lmdb-sync"]
        self.assertRegex(cell, f", {ratio:.3g}\u00a0×$")
        self.assertNotIn(("bank", "lmdb-nosync"), page.table(
            "Time of a transaction of engines whose commits survive power"))

    def test_what_changed_is_told_by_counters_and_times(self):
        old, new = fixture("judgement"), fixture("judgement")
        slower, other = "alloc_free/btree/quantum:64/free_blocks:10000", "trace/btree/quantum:16/gcc"
        for row in new["metrics"]["benchmarks"]:
            if row["run_name"] == slower:
                row["cpu_time"] *= 3
            if row["run_name"] == other:
                row["metadata_bytes"] += 1
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / name for name in ("old", "new")]
            for path, content in zip(paths, (old, new)):
                path.mkdir()
                (path / "bench.json").write_text(json.dumps(content), encoding="utf-8")
            done, text = report(paths[1] / "bench.json", "--reference", paths[0])
            self.assertEqual(done.returncode, 0, done.stderr)
            page = Page(text)
            self.assertEqual(page.table("Times, then and now")[slower, "verdict"], "slower")
            counters = page.tables["Counters that differ"]
            self.assertEqual([row[:2] for row in counters[1:]], [[other, "metadata bytes"]])
            done, text = report(paths[1] / "bench.json", "--reference", paths[1])
            self.assertIn("no counter differs", Page(text).table("Every question")[
                "What changed since the last reference?", "answer"])
            self.assertEqual(report(paths[1] / "bench.json", "--reference", folder)[0].returncode, 2)

    def test_what_tmf_compare_has_decided_is_shown(self):
        decided = fixture("kill")
        decided["command"] = "compare"
        decided["metrics"] = {"benchmarks": [
            {"run_name": "commit/redo-wp/pages:1", "estimate": 1.25, "low": 1.2, "high": 1.31,
             "verdict": "slower"},
            {"run_name": "limit/pages:1", "estimate": 1.0, "low": None, "high": None,
             "verdict": "cannot tell"}]}
        page = Page(report_of(decided)[1])
        self.assertEqual(page.table("Every question")[
            "What changed since the last reference?", "answer"],
            "✗ tmf compare, 2 benchmarks: 1 slower, 1 cannot tell.")
        table = page.table("New by old")
        self.assertEqual(table["commit/redo-wp/pages:1", "interval"], "1.2 to 1.31")
        self.assertEqual(table["limit/pages:1", "verdict"], "cannot tell")

    def test_other_formats_have_the_same_numbers(self):
        done, text = report("--format", "csv", FIXTURES / "kill.json", FIXTURES / "strategy.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.split(",") for line in text.splitlines()]
        self.assertIn(["verdict", "undo-fsync/kill", "cases", str(fixture("kill")["cases"]), ""], lines)
        name = "strategy/redo-wp/sync/scattered/arena_mib:160/pages:64"
        value = next(line[3] for line in lines if line[1:3] == [name, "median"])
        self.assertEqual(float(value), medians_of("strategy")[name])
        done, text = report("--format", "md", FIXTURES / "engine.json")
        self.assertIn("a peer wins 2: lmdb-sync 2 (the most in ycsb-b", text)
        self.assertIn("tmf bench --filter 'strategy' --json FILE", text)

    def test_readme_is_refreshed_from_a_run(self):
        with tempfile.TemporaryDirectory() as folder:
            page, data = pathlib.Path(folder) / "README.md", pathlib.Path(folder) / "run"
            data.mkdir()
            (data / "engine.json.gz").write_bytes(gzip.compress(
                (FIXTURES / "engine.json").read_bytes()))
            page.write_text("before\n<!-- figures: peers -->\nstale\n<!-- end -->\nafter\n",
                            encoding="utf-8")
            words = ["--readme", str(page), "--data", str(data)]
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(readme.main([*words, "--check"]), 1)
                self.assertEqual(readme.main(words), 0)
                self.assertEqual(readme.main([*words, "--check"]), 0)
            text = page.read_text(encoding="utf-8")
            self.assertRegex(text, "(?s)^before\n<!--.*a peer wins 2: lmdb-sync 2 .*-->\nafter\n$")
            self.assertNotIn("stale", text)
            page.write_text("<!-- figures: nothing -->\n<!-- end -->", encoding="utf-8")
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(readme.main(words), 2)

    def test_malformed_files_end_in_a_sentence(self):
        damaged = fixture("kill")
        damaged["metrics"]["runs"][0].pop("cases")
        cases = {"{": "is no JSON", "[]": "is no result of tmf", json.dumps(damaged): "is damaged",
                 '{"schema": "tmf/1"}': "is damaged"}
        for content, sentence in cases.items():
            done, text = report_of(content)
            self.assertEqual((done.returncode, text), (2, ""))
            self.assertRegex(done.stderr, f"^tmf report: .*{sentence}.*\n$")
        self.assertEqual(report("/nonexistent")[0].returncode, 2)
        self.assertEqual(report(FIXTURES / "bench.json", FIXTURES / "bench.json")[0].returncode, 2)


if __name__ == "__main__":
    unittest.main()
