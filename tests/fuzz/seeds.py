#!/usr/bin/env python3
"""Writes small valid inputs for the fuzz targets: seeds.py FOLDER (gets a folder for each target). Needs NumPy."""
import base64
import gzip
import json
import pathlib
import struct
import sys
import zipfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import checkpoint_files as files  # noqa: E402  pylint: disable=wrong-import-position
from test_archives import tar, zipped  # noqa: E402  pylint: disable=wrong-import-position


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def key(name, value):
    if isinstance(value, str):
        return string(name) + struct.pack("<I", 8) + string(value)
    if isinstance(value, float):
        return string(name) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        return string(name) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(string, value))
    return string(name) + struct.pack("<II", 4, value)


def gguf(arch):
    """One layer of hidden 32, one head of 32, FFN 32, vocabulary 3; Q8_0, Q4_1, Q4_0 and F32 tensors."""
    keys = {"general.architecture": arch, "tokenizer.ggml.tokens": ["a", "<|im_end|>", ""],
            "tokenizer.ggml.eos_token_id": 1} | {f"{arch}.{k}": v for k, v in {
                "block_count": 1, "context_length": 8, "embedding_length": 32, "attention.head_count": 1,
                "feed_forward_length": 32, "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 1e4}.items()}
    tensors = [("token_embd.weight", (32, 3), 8), ("output_norm.weight", (32,), 0), ("blk.0.attn_norm.weight", (32,), 0),
               ("blk.0.ffn_norm.weight", (32,), 0)]
    tensors += [(f"blk.0.attn_{n}.weight", (32, 32), 3) for n in ("q", "k", "v", "output")]
    if arch == "qwen2moe":
        keys |= {"qwen2moe.expert_count": 2, "qwen2moe.expert_used_count": 1}
        tensors += [("output.weight", (32, 3), 30), ("blk.0.ffn_gate_inp.weight", (32, 2), 0),
                    ("blk.0.ffn_gate_inp_shexp.weight", (32,), 0)]
        tensors += [(f"blk.0.attn_{n}.bias", (32,), 0) for n in ("q", "k", "v")]
        tensors += [(f"blk.0.ffn_{n}_exps.weight", (32, 32, 2), 2) for n in ("gate", "up", "down")]
        tensors += [(f"blk.0.ffn_{n}_shexp.weight", (32, 32), t) for n, t in (("gate", 6), ("up", 7), ("down", 20))]
    else:
        tensors += [(f"blk.0.ffn_{n}.weight", (32, 32), 2) for n in ("gate", "up", "down")]
    size = {0: 128, 1: 64, 2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 20: 18, 30: 64}  # bytes of 32 elements
    infos, data = b"", b""
    for name, dims, kind in tensors:
        data += bytes(-len(data) % 32)
        infos += string(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims)
        infos += struct.pack("<IQ", kind, len(data))
        rows = 1
        for d in dims[1:]:
            rows *= d
        data += bytes(size[kind] * rows)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(key(*k) for k in keys.items()) + infos
    return head + bytes(-len(head) % 32) + data


def safetensors():
    header = json.dumps({"__metadata__": {"format": "pt"},
                         "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                         "b": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]},
                         "c": {"dtype": "I64", "shape": [0, 5], "data_offsets": [26, 26]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(26)


def int4(awq):
    """quantize_config.json in a line, and one module of 32 x 32."""
    random, groups = np.random.RandomState(1), np.zeros(32, int)
    parts = files.quantise(random.standard_normal((32, 32)), groups, awq, random)
    name = "model.layers.0.mlp.up_proj.weight"
    tensors = files.awq_tensors(name, *parts) if awq else files.gptq_tensors(name, *parts, groups)
    settings = files.awq_settings(32) if awq else files.gptq_settings(32, False)
    return json.dumps(settings).encode() + b"\n" + files.safetensors(tensors)


def more_seeds():
    tensors = {"a": np.arange(6, dtype="<f2").reshape(2, 3), "b": files.Tensor(np.ones(4, "<f4"), parameter=True)}
    plain = files.torch_bin(tensors)
    with zipfile.ZipFile(pathlib.Path(files.__file__).parent / "data/importer/torch/pytorch_model.bin") as archive:
        written = archive.read("pytorch_model/data.pkl")
    members = [("m/config.json", b"{}"), ("m/model.safetensors", safetensors())]
    return {"gptq/gptq": int4(False), "gptq/awq": int4(True), "torch_bin/a": plain, "pickle/torch": written,
            "pickle/a": plain[plain.index(b"\x80\x02"):plain.index(b"PK", 4)], "archive/tar": tar(members),
            "archive/tgz": gzip.compress(tar(members)), "archive/zip": zipped(members),
            "archive/deflated": zipped(members, zipfile.ZIP_DEFLATED)}


def tokenizers():
    """A few tokens of each kind, as fuzz_tokenizer.c takes them; a SentencePiece model of <unk>, <s>, </s>, bytes, a, b, ab."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    alphabet = [chr(c) for c in plain] + [chr(256 + i) for i in range(68)]
    vocab = {t: i for i, t in enumerate([*alphabet, "ab", "abc"])}
    merges = ["a b", "ab c"]
    added = [{"id": len(vocab), "content": "<|im_end|>", "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True}]
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
             "post_processor": None, "decoder": {"type": "ByteLevel"},
             "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                       "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab, "merges": merges}}
    config = b'\0{"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|im_end|>"}'
    field = lambda number, kind, value: bytes([number << 3 | kind]) + value
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)] + [(f"<0x{b:02X}>", 0, 6) for b in range(256)]
    pieces += [("a", -1, 1), ("b", -2, 1), ("ab", -3, 1), ("\u2581", -4, 1)]
    model = b""
    for text, score, kind in pieces:
        text = text.encode()
        body = field(1, 2, bytes([len(text)]) + text) + field(2, 5, struct.pack("<f", score)) + field(3, 0, bytes([kind]))
        model += field(1, 2, bytes([len(body)]) + body)
    model += field(2, 2, bytes([2]) + field(3, 0, b"\2")) + field(3, 2, bytes([2]) + field(4, 0, b"\0"))
    ranks = b"".join(base64.b64encode(bytes([b])) + b" %d\n" % b for b in range(256))
    return {"json": b"j" + json.dumps(whole).encode() + config, "spm": b"m" + model, "tiktoken": b"t" + ranks + config,
            "vocab": b"v" + json.dumps(vocab).encode() + b"\0#version: 0.2\n" + "\n".join(merges).encode() + config}


def main():
    out = pathlib.Path(sys.argv[1])
    reference = pathlib.Path(__file__).resolve().parent.parent / "data" / "reference"
    seeds = {"safetensors/a": safetensors()} | {f"gguf/{a}": gguf(a) for a in ("llama", "qwen2moe")}
    seeds |= {f"config/{p.parent.name}": p.read_bytes() for p in reference.glob("*/config.json")}
    seeds |= more_seeds() | {f"tokenizer/{name}": data for name, data in tokenizers().items()}
    size = int.from_bytes((reference / "llama/model.safetensors").read_bytes()[:8], "little")
    names = json.loads((reference / "llama/model.safetensors").read_bytes()[8:8 + size])
    seeds["index/llama"] = json.dumps({"metadata": {"total_size": 1}, "weight_map": {
        name: "a.safetensors" for name in names if name != "__metadata__"}}).encode()
    for name, data in seeds.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)


if __name__ == "__main__":
    main()
