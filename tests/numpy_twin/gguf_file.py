# SPDX-License-Identifier: Apache-2.0
"""Writes GGUF files of tiny models, so that tests can pack what llama.cpp's tools would have written.

    tensors = write(path, config, weights, kinds)

gives back the matrices that the file holds, as the twin computes with them.
"""
import struct

import numpy as np

from .arith import F, bf16, flush
from .forward import FloatMatrix, IntegerMatrix

ARCHITECTURES = {"qwen2_moe": "qwen2moe", "qwen2": "qwen2", "llama": "llama", "mistral": "llama", "mixtral": "llama",
                 "qwen3_moe": "qwen3moe", "olmoe": "olmoe", "deepseek": "deepseek", "gemma": "gemma"}
INTERLEAVED = "llama", "deepseek"  # architectures whose rows of q and k the converters of llama.cpp reorder
TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 8, "BF16": 30}
BLOCK = 32
NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp", "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp", "mlp.shared_expert.down_proj": "ffn_down_shexp",
    "mlp.experts.gate_proj": "ffn_gate_exps", "mlp.experts.up_proj": "ffn_up_exps",
    "mlp.experts.down_proj": "ffn_down_exps", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp", "block_sparse_moe.gate": "ffn_gate_inp",
    "block_sparse_moe.experts.w1": "ffn_gate_exps", "block_sparse_moe.experts.w3": "ffn_up_exps",
    "block_sparse_moe.experts.w2": "ffn_down_exps",
}


def gguf_name(name):
    """'model.layers.3.mlp.experts.5.up_proj.weight' -> ('blk.3.ffn_up_exps.weight', 5)"""
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    if name in whole:
        return whole[name], None
    parts = name.split(".")[2:]
    layer, kind, parts = parts[0], parts[-1], parts[1:-1]
    expert = next((int(p) for p in parts if p.isdigit()), None)
    return f"blk.{layer}.{NAMES['.'.join(p for p in parts if not p.isdigit())]}.{kind}", expert


def encode(weights, kind):
    """(bytes of the rows, the matrix that they stand for)."""
    rows, cols = weights.shape
    if kind == "F32":
        return weights.astype("<f4").tobytes(), FloatMatrix(flush(weights))
    if kind == "F16":
        half = weights.astype("<f2")
        return half.tobytes(), FloatMatrix(flush(half.astype(F)))
    if kind == "BF16":
        top = (weights.view(np.uint32) >> 16).astype("<u2")
        return top.tobytes(), FloatMatrix(flush(bf16(top)))
    blocks = weights.reshape(rows, cols // BLOCK, BLOCK)
    low, high = blocks.min(-1), blocks.max(-1)
    minimum = None
    if kind == "Q8_0":
        scale = (np.maximum(-low, high) / 127).astype("<f2")
        offset, limits = 0, (-127, 127)
    elif kind == "Q4_0":
        scale = (np.where(-low > high, low, high) / -8).astype("<f2")
        offset, limits = 8, (0, 15)
    else:
        minimum = low.astype("<f2")
        scale = ((high - low) / 15).astype("<f2")
        offset, limits = 0, (0, 15)
    start = 0 if minimum is None else minimum[..., None].astype(F)
    q = np.clip(np.rint((blocks - start) / scale[..., None].astype(F)) + offset, *limits).astype(np.int16)
    if kind == "Q8_0":
        data = q.astype(np.int8).view(np.uint8)
    else:
        data = (q[..., :16] | q[..., 16:] << 4).astype(np.uint8)
    fields = [scale[..., None].view(np.uint8)] + ([] if minimum is None else [minimum[..., None].view(np.uint8)])
    raw = np.concatenate(fields + [data], axis=-1).tobytes()
    minimum = None if minimum is None else minimum.astype(F)
    return raw, IntegerMatrix((q - offset).reshape(rows, cols), scale.astype(F), BLOCK, minimum)


def interleave(rows, heads):
    """llama's order of the rows of q and k in a GGUF: rows i and i + d/2 of a head side by side."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def keys(config):
    name = ARCHITECTURES[config["model_type"]]
    heads = config["num_attention_heads"]
    result = {"general.architecture": name, f"{name}.block_count": config["num_hidden_layers"],
              f"{name}.context_length": config["max_position_embeddings"],
              f"{name}.embedding_length": config["hidden_size"],
              f"{name}.feed_forward_length": config["intermediate_size"], f"{name}.attention.head_count": heads,
              f"{name}.attention.head_count_kv": config["num_key_value_heads"],
              f"{name}.rope.freq_base": float(config.get("rope_theta") or config["rope_parameters"]["rope_theta"]),
              f"{name}.attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
              f"{name}.vocab_size": config["vocab_size"]}
    if config.get("head_dim"):
        result |= {f"{name}.{key}": config["head_dim"]
                   for key in ("rope.dimension_count", "attention.key_length", "attention.value_length")}
    # the converters write the keys of the settings that a model has
    for key, settings in {"expert_count": ("num_experts", "num_local_experts", "n_routed_experts"),
                          "expert_used_count": ("num_experts_per_tok",),
                          "expert_feed_forward_length": ("moe_intermediate_size",),
                          "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
                          "leading_dense_block_count": ("first_k_dense_replace",),
                          "expert_shared_count": ("n_shared_experts",)}.items():
        result |= {f"{name}.{key}": config[s] for s in settings if config.get(s)}
    if name == "deepseek":
        result[f"{name}.expert_weights_scale"] = 1.0
    return result


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value(v):
    if isinstance(v, str):
        return struct.pack("<I", 8) + string(v)
    return struct.pack("<If", 6, v) if isinstance(v, float) else struct.pack("<II", 4, v)


def write(path, config, weights, kinds, stacked=True):
    """stacked False: a tensor for each expert, as the first files of Mixtral have. weights: {Hugging Face name: float32 array}; kinds: {GGUF name without 'blk.N.' and '.weight': type name, F32
    where it is not named}. Returns {Hugging Face name: matrix or vector} of what the file holds."""
    held, stored = {}, {}
    for name, tensor in weights.items():
        target, expert = gguf_name(name)
        part = target.removesuffix(".weight").split(".")[-1]
        if expert is not None and not stacked:
            target, expert = target.replace("_exps", f".{expert}"), None
        if tensor.ndim == 1 and not name.endswith("shared_expert_gate.weight"):
            there = tensor + F(1) if config["model_type"] == "gemma" else tensor  # its norms: the 1 is added by the converters
            held[name], raw, kind = flush(tensor), there.astype("<f4").tobytes(), "F32"
        else:
            kind = kinds.get(part, "F32")
            raw, held[name] = encode(tensor, kind)
            if ARCHITECTURES[config["model_type"]] in INTERLEAVED and part in ("attn_q", "attn_k"):
                heads = config["num_attention_heads" if part == "attn_q" else "num_key_value_heads"]
                rows = np.frombuffer(raw, np.uint8).reshape(len(tensor), -1)
                raw = interleave(rows, heads).tobytes()
        entry = stored.setdefault(target, [tensor.shape, TYPES[kind], {}])
        entry[2][expert] = raw
    infos, data = b"", b""
    for target, (shape, kind, parts) in stored.items():
        shape = shape if None in parts else (len(parts), *shape)
        infos += string(target) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, len(data))
        data += b"".join(parts[p] for p in (parts if None in parts else range(len(parts))))
        data += bytes(-len(data) % 32)
    entries = keys(config)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(stored), len(entries))
    head += b"".join(string(k) + value(v) for k, v in entries.items()) + infos
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return held
