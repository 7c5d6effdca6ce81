# SPDX-License-Identifier: Apache-2.0
"""What could be wrong in silence: every detail in which published files differ, inverted in the file, must show in the
logits (tests/test_gptq.py does it for GPTQ and AWQ); and Int4, held against fp32 on the values that it stands for."""
import dataclasses
import json
import unittest

import numpy as np

from checkpoint_files import write_folder
from logits_tool import CASES, REFERENCE, LogitsTool, same_bits
from numpy_twin import bundle, checkpoint, forward, gguf_file
from numpy_twin.arith import F

LIMIT = 2e-4  # of the largest logit: what an exact engine keeps (tests/test_logits.py)


class Plain:
    """A matrix of an Int4 bundle as fp32, its product in fp64. eight: the input goes through 8 bits first, in groups, as
    anybody would write it: the only thing by which a right engine differs, but for halfs in the cache of keys and values."""

    def __init__(self, matrix, eight):
        if isinstance(matrix, forward.IntegerMatrix):
            group = np.arange(matrix.q.shape[1]) // matrix.group
            self.weights = matrix.q * matrix.scale[:, group].astype(np.float64)
            if matrix.minimum is not None:
                self.weights += matrix.minimum[:, group]
        else:
            self.weights = matrix.weights.astype(np.float64)
        self.group = matrix.group if eight and isinstance(matrix, forward.IntegerMatrix) else None
        self.columns = self.weights.shape[1]

    def linear(self, site):
        x = site.x.astype(np.float64)
        for start in range(0, x.shape[1] if self.group else 0, self.group or 1):
            part = x[:, start:start + self.group]
            step = np.abs(part).max(axis=1, keepdims=True) / 127
            step[step == 0] = 1
            x[:, start:start + self.group] = np.rint(part / step) * step
        return (x @ self.weights.T).astype(F)

    def rows(self, ids):
        return self.weights[ids].astype(F)


def plain(model, eight=False):
    """The model of a bundle with Plain in every integer matrix's place, and keys and values in fp32."""
    def one(matrix):
        if isinstance(matrix, forward.Stacked):
            return forward.Stacked([one(part) for part in matrix.parts])
        return matrix if matrix is None else Plain(matrix, eight)

    layers = [dataclasses.replace(layer, qkv=one(layer.qkv), attn_out=one(layer.attn_out),
                                  experts=[tuple(map(one, e)) for e in layer.experts]) for layer in model.layers]
    embedding = one(model.embedding)
    return dataclasses.replace(model, layers=layers, embedding=embedding, kv="F32",
                               head=embedding if model.head is model.embedding else one(model.head))


