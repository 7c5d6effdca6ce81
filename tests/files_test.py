# SPDX-License-Identifier: Apache-2.0
"""What the tests of the importers share: pack a checkpoint, read the bundle, run it, and compare with what went in."""
import hashlib

import numpy as np

from numpy_twin import bundle, checkpoint, forward
from numpy_twin.arith import F
from tool import ToolTest


def same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype == F and a.tobytes() == b.tobytes()


def values(matrix):
    """float32 numbers of a matrix of numpy_twin/forward.py."""
    return matrix.rows(np.arange(len(matrix.q if hasattr(matrix, "q") else matrix.weights)))


class FilesTest(ToolTest):
    TOKENS = np.random.RandomState(3).randint(0, 67, 40)

    def pack(self, source, *options):
        self.packed = self.folder / "packed.moxie"
        self.output = self.moxie("pack", source, "-o", self.packed, "--id", "test", *options)
        self.assertEqual(self.output.returncode, 0, self.output.stderr)
        return bundle.Bundle(self.packed)

    def refused(self, status, words, source, *options):
        self.fails(status, words, "pack", source, "-o", self.folder / "bad.moxie", *options)

    def logits(self, path, tokens):
        ids, out = self.folder / "tokens.txt", self.folder / "out.npy"
        ids.write_text(" ".join(map(str, tokens)))
        printed = self.must("logits", path, "--tokens", ids, "-o", out)
        result = np.load(out)
        self.assertIn(hashlib.sha256(result.tobytes()).hexdigest(), printed)
        return result

    def check(self, source, config, held, *options):
        """The bundle's logits are those of the numbers in `held`, bit for bit. Returns the bundle."""
        read = self.pack(source, *options)
        direct = checkpoint.build(config, held)
        direct.kv = bundle.KV_TYPES[read.config.kv_type]
        expected = forward.logits(direct, self.TOKENS)
        ours = self.logits(self.packed, self.TOKENS)
        self.assertTrue(same_bits(ours, expected), f"largest difference {np.abs(ours - expected).max()}")
        return read

    def formats(self, read, *roles):
        """{(format, group, type of scales)} of the tensors with these roles."""
        return {(t.format, t.group, t.scale_type) for t in read.tensors if t.role in roles}

    def matrices(self, read):
        """{name of Hugging Face: float32} of every matrix of a qwen2_moe bundle but the router."""
        model, result = read.model(), {}
        head = model.head_dim
        for index, layer in enumerate(model.layers):
            base = f"model.layers.{index}."
            rows = np.cumsum([0, model.heads * head, model.kv_heads * head, model.kv_heads * head])
            qkv = np.concatenate([values(p) for p in getattr(layer.qkv, "parts", [layer.qkv])])
            for part, name in enumerate("qkv"):
                result[f"{base}self_attn.{name}_proj.weight"] = qkv[rows[part]:rows[part + 1]]
            result[base + "self_attn.o_proj.weight"] = values(layer.attn_out)
            shared = [tuple(map(values, e)) for e in layer.experts[layer.routed:]]
            for expert, parts in enumerate(layer.experts[:layer.routed]):
                for name, matrix in zip(("gate", "up", "down"), parts):
                    result[f"{base}mlp.experts.{expert}.{name}_proj.weight"] = values(matrix)
            for name, place, axis in ("gate", 0, 0), ("up", 1, 0), ("down", 2, 1):
                at = "mlp.shared_expert" if layer.routed else "mlp"
                result[f"{base}{at}.{name}_proj.weight"] = np.concatenate([e[place] for e in shared], axis)
        return result
