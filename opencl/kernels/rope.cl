/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions: the table of angles, rotating q and k, and the KV cache's writes.
 * K is [kv_head][block][d][64], V is [kv_head][block][64][d]; MX_KV 1: half, 2: float. */
#ifndef MX_KV
#define MX_KV 1
#endif

/* cs[t][i] = (cosine, sine) of position[t] * inv_freq[i]. Global: (T). */
__kernel void mx_rope_table(WEIGHTS, __global const int *position, __global float2 *cs, uint half_dim) {
    ulong t = get_global_id(0);
    __global const float *inv_freq = (__global const float *)(MX_SEGMENT(0) + data);
    for (uint i = 0; i < half_dim; i++) {
        float2 v = mx_cossin((float)position[t] * inv_freq[i]);
        cs[t * half_dim + i] = (float2)(mx_flush(v.x), mx_flush(v.y));
    }
}

inline void mx_kv_store(__global uchar *cache, ulong i, float v) {
#if MX_KV == 1
    v = v > 65504.0f ? 65504.0f : v < -65504.0f ? -65504.0f : v;
    vstore_half_rte(v, i, (__global half *)cache);
#else
    ((__global float *)cache)[i] = v;
#endif
}

/* Global: (T, heads + 2 kv_heads): q heads, then k, then v. */
__kernel void mx_rope_kv(__global const float *qkv, WEIGHTS, __global const float2 *cs, __global const int *position,
                         __global const int *sequence, __global const int *blocks, __global float *q,
                         __global uchar *k_cache, __global uchar *v_cache, __global int *status, uint heads,
                         uint kv_heads, uint d, uint pool_blocks, uint max_blocks) {
    const ulong t = get_global_id(0);
    const uint head = get_global_id(1), half_dim = d / 2, p = position[t];
    __global const float *in = qkv + (t * (heads + 2 * kv_heads) + head) * d;
    __global const float *bias = (__global const float *)(MX_SEGMENT(0) + data) + head * d;
    const bool biased = data != MX_NONE;
    const ulong block = blocks[(ulong)sequence[t] * max_blocks + p / 64];
    int worst = 0;
    for (uint i = 0; i < half_dim; i++) {
        float a = in[i], b = in[i + half_dim];
        if (biased) {
            a = mx_flush(a + bias[i]);
            b = mx_flush(b + bias[i + half_dim]);
        }
        worst = max(worst, max(as_int(a) & 0x7fffffff, as_int(b) & 0x7fffffff));
        if (head < heads + kv_heads) {
            float2 f = cs[t * half_dim + i];
            float bs = b * f.y, as = a * f.y;
            float x = mx_flush(fma(a, f.x, -bs)), y = mx_flush(fma(b, f.x, as));
            a = x;
            b = y;
        }
        if (head < heads) {
            __global float *out = q + (t * heads + head) * d;
            out[i] = a;
            out[i + half_dim] = b;
        } else if (head < heads + kv_heads) {
            ulong at = ((ulong)(head - heads) * pool_blocks + block) * d * 64 + p % 64;
            mx_kv_store(k_cache, at + (ulong)i * 64, a);
            mx_kv_store(k_cache, at + (ulong)(i + half_dim) * 64, b);
        } else {
            ulong at = (((ulong)(head - heads - kv_heads) * pool_blocks + block) * 64 + p % 64) * d;
            mx_kv_store(v_cache, at + i, a);
            mx_kv_store(v_cache, at + i + half_dim, b);
        }
    }
    if (worst >= 0x7f800000)
        atomic_or(status, MX_STATUS_NOT_FINITE);
}

/* Copies whole blocks. Global: (pairs, kv_heads). */
__kernel void mx_kv_copy(__global uchar *k_cache, __global uchar *v_cache, __global const uint2 *pairs, uint kv_heads,
                         uint d, uint pool_blocks) {
    const uint2 pair = pairs[get_global_id(0)];
    const ulong head = get_global_id(1), bytes = (ulong)d * 64 * (MX_KV == 1 ? 2 : 4);
    for (ulong i = 0; i < bytes; i += 16) {
        ulong from = (head * pool_blocks + pair.x) * bytes + i, to = (head * pool_blocks + pair.y) * bytes + i;
        vstore16(vload16(0, k_cache + from), 0, k_cache + to);
        vstore16(vload16(0, v_cache + from), 0, v_cache + to);
    }
}
