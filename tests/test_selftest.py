# SPDX-License-Identifier: Apache-2.0
"""moxie selftest finds planted errors and names the kernel; moxie conform's reports, their comparison, its fingerprint; the
reproducer. Errors are planted by a library in front of the driver (tests/plant/plant.c): as drivers miscompile."""
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

from tool import MOXIE, ToolTest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TWIN = MOXIE.parent / "moxie-twin"
KNOWN_ANSWER = 53
ORDERED_SUM = ("float lane_[16]; vstore16(a, 0, lane_); float sum = lane_[0]; "
               "for (uint j_ = 1; j_ < 16; j_++) sum = sum + lane_[j_];")

# what is planted, the kernel that it makes wrong, others that stay right
PLANTS = {
    "one bit": ({"PLANT_FROM": "mx_flush16(mx_load(x + i, H - i) + y)",
                 "PLANT_TO": "as_float16(as_int16(mx_flush16(mx_load(x + i, H - i) + y)) ^ "
                             "(int16)(0, 0, 0, 0, 0, t == 1 && i == 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))"},
                "mx_combine", "mx_route,mx_sort"),
    "fast-math": ({"PLANT_OPTIONS": "-cl-fast-relaxed-math"}, "mx_route", "mx_combine,mx_sort"),
    "contraction": ({"PLANT_FROM": "fma(u, c, -(v * s))", "PLANT_TO": "fma(-v, s, u * c)"},
                    "mx_rope_kv", "mx_rope_table,mx_kv_copy"),
    "order of a sum": ({"PLANT_FROM": "const float sum = mx_add16(a);", "PLANT_TO": ORDERED_SUM}, "mx_norm", "mx_quantise"),
}

# parts of kernels that only some shapes come to: the kernel, its text, what makes it wrong; where not portable tunables,
# and what the processor must have
PARTS = [
    ("mx_linear", "MX_RUN(MX_T);", "MX_RUN(MX_T); y[MX_T - 1] = y[0];"),
    ("mx_linear", "MX_RUN(MX_T);", "MX_RUN(MX_T); if (mode >= MX_GLU) gate[MX_T - 1] = gate[0];"),
    ("mx_linear", "MX_RUN(4);", "MX_RUN(4); if (mode >= MX_GLU) gate[3] = gate[0];"),
    ("mx_attention", "mx_attend_4(y, k,", "mx_attend_2(y, k,"),
    ("mx_attention", "y[found].out = out + at;", "y[found].out = out + (alone && h0 >= 4 ? at - d : at);"),
    ("mx_attention", "for (; 16 * (c + V) <= d; c += V) {", "for (; 16 * (c + V) <= d; c += V + 1) {"),
    ("mx_attention", "else if (b <= y->p / MX_KV_BLOCK)", "else"),
    ("mx_combine", "const uint end = min(H, c + MX_SHARE);", "const uint end = min(H, MX_SHARE);"),
    ("mx_linear", "for (; e < n; e += 4)", "for (; e < min(n, 4u); e += 4)", "no_lists=1,without=4", "avx2"),
    *(("mx_linear", f"MX_OF(mx_block_part, {t})(&b, e);", f"MX_OF(mx_block_part, {t})(&b, e), b.y[1][e] = b.y[1][e] + 1.0f;",
       "no_lists=1", "avx512_vnni") for t in (5, 4)),
    *(("mx_linear", f"MX_RUN({t});", f"MX_RUN({t}); y[{last}] = y[0];", "no_lists=1", "avx512_vnni")
      for t, last in ((6, 4), (4, 2), (2, 1))),
]


