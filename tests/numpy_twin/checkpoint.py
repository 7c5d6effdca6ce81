# SPDX-License-Identifier: Apache-2.0
"""The twin's model straight from a checkpoint, without bundle or packer: so the document itself is held against
transformers' logits, and a packed bundle against what went in.
"""
import json
import pathlib

import numpy as np

from .arith import F, bf16, flush
from .forward import FloatMatrix, Layer, Model, Stacked


def read_safetensors(path):
    """{name: float32 array} of F32, F16 and BF16 tensors."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[start + begin:start + end]
        value = {"F32": lambda: np.frombuffer(raw, "<f4"), "F16": lambda: np.frombuffer(raw, "<f2").astype(F),
                 "BF16": lambda: bf16(np.frombuffer(raw, "<u2"))}[entry["dtype"]]()
        tensors[name] = value.reshape(entry["shape"])
    return tensors


def load(folder):
    """Model of a Hugging Face folder, with float weights as they are stored."""
    folder = pathlib.Path(folder)
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= read_safetensors(file)
    return build(json.loads((folder / "config.json").read_text()),
                 {name: flush(t) if t.ndim == 1 else FloatMatrix(flush(t)) for name, t in tensors.items()})


def build(config, tensors):
    """config: config.json. tensors: matrices (forward.py) and flushed vectors under the names of Hugging Face."""
    kind = config["model_type"]
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // heads
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    embedding = tensors["model.embed_tokens.weight"]

    layers = []
    for index in range(config["num_hidden_layers"]):
        base = f"model.layers.{index}."
        qkv = [base + f"self_attn.{part}_proj" for part in "qkv"]
        mlp = lambda at: tuple(tensors[f"{at}.{part}_proj.weight"] for part in ("gate", "up", "down"))
        sparse, shared_gate, norm_topk = is_sparse(config, index), False, False
        routed = count_experts(config) if sparse else 0
        if not sparse:
            router, experts = None, [mlp(base + "mlp")]
        elif kind == "mixtral":
            base += "block_sparse_moe."
            router, norm_topk = tensors[base + "gate.weight"], True
            experts = [tuple(tensors[f"{base}experts.{e}.w{n}.weight"] for n in (1, 3, 2)) for e in range(routed)]
        else:
            experts = [mlp(f"{base}mlp.experts.{e}") for e in range(routed)]
            router, norm_topk = [tensors[base + "mlp.gate.weight"]], config["norm_topk_prob"]
            shared_gate = base + "mlp.shared_expert_gate.weight" in tensors
            if shared_gate:
                router.append(tensors[base + "mlp.shared_expert_gate.weight"])
                experts += split_shared(mlp(base + "mlp.shared_expert"), config["moe_intermediate_size"])
            elif kind == "deepseek":
                experts += split_shared(mlp(base + "mlp.shared_experts"), config["moe_intermediate_size"])
            router = Stacked(router)
        base = f"model.layers.{index}."
        bias = np.concatenate([tensors[n + ".bias"] for n in qkv]) if qkv[0] + ".bias" in tensors else None
        has_norm = base + "self_attn.q_norm.weight" in tensors
        layers.append(Layer(
            attn_norm=tensors[base + "input_layernorm.weight"],
            qkv=Stacked([tensors[n + ".weight"] for n in qkv]), qkv_bias=bias,
            qk_norm=tuple(tensors[f"{base}self_attn.{p}_norm.weight"] for p in "qk") if has_norm else None,
            attn_out=tensors[base + "self_attn.o_proj.weight"],
            ffn_norm=tensors[base + "post_attention_layernorm.weight"], router=router, experts=experts, routed=routed,
            top_k=config["num_experts_per_tok"] if sparse else 0, norm_topk=norm_topk, shared_gate=shared_gate))
    return Model(
        heads=heads, kv_heads=config["num_key_value_heads"], head_dim=head_dim, eps=F(config["rms_norm_eps"]),
        inv_hidden=F(1 / hidden), attn_scale=F(head_dim ** -0.5),
        inv_freq=flush(F(theta ** (-2 * np.arange(head_dim // 2) / head_dim))), kv_half=False, embedding=embedding,
        layers=layers, final_norm=tensors["model.norm.weight"],
        head=embedding if config.get("tie_word_embeddings") else tensors["lm_head.weight"])


def count_experts(config):
    return next((config[k] for k in ("num_experts", "num_local_experts", "n_routed_experts") if k in config), 0)


def is_sparse(config, index):
    if config["model_type"] == "deepseek":
        return index >= config["first_k_dense_replace"] and index % config["moe_layer_freq"] == 0
    return (count_experts(config) > 0 and index not in (config.get("mlp_only_layers") or ())
            and (index + 1) % config.get("decoder_sparse_step", 1) == 0)


def split_shared(matrices, width):
    """The shared expert as always-selected experts of the routed ones' width; the last may be narrower."""
    gate, up, down = matrices
    parts = (slice(i, min(i + width, down.columns)) for i in range(0, down.columns, width))
    return [(gate.part(rows=part), up.part(rows=part), down.part(columns=part)) for part in parts]
