/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary positions and the KV cache. Cache of one layer: K [kv_head][pool block][d][64 positions],
 * V [kv_head][pool block][64 positions][d], half (MX_KV 1, saturated), float (MX_KV 2) or integers (MX_KV 3, saturated), of
 * which a block ends with the scales of its positions. */

/* What a work-item takes of a vector at a time: one element, or 16. n: elements that are left. */
#if MX_LANES
#define MX_FIRST MX_ITEM
#define MX_NEXT MX_ITEMS
#define mx_get(p, n) (*(p))
#define mx_set(p, v, n) (*(p) = (v))
#define mx_hold mx_set
#define mx_held(p, n) (*(p))
#define mx_most(bits) (bits)

/* v into the cache, an integer when multiplied with r. */
MX_FN void mx_put(__global mx_kv *to, uint stride, float v, float r, uint n) {
#if MX_KV == MX_KV_F16
    vstore_half_rte(clamp(v, -65504.0f, 65504.0f), 0, (__global half *)to);
#elif MX_KV == MX_KV_I8
    *to = (char)mx_nearest(clamp(v * r, -127.0f, 127.0f));
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
#define mx_most mx_max16

MX_FN void mx_hold(float *to, float16 v, uint n) {
    float a[16];
    if (n >= 16) {
        vstore16(v, 0, to);
        return;
    }
    vstore16(v, 0, a);
    MX_RARE for (uint j = 0; j < n; j++)
        to[j] = a[j];
}

MX_FN float16 mx_held(const float *p, uint n) {
    float a[16];
    if (n >= 16)
        return vload16(0, p);
    MX_RARE for (uint j = 0; j < 16; j++)
        a[j] = j < n ? p[j] : 0.0f;
    return vload16(0, a);
}

/* v into the cache, integers when multiplied with r. */
MX_FN void mx_put(__global mx_kv *to, uint stride, float16 v, float r, uint n) {
    mx_kv a[16];
#if MX_KV == MX_KV_F16
    vstore_half16_rte(clamp(v, -65504.0f, 65504.0f), 0, (half *)a);
#elif MX_KV == MX_KV_I8
    vstore16(convert_char16(mx_nearest16(clamp(v * r, -127.0f, 127.0f))), 0, a);
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

/* Alone, the table is the program without a KV type, the others are those with one. A list has all, whatever it runs. */
#if !MX_KV || defined MX_SEQUENCE
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
#endif

#if MX_KV || defined MX_SEQUENCE
/* The next elements of one head of qkv, with their bias. */
MX_FN mx_f mx_biased(__global const float *y, __global const float *bias, bool biased, uint n) {
    const mx_f v = mx_get(y, n);
    return biased ? mx_flush_f(v + mx_get(bias, n)) : v;
}

/* The scale's byte of a vector whose largest magnitude has these bits: a 127th of it, rounded up, as far as there are
 * bytes. */
MX_FN uint mx_kv_scale(int largest) {
    const uint part = (1u << MX_KV_SCALE_SHIFT) - 1;
    const uint up = (as_uint(as_float(largest) * 0x1.020408p-7f) + part) >> MX_KV_SCALE_SHIFT;
    return clamp(up, MX_KV_SCALE_FIRST, MX_KV_SCALE_FIRST + 255) - MX_KV_SCALE_FIRST;
}

/* qkv (T, (heads + 2 kv_heads) d) to q (T, heads d), rotated, and into the cache at the token's position, found through
 * blocks (sequences, max_blocks). No bias when `data` is MX_NONE. Grid: units are (token, head of q, k, v). */
MX_KERNEL(mx_rope_kv, __global const float *restrict qkv, MX_WEIGHTS, __global const float2 *restrict cs,
                         __global const int *restrict position, __global const int *restrict sequence,
                         __global const int *restrict blocks, __global float *restrict q, __global uchar *restrict k_cache,
                         __global uchar *restrict v_cache, __global int *restrict status, uint heads, uint kv_heads,
                         uint d, uint pool_blocks, uint max_blocks) {
#if MX_LANES
    __local float row[MX_HEAD_DIM_MAX];
    __local int largest;
#else
    float row[MX_HEAD_DIM_MAX];
#endif
    const uint t = MX_UNIT(0), h = MX_UNIT(1), all = heads + 2 * kv_heads, half_dim = d / 2;
    const bool biased = data != MX_NONE, rotated = h < heads + kv_heads, key = h >= heads && rotated;
    __global const float *y = qkv + ((ulong)t * all + h) * d;
    __global const float *bias = (__global const float *)(MX_BASE(segment) + (biased ? data + h * d * 4 : 0));
    const uint p = (uint)position[t], slot = p % MX_KV_BLOCK;
    const uint b = p / MX_KV_BLOCK < max_blocks ? (uint)blocks[(uint)sequence[t] * max_blocks + p / MX_KV_BLOCK] : MX_NONE;
    if (b >= pool_blocks) {
        if (MX_ITEM == 0)
            atomic_or(status, MX_BAD_INDEX);
        return;
    }
    mx_i most = 0; /* bits of the largest magnitudes */
    if (rotated) {
        __global float *to_q = q + ((ulong)t * heads + h) * d;
        for (uint i = MX_FIRST; i < half_dim; i += MX_NEXT) {
            const uint j = i + half_dim, n = half_dim - i;
            mx_f c, s;
            mx_angles(cs + (ulong)t * half_dim + i, n, &c, &s);
            const mx_f u = mx_biased(y + i, bias + i, biased, n), v = mx_biased(y + j, bias + j, biased, n);
            const mx_f rotated_u = mx_flush_f(fma(u, c, -(v * s))), rotated_v = mx_flush_f(fma(v, c, u * s));
            most = max(most, max(as_mx_i(rotated_u) & MX_MAGNITUDE, as_mx_i(rotated_v) & MX_MAGNITUDE));
            if (key) {
                mx_hold(row + i, rotated_u, n);
                mx_hold(row + j, rotated_v, n);
            } else {
                mx_set(to_q + i, rotated_u, n);
                mx_set(to_q + j, rotated_v, n);
            }
        }
    } else {
        for (uint i = MX_FIRST; i < d; i += MX_NEXT) {
            const mx_f v = mx_biased(y + i, bias + i, biased, d - i);
            most = max(most, as_mx_i(v) & MX_MAGNITUDE);
            mx_hold(row + i, v, d - i);
        }
    }
    int worst = mx_most(most);
#if MX_LANES
    if (MX_ITEM == 0)
        largest = 0;
    MX_SYNC();
    atomic_max(&largest, worst);
    MX_SYNC();
    worst = largest;
#endif
    if (h >= heads) {
        const uint kv_head = h - heads - (key ? 0 : kv_heads), stride = key ? MX_KV_BLOCK : 1;
        const ulong block_at = ((ulong)kv_head * pool_blocks + b) * MX_KV_SIZE(d);
        __global mx_kv *block = (__global mx_kv *)(key ? k_cache : v_cache) + block_at;
        __global mx_kv *to = block + (key ? slot : slot * d);
        const uint scale = mx_kv_scale(worst);
        const float r = mx_recip(as_float((scale + MX_KV_SCALE_FIRST) << MX_KV_SCALE_SHIFT));
        for (uint i = MX_FIRST; i < d; i += MX_NEXT)
            mx_put(to + i * stride, stride, mx_held(row + i, d - i), r, d - i);
#if MX_KV == MX_KV_I8
        if (MX_ITEM == 0)
            MX_KV_SCALES(block, d)[slot] = (uchar)scale;
#endif
    }
    if (worst >= MX_INFINITE)
        atomic_or(status, MX_NOT_FINITE);
}

/* Copies block pairs[i].x of the pool to block pairs[i].y. Grid: units are (pair, kv_head). */
MX_KERNEL(mx_kv_copy, __global uchar *restrict k_cache, __global uchar *restrict v_cache,
                         __global const uint2 *restrict pairs, uint kv_heads, uint d, uint pool_blocks) {
    const uint2 pair = pairs[MX_UNIT(0)];
    const ulong words = MX_KV_SIZE(d) * sizeof(mx_kv) / 4, head = (ulong)MX_UNIT(1) * pool_blocks;
    __global uint *k = (__global uint *)k_cache, *v = (__global uint *)v_cache;
    if (pair.x >= pool_blocks || pair.y >= pool_blocks)
        return;
    for (ulong i = MX_ITEM; i < words; i += MX_ITEMS) {
        k[(head + pair.y) * words + i] = k[(head + pair.x) * words + i];
        v[(head + pair.y) * words + i] = v[(head + pair.x) * words + i];
    }
}
#endif