class Parity(LogitsTool):
    def golden(self, case, count=33):
        return np.load(REFERENCE / case / f"logits-{count}.npy")

    def far(self, source, case, why):
        """Packed as it is, this file's logits are not the case's."""
        got = self.logits(self.pack(source, "--weights", "keep"), self.tokens(case, 33))
        golden = self.golden(case)
        self.assertGreater(np.abs(got - golden).max(), 100 * LIMIT * np.abs(golden).max(), why)

    def weights(self, case):
        return {name: value for file in sorted((REFERENCE / case).glob("*.safetensors"))
                for name, value in checkpoint.read_safetensors(file).items()}

    def folder_of(self, case, weights, **changes):
        path = self.folder / "changed"
        path.mkdir(exist_ok=True)
        write_folder(path, json.loads((REFERENCE / case / "config.json").read_text()) | changes, weights)
        return path

    def test_fused_experts(self):
        """Stacks of experts, as new transformers may write them, are the tensors of single experts; gate comes first."""
        case = "moe-f32"
        weights = self.weights(case)
        single = {name: value for name, value in weights.items() if ".experts." not in name}
        for order in ("gate", "up"), ("up", "gate"):
            stacks = dict(single)
            for layer in range(2):
                at = f"model.layers.{layer}.mlp.experts"
                stacks[f"{at}.gate_up_proj"] = np.stack(
                    [np.concatenate([weights[f"{at}.{e}.{part}_proj.weight"] for part in order]) for e in range(5)])
                stacks[f"{at}.down_proj"] = np.stack([weights[f"{at}.{e}.down_proj.weight"] for e in range(5)])
            if order[0] == "up":
                self.far(self.folder_of(case, stacks), case, "up before gate")
                continue
            packed = self.pack(self.folder_of(case, stacks), "--weights", "keep")
            ours = self.logits(packed, self.tokens(case, 33))
            plain_file = self.logits(self.pack(REFERENCE / case, "--weights", "keep"), self.tokens(case, 33))
            self.assertTrue(same_bits(ours, plain_file))

    def test_gate_and_up(self):
        for case, gate, up in (("qwen2", "gate_proj", "up_proj"), ("mixtral", "w1", "w3")):
            swap = {f".{gate}.": f".{up}.", f".{up}.": f".{gate}."}
            weights = {next((name.replace(a, b) for a, b in swap.items() if a in name), name): value
                       for name, value in self.weights(case).items()}
            self.far(self.folder_of(case, weights), case, "gate and up exchanged")

    def test_rows_of_q_and_k_in_a_gguf(self):
        """Not reordered where llama.cpp reorders them, and reordered where it does not."""
        was = gguf_file.INTERLEAVED
        for case, inverted in (("llama", ()), ("deepseek", ()), ("qwen2", ("qwen2",))):
            config = json.loads((REFERENCE / case / "config.json").read_text())
            path = self.folder / f"{case}.gguf"
            try:
                gguf_file.INTERLEAVED = inverted
                gguf_file.write(path, config, self.weights(case), {name: "BF16" for name in gguf_file.NAMES.values()})
            finally:
                gguf_file.INTERLEAVED = was
            self.far(path, case, "order of the rows of q and k")

    def test_norms_and_embeddings_of_gemma(self):
        """A folder's norms lack the 1; a GGUF's have it; hidden size scales the embedding and nothing else."""
        weights = self.weights("gemma")
        added = {name: value + F(1) if name.endswith("norm.weight") else value for name, value in weights.items()}
        self.far(self.folder_of("gemma", added), "gemma", "1 added twice")
        scale = F(40 ** 0.5)
        scaled = {name: value * scale if "embed_tokens" in name else value for name, value in weights.items()}
        self.far(self.folder_of("gemma", scaled), "gemma", "embeddings scaled twice")
        config = json.loads((REFERENCE / "gemma" / "config.json").read_text())
        path = self.folder / "gemma.gguf"
        less = {name: value - F(1) if name.endswith("norm.weight") else value for name, value in weights.items()}
        gguf_file.write(path, config, less, {name: "BF16" for name in gguf_file.NAMES.values()})
        self.far(path, "gemma", "a GGUF's norms without the 1")

    def test_every_setting_of_moepp_matters(self):
        """Each key of the configuration, inverted over the same weights."""
        for case, changes in (("moepp", dict(moe_use_logits_norm=False)), ("moepp", dict(moe_gate_norm_std=0.5)),
                              ("moepp", dict(moe_feature_no_mul_topk=False)), ("moepp", dict(moe_use_mixtral_gating=True)),
                              ("moepp-default", dict(moe_feature_no_mul_topk=True)),
                              ("moepp-default", dict(moe_use_logits_norm=True)),
                              ("moepp-mixtral", dict(moe_use_mixtral_gating=False, moe_feature_no_mul_topk=True))):
            with self.subTest(f"{case} {changes}"):
                path = self.folder / "changed"
                path.mkdir(exist_ok=True)
                for file in path.iterdir():
                    file.unlink()
                for file in (REFERENCE / case).glob("*.bin*"):
                    (path / file.name).write_bytes(file.read_bytes())
                config = json.loads((REFERENCE / case / "config.json").read_text()) | changes
                (path / "config.json").write_text(json.dumps(config))
                self.far(path, case, str(changes))

    def test_int4_differs_by_its_activations_alone(self):
        """Against fp32 on the values that the Int4 file holds. The bound is measured, not chosen: how far the same fp32
        model gets from itself when the input of each Int4 product is rounded to 8 bits in its groups. (A uniform error of
        a step of absmax / 127 is absmax^2 / 127^2 / 12, about 3e-5 of a group's energy at each product; this adds up over
        the products, and a router that flips counts too.) The engine rounds at the same places, so it may not be more than
        half as much again. Greedy: where its choice is another one, the reference's two best are closer than that noise."""
        for case in CASES:
            with self.subTest(case):
                packed = self.pack(REFERENCE / case, "--weights", "int4")
                model = bundle.Bundle(packed).model()
                tokens = self.tokens(case, 33).tolist()
                reference = plain(model)
                if case in ("moe-60", "moepp"):  # on with what the reference would say
                    for _ in range(8):
                        tokens.append(int(forward.logits(reference, tokens)[-1].argmax()))
                exact, eight = forward.logits(reference, tokens), forward.logits(plain(model, eight=True), tokens)
                ours = self.logits(packed, tokens)
                noise = lambda x: float(((x - exact).astype(np.float64) ** 2).sum() / (exact.astype(np.float64) ** 2).sum())
                self.assertGreater(noise(eight), 1e-6)
                self.assertLess(noise(ours), 1.5 * noise(eight), f"8-bit activations explain {noise(eight):.1e}")
                best = np.sort(exact, axis=-1)
                close = best[:, -1] - best[:, -2] < 2 * np.abs(eight - exact).max()  # of any token: routers flip anywhere
                self.assertTrue(((ours.argmax(-1) == exact.argmax(-1)) | close).all())


if __name__ == "__main__":
    unittest.main()
