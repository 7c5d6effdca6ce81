#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's .bin files: the same bundle as from safetensors; and everything that is not a dictionary of tensors refused."""
import collections
import json
import pathlib
import pickle
import zipfile

import numpy as np

import checkpoint_files as files
from files_test import FilesTest
from numpy_twin import bundle

GOLDEN = pathlib.Path(__file__).resolve().parent / "data" / "importer" / "torch"
CONFIG = files.moe_config(num_hidden_layers=1, num_experts=3, hidden_size=32, num_attention_heads=2,
                          moe_intermediate_size=32, shared_expert_intermediate_size=32)
WEIGHTS = {n: t.astype("<f2") for n, t in files.random_weights(CONFIG).items()}


class TorchBin(FilesTest):
    def write(self, data, name="pytorch_model.bin"):
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        (folder / name).write_bytes(data)
        return folder

    def tearDown(self):
        for path in (self.folder / "bin").glob("*"):
            path.unlink()

    def same(self, source, tensors=None):
        """The bundle that the same numbers give as safetensors."""
        plain = files.write_folder(self.folder / "plain", CONFIG, tensors or WEIGHTS)
        expected = self.folder / "plain.moxie"
        self.must("pack", plain, "-o", expected, "--id", "test")
        self.pack(source)
        self.assertEqual(self.packed.read_bytes(), expected.read_bytes())

    def no(self, status, words, data):
        self.refused(status, words, self.write(data))

    def test_written_by_torch(self):
        """A file that torch.save of a real state dictionary wrote (tests/reference/make_torch_bin.py)."""
        tensors = np.load(GOLDEN / "tensors.npz")
        for name in "pytorch_model.bin", "parameters.bin":
            source = self.write((GOLDEN / name).read_bytes())
            self.same(source, {n.replace("/", "."): tensors[n] for n in tensors.files})

    def test_every_form(self):
        parameter = {n: files.Tensor(t, parameter=True) for n, t in WEIGHTS.items()}
        name = "model.layers.0.self_attn.q_proj.weight"
        shared = np.concatenate([np.zeros(5, "<f2"), WEIGHTS[name].ravel(), np.ones(3, "<f2")])
        part = WEIGHTS | {name: files.Tensor(WEIGHTS[name], shared, 5)}
        gate = "model.layers.0.mlp.shared_expert_gate.weight"
        one_row = WEIGHTS | {gate: files.Tensor(WEIGHTS[gate], strides=(7, 1))}  # a stride that nobody uses
        for data in (files.torch_bin(WEIGHTS), files.torch_bin(WEIGHTS, wrap=collections.OrderedDict),
                     files.torch_bin(WEIGHTS, byteorder=None), files.torch_bin(WEIGHTS, root="pytorch_model-00001"),
                     files.torch_bin(parameter), files.torch_bin(part), files.torch_bin(one_row)):
            self.same(self.write(data))

    def test_metadata_of_modules(self):
        class State(collections.OrderedDict):
            def __reduce__(self):
                return (collections.OrderedDict, (), {"_metadata": collections.OrderedDict([("", {"version": 1})])},
                        None, iter(self.items()))
        self.same(self.write(files.torch_bin(WEIGHTS, wrap=State)))

    def test_types(self):
        for kind in "<f4", "<u2":
            tensors = {n: t.astype("<f4") if kind == "<f4" else
                       (t.astype("<f4").view(np.uint32) >> 16).astype("<u2") for n, t in WEIGHTS.items()}
            self.same(self.write(files.torch_bin(tensors)), tensors)
        self.no(25, ["model.norm.weight", "F64"],
                files.torch_bin(WEIGHTS | {"model.norm.weight": np.ones(32, "<f8")}))

    def test_gptq_in_a_bin(self):
        tensors, _held = files.int4_checkpoint(CONFIG, 32, False)
        config = CONFIG | {"quantization_config": files.gptq_settings(32, False)}
        source = self.write(files.torch_bin(tensors))
        (source / "config.json").write_text(json.dumps(config))
        plain = files.write_folder(self.folder / "plain", config, tensors)
        self.must("pack", plain, "-o", self.folder / "plain.moxie", "--id", "test")
        self.pack(source)
        self.assertEqual(self.packed.read_bytes(), (self.folder / "plain.moxie").read_bytes())

    def test_shards(self):
        names = sorted(WEIGHTS)
        parts = {"pytorch_model-00001-of-00002.bin": names[:9], "pytorch_model-00002-of-00002.bin": names[9:]}
        index = {"metadata": {"total_size": 1}, "weight_map": {n: f for f, part in parts.items() for n in part}}
        for file, part in parts.items():
            source = self.write(files.torch_bin({n: WEIGHTS[n] for n in part}), file)
        write = lambda **change: (source / "pytorch_model.bin.index.json").write_text(
            json.dumps(index | {"weight_map": index["weight_map"] | change}))
        write()
        self.same(source)
        for file, status, words in [("pytorch_model-00001-of-00002.bin", 22, "is not in"), ("../x.bin", 22, ".bin file"),
                                    ("/etc/passwd", 22, ".bin file"), ("model.safetensors", 22, ".bin file"),
                                    ("missing.bin", 20, "missing.bin")]:
            write(**{names[-1]: file})
            self.refused(status, words, source)

    def test_safetensors_come_first(self):
        source = files.write_folder(self.folder / "bin", CONFIG, WEIGHTS)
        (source / "pytorch_model.bin").write_bytes(b"nothing")
        self.pack(source)

    def test_pickles_that_would_run_something(self):
        """Names and instructions outside the list: refused by name, and nothing happens."""
        target = self.folder / "pwned"

        class Evil:
            def __reduce__(self):
                return (eval, (f"open({str(target)!r}, 'w')",))
        evil = lambda value: pickle.dumps(value, 2)
        for words, text in [
                ("builtin", evil({"a": Evil()})), ("builtin", evil(Evil())),
                ("os system", b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R."),
                ("posix", b"\x80\x02}(X\x01\0\0\0acposix\nsystem\nu."),
                ("torch._utils _rebuild_tensor", b"\x80\x02ctorch._utils\n_rebuild_tensor\n."),
                ("torch.load load", b"\x80\x02ctorch.load\nload\n."),
                ("none of a tensor", b"\x80\x02ccollections\nOrderedDict\0\nx."),
                ("instruction 0x69", b"\x80\x02(X\x02\0\0\0idios\nsystem\n."),  # INST
                ("instruction 0x6f", b"\x80\x02(o."), ("instruction 0x81", b"\x80\x02)\x81."),
                ("instruction 0x93", b"\x80\x02\x93."), ("instruction 0x5d", b"\x80\x02]."),
                ("instruction 0x50", b"\x80\x02Pabc\n."), ("instruction 0x82", b"\x80\x02\x82\x01."),
                ("protocol 2", pickle.dumps({"a": 1}, 3)), ("protocol 2", pickle.dumps({"a": 1}, 4))]:
            with self.subTest(text):
                self.no(22, ["data.pkl", words], files.torch_bin({}, pickled=text))
        self.assertFalse(target.exists())

    def test_pickles_that_lie(self):
        tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nHalfStorage\nX\x01\0\0\x000"
                  b"X\x03\0\0\0cpuK\x04tQ%sK\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
        entry = lambda value: b"\x80\x02}X\x01\0\0\0a" + value + b"s."
        plain = tensor % b"K\0"
        for words, text in [
                ("ends inside", b""), ("ends inside", b"\x80"), ("lacks a value", b"\x80\x02R."),
                ("lacks a mark", b"\x80\x02t."), ("lacks a mark", b"\x80\x02}u."), ("lacks a value", b"\x80\x02(R."),
                ("expected one dictionary", b"\x80\x02."), ("expected one dictionary", b"\x80\x02N."),
                ("expected one dictionary", b"\x80\x02}}."), ("bytes after", b"\x80\x02}.}"),
                ("a key that is not a text", b"\x80\x02}K\x01K\x02s."), ("keys without values", b"\x80\x02}(K\x01u."),
                ("what is no dictionary", b"\x80\x02)(X\x01\0\0\0aNu."), ("not remembered", b"\x80\x02h\0."),
                ("not the next", b"\x80\x02}q\x01."), ("not the next", b"\x80\x02}r\xff\xff\xff\xff."),
                ("no function", b"\x80\x02ctorch\nHalfStorage\n)R."), ("expected a name", b"\x80\x02N)R."),
                ("OrderedDict with arguments", b"\x80\x02ccollections\nOrderedDict\nN\x85R."),
                ("not a storage", b"\x80\x02)Q."), ("expected a tuple", b"\x80\x02NQ."),
                ('"a" is an integer', entry(b"K\x01")), ('"a" is a dictionary', entry(b"}")),
                ("a text of 255 bytes", b"\x80\x02X\xff\0\0\0a"), ("1 to 255 bytes", b"\x80\x02}X\0\0\0\0" + plain + b"s."),
                ("1 to 255 bytes", b"\x80\x02}X\x03\0\0\0a\0b" + plain + b"s."),
                ("1 to 255 bytes", b"\x80\x02}X\0\x01\0\0" + 256 * b"n" + plain + b"s."),
                ("made of storage", entry(tensor % b"N")), ("made of storage", entry(tensor % b"J\xff\xff\xff\xff")),
                ("elements from element 1 of", entry(tensor % b"K\x01")),
                ("elements from element 9223372036854775807",
                 entry(tensor % (b"\x8a\x08" + 7 * b"\xff" + b"\x7f"))),
                ("more than 8 bytes", b"\x80\x02\x8a\x09" + 9 * b"\0" + b".")]:
            with self.subTest(text):
                self.no(21 if "ends inside" in words or "a text of" in words else 24 if "elements from" in words else 22,
                        ["pytorch_model.bin", words], files.torch_bin({}, pickled=text, storages={"0": bytes(8)}))

    def test_tensors_that_lie(self):
        name = "model.layers.0.self_attn.q_proj.weight"
        put = lambda **change: files.torch_bin(WEIGHTS | {name: files.Tensor(WEIGHTS[name], **change)})
        key = str(list(WEIGHTS).index(name))
        self.no(25, [name, "row after row"], put(strides=(1, 32)))
        self.no(24, [name, "elements from element 1"], put(offset=1))
        self.no(21, [name, "2048 bytes, not 1025 x 2"], put(elements=1025))
        self.no(22, f'has no member "archive/data/{key}"', files.torch_bin(WEIGHTS, storages={key: None}))
        self.no(21, [name, "2047 bytes"], files.torch_bin(WEIGHTS, storages={key: bytes(2047)}))

    def test_archives_that_lie(self):
        self.no(22, "compressed", files.torch_bin(WEIGHTS, compression=zipfile.ZIP_DEFLATED))
        self.no(22, "byte order", files.torch_bin(WEIGHTS, byteorder=b"big"))
        self.no(22, "before 1.6", pickle.dumps({"a": 1}))
        self.no(21, "pytorch_model.bin", b"")
        path = self.folder / "odd.zip"
        for words, members in [("no member data.pkl", ["x/other"]), ("two members data.pkl", ["a/data.pkl", "b/data.pkl"]),
                               ("leads elsewhere", ["../data.pkl"]), ("leads elsewhere", ["/data.pkl"]),
                               ("leads elsewhere", ["a/../../data.pkl"])]:
            with zipfile.ZipFile(path, "w") as archive:
                for member in members:
                    archive.writestr(member, b"\x80\x02}.")
            self.no(22, words, path.read_bytes())
        path.unlink()

    def test_cut_anywhere(self):
        """Cut at every byte of its first kilobyte and of its directory, the file is refused; libarchive reads a zip without
        its directory too, so what is lost may be data that the model needs."""
        whole = files.torch_bin(WEIGHTS)
        for size in [*range(0, 300, 7), 2000, *range(len(whole) - 2600, len(whole), 97)]:
            result = self.moxie("pack", self.write(whole[:size]), "-o", self.folder / "cut.moxie")
            if result.returncode == 0:  # only the directory was cut
                bundle.Bundle(self.folder / "cut.moxie")
                (self.folder / "cut.moxie").unlink()
                continue
            self.assertIn(result.returncode, {20, 21, 22, 24}, result.stderr)
            self.assertFalse((self.folder / "cut.moxie").exists())

    def test_every_byte_of_the_pickle_changed(self):
        """Whatever a byte says: an error with a name, or the tensors of a model."""
        small = {n: t for n, t in WEIGHTS.items() if "norm" in n}
        whole = files.torch_bin(small)
        start = whole.index(b"\x80\x02")
        random = np.random.RandomState(1)
        for at in range(start, start + 420, 3):
            data = bytearray(whole)
            data[at] = random.randint(256)
            result = self.moxie("pack", self.write(data), "-o", self.folder / "bad.moxie")
            self.assertIn(result.returncode, {20, 21, 22, 24, 25}, result.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
