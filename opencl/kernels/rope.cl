/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary positions and the KV cache. Cache of one layer: K [kv_head][pool block][d][64 positions],
 * V [kv_head][pool block][64 positions][d], half (MX_KV 1, saturated) or float (MX_KV 2). */

/* What a work-item takes of a vector at a time: one element, or 16. n: elements that are left. */
#if MX_LANES
#define MX_FIRST MX_ITEM
#define MX_NEXT MX_ITEMS
#define mx_get(p, n) (*(p))
#define mx_set(p, v, n) (*(p) = (v))
#define mx_worst(v) (as_int(v) & MX_MAGNITUDE)

MX_FN void mx_put(__global mx_kv *to, uint stride, float v, uint n) {
#if MX_KV == 1
    vstore_half_rte(clamp(v, -65504.0f, 65504.0f), 0, (__global half *)to);
#else
    *to = v;
#endif
}

MX_FN void mx_angles(__global const float2 *cs, uint n, float *c, float *s) {
    *c = cs->x;
    *s = cs->y;
}
#else
#define MX_FIRST 0
#define MX_NEXT 16
#define mx_get mx_load
#define mx_set mx_store
#define mx_worst(v) mx_max16(as_int16(v) & MX_MAGNITUDE)

MX_FN void mx_put(__global mx_kv *to, uint stride, float16 v, uint n) {
    mx_kv a[16];
#if MX_KV == 1
    vstore_half16_rte(clamp(v, -65504.0f, 65504.0f), 0, (half *)a);
#else
    vstore16(v, 0, a);
#endif
    for (uint j = 0; j < min(n, 16u); j++)
        to[j * stride] = a[j];
}

MX_FN void mx_angles(__global const float2 *cs, uint n, float16 *c, float16 *s) {
    __global const float *p = (__global const float *)cs;
#if MX_DOT
    const float16 a = mx_load(p, 2 * n), b = mx_load(p + 16, n > 8 ? 2 * n - 16 : 0);
    *c = (float16)(a.even, b.even);
    *s = (float16)(a.odd, b.odd);
#else /* as in arith.cl: Oclgrind takes the lanes of such a selection for uninitialised */
    float cosine[16], sine[16];
    for (uint i = 0; i < 16; i++) {
        cosine[i] = i < n ? p[2 * i] : 0.0f;
        sine[i] = i < n ? p[2 * i + 1] : 0.0f;
    }
    *c = vload16(0, cosine);
    *s = vload16(0, sine);
#endif
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

/* The next elements of one head of qkv, with their bias. */
MX_FN mx_f mx_biased(__global const float *y, __global const float *bias, bool biased, uint n) {
    const mx_f v = mx_get(y, n);
    return biased ? mx_flush_f(v + mx_get(bias, n)) : v;
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
        __global mx_kv *to_k =
            (__global mx_kv *)k_cache + (((ulong)(h - heads) * pool_blocks + b) * d) * MX_KV_BLOCK + slot;
        for (uint i = MX_FIRST; i < half_dim; i += MX_NEXT) {
            const uint j = i + half_dim, n = half_dim - i;
            mx_f c, s;
            mx_angles(cs + (ulong)t * half_dim + i, n, &c, &s);
            const mx_f u = mx_biased(y + i, bias + i, biased, n), v = mx_biased(y + j, bias + j, biased, n);
            const mx_f rotated_u = mx_flush_f(fma(u, c, -(v * s))), rotated_v = mx_flush_f(fma(v, c, u * s));
            worst = max(worst, max(mx_worst(rotated_u), mx_worst(rotated_v)));
            if (key) {
                mx_put(to_k + i * MX_KV_BLOCK, MX_KV_BLOCK, rotated_u, n);
                mx_put(to_k + j * MX_KV_BLOCK, MX_KV_BLOCK, rotated_v, n);
            } else {
                mx_set(to_q + i, rotated_u, n);
                mx_set(to_q + j, rotated_v, n);
            }
        }
    } else {
        __global mx_kv *to_v =
            (__global mx_kv *)v_cache + (((ulong)(h - heads - kv_heads) * pool_blocks + b) * MX_KV_BLOCK + slot) * d;
        for (uint i = MX_FIRST; i < d; i += MX_NEXT) {
            const mx_f v = mx_biased(y + i, bias + i, biased, d - i);
            worst = max(worst, mx_worst(v));
            mx_put(to_v + i, 1, v, d - i);
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
