# SPDX-License-Identifier: Apache-2.0
"""A second reader of bundles, written from pack/SPEC.md alone: archive, tables, signature and tree, and the twin's model.

    bundle = Bundle("model.moxie", public_key=xy)   # BundleError names the rule that does not hold
    bundle_rules.check(bundle)                      # the rules about tables and values as well
    logits = forward.logits(bundle.model(), tokens)
"""
import hashlib
import struct

import numpy as np

from . import p256
from .arith import F, bf16, flush
from .forward import FloatMatrix, IntegerMatrix, Layer, Model, Stacked

NONE = 0xFFFFFFFF
I4, I4Z, I4M, I8, BF16, F16, F32, VECTOR = range(1, 9)
(EMBEDDING, FINAL_NORM, HEAD, INV_FREQ, ATTN_NORM, QKV, QKV_BIAS, QK_NORM, ATTN_OUT, FFN_NORM, ROUTER, ROUTER_MORE,
 CONSTANTS, GATE_UP, DOWN) = range(1, 16)
NORM_TOPK, SHARED_GATE, GELU, TWO_LAYERS, CARRIED, ZERO_APART = 1, 2, 4, 8, 16, 32
KV_F16, KV_F32, KV_I8 = 1, 2, 3
KV_TYPES = {KV_F16: "F16", KV_F32: "F32", KV_I8: "I8"}

MANIFEST = "<8sIIIIQQQQ32s256sIIIIIIIIQ32s"
MODEL = "<64s32sIIIIIIIIffffIIII32sf28sIfIfff8s"
MODEL_FIELDS = ("id architecture hidden layers heads kv_heads head_dim vocab max_positions kv_type rms_eps inv_hidden "
                "attn_scale rope_theta tied chat_template bos eos_count eos embedding_scale reserved0 do_sample temperature top_k top_p "
                "min_p repetition_penalty reserved1").split()
TABLES = {
    "member": ("<40sQQ8s", "name offset bytes reserved"),
    "layer": ("<IIIIIIBBBcf", "routed top_k shared width flags first_expert constants copies zeros reserved deviation"),
    "segment": ("<IIIIQQQ8s32s", "kind layer expert first_leaf offset bytes used reserved root"),
    "tensor": ("<IIIIIIIIIIIII12s", "role format layer segment segments rows cols row_offset group scale_type data scale "
                                    "extra reserved"),
}


class BundleError(Exception):
    pass


class Record:
    def __init__(self, names, values):
        self.__dict__.update(zip(names, values))

    def __repr__(self):
        return f"Record({self.__dict__})"


def need(condition, what):
    if not condition:
        raise BundleError(what)


def segments_of(layer):
    """Experts that have a segment."""
    return layer.routed - layer.constants - layer.copies - layer.zeros + layer.shared


def digest(domain, *parts):
    return hashlib.sha256(domain.encode().ljust(64, b"\0") + b"".join(parts)).digest()


def text(field):
    """UTF-8 without control characters, then NULs and nothing else."""
    result = field.rstrip(b"\0").decode()
    need(all(ord(c) >= 32 and not 127 <= ord(c) < 160 for c in result), f"control character in {field}")
    return result


