# SPDX-License-Identifier: Apache-2.0
"""One step of a model in canonical arithmetic, written from runtime/ARITHMETIC.md §3 and §4 alone.

A model is data (Model, Layer, matrices); bundle.py and checkpoint.py build it. All tokens of one sequence are computed
side by side, which changes no bit: the document makes no sum depend on another token's place in a batch.
"""
import dataclasses

import numpy as np

from .arith import (F, SEGMENT, bits, div, exp, flush, fma, gelu, lanesum, lanesum_squares, recip, rsqrt, sigmoid,
                    silu, sincos, tanh, to_half)

KV_BLOCK = 64


class NotFinite(Exception):
    """A non-finite activation: the step fails."""


class Site:
    """The input of linear layers, x (tokens, K), flushed; quantised once for each group size that is asked for."""

    def __init__(self, x):
        self.x = x
        self._quantised = {}

    def quantised(self, group):
        """(q int64 (tokens, K), scale F (tokens, groups))."""
        if group not in self._quantised:
            tokens, width = self.x.shape
            groups = -(-width // group)
            x = np.zeros((tokens, groups * group), F)
            x[:, :width] = self.x
            x = x.reshape(tokens, groups, group)
            magnitude = (bits(x) & 0x7FFFFFFF).max(-1)
            if (magnitude >= 0x71800000).any():  # 2^100
                raise NotFinite
            a = magnitude.astype(np.int32).view(F)
            zero = a == 0
            ratio = div(F(127), np.where(zero, F(1), a))
            q = np.clip(np.rint(x * ratio[..., None]), -127, 127).astype(np.int64)
            q[zero] = 0
            scale = np.where(zero, F(0), a * F(float.fromhex("0x1.020408p-7")))
            self._quantised[group] = q.reshape(tokens, -1)[:, :width], scale
        return self._quantised[group]


class FloatMatrix:
    """W float32 (rows, cols): float formats, widened."""

    def __init__(self, weights):
        self.weights = np.ascontiguousarray(weights, F)
        self.columns = self.weights.shape[1]

    def part(self, rows=slice(None), columns=slice(None)):
        return FloatMatrix(self.weights[rows, columns])

    def linear(self, site):
        x = site.x
        transposed = np.ascontiguousarray(self.weights.T)
        y = np.zeros((len(x), len(self.weights)), F)
        for start in range(0, x.shape[1], SEGMENT):
            acc = np.zeros_like(y)
            for k in range(start, min(start + SEGMENT, x.shape[1])):
                acc = fma(transposed[k][None, :], x[:, k, None], acc)
            y = y + acc
        return flush(y)

    def rows(self, ids):
        return self.weights[ids]


class IntegerMatrix:
    """value = scale * q (+ minimum): q integers (rows, cols), zero-points already taken off; scale F (rows, groups)."""

    def __init__(self, q, scale, group, minimum=None):
        self.q, self.scale, self.group, self.minimum = q, scale, group, minimum
        self.columns = q.shape[1]

    def part(self, rows=slice(None), columns=slice(None)):
        """Columns must be whole groups."""
        first, end, _step = columns.indices(self.columns)
        groups = slice(first // self.group, -(-end // self.group))
        minimum = None if self.minimum is None else self.minimum[rows, groups]
        return IntegerMatrix(self.q[rows, columns], self.scale[rows, groups], self.group, minimum)

    def linear(self, site):
        q_x, scale_x = site.quantised(self.group)
        width = self.q.shape[1]
        y = np.zeros((len(q_x), len(self.q)), F)
        for start in range(0, width, SEGMENT):
            acc = np.zeros_like(y)
            for k in range(start, min(start + SEGMENT, width), self.group):
                g, part = k // self.group, slice(k, min(k + self.group, width))
                # float64 holds these integers exactly: 128 * 127 * 128 is far below 2^53.
                dot = (q_x[:, part].astype(np.float64) @ self.q[:, part].T.astype(np.float64)).astype(F)
                acc = fma(self.scale[None, :, g] * scale_x[:, g, None], dot, acc)
                if self.minimum is not None:
                    total = q_x[:, part].sum(-1).astype(F)
                    acc = fma(self.minimum[None, :, g] * scale_x[:, g, None], total[:, None], acc)
            y = y + acc
        return flush(y)

    def rows(self, ids):
        group = np.arange(self.q.shape[1]) // self.group
        q, scale = self.q[ids].astype(F), self.scale[ids][:, group]
        if self.minimum is None:
            return flush(scale * q)
        return flush(fma(scale, q, self.minimum[ids][:, group]))


class Stacked:
    """A matrix that comes in several tensors: their rows one after the other."""

    def __init__(self, parts):
        self.parts = parts

    def linear(self, site):
        return np.concatenate([part.linear(site) for part in self.parts], axis=-1)

    def rows(self, ids):
        ids = np.asarray(ids)
        first, result = 0, None
        for part in self.parts:
            count = len(part.q if isinstance(part, IntegerMatrix) else part.weights)
            inside = (ids >= first) & (ids < first + count)
            rows = part.rows(np.where(inside, ids - first, 0))
            result = np.where(inside[:, None], rows, F(0) if result is None else result)
            first += count
        return result


@dataclasses.dataclass
class Layer:
    attn_norm: np.ndarray
    qkv: object
    qkv_bias: np.ndarray | None
    qk_norm: tuple | None       # weights for q and for k, of one head or of all
    attn_out: object
    ffn_norm: np.ndarray
    router: FloatMatrix | None  # its first layer, two rows for each constant expert, the shared expert's gate
    experts: list               # (gate, up, down) matrices; routed ones, then the shared parts
    routed: int
    top_k: int
    norm_topk: bool
    shared_gate: bool
    gelu: bool = False
    copies: int = 0             # light experts: the last of the routed ones
    zeros: int = 0
    constants: np.ndarray | None = None  # (constant experts, hidden)
    second: np.ndarray | None = None     # V of two layers (routed, f)
    carried: np.ndarray | None = None    # M (routed, routed)
    zero_apart: bool = False
    deviation: np.float32 = F(0)

    @property
    def light(self):
        return (0 if self.constants is None else len(self.constants)) + self.copies + self.zeros


@dataclasses.dataclass
class Model:
    heads: int
    kv_heads: int
    head_dim: int
    eps: np.float32
    inv_hidden: np.float32
    attn_scale: np.float32
    inv_freq: np.ndarray
    kv: str                     # of keys and values in the cache: "F16", "F32", "I8"
    embedding: object
    layers: list
    final_norm: np.ndarray
    head: object
    embedding_scale: np.float32 = F(0)


def norm(x, weights, model):
    r = rsqrt(fma(lanesum_squares(x), model.inv_hidden, model.eps))
    return flush((x * r[:, None]) * weights)


def norm_vectors(x, weights, model):
    """x (tokens, n), each stretch of len(weights) values by itself."""
    cut = x.reshape(-1, len(weights))
    r = rsqrt(fma(lanesum_squares(cut), F(1 / len(weights)), model.eps))
    return flush((cut * r[:, None]) * weights).reshape(x.shape)


def rope(x, positions, model):
    """x (tokens, heads, d), pairs (i, i + d/2)."""
    sine, cosine = (flush(v)[:, None, :] for v in sincos(positions.astype(F)[:, None] * model.inv_freq))
    low, high = x[..., : model.head_dim // 2], x[..., model.head_dim // 2:]
    return np.concatenate([flush(fma(low, cosine, -(high * sine))), flush(fma(high, cosine, low * sine))], axis=-1)


def cached(x, kind):
    """Keys or values (tokens, kv_heads, d) as the cache has them, and the scales (tokens, kv_heads) of integers."""
    if kind != "I8":
        return to_half(x) if kind == "F16" else x, None
    scales = (((np.arange(256) + 832) << 20).astype(np.int32)).view(F)
    t = np.abs(x).max(-1) * F(float.fromhex("0x1.020408p-7"))
    scale = scales[np.minimum(np.searchsorted(scales, t), 255)]  # the first that is not less
    return np.clip(np.rint(x * recip(scale)[..., None]), F(-127), F(127)), scale


def attention(q, keys, values, positions, model):
    """q (tokens, heads, d), keys and values of `cached` with positions 0 … tokens-1; gives (tokens, heads, d)."""
    (k, k_scale), (v, v_scale) = keys, values
    tokens = len(positions)
    result = np.zeros_like(q)
    for head in range(model.heads):
        kv = head // (model.heads // model.kv_heads)
        m = l = o = None
        for first in range(0, tokens, KV_BLOCK):
            use = slice(first, min(first + KV_BLOCK, tokens))
            live = slice(first, tokens)  # queries before the block do not see it
            query = q[live, head]
            score = np.zeros((tokens - first, use.stop - first), F)
            for i in range(model.head_dim):
                score = fma(query[:, i, None], k[None, use, kv, i], score)
            if k_scale is not None:
                score = score * k_scale[None, use, kv]
            score = flush(score * model.attn_scale)
            seen = positions[live][:, None] >= np.arange(use.start, use.stop)[None, :]
            score = np.where(seen, score, F(-np.inf))
            m_b = score.max(-1)
            e = np.where(seen, exp(score - m_b[:, None]), F(0))
            l_b = lanesum(e)
            if v_scale is not None:
                e = e * v_scale[None, use, kv]
            o_b = np.zeros((tokens - first, model.head_dim), F)
            for j in range(use.stop - first):
                o_b = np.where(seen[:, j, None], fma(e[:, j, None], v[None, first + j, kv], o_b), o_b)
            o_b = flush(o_b)
            if first == 0:
                m, l, o = m_b, l_b, o_b
                continue
            top = np.maximum(m[live], m_b)
            alpha, beta = exp(m[live] - top), exp(m_b - top)
            l[live] = fma(l[live], alpha, l_b * beta)
            o[live] = flush(fma(o[live], alpha[:, None], flush(o_b * beta[:, None])))
            m[live] = top
        result[:, head] = flush(o * recip(l)[:, None])
    return result


def router_logits(r, layer, before):
    """g (tokens, routed) of a layer from the router's values r and the logits g of the layer before."""
    f = layer.routed if layer.second is None else layer.second.shape[1]
    y = r[:, :f]
    if layer.second is not None:
        h, y = tanh(y), np.zeros((len(r), layer.routed), F)
        for k in range(f):
            y = fma(layer.second[None, :, k], h[:, k, None], y)
    if layer.carried is not None:
        for j in range(layer.routed):
            y = fma(layer.carried[None, :, j], before[:, j, None], y)
    return flush(y)


def standardised(g, layer):
    if layer.deviation == 0:
        return g
    a = flush(fma(lanesum(g)[:, None], -recip(F(layer.routed)), g))
    q = lanesum_squares(a)
    s = rsqrt(np.where(q == 0, F(1), q) * recip(F(layer.routed - 1))) * layer.deviation
    return np.where(q[:, None] == 0, F(0), flush(g * s[:, None]))


def route(n, layer, before=None):
    """(weights, r, g): routing weights (tokens, routed + shared) F where an expert is used, NaN where it is not; the router's
    values; its logits."""
    shared = len(layer.experts) - (layer.routed - layer.light)
    weights = np.full((len(n.x), layer.routed + shared), F(np.nan))
    weights[:, layer.routed:] = 1
    if layer.router is None:
        return weights, None, None
    r = layer.router.linear(n)
    g = router_logits(r, layer, before)
    z = standardised(g, layer)
    t = exp(z - z.max(-1, keepdims=True))
    p = flush(t * recip(lanesum(t))[:, None])
    chosen = np.argsort(-p, axis=-1, kind="stable")[:, : layer.top_k]
    chosen.sort(axis=-1)
    selected = np.take_along_axis(p, chosen, -1)
    if layer.zero_apart:
        selected = np.where(chosen >= layer.routed - layer.zeros, F(0), selected)
    if layer.norm_topk:
        total = selected[:, 0]
        for i in range(1, layer.top_k):
            total = total + selected[:, i]
        none = (total == 0)[:, None]
        selected = np.where(none, F(0), flush(div(selected, np.where(none, F(1), total[:, None]))))
    np.put_along_axis(weights, chosen, selected, -1)
    if layer.shared_gate and shared:
        weights[:, layer.routed:] = flush(sigmoid(r[:, -1]))[:, None]
    return weights, r, g


def light_experts(n, layer, weights, r, y):
    """y plus what constant and copying experts give."""
    first = layer.routed - layer.light
    count = 0 if layer.constants is None else len(layer.constants)
    extra = layer.routed if layer.second is None else layer.second.shape[1]
    light = np.where(np.isnan(weights[:, first:layer.routed]), F(0), weights[:, first:layer.routed])
    a, b = np.zeros(len(y), F), []
    for j in range(count):
        apart = r[:, extra + 2 * j] - r[:, extra + 2 * j + 1]
        a = fma(light[:, j], flush(sigmoid(apart)), a)
        b.append(flush(light[:, j] * flush(sigmoid(-apart))))
    for j in range(count, count + layer.copies):
        a = a + light[:, j]
    y = fma(flush(a)[:, None], n.x, y)
    for j in range(count):
        y = fma(b[j][:, None], layer.constants[j][None, :], y)
    return y


def feed_forward(n, layer, before=None):
    """(y, the router's logits)."""
    weights, r, g = route(n, layer, before)
    whole = layer.routed - layer.light
    y = np.zeros_like(n.x)
    for index, (gate, up, down) in enumerate(layer.experts):
        weight = weights[:, index if index < whole else index + layer.light]
        used = np.flatnonzero(~np.isnan(weight))
        if not len(used):
            continue
        site = Site(n.x[used])
        middle = flush((gelu if layer.gelu else silu)(gate.linear(site)) * up.linear(site))
        y[used] = fma(weight[used, None], down.linear(Site(middle)), y[used])
    return (light_experts(n, layer, weights, r, y) if layer.light else y), g


def logits(model, tokens):
    """float32 logits (tokens, vocabulary) of one sequence that starts at position 0."""
    tokens = np.asarray(tokens)
    count, positions = len(tokens), np.arange(len(tokens))
    q_rows, kv_rows = model.heads * model.head_dim, model.kv_heads * model.head_dim
    x, before = model.embedding.rows(tokens), None
    if model.embedding_scale != 0:
        x = flush(x * model.embedding_scale)
    for layer in model.layers:
        qkv = layer.qkv.linear(Site(norm(x, layer.attn_norm, model)))
        if layer.qkv_bias is not None:
            qkv = flush(qkv + layer.qkv_bias)
        q, k, v = np.split(qkv, [q_rows, q_rows + kv_rows], axis=-1)
        if layer.qk_norm is not None:
            q, k = norm_vectors(q, layer.qk_norm[0], model), norm_vectors(k, layer.qk_norm[1], model)
        q = rope(q.reshape(count, model.heads, model.head_dim), positions, model)
        k = rope(k.reshape(count, model.kv_heads, model.head_dim), positions, model)
        v = v.reshape(count, model.kv_heads, model.head_dim)
        heads = attention(q, cached(k, model.kv), cached(v, model.kv), positions, model)
        x = flush(x + layer.attn_out.linear(Site(heads.reshape(count, q_rows))))
        y, before = feed_forward(Site(norm(x, layer.ffn_norm, model)), layer, before)
        x = flush(x + y)
    result = model.head.linear(Site(norm(x, model.final_norm, model)))
    if not np.isfinite(result).all():
        raise NotFinite
    return result
