# SPDX-License-Identifier: Apache-2.0
"""pack/SPEC.md: a second reader, written from the document alone (tests/numpy_twin/bundle.py and bundle_rules.py),
accepts what `moxie pack` writes, rule by rule, and refuses every byte that is changed."""
import base64
import hashlib
import pathlib
import random
import subprocess
import unittest

from numpy_twin import bundle, bundle_rules
from tool import ToolTest

REFERENCE = pathlib.Path(__file__).resolve().parent / "data" / "reference"


class Spec(ToolTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pem = next((cls.folder / "config/moxie/keys").glob("*.pub*")).read_text()
        body = "".join(line for line in pem.splitlines() if "-" not in line)
        cls.key = base64.b64decode(body)[-64:]  # SubjectPublicKeyInfo ends in 04 || X || Y

    def read(self, path):
        result = bundle.Bundle(path, self.key)
        bundle_rules.check(result)
        return result

    def test_every_rule_holds(self):
        for case, *options in (("moe-f32", "keep"), ("moe-norm-tied", "int4"), ("moe-dead-sharded", "int4", "--group", "128"),
                               ("moe-sparse-step", "keep"), ("qwen2", "int8", "--group", "64"), ("llama", "f16"),
                               ("moe-sparse-step", "int4", "--head-int4")):
            with self.subTest(f"{case} {options}"):
                path = self.folder / "other.moxie"
                self.must("pack", REFERENCE / case, "-o", path, "--weights", *options)
                self.read(path)
        read = self.read(self.bundle)
        tokenizer = read.segments[0]
        used = bytes(read.file[tokenizer.offset:tokenizer.offset + tokenizer.used])
        self.assertEqual(hashlib.sha256(used).digest(), read.tokenizer_sha256)

    def test_tar_lists_it(self):
        listed = subprocess.run(["tar", "tvf", self.bundle], capture_output=True, text=True, check=True)
        self.assertEqual(listed.stderr, "")
        lines = [line.split() for line in listed.stdout.splitlines()]
        read = bundle.Bundle(self.bundle)
        self.assertEqual([(name, int(size)) for _mode, _who, size, *_time, name in lines if not name.startswith("pad.")],
                         [(m.name, m.bytes) for m in read.members])

    def test_the_same_input_gives_the_same_bytes(self):
        again = self.folder / "again.moxie"
        self.must("pack", self.source, "-o", again, "--threads", "1")
        self.assertEqual(again.read_bytes(), self.bundle.read_bytes())

    def test_every_byte_is_signed_or_fixed(self):
        data = bytearray(self.bundle.read_bytes())
        read = bundle.Bundle(self.bundle, self.key)
        chosen = random.Random(1)
        # Headers and the blocks after them, the manifest's own fields, and bytes anywhere.
        places = [m.offset - 512 + chosen.randrange(512) for m in read.members for _ in range(4)]
        places += [512 + chosen.randrange(len(read.manifest)) for _ in range(60)]
        places += [chosen.randrange(len(data)) for _ in range(60)] + [len(data) - 1]
        for at in places:
            bit = 1 << chosen.randrange(8)
            data[at] ^= bit
            with self.assertRaises((bundle.BundleError, UnicodeDecodeError), msg=f"byte {at} ^ {bit}"):
                bundle.Bundle(bytes(data), self.key)
            data[at] ^= bit
        for cut in (0, 511, 600, len(data) - 512, len(data) - 1):
            with self.assertRaises(bundle.BundleError, msg=f"cut at {cut}"):
                bundle.Bundle(bytes(data[:cut]), self.key)
        bundle.Bundle(bytes(data), self.key)  # whole again
        with self.assertRaises(bundle.BundleError):
            bundle.Bundle(bytes(data) + bytes(512), self.key)
        with self.assertRaises(bundle.BundleError):
            bundle.Bundle(self.bundle, self.key[::-1])


if __name__ == "__main__":
    unittest.main()
