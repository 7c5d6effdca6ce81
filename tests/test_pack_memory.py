# SPDX-License-Identifier: Apache-2.0
"""Packing is streaming: its memory does not grow with the checkpoint."""
import json
import os
import struct
import subprocess

import tiny_chat
from tool import MOXIE, ToolTest

HIDDEN, WIDTH = 512, 1408


class PackMemory(ToolTest):
    def checkpoint(self, layers):
        """Zeros in bfloat16, which take no room on the disk. Gives the folder and the bytes of the weights."""
        folder = self.folder / f"layers{layers}"
        tiny_chat.write(folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {"hidden_size": HIDDEN, "intermediate_size": WIDTH, "num_hidden_layers": layers}
        (folder / "config.json").write_text(json.dumps(config))
        kv = HIDDEN // tiny_chat.HEADS * tiny_chat.KV_HEADS
        shapes = {"model.embed_tokens.weight": [tiny_chat.VOCAB, HIDDEN], "model.norm.weight": [HIDDEN]}
        for layer in range(layers):
            base = f"model.layers.{layer}."
            shapes |= {base + "input_layernorm.weight": [HIDDEN], base + "post_attention_layernorm.weight": [HIDDEN],
                       base + "self_attn.q_proj.weight": [HIDDEN, HIDDEN], base + "self_attn.k_proj.weight": [kv, HIDDEN],
                       base + "self_attn.v_proj.weight": [kv, HIDDEN], base + "self_attn.o_proj.weight": [HIDDEN, HIDDEN],
                       base + "mlp.gate_proj.weight": [WIDTH, HIDDEN], base + "mlp.up_proj.weight": [WIDTH, HIDDEN],
                       base + "mlp.down_proj.weight": [HIDDEN, WIDTH]}
        header, at = {}, 0
        for name, shape in shapes.items():
            size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        with open(folder / "model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            f.truncate(f.tell() + at)
        return folder, at

    def peak(self, folder):
        """Bytes that moxie pack had in memory at most (never below what this Python has, which starts it)."""
        # a build with sanitizers keeps what was freed, 256 MB of it unless told otherwise
        environment = self.environment | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        child = subprocess.Popen([MOXIE, "pack", folder, "-o", self.folder / "out.moxie", "--weights", "int4", "--threads", "2"],
                                 env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_memory_does_not_grow_with_the_checkpoint(self):
        (small, small_bytes), (large, large_bytes) = self.checkpoint(2), self.checkpoint(24)
        self.assertGreater(large_bytes, small_bytes + 100_000_000)
        grown = self.peak(large) - self.peak(small)
        self.assertLess(grown, (large_bytes - small_bytes) // 20)  # its bundle alone is a quarter of that difference


if __name__ == "__main__":
    import unittest
    unittest.main()
