# SPDX-License-Identifier: Apache-2.0
"""The rules of pack/SPEC.md sections 2, 5 and 6 about tables, places and values: check(bundle) raises BundleError."""
import re
import struct

import numpy as np

from . import bundle as b
from .arith import F, bits
from .bundle import need, text, up

SEGMENT_MAX = (1 << 30) - (64 << 10)
TOKENIZER, LICENSE, LAYER, EXPERT, DENSE = range(1, 6)


def check(bundle):
    check_reserved(bundle)
    check_model(bundle)
    check_layers(bundle)
    check_segments(bundle)
    check_members(bundle)
    check_tensors(bundle)
    for tensor in bundle.tensors:
        for segment in range(tensor.segment, tensor.segment + tensor.segments):
            check_values(bundle, tensor, segment)


def check_reserved(bundle):
    need(not any(bundle.reserved), "reserved bytes of the manifest")
    for record in [bundle.config, *bundle.members, *bundle.layers, *bundle.segments, *bundle.tensors]:
        need(not any(any(v) for k, v in vars(record).items() if k.startswith("reserved")), f"reserved bytes: {record}")


def check_model(bundle):
    m = bundle.config
    for field, name in ((m.id, "id"), (m.architecture, "architecture")):
        need(text(field) and field[-1] == 0, f"model: {name}")
    ranges = dict(hidden=(1, 65536), layers=(1, 1024), heads=(1, 1024), kv_heads=(1, m.heads), head_dim=(2, 256),
                  vocab=(1, 1 << 22), max_positions=(1, 1 << 18), kv_type=(1, 3), rms_eps=(2.0 ** -40, 1),
                  rope_theta=(1, 2.0 ** 100), tied=(0, 1), chat_template=(0, 10), eos_count=(0, 8), do_sample=(0, 1),
                  top_p=(0, 1), min_p=(0, 1))
    for name, (low, high) in ranges.items():
        need(low <= getattr(m, name) <= high, f"model: {name} is {getattr(m, name)}")
    for name in ("temperature", "repetition_penalty"):
        need(getattr(m, name) == 0 or 2.0 ** -10 <= getattr(m, name) <= 2.0 ** 10, f"model: {name}")
    need(m.heads % m.kv_heads == 0 and m.head_dim % 2 == 0, "model: heads")
    need(F(m.inv_hidden) == F(1 / m.hidden), "model: inv_hidden")
    need(F(m.attn_scale) == F(1 / np.sqrt(m.head_dim)), "model: attn_scale")
    need(m.embedding_scale == 0 or 2.0 ** -10 <= m.embedding_scale <= 2.0 ** 10, "model: embedding_scale")
    need(m.bos == b.NONE or m.bos < m.vocab, "model: bos")
    eos = struct.unpack("<8I", m.eos)
    need(all(e < m.vocab for e in eos[:m.eos_count]) and not any(eos[m.eos_count:]), "model: eos")
    need(m.layers == len(bundle.layers), "model: layers")
    need(bundle.counter < 1 << 32, "security_counter")


def check_layers(bundle):
    for index, layer in enumerate(bundle.layers):
        need(layer.routed <= 1024 and layer.shared <= 64 and 1 <= layer.width <= 1 << 20, f"layer {index}")
        light = (layer.constants, layer.copies, layer.zeros)
        if layer.routed:
            need(1 <= layer.top_k <= min(16, layer.routed), f"layer {index}: top_k")
            need(sum(light) < layer.routed, f"layer {index}: no expert has matrices")
            need(layer.flags < 64 and (layer.shared or not layer.flags & b.SHARED_GATE), f"layer {index}: flags")
            need(not layer.flags & b.CARRIED or index and bundle.layers[index - 1].routed == layer.routed,
                 f"layer {index}: no logits to carry")
            need(not layer.flags & b.ZERO_APART or layer.zeros and layer.flags & b.NORM_TOPK, f"layer {index}: flag 32")
            need(layer.deviation == 0 or layer.routed > 1 and 2.0 ** -10 <= layer.deviation <= 2.0 ** 10,
                 f"layer {index}: deviation")
        else:
            need((layer.top_k, layer.shared, layer.flags & ~b.GELU, *light, layer.deviation) == (0, 1, 0, 0, 0, 0, 0),
                 f"layer {index} is no dense FFN")


def check_segments(bundle):
    """Kinds in their order, lengths, and where the experts begin."""
    kinds = "".join(str(s.kind) for s in bundle.segments)
    experts = "".join(f"3+4{{{b.segments_of(layer)}}}" for layer in bundle.layers)
    need(re.fullmatch(f"1?2?{experts}5+", kinds), f"order of the segments: {kinds[:80]}")
    layer, expert = 0, 0
    for index, segment in enumerate(bundle.segments):
        need(segment.offset % 4096 == 0 and 1 <= segment.used <= SEGMENT_MAX, f"segment {index}")
        need(segment.bytes == up(segment.used, 4096), f"segment {index}: length")
        need(not bundle.file[segment.offset + segment.used:segment.offset + segment.bytes].any(),
             f"segment {index} is not padded with zeros")
        if segment.kind == EXPERT:
            if expert == 0:
                need(bundle.layers[layer].first_expert == index, f"layer {layer}: first_expert")
            need((segment.layer, segment.expert) == (layer, expert), f"segment {index}: which expert")
            expert += 1
            if expert == b.segments_of(bundle.layers[layer]):
                layer, expert = layer + 1, 0
        else:
            want = (layer, b.NONE) if segment.kind == LAYER else (b.NONE, b.NONE)
            need((segment.layer, segment.expert) == want, f"segment {index}: which layer")
    tokenizers = [s for s in bundle.segments if s.kind == TOKENIZER]
    need(bool(tokenizers) == any(bundle.tokenizer_sha256), "tokenizer_sha256")