@unittest.skipIf("/san" in str(MOXIE), "sanitizers want to be loaded first, not after LD_PRELOAD")
class Planted(ToolTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.library = cls.folder / "plant.so"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", ROOT / "tests/plant/plant.c", "-o", cls.library, "-ldl"], check=True)

    def plant(self, name):
        """Environment of a planted error; the kernel cache is one of its own."""
        values, kernel, others = PLANTS[name]
        cache = self.folder / f"cache-{kernel}"
        self.mark = cache / "planted"
        cache.mkdir(exist_ok=True)
        return values | {"LD_PRELOAD": str(self.library), "PLANT_MARK": str(self.mark), "XDG_CACHE_HOME": str(cache)}, kernel, others

    def test_each_planted_error_is_found_and_the_kernel_named(self):
        for name in PLANTS:
            with self.subTest(name):
                environment, kernel, others = self.plant(name)
                result = self.moxie("selftest", "--alone", "--json", "--kernels", f"{kernel},{others}", **environment)
                self.assertTrue(self.mark.exists() or "PLANT_OPTIONS" in environment, "the text to be changed is not there")
                self.assertEqual(result.returncode, KNOWN_ANSWER, result.stderr)
                kernels = json.loads(result.stdout)["kernels"]
                self.assertEqual({k["kernel"] for k in kernels}, {kernel, *others.split(",")})
                self.assertEqual({k["kernel"] for k in kernels if k["result"] != "ok"}, {kernel})
                for k in kernels:
                    if k["result"] != "ok":
                        difference = k["difference"]
                        self.assertNotEqual(difference["expected"], difference["found"])
                        self.assertTrue(difference["shape"] and difference["argument_name"] and k["form"])
                        self.assertIn(difference["expected"], k["what"])
                if name == "one bit":
                    self.assertEqual(int(difference["expected"], 16) ^ int(difference["found"], 16), 1)
                    self.assertEqual((difference["argument_name"], difference["wrong"]), ("x", 1))
                    self.assertEqual(difference["element"], 340 + 16 + 5)  # of the first case: H = 340

    def test_a_program_that_does_not_compile_is_told_with_its_build_log(self):
        environment, kernel, _others = self.plant("one bit")
        environment |= {"PLANT_FROM": f"MX_KERNEL({kernel}", "PLANT_TO": f"\n#error planted\nMX_KERNEL({kernel}"}
        result = self.moxie("selftest", "--alone", "--kernels", kernel, **environment)
        self.assertEqual(result.returncode, KNOWN_ANSWER, result.stderr)
        self.assertRegex(result.stdout, rf"(?s)WRONG  {kernel} .*clBuildProgram failed.*build log:.*planted")

    def test_the_same_kernels_are_right_without_it(self):
        names = ",".join(f"{kernel},{others}" for _values, kernel, others in PLANTS.values())
        text = self.must("selftest", "--alone", "--kernels", names)
        self.assertIn("every bit as the scalar twin has it", text)
        self.assertNotIn("WRONG", text)

    def test_each_part_of_a_kernel_is_seen_at_start(self):
        """By the known answers that an engine asks for, which are few: a part that none of them comes to would run unseen."""
        for i, (kernel, text, planted, *variant) in enumerate(PARTS):
            if variant and variant[1] not in pathlib.Path("/proc/cpuinfo").read_text():
                continue
            form = ["--tune", variant[0]] if variant else ["--tune", "no_lists=1", "--portable"]
            with self.subTest(planted):
                cache = self.folder / f"cache-part-{i}"
                cache.mkdir()
                result = self.moxie("conform", "--model", "qwen2_moe-I4-32", *form, LD_PRELOAD=str(self.library),
                                    PLANT_FROM=text, PLANT_TO=planted, PLANT_MARK=str(cache / "planted"), XDG_CACHE_HOME=str(cache))
                self.assertTrue((cache / "planted").exists(), "the text to be changed is not there")
                self.assertRegex(result.stderr, f"kernel {kernel}.* gives wrong bits")

    def test_a_replaced_variant_is_no_row_of_the_matrix(self):
        """The bits are right, as the portable kernel has taken its place, but are not those of what was to be tried."""
        if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text():
            self.skipTest("no variant here")
        spec = importlib.util.spec_from_file_location("matrix", ROOT / "tests/conformance/matrix.py")
        matrix = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(matrix)
        matrix.FOLDER = self.folder
        wrong_sums = "return a2.x - a2.y;\n#else"  # of variants; what the portable kernels get beside it:
        wrong_angles = "#define mx_sincos(a, s, c) mx_sincos((a) + 1.0f, s, c)"  # in an operation before the first sum
        for name, planted, lists in ("variant", wrong_sums, True), ("both", f"{wrong_sums}\n{wrong_angles}", False):
            with self.subTest(name):
                environment = self.environment | {
                    "LD_PRELOAD": str(self.library), "XDG_CACHE_HOME": str(self.folder / f"cache-{name}"),
                    "PLANT_FROM": "return a2.x + a2.y;\n#else", "PLANT_TO": planted}
                row = matrix.Row(name, lambda: ([MOXIE], environment), ("--model", "qwen2-I4-64"))
                result, report, _seconds = matrix.conform(row)
                self.assertEqual(report["vectors"][0]["result"], "ok")
                self.assertRegex(result, "^(AVX2|AVX-512 VNNI) -> portable for known answer differs")
                self.assertEqual("lists" not in result, lists, result)

    def test_the_reproducer_shows_it_and_says_ok_on_a_right_driver(self):
        environment, kernel, _others = self.plant("one bit")
        folder = self.folder / "reproducer"
        result = self.moxie("selftest", "--alone", "--kernels", kernel, "--reproduce", folder, **environment)
        self.assertEqual(result.returncode, KNOWN_ANSWER)
        self.assertIn(f"WRONG  {kernel}", result.stdout)
        self.assertRegex(result.stdout, r"x\[\d+\] of \d+: found [0-9a-f]{8}, right is [0-9a-f]{8}; 1 elements differ")
        self.assertIn("reproducer", result.stderr)
        subprocess.run([os.environ.get("CC", "cc"), "-Wall", "-Werror", "reproduce.c", "-lOpenCL", "-o", "reproduce"], cwd=folder, check=True)
        run = lambda **more: subprocess.run(["./reproduce"], cwd=folder, capture_output=True, text=True, env=os.environ | more, check=False)
        wrong, right = run(**environment), run()
        self.assertEqual((wrong.returncode, right.returncode), (1, 0), wrong.stdout + right.stdout)
        self.assertRegex(wrong.stdout, r"WRONG: x\[\d+\] is [0-9a-f]{8}, expected [0-9a-f]{8}; 1 of")
        self.assertIn("OK: all", right.stdout)
        self.assertIn(kernel, (folder / "README.md").read_text())
        self.assertEqual([p.name for p in folder.iterdir() if p.name.endswith(".new")], [])
        unwritten = self.moxie("selftest", "--alone", "--kernels", kernel, "--reproduce", "/proc/nowhere", **environment)
        self.assertEqual(unwritten.returncode, KNOWN_ANSWER)
        self.assertIn("/proc/nowhere: No such file", unwritten.stderr)
        self.assertIn(f"WRONG  {kernel}", unwritten.stdout)


class Tunables(ToolTest):
    def test_units_may_have_few_entries(self):
        for entries in 1, 3, 5:  # AVX-512 computes four for three and six for five
            self.assertIn("every bit", self.must("selftest", "--small", "--alone", "--kernels", "mx_linear", "--tune", f"unit_entries={entries}"))


class Conform(ToolTest):
    """With the scalar twins for a device: the same commands, and no compiler to wait for."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.report = cls.folder / "report.json"
        cls.said = cls.twin("--small", "--report", cls.report)

    @classmethod
    def twin(cls, *args, **environment):
        result = subprocess.run([TWIN, "conform", *map(str, args)], capture_output=True, text=True, env=cls.environment | environment, check=False)
        if result.returncode != 0:
            raise AssertionError(result.stdout + result.stderr)
        return result.stdout

    def changed_report(self, change):
        report = json.loads(self.report.read_text())
        change(report)
        return self.file("changed.json", json.dumps(report))

    def test_the_twins_have_the_numpy_twins_fingerprint(self):
        report = json.loads(self.report.read_text())
        self.assertEqual(report["result"], "conforms")
        self.assertEqual(report["fingerprint"], report["expected_fingerprint"])
        self.assertEqual({v["result"] for v in report["vectors"]}, {"ok"})
        self.assertGreater(report["kernels"]["cases"], 30)
        self.assertIn(report["fingerprint"], self.said)

    def test_one_model(self):
        one = self.folder / "one.json"
        self.twin("--small", "--model", "qwen3_moe-I4-32", "--report", one)
        report, all_of_them = json.loads(one.read_text()), json.loads(self.report.read_text())
        digest = re.search(r'"qwen3_moe-I4-32", 70,\s*"([0-9a-f]{64})"', (ROOT / "tools/vector_table.c").read_text())[1]
        self.assertEqual(report["fingerprint"], hashlib.sha256(2 * digest.encode()).hexdigest())
        self.assertEqual(report["fingerprint"], report["expected_fingerprint"])
        self.assertEqual([v["model"] for v in report["vectors"]], ["qwen3_moe-I4-32"])
        self.assertEqual((report["model"], report["kernels"], all_of_them["model"]), ("qwen3_moe-I4-32", None, None))
        result = self.moxie("conform", "--compare", self.report, one)
        self.assertIn("ran all models, the other only qwen3_moe-I4-32", result.stdout)
        self.assertEqual(result.returncode, KNOWN_ANSWER)
        self.assertIn("no tiny model is called qwen3", self.moxie("conform", "--model", "qwen3").stderr)

    def test_subnormals_flushed_or_kept_are_the_same(self):
        flushed = self.folder / "flushed.json"
        self.twin("--small", "--report", flushed, MOXIE_TWIN_FLUSH="1")
        a, b = json.loads(self.report.read_text()), json.loads(flushed.read_text())
        self.assertEqual((a["facts"]["driver"], b["facts"]["driver"]), ("IEEE 754", "flush to zero"))
        self.assertEqual(a["fingerprint"], b["fingerprint"])
        self.assertIn("The same bits everywhere", self.must("conform", "--compare", self.report, flushed))

    def test_the_table_is_what_numpy_computes(self):
        script = ROOT / "tests/reference/make_vectors.py"
        models = "qwen2_moe-I4-32", "qwen2-I8-32", "mistral-I4M-32-F32", "deepseek-I4Z-32", "qwen3_moe-F32", "olmoe-F16", "llama-BF16"
        result = subprocess.run([sys.executable, script, *models], capture_output=True, text=True, env=self.environment | {"MOXIE": str(MOXIE)}, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_a_difference_is_told_in_words(self):
        def logits(report):
            model = report["vectors"][1]
            for run in model["runs"]:
                run["sha256"] = "0" * 64
            model["rows"][65] = "0" * 16

        def kernel(report):
            report["kernels"]["kernels"][0] |= {"result": "known answer differs", "what": "", "difference": {
                "argument_name": "out", "element": 7, "found": "3f800001", "expected": "3f800000", "shape": "K 600"}}

        def packer(report):
            report["vectors"][0]["bundle_sha256"] = "0" * 64

        for change, *words in ((logits, "Logits part at position 65, KV block 1", "qwen3_moe-I4-32", "2 of 2 runs differ"),
                               (kernel, "Kernel mx_linear", "out[7] is 3f800001, right is 3f800000 (K 600)"),
                               (packer, "the bundles themselves differ"),
                               (lambda report: report["vectors"].pop(), "is in")):
            result = self.moxie("conform", "--compare", self.report, self.changed_report(change))
            self.assertEqual(result.returncode, KNOWN_ANSWER, result.stderr)
            for word in words:
                self.assertIn(word, result.stdout)
        result = self.moxie("conform", "--compare", self.report, self.changed_report(lambda report: report.update(small=False)))
        self.assertIn("Cannot be compared", result.stdout)
        self.assertEqual(result.returncode, KNOWN_ANSWER)

    def test_what_has_one_name_is_compared_place_by_place(self):
        def alike(report):
            report["bundles"] = [v | {"model": "same"} for v in report["vectors"][:3]]
            kernels = report["kernels"]["kernels"]
            kernels[1] = kernels[0] | {"result": "clBuildProgram failed", "what": "no register left"}

        twice = self.changed_report(alike)
        result = self.moxie("conform", "--compare", twice, twice)
        self.assertNotIn("Bundle", result.stdout)
        self.assertEqual(result.stdout.count("is wrong on"), 1)
        self.assertIn("and on the other: no register left", result.stdout)

    def test_reports_that_prove_nothing_are_not_the_same(self):
        for change, words in ((lambda report: report.update(fingerprint=None, result="refused"), "there is no fingerprint in"),
                              (lambda report: report.update(fingerprint="0" * 64), "The fingerprints differ, but no run does")):
            changed = self.changed_report(change)
            result = self.moxie("conform", "--compare", changed if "no finger" in words else self.report, changed)
            self.assertEqual(result.returncode, KNOWN_ANSWER)
            self.assertIn(words, result.stdout)

    def test_nothing_in_a_report_commands_the_terminal(self):
        changed = self.changed_report(lambda report: report["environment"].update(CL_DEVICE_NAME="a\x1b[2Jb\r\x07c"))
        for text in self.must("conform", "--markdown", changed), self.must("conform", "--compare", changed, self.report):
            self.assertRegex(text, r"a \[2Jb  c")

    def test_a_report_appears_whole_or_not_at_all(self):
        def conform(*args, **options):
            return subprocess.run([TWIN, "conform", "--small", "--model", "qwen2-I8-32", "--jobs", "1", *args], capture_output=True,
                                  text=True, env=self.environment, check=False, **options)

        link, target = self.folder / "link.json", self.file("target.json", "{}")
        link.symlink_to(target)
        for status, *args in (20, "nowhere.moxie"), (10, "--tune", "work_group=3"):
            self.assertEqual(conform("--report", link, *args).returncode, status)
            self.assertEqual(target.read_text(), "{}")
        for place, words in ((self.folder / "no" / "r.json", "No such file"), (self.folder, "Is a directory"), ("", "No such file")):
            result = conform("--report", place)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn(words, result.stderr)
        self.assertEqual(conform("--report", link).returncode, 0)
        self.assertTrue(link.is_symlink())
        self.assertEqual(json.loads(target.read_text())["result"], "conforms")
        read, write = os.pipe()
        with open(read, encoding="utf-8") as pipe:  # what is no file is written to
            self.assertEqual(conform("--report", f"/dev/fd/{write}", pass_fds=[write]).returncode, 0)
            os.close(write)
            self.assertEqual(json.load(pipe)["result"], "conforms")

    def test_a_run_that_is_killed_leaves_nothing_in_memory(self):
        scratch = pathlib.Path("/dev/shm")
        before = set(scratch.glob("moxie-conform-*"))
        running = subprocess.Popen([TWIN, "conform"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment,
                                   start_new_session=True)
        time.sleep(0.5)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        self.assertLessEqual(set(scratch.glob("moxie-conform-*")), before)

    def test_markdown_is_one_table_with_what_is_wrong(self):
        def spoil(report):
            report["result"] = "differs"
            report["kernels"]["wrong"] = 1
            report["kernels"]["kernels"][0] |= {"result": "known answer differs", "what": "", "difference": {
                "argument_name": "out", "element": 7, "elements": 9, "wrong": 2, "found": "3f800001", "expected": "3f800000", "shape": "K 600"}}

        text = self.must("conform", "--markdown", self.changed_report(spoil))
        self.assertTrue(text.startswith("| Moxie conformance | **differs** |\n|---|---|\n"))
        self.assertTrue(all(line.startswith("| ") and line.endswith(" |") for line in text.splitlines()[2:]), text)
        self.assertIn("`out[7]` of 9 is 0x3f800001, right is 0x3f800000", text)
        self.assertEqual(self.must("conform", "--markdown", self.report), self.said)

    def test_bad_input_is_refused_by_name(self):
        other = self.file("other.json", '{"moxie_conform": 2}')
        part = self.changed_report(lambda report: report["vectors"][0].pop("runs"))
        run = self.file("run.json", re.sub(r'"sha256": "[0-9a-f]{64}"', '"sha256": 5', self.report.read_text(), count=1))
        for status, words, *args in ((20, "nowhere.json", "--compare", self.report, "nowhere.json"),
                                     (22, "in line 1", "--markdown", self.file("text", "{")),
                                     (22, "not a report", "--markdown", self.file("foreign.json", "[]")),
                                     (22, "version 2", "--compare", other, self.report),
                                     (22, '"runs" is missing', "--markdown", part),
                                     (22, '"sha256" is missing', "--compare", self.report, run),
                                     (2, "are for a run", "--compare", self.report, self.report, "--report", "r.json"),
                                     (2, "takes no bundles", "--export", self.folder / "export", "b.moxie"),
                                     (2, "--context", "--context", 8),
                                     (2, "--pub is for bundles", "--pub", "nowhere.pem"),
                                     (2, "two reports", "--compare", self.report),
                                     (2, "exclude each other", "--compare", "--markdown", self.report),
                                     (50, "there is no OpenCL device 77", "--device", 77)):
            with self.subTest(words):
                self.fails(status, words, "conform", *args)
        self.fails(50, "there is no OpenCL device 77", "selftest", "--device", 77)
        self.fails(2, "names no kernel", "selftest", "--kernels", "mx_nothing")


if __name__ == "__main__":
    unittest.main()
