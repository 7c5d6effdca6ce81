# SPDX-License-Identifier: Apache-2.0
"""boards/: every board plans without its device, says what it is, and the library keeps the budget of the host's board."""
import json
import pathlib
import re
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

    def test_the_budget_is_kept_in_both_directions(self):
        library = MOXIE.parent / "moxie.o"
        if not library.exists() or "san" in MOXIE.parts or "x86-64" not in subprocess.run(
                ["objdump", "-f", library], capture_output=True, text=True, check=True).stdout:
            self.skipTest("the budget is that of the usual build on x86-64")
        sizes = subprocess.run(["size", library], capture_output=True, text=True, check=True).stdout.split("\n")[1].split()
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], capture_output=True, text=True,
                              check=True).stdout
        regions = self.plan("host-pocl")["region_bytes"]
        found = {"text": int(sizes[0]), "bss": int(sizes[2]),
                 "frame": max(int(n, 16) for n in re.findall(r"sub +\$0x([0-9a-f]{1,7}),%rsp", code)),
                 "host": regions["HOST"], "session": regions["SESSION"], "step": regions["STEP"]}
        budget = re.findall(r"(?m)^(\w+) = (\d+) (\d+)$", (BOARDS / "host-pocl/budget").read_text())
        self.assertEqual({name for name, _, _ in budget}, set(found))
        for name, least, most in budget:
            self.assertTrue(int(least) <= found[name] <= int(most), f"{name}: {found[name]} is not in {least} .. {most}")


if __name__ == "__main__":
    import unittest
    unittest.main()
