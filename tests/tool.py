# SPDX-License-Identifier: Apache-2.0
"""What the tests of the tool share: a folder of their own with a key, a tiny model and its bundle, and `moxie`."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import tiny_chat

MOXIE = pathlib.Path(os.environ.get("MOXIE", "build/moxie")).resolve()


class ToolTest(unittest.TestCase):
    """One folder per class: self.folder, with the checkpoint in `tiny` and its bundle in `tiny.moxie`."""

    @classmethod
    def setUpClass(cls):
        if not MOXIE.exists():
            raise unittest.SkipTest("the tool is not built")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="moxie-tool-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.environment = os.environ | {"XDG_CONFIG_HOME": str(cls.folder / "config")}
        cls.source, cls.bundle = cls.folder / "tiny", cls.folder / "tiny.moxie"
        tiny_chat.write(cls.source)
        cls.must("keygen")
        cls.must("pack", cls.source, "-o", cls.bundle)

    @classmethod
    def moxie(cls, *args, stdin=None, binary=False, **environment):
        """CompletedProcess of `moxie args…`; stdin: text."""
        result = subprocess.run([MOXIE, *map(str, args)], capture_output=True, timeout=300,
                                input=stdin.encode() if isinstance(stdin, str) else stdin or b"",
                                env=cls.environment | environment, check=False)
        if not binary:
            result.stdout = result.stdout.decode()
        result.stderr = result.stderr.decode()
        return result

    @classmethod
    def must(cls, *args, **options):
        """Standard output of a command that succeeds."""
        result = cls.moxie(*args, **options)
        if result.returncode != 0:
            raise AssertionError(f"moxie {' '.join(map(str, args))}: status {result.returncode}\n{result.stderr}")
        return result.stdout

    def fails(self, status, words, *args, **options):
        """The command ends with this status and says these words; nothing new is left in self.folder."""
        before = {*self.folder.rglob("*")}
        result = self.moxie(*args, **options)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertTrue(result.stderr.startswith("moxie"), result.stderr)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, result.stderr)
        self.assertEqual({*self.folder.rglob("*")} - before, set(), "something was left behind")
        return result

    def changed(self, at, name="changed.moxie"):
        """A copy of the bundle with one bit flipped."""
        data = bytearray(self.bundle.read_bytes())
        data[at] ^= 1
        return self.file(name, data)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, (bytes, bytearray)) else data.encode())
        self.addCleanup(path.unlink, missing_ok=True)
        return path
