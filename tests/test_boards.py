# SPDX-License-Identifier: Apache-2.0
"""boards/: every board plans without its device, says what it is, and the library keeps the budget of the host's board."""
import json
import pathlib
import re
import shutil
import subprocess

from tool import MOXIE, ToolTest

BOARDS = pathlib.Path("boards")
NAMED = {"host-pocl", "host-rusticl", "host-intel", "arm64-pocl", "nvidia-a100", "nvidia-h100-h200", "adreno-7xx",
         "mali-g7xx", "intel-igpu", "amd-rdna"}
NEVER = "never ran on this device"


class Boards(ToolTest):
    def plan(self, board, *options):
        return json.loads(self.must("plan", self.bundle, "--board", board, "--context", "128", "--json", *options))

    def test_every_board_is_a_folder_with_facts_and_words(self):
        self.assertEqual({p.name for p in BOARDS.iterdir() if p.is_dir()}, NAMED)
        for board in NAMED:
            readme = (BOARDS / board / "README.md").read_text().splitlines()[0]
            facts = (BOARDS / board / "facts").read_text().splitlines()[0]
            self.assertTrue(readme.startswith(f"# {board}: "), readme)
            self.assertEqual("never run on the real device" in readme, NEVER in facts, board)

    def test_every_board_plans_without_its_device(self):
        for facts in sorted(BOARDS.glob("*/facts*")):
            with self.subTest(str(facts)):
                plan = self.plan(facts)
                limit = int(re.search(r"(?m)^global_bytes = (\d+)", facts.read_text())[1])
                self.assertGreaterEqual(plan["fits_context"], 128)
                self.assertLessEqual(plan["device_bytes"], limit)
                discrete = "host_unified = 0" in facts.read_text()
                self.assertEqual(plan["device_bytes"] > plan["weight_bytes"], discrete or
                                 sum(plan["region_bytes"][r] for r in ("SESSION", "STEP")) > plan["weight_bytes"])

    def board_of(self, limit):
        facts = re.sub(r"(?m)^(global_bytes) = .*", rf"\1 = {limit}", (BOARDS / "host-pocl/facts").read_text())
        return self.file("board.txt", facts)

    def test_the_largest_context_that_fits_is_told(self):
        plan = self.plan("host-pocl")
        whole = plan["weight_bytes"] + sum(plan["region_bytes"].values())
        fits = self.plan(self.board_of(whole))
        self.assertGreaterEqual(fits["fits_context"], 128)
        self.assertLess(fits["fits_context"], 192)  # one KV block more does not fit
        self.assertLess(self.plan(self.board_of(whole - 1))["fits_context"], 128)
        text = self.must("plan", self.bundle, "--board", self.board_of(whole), "--context", "128", "--summary")
        self.assertIn(f"up to a context of {fits['fits_context']} positions", text)
        text = self.must("plan", self.bundle, "--board", self.board_of(plan["device_bytes"]), "--context", "128", "--summary")
        self.assertIn("read from the file again and again", text)

    def test_a_board_knows_its_devices_and_no_other(self):
        for board in NAMED:
            for facts in sorted((BOARDS / board).glob("facts*")):
                with self.subTest(str(facts)):
                    plan = self.plan(facts)
                    self.assertEqual(plan["board"], board)
                    text = (BOARDS / board / "tunables").read_text()
                    given = dict(re.findall(r"(?m)^([a-z_]+) = (\d+)$", text))
                    self.assertTrue(given)
                    self.assertEqual({k: plan["tunables"][k] for k in given}, {k: int(v) for k, v in given.items()})
        for change in (r"(?m)^(platform) = .*", r"(?m)^(version) = .*"):
            other = re.sub(change, r"\1 = OpenCL 3.0 Another", (BOARDS / "host-pocl/facts").read_text())
            plan = self.plan(self.file("board.txt", other))
            self.assertIsNone(plan["board"])
            self.assertEqual(plan["tunables"]["work_group"], 1)  # a processor

    def test_a_board_that_allows_less_than_its_tunables_say(self):
        small = re.sub(r"(?m)^(max_work_group) = .*", r"\1 = 64", (BOARDS / "adreno-7xx/facts").read_text())
        self.assertEqual(self.plan(self.file("board.txt", small))["tunables"]["work_group"], 64)

    def test_a_device_that_would_be_refused_has_no_plan(self):
        text = (BOARDS / "host-pocl/facts").read_text()
        for change, words in (("little_endian = 0", "big-endian"), ("version = OpenCL 1.1 old", "OpenCL 1.2 is needed"),
                              ("compute_units = 0", "no compute unit")):
            facts = self.file("board.txt", re.sub(rf"(?m)^{change.split()[0]} = .*", change, text))
            self.fails(51, words, "plan", self.bundle, "--board", facts)
        path = self.folder / "board.txt"
        path.write_bytes(re.sub(r"(?m)^name = .*", "name = \udcff", text).encode(errors="surrogateescape"))
        self.fails(10, ["board.txt:3", "not UTF-8"], "plan", self.bundle, "--board", path)

    def test_tunables_on_the_command_line(self):
        plan = self.plan("host-pocl", "--tune", "work_group=64,ahead=2048")
        self.assertEqual((plan["tunables"]["work_group"], plan["tunables"]["ahead"]), (64, 2048))
        self.assertGreater(plan["enqueues"], self.plan("host-pocl")["enqueues"])  # no lists
        self.assertEqual(self.plan("host-pocl", "--portable")["tunables"]["without"], 2**32 - 1)
        for status, wrong, words in ((10, "work_group=72", "work_group 72"), (10, "work_group=8192", "at most 4096"),
                                     (10, "side_by_side=9", "side_by_side 9"), (10, "unit_entries=257", "unit_entries 257"), (2, "group=1", "'group=1'"),
                                     (2, "ahead", "'ahead'"), (2, "ahead=", "ahead="), (2, "ahead=-1", "ahead=-1"),
                                     (2, "ahead=99999999999", "ahead=99999999999"), (2, "ahead=64,", "''")):
            with self.subTest(wrong):
                self.fails(status, words, "plan", self.bundle, "--board", "host-pocl", "--tune", wrong)

    def test_a_driver_that_leaves_loops_gets_no_context_that_is_too_long(self):
        config = json.loads((self.source / "config.json").read_text())
        head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        def rusticl(rounds, *options):
            return "plan", self.bundle, "--board", "host-rusticl", "--tune", f"loop_rounds={rounds}", *options
        enough = 2 * (head + 148)  # for two blocks of 64 positions
        self.assertEqual(json.loads(self.must(*rusticl(enough, "--chunk", "1", "--context", "128", "--json")))["fits_context"], 128)
        self.fails(51, ["leaves loops", "enough for 128"], *rusticl(enough, "--chunk", "1", "--context", "129"))
        # what the board says cannot be taken back
        self.assertEqual(json.loads(self.must(*rusticl(10**6, "--json")))["tunables"]["loop_rounds"], 65535)
        # mx_sort on llvmpipe was wrong from 32608 entries of 64 experts on, mx_linear at 64 * 2 * 4864 floats
        shape = "plan", "--shape", "moe++-7b", "--board", "host-rusticl", "--context", "64"
        self.fails(51, ["leaves loops", "sort 32640 entries"], *shape, "--chunk", "16320")
        self.fails(51, ["leaves loops", "a matrix of"], *shape, "--chunk", "256", "--tune", "work_group=64,unit_entries=256,loop_rounds=30000")
        self.fails(51, ["work_group 64"], *shape, "--tune", "work_group=1")

    def budget(self, board):
        """({key: (least, most)}, the board whose library it has)"""
        text = (BOARDS / board / "budget").read_text()
        bounds = {key: (int(a), int(b)) for key, a, b in re.findall(r"(?m)^(\w+) = (\d+) (\d+)$", text)}
        library = re.search(r"(?m)^library = (\S+)$", text)
        return bounds, library[1] if library else board

    def keep(self, found, bounds):
        self.assertEqual(set(found), set(bounds))
        for name, (least, most) in bounds.items():
            self.assertTrue(least <= found[name] <= most, f"{name}: {found[name]} is not in {least} .. {most}")

    def test_the_plan_keeps_every_board_s_budget_in_both_directions(self):
        rows = json.loads(self.must("plan", "--shape", "qwen1.5-moe-a2.7b", "--boards", "--context", "4096", "--json"))
        self.assertEqual([r["board"] for r in rows], sorted(map(str, BOARDS.glob("*/facts*"))))
        self.fails(10, "the model has 1024", "plan", "--shape", "tiny", "--boards", "--context", "999999")
        table = self.must("plan", "--shape", "qwen1.5-7b", "--boards", "--context", "4096")
        self.assertRegex(table, r"(?m)^boards/adreno-7xx/facts .* no: fits up to 2560 positions only$")
        fits_7b = re.findall(r"(?m)^boards/(\S+) +[0-9.]+ GB  (?:no: )?fits up to (\d+) positions", table)
        self.assertGreater(len(fits_7b), 10)
        readme = (BOARDS / "README.md").read_text()
        for facts, fits in fits_7b:
            self.assertRegex(readme, rf"(?m)^\| `{facts}` (\|[^|]*){{4}}\| {fits} \|")
        for row in rows:
            board = pathlib.Path(row["board"]).parent.name
            with self.subTest(row["board"]):
                bounds, library = self.budget(board)
                found = {name: row[name + "_bytes"] for name in ("host", "session", "step")}
                self.keep(found, {name: bounds.get(name) for name in found})
                self.assertEqual(set(bounds) - set(found), {"text", "bss", "frame"} if library == board else set())
                self.assertEqual(self.budget(library)[1], library)
                fits = row["fits_context"] or "-"
                self.assertRegex(readme, rf"(?m)^\| `{row['board'].removeprefix('boards/')}` \|[^|]*\| {fits} \|")

    def test_what_can_be_planned_of_a_shape_cannot_be_run(self):
        text = self.must("plan", "--shape", "tiny", "--board", "host-pocl", "--summary")
        self.assertIn("fits in the device's", text)
        self.fails(2, "one of the two", "plan")
        self.fails(2, "one of the two", "plan", self.bundle, "--shape", "tiny")
        self.fails(2, "--boards is a table", "plan", self.bundle, "--boards", "--summary")

    def library_keeps(self, board, build):
        sizes = subprocess.run(["size", build / "moxie.o"], capture_output=True, text=True, check=True).stdout
        text, _, bss = sizes.split("\n")[1].split()[:3]
        frames = [int(line.split("\t")[1]) for layer in ("platform", "opencl", "runtime")
                  for file in (build / "obj" / layer).glob("*.su") for line in file.read_text().splitlines()]
        self.keep({"text": int(text), "bss": int(bss), "frame": max(frames)},
                  {name: self.budget(board)[0][name] for name in ("text", "bss", "frame")})

    def test_the_library_keeps_the_budget_on_x86_64(self):
        build = MOXIE.parent
        if "san" in build.parts or "x86-64" not in subprocess.run(
                ["objdump", "-f", build / "moxie.o"], capture_output=True, text=True, check=False).stdout:
            self.skipTest("the budget is that of the usual build on x86-64")
        self.library_keeps("host-pocl", build)

    def test_the_library_keeps_the_budget_on_arm64(self):
        if not shutil.which("aarch64-linux-gnu-gcc") or not pathlib.Path("build/conformance/arm64/root.made").exists():
            self.skipTest("tests/conformance/arm64.sh has made no root for arm64 here")
        subprocess.run(["make", "-s", "BOARD=arm64-pocl", "lib"], check=True)
        self.library_keeps("arm64-pocl", pathlib.Path("build/boards/arm64-pocl"))

    def test_the_library_of_each_board_is_built_with_its_toolchain(self):
        for board in NAMED:
            text = (BOARDS / board / "toolchain").read_text()
            self.assertIn(f"make lib BOARD={board}.", text.splitlines()[0])
            self.assertRegex(text, r"(?m)^CC +:?= ")
            if self.budget(board)[1] == "host-pocl":
                self.assertEqual(text.splitlines()[1:], (BOARDS / "host-pocl/toolchain").read_text().splitlines()[1:])

if __name__ == "__main__":
    import unittest
    unittest.main()
