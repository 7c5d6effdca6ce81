# SPDX-License-Identifier: Apache-2.0
"""tests/bench/regression: what it reads from callgrind, and that it says what got worse. Nothing is measured here."""
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

LOADER = importlib.machinery.SourceFileLoader("regression", "tests/bench/regression")
regression = importlib.util.module_from_spec(importlib.util.spec_from_loader("regression", LOADER))
LOADER.exec_module(regression)

# "Extended example" and "Name compression" of the Callgrind format specification in Valgrind's manual, which says: func1 costs 400
# with what it calls, func2 700.
MANUAL = """events: Instructions
fl=(1) file1.c
fn=(1) main
16 20
cfn=(2) func1
calls=1 50
16 400
cfi=(2) file2.c
cfn=(3) func2
calls=3 20
16 400

fn=(2)
51 100
cfi=(2)
cfn=(3)
calls=2 20
51 300

fl=(2)
fn=(3)
20 700
"""
KERNELS = """fn=(1) main
10 1
cfn=(2) moxie_prefill
calls=2 1
+3 1000
cfn=(3) clEnqueueNDRangeKernel'mx_launch_run'step'moxie_prefill
calls=7 1
* 800
cfn=(4) clEnqueueNDRangeKernel'mx_launch_run'flush'moxie_init
calls=1 1
-1 50
"""
COUNTS = {"instructions": {"encode": 100_000, "sample": 2_000_000}, "launches": {"launches of a token": 3}}
SHARES = {"decode, down, of raw read": 0.9, "prefill, down, of int8 peak": 0.6}


class Regression(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.table = pathlib.Path(folder.name) / "table.json"
        self.table.write_text(json.dumps({"counts": {"compiler": "GCC: 12"} | COUNTS, "shares": {"this": SHARES}}))

    def run_on(self, *options, instructions=(), launches=(), shares=(), compiler="GCC: 12", device="this"):
        """(exit status, text) where the figures given are measured in place of the table's."""
        counts = {"instructions": COUNTS["instructions"] | dict(instructions), "launches": COUNTS["launches"] | dict(launches)}
        with mock.patch.multiple(regression, count=lambda *_: counts, compiler=lambda _: compiler,
                                 shares=lambda *_: (device, SHARES | dict(shares))), redirect_stdout(io.StringIO()) as text:
            status = regression.main(["--table", str(self.table), *options])
        return status, text.getvalue()

    def worse(self, words, **planted):
        status, text = self.run_on(**planted)
        self.assertEqual(status, 1, text)
        found = [line for line in text.splitlines() if "WORSE" in line]
        self.assertEqual(len(found), 1, text)
        for word in words:
            self.assertIn(word, found[0])
        self.assertIn("What to do: ", text)

    def test_callgrind_is_read_as_its_manual_says(self):
        self.assertEqual(regression.inclusive(MANUAL), {"func1": 400, "func2": 700})

    def test_kernels_are_left_out(self):
        self.assertEqual(regression.without_kernels(regression.inclusive(KERNELS), "moxie_prefill"), 200)

    def test_the_same_figures_pass(self):
        status, text = self.run_on()
        self.assertEqual((status, "WORSE" in text), (0, False), text)
        self.assertEqual(self.run_on(instructions={"encode": 100_900}, shares={"decode, down, of raw read": 0.7})[0], 0)

    def test_a_planted_worse_figure_is_named(self):
        self.worse(["sample: 2 100 000", "reference is 2 000 000", "5.0 % worse"], instructions={"sample": 2_100_000})
        self.worse(["launches of a token: 4", "reference is 3"], launches={"launches of a token": 4})
        self.worse(["decode, down, of raw read: 45.0 %", "reference is 90.0 %", "50.0 % worse"],
                   shares={"decode, down, of raw read": 0.45})

    def test_a_figure_that_is_gone_is_worse_and_a_new_one_is_told(self):
        table = json.loads(self.table.read_text())
        table["counts"]["instructions"]["gone"] = 5
        del table["counts"]["instructions"]["encode"]
        self.table.write_text(json.dumps(table))
        self.worse(["gone: not measured any more"])
        self.assertIn("new: encode: 100 000", self.run_on()[1])

    def test_better_is_told_and_no_failure(self):
        status, text = self.run_on(instructions={"encode": 50_000}, shares={"prefill, down, of int8 peak": 0.9})
        self.assertEqual(status, 0, text)
        self.assertIn("encode: 50 000, the reference is 100 000: 50.0 % better", text)
        self.assertIn("prefill, down, of int8 peak: 90.0 %, the reference is 60.0 %: 50.0 % better", text)

    def test_only_what_is_comparable_is_compared(self):
        status, text = self.run_on(instructions={"encode": 900_000}, compiler="GCC: 13", device="other",
                                   shares={"decode, down, of raw read": 0.1})
        self.assertEqual(status, 0, text)
        self.assertIn("instructions are not compared: made by GCC: 13, the reference by GCC: 12", text)
        self.assertIn("shares are not compared: the table has none of other", text)
        self.assertEqual(self.run_on(launches={"launches of a token": 9}, compiler="GCC: 13")[0], 1)

    def test_update_writes_what_is_then_the_reference(self):
        planted = {"instructions": {"encode": 300_000}, "device": "other", "shares": {"decode, down, of raw read": 0.2}}
        self.assertEqual(self.run_on("--update", **planted)[0], 0)
        self.assertEqual(self.run_on(**planted)[0], 0)
        table = json.loads(self.table.read_text())
        self.assertEqual(table["shares"]["this"], SHARES)
        self.assertEqual(table["shares"]["other"]["decode, down, of raw read"], 0.2)
        self.assertEqual([p.name for p in self.table.parent.iterdir()], ["table.json"])

    def test_what_cannot_be_measured_is_neither_worse_nor_fine(self):
        for command in ("no-such-program",), ("false",):
            with self.assertRaises(SystemExit) as end, redirect_stderr(io.StringIO()) as text:
                regression.output(*command)
            self.assertEqual(end.exception.code, 2)
            self.assertIn(command[0], text.getvalue())

    def test_the_committed_table_has_every_figure(self):
        table = json.loads(pathlib.Path("tests/bench/regression.json").read_text())
        self.assertEqual(set(table["counts"]["instructions"]), {name for name, _, _ in regression.FUNCTIONS})
        self.assertTrue(table["counts"]["compiler"] and table["counts"]["launches"] and table["shares"])
        for shares in table["shares"].values():
            self.assertTrue(shares and all(0 < value < 2 for value in shares.values()))


if __name__ == "__main__":
    unittest.main()
