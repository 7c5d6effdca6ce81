#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GGUF models of every type of blocks, whole and in parts: what a bundle can hold exactly is exact, for the rest the
summary tells the error that is there."""
import json
import pathlib
import struct

import numpy as np

import checkpoint_files as files
from files_test import FilesTest, same_bits, values
from numpy_twin import bundle, checkpoint, gguf_file
from numpy_twin.arith import F, flush
from numpy_twin.forward import FloatMatrix, IntegerMatrix
from test_archives import tar

F16, F32 = 1, 2
U16, U32, I32 = 2, 4, 5
IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])


# Random blocks of a type: raw bytes (rows, blocks, block bytes) and what they mean. Scales make values of about 1/16.

def halfs(random, shape, size):
    return (size * (0.5 + random.rand(*shape)) * random.choice([-1, 1], shape)).astype("<f2")


def as_bytes(x):
    return np.ascontiguousarray(x).view(np.uint8).reshape(*x.shape[:-1], -1)


def low_high(nibbles):
    """16 bytes of 32 nibbles: element i low, 16 + i high."""
    return (nibbles[..., :16] | nibbles[..., 16:] << 4).astype(np.uint8)


def integers(codes, scale, minimum=None):
    flat = lambda x: x.reshape(len(x), -1)
    return IntegerMatrix(flat(codes), flat(scale).astype(F), 32, None if minimum is None else flat(minimum).astype(F))


def blocks_of_32(kind, random, rows, cols):
    shape = rows, cols // 32
    d, m = halfs(random, (*shape, 1), 0.01), halfs(random, (*shape, 1), 0.05)
    if kind == "IQ4_NL":
        d = (d / 16).astype("<f2")
    top = 32 if kind.startswith("Q5") else 16
    q = random.randint(0, top, (*shape, 32))
    bits = (q >> 4 << np.arange(32)).sum(-1, keepdims=True).astype("<u4")
    low = low_high(q & 15)
    if kind == "Q4_0":
        return [as_bytes(d), low], integers(q - 8, d)
    if kind == "Q5_0":
        return [as_bytes(d), as_bytes(bits), low], integers(q - 16, d)
    if kind == "Q5_1":
        return [as_bytes(d), as_bytes(m), as_bytes(bits), low], integers(q, d, m)
    return [as_bytes(d), low], integers(IQ4[q], d)


def k_blocks(kind, random, rows, cols):
    """Q4_K, Q5_K: eight scales and minimums of six bits in 12 bytes, times two halfs."""
    shape = rows, cols // 256
    d, least = halfs(random, (*shape, 1), 0.0004), halfs(random, (*shape, 1), 0.002)
    s, m = random.randint(0, 64, (2, *shape, 8))
    packed = np.zeros((*shape, 12), np.uint8)
    packed[..., :4] = s[..., :4] | s[..., 4:] >> 4 << 6
    packed[..., 4:8] = m[..., :4] | m[..., 4:] >> 4 << 6
    packed[..., 8:] = s[..., 4:] & 15 | (m[..., 4:] & 15) << 4
    q = random.randint(0, 32 if kind == "Q5_K" else 16, (*shape, 8, 32))
    pairs = (q & 15).reshape(*shape, 4, 2, 32)
    nibbles = (pairs[..., 0, :] | pairs[..., 1, :] << 4).astype(np.uint8).reshape(*shape, 128)
    high = (q >> 4 << np.arange(8)[:, None]).sum(-2).astype(np.uint8)
    raw = [as_bytes(d), as_bytes(least), packed] + ([high] if kind == "Q5_K" else []) + [nibbles]
    return raw, integers(q, d.astype(F) * s.astype(F), -(least.astype(F) * m.astype(F)))


def q6_k(random, rows, cols):
    shape = rows, cols // 256
    d, s = halfs(random, (*shape, 1), 0.00005), random.randint(-128, 128, (*shape, 16)).astype(np.int8)
    q = random.randint(0, 64, (*shape, 2, 4, 32))  # halves, quarters
    low, high = q & 15, q >> 4
    ql = np.stack([low[..., 0, :] | low[..., 2, :] << 4, low[..., 1, :] | low[..., 3, :] << 4], -2)
    qh = (high << 2 * np.arange(4)[:, None]).sum(-2)
    raw = [ql.astype(np.uint8).reshape(*shape, 128), qh.astype(np.uint8).reshape(*shape, 64), as_bytes(s), as_bytes(d)]
    scale = (d.astype(F) * s.astype(F)).repeat(16, -1)
    return raw, FloatMatrix(flush((scale * (q.reshape(*shape, 256) - 32).astype(F)).reshape(rows, -1)))


def random_blocks(kind, random, rows, cols):
    raw, matrix = (q6_k(random, rows, cols) if kind == "Q6_K" else k_blocks(kind, random, rows, cols)
                   if kind.endswith("_K") else blocks_of_32(kind, random, rows, cols))
    return np.concatenate(raw, -1).tobytes(), matrix


TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q5_0": 6, "Q5_1": 7, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "IQ4_NL": 20}


def model(config, kinds, seed=3):
    """([(GGUF name, dims, type, bytes)], held). kinds: {part of a GGUF name: type}; others are F32."""
    random = np.random.RandomState(seed)
    held, stored = {}, {}
    for name, value in files.random_weights(config).items():
        target, expert = gguf_file.gguf_name(name)
        kind = kinds.get(target.removesuffix(".weight").split(".")[-1], "F32")
        if value.ndim == 1 or kind == "F32":
            raw, held[name] = value.tobytes(), flush(value) if value.ndim == 1 else FloatMatrix(flush(value))
            kind = "F32"
        else:
            raw, held[name] = random_blocks(kind, random, *value.shape)
        entry = stored.setdefault(target, (value.shape, kind, {}))
        entry[2][expert] = raw
    tensors = []
    for target, (shape, kind, parts) in stored.items():
        shape = shape if None in parts else (len(parts), *shape)
        tensors.append((target, shape[::-1], kind, b"".join(parts[p] for p in sorted(parts, key=lambda p: p or 0))))
    return tensors, held


def gguf(keys, tensors):
    """keys: {name: value, or (type, integer)}."""
    infos, data = b"", b""
    for name, dims, kind, raw in tensors:
        infos += gguf_file.string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, TYPES[kind], len(data))
        data += raw + bytes(-len(raw) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, value in keys.items():
        head += gguf_file.string(name)
        head += (struct.pack("<IH" if value[0] == U16 else "<Ii", *value) if isinstance(value, tuple)
                 else gguf_file.value(value))
    head += infos
    return head + bytes(-len(head) % 32) + data


def parts_of(keys, tensors, cuts, **change):
    """The files of a split model, as gguf-split names and marks them."""
    bounds = [0, *cuts, len(tensors)]
    count = len(bounds) - 1
    result = {}
    for no, (start, end) in enumerate(zip(bounds, bounds[1:])):
        own = {"split.no": (U16, no), "split.count": (U16, count), "split.tensors.count": (I32, len(tensors))} | change
        result[f"model-{no + 1:05}-of-{count:05}.gguf"] = gguf((keys if no == 0 else {}) | own, tensors[start:end])
    return result


class Blocks(FilesTest):
    def config(self, **changes):
        return files.moe_config(hidden_size=256, num_attention_heads=2, num_experts=3, moe_intermediate_size=64,
                                shared_expert_intermediate_size=128, **changes)

    def written(self, config, tensors):
        return self.file("model.gguf", gguf(gguf_file.keys(config), tensors))

    def test_what_is_exact(self):
        """Q4_K with its minimums in float32, Q5_0 and IQ4_NL in 8 bits: the twin's bits from the file's own numbers."""
        config = self.config()
        kinds = dict(attn_q="Q4_K", attn_k="Q5_0", attn_v="IQ4_NL", attn_output="Q4_K", ffn_gate_exps="Q4_K",
                     ffn_up_exps="Q4_K", ffn_down_exps="IQ4_NL", ffn_gate_shexp="Q4_K", ffn_up_shexp="Q4_K",
                     ffn_down_shexp="Q5_0", token_embd="Q5_0", output="IQ4_NL")
        tensors, held = model(config, kinds)
        read = self.check(self.written(config, tensors), config, held)
        self.assertEqual(self.formats(read, bundle.GATE_UP, bundle.ATTN_OUT), {(bundle.I4M, 32, F32)})
        self.assertEqual(self.formats(read, bundle.DOWN, bundle.EMBEDDING, bundle.HEAD), {(bundle.I8, 32, F16)})
        self.assertEqual(self.formats(read, bundle.QKV), {(bundle.I4M, 32, F32), (bundle.I8, 32, F16)})
        for name, matrix in self.matrices(read).items():
            self.assertTrue(same_bits(matrix, values(held[name])), name)
        self.assertNotIn("0.0", self.output.stdout.split("relative error")[1].split("tokenizer")[0])

    def test_parts_inside_a_block(self):
        """A shared expert of Q4_K whose parts of 160 columns begin inside blocks of 256, beside routed ones of Q4_0: all
        become I4M with float32 scales, no value changes."""
        config = self.config() | dict(moe_intermediate_size=160, shared_expert_intermediate_size=512)
        tensors, held = model(config, dict(ffn_down_exps="Q4_0", ffn_down_shexp="Q4_K"))
        read = self.pack(self.written(config, tensors))
        self.assertEqual(self.formats(read, bundle.DOWN), {(bundle.I4M, 32, F32)})
        for name, matrix in self.matrices(read).items():
            if "down_proj" in name:
                stored = values(held[name])
                self.assertTrue(np.array_equal(matrix[:, :stored.shape[1]], stored), name)
                self.assertFalse(matrix[:, stored.shape[1]:].any(), name)  # the last part is narrower

    def test_what_is_rounded(self):
        """Q5_1, Q5_K and Q6_K go to 8 bits: the error in the summary is the one between file and bundle."""
        config = self.config()
        for kind, bound in ("Q5_1", 0.006), ("Q5_K", 0.006), ("Q6_K", 0.006):
            with self.subTest(kind):
                tensors, held = model(config, dict(ffn_gate_exps=kind, ffn_up_exps=kind, ffn_gate_shexp=kind,
                                                   ffn_up_shexp=kind))
                source = self.written(config, tensors)
                read = self.pack(source, "--json")
                report = {k["matrix"]: k for k in json.loads(self.output.stdout)["matrices"]}["gate_up"]
                self.assertEqual((report["type"], report["group"], report["rounded"]), ("I8", 32, True))
                pairs = [(m, values(held[n])) for n, m in self.matrices(read).items() if "gate_proj" in n or "up_proj" in n]
                error = sum(np.square(a.astype(float) - b).sum() for a, b in pairs)
                error = np.sqrt(error / sum(np.square(b.astype(float)).sum() for _a, b in pairs))
                self.assertAlmostEqual(report["relative_error"], error, delta=1e-6)
                self.assertTrue(0.0005 < error < bound, error)
                dry = json.loads(self.must("pack", source, "--dry-run", "--json", "--id", "test"))
                self.assertEqual([k["rounded"] for k in dry["matrices"] if k["matrix"] == "gate_up"], [True])
                self.assertEqual(dry["bytes"], self.packed.stat().st_size)
                self.check(source, config, {n: FloatMatrix(values(m)) if isinstance(m, IntegerMatrix) else m
                                            for n, m in held.items()}, "--weights", "f32")


class Names(FilesTest):
    def test_a_tensor_for_each_expert(self):
        """The first files of Mixtral: the same bundle as with stacked experts."""
        source = pathlib.Path(__file__).parent / "data/reference/mixtral"
        config = json.loads((source / "config.json").read_text())
        weights = {}
        for file in source.glob("*.safetensors"):
            weights |= checkpoint.read_safetensors(file)
        packed = []
        for stacked in True, False:
            gguf_file.write(self.folder / "mixtral.gguf", config, weights, {"ffn_down_exps": "BF16"}, stacked)
            self.pack(self.folder / "mixtral.gguf")
            packed.append(self.packed.read_bytes())
        self.assertEqual(*packed)
        data = (self.folder / "mixtral.gguf").read_bytes()
        wrong = self.file("wrong.gguf", data.replace(b"blk.0.ffn_up.4.weight", b"blk.0.ffn_up.3.weight"))
        self.refused(22, ['"model.layers.0.mlp.experts.3.up_proj.weight"', "appears twice"], wrong)
        wrong = self.file("wrong.gguf", data.replace(b"blk.0.ffn_up.4.weight", b"blk.0.ffn_up.04weight"))
        self.refused(25, ['"model.layers.0.mlp.experts.4.up_proj.weight"', "missing"], wrong)


class Parts(FilesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = files.moe_config(num_hidden_layers=1, num_experts=2, hidden_size=32, num_attention_heads=2,
                                      moe_intermediate_size=32, shared_expert_intermediate_size=32)
        cls.tensors, _held = model(cls.config, {"ffn_up_exps": "Q4_0", "ffn_gate_exps": "Q4_0"})
        cls.keys = gguf_file.keys(cls.config)
        (cls.folder / "whole.gguf").write_bytes(gguf(cls.keys, cls.tensors))
        cls.must("pack", cls.folder / "whole.gguf", "-o", cls.folder / "whole.moxie", "--id", "test")
        cls.expected = (cls.folder / "whole.moxie").read_bytes()

    def write(self, parts):
        folder = self.folder / "parts"
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*"):
            old.unlink()
        for name, data in parts.items():
            (folder / name).write_bytes(data)
        return folder

    def test_every_way_to_name_it(self):
        """Any part, the folder, or an archive; also without tensors in the first part."""
        for cuts in [5, 9], [0, 4], [7]:
            parts = parts_of(self.keys, self.tensors, cuts)
            folder = self.write(parts)
            archive = self.file("parts.tar", tar([("m/" + n, d) for n, d in parts.items()]))
            for source in *(folder / name for name in parts), folder, archive:
                self.pack(source)
                self.assertEqual(self.packed.read_bytes(), self.expected)

    def test_parts_that_lie(self):
        parts = parts_of(self.keys, self.tensors, [5, 9])
        first, second, third = parts
        cases = [(20, [second, "cannot open"], parts | {second: None}),
                 (22, "part 1 of 3; expected 2 of 3", parts | {second: parts[first]}),
                 (22, "part 3 of 3; expected 2 of 3", parts | {second: parts[third]}),
                 (22, "expected 1 of 3", parts_of(self.keys, self.tensors, [5, 9], **{"split.no": (U16, 1)})),
                 (22, "of 2; expected 1 of 3", parts_of(self.keys, self.tensors, [5, 9], **{"split.count": (U16, 2)})),
                 (22, "split.tensors.count is 3",
                  parts_of(self.keys, self.tensors, [5, 9], **{"split.tensors.count": (I32, 3)})),
                 (22, "not a number from 0", parts_of(self.keys, self.tensors, [5, 9], **{"split.no": (I32, -1)})),
                 (22, "not a number from 0", parts_of(self.keys, self.tensors, [5, 9], **{"split.count": "three"})),
                 (22, "appears twice", parts_of(self.keys, self.tensors + [self.tensors[0]], [5, 9])),
                 (22, "GGUF", parts | {third: b"hello"})]
        for status, words, change in cases:
            with self.subTest(words):
                folder = self.write({n: d for n, d in change.items() if d is not None})
                self.refused(status, words, folder / first)
        self.refused(25, "cannot be found", self.file("alone.gguf", parts[first]))
        many = self.file("model-00001-of-00999.gguf", parts[first])
        self.refused(24, "999 parts", many)

    def test_cut_part(self):
        parts = parts_of(self.keys, self.tensors, [5, 9])
        name = list(parts)[1]
        for size in [*range(4, 200, 11), len(parts[name]) - 33]:
            folder = self.write(parts | {name: parts[name][:size]})
            result = self.moxie("pack", folder, "-o", self.folder / "bad.moxie")
            self.assertIn(result.returncode, {21, 24}, result.stderr)  # 24: a count that a short file contradicts
            self.assertIn(name, result.stderr)
            self.assertFalse((self.folder / "bad.moxie").exists())

    def test_several_models_in_a_folder(self):
        folder = self.write({"a.gguf": b"GGUF", "b.gguf": b"GGUF"})
        self.refused(10, ["several GGUF files", "a.gguf", "b.gguf"], folder)


if __name__ == "__main__":
    import unittest
    unittest.main()
