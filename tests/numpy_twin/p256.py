# SPDX-License-Identifier: Apache-2.0
"""ECDSA over NIST P-256 with a 32-byte digest: verification only, straight from FIPS 186-4 and SEC 1. Slow and public."""

P = 2 ** 256 - 2 ** 224 + 2 ** 192 + 2 ** 96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def _add(p, q):
    """Sum of two points; None is the point at infinity."""
    if p is None or q is None:
        return q if p is None else p
    (x1, y1), (x2, y2) = p, q
    if x1 == x2:
        if (y1 + y2) % P == 0:
            return None
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def _multiply(k, p):
    result = None
    while k:
        if k & 1:
            result = _add(result, p)
        p, k = _add(p, p), k >> 1
    return result


def verify(xy, digest, rs):
    """Whether r || s (64 bytes, big-endian) signs the digest for the key X || Y (64 bytes, big-endian)."""
    number = lambda b: int.from_bytes(b, "big")
    x, y, r, s = number(xy[:32]), number(xy[32:]), number(rs[:32]), number(rs[32:])
    if not (x < P and y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0 and 0 < r < N and 0 < s < N):
        return False
    w = pow(s, -1, N)
    point = _add(_multiply(number(digest) * w % N, G), _multiply(r * w % N, (x, y)))
    return point is not None and point[0] % N == r
