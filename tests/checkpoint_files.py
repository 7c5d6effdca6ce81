# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in the layouts of the hub, written with NumPy alone: safetensors of every type, GPTQ, AWQ, PyTorch's .bin.

What these functions pack follows the formats' own definitions and shares no code with pack/. `held` dictionaries have
what the file means: matrices and vectors as numpy_twin/checkpoint.py takes them."""
import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

from numpy_twin.arith import F, flush
from numpy_twin.forward import FloatMatrix, IntegerMatrix

TYPES = {"f2": "F16", "f4": "F32", "i4": "I32", "u2": "BF16", "i8": "I64"}  # uint16 stands for bfloat16


def moe_config(**changes):
    """qwen2_moe as it is published, two layers; 160 columns are one group of 128 and a short one."""
    return dict(architectures=["Qwen2MoeForCausalLM"], model_type="qwen2_moe", hidden_size=160, num_hidden_layers=2,
                num_attention_heads=5, num_key_value_heads=1, intermediate_size=64, num_experts=5,
                num_experts_per_tok=2, moe_intermediate_size=128, shared_expert_intermediate_size=256,
                norm_topk_prob=False, vocab_size=67, max_position_embeddings=256, rope_theta=1e6, rms_norm_eps=1e-6,
                hidden_act="silu", torch_dtype="float16", eos_token_id=66) | changes


def random_weights(config, seed=5):
    """{name: float32} of a qwen2_moe or llama model, halfs in value."""
    random = np.random.RandomState(seed)
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    half = lambda x: x.astype(np.float16).astype(F)
    matrix = lambda *shape: half(1.2 / np.sqrt(shape[-1]) * random.standard_normal(shape))
    vector = lambda n, mean=0: half(mean + 0.2 * random.standard_normal(n))
    moe = config["model_type"] == "qwen2_moe"
    result = {"model.embed_tokens.weight": matrix(vocab, hidden), "model.norm.weight": vector(hidden, 1),
              "lm_head.weight": matrix(vocab, hidden)}
    for layer in range(config["num_hidden_layers"]):
        base = f"model.layers.{layer}."
        for part in "qkv":
            rows = head * config["num_attention_heads" if part == "q" else "num_key_value_heads"]
            result[f"{base}self_attn.{part}_proj.weight"] = matrix(rows, hidden)
            if moe:
                result[f"{base}self_attn.{part}_proj.bias"] = vector(rows)
        result |= {base + "self_attn.o_proj.weight": matrix(hidden, head * config["num_attention_heads"]),
                   base + "input_layernorm.weight": vector(hidden, 1),
                   base + "post_attention_layernorm.weight": vector(hidden, 1)}
        widths = {"mlp": config["intermediate_size"]}
        if moe:
            widths = {f"mlp.experts.{e}": config["moe_intermediate_size"] for e in range(config["num_experts"])}
            widths["mlp.shared_expert"] = config["shared_expert_intermediate_size"]
            result |= {base + "mlp.gate.weight": matrix(config["num_experts"], hidden),
                       base + "mlp.shared_expert_gate.weight": matrix(1, hidden)}
        for name, width in widths.items():
            result |= {f"{base}{name}.gate_proj.weight": matrix(width, hidden),
                       f"{base}{name}.up_proj.weight": matrix(width, hidden),
                       f"{base}{name}.down_proj.weight": matrix(hidden, width)}
    return result


def is_quantised(name):
    """What tools quantise: all projections of attention, experts and the shared expert."""
    return name.endswith("_proj.weight")


def safetensors(tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        raw = np.ascontiguousarray(value).tobytes()
        header[name] = {"dtype": TYPES[value.dtype.str[1:]], "shape": list(value.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write_folder(folder, config, tensors, **files):
    """files: other JSON files by their names without ending."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in {"config": config, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    return folder


# ---- Int4 ------------------------------------------------------------------------------------------------------------

def quantise(weights, groups, sym, random, zeros=(0, 16)):
    """Integers q, zero-points z and half scales s of every group: weights ~ s (q - z). groups: (columns)."""
    count = groups.max() + 1
    q = np.zeros(weights.shape, np.int64)
    scale = np.zeros((len(weights), count), np.float16)
    zero = np.full((len(weights), count), 8) if sym else random.randint(*zeros, (len(weights), count))
    for g in range(count):
        part = weights[:, groups == g]
        scale[:, g] = np.maximum(np.abs(part).max(1), 1e-3) / 7
        q[:, groups == g] = np.clip(np.rint(part / scale[:, g:g + 1].astype(F)) + zero[:, g:g + 1], 0, 15)
    return q, zero, scale


def pack_nibbles(values, axis):
    """int32 words of 8 values along an axis, the lowest in the lowest bits."""
    values = np.moveaxis(values, axis, -1)
    values = values.reshape(*values.shape[:-1], -1, 8).astype(np.uint32)
    words = (values << (4 * np.arange(8, dtype=np.uint32))).sum(-1, dtype=np.uint32)
    return np.moveaxis(words, -1, axis).astype("<u4").view("<i4")


def gptq_tensors(name, q, zero, scale, groups, v2=False, bias=None, add=1):
    """The tensors of module X, whose W[n][k] = scale[n][g] (q[n][k] - zero[n][g])."""
    base = name.removesuffix("weight")
    stored = zero if v2 else (zero - add) & 15
    return {base + "qweight": pack_nibbles(q.T, 0), base + "qzeros": pack_nibbles(stored.T, 1),
            base + "scales": scale.T.astype("<f2"), base + "g_idx": groups.astype("<i4"),
            base + "bias": (np.zeros(len(q)) if bias is None else bias).astype("<f2")}


AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # column of nibble i


