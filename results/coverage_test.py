# SPDX-License-Identifier: MIT
"""Error branches that were reached, or not, in a source of a few lines."""
import contextlib
import io
import os
import tempfile
import unittest

import coverage

SOURCE = """static int work(int fd)
{
    int error = begin(fd);
    if (error)
        return error;
    if (fd > 0)
        count++;
    if (TMF_MUTANT("x") && error)
        error = 0;
    if (!error && fd < 9)
        count++;
    return 0;
}
"""
RUN, NEVER = 1, 0


def line(number, count, *branches):
    return {"line_number": number, "count": count, "gcovr/noncode": False,
            "branches": [{"count": branch} for branch in branches]}


def counted(error_seen):
    return [{"file": "txn/work.c", "lines": [
        line(3, RUN), line(4, RUN, error_seen, RUN), line(5, error_seen), line(6, RUN, NEVER, RUN),
        line(7, NEVER), line(8, RUN, NEVER, RUN),
        line(10, RUN, RUN, error_seen, RUN, NEVER), line(12, RUN)]}]


class UnreachedTest(unittest.TestCase):
    def setUp(self):
        self.before = os.getcwd()
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        os.mkdir("txn")
        with open("txn/work.c", "w", encoding="utf-8") as file:
            file.write(SOURCE)

    def tearDown(self):
        os.chdir(self.before)
        self.folder.cleanup()

    def ask(self, error_seen, rows):
        with open("rows", "w", encoding="utf-8") as file:
            file.write("# why\n" + rows)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = coverage.print_unreached(counted(error_seen), "rows")
        return status, said.getvalue()

    def test_what_was_not_reached_is_named_once_a_line(self):
        status, said = self.ask(NEVER, "")
        self.assertEqual(status, 1)
        self.assertIn("txn/work.c:4: work: one way only: if (error)", said)
        self.assertIn("txn/work.c:5: work: never: return error;", said)
        self.assertIn("txn/work.c:10: work: one way only", said)
        self.assertIn("3 error branches", said)

    def test_what_was_reached_needs_no_row(self):
        self.assertEqual(self.ask(RUN, "")[0], 0)

    def test_other_terms_of_a_condition_are_no_error(self):
        self.assertIn("0 error branches", self.ask(RUN, "")[1])

    def test_a_row_allows_what_it_names(self):
        self.assertEqual(self.ask(NEVER, "work.c | work | | no call fails\n")[0], 0)
        status, said = self.ask(NEVER, "work.c | work | return error; | no call fails\n")
        self.assertEqual(status, 1)
        self.assertIn("work.c:4", said)
        self.assertNotIn("work.c:5", said)

    def test_a_row_about_what_was_reached_is_idle(self):
        status, said = self.ask(RUN, "work.c | work | return error; | no call fails\n")
        self.assertEqual(status, 1)
        self.assertIn("rows:2: allows what was reached", said)

    def test_a_row_about_nothing_is_idle(self):
        status, said = self.ask(NEVER, "work.c | work | | no call fails\nwork.c | rest | | gone\n")
        self.assertEqual(status, 1)
        self.assertIn("rows:3:", said)
        self.assertNotIn("rows:2:", said)

    def test_a_row_is_whole(self):
        for row in ("work.c | work | if", "work.c | work | if | "):
            with self.assertRaisesRegex(ValueError, "line 2 is not FILE"):
                self.ask(NEVER, row + "\n")


if __name__ == "__main__":
    unittest.main()
