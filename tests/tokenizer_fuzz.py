#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the tokenizer with the packages `tokenizers`, `sentencepiece` and `tiktoken` on random texts. Run by hand,
because it needs them, and `protobuf` and `gguf`:

    make build/tests/test_tokenizer_vectors
    python3 tests/tokenizer_fuzz.py SOURCE [--as json] [--count 100000] [--seed 1] [--specials] [--every] [--decode]

SOURCE is a folder with tokenizer.json or tokenizer.model; a GGUF file, which is rebuilt from its tokens for `tokenizers`,
or for `sentencepiece` when it is one of that kind; or
    qwen      tests/data/tokenizer/qwen-tokenizer.json.xz
    tiktoken  the same vocabulary as qwen.tiktoken, by the package tiktoken
    spm:NAME  a SentencePiece model trained on the spot: plain, gemma (no dummy prefix, user symbols), users (both)
--as json converts a SentencePiece model to a tokenizer.json first, with the merges that transformers makes: --as json or
json-first (Metaspace instead of Prepend). Prints the number of texts that differ; those that differ only because the
two libraries know different versions of Unicode, or for another known reason (is_excused), are counted apart. Exit status 1 when there are others.
"""
import argparse
import base64
import io
import json
import lzma
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

DATA = pathlib.Path(__file__).parent / "data/tokenizer"
WORDS = ["Hello", " world", "'s", "'LL", "'Re", "'\u017f", "don't", "I'VE", "12345", "\u0663\u0664", "\u00bd", "\u2167",
         "\r\n", "\n", "\n\n", " \n ", "\t", "   ", "\u3000", "\u00a0", "\u2028", "caf\u00e9", "cafe\u0301", "\u212b",
         "\u0344", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u0915\u093c", "\U0001d15e", "\U0001f9d9\u200d\u2640\ufe0f",
         "\u4f60\u597d", "\u304b\u3099", "\u0e33", "a\u0315\u0300\u05ae\u0062", "<|im_end|>", "<|im_start|>", "<|im_",
         "<tool_call>", "</tool_call>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<mask>", "\u2581", "\u2581\u2581", "<0x0A>", "abc", "_foo_bar", "!!!", " ...", "\x00", "\x7f", "\u0301", "\u0338"]


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


DEEPSEEK = DATA / "../../../pack/tokenizer_hf_rules.c"


def deepseek_steps():
    """The regular expressions as pack/ has them, which refuses a tokenizer.json with others."""
    source = DEEPSEEK.read_text()
    letters = source[source.index("#define DEEPSEEK_LETTERS"):source.index("/* The steps of DeepSeek")]
    letters = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', letters)).encode().decode("unicode_escape")
    table = source[source.index("deepseek_regexes[] = {"):]
    rows = [r for r in table[:table.index("};")].split("\n")[1:] if r.strip()]
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', r.replace("DEEPSEEK_LETTERS", '"@"'))).encode().decode("unicode_escape")
            .replace("@", letters) for r in rows]


def from_gguf(path):
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()
    tokens, types = get("tokens"), get("token_type")
    if get("model") == "llama":
        pieces = [(text, score, kind) for text, score, kind in zip(tokens, get("scores"), types)]
        prefix = "tokenizer.ggml.add_space_prefix" not in fields or get("add_space_prefix")
        return SentencePiece(model_proto(pieces, prefix))
    pre = get("pre")
    unknown = tokens[get("unknown_token_id")] if "tokenizer.ggml.unknown_token_id" in fields else None
    merges = [tuple(m.split(" ")) for m in get("merges")]
    t = Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(tokens)}, merges=merges, unk_token=unknown))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    if pre == "smollm":
        t.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    elif pre == "gpt-2":
        t.pre_tokenizer = byte_level
    elif pre == "deepseek-llm":
        splits = [pre_tokenizers.Split(tokenizers.Regex(r), "isolated") for r in deepseek_steps()]
        t.pre_tokenizer = pre_tokenizers.Sequence(
            splits + [digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        sys.exit(f"no rule for pre-tokenizer {pre}")
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, normalized=False) for s, k in zip(tokens, types) if k in (2, 3)])
    t.add_tokens([AddedToken(s, normalized=False) for s, k in zip(tokens, types) if k == 4])
    return t


def model_proto(pieces, prefix):
    from sentencepiece import sentencepiece_model_pb2 as pb
    m = pb.ModelProto()
    for text, score, kind in pieces:
        m.pieces.add(piece=text, score=score, type=kind)
    m.trainer_spec.model_type = 2
    m.trainer_spec.byte_fallback = True
    m.normalizer_spec.name = "identity"
    m.normalizer_spec.add_dummy_prefix = bool(prefix)
    m.normalizer_spec.remove_extra_whitespaces = False
    return m.SerializeToString()


class SentencePiece:
    """The package, as far as it is asked for what Tokenizer has."""
    encode_special_tokens = True

    def __init__(self, model):
        import sentencepiece
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def encode(self, text, add_special_tokens):
        class Encoding:
            ids = self.processor.encode(text)
        return Encoding

    def decode(self, ids, skip_special_tokens):
        return self.processor.decode(ids)


class Tiktoken:
    """The package with Qwen v1's pattern and specials; its tokenizer normalises to NFC first."""
    encode_special_tokens = True
    PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
               r"\s+(?!\S)|\s+")

    def __init__(self, ranks):
        import tiktoken
        names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)]
        self.special = {name: len(ranks) + i for i, name in enumerate(names)}
        self.package = tiktoken.Encoding("qwen", pat_str=self.PATTERN, mergeable_ranks=ranks, special_tokens=self.special)

    def encode(self, text, add_special_tokens):
        class Encoding:
            ids = self.package.encode(unicodedata.normalize("NFC", text), disallowed_special=(),
                                      allowed_special=set() if self.encode_special_tokens else "all")
        return Encoding

    def decode(self, ids, skip_special_tokens):
        return self.package.decode([i for i in ids if i not in self.special.values()])

    def get_vocab_size(self):
        return self.package.n_vocab


