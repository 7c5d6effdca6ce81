# SPDX-License-Identifier: Apache-2.0
"""A tiny model that can chat, written by hand as a Hugging Face folder: random weights, one token per byte, ChatML.

    tiny_chat.py FOLDER
"""
import json
import pathlib
import struct
import sys

import numpy as np

HIDDEN, LAYERS, HEADS, KV_HEADS, WIDTH, POSITIONS = 64, 2, 4, 2, 96, 512
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCAB = 256 + len(SPECIALS)
IM_END = VOCAB - 1
TEMPLATE = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
            "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
            "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def byte_characters():
    """GPT-2's printable character of each byte: id = byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def tensors(seed=1):
    random = np.random.default_rng(seed)
    matrix = lambda rows, cols: random.standard_normal((rows, cols), np.float32) / np.float32(np.sqrt(cols))
    head_dim = HIDDEN // HEADS
    result = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN), "model.norm.weight": np.ones(HIDDEN, np.float32)}
    for layer in range(LAYERS):
        base = f"model.layers.{layer}."
        result |= {
            base + "input_layernorm.weight": np.ones(HIDDEN, np.float32),
            base + "post_attention_layernorm.weight": np.ones(HIDDEN, np.float32),
            base + "self_attn.q_proj.weight": matrix(HIDDEN, HIDDEN),
            base + "self_attn.k_proj.weight": matrix(KV_HEADS * head_dim, HIDDEN),
            base + "self_attn.v_proj.weight": matrix(KV_HEADS * head_dim, HIDDEN),
            base + "self_attn.o_proj.weight": matrix(HIDDEN, HIDDEN),
            base + "mlp.gate_proj.weight": matrix(WIDTH, HIDDEN),
            base + "mlp.up_proj.weight": matrix(WIDTH, HIDDEN),
            base + "mlp.down_proj.weight": matrix(HIDDEN, WIDTH),
        }
    return result


def safetensors(values):
    header, data = {}, b""
    for name, value in values.items():
        raw = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "intermediate_size": WIDTH, "vocab_size": VOCAB, "max_position_embeddings": POSITIONS, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, "eos_token_id": IM_END,
        "torch_dtype": "float32",
    }
    tokenizer = {
        "version": "1.0",
        "added_tokens": [{"id": 256 + i, "content": text, "special": True, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False} for i, text in enumerate(SPECIALS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(byte_characters())}, "merges": []},
    }
    texts = {
        "config.json": config,
        "generation_config.json": {"eos_token_id": IM_END},
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"chat_template": TEMPLATE, "eos_token": "<|im_end|>"},
    }
    for name, value in texts.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False))
    (folder / "model.safetensors").write_bytes(safetensors(tensors()))


if __name__ == "__main__":
    write(sys.argv[1])
