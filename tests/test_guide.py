# SPDX-License-Identifier: Apache-2.0
"""Every command of tools/assistant/GUIDE.md, as a new user would run them, and the pictures of the READMEs."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from tool import MOXIE, ToolTest

HOME = pathlib.Path("tools/assistant")
BUILD = pathlib.Path(os.environ.get("MOXIE_BUILD", "build")).resolve()


class Guide(ToolTest):
    @unittest.skipUnless(BUILD == pathlib.Path("build").resolve(), "make builds into build")
    def test_the_commands(self):
        commands = re.findall(r"(?m)^    (\S.*)$", (HOME / "GUIDE.md").read_text())
        self.assertGreater(len(commands), 8)
        my = self.folder / "my"
        script = "set -eux\n" + "\n".join(commands)
        script = script.replace("checkpoint", "tests/data/reference/moe-sparse-step")
        script = re.sub(r"\bmy(?=[/\s])", str(my), script)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=self.environment, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn("signature and every byte are right", done.stdout)
        last = done.stdout.strip().split("\n")[-1]  # random weights: an error, in JSON
        self.assertRegex(last, r'^\{"error":\{"code":"(not JSON|context full|text not representable)","what":".*"\}\}$')
        self.assertRegex(done.stderr, r"(?m)^ +[\d.]+ ms  .* experts  \d")
        for picture in "plan.svg", "experts.svg":
            self.assertIn("</svg>", (my / picture).read_text())
        shutil.rmtree(my)


class Pictures(ToolTest):
    def drawn_again(self, name, *args, **options):
        picture = self.folder / name
        self.must(*args, picture if args[-1] in ("--svg", "--experts") else "", **options)
        self.assertEqual(picture.read_text(), (HOME / name).read_text(), f"{HOME / name} is not what moxie draws now")

    def test_the_plan(self):
        self.drawn_again("plan.svg", "plan", HOME / "home.moxie", "--pub", HOME / "home.pub.pem", "--board", "host-pocl", "--context", 384,
                         "--chunk", 64, "--experts", "--summary", "--svg")

    def test_the_experts(self):
        self.drawn_again("experts.svg", "run", HOME / "home.moxie", "--pub", HOME / "home.pub.pem", "-p", "-", "--temperature", "0", "--experts",
                         stdin="turn the bedroom lamp down to thirty percent at quarter past seven\n")

    def test_a_dense_model_has_no_experts(self):
        picture = self.folder / "none.svg"
        self.fails(25, "there are no experts to show", "run", self.bundle, "-p", "hello", "--experts", picture)

    def test_a_picture_that_cannot_be_written(self):
        self.fails(1, "No such file", "plan", self.bundle, "--board", "host-pocl", "--svg", self.folder / "nowhere" / "plan.svg")


if __name__ == "__main__":
    unittest.main()
