# SPDX-License-Identifier: Apache-2.0
"""`moxie logits` on tiny models: the NumPy twin's bits, and transformers' logits."""
import json
import pathlib
import sys
import unittest

import numpy as np

from numpy_twin import bundle, checkpoint, forward, gguf_file
from logits_tool import CASES, GGUF_CASES, REFERENCE, LogitsTool, same_bits
from numpy_twin.arith import F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "reference"))
import kl  # noqa: E402


class Logits(LogitsTool):
    def check(self, source, tokens, *options):
        """Packs, and compares with the twin bit for bit. Returns (logits, the bundle)."""
        packed = self.pack(source, *options)
        read = bundle.Bundle(packed)
        ours = self.logits(packed, tokens)
        twin = forward.logits(read.model(), tokens)
        self.assertTrue(same_bits(ours, twin), f"largest difference {np.abs(ours - twin).max()}")
        return ours, read

    def test_kept_floats_are_the_reference(self):
        """Packed as stored: the twin's bits, also when the twin reads the checkpoint itself; and within
        2e-4 of the largest logit of what transformers computes in fp32."""
        for case in CASES:
            with self.subTest(case):
                ours, read = self.check(REFERENCE / case, self.tokens(case, 150), "--weights", "keep")
                self.assertNotEqual(read.config.kv_type, bundle.KV_F16)
                direct = forward.logits(checkpoint.load(REFERENCE / case), self.tokens(case, 150))
                self.assertTrue(same_bits(ours, direct), "the bundle is not the checkpoint")
                for count, of in ((1, 7), (7, 7), (33, 33), (130, 150), (150, 150)):  # the first of a longer golden
                    golden = np.load(REFERENCE / case / f"logits-{of}.npy")[:count]
                    got = ours if count == 150 else self.logits(self.folder / "packed.moxie", self.tokens(case, of)[:count])
                    self.assertLess(np.abs(got - golden).max(), 2e-4 * np.abs(golden).max(), f"{count} tokens")

    def test_int4_bits(self):
        for case in CASES:
            with self.subTest(case):
                _ours, read = self.check(REFERENCE / case, self.tokens(case, 150), "--weights", "int4")
                self.assertEqual(read.config.kv_type, bundle.KV_F16)
                formats = {t.format for t in read.tensors if t.role == bundle.GATE_UP}
                self.assertTrue(formats <= {bundle.I4, bundle.I4Z, bundle.I4M}, formats)

    def test_other_weights(self):
        for case, *options in (("moe-norm-tied", "int4", "--group", "64"), ("llama", "int4", "--group", "128"),
                               ("moe-dead-sharded", "int8"), ("qwen2", "int8", "--group", "128"),
                               ("moe-sparse-step", "f32"), ("moe-f32", "f16"), ("llama", "bf16")):
            with self.subTest(f"{case} {options}"):
                self.check(REFERENCE / case, self.tokens(case, 33), "--weights", *options)

    def test_int8_keys_and_values(self):
        """The twin's bits; and as near to the reference as tests/test_smollm2.py asks of a quantised model, but for the tiny
        MoE++, whose routers hand each difference on to the next layer's (mean KL 0.010 and 0.057)."""
        for case in CASES:
            with self.subTest(case):
                ours, read = self.check(REFERENCE / case, self.tokens(case, 150), "--weights", "keep", "--kv", "int8")
                self.assertEqual(read.config.kv_type, bundle.KV_I8)
                if case in ("moepp", "moepp-default"):
                    continue
                golden = np.load(REFERENCE / case / "logits-150.npy")
                log_p, log_q = kl.log_softmax(golden), kl.log_softmax(ours)
                self.assertLess((np.exp(log_p) * (log_p - log_q)).sum(-1).mean(), 0.008)
                self.assertGreater((log_p.argmax(-1) == log_q.argmax(-1)).mean(), 0.95)
        for case, weights in ("moe-norm-tied", "int4"), ("llama", "int8"):
            with self.subTest(f"{case} {weights}"):
                self.check(REFERENCE / case, self.tokens(case, 150), "--weights", weights, "--kv", "int8")

    def test_one_set_of_bits(self):
        """However the prompt is cut, whoever runs beside it, on any number of threads, on the portable kernels."""
        for kv in "auto", "int8":
            packed = self.pack(REFERENCE / "moe-norm-tied", "--weights", "int4", "--kv", kv)
            tokens = self.tokens("moe-norm-tied", 150)
            whole = self.logits(packed, tokens)
            for options in ("--chunk 1", "--chunk 7", "--chunk 32 --batch 3", "--threads 1", "--threads 2 --chunk 150",
                            "--portable"):
                self.assertTrue(same_bits(whole, self.logits(packed, tokens, *options.split())), f"{kv} {options}")

    def test_gguf_is_the_reference(self):
        """The same models as GGUF, which has other names, stacked experts and, in some architectures, rows of q and k
        interleaved: still the reference's logits."""
        for case in GGUF_CASES:
            with self.subTest(case):
                config = json.loads((REFERENCE / case / "config.json").read_text())
                weights = {}
                for file in sorted((REFERENCE / case).glob("*.safetensors")):
                    weights |= checkpoint.read_safetensors(file)
                path = self.folder / f"{case}.gguf"
                kind = "F32" if case == "moe-f32" else "BF16"
                held = gguf_file.write(path, config, weights, {name: kind for name in gguf_file.NAMES.values()})
                tokens = self.tokens(case, 33)
                ours, _read = self.check(path, tokens, "--weights", "keep")
                self.assertTrue(same_bits(ours, forward.logits(checkpoint.build(config, held), tokens)))
                golden = np.load(REFERENCE / case / "logits-33.npy")
                self.assertLess(np.abs(ours - golden).max(), 2e-4 * np.abs(golden).max())

    def test_gguf_blocks_are_kept(self):
        """A qwen2moe GGUF with every block type that is kept: the twin gets the same bits from the numbers that were
        written and from the bundle. down is Q4_0 in some experts and Q8_0 in others: I8 holds both."""
        config = dict(model_type="qwen2_moe", hidden_size=96, num_hidden_layers=2, num_attention_heads=3,
                      num_key_value_heads=1, intermediate_size=64, num_experts=5, num_experts_per_tok=2,
                      moe_intermediate_size=32, shared_expert_intermediate_size=64, norm_topk_prob=False,
                      vocab_size=67, max_position_embeddings=256, rope_theta=1e6, rms_norm_eps=1e-6)
        kinds = dict(attn_q="Q4_1", attn_k="Q8_0", attn_v="F16", attn_output="Q4_0", ffn_gate_exps="Q4_1",
                     ffn_up_exps="Q4_1", ffn_down_exps="Q4_0", ffn_gate_shexp="Q4_1", ffn_up_shexp="Q4_1",
                     ffn_down_shexp="Q8_0", token_embd="Q8_0", output="Q8_0")
        rng = np.random.RandomState(5)
        matrix = lambda *shape: (1.2 / np.sqrt(shape[-1]) * rng.standard_normal(shape)).astype(F)
        vector = lambda n, mean=0: (mean + 0.2 * rng.standard_normal(n)).astype(F)
        weights = {"model.embed_tokens.weight": matrix(67, 96), "model.norm.weight": vector(96, 1),
                   "lm_head.weight": matrix(67, 96)}
        mlp = lambda at, width: {f"{at}.gate_proj.weight": matrix(width, 96), f"{at}.up_proj.weight": matrix(width, 96),
                                 f"{at}.down_proj.weight": matrix(96, width)}
        for layer in range(2):
            base = f"model.layers.{layer}."
            for part, rows in (("q", 96), ("k", 32), ("v", 32)):
                weights |= {f"{base}self_attn.{part}_proj.weight": matrix(rows, 96),
                            f"{base}self_attn.{part}_proj.bias": vector(rows)}
            weights |= {base + "self_attn.o_proj.weight": matrix(96, 96), base + "mlp.gate.weight": matrix(5, 96),
                        base + "mlp.shared_expert_gate.weight": matrix(1, 96),
                        base + "input_layernorm.weight": vector(96, 1),
                        base + "post_attention_layernorm.weight": vector(96, 1)}
            weights |= mlp(base + "mlp.shared_expert", 64)
            for expert in range(5):
                weights |= mlp(f"{base}mlp.experts.{expert}", 32)
        path = self.folder / "blocks.gguf"
        held = gguf_file.write(path, config, weights, kinds)
        tokens = rng.randint(0, 67, 80)
        ours, read = self.check(path, tokens, "--weights", "keep")
        direct = checkpoint.build(config, held)
        direct.kv = bundle.KV_TYPES[read.config.kv_type]
        self.assertEqual(direct.kv, "F16")
        self.assertTrue(same_bits(ours, forward.logits(direct, tokens)), "the bundle is not the file")


if __name__ == "__main__":
    unittest.main()
