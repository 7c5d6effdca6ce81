# SPDX-License-Identifier: Apache-2.0
"""Sampling as section 6 of runtime/ARITHMETIC.md says it."""
import numpy as np

from . import arith
from .arith import F

MASK = 0xffffffff


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., SC'11)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def units(real, bits):
    return int(float(F(real)) * 2 ** bits)


def choose(logits, position, seed=0, temperature=0, top_k=0, top_p=0, min_p=0, repetition_penalty=1, history=()):
    """The token at `position`; 0 turns a filter off."""
    x = logits.astype(F)
    largest = np.finfo(F).max
    for token in {*history} if repetition_penalty != 1 else ():
        factor = F(repetition_penalty) if x[token] < 0 else arith.div(F(1), F(repetition_penalty))
        with np.errstate(over="ignore"):
            x[token] = np.clip(F(x[token] * factor), -largest, largest)
    if temperature == 0:
        return int(x.argmax())
    v = (x - x.max()) * arith.div(F(1), F(temperature))
    w = [units(e, 40) for e in arith.exp(v)]
    ids = list(range(len(x)))
    if 0 < top_k < len(ids):
        ids = [i for i in ids if v[i] >= np.sort(v)[-top_k]]
    if 0 < top_p < 1:
        enough = max(1, sum(w[i] for i in ids) * units(top_p, 24) >> 24)
        mass, kept = 0, set()
        for i in sorted(ids, key=lambda i: (-v[i], i)):
            if mass >= enough:
                break
            mass += w[i]
            kept.add(i)
        ids = sorted(kept)
    if min_p > 0:
        ids = [i for i in ids if w[i] >= units(min_p, 40)]
    o = philox((position, 0, 0, 0), (seed & MASK, seed >> 32))
    target = (o[1] << 32 | o[0]) * sum(w[i] for i in ids) >> 64
    for i in ids:
        target -= w[i]
        if target < 0:
            return i
