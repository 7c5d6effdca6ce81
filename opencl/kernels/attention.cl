/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of one query head over the cached positions of its sequence, block by block (section 4.2.5 of
 * runtime/ARITHMETIC.md). q, out (T, heads d); the cache as in rope.cl; blocks (sequences, max_blocks).
 * Grid: units are (token, head). */

#if MX_KV == 1
typedef ushort mx_kv;
#define MX_KV_ONE(p, i) mx_half(p, i)
#define MX_KV_16(p, i) mx_half16((p) + (i), 0)
#else
typedef float mx_kv;
#define MX_KV_ONE(p, i) ((p)[i])
#define MX_KV_16(p, i) vload16(0, (p) + (i))
#endif

#define MX_HEAD_DIM_MAX 256u

/* Sum of block results so far: largest score, sum of weights. */
struct mx_running {
    float m, l;
};

/* Takes a block's (m, l) in; gives what the old and the new outputs are multiplied with. */
MX_FN float2 mx_merge(struct mx_running *r, float m, float l) {
    const float top = r->m > m ? r->m : m, old = mx_exp(r->m - top), now = mx_exp(m - top);
    r->l = fma(r->l, old, l * now);
    r->m = top;
    return (float2)(old, now);
}

#if MX_LANES
__kernel void mx_attention(__global const float *restrict q, __global const uchar *restrict k_cache,
                           __global const uchar *restrict v_cache, __global const int *restrict position,
                           __global const int *restrict sequence, __global const int *restrict blocks,
                           __global float *restrict out, uint heads, uint kv_heads, uint d, uint pool_blocks,
                           uint max_blocks, float scale) {
    __local float query[MX_HEAD_DIM_MAX], score[MX_KV_BLOCK], e[MX_KV_BLOCK], o[MX_HEAD_DIM_MAX];
    const uint t = MX_UNIT(0), h = MX_UNIT(1), p = (uint)position[t];
    const ulong head = (ulong)(h / (heads / kv_heads)) * pool_blocks, at = ((ulong)t * heads + h) * d;
    struct mx_running r = {0.0f, 0.0f};
    for (uint i = MX_ITEM; i < d; i += MX_ITEMS)
        query[i] = q[at + i];
    MX_SYNC();
    for (uint b = 0; b <= p / MX_KV_BLOCK; b++) {
        const ulong block = (head + (uint)blocks[(uint)sequence[t] * max_blocks + b]) * d * MX_KV_BLOCK;
        __global const mx_kv *k = (__global const mx_kv *)k_cache + block;
        __global const mx_kv *v = (__global const mx_kv *)v_cache + block;
        const uint live = min(MX_KV_BLOCK, p + 1 - b * MX_KV_BLOCK);
        for (uint j = MX_ITEM; j < live; j += MX_ITEMS) {
            float s = 0.0f;
            for (uint i = 0; i < d; i++)
                s = fma(query[i], MX_KV_ONE(k, i * MX_KV_BLOCK + j), s);
            score[j] = mx_flush(s * scale);
        }
        MX_SYNC();
        float m = score[0], l;
        for (uint j = 1; j < live; j++)
            m = score[j] > m ? score[j] : m;
        for (uint j = MX_ITEM; j < MX_KV_BLOCK; j += MX_ITEMS)
            e[j] = j < live ? mx_exp(score[j] - m) : 0.0f;
        MX_SYNC();
        if (MX_ITEM < 16) /* the scores have been read: their place takes the lanes of the sum */
            score[MX_ITEM] = ((e[MX_ITEM] + e[MX_ITEM + 16]) + e[MX_ITEM + 32]) + e[MX_ITEM + 48];
        for (uint n = 8; n > 0; n /= 2) {
            MX_SYNC();
            if (MX_ITEM < n)
                score[MX_ITEM] = score[MX_ITEM] + score[MX_ITEM + n];
        }
        MX_SYNC();
        l = score[0];
        float2 factor = (float2)(0.0f, 0.0f);
        if (b > 0) {
            factor = mx_merge(&r, m, l);
        } else {
            r.m = m;
            r.l = l;
        }
        for (uint i = MX_ITEM; i < d; i += MX_ITEMS) {
            float sum = 0.0f;
            for (uint j = 0; j < live; j++)
                sum = fma(e[j], MX_KV_ONE(v, j * d + i), sum);
            sum = mx_flush(sum);
            o[i] = b == 0 ? sum : mx_flush(fma(o[i], factor.x, mx_flush(sum * factor.y)));
        }
        MX_SYNC();
    }
    const float inverse = mx_recip(r.l);
    for (uint i = MX_ITEM; i < d; i += MX_ITEMS)
        out[at + i] = mx_flush(o[i] * inverse);
}
#else

