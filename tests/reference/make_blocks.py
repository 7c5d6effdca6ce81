#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/importer/blocks-<type>.bin: random GGUF blocks and their values by gguf-py, the format's own library.

    pip install gguf numpy
    python tests/reference/make_blocks.py

Each file holds BLOCKS raw blocks, then 32 little-endian float32 values per block. Scales take all kinds of halfs:
subnormal, zero, negative, the largest; none that is infinite or NaN.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

BLOCKS = 48
SIZES = {Type.Q4_0: (18, 1), Type.Q4_1: (20, 2), Type.Q8_0: (34, 1), Type.BF16: (64, 0)}  # block bytes, leading halfs
EDGES = np.array([0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x3c00, 0xbc00], dtype="<u2")


def main():
    rng = np.random.RandomState(7)
    out = pathlib.Path(__file__).resolve().parent.parent / "data" / "importer"
    out.mkdir(parents=True, exist_ok=True)
    for kind, (size, halfs) in SIZES.items():
        raw = rng.randint(0, 256, (BLOCKS, size)).astype(np.uint8)
        if kind == Type.BF16:
            raw[:, 1::2] = np.where((raw[:, 1::2] & 0x7f) == 0x7f, 0x3f, raw[:, 1::2])  # no infinity, no NaN
        for h in range(halfs):
            scale = rng.randint(0, 0x7c00, BLOCKS) | rng.randint(0, 2, BLOCKS) << 15
            scale[: len(EDGES)] = np.roll(EDGES, 3 * h)
            raw[:, 2 * h:2 * h + 2] = scale.astype("<u2").view(np.uint8).reshape(BLOCKS, 2)
        values = quants.dequantize(raw, kind).astype("<f4").reshape(BLOCKS, 32)
        (out / f"blocks-{kind.name.lower()}.bin").write_bytes(raw.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