def check_members(bundle):
    """The first three, then one for each group of segments (more only past 8 GiB), without gaps."""
    first = [("manifest", len(bundle.manifest)), ("signature", 96), ("tree", 32 * bundle.leaves)]
    need([(m.name, m.bytes) for m in bundle.members[:3]] == first, "the first three members")
    groups = {}
    for segment in bundle.segments:
        name = ("host" if segment.kind <= LICENSE else "dense" if segment.kind == DENSE
                else f"layer.{segment.layer:03d}")
        groups.setdefault(name, []).append(segment)
    rest = bundle.members[3:]
    need([m.name for m in rest if not re.search(r"(host|dense|\d{3})\.\d+$", m.name)] == list(groups), "member names")
    places = iter(s for segments in groups.values() for s in segments)
    for member in rest:
        at = member.offset
        need(0 < member.bytes <= (8 << 30) - (64 << 10), f"length of {member.name}")
        while at < member.offset + member.bytes:
            segment = next(places)
            need(segment.offset == at, f"a segment of {member.name} is at {segment.offset}, not {at}")
            at += segment.bytes
        need(at == member.offset + member.bytes, f"end of {member.name}")
    need(next(places, None) is None, "a segment outside of the members")


def planes(tensor):
    """[(offset, bytes)] of the planes that the format has."""
    tiles, columns = -(-tensor.rows // 16), up(tensor.cols, 32)
    per = {b.I4: 8, b.I4Z: 8, b.I4M: 8, b.I8: 16, b.BF16: 32, b.F16: 32, b.F32: 64}
    if tensor.format == b.VECTOR:
        need((tensor.cols, tensor.group, tensor.scale_type) == (1, 0, 0), f"vector: {tensor}")
        return [(tensor.data, 4 * tensor.rows)]
    data = [(tensor.data, tiles * columns * per[tensor.format])]
    if tensor.format in (b.BF16, b.F16, b.F32):
        need((tensor.group, tensor.scale_type, tensor.scale, tensor.extra) == (0, 0, b.NONE, b.NONE), f"{tensor}")
        return data
    need(tensor.group in (32, 64, 128) and tensor.scale_type in (1, 2), f"group or scale type: {tensor}")
    scales = tiles * -(-tensor.cols // tensor.group) * 16
    data.append((tensor.scale, scales * 2 * tensor.scale_type))
    if tensor.format in (b.I4Z, b.I4M):
        data.append((tensor.extra, scales * (1 if tensor.format == b.I4Z else 2 * tensor.scale_type)))
    else:
        need(tensor.extra == b.NONE, f"extra plane: {tensor}")
    return data


def check_tensors(bundle):
    """Shapes, roles, order, and that the planes fill their segments without a byte to spare."""
    m = bundle.config
    order = [(t.layer, t.role, t.row_offset) for t in bundle.tensors]
    need(order == sorted(order), "order of the tensors")
    heads, kv = m.heads * m.head_dim, m.kv_heads * m.head_dim
    wanted = {(b.NONE, b.EMBEDDING): (m.vocab, m.hidden), (b.NONE, b.FINAL_NORM): (m.hidden, 1),
              (b.NONE, b.INV_FREQ): (m.head_dim // 2, 1)}
    if not m.tied:
        wanted[b.NONE, b.HEAD] = m.vocab, m.hidden
    for index, layer in enumerate(bundle.layers):
        shapes = {b.ATTN_NORM: (m.hidden, 1), b.QKV: (heads + 2 * kv, m.hidden), b.QKV_BIAS: (heads + 2 * kv, 1),
                  b.ATTN_OUT: (m.hidden, heads), b.FFN_NORM: (m.hidden, 1),
                  b.ROUTER: (None, m.hidden), b.CONSTANTS: (layer.constants * m.hidden, 1),
                  b.GATE_UP: (2 * up(layer.width, 16), m.hidden), b.DOWN: (m.hidden, layer.width)}
        if layer.routed:
            rows = sum(t.rows for t in bundle.tensors if (t.layer, t.role) == (index, b.ROUTER))
            extra = 2 * layer.constants + bool(layer.flags & b.SHARED_GATE)
            first = rows - extra if layer.flags & b.TWO_LAYERS else layer.routed
            need(1 <= first <= 65536, f"layer {index}: rows of the router")
            shapes[b.ROUTER] = first + extra, m.hidden
            more = layer.routed * (bool(layer.flags & b.TWO_LAYERS) + bool(layer.flags & b.CARRIED))
            if more:
                shapes[b.ROUTER_MORE] = more, first
        else:
            del shapes[b.ROUTER]
        if not layer.constants:
            del shapes[b.CONSTANTS]
        if not any(t.layer == index and t.role == b.QKV_BIAS for t in bundle.tensors):
            del shapes[b.QKV_BIAS]
        norm = [t.rows for t in bundle.tensors if (t.layer, t.role) == (index, b.QK_NORM)]
        if norm:
            need(b.QKV_BIAS not in shapes and norm[0] in (2 * m.head_dim, heads + kv), f"norm of q and k: {norm}")
            shapes[b.QK_NORM] = norm[0], 1
        wanted |= {(index, role): shape for role, shape in shapes.items()}
    parts = {}
    for tensor in bundle.tensors:
        parts.setdefault((tensor.layer, tensor.role), []).append(tensor)
    need(parts.keys() == wanted.keys(), f"roles: {parts.keys() ^ wanted.keys()}")
    for (layer, role), tensors in parts.items():
        row = 0
        for tensor in tensors:
            need(tensor.row_offset == row and tensor.cols == wanted[layer, role][1], f"shape: {tensor}")
            row += tensor.rows
            vector = role in (b.FINAL_NORM, b.INV_FREQ, b.ATTN_NORM, b.QKV_BIAS, b.QK_NORM, b.FFN_NORM,
                               b.CONSTANTS)
            need(vector == (tensor.format == b.VECTOR), f"format: {tensor}")
            expert = role in (b.GATE_UP, b.DOWN)
            count = b.segments_of(bundle.layers[layer]) if expert else 1
            kind = EXPERT if expert else DENSE if layer == b.NONE else LAYER
            need(tensor.segments == count, f"segments: {tensor}")
            for segment in bundle.segments[tensor.segment:tensor.segment + count]:
                need((segment.kind, segment.layer) == (kind, layer), f"segment: {tensor}")
            need(not expert or tensor.segment == bundle.layers[layer].first_expert, f"segment: {tensor}")
        need(row == wanted[layer, role][0], f"role {role} of layer {layer} has {row} rows")
        need(len(tensors) == 1 or role in (b.EMBEDDING, b.HEAD, b.QKV, b.ATTN_OUT), f"role {role} in parts")
        need(all(t.rows % 16 == 0 for t in tensors[:-1]), f"role {role}: parts")
        need(len({t.group for t in tensors if t.group}) <= 1, f"role {role}: groups differ")
    need(all(t.format == b.F32 for t in bundle.tensors if t.role in (b.ROUTER, b.ROUTER_MORE)), "router is not float")
    for index, segment in enumerate(bundle.segments):
        if segment.kind <= LICENSE:
            continue
        at = 0
        for tensor in (t for t in bundle.tensors if t.segment <= index < t.segment + t.segments):
            for offset, size in planes(tensor):
                need(offset == up(at, 256), f"segment {index}: a plane is at {offset}, not {up(at, 256)}")
                need(not bundle.file[segment.offset + at:segment.offset + offset].any(), f"segment {index}: gap at {at}")
                at = offset + size
        need(segment.used == at, f"segment {index}: used")


def check_values(bundle, tensor, segment):
    """Finite, no -0, nothing between 0 and 2^-40; rows and columns beyond the matrix hold the value 0."""
    where = f"role {tensor.role}, layer {tensor.layer}, segment {segment}"

    def stored(values, half=False):
        need(np.isfinite(values).all(), f"{where}: not finite")
        need(not (bits(values) == -0x80000000).any(), f"{where}: -0")
        need(half or ((values == 0) | (np.abs(values) >= F(2.0 ** -40))).all(), f"{where}: below 2^-40")

    if tensor.format == b.VECTOR:
        return stored(bundle.vector_of(tensor))
    whole = b.Record(vars(tensor).keys(), vars(tensor).values())
    whole.rows, whole.cols = up(tensor.rows, 16), up(tensor.cols, 32)
    outside = np.ones((whole.rows, whole.cols), bool)
    outside[:tensor.rows, :tensor.cols] = False
    if tensor.role == b.GATE_UP:
        width = bundle.layers[tensor.layer].width
        row = np.arange(whole.rows)
        outside[row // 32 * 16 + row % 16 >= width] = True
    matrix = bundle.matrix(whole, segment)
    if isinstance(matrix, b.FloatMatrix):
        stored(matrix.weights, half=tensor.format == b.F16)
        return need(not matrix.weights[outside].any(), f"{where}: padding")
    half = tensor.scale_type == 1
    stored(matrix.scale, half)
    need(tensor.format != b.I8 or matrix.q.min() >= -127, f"{where}: -128")
    need(not matrix.q[outside].any(), f"{where}: padding")
    empty = outside.all(axis=1)
    need(not matrix.scale[empty].any(), f"{where}: scale of padding")
    if matrix.minimum is not None:
        stored(matrix.minimum, half)
        need(not matrix.minimum[empty].any(), f"{where}: minimum of padding")
