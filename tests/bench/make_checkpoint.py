#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint of Qwen1.5-MoE-A2.7B's shapes with random BF16 weights and fewer layers, to measure packing with:

    python3 tests/bench/make_checkpoint.py FOLDER [--layers 4]

4 layers are 5.8 GB. Two shards, tensors in the order in which transformers writes them. Needs NumPy.
"""
import argparse
import json
import pathlib
import struct

import numpy as np

HIDDEN, VOCAB, EXPERTS, WIDTH, SHARED = 2048, 151936, 60, 1408, 5632
CONFIG = dict(architectures=["Qwen2MoeForCausalLM"], model_type="qwen2_moe", hidden_size=HIDDEN, num_attention_heads=16,
              num_key_value_heads=16, intermediate_size=5632, moe_intermediate_size=WIDTH, num_experts=EXPERTS,
              shared_expert_intermediate_size=SHARED, num_experts_per_tok=4, norm_topk_prob=False, vocab_size=VOCAB,
              max_position_embeddings=8192, rope_theta=1e6, rms_norm_eps=1e-6, hidden_act="silu", torch_dtype="bfloat16",
              tie_word_embeddings=False)
POOL = 1 << 26  # weights


def shapes(layers):
    yield "lm_head.weight", (VOCAB, HIDDEN)
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(layers):
        base = f"model.layers.{layer}."
        mlp = lambda at, width: [(f"{at}.down_proj.weight", (HIDDEN, width)), (f"{at}.gate_proj.weight", (width, HIDDEN)),
                                 (f"{at}.up_proj.weight", (width, HIDDEN))]
        yield base + "input_layernorm.weight", (HIDDEN,)
        for expert in range(EXPERTS):
            yield from mlp(f"{base}mlp.experts.{expert}", WIDTH)
        yield base + "mlp.gate.weight", (EXPERTS, HIDDEN)
        yield from mlp(base + "mlp.shared_expert", SHARED)
        yield base + "mlp.shared_expert_gate.weight", (1, HIDDEN)
        yield base + "post_attention_layernorm.weight", (HIDDEN,)
        for part in "kqv":
            yield f"{base}self_attn.{part}_proj.bias", (HIDDEN,)
        for part in "koqv":
            yield f"{base}self_attn.{part}_proj.weight", (HIDDEN, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--layers", type=int, default=4)
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    (a.folder / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": a.layers}))
    random = np.random.RandomState(1)
    pool = (np.float32(0.02) * random.standard_normal(POOL).astype(np.float32)).view(np.uint32) >> 16
    pool = pool.astype("<u2")
    tensors = list(shapes(a.layers))
    places = {}
    for number, part in enumerate((tensors[:len(tensors) // 2], tensors[len(tensors) // 2:]), 1):
        name = f"model-{number:05}-of-00002.safetensors"
        header, end = {}, 0
        for tensor, shape in part:
            start, end = end, end + 2 * int(np.prod(shape))
            header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
            places[tensor] = name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (a.folder / name).open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for _tensor, shape in part:
                left, at = int(np.prod(shape)), random.randint(POOL)
                while left:
                    piece = pool[at:at + left]
                    out.write(piece)
                    left, at = left - len(piece), 0
    (a.folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


if __name__ == "__main__":
    main()
