#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Int4 checkpoints of GPTQ and AWQ: the bundle holds the file's own integers and scales, its logits are those of the
NumPy twin on these numbers, and files that lie are refused."""
import json

import numpy as np

import checkpoint_files as files
from files_test import FilesTest, values
from numpy_twin import bundle
from numpy_twin.forward import FloatMatrix

MATRICES = bundle.QKV, bundle.ATTN_OUT, bundle.GATE_UP, bundle.DOWN
F16 = 1


class Int4Test(FilesTest):
    CONFIG = files.moe_config()

    def write(self, settings, tensors, config=None, **more):
        config = dict(config or self.CONFIG)
        if settings:
            config["quantization_config"] = settings
        return files.write_folder(self.folder / "int4", config, tensors, **more)

    def same_values(self, read, held):
        """Every number of every matrix, bit for bit."""
        for name, matrix in self.matrices(read).items():
            self.assertTrue(np.array_equal(matrix, values(held[name])), name)

    def tearDown(self):
        for path in (self.folder / "int4").glob("*"):
            path.unlink()


class Gptq(Int4Test):
    def test_as_qwen_publishes_it(self):
        """Version 1, symmetric, groups of 128; a bias beside every matrix, zero but for q, k and v."""
        tensors, held = files.int4_checkpoint(self.CONFIG, 128, True)
        self.assertTrue((tensors["model.layers.0.mlp.experts.0.up_proj.qzeros"].view(np.uint32) == 0x77777777).all())
        read = self.check(self.write(files.gptq_settings(128, True), tensors), self.CONFIG, held)
        self.same_values(read, held)
        self.assertEqual(self.formats(read, *MATRICES), {(bundle.I4, 128, F16)})
        self.assertEqual(self.formats(read, bundle.EMBEDDING, bundle.HEAD), {(bundle.F16, 0, 0)})
        self.assertIn("exact", self.output.stdout)
        self.assertEqual(self.output.stderr, "")

    def test_every_group_size(self):
        for group in 0, 32, 64, 128:
            for sym in True, False:
                with self.subTest(group=group, sym=sym):
                    tensors, held = files.int4_checkpoint(self.CONFIG, group, sym)
                    source = self.write(files.gptq_settings(group, sym), tensors)
                    read = self.check(source, self.CONFIG, held)
                    self.same_values(read, held)
                    self.assertEqual(self.formats(read, *MATRICES),
                                     {(bundle.I4 if sym else bundle.I4Z, group or 128, F16)})

    def test_version_2(self):
        for sym in True, False:
            tensors, held = files.int4_checkpoint(self.CONFIG, 64, sym, v2=True)
            settings = files.gptq_settings(64, sym, checkpoint_format="gptq_v2")
            self.same_values(self.check(self.write(settings, tensors), self.CONFIG, held), held)

    def test_shared_expert_in_parts_that_split_a_group(self):
        """Parts of 96 columns: the third one begins inside a group of 128, so the groups become 32."""
        config = files.moe_config(moe_intermediate_size=96, shared_expert_intermediate_size=288)
        tensors, held = files.int4_checkpoint(config, 128, False)
        source = self.write(files.gptq_settings(128, False), tensors, config)
        for name in held:
            if name.endswith("down_proj.weight"):
                held[name] = files.regroup(held[name], 32)
        read = self.check(source, config, held)
        self.assertEqual(self.formats(read, bundle.DOWN), {(bundle.I4Z, 32, F16)})
        self.assertEqual(self.formats(read, bundle.GATE_UP, bundle.QKV), {(bundle.I4Z, 128, F16)})

    def test_modules_left_alone(self):
        """v in F16 beside q and k in Int4; one layer whose experts were not quantised."""
        left = lambda name: "layers.0" in name and ("v_proj" in name or ".mlp." in name)
        tensors, held = files.int4_checkpoint(self.CONFIG, 128, False, left=left)
        read = self.check(self.write(files.gptq_settings(128, False), tensors), self.CONFIG, held)
        self.same_values(read, held)
        self.assertEqual(self.formats(read, bundle.GATE_UP), {(bundle.I4Z, 128, F16), (bundle.F16, 0, 0)})

    def test_expert_without_zero_points_among_others(self):
        """One expert symmetric, the others not: all get zero-points, its own are 8."""
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False)
        even, even_held = files.int4_checkpoint(self.CONFIG, 64, True)
        part = "layers.1.mlp.experts.2."
        tensors |= {n: t for n, t in even.items() if part in n}
        held |= {n: t for n, t in even_held.items() if part in n}
        read = self.check(self.write(files.gptq_settings(64, False), tensors), self.CONFIG, held)
        self.assertEqual(self.formats(read, bundle.GATE_UP), {(bundle.I4Z, 64, F16)})

    def test_sym_that_is_not_is_a_warning(self):
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False, zeros=(1, 16))
        self.same_values(self.check(self.write(files.gptq_settings(64, True), tensors), self.CONFIG, held), held)
        self.assertIn("zero-points other than 8", self.output.stderr)

    def test_zero_point_0_of_version_1(self):
        """Stored as 15: taken as (15 + 1) & 15 with a warning, refused where the file claims to be symmetric."""
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False, zeros=(0, 2))
        self.same_values(self.pack(self.write(files.gptq_settings(64, False), tensors)), held)
        self.assertIn("store a zero-point as 15", self.output.stderr)
        self.refused(25, ['qzeros"', "15"], self.write(files.gptq_settings(64, True), tensors))

    def test_g_idx(self):
        """Absent, or all zero: columns in order. Scattered in runs of 32: smaller groups, exact."""
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, True)
        for change in (lambda t: None, np.zeros_like):
            changed = {n: change(t) if n.endswith("g_idx") else t for n, t in tensors.items()}
            changed = {n: t for n, t in changed.items() if t is not None}
            source = self.write(files.gptq_settings(64, True, desc_act=True), changed)
            self.same_values(self.pack(source), held)
        runs = lambda groups, random: np.roll(groups, 32)
        config = files.moe_config(hidden_size=192, num_attention_heads=6)
        tensors, held = files.int4_checkpoint(config, 64, True, shuffle=runs)
        read = self.pack(self.write(files.gptq_settings(64, True, desc_act=True), tensors, config))
        self.same_values(read, held)
        self.assertEqual(self.formats(read, *MATRICES), {(bundle.I4, 32, F16)})

    def test_act_order(self):
        """Groups scattered over the columns: the values are kept in float32, rounded where that is asked for, and refused
        as Int4."""
        scatter = lambda groups, random: random.permutation(groups)
        for sym in True, False:
            tensors, held = files.int4_checkpoint(self.CONFIG, 32, sym, shuffle=scatter)
            source = self.write(files.gptq_settings(32, sym, desc_act=True), tensors)
            self.refused(25, ["_proj.weight", "act-order", "keep"], source, "--weights", "int4")
            floats = {n: FloatMatrix(values(m)) if not isinstance(m, np.ndarray) else m for n, m in held.items()}
            for weights in "keep", "f32":
                read = (self.pack(source) if weights == "keep" else
                        self.check(source, self.CONFIG, floats, "--weights", weights))
                self.same_values(read, held)
                self.assertEqual(self.formats(read, *MATRICES), {(bundle.F32, 0, 0)})
                self.assertEqual("act-order" in self.output.stderr, weights == "keep")
            report = json.loads(self.moxie("pack", source, "-o", self.folder / "packed.moxie", "--weights", "int8",
                                           "--json").stdout)
            errors = {k["matrix"]: k["relative_error"] for k in report["matrices"]}
            self.assertTrue(0.001 < errors["gate_up"] < 0.01, errors)
        # beside matrices in order, which stay Int4: the groups of layer 0 only are scattered
        tensors, held = files.int4_checkpoint(self.CONFIG, 32, True, shuffle=scatter)
        plain, plain_held = files.int4_checkpoint(self.CONFIG, 32, True)
        tensors |= {n: t for n, t in plain.items() if "layers.1." in n}
        held |= {n: m for n, m in plain_held.items() if "layers.1." in n}
        read = self.pack(self.write(files.gptq_settings(32, True, desc_act=True), tensors))
        self.same_values(read, held)
        self.assertEqual(self.formats(read, *MATRICES), {(bundle.F32, 0, 0), (bundle.I4, 32, F16)})

    def test_every_detail_matters(self):
        """A file with one detail the other way round gives other numbers than the right one: no mistake would hide."""
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False, zeros=(2, 15))
        settings = files.gptq_settings(64, False)
        wrong, _held = files.int4_checkpoint(self.CONFIG, 64, False, zeros=(2, 15), add=0)  # zero-points not less 1
        swap = lambda t: ((t.view(np.uint32) >> 4 & 0x0F0F0F0F) | (t.view(np.uint32) & 0x0F0F0F0F) << 4).view(np.int32)
        nibbles = {n: swap(t) if n.endswith("qweight") else t for n, t in tensors.items()}
        exchanged = tensors | {n.replace("gate_proj", "up_proj"): t for n, t in tensors.items() if "gate_proj" in n}
        for change, config in (wrong, settings), (nibbles, settings), (exchanged, settings), \
                (tensors, settings | {"checkpoint_format": "gptq_v2"}):
            packed = self.matrices(self.pack(self.write(config, change)))
            self.assertTrue(any(not np.array_equal(m, values(held[n])) for n, m in packed.items()))
        self.same_values(self.pack(self.write(settings, tensors)), held)

    def test_settings_in_files_of_their_own(self):
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, True)
        settings = files.gptq_settings(64, True)
        own = {k: v for k, v in settings.items() if k != "quant_method"}  # as AutoGPTQ writes it
        for name in "quantize_config", "quant_config":
            self.same_values(self.pack(self.write(None, tensors, **{name: own})), held)
            self.same_values(self.pack(self.write(settings, tensors, **{name: own})), held)
            for change in ({"bits": 8}, {"group_size": 32}, {"sym": False}, {"checkpoint_format": "gptq_v2"}):
                self.refused(25, name, self.write(settings, tensors, **{name: own | change}))
            (self.folder / "int4" / f"{name}.json").unlink()
        self.refused(25, ["qweight", "no quantization_config"], self.write(None, tensors))

    def test_settings_that_are_refused(self):
        tensors, _held = files.int4_checkpoint(self.CONFIG, 64, True)
        for words, change in [("bits", {"bits": 3}), ("bits", {"bits": "4"}), ("group_size", {"group_size": 48}),
                              ("group_size", {"group_size": 0}), ("group_size", {"group_size": -2}),
                              ("group_size", {"group_size": None}), ("sym", {"sym": 1}),
                              ("checkpoint_format", {"checkpoint_format": "marlin"}), ("marlin", {"format": "marlin"}),
                              ("is_marlin_format", {"is_marlin_format": True}), ("dynamic", {"dynamic": {"-:x": {}}}),
                              ("quant_method", {"quant_method": "bitsandbytes"}), ("quant_method", {"quant_method": 4}),
                              ("quant_method", {"quant_method": None})]:
            with self.subTest(change):
                self.refused(25, ["config.json", words], self.write(files.gptq_settings(64, True) | change, tensors))
        self.refused(25, "quantization_config", self.write([4], tensors))
        floats = {n: t.astype("<f2") for n, t in files.random_weights(self.CONFIG).items()}
        self.refused(25, "no tensor is", self.write(files.gptq_settings(64, True), floats))

    def test_tensors_that_lie(self):
        tensors, _held = files.int4_checkpoint(self.CONFIG, 64, True)
        base = "model.layers.1.mlp.experts.3.down_proj."
        g_idx = tensors[base + "g_idx"]
        edit = lambda at, value: np.concatenate([g_idx[:at], [value], g_idx[at + 1:]]).astype("<i4")
        for words, name, value in [
                ("is missing", "qzeros", None), ("is missing", "scales", None),
                ("expected I32 of 2 x 20", "qzeros", np.zeros((1, 20), "<i4")),
                ("expected F16 of 2 x 160", "scales", tensors[base + "scales"].T),
                ("expected F16", "scales", tensors[base + "scales"].astype("<f4")),
                ("type I32", "qweight", tensors[base + "qweight"].astype("<i8")),
                ("multiple of 32 columns", "qweight", np.zeros((15, 160), "<i4")),
                ("multiple of 32 columns and of 8 rows", "qweight", np.zeros((16, 161), "<i4")),
                ("multiple of 32 columns", "qweight", np.zeros((0, 160), "<i4")),
                ("expected I32 of 1 x 128", "g_idx", np.zeros(64, "<i4")),
                ("column 7 is in group 2 of 2", "g_idx", edit(7, 2)),
                ("column 7 is in group 4294967295", "g_idx", edit(7, -1)),
                ("group 0 has 63 columns, expected 64", "g_idx", edit(7, 1)),
                ("has no place", "bias", np.ones(160, "<f2"))]:
            with self.subTest(words=words, name=name):
                changed = dict(tensors)
                changed[base + name] = value
                self.refused(25, [words, base], self.write(files.gptq_settings(64, True),
                                                           {n: t for n, t in changed.items() if t is not None}))
        double = tensors | {base + "weight": np.zeros((160, 128), "<f2")}
        self.refused(22, "appears twice", self.write(files.gptq_settings(64, True), double))
        infinite = tensors | {base + "scales": np.full((2, 160), np.inf, "<f2")}
        self.refused(60, [base, "row 0", "scale"], self.write(files.gptq_settings(64, True), infinite))
        self.refused(25, "down_proj", self.write(files.gptq_settings(32, True), tensors))

    def test_file_cut_anywhere(self):
        tensors, _held = files.int4_checkpoint(self.CONFIG, 64, True)
        source = self.write(files.gptq_settings(64, True), tensors)
        whole = (source / "model.safetensors").read_bytes()
        for size in [*range(0, 40), 1000, len(whole) // 2, len(whole) - 1]:
            (source / "model.safetensors").write_bytes(whole[:size])
            self.refused(21, "model.safetensors", source)

    def test_a_file_of_any_name(self):
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, True)
        source = self.write(files.gptq_settings(64, True), tensors)
        (source / "model.safetensors").rename(source / "gptq_model-4bit-64g.safetensors")
        self.same_values(self.pack(source), held)
        (source / "other.safetensors").write_bytes(b"")
        self.refused(20, "2 other .safetensors files", source)


class Awq(Int4Test):
    def test_gemm(self):
        for group in 0, 32, 64, 128:
            with self.subTest(group=group):
                tensors, held = files.int4_checkpoint(self.CONFIG, group, False, awq=True)
                read = self.check(self.write(files.awq_settings(group), tensors), self.CONFIG, held)
                self.same_values(read, held)
                self.assertEqual(self.formats(read, *MATRICES), {(bundle.I4Z, group or 128, F16)})

    def test_older_settings(self):
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False, awq=True)
        older = {"zero_point": True, "q_group_size": 64, "w_bit": 4, "version": "GEMM"}
        self.same_values(self.pack(self.write(None, tensors, quant_config=older)), held)

    def test_every_detail_matters(self):
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False, awq=True, zeros=(1, 15))
        settings = files.awq_settings(64)
        in_order, _held = files.int4_checkpoint(self.CONFIG, 64, False, awq=True, zeros=(1, 15), order=list(range(8)))
        more = {n: ((t.view(np.uint32) + 0x11111111).view(np.int32) if n.endswith("qzeros") else t)
                for n, t in tensors.items()}
        for change in in_order, more:
            packed = self.matrices(self.pack(self.write(settings, change)))
            self.assertTrue(any(not np.array_equal(m, values(held[n])) for n, m in packed.items()))
        self.same_values(self.pack(self.write(settings, tensors)), held)

    def test_settings_that_are_refused(self):
        tensors, _held = files.int4_checkpoint(self.CONFIG, 64, False, awq=True)
        for words, change in [("version", {"version": "gemv"}), ("version", {"version": "marlin"}),
                              ("backend", {"backend": "llm-awq"}), ("bits", {"bits": 8}),
                              ("modules_to_not_convert", {"modules_to_not_convert": "lm_head"}),
                              ("modules_to_not_convert", {"modules_to_not_convert": [4]}),
                              ("listed under modules_to_not_convert", {"modules_to_not_convert": ["down_proj"]}),
                              ("qweight", {"quant_method": "gptq"})]:
            with self.subTest(change):
                self.refused(25, words, self.write(files.awq_settings(64) | change, tensors))
        left = lambda name: "o_proj" in name
        tensors, held = files.int4_checkpoint(self.CONFIG, 64, False, awq=True, left=left)
        settings = files.awq_settings(64, modules_to_not_convert=["o_proj", "lm_head"])
        self.same_values(self.pack(self.write(settings, tensors)), held)


if __name__ == "__main__":
    import unittest
    unittest.main()
