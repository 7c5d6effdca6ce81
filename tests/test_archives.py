#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints inside archives: the same bundle as from the folder, read in place where nothing is compressed; and
archives that lie are refused."""
import bz2
import gzip
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import zipfile

import checkpoint_files as files
from files_test import FilesTest

CONFIG = files.moe_config(num_hidden_layers=1, num_experts=2, hidden_size=32, num_attention_heads=2,
                          moe_intermediate_size=32, shared_expert_intermediate_size=32)


def tar(members, kind=tarfile.GNU_FORMAT):
    """members: (name, bytes), or (name, type, link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, *content in members:
            info = tarfile.TarInfo(name)
            if len(content) == 2:
                info.type, info.linkname = content
                archive.addfile(info)
            elif content[0] is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(content[0])
                archive.addfile(info, io.BytesIO(content[0]))
    return buffer.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


class Archives(FilesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.members = [(p.name, p.read_bytes()) for p in sorted(cls.source.iterdir())]  # tiny_chat, with its tokenizer
        cls.must("pack", cls.source, "-o", cls.folder / "expected.moxie", "--id", "test")
        cls.expected = (cls.folder / "expected.moxie").read_bytes()

    def inside(self, folder, members=None):
        return [(folder + name, *content) for name, *content in members or self.members]

    def same(self, name, data, unpacked):
        """`unpacked`: does some of it have to go through a temporary file?"""
        self.pack(self.file(name, data))
        self.assertEqual(self.packed.read_bytes(), self.expected)
        report = json.loads(self.must("pack", self.folder / name, "--dry-run", "--json"))
        self.assertEqual(report["unpacked"] > 0, unpacked, name)
        self.assertEqual(report["model"], name.split(".")[0])

    def no(self, status, words, data, name="bad.tar"):
        self.refused(status, words, self.file(name, data))

    def test_tar(self):
        """Every kind of header; in a folder, at the top, and with another file before it that has a very long name."""
        for kind in tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT:
            self.same("tiny.tar", tar(self.members, kind), False)
            self.same("tiny.tar", tar(self.inside("./models/tiny/"), kind), False)
            if kind != tarfile.USTAR_FORMAT:
                long = [("x" * 180, b"long"), ("empty", b""), ("tiny", None)]
                self.same("tiny.tar", tar(long + self.inside("tiny/"), kind), False)

    def test_compressed_tar(self):
        plain = tar(self.inside("tiny/") + [("tiny/tf_model.h5", bytes(100000))])
        for ending, compress in ("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress):
            self.same(f"tiny.tar.{ending}", compress(plain), True)
        if shutil.which("zstd"):
            done = subprocess.run(["zstd", "-q", "-c"], input=plain, capture_output=True, check=True)
            self.same("tiny.tar.zst", done.stdout, True)
        report = json.loads(self.must("pack", self.file("tiny.tar.gz", gzip.compress(plain)), "--dry-run", "--json"))
        self.assertEqual(report["unpacked"], sum(len(data) for _name, data in self.members))  # and nothing of the .h5

    def test_nothing_is_left_of_what_was_unpacked(self):
        source = self.file("tiny.tar.gz", gzip.compress(tar(self.members)))
        for temporary in "temporary", "nowhere":
            place = self.folder / temporary
            if temporary == "temporary":
                place.mkdir()
            output = self.folder / "packed.moxie"
            self.must("pack", source, "-o", output, "--id", "test", TMPDIR=str(place))
            self.assertEqual(output.read_bytes(), self.expected)
            self.assertFalse(place.exists() and any(place.iterdir()))

    def test_zip(self):
        self.same("tiny.zip", zipped(self.members), False)
        self.same("tiny.zip", zipped(self.inside("a/b/")), False)
        self.same("tiny.zip", zipped(self.members, zipfile.ZIP_DEFLATED), True)

    def test_bin_in_a_tar_and_in_a_zip(self):
        """An archive in an archive."""
        weights = {n: t.astype("<f2") for n, t in files.random_weights(CONFIG).items()}
        members = [("config.json", json.dumps(CONFIG).encode()), ("pytorch_model.bin", files.torch_bin(weights))]
        folder = files.write_folder(self.folder / "plain", CONFIG, weights)
        self.pack(folder)
        expected = self.packed.read_bytes()
        for name, data in ("x.tar", tar(members)), ("x.zip", zipped(members)), ("x.tgz", gzip.compress(tar(members))):
            self.pack(self.file(name, data))
            self.assertEqual(self.packed.read_bytes(), expected)

    def test_links(self):
        others = [m for m in self.members if m[0] != "model.safetensors"]
        weights = dict(self.members)["model.safetensors"]
        for kind in tarfile.SYMTYPE, tarfile.LNKTYPE:
            link = ("model.safetensors", kind, "/etc/passwd")
            self.no(22, ["model.safetensors", "link"], tar(others + [("elsewhere", weights), link]))
        self.same("tiny.tar", tar(self.members + [("README", tarfile.SYMTYPE, "../../x")]), False)
        self.no(20, "neither model.safetensors", tar(others + [("model.safetensors", tarfile.FIFOTYPE, "")]))

    def test_names_that_lead_elsewhere(self):
        self.no(22, ["bad.tar", "leads elsewhere"], tar([("a\\b", b"{}")] + self.members))
        for name in "../config.json", "/config.json", "a/../../config.json", "..":
            for data in tar([(name, b"{}")] + self.members), zipped(self.members + [(name, b"{}")]):
                self.no(22, ["bad.tar", "leads elsewhere"], data)
        self.no(22, ['"config.json"', "appears twice"], tar(self.members + [("./config.json", b"{}")]))

    def test_which_checkpoint(self):
        two = self.inside("a/") + self.inside("b/")
        self.no(22, ["two checkpoints", "a/config.json", "b/config.json"], tar(two))
        self.same("tiny.tar", tar(self.inside("original/") + self.members), False)
        self.no(20, "without config.json", tar([("README", b"nothing")]))
        self.no(20, "neither model.safetensors", tar([m for m in self.members if "safetensors" not in m[0]]))

    def test_what_is_no_archive(self):
        for data in b"hello" * 1000, b"\x7fELF" + bytes(2000), b"{}" * 300:
            self.no(22, "nor a GGUF file", data)
        self.assertIn(self.moxie("pack", self.file("empty", b""), "-o", "x").returncode, {20, 21, 22})

    def test_cut_anywhere(self):
        plain = tar(self.members)
        for data, step in ((plain, 4096), (gzip.compress(plain), 6000), (zipped(self.members), 6000)):
            for size in [*range(1, 520, 37), *range(600, len(data) - 2000, step * 3)]:
                source = self.file("cut.tar", data[:size])
                result = self.moxie("pack", source, "-o", self.folder / "cut.moxie")
                self.assertIn(result.returncode, {20, 21, 22, 24, 25}, result.stderr)
                self.assertIn("cut.tar", result.stderr)
                self.assertFalse((self.folder / "cut.moxie").exists())

    def test_every_header_byte_changed(self):
        """A tar header with any byte changed: the same bundle, or an error with a name."""
        plain = bytearray(tar(self.members))
        for at in [*range(0, 512, 19), *range(124, 160, 3)]:
            data = bytearray(plain)
            data[at] ^= 0x15
            result = self.moxie("pack", self.file("odd.tar", data), "-o", self.folder / "odd.moxie")
            if result.returncode == 0:
                (self.folder / "odd.moxie").unlink()
            else:
                self.assertIn(result.returncode, {20, 21, 22, 24, 25, 26}, result.stderr)
                self.assertIn("odd.tar", result.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
