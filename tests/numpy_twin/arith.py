# SPDX-License-Identifier: Apache-2.0
"""Canonical arithmetic in NumPy, written from runtime/ARITHMETIC.md §1, §2 and §5 alone.

Everything takes and gives float32 arrays. NumPy's float32 + - * round to nearest even, as the document asks; what it
lacks is fma, which is built here from float64.
"""
import numpy as np

F = np.float32
SEGMENT = 256  # elements of a sum that are added before the next part begins


def fma(a, b, c):
    """a*b + c rounded once to float32.

    In float64 the product is exact (48 bits) and the sum s is rounded to 53 bits; rounding s again to 24 bits is wrong
    only where s lies exactly between two float32 and the true sum does not, or where the result is subnormal. There s is
    first moved to the neighbour with an odd last bit on the side of the true sum ("round to odd"), which a second
    rounding cannot misread.
    """
    p = np.multiply(a, b, dtype=np.float64)
    c = np.asarray(c, np.float64)
    s = p + c
    bits = s.view(np.int64) if s.ndim else np.array(s).view(np.int64)
    doubtful = (bits & 0x1FFFFFFF) == 0x10000000
    doubtful |= np.abs(s) < 2.0 ** -126
    if doubtful.any():
        p, c = np.broadcast_to(p, s.shape)[doubtful], np.broadcast_to(c, s.shape)[doubtful]
        t = s[doubtful]
        with np.errstate(invalid="ignore"):
            of_c = t - p
            error = (p - (t - of_c)) + (c - of_c)  # exactly p + c - t
        odd = t.view(np.int64)
        inexact = np.isfinite(error) & (error != 0) & ((odd & 1) == 0)
        odd = odd + np.where(inexact, np.where((error > 0) == (t > 0), 1, -1), 0)
        s = np.array(s)
        s[doubtful] = odd.view(np.float64)
    with np.errstate(over="ignore"):
        return s.astype(F)


def bits(x):
    return np.asarray(x, F).view(np.int32)


def from_bits(b):
    return np.asarray(b, np.int64).astype(np.uint32).view(F)


def flush(x):
    x = np.asarray(x, F)
    return np.where((bits(x) & 0x7FFFFFFF) < 0x2B800000, F(0), x)


def recip(b):
    b = np.asarray(b, F)
    y = from_bits(0x7EF311C7 - bits(b).astype(np.int64))
    for _ in range(3):
        e = fma(-b, y, F(1))
        y = fma(y, e, y)
    return y


def div(a, b):
    a, b = np.asarray(a, F), np.asarray(b, F)
    y = recip(b)
    q = a * y
    r = fma(-b, q, a)
    return fma(r, y, q)


def rsqrt(x):
    x = np.asarray(x, F)
    y = from_bits(0x5F3759DF - (bits(x).astype(np.int64) >> 1))
    h = F(0.5) * x
    for _ in range(4):
        t = h * y
        e = fma(-t, y, F(0.5))
        y = fma(y, e, y)
    return y


def exp(x):
    """For x <= 0, -inf included."""
    x = np.asarray(x, F)
    low = x < F(-28)
    x = np.where(low, F(0), x)
    n = np.rint(x * F(1.44269504))
    r = fma(n, F(-float.fromhex("0x1.62e4p-1")), x)
    r = fma(n, F(-float.fromhex("0x1.7f7d1cp-20")), r)
    p = np.full(r.shape, F(1 / 5040))
    for c in (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1, 1):
        p = fma(p, r, F(c))
    result = flush(from_bits(bits(p).astype(np.int64) + (n.astype(np.int64) << 23)))
    return np.where(low, F(0), result)


def sigmoid(z):
    z = np.asarray(z, F)
    e = exp(-np.abs(z))
    d = recip(F(1) + e)
    return np.where(z >= 0, d, e * d)


def silu(z):
    return flush(z * sigmoid(z))


def gelu(z):
    z = np.asarray(z, F)
    u = z * fma(z * z, F(0.0713548163), F(1.59576912))
    return flush(z * sigmoid(u))


def tanh(z):
    z = np.asarray(z, F)
    e = exp(F(-2) * np.abs(z))
    t = (F(1) - e) * recip(F(1) + e)
    return flush(np.where(z < 0, -t, t))


def sincos(a):
    """(sin a, cos a) for 0 <= a < 2^18."""
    a = np.asarray(a, F)
    n = np.rint(a * F(0.636619772))
    r = fma(n, F(-float.fromhex("0x1.921fb6p+0")), a)
    r = fma(n, F(float.fromhex("0x1.777a5cp-25")), r)
    r = fma(n, F(float.fromhex("0x1.ee59dap-50")), r)
    t = r * r
    p = np.full(t.shape, F(1 / 362880))
    for c in (-1 / 5040, 1 / 120, -1 / 6):
        p = fma(p, t, F(c))
    u = t * r
    s = fma(p, u, r)
    p = np.full(t.shape, F(-1 / 3628800))
    for c in (1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1):
        p = fma(p, t, F(c))
    c = p
    quadrant = n.astype(np.int64) & 3
    return np.choose(quadrant, [s, c, -s, -c]), np.choose(quadrant, [c, -s, -c, s])


def _lanes(v, step):
    """Lane sums of v (..., n) by segments of 256 and 16 lanes; step(a, x) adds x to the lanes a."""
    n = v.shape[-1]
    padded = np.zeros(v.shape[:-1] + (-(-n // 16) * 16,), F)
    padded[..., :n] = v
    total = None
    for start in range(0, padded.shape[-1], SEGMENT):
        a = np.zeros(v.shape[:-1] + (16,), F)
        for k in range(start, min(start + SEGMENT, padded.shape[-1]), 16):
            a = step(a, padded[..., k:k + 16])
        for half in (8, 4, 2, 1):
            a = a[..., :half] + a[..., half:]
        total = a[..., 0] if total is None else total + a[..., 0]
    return total


def lanesum(v):
    return _lanes(v, lambda a, x: a + x)


def lanesum_squares(v):
    return _lanes(v, lambda a, x: fma(x, x, a))


def to_half(x):
    """Clamped to the largest half and rounded to nearest even; the value as float32."""
    return np.clip(x, F(-65504), F(65504)).astype(np.float16).astype(F)


def bf16(halfwords):
    return (np.asarray(halfwords, np.uint16).astype(np.uint32) << 16).view(F)
