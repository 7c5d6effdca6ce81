# SPDX-License-Identifier: Apache-2.0
"""README.md is true: its program compiles, runs and answers what the tool answers; its memory table is moxie plan's."""
import json
import os
import pathlib
import re
import struct
import subprocess

import test_gguf_files
import logits_tool
from numpy_twin import gguf_file
from tool import ToolTest

README = pathlib.Path("README.md").read_text()
BUILD = pathlib.Path(os.environ.get("MOXIE_BUILD", "build")).resolve()
REGIONS = "WEIGHTS", "SESSION", "STEP", "HOST"


class Readme(ToolTest):
    def test_the_program_answers_as_the_tool_does(self):
        if "/san" in str(BUILD):
            self.skipTest("the example is built without sanitizers")
        program, = re.findall(r"```c\n(.*?)```", README, re.S)
        (self.folder / "example.c").write_text(program)
        (self.folder / "key.inc").write_text(self.must("keygen", "--as-c"))
        example = self.folder / "example"
        for compiler in "gcc", "clang":
            subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Iruntime", "-I.",
                            self.folder / "example.c", BUILD / "libmoxie.a", "-lOpenCL", "-lm", "-o", example], check=True)
        run = lambda *args: subprocess.run([example, *args], capture_output=True, env=self.environment, check=False)
        answer = run(self.bundle, "hello")
        self.assertEqual((answer.returncode, answer.stderr), (0, b""))
        expected = self.moxie("chat", self.bundle, "-p", "hello", "--context", "512", binary=True).stdout
        # the tool also prints the token that found no room, and what a cut text ends with
        self.assertTrue(expected.startswith(answer.stdout.rstrip(b"\n")), (answer.stdout, expected))
        self.assertGreater(len(answer.stdout), 1)
        other = run(self.changed(2000), "hello")
        self.assertEqual(other.returncode, 1)
        self.assertIn(b": ", other.stderr)

    def test_the_model_types_are_those_with_a_golden(self):
        named = re.findall(r"(?m)^\| `([\w+]+)` \| [^|]+ \|$", README.split("## A model of your own")[1].split("\n## ")[0])
        golden = {json.loads(path.read_text())["model_type"] for path in pathlib.Path("tests/data/reference").glob("*/config.json")
                  if (path.parent / "logits-150.npy").exists()}
        self.assertEqual(sorted(named[1:]), sorted(golden))  # behind the head of the table
        (self.folder / "unknown").mkdir()
        (self.folder / "unknown" / "config.json").write_text('{"model_type": "unknown"}')
        error = self.moxie("pack", self.folder / "unknown", "--dry-run").stderr
        self.assertEqual(sorted(re.search(r"can be packed \((.*)\)", error)[1].split(", ")), sorted(golden))

    def test_the_gguf_files_are_those_that_can_be_packed(self):
        said = re.search(r"(?s)\nGGUF files, .* of architecture (.*?), with tensors of type ([A-Z0-9_ ]+)\.", README)
        unknown = self.file("unknown.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
        archs = re.search(r"cannot be packed \((.*) can\)", self.moxie("pack", unknown, "--dry-run").stderr)[1]
        self.assertEqual(re.findall(r"`(\w+)`", said[1]), archs.split(", "))
        self.assertEqual(sorted(said[2].split()), sorted(gguf_file.TYPES | test_gguf_files.TYPES))
        packed = {gguf_file.ARCHITECTURES[json.loads((logits_tool.REFERENCE / case / "config.json").read_text())["model_type"]]
                  for case in logits_tool.GGUF_CASES}
        self.assertEqual(packed, set(archs.split(", ")))

    def test_the_memory_table_is_what_plan_tells(self):
        rows = re.findall(r"(?m)^\| `([a-z0-9.-]+)` \| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", README)
        self.assertTrue(rows)
        for shape, context, *told in rows:
            plan = self.plan_of(shape, "--context", context)
            sizes = plan["region_bytes"] | {"WEIGHTS": plan["weight_bytes"]}
            self.assertEqual(told, [f"{sizes[region] / 1e6:.1f} MB" for region in REGIONS])
        halved, smaller = re.search(r"(?s)keys and values \(A2.7B at 4096 positions: ([0-9.]+) MB\).*needs fewer activations \(([0-9.]+) MB\)", README).groups()
        plan = self.plan_of("qwen1.5-moe-a2.7b", "--context", "4096", "--kv", "int8", "--chunk", "128")
        self.assertEqual([halved, smaller], [f"{plan['region_bytes'][region] / 1e6:.1f}" for region in ("SESSION", "STEP")])

    def plan_of(self, shape, *options):
        return json.loads(self.must("plan", "--shape", shape, "--board", "host-pocl", "--json", *options))


if __name__ == "__main__":
    import unittest
    unittest.main()