def train(kind):
    import sentencepiece
    out = io.BytesIO()
    words = [w for w in WORDS if "\x00" not in w and "\u2581" not in w]
    r = random.Random(7)
    text = ["".join(r.choice(words) for _ in range(12)).replace("\n", " ") for _ in range(4000)]
    users = {"plain": [], "gemma": ["<mask>", "\n", "\n\n", "\n\n\n", "\u2581\u2581", "\u2581\u2581\u2581", "<table>", "<start_of_turn>"],
             "users": ["ab", "abc", "\u2581world", "<t>", "\u2581\u2581", "b\u2581c"]}[kind]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_writer=out, vocab_size=900, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=kind != "gemma",
        user_defined_symbols=users, character_coverage=0.98, split_by_whitespace=kind != "users", minloglevel=2,
        allow_whitespace_only_pieces=True, hard_vocab_limit=False, num_threads=1)
    return out.getvalue()


def to_json(model, first):
    """tokenizer.json of a SentencePiece model, as transformers converts it."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    m = pb.ModelProto.FromString(model)
    prefix = m.normalizer_spec.add_dummy_prefix
    vocab = {p.piece: i for i, p in enumerate(m.pieces)}
    merges = []
    for p in m.pieces:
        local = [(p.piece[:i], p.piece[i:], p.score) for i in range(1, len(p.piece))
                 if p.piece[:i] in vocab and p.piece[i:] in vocab]
        merges += sorted(local, key=lambda x: (vocab[x[0]], vocab[x[1]]))
    merges = [x[:2] for x in sorted(merges, key=lambda x: (x[2], len(x[0]), len(x[1])), reverse=True)]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "\u2581")
    if first:
        t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="first", split=False)
    else:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), replace]) if prefix else replace
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    t.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * prefix)
    t.add_special_tokens([AddedToken(p.piece, normalized=False) for p in m.pieces if p.type in (2, 3)])
    t.add_tokens([AddedToken(p.piece, normalized=False) for p in m.pieces if p.type == 4])
    return t.to_str()


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
    p.add_argument("--decode", action="store_true", help="compare the texts of random ids instead")
    p.add_argument("--as", dest="form", choices=["json", "json-first"])
    p.add_argument("--driver", default="build/tests/test_tokenizer_vectors")
    a = p.parse_args()
    folder = tempfile.TemporaryDirectory()
    put = lambda name, data: pathlib.Path(folder.name, name).write_bytes(data)
    reference, source = make_reference(a, put)
    source = source or folder.name
    if a.specials and isinstance(reference, SentencePiece):
        p.error("sentencepiece reads control tokens as text: --specials needs --as")
    reference.encode_special_tokens = not a.specials
    r = random.Random(a.seed)
    status = (compare_decoding if a.decode else compare_encoding)(a, r, reference, source)
    return status


def make_reference(a, put):
    """The other library's tokenizer, and the source for ours: None when it was put into the folder."""
    qwen = lambda: lzma.open(DATA / "qwen-tokenizer.json.xz").read()
    if a.source in ("qwen", "tiktoken"):
        if a.source == "qwen":
            put("tokenizer.json", qwen())
            return Tokenizer.from_str(qwen().decode()), None
        whole = json.loads(qwen())
        plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
        others = [b for b in range(256) if b not in plain]
        byte = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}
        ranks = {bytes(byte[c] for c in text): i for text, i in whole["model"]["vocab"].items()}
        put("qwen.tiktoken", b"".join(base64.b64encode(text) + b" %d\n" % i for text, i in ranks.items()))
        return Tiktoken(ranks), None
    if a.source.startswith("spm:"):
        model = train(a.source[4:])
    elif a.source.endswith(".gguf"):
        reference = from_gguf(a.source)
        if not a.form:
            return reference, a.source
        model = reference.processor.serialized_model_proto()
    elif pathlib.Path(a.source, "tokenizer.json").exists():
        return Tokenizer.from_file(str(pathlib.Path(a.source, "tokenizer.json"))), a.source
    else:
        model = pathlib.Path(a.source, "tokenizer.model").read_bytes()
    if a.form:
        text = to_json(model, a.form == "json-first")
        put("tokenizer.json", text.encode())
        return Tokenizer.from_str(text), None
    put("tokenizer.model", model)
    return SentencePiece(model), None


