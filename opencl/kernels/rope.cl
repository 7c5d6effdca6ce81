/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary positions and the KV cache. Cache of one layer: K [kv_head][pool block][d][64 positions],
 * V [kv_head][pool block][64 positions][d], half (MX_KV 1, saturated) or float (MX_KV 2). */

#if MX_KV == 1
MX_FN void mx_put(__global mx_kv *cache, ulong i, float v) {
    vstore_half_rte(clamp(v, -65504.0f, 65504.0f), i, (__global half *)cache);
}
#else
MX_FN void mx_put(__global mx_kv *cache, ulong i, float v) {
    cache[i] = v;
}
#endif

/* cs (T, half_dim) = (cosine, sine) of position * inv_freq. Grid: units are tokens. */
MX_KERNEL(mx_rope_table, MX_WEIGHTS, __global const int *restrict position, __global float2 *restrict cs,
                            uint half_dim) {
    const uint t = MX_UNIT(0);
    __global const float *inv_freq = (__global const float *)(MX_BASE(segment) + data);
    const float p = convert_float(position[t]);
    for (uint i = MX_ITEM; i < half_dim; i += MX_ITEMS) {
        float s, c;
        mx_sincos(p * inv_freq[i], &s, &c);
        __global float *to = (__global float *)(cs + ((ulong)t * half_dim + i));
        to[0] = mx_flush(c);
        to[1] = mx_flush(s);
    }
}

/* Element i of one head of qkv, with its bias. */
MX_FN float mx_biased(__global const float *y, __global const float *bias, bool biased, uint i) {
    return biased ? mx_flush(y[i] + bias[i]) : y[i];
}

/* qkv (T, (heads + 2 kv_heads) d) to q (T, heads d), rotated, and into the cache at the token's position, found through
 * blocks (sequences, max_blocks). No bias when `data` is MX_NONE. Grid: units are (token, head of q, k, v). */
MX_KERNEL(mx_rope_kv, __global const float *restrict qkv, MX_WEIGHTS, __global const float2 *restrict cs,
                         __global const int *restrict position, __global const int *restrict sequence,
                         __global const int *restrict blocks, __global float *restrict q, __global uchar *restrict k_cache,
                         __global uchar *restrict v_cache, __global int *restrict status, uint heads, uint kv_heads,
                         uint d, uint pool_blocks, uint max_blocks) {
    const uint t = MX_UNIT(0), h = MX_UNIT(1), all = heads + 2 * kv_heads, half_dim = d / 2;
    const bool biased = data != MX_NONE, key = h >= heads && h < heads + kv_heads;
    __global const float *y = qkv + ((ulong)t * all + h) * d;
    __global const float *bias = (__global const float *)(MX_BASE(segment) + (biased ? data + h * d * 4 : 0));
    const uint p = (uint)position[t], slot = p % MX_KV_BLOCK;
    const uint b = p / MX_KV_BLOCK < max_blocks ? (uint)blocks[(uint)sequence[t] * max_blocks + p / MX_KV_BLOCK] : MX_NONE;
    if (b >= pool_blocks) {
        if (MX_ITEM == 0)
            atomic_or(status, MX_BAD_INDEX);
        return;
    }
    int worst = 0;
    if (h < heads + kv_heads) {
        __global float *to_q = q + ((ulong)t * heads + h) * d;
        __global mx_kv *to_k = (__global mx_kv *)k_cache;
        const ulong at = (((ulong)(h - heads) * pool_blocks + b) * d) * MX_KV_BLOCK + slot;
        for (uint i = MX_ITEM; i < half_dim; i += MX_ITEMS) {
            const float2 a = cs[(ulong)t * half_dim + i];
            const float u = mx_biased(y, bias, biased, i), v = mx_biased(y, bias, biased, i + half_dim);
            const float rotated_u = mx_flush(fma(u, a.x, -(v * a.y))), rotated_v = mx_flush(fma(v, a.x, u * a.y));
            worst = max(worst, max(as_int(rotated_u) & MX_MAGNITUDE, as_int(rotated_v) & MX_MAGNITUDE));
            if (key) {
                mx_put(to_k, at + i * MX_KV_BLOCK, rotated_u);
                mx_put(to_k, at + (i + half_dim) * MX_KV_BLOCK, rotated_v);
            } else {
                to_q[i] = rotated_u;
                to_q[i + half_dim] = rotated_v;
            }
        }
    } else {
        const ulong at = (((ulong)(h - heads - kv_heads) * pool_blocks + b) * MX_KV_BLOCK + slot) * d;
        for (uint i = MX_ITEM; i < d; i += MX_ITEMS) {
            const float v = mx_biased(y, bias, biased, i);
            worst = max(worst, as_int(v) & MX_MAGNITUDE);
            mx_put((__global mx_kv *)v_cache, at + i, v);
        }
    }
    if (worst >= MX_INFINITE)
        atomic_or(status, MX_NOT_FINITE);
}

/* Copies block pairs[i].x of the pool to block pairs[i].y. Grid: units are (pair, kv_head). */
MX_KERNEL(mx_kv_copy, __global uchar *restrict k_cache, __global uchar *restrict v_cache,
                         __global const uint2 *restrict pairs, uint kv_heads, uint d, uint pool_blocks) {
    const uint2 pair = pairs[MX_UNIT(0)];
    const ulong words = (ulong)d * MX_KV_BLOCK * sizeof(mx_kv) / 4, head = (ulong)MX_UNIT(1) * pool_blocks;
    __global uint *k = (__global uint *)k_cache, *v = (__global uint *)v_cache;
    if (pair.x >= pool_blocks || pair.y >= pool_blocks)
        return;
    for (ulong i = MX_ITEM; i < words; i += MX_ITEMS) {
        k[(head + pair.y) * words + i] = k[(head + pair.x) * words + i];
        v[(head + pair.y) * words + i] = v[(head + pair.x) * words + i];
    }
}
