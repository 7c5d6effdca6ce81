# SPDX-License-Identifier: Apache-2.0
"""The twin's model straight from a checkpoint, without bundle or packer: so the document itself is held against
transformers' logits, and a packed bundle against what went in.
"""
import json
import pathlib
import pickle
import zipfile

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


class TorchFile(pickle.Unpickler):
    """pytorch_model.bin: a zip of a pickle and one file of raw values for each storage."""

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        self.root = next(n for n in self.zip.namelist() if n.endswith("/data.pkl")).removesuffix("data.pkl")
        super().__init__(self.zip.open(self.root + "data.pkl"))

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda values, offset, shape, strides, *_rest: (
                values[offset:offset + int(np.prod(shape))].reshape(shape))
        kinds = {"FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2"}
        assert module == "torch" and name in kinds, f"{module}.{name}"
        return kinds[name]

    def persistent_load(self, pid):
        _storage, kind, key, _place, count = pid
        values = np.frombuffer(self.zip.read(f"{self.root}data/{key}"), kind, count)
        return bf16(values) if kind == "<u2" else values.astype(F)


def load(folder):
    """Model of a Hugging Face folder, with float weights as they are stored."""
    folder = pathlib.Path(folder)
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= read_safetensors(file)
    for file in sorted(folder.glob("*.bin")):
        tensors |= TorchFile(file).load()
    return build(json.loads((folder / "config.json").read_text()),
                 {name: flush(t) if t.ndim == 1 else FloatMatrix(flush(t)) for name, t in tensors.items()})


def build(config, tensors):
    """config: config.json. tensors: matrices (forward.py) and flushed vectors under the names of Hugging Face."""
    kind = config["model_type"]
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // heads
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    embedding = tensors["model.embed_tokens.weight"]
    norm = lambda name: flush(tensors[name] + F(1)) if kind == "gemma" else tensors[name]

    layers = []
    for index in range(config["num_hidden_layers"]):
        base = f"model.layers.{index}."
        qkv = [base + f"self_attn.{part}_proj" for part in "qkv"]
        mlp = lambda at: tuple(tensors[f"{at}.{part}_proj.weight"] for part in ("gate", "up", "down"))
        sparse, shared_gate, norm_topk, more = is_sparse(config, index), False, False, {}
        routed = count_experts(config) if sparse else 0
        if not sparse:
            router, experts = None, [mlp(base + "mlp")]
        elif kind == "mixtral":
            base += "block_sparse_moe."
            router, norm_topk = tensors[base + "gate.weight"], True
            experts = [tuple(tensors[f"{base}experts.{e}.w{n}.weight"] for n in (1, 3, 2)) for e in range(routed)]
        elif kind == "MoE++":
            router, experts, more = plus_layer(config, tensors, index)
            norm_topk = True
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
        factor = F(2) if kind == "MoE++" and doubled(config) else F(1)
        layers.append(Layer(
            attn_norm=norm(base + "input_layernorm.weight"),
            qkv=Stacked([tensors[n + ".weight"] for n in qkv]), qkv_bias=bias,
            qk_norm=tuple(tensors[f"{base}self_attn.{p}_norm.weight"] for p in "qk") if has_norm else None,
            attn_out=tensors[base + "self_attn.o_proj.weight"],
            ffn_norm=norm(base + "post_attention_layernorm.weight") * factor, router=router, experts=experts, routed=routed,
            top_k=config.get("num_experts_per_tok", 2) if sparse else 0, norm_topk=norm_topk, shared_gate=shared_gate,
            gelu=kind == "gemma", **more))
    return Model(
        heads=heads, kv_heads=config["num_key_value_heads"], head_dim=head_dim, eps=F(config["rms_norm_eps"]),
        inv_hidden=F(1 / hidden), attn_scale=F(head_dim ** -0.5),
        inv_freq=flush(F(theta ** (-2 * np.arange(head_dim // 2) / head_dim))), kv="F32", embedding=embedding,
        layers=layers, final_norm=norm("model.norm.weight"),
        head=embedding if config.get("tie_word_embeddings", kind == "gemma") else tensors["lm_head.weight"],
        embedding_scale=F(hidden ** 0.5) if kind == "gemma" else F(0))


def doubled(config):
    """Do the experts of this MoE++ read twice their input?"""
    return not (config.get("moe_use_mixtral_gating") or config.get("moe_feature_no_mul_topk"))


def plus_layer(config, tensors, index):
    """(router, experts, more fields of Layer) of a MoE++ layer. The last four experts are two constant ones, one that copies
    and one that gives zero. What the experts double is done by the norm; the router takes it back."""
    base, e = f"model.layers.{index}.mlp.moe.", count_experts(config)
    two = config.get("moe_2layer_gate", True)
    experts = []
    for j in range(e - 4):
        at = f"{base}experts.experts.{j}."
        up, width = tensors[at + "up_proj.weight"], config["intermediate_size"]
        experts.append((up.part(rows=slice(0, width)), up.part(rows=slice(width, 2 * width)), tensors[at + "down_proj.weight"]))
    first = tensors[base + ("gate.wg.0.weight" if two else "gate.wg.weight")].weights
    mix = [tensors[f"{base}experts.experts.{j}.wg.weight"].weights for j in (e - 4, e - 3)]
    more = dict(copies=1, zeros=1, constants=np.stack([tensors[f"{base}experts.experts.{j}.constant"] for j in (e - 4, e - 3)]),
                zero_apart=not config.get("moe_use_mixtral_gating"),
                deviation=F(config.get("moe_gate_norm_std", 1)) if config.get("moe_use_logits_norm") else F(0))
    if two:
        more["second"] = tensors[base + "gate.wg.2.weight"].weights
    if index:
        more["carried"] = tensors[base + "gate.gate_map.weight"].weights
    return FloatMatrix(np.concatenate([first * F(0.5) if doubled(config) else first, *mix])), experts, more


def count_experts(config):
    count = next((config[k] for k in ("num_experts", "num_local_experts", "n_routed_experts") if k in config), 0)
    return count[0] if isinstance(count, list) else count


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