def drive(a, source, mode, records):
    """Our answers: a list of u32 or None per record, or bytes when decoding."""
    data = b"".join(struct.pack("<I", len(b)) + b for b in records)
    answers = subprocess.run([a.driver, source, mode], input=data, stdout=subprocess.PIPE, check=True).stdout
    at, result = 0, []
    for _ in records:
        n, = struct.unpack_from("<I", answers, at)
        at += 4
        size = 0 if n == 0xFFFFFFFF else n if mode == "DECODE" else 4 * n
        body = answers[at:at + size]
        at += size
        result.append(None if n == 0xFFFFFFFF else body if mode == "DECODE" else list(struct.unpack(f"<{n}I", body)))
    return result


def compare_encoding(a, r, reference, source):
    if a.every:
        texts = [f"a{c}b 1{c}  {c}\n  \n{c}'{c}" for c in map(chr, range(0x110000)) if not "\ud800" <= c <= "\udfff"]
    else:
        texts = [random_text(r) for _ in range(a.count)]
    answers = drive(a, source, "SPECIALS" if a.specials else "PLAIN", [t.encode() for t in texts])
    different = excused = tokens = 0
    for text, ids in zip(texts, answers):
        expected = reference.encode(text, add_special_tokens=False).ids
        tokens += len(expected)
        if ids != expected:
            if is_excused(a, text, ids, reference):
                excused += 1
                continue
            different += 1
            if different <= 10:
                print("differs:", ascii(text), "expected", expected, "got", ids)
    print(f"tokenizers {tokenizers.__version__}: {len(texts)} texts, {tokens} tokens, {different} differ, "
          f"{excused} differ for a known reason")
    return 1 if different else 0


def is_excused(a, text, ids, reference):
    """Texts that may differ, and why. SentencePiece itself: none."""
    if a.form:
        # A text that itself writes U+2581: tokenizers cuts user tokens of U+2581 out of it; to us all of them are spaces.
        return a.source in ("spm:gemma", "spm:users") and "\u2581" in text
    # Qwen v1 normalises before it looks for control tokens: a mark behind one fuses with its ">". tokenizers, and so we, cut first.
    if isinstance(reference, Tiktoken) and any(name + "\u0338" in text for name in reference.special):
        return True
    # Character classes and NFC of another version of Unicode; tokenizers' NFC knows no mark newer than Unicode 9: help it.
    return isinstance(reference, (Tokenizer, Tiktoken)) and (
        other_unicode(text) or ids == reference.encode(unicodedata.normalize("NFC", text), add_special_tokens=False).ids)


def compare_decoding(a, r, reference, source):
    """Random ids, of which many texts are not UTF-8."""
    size = reference.processor.get_piece_size() if isinstance(reference, SentencePiece) else reference.get_vocab_size()
    first = 1 if isinstance(reference, SentencePiece) else 0 # <unk> shows as \u2047 there, here as nothing
    lists = [[r.randrange(first, size) for _ in range(r.choice([1, 2, 5, 20]))] for _ in range(a.count)]
    answers = drive(a, source, "DECODE", [struct.pack(f"<{len(x)}I", *x) for x in lists])
    space = reference.processor.piece_to_id("<0x20>") if isinstance(reference, SentencePiece) else -1
    different = invalid = 0
    for ids, text in zip(lists, answers):
        expected, got = reference.decode(ids, skip_special_tokens=True), text.decode()
        if got != expected:
            # Of bytes that are not UTF-8 all of a run become U+FFFD there, here only those that are wrong. And the package
            # sentencepiece keeps a first space that is a byte token, which encoding never makes.
            shown = [i for i in ids if i > 2]  # not <s>, </s>
            if "\ufffd" in expected or shown[:1] == [space]:
                invalid += 1
                continue
            different += 1
            if different <= 10:
                print("differs:", ids, ascii(expected), "got", ascii(got))
    print(f"{len(lists)} lists of ids, {different} differ, {invalid} differ for a known reason")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
