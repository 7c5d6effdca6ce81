# SPDX-License-Identifier: Apache-2.0
"""make kernels-check: what does not compile is an error that names the program, what is missing is never passed."""
import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, "tools")
import kernels_check  # noqa: E402
from kernel_builds import ALL_GROUPS, NO_PROGRAMS, Build, keys  # noqa: E402

TARGETS = {target.name: target for target in kernels_check.TARGETS}


class KernelsCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def need(self, target):
        if missing := TARGETS[target].missing():
            self.skipTest(f"{missing} is missing")
        return TARGETS[target]

    def test_every_kernel_file_and_format_is_among_the_programs(self):
        programs = list(keys(ALL_GROUPS))
        files = {path.stem for path in pathlib.Path("opencl/kernels").glob("*.cl")} - set(NO_PROGRAMS)
        self.assertEqual({p.file for p in programs}, files)
        self.assertEqual({(p.format, p.group) for p in programs if p.file == "linear"},
                         {(f, g) for f in range(1, 5) for g in (32, 64, 128)} | {(f, 0) for f in (5, 6, 7)})
        self.assertEqual({p.kv for p in programs if p.file == "attention"}, {1, 2, 3})

    def test_a_kernel_that_does_not_compile_is_named(self):
        target = self.need("spir64")
        build = Build("norm")
        self.assertEqual(kernels_check.check(target, build, self.folder), (None, []))
        error, _ = kernels_check.check(target, build, self.folder, lambda text: text + "int broken(void) { return x; }\n")
        self.assertIn("spir64: norm.cl (vectors)", error)
        self.assertIn("undeclared identifier", error)

    def test_the_budget_is_kept_or_it_is_an_error(self):
        row = lambda registers, spilled: [(sm, "mx_k", registers, spilled, 0) for sm in kernels_check.SM]
        for rows, good in (row(255, 0), True), (row(64, 8), False):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(kernels_check.print_table(rows), good)
            self.assertIn("kept" if good else "EXCEEDED", out.getvalue())

    def test_the_assembler_reports_each_kernel_and_refuses_nonsense(self):
        target = self.need("nvptx64")
        if not kernels_check.PTXAS:
            self.skipTest("ptxas is missing")
        error, rows = kernels_check.check(target, Build("norm", lanes=1), self.folder)
        self.assertIsNone(error)
        kernels = re.findall(r"MX_KERNEL\((\w+),", pathlib.Path("opencl/kernels/norm.cl").read_text())
        self.assertIn("mx_norm", kernels)
        self.assertEqual({row[:2] for row in rows}, {(sm, k) for sm in kernels_check.SM for k in kernels})
        self.assertTrue(all(0 < row[2] <= 255 for row in rows))
        (self.folder / "bad.ptx").write_text(".version 7.0\n.target sm_80\nnonsense\n")
        self.assertRaises(ValueError, kernels_check.assemble, self.folder / "bad.ptx", "sm_80")

    def test_missing_tools_are_named_as_skipped(self):
        out = io.StringIO()
        absent = [kernels_check.Target("nvptx64", [], needs=pathlib.Path("/nowhere/builtins.bc"))]
        with mock.patch.object(kernels_check, "TARGETS", absent), mock.patch.object(kernels_check, "PTXAS", None), \
                contextlib.redirect_stdout(out):
            self.assertEqual(kernels_check.main(), 0)
        self.assertRegex(out.getvalue(), r"skipped  nvptx64: .* is missing\nskipped  sm_80, sm_86, sm_90: ptxas is missing")
        self.assertNotIn("compile\n", out.getvalue())

    def test_it_is_a_target_of_make(self):
        text = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("make kernels-check", text)
