#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the tokenizer with the `tokenizers` package on random texts. Run by hand, because it needs that package:

    make build/tests/test_tokenizer_vectors
    python3 tests/tokenizer_fuzz.py FOLDER|FILE.gguf|qwen [--count 100000] [--seed 1] [--specials]

A GGUF file (needs the `gguf` package) is rebuilt for `tokenizers` from its tokens and merges; `qwen` is
tests/data/tokenizer/qwen-tokenizer.json.xz. Prints the number of texts that differ; those that differ only because the two
libraries know different versions of Unicode are counted apart. Exit status 1 when there are others.
"""
import argparse
import lzma
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

DATA = pathlib.Path(__file__).parent / "data/tokenizer"
WORDS = ["Hello", " world", "'s", "'LL", "'Re", "'\u017f", "don't", "I'VE", "12345", "\u0663\u0664", "\u00bd", "\u2167",
         "\r\n", "\n", "\n\n", " \n ", "\t", "   ", "\u3000", "\u00a0", "\u2028", "caf\u00e9", "cafe\u0301", "\u212b",
         "\u0344", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u0915\u093c", "\U0001d15e", "\U0001f9d9\u200d\u2640\ufe0f",
         "\u4f60\u597d", "\u304b\u3099", "\u0e33", "a\u0315\u0300\u05ae\u0062", "<|im_end|>", "<|im_start|>", "<|im_",
         "<tool_call>", "</tool_call>", "<|endoftext|>", "_foo_bar", "!!!", " ...", "\x00", "\x7f", "\u0301", "\u0338"]


def random_char(r):
    kind = r.random()
    if kind < 0.35:
        return chr(r.randrange(0x20, 0x7F))
    if kind < 0.5:
        return chr(r.randrange(0x250))
    if kind < 0.6:
        return chr(r.choice([0x300, 0x590, 0x900, 0xE00, 0x1100, 0x1DC0, 0x20D0, 0x3040, 0xAC00]) + r.randrange(0x80))
    if kind < 0.8:
        c = r.randrange(0x10000)
    else:
        c = r.choice([r.randrange(0x10000, 0x20000), r.randrange(0x110000)])
    return chr(c) if not 0xD800 <= c < 0xE000 else "?"


def random_text(r):
    parts = []
    for _ in range(r.choice([1, 2, 4, 8, 16, 40])):
        parts.append(r.choice(WORDS) if r.random() < 0.4 else random_char(r))
        if r.random() < 0.3:
            parts.append(r.choice([" ", "  ", "\n", parts[-1], parts[-1] * r.randrange(1, 6)]))
    return "".join(parts)


def from_gguf(path):
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()
    tokens, types, pre = get("tokens"), get("token_type"), get("pre")
    unknown = tokens[get("unknown_token_id")] if "tokenizer.ggml.unknown_token_id" in fields else None
    merges = [tuple(m.split(" ")) for m in get("merges")]
    t = Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(tokens)}, merges=merges, unk_token=unknown))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if pre == "smollm":
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    elif pre == "gpt-2":
        t.pre_tokenizer = byte_level
    else:
        sys.exit(f"no rule for pre-tokenizer {pre}")
    t.add_special_tokens([AddedToken(s, normalized=False) for s, k in zip(tokens, types) if k in (2, 3)])
    return t


def other_unicode(text):
    """True if the text has a character that Unicode 15.0 (utf8proc 2.8) does not have, or that this Python does not have."""
    return any(unicodedata.category(c) == "Cn" for c in text) or any(c in NEWER for c in text)


# Assigned in Unicode 15.1 and later: utf8proc 2.8 sees unassigned characters here. (ranges)
NEWER_RANGES = [(0x2EBF0, 0x2EE5D), (0x2FFC, 0x2FFF), (0x31EF, 0x31EF)]
NEWER = {chr(c) for a, b in NEWER_RANGES for c in range(a, b + 1)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source")
    p.add_argument("--count", type=int, default=100000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--specials", action="store_true")
    p.add_argument("--every", action="store_true", help="every code point in one frame instead of random texts")
    p.add_argument("--driver", default="build/tests/test_tokenizer_vectors")
    a = p.parse_args()
    folder = None
    if a.source == "qwen":
        folder = tempfile.TemporaryDirectory()
        a.source = folder.name
        pathlib.Path(folder.name, "tokenizer.json").write_bytes(lzma.open(DATA / "qwen-tokenizer.json.xz").read())
    if a.source.endswith(".gguf"):
        reference = from_gguf(a.source)
    else:
        reference = Tokenizer.from_file(str(pathlib.Path(a.source, "tokenizer.json")))
    reference.encode_special_tokens = not a.specials

    r = random.Random(a.seed)
    if a.every:
        texts = [f"a{c}b 1{c}  {c}\n  \n{c}'{c}" for c in map(chr, range(0x110000)) if not "\ud800" <= c <= "\udfff"]
    else:
        texts = [random_text(r) for _ in range(a.count)]
    records = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts))
    mode = "SPECIALS" if a.specials else "PLAIN"
    answers = subprocess.run([a.driver, a.source, mode], input=records, stdout=subprocess.PIPE, check=True).stdout
    at = different = excused = tokens = 0
    for text in texts:
        n, = struct.unpack_from("<I", answers, at)
        at += 4
        ids = None if n == 0xFFFFFFFF else list(struct.unpack_from(f"<{n}I", answers, at))
        at += 0 if ids is None else 4 * n
        expected = reference.encode(text, add_special_tokens=False).ids
        tokens += len(expected)
        if ids != expected:
            # tokenizers' NFC knows no combining mark that is newer than Unicode 9: help it with Python's.
            if other_unicode(text) or ids == reference.encode(unicodedata.normalize("NFC", text), add_special_tokens=False).ids:
                excused += 1
                continue
            different += 1
            if different <= 10:
                print("differs:", ascii(text), "expected", expected, "got", ids)
    print(f"tokenizers {tokenizers.__version__}: {len(texts)} texts, {tokens} tokens, {different} differ, "
          f"{excused} differ by Unicode version")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