def awq_tensors(name, q, zero, scale, order=AWQ_ORDER):
    base = name.removesuffix("weight")
    mixed = lambda x: x.reshape(*x.shape[:-1], -1, 8)[..., order].reshape(x.shape)
    return {base + "qweight": pack_nibbles(mixed(q.T), 1), base + "qzeros": pack_nibbles(mixed(zero.T), 1),
            base + "scales": scale.T.astype("<f2")}


def regroup(matrix, group):
    """The same values with smaller groups: scales repeat."""
    times = matrix.group // group
    count = -(-matrix.columns // group)
    return IntegerMatrix(matrix.q, np.repeat(matrix.scale, times, axis=1)[:, :count], group)


def int4_checkpoint(config, group, sym, awq=False, v2=False, seed=7, left=lambda name: False, shuffle=None,
                    zeros=(0, 16), **detail):
    """(tensors of the file, held). group 0: whole rows. shuffle(columns, random): the groups of the columns.
    left: modules that stay F16. detail: of gptq_tensors or awq_tensors, to write a file that is wrong."""
    random = np.random.RandomState(seed)
    weights = random_weights(config)
    tensors, held = {}, {}
    for name, value in weights.items():
        if not is_quantised(name) or left(name):
            tensors.setdefault(name, value.astype("<f2"))
            held[name] = flush(value) if value.ndim == 1 else FloatMatrix(flush(value))
            continue
        columns = value.shape[1]
        groups = np.arange(columns) // (group or columns)
        groups = shuffle(groups, random) if shuffle else groups
        q, zero, scale = quantise(value, groups, sym, random, zeros)
        off = q - zero[:, groups]
        values = scale.astype(F)[:, groups] * off.astype(F)
        held[name] = FloatMatrix(values) if shuffle else IntegerMatrix(off, scale.astype(F), group or 128)
        if not group:
            held[name].scale = np.repeat(held[name].scale, -(-columns // 128), axis=1)
        bias = weights.get(name.removesuffix("weight") + "bias")
        if awq:
            tensors |= awq_tensors(name, q, zero, scale, **detail)
        else:
            tensors |= gptq_tensors(name, q, zero, scale, groups, v2, bias, **detail)
    return tensors, held


def gptq_settings(group, sym, **more):
    return dict(quant_method="gptq", bits=4, group_size=group or -1, sym=sym, desc_act=False, true_sequential=True,
                damp_percent=0.01) | more


def awq_settings(group, **more):
    return dict(quant_method="awq", bits=4, group_size=group or -1, zero_point=True, version="gemm",
                modules_to_not_convert=None) | more


# ---- PyTorch's .bin --------------------------------------------------------------------------------------------------

def _torch():
    """The names that torch's pickles mention, in modules made up here: their numbers are written, nothing is run."""
    if "torch" in sys.modules:
        return sys.modules["torch"]
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        exec(f"def {name}(*args): pass", utils.__dict__)  # pylint: disable=exec-used
        getattr(utils, name).__module__ = "torch._utils"
    for name in ("BFloat16", "Half", "Float", "Double", "Long", "Int", "Byte"):
        setattr(torch, name + "Storage", type(name + "Storage", (), {"__module__": "torch"}))
    torch._utils = utils
    sys.modules |= {"torch": torch, "torch._utils": utils}
    return torch


STORAGES = {"f2": "Half", "f4": "Float", "f8": "Double", "i8": "Long", "i4": "Int", "u1": "Byte", "u2": "BFloat16"}


class Tensor:
    """What a .bin says about a tensor; each has a storage of its own unless one is given."""

    def __init__(self, array, storage=None, offset=0, strides=None, elements=None, parameter=False):
        self.array, self.storage, self.offset, self.parameter = np.asarray(array), storage, offset, parameter
        self.strides = strides or tuple(s // self.array.itemsize for s in np.ascontiguousarray(array).strides)
        self.elements = elements

    def __reduce__(self):
        utils = _torch()._utils
        made = (utils._rebuild_tensor_v2, (self.stored, self.offset, self.array.shape, self.strides, False,
                                           collections.OrderedDict()))
        return (utils._rebuild_parameter, (Raw(made), True, collections.OrderedDict())) if self.parameter else made


class Raw:
    def __init__(self, reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


class Stored:
    def __init__(self, key, array, elements):
        self.key, self.array, self.elements = key, array, elements


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Stored):
            cls = getattr(_torch(), STORAGES[obj.array.dtype.str[1:]] + "Storage")
            return ("storage", cls, obj.key, "cpu", obj.elements)
        return None


def torch_bin(tensors, root="archive", byteorder=b"little", compression=zipfile.ZIP_STORED, protocol=2, wrap=dict,
              pickled=None, storages=None):
    """Bytes as torch.save writes them. tensors: {name: array or Tensor}; pickled: a pickle of one's own; storages:
    {key: bytes} beside or instead of the tensors' own."""
    members, values = {}, wrap()
    for index, (name, value) in enumerate(tensors.items()):
        tensor = value if isinstance(value, Tensor) else Tensor(value)
        own = tensor.array if tensor.storage is None else tensor.storage
        count = own.size if tensor.elements is None else tensor.elements
        tensor.stored = Stored(str(index), own, count)
        members[str(index)] = np.ascontiguousarray(own).tobytes()
        values[name] = tensor
    buffer, text = io.BytesIO(), io.BytesIO()
    Pickler(text, protocol).dump(values)
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", text.getvalue() if pickled is None else pickled)
        if byteorder:
            archive.writestr(f"{root}/byteorder", byteorder)
        for key, raw in (members | (storages or {})).items():
            if raw is not None:
                archive.writestr(f"{root}/data/{key}", raw)
        archive.writestr(f"{root}/version", b"3\n")
    return buffer.getvalue()
