#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/importer/blocks-<type>.bin: random GGUF blocks and their values by gguf-py, the format's own library.

    pip install gguf numpy
    python tests/reference/make_blocks.py

Each file holds raw blocks (48 of 32 elements or 12 of 256), then their values as little-endian float32. Scales take all
kinds of halfs: subnormal, zero, negative, the largest; none that is infinite or NaN.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

# block bytes, elements, offsets of halfs
TYPES = {Type.Q4_0: (18, 32, [0]), Type.Q4_1: (20, 32, [0, 2]), Type.Q8_0: (34, 32, [0]), Type.BF16: (64, 32, []),
         Type.Q5_0: (22, 32, [0]), Type.Q5_1: (24, 32, [0, 2]), Type.IQ4_NL: (18, 32, [0]),
         Type.Q4_K: (144, 256, [0, 2]), Type.Q5_K: (176, 256, [0, 2]), Type.Q6_K: (210, 256, [208])}
EDGES = np.array([0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x3c00, 0xbc00], dtype="<u2")


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "data" / "importer"
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(7)
    for kind, (size, elements, halfs) in TYPES.items():
        blocks = 48 if elements == 32 else 12
        raw = rng.randint(0, 256, (blocks, size)).astype(np.uint8)
        if kind == Type.BF16:
            raw[:, 1::2] = np.where((raw[:, 1::2] & 0x7f) == 0x7f, 0x3f, raw[:, 1::2])  # no infinity, no NaN
        for turn, at in enumerate(halfs):
            scale = rng.randint(0, 0x7c00, blocks) | rng.randint(0, 2, blocks) << 15
            scale[: len(EDGES)] = np.roll(EDGES, 3 * turn)
            raw[:, at:at + 2] = scale.astype("<u2").view(np.uint8).reshape(blocks, 2)
        values = quants.dequantize(raw, kind).astype("<f4").reshape(blocks, elements)
        (out / f"blocks-{kind.name.lower()}.bin").write_bytes(raw.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
