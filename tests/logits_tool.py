# SPDX-License-Identifier: Apache-2.0
"""What tests of logits share: the tiny models under tests/data/reference, packing them, running them."""
import hashlib
import pathlib

import numpy as np

from numpy_twin.arith import F
from tool import ToolTest

REFERENCE = pathlib.Path(__file__).resolve().parent / "data" / "reference"
CASES = ("moe-f32", "moe-norm-tied", "moe-sparse-step", "moe-dead-sharded", "moe-60", "qwen2", "llama", "mistral", "mixtral",
         "deepseek", "qwen3-moe", "olmoe", "gemma", "moepp", "moepp-default", "moepp-mixtral")
GGUF_CASES = ("moe-f32", "qwen2", "llama", "mistral", "mixtral", "deepseek", "qwen3-moe", "olmoe", "gemma")


def same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype == F and a.tobytes() == b.tobytes()


class LogitsTool(ToolTest):
    def pack(self, source, *options):
        path = self.folder / "packed.moxie"
        self.must("pack", source, "-o", path, *options)
        return path

    def logits(self, packed, tokens, *options):
        out = self.folder / "out.npy"
        printed = self.must("logits", packed, "--tokens", "-", "-o", out, *options, stdin=" ".join(map(str, tokens)))
        result = np.load(out)
        self.assertIn(hashlib.sha256(result.tobytes()).hexdigest(), printed)
        return result

    def tokens(self, case, count):
        return np.loadtxt(REFERENCE / case / f"tokens-{count}.txt", dtype=np.int64)
