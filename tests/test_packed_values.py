# SPDX-License-Identifier: Apache-2.0
"""The numbers in a bundle, read by pack/SPEC.md (numpy_twin/bundle.py), against those of the checkpoint; and the errors
that `moxie pack` reports against the errors found."""
import json
import pathlib
import unittest

import numpy as np

from numpy_twin import bundle, checkpoint
from tool import ToolTest

REFERENCE = pathlib.Path(__file__).resolve().parent / "data" / "reference"
CASES = ("moe-f32", "moe-norm-tied", "moe-sparse-step", "moe-dead-sharded", "qwen2", "llama")


class Values(ToolTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tensors = {}
        for case in CASES:
            files = sorted((REFERENCE / case).glob("*.safetensors"))
            cls.tensors[case] = {k: v for f in files for k, v in checkpoint.read_safetensors(f).items()}

    def pairs(self, case, read):
        """(role, packed values, the checkpoint's) of every matrix."""
        source = self.tensors[case]
        config = json.loads((REFERENCE / case / "config.json").read_text())
        for t in read.tensors:
            layer = f"model.layers.{t.layer}."
            if t.role == bundle.EMBEDDING:
                want = source["model.embed_tokens.weight"]
            elif t.role == bundle.HEAD:
                want = source["lm_head.weight"]
            elif t.role == bundle.QKV:
                want = np.concatenate([source[f"{layer}self_attn.{p}_proj.weight"] for p in "qkv"])
            elif t.role == bundle.ATTN_OUT:
                want = source[layer + "self_attn.o_proj.weight"]
            elif t.role == bundle.ROUTER:
                want = np.concatenate([source[layer + "mlp.gate.weight"], source[layer + "mlp.shared_expert_gate.weight"]])
            elif t.role in (bundle.GATE_UP, bundle.DOWN):
                yield from self.experts(t, read, source, config)
                continue
            else:
                continue
            yield t.role, read.matrix(t).rows(np.arange(t.rows)), want[t.row_offset:t.row_offset + t.rows]

    def experts(self, t, read, source, config):
        routed, width = read.layers[t.layer].routed, read.layers[t.layer].width
        for e in range(t.segments):
            base = f"model.layers.{t.layer}.mlp."
            part = slice(None)
            if routed and e < routed:
                base += f"experts.{e}."
            elif routed:
                base += "shared_expert."
                part = slice((e - routed) * width, min((e - routed + 1) * width, config["shared_expert_intermediate_size"]))
            packed = read.matrix(t, t.segment + e).rows(np.arange(t.rows))
            if t.role == bundle.DOWN:
                want = source[base + "down_proj.weight"][:, part]
                self.assertFalse(packed[:, want.shape[1]:].any(), "columns behind a part are zero")
                yield t.role, packed[:, :want.shape[1]], want
                continue
            for up, name in enumerate(("gate_proj", "up_proj")):
                want = source[f"{base}{name}.weight"][part]
                mine = packed.reshape(-1, 2, 16, packed.shape[1])[:, up].reshape(-1, packed.shape[1])
                self.assertFalse(mine[len(want):].any(), "rows behind a part are zero")
                yield t.role, mine[:len(want)], want

    def packed(self, case, *options):
        path = self.folder / "values.moxie"
        report = json.loads(self.must("pack", REFERENCE / case, "-o", path, "--json", "--weights", *options))
        return report, bundle.Bundle(path)

    def test_kept_values_are_the_checkpoints(self):
        for case in CASES:
            for weights in ("keep", "f32"):
                report, read = self.packed(case, weights)
                found = set()
                for role, got, want in self.pairs(case, read):
                    self.assertTrue(np.array_equal(got, want), f"{case}, {weights}, role {role}")
                    found.add(role)
                self.assertTrue({bundle.EMBEDDING, bundle.QKV, bundle.ATTN_OUT, bundle.GATE_UP, bundle.DOWN} <= found)
                self.assertEqual({k["relative_error"] for k in report["matrices"]}, {0})

    def test_halfs_are_the_nearest(self):
        for case in CASES:
            _report, read = self.packed(case, "f16")
            for role, got, want in self.pairs(case, read):
                if role != bundle.ROUTER:
                    self.assertTrue(np.array_equal(got, want.astype(np.float16).astype(np.float32)), f"{case}, role {role}")

    def test_reported_errors_are_the_errors(self):
        for case, *options in [(c, w, "--group", g) for c, g in zip(CASES, ("32", "64", "128") * 2)
                               for w in ("int4", "int8")] + [("moe-f32", "bf16"), ("moe-f32", "int4", "--head-int4")]:
            with self.subTest(f"{case} {options}"):
                report, read = self.packed(case, *options)
                squares, errors = {}, {}
                for role, got, want in self.pairs(case, read):
                    got, want = got.astype(np.float64), want.astype(np.float64)
                    errors[role] = errors.get(role, 0) + np.square(got - want).sum()
                    squares[role] = squares.get(role, 0) + np.square(want).sum()
                found = sorted(float(np.sqrt(errors[r] / squares[r])) for r in errors)
                told = sorted(k["relative_error"] for k in report["matrices"])
                np.testing.assert_allclose(told, found, rtol=1e-4, atol=1e-9)
                self.assertLess(max(told), 0.13 if "int4" in options else 0.012)


if __name__ == "__main__":
    unittest.main()
