# SPDX-License-Identifier: Apache-2.0
"""The tool's commands that do not run a model: help, keys, packing, inspecting, verifying, planning, devices."""
import json
import os
import pathlib
import re
import resource
import stat
import subprocess
import time

import numpy as np

import tiny_chat
from tool import MOXIE, ToolTest

COMMANDS = "keygen pack inspect verify plan run chat logits bench selftest conform devices".split()


class Commands(ToolTest):
    def test_every_command_has_help_with_an_example(self):
        overview = self.must("--help")
        for command in COMMANDS:
            self.assertRegex(overview, rf"(?m)^  {command} ")
            text = self.must(command, "--help")
            self.assertRegex(text, rf"(?s)^usage: moxie {command} .*\nExample:\n    .*moxie {command}\b")

    def test_usage_errors_have_status_2_and_say_what_was_expected(self):
        for args, words in [((), "which command"), (("fly",), "no command 'fly'"), (("verify",), "BUNDLE is missing"),
                            (("verify", "a", "b"), "one argument too many: 'b'"),
                            (("verify", "--fast", "a"), "no option '--fast'"),
                            (("pack", "x"), "-o BUNDLE is missing"), (("pack", "x", "-o"), "--out needs a value"),
                            (("pack", "x", "-o", "y", "--weights", "int5"), "none of keep, int4"),
                            (("run", "a", "-p", "b", "-n", "0"), "number from 1"),
                            (("run", "a", "-p", "b", "--seed", "-1"), "'-1' is not a decimal number"),
                            (("run", "a", "-p", "b", "--top-p", "2"), "'2' is not a number from"),
                            (("plan", "a", "--summary=1"), "--summary takes no value"),
                            (("keygen", "-o", "x", "--name", "y"), "--name is for the store"),
                            (("keygen", "-o", "x", "--as-c"), "--as-c prints"), (("keygen", "-o", ""), "need a name"),
                            (("keygen", "-o", "x/"), "need a name"),
                            (("pack", "x", "-o", "y", "--head-int4"), "goes with --weights int4"),
                            (("pack", "x", "--dry-run", "--key", "y"), "signs nothing"),
                            (("plan", "--shape", "tiny", "--pub", "x"), "--pub is for a BUNDLE"),
                            (("plan", "a", "--board", "host-pocl", "--device", "0"), "--device is a device here"),
                            (("run", "a", "-p", "b", "--temperature", "1e-30"), "0 or at least 1e-6"),
                            (("chat", "a", "--temperature", "1e-30"), "0 or at least 1e-6"),
                            (("bench",), "give a BUNDLE or --shape")]:
            with self.subTest(args):
                self.fails(2, [words, "--help"], *args)

    def test_the_manual_lists_every_exit_status(self):
        page = pathlib.Path("tools/moxie.1.in").read_text()
        statuses = self.must("help", "status").splitlines()
        self.assertGreater(len(statuses), 30)
        for line in statuses:
            self.assertTrue(line.startswith("130") or f"\n{line}\n" in page, line)
        self.assertEqual(len({line.split()[0] for line in statuses}), len(statuses))

    def test_a_name_that_is_no_text_is_none_in_json(self):
        name = os.path.join(os.fsencode(self.folder), b"b\xff.moxie")
        for command in ([b"pack", os.fsencode(self.source), b"-o", name], [b"verify", name]):
            done = subprocess.run([MOXIE, *command, b"--json"], capture_output=True, env=self.environment, check=True)
            self.assertEqual(json.loads(done.stdout)["bundle"], "?")
        os.unlink(name)

    def test_a_bundle_is_a_file(self):
        os.mkfifo(self.folder / "pipe")
        self.addCleanup(os.unlink, self.folder / "pipe")
        reader = os.open(self.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # so that opening it does not wait
        self.addCleanup(os.close, reader)
        self.fails(20, ["pipe: cannot be created: not a file"], "pack", self.source, "-o", self.folder / "pipe")

    def test_options_are_read_in_every_form(self):
        short = self.must("plan", self.bundle, "--context", "64", "--summary", "--board", "host-pocl")
        self.assertEqual(short, self.must("plan", "--summary", "--context=64", "--board=host-pocl", "--", self.bundle))

    def test_full_standard_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([MOXIE, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual((result.returncode, b"standard output" in result.stderr), (1, True))


class Keys(ToolTest):
    def test_a_key_is_private_and_never_overwritten(self):
        keys = self.folder / "config/moxie/keys"
        mode = lambda path: stat.S_IMODE(path.stat().st_mode)
        private = next(keys.glob("default.key*"))
        self.assertEqual((mode(keys), mode(private)), (0o700, 0o600))
        before = private.read_bytes()
        self.fails(20, "default", "keygen")
        self.assertEqual(private.read_bytes(), before)
        self.fails(10, '"../x"', "keygen", "--name", "../x")

    def test_a_key_that_cannot_be_written_says_why(self):
        path = self.folder / "large"
        done = subprocess.run([MOXIE, "keygen", "-o", path], capture_output=True, text=True, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        self.assertEqual(done.returncode, 20, done.stderr)
        self.assertIn("large.key.pem: cannot be written: File too large", done.stderr)
        self.assertEqual([*self.folder.glob("large*")], [])

    def test_a_key_outside_the_store_is_trusted_only_when_named(self):
        self.must("keygen", "-o", self.folder / "other")
        private, = self.folder.glob("other.key*")
        public, = self.folder.glob("other.pub*")
        other = self.folder / "other.moxie"
        self.must("pack", self.source, "-o", other, "--key", private)
        self.fails(30, "other.moxie", "verify", other)
        self.must("verify", other, "--pub", public)
        self.fails(30, "tiny.moxie", "verify", self.bundle, "--pub", public)
        for command in ["inspect"], ["plan", "--board", "host-pocl"], ["run", "-p", "x"], ["chat", "-p", "x"]:
            self.fails(30, "other.moxie", command[0], other, *command[1:])

    def test_without_any_key_nothing_is_opened(self):
        self.fails(30, "moxie keygen", "verify", self.bundle, XDG_CONFIG_HOME=str(self.folder / "nowhere"))
        self.fails(20, "moxie keygen", "pack", self.source, "-o", self.folder / "none.moxie",
                   XDG_CONFIG_HOME=str(self.folder / "nowhere"))


class Bundles(ToolTest):
    def test_packing_again_gives_the_same_bytes(self):
        again = self.folder / "again.moxie"
        self.must("pack", self.source, "-o", again, "--threads", "1")
        self.assertEqual(again.read_bytes(), self.bundle.read_bytes())
        listing = subprocess.run(["tar", "tvf", self.bundle], capture_output=True, text=True, check=True).stdout
        self.assertRegex(listing, r"\bmanifest\n(.|\n)*\bsignature\n(.|\n)*\btree\n(.|\n)*\bdense\n")

    def test_no_output_takes_the_place_of_its_input(self):
        source = self.folder / "source"
        tiny_chat.write(source)
        before = {p.name: p.read_bytes() for p in source.iterdir()}
        for file in source.iterdir():
            self.fails(2, "is a file of the checkpoint", "pack", source, "-o", file)
        tokens, bundle = self.folder / "tokens", self.file("copy.moxie", self.bundle.read_bytes())
        tokens.write_text("1 2 3")
        for out in tokens, bundle:
            self.fails(2, "is the bundle or the tokens", "logits", bundle, "--tokens", tokens, "-o", out)
        self.fails(2, "is the bundle itself", "plan", bundle, "--svg", bundle)
        self.fails(2, "is the bundle itself", "run", bundle, "-p", "x", "--experts", bundle)
        self.assertEqual({p.name: p.read_bytes() for p in source.iterdir()}, before)
        self.assertEqual(tokens.read_text(), "1 2 3")
        self.must("verify", bundle)
        again = source / "again.moxie"  # a bundle among a checkpoint's files may be made anew
        self.must("pack", source, "-o", again)
        self.must("pack", source, "-o", again)

    def test_a_name_that_no_reader_takes_is_refused(self):
        source, out = self.folder / "named", self.folder / "named.moxie"
        tiny_chat.write(source)
        for name in "", "a\x1bb", "a\x7f", "a\udcff", "x" * 64:
            self.fails(10, "name", "pack", source, "-o", out, "--id", name)
        self.assertFalse(out.exists())

    def test_nothing_is_left_of_a_bundle_that_is_not_finished(self):
        source, out = self.folder / "killed", self.folder / "out"
        tiny_chat.write(source)
        out.mkdir()
        for nth in range(20):
            process = subprocess.Popen([MOXIE, "pack", source, "-o", out / "x.moxie"], stdout=subprocess.DEVNULL, env=self.environment)
            time.sleep(0.001 * nth)
            process.kill()
            process.wait()
            self.assertIn([p.name for p in out.iterdir()], ([], ["x.moxie"]))
            (out / "x.moxie").unlink(missing_ok=True)

    def test_a_link_is_followed_and_one_that_leads_nowhere_refused(self):
        source, link, target = self.folder / "linked", self.folder / "link", self.folder / "target.moxie"
        tiny_chat.write(source)
        link.symlink_to(target)
        self.fails(20, "cannot be created", "pack", source, "-o", link)
        target.write_bytes(b"")
        self.must("pack", source, "-o", link)
        self.assertTrue(link.is_symlink() and target.stat().st_size)

    def test_pack_tells_the_error_of_each_kind(self):
        out = self.folder / "int4.moxie"
        kinds = json.loads(self.must("pack", self.source, "-o", out, "--weights", "int4", "--group", "64",
                                     "--json"))["matrices"]
        errors = {(k["matrix"], k["type"]): k["relative_error"] for k in kinds}
        # Gaussian weights rounded to 15 or 255 levels (the Int4 scale fits the group: about 8 % of noise)
        self.assertTrue(0.05 < errors["qkv", "I4"] < 0.12, errors)
        self.assertTrue(0.003 < errors["embedding", "I8"] < 0.012, errors)
        kept = json.loads(self.must("pack", self.source, "-o", out, "--json"))["matrices"]
        self.assertEqual({k["relative_error"] for k in kept}, {0})
        self.assertIn("exact", self.must("pack", self.source, "-o", out))

    def test_inspect_says_where_the_tensors_are(self):
        facts = json.loads(self.must("inspect", self.bundle, "--json"))
        self.assertEqual((facts["hidden"], facts["layers"], facts["vocab"], facts["kv_type"], facts["tied"]),
                         (tiny_chat.HIDDEN, tiny_chat.LAYERS, tiny_chat.VOCAB, "F32", True))
        self.assertEqual(facts["eos"], [tiny_chat.IM_END])
        tensors = {t["name"]: t for t in facts["tensors"]}
        data = self.bundle.read_bytes()
        norm = tensors["layers.1.attn_norm"]
        self.assertEqual((norm["type"], norm["shape"], norm["bytes"]), ("VECTOR", [tiny_chat.HIDDEN, 1], 256))
        np.testing.assert_array_equal(np.frombuffer(data, "<f4", tiny_chat.HIDDEN, norm["offset"]), 1)
        # float matrices are tiles [k][16 rows]: the first 16 numbers are column 0 of rows 0 to 15
        embedding = tensors["embedding"]
        self.assertEqual((embedding["type"], embedding["shape"]), ("F32", [tiny_chat.VOCAB, tiny_chat.HIDDEN]))
        self.assertEqual(embedding["bytes"], (tiny_chat.VOCAB + 15) // 16 * 16 * tiny_chat.HIDDEN * 4)
        np.testing.assert_array_equal(np.frombuffer(data, "<f4", 16, embedding["offset"]),
                                      tiny_chat.tensors()["model.embed_tokens.weight"][:16, 0])
        self.assertEqual(facts["bundle"]["bytes"], len(data))
        text = self.must("inspect", self.bundle)
        for t in tensors.values():
            self.assertRegex(text, rf"(?m)^{re.escape(t['name'])} .* {t['offset']} +{t['bytes']}$")

    def test_keys_and_values_are_as_asked_for(self):
        out = self.folder / "kv.moxie"
        for options, kind in ((["--weights", "int4"], "F16"), (["--kv", "f16"], "F16"), (["--kv", "int8"], "I8"),
                              (["--weights", "int4", "--kv", "f32"], "F32"), (["--kv", "auto"], "F32")):
            self.must("pack", self.source, "-o", out, *options)
            self.assertEqual(json.loads(self.must("inspect", out, "--json"))["kv_type"], kind)
            self.assertIn(f"KV {kind},", self.must("inspect", out))
        self.fails(2, "--kv", "pack", self.source, "-o", out, "--kv", "int4")

    def test_verify_finds_any_flipped_bit(self):
        self.assertIn("every byte", self.must("verify", self.bundle))
        members = {}
        listing = subprocess.run(["tar", "tvRf", self.bundle], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            if found := re.match(r"block (\d+): \S+ \S+ +(\d+) \S+ \S+ (\S+)$", line):
                members[found[3]] = (int(found[1]) * 512 + 512, int(found[2]))
        self.assertTrue({"manifest", "signature", "tree", "host", "layer.000", "dense"} <= members.keys(), members)
        named = {"manifest": {32}, "signature": {30, 32}, "tree": {33}, "host": {33}, "layer.000": {33}, "dense": {33}}
        for name, (start, size) in members.items():
            for at in {start, start + size // 2, start + size - 1} if size else ():
                with self.subTest(member=name, at=at):
                    result = self.moxie("verify", self.changed(at))
                    self.assertTrue(result.returncode in named.get(name, {22, 33}) or
                                    name == "manifest" and result.returncode // 10 == 2, result.stderr)
                    self.assertIn("changed.moxie", result.stderr)

    def test_what_is_no_bundle_is_refused_by_name(self):
        data = self.bundle.read_bytes()
        for content, statuses in [(b"", {21, 22}), (data[:511], {21, 22}), (data[:len(data) // 2], {21, 22}),
                                  (data + b"x", {22}), (b"hello" * 1000, {22})]:
            path = self.file("wrong.moxie", content)
            for command in "verify", "inspect":
                result = self.moxie(command, path)
                self.assertIn(result.returncode, statuses, result.stderr)
                self.assertIn("wrong.moxie", result.stderr)
        self.fails(20, "nowhere.moxie", "verify", self.folder / "nowhere.moxie")
        self.fails(20, "nowhere.moxie", "inspect", self.folder / "nowhere.moxie")


class BadCheckpoints(ToolTest):
    """Each change of the checkpoint has its own status and sentence, and no bundle appears."""

    def refused(self, status, words, **files):
        folder = self.folder / "bad"
        tiny_chat.write(folder)
        for name, change in files.items():
            path = folder / {"config": "config.json", "weights": "model.safetensors", "tokenizer": "tokenizer.json"}[name]
            path.write_bytes(change(path.read_bytes()))
        self.fails(status, words, "pack", folder, "-o", self.folder / "bad.moxie")

    @staticmethod
    def edit(**values):
        return lambda raw: json.dumps(json.loads(raw) | values).encode()

    @staticmethod
    def weights(change):
        """`change` alters the dictionary of tensors."""
        def rewrite(_):
            values = tiny_chat.tensors()
            change(values)
            return tiny_chat.safetensors(values)
        return rewrite

    def test_truncated_weights(self):
        self.refused(21, "model.safetensors", weights=lambda raw: raw[:-100])

    def test_header_longer_than_the_file(self):
        self.refused(22, ["model.safetensors", "header length"], weights=lambda raw: b"\xff" * 6 + b"\0\0" + raw[8:])

    def test_json_that_is_none(self):
        self.refused(22, ["config.json", "line 1, column 2"], config=lambda raw: b"{" + raw)

    def test_json_that_is_cut(self):
        self.refused(21, "config.json", config=lambda raw: raw[:-1])

    def test_missing_tensor(self):
        self.refused(25, '"model.layers.1.mlp.up_proj.weight"',
                     weights=self.weights(lambda t: t.pop("model.layers.1.mlp.up_proj.weight")))

    def test_unknown_architecture(self):
        self.refused(25, "mamba", config=self.edit(model_type="mamba"))

    def test_shape_that_disagrees_with_the_configuration(self):
        self.refused(25, ["gate_proj", "95"], config=self.edit(intermediate_size=95))

    def test_unknown_tensor_type(self):
        self.refused(22, ["embed_tokens", "Q77"], weights=lambda raw: raw.replace(b'"F32"', b'"Q77"', 1))

    def test_nan_weight(self):
        def poison(tensors):
            tensors["model.layers.0.self_attn.o_proj.weight"][3, 5] = np.nan
        self.refused(60, ["o_proj", "row 3", "column 5"], weights=self.weights(poison))

    def test_infinite_norm(self):
        def poison(tensors):
            tensors["model.norm.weight"][7] = np.inf
        self.refused(60, ["model.norm.weight", "infinite"], weights=self.weights(poison))

    def test_tokenizer_of_an_unknown_kind(self):
        self.refused(26, "tokenizer.json", tokenizer=self.edit(model={"type": "Unigram"}))

    def test_source_that_is_not_there(self):
        self.fails(20, "nowhere", "pack", self.folder / "nowhere", "-o", self.folder / "bad.moxie")

    def test_folder_that_cannot_be_written(self):
        self.fails(20, "no-such-folder", "pack", self.source, "-o", self.folder / "no-such-folder/x.moxie")

    def test_file_system_that_is_full(self):
        target = self.folder / "large.moxie"
        result = subprocess.run(["bash", "-c", 'ulimit -f 8 && exec "$@"', "bash", MOXIE, "pack",
                                 self.source, "-o", target],
                                capture_output=True, env=self.environment, timeout=300, check=False)
        self.assertEqual(result.returncode, 20, result.stderr)
        self.assertIn(b"cannot be written: File too large", result.stderr)
        self.assertEqual([*self.folder.glob("large.moxie*")], [])


class Plans(ToolTest):
    def test_a_plan_needs_no_device(self):
        plan = json.loads(self.must("plan", self.bundle, "--board", "host-pocl", "--json",
                                    OCL_ICD_VENDORS="/nowhere"))
        self.assertEqual((plan["context"], plan["sequences"]), (tiny_chat.POSITIONS, 1))
        self.assertEqual(len(plan["launch_list"]), plan["launches"])
        for region, buffers in plan["buffers"].items():
            for buffer in buffers:
                self.assertLessEqual(buffer["offset"] + buffer["bytes"], plan["region_bytes"][region], buffer)
        # keys and values: 2 x layers x KV heads x head dimension, float32
        self.assertEqual(plan["kv_bytes_per_token"], 2 * tiny_chat.LAYERS * tiny_chat.HIDDEN // 2 * 4)
        larger = json.loads(self.must("plan", self.bundle, "--board", "host-pocl", "--json", "--batch", "4"))
        self.assertGreaterEqual(larger["region_bytes"]["SESSION"], 4 * plan["kv_bytes_per_token"] * tiny_chat.POSITIONS)

    def test_the_text_names_every_buffer_and_launch(self):
        options = "plan", self.bundle, "--board", "host-pocl"
        plan, text = json.loads(self.must(*options, "--json")), self.must(*options)
        for buffers in plan["buffers"].values():
            for buffer in buffers:
                self.assertRegex(text, rf"(?m)^ *{buffer['offset']} +{buffer['bytes']}  {re.escape(buffer['name'])}$")
        self.assertEqual(re.findall(r"(?m)^ +\d+  (\S+)$", text.split("launches of a step")[1]), plan["launch_list"])
        self.assertTrue(text.startswith(self.must(*options, "--summary")))

    def test_without_board_or_device_it_says_what_to_do(self):
        self.fails(50, ["--board", "pocl-opencl-icd"], "plan", self.bundle, OCL_ICD_VENDORS="/nowhere")

    def test_board_files_are_checked_line_by_line(self):
        facts = pathlib.Path("boards/host-pocl/facts").read_text()
        for change, words in [(facts.replace("type = 2", "type = two"), ":6: type: 'two'"),
                              (facts + "speed = 9\n", "no fact called 'speed'"),
                              (facts + "type = 2\n", "type is there twice"),
                              (facts.replace("global_bytes", "# global_bytes"), "global_bytes is missing"),
                              (facts + "nothing\n", 'expected "key = value"')]:
            self.fails(10, ["board.txt", words], "plan", self.bundle, "--board", self.file("board.txt", change))
        self.fails(20, "no board 'mars'", "plan", self.bundle, "--board", "mars")

    def test_a_device_too_small_is_an_error(self):
        facts = re.sub(r"(?m)^(global_bytes|max_alloc_bytes) = .*", r"\1 = 1048576", pathlib.Path("boards/host-pocl/facts").read_text())
        self.fails(41, "", "plan", self.bundle, "--board", self.file("board.txt", facts))


class Devices(ToolTest):
    def test_devices_are_listed_with_their_facts(self):
        devices = json.loads(self.must("devices", "--json"))
        self.assertEqual([d["index"] for d in devices], list(range(len(devices))))
        self.assertTrue(any(d["accepted"] and d["platform"] == "Portable Computing Language" for d in devices), devices)
        text = self.must("devices")
        for d in devices:
            self.assertIn(f"{d['index']}  {d['platform']}, {d['name']}", text)

    def test_a_board_file_of_the_device_gives_the_same_plan(self):
        board = self.file("board.txt", self.must("devices", "--board"))
        self.assertEqual(self.must("plan", self.bundle), self.must("plan", self.bundle, "--board", board))

    def test_without_a_driver_it_says_what_to_install(self):
        self.fails(50, "pocl-opencl-icd", "devices", OCL_ICD_VENDORS="/nowhere")
        self.assertEqual(json.loads(self.must("devices", "--json", OCL_ICD_VENDORS="/nowhere")), [])
        self.fails(50, "pocl-opencl-icd", "run", self.bundle, "-p", "x", OCL_ICD_VENDORS="/nowhere")


if __name__ == "__main__":
    import unittest
    unittest.main()
