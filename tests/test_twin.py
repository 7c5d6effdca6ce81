# SPDX-License-Identifier: Apache-2.0
"""The NumPy twin: that its arithmetic is the document's, and the document's model that of transformers.
tests/test_logits.py compares it with the library."""
import ctypes
import ctypes.util
import pathlib
import unittest

import numpy as np

from numpy_twin import arith, checkpoint, forward, p256
from numpy_twin.arith import F

REFERENCE = pathlib.Path(__file__).resolve().parent / "data" / "reference"
CASES = ("moe-f32", "moe-norm-tied", "moe-sparse-step", "moe-dead-sharded", "qwen2", "llama", "mistral", "mixtral",
         "deepseek", "qwen3-moe", "olmoe")


def tokens_of(case, count):
    return np.loadtxt(REFERENCE / case / f"tokens-{count}.txt", dtype=np.int64)


class Arithmetic(unittest.TestCase):
    def test_fma_is_libm_fmaf(self):
        libm = ctypes.CDLL(ctypes.util.find_library("m"))
        libm.fmaf.restype, libm.fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
        rng = np.random.RandomState(1)
        n = 200_000
        sign = lambda: rng.choice(F([-1, 1]), n)
        power = lambda low, high: np.ldexp(F(1), rng.randint(low, high, n)).astype(F)
        unit = lambda: (1 + rng.randint(0, 2 ** 23, n) / 2 ** 23).astype(F)
        a, b = unit() * sign(), unit() * sign()
        cases = {}
        cases["near in size"] = a, b, unit() * power(-30, 30) * sign()
        cases["cancelling"] = a, b, np.nextafter(-(a * b), rng.choice(F([-4, 4]), n))
        # a*b a hair beside half of c's last bit: the float64 sum is a tie of float32, the true sum is not.
        close = np.round(rng.randint(1, 4096, n)) * 2.0 ** -23
        scale = power(-40, 40)
        cases["beside a tie"] = ((1 + close).astype(F) * scale, (1 - close).astype(F) * F(2.0 ** -24) * sign(),
                                 unit() * scale * sign())
        cases["tie"] = scale, np.full(n, F(2.0 ** -24)) * sign(), unit() * scale * sign()
        cases["subnormal"] = a * power(-80, -60), b * power(-80, -60), unit() * power(-149, -125) * sign()
        anything = lambda: rng.randint(0, 2 ** 32, n, dtype=np.uint64).astype(np.uint32).view(F)
        cases["any bits"] = anything(), anything(), anything()
        for name, (a, b, c) in cases.items():
            with np.errstate(invalid="ignore", over="ignore"):
                ours = arith.fma(a, b, c)
            theirs = np.array([libm.fmaf(*v) for v in zip(a.tolist(), b.tolist(), c.tolist())], F)
            same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
            self.assertTrue(same.all(), f"{name}: {np.flatnonzero(~same)[:3]} of {(~same).sum()}")
        # A plain float64 fma must fail here, or the cases are not hard.
        a, b, c = cases["beside a tie"]
        naive = (a.astype(np.float64) * b + c).astype(F)
        self.assertGreater((naive != arith.fma(a, b, c)).sum(), n // 50)

    def test_functions_against_double(self):
        """Errors in units of the last place (exp, recip, div, rsqrt) or absolute (sine, cosine)."""
        rng = np.random.RandomState(2)
        ulps = lambda got, want: np.max(np.abs(got - want) / np.spacing(np.abs(want).astype(F)))
        x = -rng.uniform(0, 27.7, 100_000).astype(F)
        self.assertLess(ulps(arith.exp(x), np.exp(x.astype(np.float64))), 2)
        b = np.ldexp(rng.uniform(1, 2, 100_000), rng.randint(-99, 99, 100_000)).astype(F)
        a = rng.uniform(-200, 200, 100_000).astype(F)
        self.assertLess(ulps(arith.recip(b), 1 / b.astype(np.float64)), 1.01)
        self.assertLess(ulps(arith.div(a, b), a / b.astype(np.float64)), 0.501)
        self.assertLess(ulps(arith.rsqrt(b), 1 / np.sqrt(b.astype(np.float64))), 2)
        angle = np.concatenate([rng.randint(0, 131072, 100_000), rng.uniform(0, 131072, 100_000)]).astype(F)
        for got, want in zip(arith.sincos(angle), (np.sin(angle.astype(np.float64)), np.cos(angle.astype(np.float64)))):
            self.assertLess(np.abs(got - want).max(), 2e-7)
        z = rng.uniform(-40, 40, 100_000).astype(F)
        self.assertLess(np.abs(arith.sigmoid(z) - 1 / (1 + np.exp(-z.astype(np.float64)))).max(), 2e-7)

    def test_integers_of_keys_and_values(self):
        """Against double: the scale is the smallest that reaches, the integers are the nearest; saturated as halves are."""
        rng = np.random.RandomState(7)
        x = np.ldexp(rng.standard_normal((3000, 3, 10)), rng.randint(-30, 20, (3000, 3, 1))).astype(F)
        x[0] = 0
        q, scale = forward.cached(x, "I8")
        steps = np.array([(1 + i % 8 / 8) * 2.0 ** (i // 8 - 23) for i in range(256)])
        most = np.abs(x.astype(np.float64)).max(-1)
        reaching = np.searchsorted(steps * 127 * (1 + 2.0 ** -23), most)
        self.assertTrue((scale == steps[np.minimum(reaching, 255)]).all())
        self.assertTrue((q[0] == 0).all() and (np.abs(q) <= 127).all() and (q == np.rint(q)).all())
        error = np.abs(x - q * scale[..., None].astype(np.float64)) / scale[..., None]
        self.assertLess(error[reaching < 256].max(), 0.5 + 1e-4)
        self.assertTrue((reaching == 256).any() and (reaching == 0).any())
        self.assertEqual(np.abs(q[reaching == 256]).max(), 127)

    def test_special_values(self):
        self.assertEqual(arith.exp(F(0)), 1)
        self.assertEqual(arith.exp(F(-np.inf)), 0)
        self.assertEqual(arith.exp(F(-28.01)), 0)
        self.assertEqual(arith.bits(arith.flush(F([-0.0, -1e-13, 1e-13]))).tolist(), [0, 0, 0])
        self.assertEqual(arith.flush(F(2.0 ** -40)), F(2.0 ** -40))
        self.assertEqual(arith.to_half(F([1e6, -1e6, 2.0 ** -24])).tolist(), [65504, -65504, 2.0 ** -24])

    def test_integer_matrix_is_its_dequantised_self(self):
        """The integer path on quantised activations is the real product, up to float32 rounding."""
        rng = np.random.RandomState(3)
        for width, group in ((80, 32), (272, 64), (600, 128)):
            groups = -(-width // group)
            q = rng.randint(0, 16, (24, width))
            scale, minimum = (rng.uniform(-1, 1, (24, groups)).astype(F) for _ in range(2))
            site = forward.Site(rng.standard_normal((5, width)).astype(F))
            matrix = forward.IntegerMatrix(q, scale, group, minimum)
            q_x, scale_x = site.quantised(group)
            each = np.arange(width) // group
            x = q_x * scale_x[:, each].astype(np.float64)
            self.assertLess(np.abs(x - site.x).max(), np.abs(site.x).max() / 127 * 0.51)
            w = q * scale[:, each].astype(np.float64) + minimum[:, each]
            self.assertLess(np.abs(matrix.linear(site) - x @ w.T).max(), 1e-5 * np.abs(x @ w.T).max())
            self.assertLess(np.abs(matrix.rows([3, 1]) - w[[3, 1]]).max(), 1e-5)

    def test_p256(self):
        """RFC 6979 A.2.5, P-256 with SHA-256, message "sample"."""
        key = bytes.fromhex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
                            "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299")
        digest = bytes.fromhex("AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF")
        rs = bytes.fromhex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
                           "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8")
        self.assertTrue(p256.verify(key, digest, rs))
        self.assertFalse(p256.verify(key, digest, rs[:-1] + b"\0"))
        self.assertFalse(p256.verify(key, digest[:-1] + b"\0", rs))


class Document(unittest.TestCase):
    def test_the_model_is_that_of_transformers(self):
        """Float weights as stored: ARITHMETIC.md's model against transformers' fp32 logits."""
        for case in CASES:
            model = checkpoint.load(REFERENCE / case)
            for count in (7, 150):
                golden = np.load(REFERENCE / case / f"logits-{count}.npy")
                ours = forward.logits(model, tokens_of(case, count))
                self.assertLess(np.abs(ours - golden).max(), 4e-5 * np.abs(golden).max(), f"{case}, {count} tokens")

    def test_later_tokens_change_nothing(self):
        model = checkpoint.load(REFERENCE / "moe-f32")
        tokens = tokens_of("moe-f32", 150)
        whole = forward.logits(model, tokens)
        self.assertTrue(np.array_equal(forward.logits(model, tokens[:70]), whole[:70]))


if __name__ == "__main__":
    unittest.main()
