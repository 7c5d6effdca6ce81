# SPDX-License-Identifier: Apache-2.0
"""The default model, SmolLM2-135M-Instruct packed with `keep`: the twin's bits on real weights, and how far they are
from transformers in fp32 on the same weights. Needs the file that `make chat` fetches."""
import hashlib
import os
import pathlib
import pwd
import sys
import unittest

import numpy as np

from tool import ToolTest

TESTS = pathlib.Path(__file__).resolve().parent
DATA = TESTS / "data" / "reference"
sys.path.insert(0, str(TESTS / "reference"))
import kl  # noqa: E402

# The tests run with a home of their own; the model is in the user's.
MODEL = pathlib.Path(os.environ.get("MOXIE_SMOLLM2") or pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)
                     / ".cache/moxie/SmolLM2-135M-Instruct.Q4_1.gguf")


@unittest.skipUnless(MODEL.exists(), f"no {MODEL}; make chat fetches it, MOXIE_SMOLLM2 names another place")
class SmolLM2(ToolTest):
    def test_bits_and_noise(self):
        packed, out, tokens = self.folder / "smollm2.moxie", self.folder / "out.npy", DATA / "text600-tokens.txt"
        self.must("pack", MODEL, "-o", packed, "--weights", "keep")
        self.must("logits", packed, "--tokens", tokens, "-o", out)
        logits = np.load(out)
        # From the GGUF by the NumPy twin alone: tests/reference/make_smollm2_bits.py.
        self.assertEqual(hashlib.sha256(logits.tobytes()).hexdigest(), (DATA / "text600-smollm2.sha256").read_text().strip())
        # The bound is about 83 % of the mean KL (see kl.py), so 0.008 asserts a mean KL of about 0.01 or less;
        # tests/reference/compare_kl.py gives the exact 0.00266, with these bits.
        bound, top1 = kl.compare_with_summary(np.load(DATA / "text600-smollm2-top64.npz"), logits)
        print(f"# mean KL to fp32 >= {bound:.5f}, top-1 agreement {top1:.4f}")
        self.assertLess(bound, 0.008)
        self.assertGreater(top1, 0.95)
        # The tool's own tokenizer on the text itself: greedily the same next token.
        text = (DATA / "text600.txt").read_text()
        shown = self.must("run", packed, "-p", text, "-n", "1", "--temperature", "0", "--ids")
        self.assertEqual(shown.split(), [str(logits[-1].argmax())])

    def test_int8_keys_and_values(self):
        packed, out, tokens = self.folder / "smollm2.moxie", self.folder / "out.npy", DATA / "text600-tokens.txt"
        self.must("pack", MODEL, "-o", packed, "--weights", "keep", "--kv", "int8")
        self.must("logits", packed, "--tokens", tokens, "-o", out)
        bound, top1 = kl.compare_with_summary(np.load(DATA / "text600-smollm2-top64.npz"), np.load(out))
        print(f"# mean KL to fp32 >= {bound:.5f}, top-1 agreement {top1:.4f}")
        self.assertLess(bound, 0.008)
        self.assertGreater(top1, 0.95)


if __name__ == "__main__":
    unittest.main()