def up(n, multiple):
    return -(-n // multiple) * multiple


def ustar_header(name, size):
    header = bytearray(512)

    def put(at, text):
        header[at:at + len(text)] = text.encode()

    put(0, name)
    put(100, "000644 \0" "000000 \0" "000000 \0" f"{size:011o} " "00000000000 " + 8 * " " + "0")
    put(257, "ustar\0" "00")
    put(329, "000000 \0" "000000 \0")
    put(148, f"{sum(header):06o}\0 ")
    return bytes(header)


class Bundle:
    def __init__(self, source, public_key=None):
        """source: a path, or the bytes. public_key: X || Y, 64 bytes; without one the signature is not looked at."""
        self.file = (np.frombuffer(source, np.uint8) if isinstance(source, (bytes, bytearray))
                     else np.memmap(source, np.uint8, "r"))
        self._read_manifest()
        self._check_archive()
        if public_key is not None:
            self._check_signature(public_key)
        self._check_tree()

    def _read_manifest(self):
        manifest_at = 512
        need(len(self.file) >= manifest_at + 416, "too short")
        header = bytes(self.file[manifest_at:manifest_at + 416])
        (magic, major, _minor, arithmetic, _min_runtime, size, bundle_bytes, self.counter, self.weight_parameters,
         self.tokenizer_sha256, model, *tables, self.leaves, self.reserved) = struct.unpack(MANIFEST, header)
        need(magic == b"MOXIEBN1" and major == 1, "not a bundle of major version 1")
        need(arithmetic == 1, f"arithmetic {arithmetic} is unknown")
        need(bundle_bytes == len(self.file), f"the manifest says {bundle_bytes} bytes, the file has {len(self.file)}")
        need(size <= 64 << 20, "the manifest is too long")
        self.manifest = bytes(self.file[manifest_at:manifest_at + size])
        self.config = Record(MODEL_FIELDS, struct.unpack(MODEL, model))
        at = 416
        for name, offset, count in zip(("member", "layer", "segment", "tensor"), tables[::2], tables[1::2]):
            layout, fields = TABLES[name]
            need(offset == at, f"the {name} table starts at {offset}, not at {at}")
            at += struct.calcsize(layout) * count
            rows = struct.iter_unpack(layout, self.manifest[offset:at])
            records = [Record(fields.split(), row) for row in rows]
            need(len(records) == count, f"the {name} table is cut short")
            setattr(self, name + "s", records)
        need(at == size, f"the tables end at {at}, the manifest at {size}")
        for member in self.members:
            member.name = text(member.name)

    def _check_archive(self):
        """Section 1: headers, places, fillers and zero bytes are computed and compared."""
        at, fillers = 0, 0

        def zeros(begin, end):
            need(not self.file[begin:end].any(), f"bytes {begin} … {end} are not zero")

        def header(name, size, where):
            need(bytes(self.file[where:where + 512]) == ustar_header(name, size), f"header of {name} at {where}")

        for index, member in enumerate(self.members):
            data = at + 512 if index < 3 else up(at + 512, 65536)
            if data - 512 > at:
                header(f"pad.{fillers}", data - at - 1024, at)
                zeros(at + 512, data - 512)
                fillers += 1
            need(member.offset == data, f"{member.name} is at {member.offset}, not {data}")
            header(member.name, member.bytes, data - 512)
            at = up(data + member.bytes, 512)
            zeros(data + member.bytes, at)
        zeros(at, at + 1024)
        need(len(self.file) == at + 1024, f"the file has {len(self.file)} bytes, not {at + 1024}")

    def member(self, name):
        found = next(m for m in self.members if m.name == name)
        return bytes(self.file[found.offset:found.offset + found.bytes])

    def _check_signature(self, xy):
        signature = self.member("signature")
        need(signature[:32] == hashlib.sha256(b"\x04" + xy).digest(), "signed with another key")
        need(p256.verify(xy, digest("moxie manifest v1", self.manifest), signature[32:96]), "wrong signature")

    def _check_tree(self):
        tree = self.member("tree")
        need(len(tree) == 32 * self.leaves, "the tree has another size")
        next_leaf = 0
        for index, segment in enumerate(self.segments):
            need(segment.first_leaf == next_leaf, f"segment {index}: first leaf")
            data = self.file[segment.offset:segment.offset + segment.bytes]
            count = -(-segment.bytes // 65536)
            leaves = tree[32 * next_leaf:32 * (next_leaf + count)]
            for leaf in range(count):
                need(digest("moxie leaf v1", bytes(data[65536 * leaf:65536 * (leaf + 1)])) == leaves[32 * leaf:][:32],
                     f"segment {index}, leaf {leaf}")
            head = struct.pack("<IIIIQ", index, segment.kind, segment.layer, segment.expert, segment.bytes)
            need(digest("moxie segment v1", head, leaves) == segment.root, f"segment {index}: root")
            next_leaf += count
        need(next_leaf == self.leaves, "leaves without a segment")

    # ---- Tensors ------------------------------------------------------------------------------------------------

    def _plane(self, segment, offset, dtype, *shape):
        start = self.segments[segment].offset + offset
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.file[start:start + size].view(dtype).reshape(shape)

    def matrix(self, tensor, segment=None, rows=None):
        """The tensor as stored in one segment; rows: which of the padded rows to take (default: the logical ones)."""
        segment = tensor.segment if segment is None else segment
        tiles, atoms = -(-tensor.rows // 16), -(-tensor.cols // 32)
        rows = np.arange(tensor.rows) if rows is None else rows
        plane = lambda offset, dtype, *shape: self._plane(segment, offset, dtype, tiles, *shape)
        if tensor.format in (BF16, F16, F32):
            dtype = {BF16: "<u2", F16: "<f2", F32: "<f4"}[tensor.format]
            data = plane(tensor.data, dtype, atoms * 32, 16).transpose(0, 2, 1).reshape(tiles * 16, -1)
            data = bf16(data) if tensor.format == BF16 else data.astype(F)
            return FloatMatrix(data[rows, :tensor.cols])
        if tensor.format == I8:
            data = plane(tensor.data, np.int8, atoms, 8, 16, 4).transpose(0, 3, 1, 2, 4).astype(np.int16)
        else:
            data = plane(tensor.data, np.uint8, atoms, 4, 16, 4).transpose(0, 3, 1, 2, 4)
            data = np.stack([data & 15, data >> 4], axis=3).astype(np.int16)
        q = data.reshape(tiles * 16, -1)[rows, :tensor.cols]
        groups = -(-tensor.cols // tensor.group)
        per_group = lambda offset, dtype: plane(offset, dtype, groups, 16).transpose(0, 2, 1).reshape(-1, groups)[rows]
        scale_type = "<f2" if tensor.scale_type == 1 else "<f4"
        scale = per_group(tensor.scale, scale_type).astype(F)
        minimum = None
        if tensor.format == I4:
            q = q - 8
        elif tensor.format == I4Z:
            zero = per_group(tensor.extra, np.uint8).astype(np.int16)
            need(zero.max() <= 15, f"zero-point {zero.max()}")
            q = q - zero[:, np.arange(tensor.cols) // tensor.group]
        elif tensor.format == I4M:
            minimum = per_group(tensor.extra, scale_type).astype(F)
        return IntegerMatrix(q, scale, tensor.group, minimum)

    def _tensors(self, role, layer=NONE):
        return sorted((t for t in self.tensors if t.role == role and t.layer == layer), key=lambda t: t.row_offset)

    def _whole(self, role, layer=NONE):
        parts = [self.matrix(t) for t in self._tensors(role, layer)]
        return parts[0] if len(parts) == 1 else Stacked(parts) if parts else None

    def _vector(self, role, layer=NONE):
        found = self._tensors(role, layer)
        return self.vector_of(found[0]) if found else None

    def _qk_norm(self, layer):
        both, d = self._vector(QK_NORM, layer), self.config.head_dim
        if both is None:
            return None
        q = d if len(both) == 2 * d else self.config.heads * d
        return both[:q], both[q:]

    def _constants(self, layer):
        values = self._vector(CONSTANTS, layer)
        return None if values is None else values.reshape(self.layers[layer].constants, -1)

    def _router_more(self, index):
        layer, more = self.layers[index], self._whole(ROUTER_MORE, index)
        parts = {}
        if layer.flags & TWO_LAYERS:
            parts["second"] = more.weights[:layer.routed]
        if layer.flags & CARRIED:
            parts["carried"] = more.weights[-layer.routed:, :layer.routed]
        return parts

    def vector_of(self, tensor):
        return np.array(self._plane(tensor.segment, tensor.data, "<f4", tensor.rows))

    def _expert(self, layer, width, segment):
        """(gate, up, down) of the expert in a segment."""
        at = lambda role: next(t for t in self._tensors(role, layer) if t.segment <= segment < t.segment + t.segments)
        gate_up, down = at(GATE_UP), at(DOWN)
        need(gate_up.rows == 2 * (-(-width // 16) * 16) and down.cols == width, f"layer {layer}: width of an expert")
        unit = np.arange(width)
        gate_rows = unit // 16 * 32 + unit % 16
        return (self.matrix(gate_up, segment, gate_rows), self.matrix(gate_up, segment, gate_rows + 16),
                self.matrix(down, segment))

    def model(self):
        config = self.config
        layers = []
        for index, layer in enumerate(self.layers):
            experts = [self._expert(index, layer.width, layer.first_expert + e)
                       for e in range(segments_of(layer))]
            layers.append(Layer(
                attn_norm=self._vector(ATTN_NORM, index), qkv=self._whole(QKV, index),
                qkv_bias=self._vector(QKV_BIAS, index), qk_norm=self._qk_norm(index), attn_out=self._whole(ATTN_OUT, index),
                ffn_norm=self._vector(FFN_NORM, index), router=self._whole(ROUTER, index), experts=experts,
                routed=layer.routed, top_k=layer.top_k, norm_topk=bool(layer.flags & NORM_TOPK),
                shared_gate=bool(layer.flags & SHARED_GATE), gelu=bool(layer.flags & GELU), copies=layer.copies,
                zeros=layer.zeros, constants=self._constants(index), zero_apart=bool(layer.flags & ZERO_APART),
                deviation=F(layer.deviation), **self._router_more(index)))
        embedding = self._whole(EMBEDDING)
        return Model(
            heads=config.heads, kv_heads=config.kv_heads, head_dim=config.head_dim, eps=F(config.rms_eps),
            inv_hidden=F(config.inv_hidden), attn_scale=F(config.attn_scale), inv_freq=self._vector(INV_FREQ),
            kv=KV_TYPES[config.kv_type], embedding=embedding, layers=layers, final_norm=self._vector(FINAL_NORM),
            head=embedding if config.tied else self._whole(HEAD), embedding_scale=F(config.embedding_scale))
