# SPDX-License-Identifier: Apache-2.0
"""The tool's commands that run a model: run, chat, logits, bench. On PoCL, with a tiny model of random weights."""
import hashlib
import io
import json
import mmap
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import time
import unittest

import numpy as np

import tiny_chat
from numpy_twin import sample
from tool import MOXIE, ToolTest

SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"


def user(text):
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


class Run(ToolTest):
    def ids(self, *args, **options):
        return [int(x) for x in self.must("run", self.bundle, "--ids", *args, **options).split()]

    def test_greedy_ids_are_the_largest_logits(self):
        prompt = "hello, world"
        run = self.moxie("run", self.bundle, "--ids", "-p", prompt, "-n", "6", "--temperature", "0", "--fingerprint")
        ids = [int(x) for x in run.stdout.split()]
        tokens = self.file("tokens.txt", " ".join(str(b) for b in [*prompt.encode(), *ids[:-1]]))
        out = self.folder / "greedy.npy"
        self.must("logits", self.bundle, "--tokens", tokens, "-o", out)
        logits = np.load(out)[len(prompt) - 1:]
        self.assertEqual(ids, [int(i) for i in logits.argmax(1)[:len(ids)]])
        digest = hashlib.sha256(logits[:len(ids)].tobytes()).hexdigest()
        self.assertIn(f"SHA-256 of the logits of {len(ids)} tokens: {digest}", run.stderr)

    def test_a_failed_output_is_told_once(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([MOXIE, "run", self.bundle, "-p", "a", "-n", "3"], stdout=full, stderr=subprocess.PIPE,
                                  text=True, env=self.environment, check=False)
        self.assertEqual((done.returncode, done.stderr.count("standard output: No space left on device")), (1, 1))

    def test_a_driver_that_cannot_keep_what_it_compiles_is_told(self):
        cache = self.folder / "small"
        cache.mkdir()
        self.addCleanup(shutil.rmtree, cache)
        done = subprocess.run([MOXIE, "run", self.bundle, "-p", "a", "-n", "1"], capture_output=True, text=True, check=False,
                              env=self.environment | {"XDG_CACHE_HOME": str(cache), "POCL_CACHE_DIR": str(cache / "pocl")},
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        self.assertEqual(done.returncode, 52, done.stderr)
        self.assertIn(f"The driver's cache cannot be written: {cache}/pocl: File too large", done.stderr)

    def test_text_is_the_bytes_of_the_ids(self):
        for seed in range(5):
            options = "-p", "abc", "-n", "40", "--temperature", "1.5", "--seed", seed
            ids = self.ids(*options)
            expected = bytes(i for i in ids if i < 256).decode("utf-8", "replace")
            text = self.moxie("run", self.bundle, *options, binary=True).stdout.decode("utf-8")  # is valid UTF-8
            # how many U+FFFD stand for a broken sequence is a matter of taste; the rest is not
            self.assertEqual(text.replace("\ufffd", ""), expected.replace("\ufffd", "") + "\n")

    def test_drawn_tokens_are_those_of_the_document(self):
        """Every filter and the generator, against the twin written from section 6 of ARITHMETIC.md."""
        prompt, drawn = "hello hello", set()
        for options in [dict(temperature=2, seed=7), dict(temperature=2, seed=2 ** 40 + 8),
                        dict(temperature=1.5, seed=1, top_k=20, top_p=0.9, min_p=0.05, repetition_penalty=1.3),
                        dict(temperature=0, repetition_penalty=1.5)]:
            with self.subTest(options):
                words = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), str(value))]
                ids = self.ids("-p", prompt, "-n", "12", *words)
                history, out = [*prompt.encode(), *ids], self.folder / "drawn.npy"
                self.must("logits", self.bundle, "--tokens", "-", "-o", out, stdin=" ".join(map(str, history[:-1])))
                logits = np.load(out)
                expected = [sample.choose(logits[i - 1], i, history=history[:i], **options)
                            for i in range(len(prompt), len(history))]
                self.assertEqual(ids, expected)
                drawn.add(tuple(ids))
        self.assertEqual(len(drawn), 4)

    def test_every_end_token_ends_it(self):
        prompt = "hello, world"
        free = self.ids("-p", prompt, "-n", "8", "--temperature", "0")
        ends = [next(i for i in free if i != free[0]), tiny_chat.IM_END]  # the model's second word, and the usual one
        folder, packed = self.folder / "ends", self.folder / "ends.moxie"
        tiny_chat.write(folder)
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
        self.must("pack", folder, "-o", packed)
        self.assertEqual(json.loads(self.must("inspect", packed, "--json"))["eos"], [ends[1], ends[0]])  # config.json first
        shown = self.must("run", packed, "-p", prompt, "-n", "8", "--temperature", "0", "--ids").split()
        self.assertEqual([int(i) for i in shown], free[:free.index(ends[0]) + 1])

    def test_control_tokens_in_a_text_are_text_unless_asked_for(self):
        marker = "<|im_start|>"
        self.assertEqual(self.ids("-p", marker, "-n", "4"), self.ids("-p", "-", "-n", "4", stdin=marker))
        as_text = self.moxie("run", self.bundle, "-p", marker, "-n", "1", "--stats").stderr
        as_token = self.moxie("run", self.bundle, "-p", marker, "-n", "1", "--stats", "--specials").stderr
        self.assertIn(f"{len(marker)} tokens read", as_text)
        self.assertIn("1 tokens read", as_token)

    def test_what_does_not_fit_the_context_is_refused_before_it_runs(self):
        self.fails(14, ["65 tokens", "64"], "run", self.bundle, "-p", "x" * 65, "--context", "64")
        full = self.moxie("run", self.bundle, "-p", "x" * 60, "--context", "64", "-n", "20", "--ids")
        self.assertEqual((full.returncode, len(full.stdout.split())), (0, 5))  # 4 places, and the token after the last
        self.assertIn("context of 64 tokens is full", full.stderr)

    def test_text_that_cannot_be_encoded(self):
        self.fails(17, "", "run", self.bundle, "-p", "-", stdin=b"abc\xff")
        self.fails(17, "empty", "run", self.bundle, "-p", "")

    def test_flipped_weights_are_found_before_a_token_is_produced(self):
        offset = next(t["offset"] for t in json.loads(self.must("inspect", self.bundle, "--json"))["tensors"]
                      if t["name"] == "layers.1.experts.down")
        result = self.fails(33, "", "run", self.changed(offset + 1234), "-p", "x")
        self.assertEqual(result.stdout, "")

    def test_a_picture_that_cannot_be_written_is_told_before_the_run(self):
        self.assertEqual(self.fails(1, "no-such", "run", self.bundle, "-p", "x", "--experts", "no-such/x.svg").stdout, "")

    def test_a_device_that_is_not_there(self):
        self.fails(50, "99", "run", self.bundle, "-p", "x", "--device", "99")

    def test_a_damaged_kernel_cache_is_not_used(self):
        cache = self.folder / "cache"
        first = self.ids("-p", "x", "-n", "4", XDG_CACHE_HOME=str(cache))
        kernels = [p for p in (cache / "moxie/kernels").iterdir()]
        self.assertTrue(kernels)
        for path in kernels:
            self.assertEqual(path.stat().st_mode & 0o77, path.stat().st_mode & 0o77 & 0o44)
            data = bytearray(path.read_bytes())
            self.assertEqual(data[:32], hashlib.sha256(data[32:]).digest())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        self.assertEqual(self.ids("-p", "x", "-n", "4", XDG_CACHE_HOME=str(cache)), first)
        for path in kernels:
            data = path.read_bytes()
            self.assertEqual(data[:32], hashlib.sha256(data[32:]).digest())

    def test_ctrl_c_ends_a_run(self):
        process = subprocess.Popen([MOXIE, "run", self.bundle, "-p", "x", "-n", "400", "--temperature", "3"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment)
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertIn(process.returncode, (130, 0))  # 0: it was done before


class Chat(ToolTest):
    def test_a_question_is_rendered_in_the_models_template(self):
        chat = self.must("chat", self.bundle, "-p", "Hi <|im_end|>!", "-n", "12")
        # the same as tokens: the question's marker stays text
        before, after = SYSTEM + "<|im_start|>user\nHi ", "!<|im_end|>\n<|im_start|>assistant\n"
        markers = {text: 256 + i for i, text in enumerate(tiny_chat.SPECIALS)}
        ids = []
        for part in re.split(r"(<\|\w+\|>)", before):
            ids += [markers[part]] if part in markers else part.encode()
        ids += b"<|im_end|>"
        for part in re.split(r"(<\|\w+\|>)", after):
            ids += [markers[part]] if part in markers else part.encode()
        answer = []
        for _ in range(12):
            out = self.folder / "chat.npy"
            self.must("logits", self.bundle, "--tokens", "-", "-o", out, stdin=" ".join(map(str, ids + answer)))
            answer.append(int(np.load(out)[-1].argmax()))
            if answer[-1] in markers.values():
                break
        expected = bytes(i for i in answer if i < 256).decode("utf-8", "replace")
        self.assertEqual(chat.replace("\ufffd", ""), expected.replace("\ufffd", "") + "\n")

    def test_history_is_never_read_twice(self):
        result = self.moxie("chat", self.bundle, "-n", "5", "--stats", stdin="first\nsecond one\n/reset\nfirst\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        read = [int(n) for n in re.findall(r"(\d+) tokens read", result.stderr)]
        written = [int(n) for n in re.findall(r"(\d+) written", result.stderr)]
        token_count = lambda text: len(re.sub(r"<\|\w+\|>", "#", text))
        self.assertEqual(read[0], token_count(SYSTEM + user("first")))
        # the last token of the first answer, what closes that answer, and the second turn
        self.assertEqual(read[1], (1 if written[0] == 5 else 0) + token_count("<|im_end|>\n" + user("second one")))
        self.assertEqual(read[2], read[0])

    def test_a_full_context_is_said_and_the_chat_goes_on(self):
        questions = [f"question number {i}" for i in range(6)]
        result = self.moxie("chat", self.bundle, "-n", "20", "--context", "256", "--stats", stdin="\n".join(questions))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("the context is full: ", result.stderr)
        self.assertEqual(len(re.findall("tokens read", result.stderr)), 6)
        self.fails(14, "does not fit into a context of 64", "chat", self.bundle, "-p", "y" * 300, "--context", "64")

    def test_an_answer_that_fills_the_context_to_its_end_is_no_end_of_the_chat(self):
        """Its last token has no place in the context any more."""
        for context in 64, 65, 100:
            result = self.moxie("chat", self.bundle, "--system", "S", "--context", str(context), "-n", str(context), "--stats",
                                stdin="a\nb\nc\nd\n")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(len(re.findall("tokens read", result.stderr)), 4, result.stderr)
            self.assertIn(f"the context of {context} tokens is full: the answer was cut short", result.stderr)

    def test_a_question_is_a_line_and_nothing_of_it_is_dropped(self):
        whole = self.must("chat", self.bundle, "-n", "3", "--stats", stdin="a\rb\n")
        self.assertEqual(whole, self.must("chat", self.bundle, "-n", "3", "-p", "a\rb"))
        self.assertEqual(self.must("chat", self.bundle, "-n", "3", stdin="ab\r\n"), self.must("chat", self.bundle, "-n", "3", "-p", "ab"))
        self.fails(1, "NUL", "chat", self.bundle, stdin="a\0b\n")

    def test_standard_input_that_cannot_be_read_is_an_error(self):
        folder = os.open("/", os.O_RDONLY)
        result = subprocess.run([MOXIE, "chat", self.bundle], stdin=folder, capture_output=True, env=self.environment, check=False)
        os.close(folder)
        self.assertEqual((result.returncode, b"standard input: Is a directory" in result.stderr), (1, True))

    def test_the_last_exchange_survives_a_full_context(self):
        options = "--system", "S", "--context", "256", "--stats", "-n", "10"
        result = self.moxie("chat", self.bundle, *options, stdin="\n".join(f"{i} {'z' * 40}" for i in range(4)))
        self.assertIn("everything but the last question and answer is forgotten", result.stderr)
        read = [int(n) for n in re.findall(r"(\d+) tokens read", result.stderr)]
        self.assertGreater(read[-1], 2 * 42)  # the last question again, its answer, and the new one

    def test_models_without_a_known_template_say_so(self):
        odd = "{%- if tools %}\n\x1b[1m{{ 'caf\u00e9' }}"
        cases = {"base": ({}, None),
                 "empty": ({"chat_template": ""}, None),
                 "odd": ({"chat_template": odd}, "chat template is none of those that are known"),
                 "named": ({"chat_template": [{"name": "rag", "template": odd}]}, "none of the chat templates is called")}
        for name, (settings, note) in cases.items():
            with self.subTest(name):
                folder, packed = self.folder / name, self.folder / f"{name}.moxie"
                tiny_chat.write(folder)
                (folder / "tokenizer_config.json").write_text(json.dumps(settings))
                result = self.moxie("pack", folder, "-o", packed)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn("chat template: none", result.stdout)
                self.assertEqual("template" in result.stderr, note is not None)
                self.assertIn(note or "", result.stderr)
                self.assertNotIn("\x1b", result.stderr)
                self.assertRegex(self.must("inspect", packed), r"chat +no template")
                self.assertEqual(json.loads(self.must("inspect", packed, "--json"))["chat_template"], "none")
                self.fails(17, [name, "no chat template", "base model", "moxie run"], "chat", packed, "-p", "x")
        self.must("run", self.folder / "base.moxie", "-p", "x", "-n", "1")
        self.assertRegex(self.must("inspect", self.bundle), "chat +ChatML, SmolLM2")
        notes = json.loads(self.must("pack", self.folder / "odd", "--dry-run", "--json"))["notes"]
        self.assertRegex(notes[0], r"33 bytes that begin with \{%- if tools %\}\?\?\[1m\{\{ 'caf\u00e9' \}\}$")

    def test_ctrl_c_stops_an_answer_and_not_the_chat(self):
        controller, terminal = pty.openpty()
        process = subprocess.Popen([MOXIE, "chat", self.bundle, "--temperature", "3", "-n", "450"], stdin=terminal,
                                   stdout=terminal, stderr=terminal, env=self.environment, start_new_session=True,
                                   preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        self.addCleanup(process.kill)
        os.close(terminal)
        seen = b""

        def wait_for(pattern, begin=0):
            nonlocal seen
            deadline = time.monotonic() + 60
            while not re.search(pattern, seen[begin:]):
                ready, _, _ = select.select([controller], [], [], max(0, deadline - time.monotonic()))
                self.assertTrue(ready, f"no {pattern} in {seen[-300:]}")
                seen += os.read(controller, 4096)
            return begin + re.search(pattern, seen[begin:]).end()

        at = wait_for(rb"> ")
        os.write(controller, b"\x03")  # at the prompt: only a hint
        at = wait_for(rb"/quit ends the chat\)\r\n> ", at)
        os.write(controller, b"hello\n")
        at = wait_for(rb"hello\r\n", at)
        os.write(controller, b"\x03")
        at = wait_for(rb"> $", at)
        os.write(controller, b"/quit\n")
        self.assertEqual(process.wait(timeout=60), 0)
        os.close(controller)


class Logits(ToolTest):
    TOKENS = "72 101,108\n108 111\t44 32  119,111,114,108,100 0 255 258 1 2 3"

    def logits(self, *args, tokens=TOKENS):
        out = self.folder / "out.npy"
        printed = self.must("logits", self.bundle, "--tokens", "-", "-o", out, *args, stdin=tokens)
        digest, = re.findall(r"\b[0-9a-f]{64}\b", printed)
        raw = out.read_bytes()
        header = np.lib.format.read_magic(io.BytesIO(raw))
        values = np.load(io.BytesIO(raw))
        self.assertEqual((header, values.dtype.str), ((1, 0), "<f4"))
        self.assertEqual(hashlib.sha256(values.tobytes()).hexdigest(), digest)
        return values, digest

    def test_the_file_is_a_numpy_array_of_all_positions(self):
        values, _ = self.logits()
        self.assertEqual(values.shape, (18, tiny_chat.VOCAB))
        self.assertTrue(np.isfinite(values).all())

    def test_the_bits_do_not_depend_on_how_it_is_run(self):
        tokens = " ".join(str(i * 7 % tiny_chat.VOCAB) for i in range(150))
        _, expected = self.logits(tokens=tokens)
        for options in ["--chunk 1", "--chunk 7", "--chunk 32", "--batch 3", "--chunk 7 --batch 3", "--threads 1",
                        "--threads 2", "--portable", "--context 512"]:
            with self.subTest(options):
                self.assertEqual(self.logits(*options.split(), tokens=tokens)[1], expected)

    def test_bad_tokens_are_refused_with_their_place(self):
        out = self.folder / "bad.npy"
        options = "logits", self.bundle, "--tokens", "-", "-o", out
        self.fails(13, ["byte 4", "token 2 is 259", "259"], *options, stdin="1 2 259 4")
        self.fails(13, "99999999999", *options, stdin="99999999999999999999")
        self.fails(10, ["byte 2", "decimal token id"], *options, stdin="1 x")
        self.fails(10, "byte 2", *options, stdin="1 -2")
        self.fails(10, "no token id", *options, stdin=" , ")
        self.fails(14, ["513 tokens", "512"], *options, stdin="1 " * 513)
        self.fails(14, "at most 64", *options, "--context", "64", stdin="1 " * 65)
        self.fails(20, "nowhere.txt", "logits", self.bundle, "--tokens", "nowhere.txt", "-o", out)
        self.fails(1, "no-such-folder", "logits", self.bundle, "--tokens", "-", "-o",
                   self.folder / "no-such-folder/x.npy", stdin="1")


class Bench(ToolTest):
    KEYS = ("prefill_tokens_per_s", "decode_tokens_per_s", "bytes_per_decoded_token", "raw_read_bytes_per_s")

    def test_a_bundle_and_a_shape_are_measured(self):
        for what in [self.bundle], ["--shape", "tiny"]:
            result = json.loads(self.must("bench", *what, "--prefill", "33", "--decode", "5", "--json"))
            for key in self.KEYS:
                self.assertGreater(result[key], 0, key)
            self.assertAlmostEqual(result["share_of_raw_read"] * result["raw_read_bytes_per_s"],
                                   result["decode_tokens_per_s"] * result["bytes_per_step"],
                                   delta=1e-6 * result["raw_read_bytes_per_s"])
            # the weights of a token, and keys and values of positions 0 .. 33 to 0 .. 37
            self.assertAlmostEqual(result["bytes_per_step"],
                                   result["bytes_per_decoded_token"] + 36 * result["kv_bytes_per_token"], delta=1)
        # Q4_0 blocks: 18 bytes for 32 weights; a token reads 2 of 8 experts, the shared one, attention and the head
        hidden, width, layer = 256, 128, 256 * 256 * 2 + 256 * 128 * 2
        weights = 2 * (layer + 3 * hidden * width * (2 + 2)) + 1024 * hidden
        self.assertAlmostEqual(result["bytes_per_decoded_token"], weights * 18 / 32, delta=0.05 * weights)

    def test_the_shapes_of_the_help_are_those_that_there_are(self):
        told = self.moxie("bench", "--shape", "cube").stderr
        known = re.search(r"'cube' is none of (.+)", told)[1]
        self.assertIn("qwen2-57b-a14b", known)
        listed = re.search(r"(?s)\nShapes: (.+?)\. ", self.must("bench", "--help"))[1]
        self.assertEqual(listed.split(), known.split())

    def test_weights_of_a_scale_are_as_many_as_asked_for(self):
        kept = self.folder / "group.moxie"
        self.must("bench", "--shape", "tiny", "--group", "128", "--keep", kept, "--prefill", "8", "--decode", "2")
        int4 = [t for t in json.loads(self.must("inspect", kept, "--json"))["tensors"] if t["type"] == "I4"]
        self.assertEqual({(t["group"], t["bytes"] / (t["shape"][0] * t["shape"][1])) for t in int4}, {(128, 1 / 2 + 2 / 128)})
        self.fails(2, "--group and --kv are for --shape", "bench", self.bundle, "--group", "64")
        self.fails(2, "--group and --kv are for --shape", "bench", self.bundle, "--kv", "int8")

    def test_several_sequences(self):
        result = json.loads(self.must("bench", self.bundle, "--prefill", "20", "--decode", "4", "--batch", "3", "--json",
                                      "--threads", "1", "--repeat", "2"))
        self.assertEqual((result["batch"], result["threads"]), (3, 1))
        # three sequences read what they share once: more than one would, less than three
        alone, kv = result["bytes_per_decoded_token"], 3 * 22.5 * result["kv_bytes_per_token"]
        self.assertTrue(alone <= result["bytes_per_step"] - kv <= 3 * alone)

    def test_large_pages_are_counted(self):
        """As the system counts them for another process that maps the same file in the same way."""
        bundle = self.folder / "large.moxie"
        result = json.loads(self.must("bench", "--shape", "smollm2-135m", "--keep", bundle, "--prefill", "1", "--decode", "1", "--json"))
        with open(bundle, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            try:
                mapped.madvise(mmap.MADV_HUGEPAGE)
            except OSError as e:
                self.skipTest(f"no large pages on this system: {e}")
            self.assertTrue(all(mapped[i] is not None for i in range(0, len(mapped), 4096)))
            found = 1024 * sum(map(int, re.findall(r"(?:File|Shmem)PmdMapped:\s+(\d+) kB", pathlib.Path("/proc/self/smaps_rollup").read_text())))
        self.assertAlmostEqual(result["large_page_bytes"], found, delta=8 << 20)  # what else either maps

    def memory(self, batch):
        result = json.loads(self.must("bench", "--shape", "tiny", "--prefill", "8", "--decode", "2", "--context", "1024",
                                      "--batch", batch, "--json"))
        planned, held = result["memory_planned_bytes"], result["memory_held_bytes"]
        # what is never needed stays untouched: most of the 4 MiB for program binaries and text, where kernels are cached
        self.assertTrue(planned - (4 << 20) < held <= planned, (planned, held))
        return planned, held, result["memory_of_process_bytes"] - held

    @unittest.skipIf("/san" in str(MOXIE), "a sanitizer takes memory beside the plan")
    def test_memory_is_what_was_planned(self):
        for _ in "cold", "warm":  # at first the driver's compiler may be in the process too
            (_, _, beside_one), (planned, held, beside) = self.memory(1), self.memory(256)
            if abs(beside - beside_one) < 0.01 * planned:
                break
        else:
            self.fail(f"beside the plan there are {beside_one} bytes with 1 sequence, {beside} with 256")
        self.assertGreater(held, 0.99 * planned)
        self.assertGreater(planned, 256 * 1024 * 2 * 2 * 2 * 64 * 2)  # keys and values: 2 layers, 2 heads of 64, half

    def test_kernels_are_measured_one_by_one(self):
        trace = self.folder / "trace.json"
        result = json.loads(self.must("bench", "--shape", "tiny", "--prefill", "20", "--decode", "3", "--kernels",
                                      "--trace", trace, "--json", "--threads", "2"))
        kinds = {(k["kernel"], k["what"]): k for k in result["decode_kernels"]["kinds"]}
        self.assertEqual({k: kinds["mx_linear", k]["launches"] for k in ("qkv", "down", "router", "head")},
                         {"qkv": 2 * 3, "down": 2 * 3, "router": 2 * 3, "head": 3})  # layers x tokens
        # 2 of 8 experts and the shared one in 2 parts; 20 tokens of prefill take all
        down = kinds["mx_linear", "down"]
        self.assertEqual(down["operations"], 3 * 2 * 4 * 2 * 256 * 128)
        read = {k["what"]: k for k in result["prefill_kernels"]["kinds"]}["down"]
        self.assertEqual(read["operations"], 20 * 2 * 4 * 2 * 256 * 128)
        for k in result["decode_kernels"]["kinds"]:
            self.assertGreater(k["seconds"], 0, k)
            self.assertAlmostEqual(k["bytes_per_s"] * k["seconds"], k["bytes"], delta=1)
        events = json.loads(trace.read_text())["traceEvents"]
        self.assertEqual(len(events), sum(k["launches"] for k in kinds.values()) / 3)
        for a, b in zip(events, events[1:]):
            self.assertLessEqual(a["ts"] + a["dur"], b["ts"] + 0.01)
        self.assertEqual({e["args"]["layer"] for e in events}, {-1, 0, 1})
        self.fails(1, "no-such-folder", "bench", self.bundle, "--prefill", "2", "--decode", "1", "--trace",
                   self.folder / "no-such-folder/t.json")

    def test_a_kept_shape_is_a_bundle_like_any_other(self):
        kept = self.folder / "kept.moxie"
        self.must("bench", "--shape", "tiny", "--keep", kept, "--prefill", "8", "--decode", "2")
        self.assertEqual(json.loads(self.must("inspect", kept, "--json"))["routed_experts"], 8)
        self.must("verify", kept)
        self.assertEqual([p for p in pathlib.Path("/dev/shm").glob("moxie-bench-*")], [])

    def test_the_gguf_of_a_shape_has_its_weights(self):
        kept, gguf, packed = (self.folder / name for name in ("shape.moxie", "shape.gguf", "packed.moxie"))
        self.must("bench", "--shape", "tiny", "--keep", kept, "--keep-gguf", gguf, "--prefill", "8", "--decode", "2")
        self.must("pack", gguf, "-o", packed)
        tokens = self.file("shape.txt", "1 5 9 77 300")
        rows = []
        for bundle in kept, packed:
            self.must("logits", bundle, "--tokens", tokens, "-o", self.folder / "shape.npy")
            rows.append((self.folder / "shape.npy").read_bytes())
        self.assertEqual(*rows)
        self.assertEqual(list(self.folder.glob("shape.gguf.*")), [])
        self.fails(20, "no-such-folder", "bench", "--shape", "tiny", "--prefill", "2", "--decode", "1", "--keep", kept,
                   "--keep-gguf", self.folder / "no-such-folder/s.gguf")

    def test_a_context_that_is_too_small(self):
        self.fails(2, "64 positions", "bench", self.bundle, "--prefill", "64", "--decode", "1", "--context", "64")


if __name__ == "__main__":
    unittest.main()