/* Up to 16 values from p[0] on, n of them there. */
MX_FN float16 mx_kv_part(__global const mx_kv *p, uint n) {
    if (n >= 16)
        return MX_KV_16(p, 0);
    float v[16];
    for (uint i = 0; i < 16; i++)
        v[i] = i < n ? MX_KV_ONE(p, i) : 0.0f;
    return vload16(0, v);
}

MX_FN float mx_max16(float16 a) {
    const float8 b = a.lo > a.hi ? a.lo : a.hi;
    const float4 c = b.lo > b.hi ? b.lo : b.hi;
    const float2 d = c.lo > c.hi ? c.lo : c.hi;
    return d.x > d.y ? d.x : d.y;
}

#define MX_CHUNKS (MX_HEAD_DIM_MAX / 16)

__kernel void mx_attention(__global const float *restrict q, __global const uchar *restrict k_cache,
                           __global const uchar *restrict v_cache, __global const int *restrict position,
                           __global const int *restrict sequence, __global const int *restrict blocks,
                           __global float *restrict out, uint heads, uint kv_heads, uint d, uint pool_blocks,
                           uint max_blocks, float scale) {
    const uint t = MX_UNIT(0), h = MX_UNIT(1), p = (uint)position[t], chunks = (d + 15) / 16;
    const ulong head = (ulong)(h / (heads / kv_heads)) * pool_blocks, at = ((ulong)t * heads + h) * d;
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __global const float *query = q + at;
    struct mx_running r = {0.0f, 0.0f};
    float16 o[MX_CHUNKS];
    for (uint b = 0; b <= p / MX_KV_BLOCK; b++) {
        const ulong block = (head + (uint)blocks[(uint)sequence[t] * max_blocks + b]) * d * MX_KV_BLOCK;
        __global const mx_kv *k = (__global const mx_kv *)k_cache + block;
        __global const mx_kv *v = (__global const mx_kv *)v_cache + block;
        const uint live = min(MX_KV_BLOCK, p + 1 - b * MX_KV_BLOCK);
        float16 s[4];
        for (uint n = 0; n < 4; n++)
            s[n] = 0.0f;
        for (uint i = 0; i < d; i++)
#pragma unroll
            for (uint n = 0; n < 4; n++)
                s[n] = fma((float16)(query[i]), MX_KV_16(k, i * MX_KV_BLOCK + 16 * n), s[n]);
        /* positions after p hold whatever was there before: masked before they are used */
#pragma unroll
        for (uint n = 0; n < 4; n++)
            s[n] = lane + (int)(16 * n) < (int)live ? mx_flush16(s[n] * scale) : (float16)(-INFINITY);
        const float16 m01 = s[0] > s[1] ? s[0] : s[1], m23 = s[2] > s[3] ? s[2] : s[3];
        const float m = mx_max16(m01 > m23 ? m01 : m23);
        float e[MX_KV_BLOCK];
#pragma unroll
        for (uint n = 0; n < 4; n++) {
            s[n] = mx_exp16(s[n] - m);
            vstore16(s[n], n, e);
        }
        const float l = mx_add16(((s[0] + s[1]) + s[2]) + s[3]);
        float2 factor = (float2)(0.0f, 0.0f);
        if (b > 0) {
            factor = mx_merge(&r, m, l);
        } else {
            r.m = m;
            r.l = l;
        }
        for (uint c = 0; c < chunks; c++) {
            float16 sum = 0.0f;
            for (uint j = 0; j < live; j++)
                sum = fma((float16)(e[j]), mx_kv_part(v + j * d + 16 * c, d - 16 * c), sum);
            sum = mx_flush16(sum);
            o[c] = b == 0 ? sum : mx_flush16(fma(o[c], (float16)(factor.x), mx_flush16(sum * factor.y)));
        }
    }
    const float inverse = mx_recip(r.l);
    for (uint c = 0; c < chunks; c++) {
        float v[16];
        vstore16(mx_flush16(o[c] * inverse), 0, v);
        for (uint i = 0; i < 16 && 16 * c + i < d; i++)
            out[at + 16 * c + i] = v[i];
    }
}
#endif
