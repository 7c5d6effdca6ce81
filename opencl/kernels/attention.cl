/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of one token's head over the blocks of its sequence, ARITHMETIC.md 4.2.5. Global: (T, heads). */
#ifndef MX_KV
#define MX_KV 1
#endif
#define MX_HEAD_DIM_MAX 256

inline float16 mx_kv16(__global const uchar *cache, ulong i) {
#if MX_KV == 1
    return vload_half16(0, (__global const half *)cache + i);
#else
    return vload16(0, (__global const float *)cache + i);
#endif
}

inline float mx_kv1(__global const uchar *cache, ulong i) {
#if MX_KV == 1
    return vload_half(i, (__global const half *)cache);
#else
    return ((__global const float *)cache)[i];
#endif
}

inline float mx_max16(float16 v) {
    float8 a = fmax(v.lo, v.hi);
    float4 b = fmax(a.lo, a.hi);
    return fmax(fmax(b.x, b.y), fmax(b.z, b.w));
}

__kernel void mx_attention(__global const float *q, __global const uchar *k_cache, __global const uchar *v_cache,
                           __global const int *position, __global const int *sequence, __global const int *blocks,
                           __global float *out, uint heads, uint kv_heads, uint d, uint pool_blocks, uint max_blocks,
                           float scale) {
    const ulong t = get_global_id(0);
    const uint head = get_global_id(1), p = position[t], kv = head / (heads / kv_heads);
    __global const float *query = q + (t * heads + head) * d;
    __global const int *table = blocks + (ulong)sequence[t] * max_blocks;
    float m = 0.0f, l = 0.0f, o[MX_HEAD_DIM_MAX];
    for (uint b = 0; b <= p / 64; b++) {
        const ulong block = ((ulong)kv * pool_blocks + table[b]) * d * 64;
        const uint n = min(64u, p + 1 - b * 64);
        float16 s[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (uint i = 0; i < d; i++)
            for (uint c = 0; c < 4; c++)
                s[c] = fma((float16)(query[i]), mx_kv16(k_cache, block + (ulong)i * 64 + c * 16), s[c]);
        const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        float16 top = -INFINITY;
        for (uint c = 0; c < 4; c++) {
            s[c] = lane + (int)(c * 16) < (int)n ? mx_flush(s[c] * scale) : (float16)(-INFINITY);
            top = fmax(top, s[c]);
        }
        const float mb = mx_max16(top);
        float16 sum = 0.0f;
        float e[64];
        for (uint c = 0; c < 4; c++) {
            float16 v = mx_exp(s[c] - mb);
            sum = sum + v;
            vstore16(v, c, e);
        }
        const float lb = mx_fold(sum);
        const float mn = b ? fmax(m, mb) : mb, alpha = b ? mx_exp(m - mn) : 0.0f, beta = b ? mx_exp(mb - mn) : 1.0f;
        const float lbb = lb * beta;
        l = b ? fma(l, alpha, lbb) : lb;
        m = mn;
        uint i = 0;
        for (; i + 16 <= d; i += 16) {
            float16 v = 0.0f;
            for (uint j = 0; j < n; j++)
                v = fma((float16)(e[j]), mx_kv16(v_cache, block + (ulong)j * d + i), v);
            v = mx_flush(v);
            if (b) {
                float16 term = mx_flush(v * beta);
                v = mx_flush(fma(vload16(0, o + i), (float16)(alpha), term));
            }
            vstore16(v, 0, o + i);
        }
        for (; i < d; i++) {
            float v = 0.0f;
            for (uint j = 0; j < n; j++)
                v = fma(e[j], mx_kv1(v_cache, block + (ulong)j * d + i), v);
            v = mx_flush(v);
            if (b)
                v = mx_flush(fma(o[i], alpha, mx_flush(v * beta)));
            o[i] = v;
        }
    }
    const float r = mx_recip(l);
    for (uint i = 0; i < d; i++)
        out[(t * heads + head) * d + i] = mx_flush(o[i] * r);
}
