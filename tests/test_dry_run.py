#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""moxie pack --dry-run, and tensors that a model has no use for."""
import json

import numpy as np

import checkpoint_files as files
from files_test import FilesTest

CONFIG = files.moe_config(num_hidden_layers=1, num_experts=2, hidden_size=32, num_attention_heads=2,
                          moe_intermediate_size=32, shared_expert_intermediate_size=32)


class DryRun(FilesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weights = {n: t.astype("<f2") for n, t in files.random_weights(CONFIG).items()}

    def write(self, **more):
        extra = {name.replace("__", "."): value for name, value in more.items()}
        return files.write_folder(self.folder / "plain", CONFIG, self.weights | extra)

    def test_it_says_what_packing_does(self):
        source = self.write()
        for options in (), ("--weights", "int4"), ("--weights", "int8", "--group", "128"), ("--weights", "bf16"):
            dry = json.loads(self.must("pack", source, "--dry-run", "--json", "--id", "test", *options))
            self.pack(source, "--json", *options)
            done = json.loads(self.output.stdout)
            self.assertEqual(dry["bytes"], self.packed.stat().st_size)
            self.assertEqual((dry["dry_run"], done["dry_run"]), (True, False))
            for before, after in zip(dry["matrices"], done["matrices"], strict=True):
                self.assertEqual(before["rounded"], after["relative_error"] > 0 or after["rounded"])
                self.assertEqual(before | {"relative_error": after["relative_error"]}, after)

    def test_it_writes_nothing_and_needs_no_key(self):
        before = {*self.folder.rglob("*")}
        source = self.write()
        before |= {source, *source.iterdir()}
        text = self.must("pack", source, "--dry-run", "-o", self.folder / "never.moxie",
                         XDG_CONFIG_HOME=str(self.folder / "empty"))
        self.assertEqual({*self.folder.rglob("*")}, before)
        self.assertRegex(text, r"it would be \d+ bytes in \d+ segments; nothing was written")
        self.assertIn("tensors that are ignored: 0", text)
        self.fails(2, "-o BUNDLE is missing", "pack", source)

    def test_refusals_are_the_same(self):
        source = self.write()
        (source / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": 2}))
        self.fails(25, "model.layers.1", "pack", source, "--dry-run")

    def test_names_that_would_act_on_a_terminal_are_refused(self):
        result = self.fails(22, 'model.safetensors: the name of tensor "a?[31m?b" has control characters', "pack",
                            self.write(**{"a\x1b[31m\nb": np.ones(3, "<f2")}), "--dry-run")
        self.assertNotIn("\x1b", result.stderr)

    def test_ignored_tensors_are_named(self):
        angles = "model.layers.0.self_attn.rotary_emb.inv_freq"
        source = self.write(visual__proj__weight=np.ones((3, 4), "<f2"), score__weight=np.ones(5, "<i8"),
                            **{angles.replace(".", "__"): np.ones(8, "<f4"),
                               "model__layers__0__self_attn__o_proj__bias": np.zeros(32, "<f2"),
                               "model__layers__0__mlp__gate__bias": np.zeros(2, "<f2")})
        result = self.moxie("pack", source, "--dry-run")
        self.assertEqual(result.returncode, 0, result.stderr)
        for line in ("visual.proj.weight (F16, 3 x 4): surplus", "score.weight (I64, 1 x 5): surplus",
                     f"{angles} (F32, 1 x 8): adds nothing",
                     "model.layers.0.self_attn.o_proj.bias (F16, 1 x 32): adds nothing"):
            self.assertIn(line, result.stdout)
        self.assertIn("tensors that are ignored: 5", result.stdout)
        for stderr in result.stderr, self.moxie("pack", source, "-o", self.folder / "surplus.moxie", "--id",
                                                "test").stderr:
            self.assertIn('"visual.proj.weight"', stderr)
            self.assertIn('"score.weight"', stderr)
            self.assertEqual(len(stderr.splitlines()), 2, stderr)
        self.assertEqual(set(json.loads(self.must("pack", source, "--dry-run", "--json"))["ignored"]),
                         {"visual.proj.weight", "score.weight", angles, "model.layers.0.self_attn.o_proj.bias",
                          "model.layers.0.mlp.gate.bias"})
        self.pack(self.write())  # and the bundle is the one without them
        self.assertEqual(self.packed.read_bytes(), (self.folder / "surplus.moxie").read_bytes())

    def test_surplus_that_matters_is_refused(self):
        """What would change the numbers of the model is no surplus."""
        for name, value in [("model.layers.0.self_attn.o_proj.bias", np.ones(32, "<f2")),
                            ("model.layers.0.mlp.gate.bias", np.ones(2, "<f2")),
                            ("model.layers.0.self_attn.q_norm.weight", np.ones(16, "<f2")),
                            ("model.layers.0.mlp.down_proj.weight", np.ones((32, 32), "<f2")),
                            ("model.layers.1.self_attn.o_proj.weight", np.ones((32, 32), "<f2"))]:
            source = self.write(**{name.replace(".", "__"): value})
            self.refused(25, [name, "has no place"], source)


if __name__ == "__main__":
    import unittest
    unittest.main()
