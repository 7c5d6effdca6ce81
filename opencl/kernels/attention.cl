/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of one query head over the cached positions of its sequence, block by block (section 4.2.5 of
 * runtime/ARITHMETIC.md). q, out (T, heads d); the cache as in rope.cl; blocks (sequences, max_blocks).
 * Grid: units are (token, head). */

#if MX_KV == MX_KV_F16
#define MX_KV_ONE(p, i) mx_half(p, i)
#define MX_KV_16(p, i) mx_half16((p) + (i), 0)
#elif MX_KV == MX_KV_I8
#define MX_KV_ONE(p, i) convert_float((p)[i])
#define MX_KV_16(p, i) convert_float16(vload16(0, (p) + (i)))
#else
#define MX_KV_ONE(p, i) ((p)[i])
#define MX_KV_16(p, i) vload16(0, (p) + (i))
#endif

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
/* x with the scale of position j of a block. */
MX_FN float mx_scaled(float x, __global const mx_kv *block, uint d, uint j) {
#if MX_KV == MX_KV_I8
    return x * as_float((MX_KV_SCALES(block, d)[j] + MX_KV_SCALE_FIRST) << MX_KV_SCALE_SHIFT);
#else
    return x;
#endif
}

MX_KERNEL(mx_attention, __global const float *restrict q, __global const uchar *restrict k_cache,
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
        const ulong block = (head + (uint)blocks[(uint)sequence[t] * max_blocks + b]) * MX_KV_SIZE(d);
        __global const mx_kv *k = (__global const mx_kv *)k_cache + block;
        __global const mx_kv *v = (__global const mx_kv *)v_cache + block;
        const uint live = min(MX_KV_BLOCK, p + 1 - b * MX_KV_BLOCK);
        for (uint j = MX_ITEM; j < live; j += MX_ITEMS) {
            float s = 0.0f;
            for (uint i = 0; i < d; i++)
                s = fma(query[i], MX_KV_ONE(k, i * MX_KV_BLOCK + j), s);
            score[j] = mx_flush(mx_scaled(s, k, d, j) * scale);
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
        for (uint j = MX_ITEM; j < live; j += MX_ITEMS) /* their sum is under way without the scales */
            e[j] = mx_scaled(e[j], v, d, j);
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

#define MX_CHUNKS (MX_HEAD_DIM_MAX / 16)

/* The first n of 16 values, the others 0. */
MX_FN float16 mx_kv_part(__global const mx_kv *p, uint n) {
    if (n >= 16)
        return MX_KV_16(p, 0);
    float v[16];
    MX_RARE for (uint i = 0; i < 16; i++)
        v[i] = i < n ? MX_KV_ONE(p, i) : 0.0f;
    return vload16(0, v);
}

MX_FN float mx_largest(float16 a) { /* in two ways, as mx_add16 */
#if MX_DOT
    const float8 a8 = a.lo > a.hi ? a.lo : a.hi;
    const float4 a4 = a8.lo > a8.hi ? a8.lo : a8.hi;
    const float2 a2 = a4.lo > a4.hi ? a4.lo : a4.hi;
    return a2.x > a2.y ? a2.x : a2.y;
#else
    float v[16], m;
    vstore16(a, 0, v);
    m = v[0];
    for (uint j = 1; j < 16; j++)
        m = v[j] > m ? v[j] : m;
    return m;
#endif
}

/* One of the queries computed side by side. */
struct mx_query {
    __global const float *q;
    __global float *out;
    uint p;
    struct mx_running r;
    float2 factor; /* for the old output and the new */
};

/* x of positions 16 i .. 16 i + 15 of a block with their scales, where there are any. */
MX_FN float16 mx_scaled(float16 x, __global const mx_kv *block, uint d, uint i) {
#if MX_KV == MX_KV_I8
    const uint16 scale = convert_uint16(vload16(i, MX_KV_SCALES(block, d)));
    return x * as_float16((scale + MX_KV_SCALE_FIRST) << MX_KV_SCALE_SHIFT);
#else
    return x;
#endif
}

/* Sums e (64) of block b, which k and v are, to what its values are multiplied with: exp(score - m) with the scale, 0
 * for masked positions (they hold whatever was there before). */
MX_FN void mx_weigh(struct mx_query *y, __global const mx_kv *k, __global const mx_kv *v, uint d, uint b, float scale,
                    float *e) {
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const int live = (int)y->p - (int)(b * MX_KV_BLOCK) + 1;
    const float16 none = -INFINITY;
    float16 s0 = lane < live ? mx_flush16(mx_scaled(vload16(0, e), k, d, 0) * scale) : none;
    float16 s1 = lane + 16 < live ? mx_flush16(mx_scaled(vload16(1, e), k, d, 1) * scale) : none;
    float16 s2 = lane + 32 < live ? mx_flush16(mx_scaled(vload16(2, e), k, d, 2) * scale) : none;
    float16 s3 = lane + 48 < live ? mx_flush16(mx_scaled(vload16(3, e), k, d, 3) * scale) : none;
    if (live <= 0) { /* a query whose sequence ends before this block, among others */
        vstore16((float16)(0.0f), 0, e);
        vstore16((float16)(0.0f), 1, e);
        vstore16((float16)(0.0f), 2, e);
        vstore16((float16)(0.0f), 3, e);
        return;
    }
    const float16 m01 = s0 > s1 ? s0 : s1, m23 = s2 > s3 ? s2 : s3;
    const float m = mx_largest(m01 > m23 ? m01 : m23);
    s0 = mx_exp16(s0 - m);
    s1 = mx_exp16(s1 - m);
    s2 = mx_exp16(s2 - m);
    s3 = mx_exp16(s3 - m);
    vstore16(mx_scaled(s0, v, d, 0), 0, e);
    vstore16(mx_scaled(s1, v, d, 1), 1, e);
    vstore16(mx_scaled(s2, v, d, 2), 2, e);
    vstore16(mx_scaled(s3, v, d, 3), 3, e);
    const float l = mx_add16(((s0 + s1) + s2) + s3);
    if (b > 0) {
        y->factor = mx_merge(&y->r, m, l);
    } else {
        y->r.m = m;
        y->r.l = l;
    }
}

/* Output o of the blocks before b, and the sum of block b, to the output with it. */
MX_FN void mx_take(const struct mx_query *y, float16 sum, uint b, float16 *o) {
    sum = mx_flush16(sum);
    if (b == 0)
        *o = sum;
    else if (b <= y->p / MX_KV_BLOCK)
        *o = mx_flush16(fma(*o, (float16)(y->factor.x), mx_flush16(sum * y->factor.y)));
}

#define MX_QUERIES 4
#define MX_EACH_QUERY(...) MX_JOIN(MX_EACH_, MX_QUERIES)(if (t < T) { __VA_ARGS__; }) /* T is an argument */

/* Vectors of sums that registers hold, for T queries and V columns of 16. Up to two queries are what one token has, and
 * read from memory: the rows of a block from end to end, whether or not registers hold the sums. */
#ifdef __AVX512F__
#define MX_SUMS 16u
#else
#define MX_SUMS 4u
#endif
#define MX_SUM(t, v) sum[(t) * 4 + (v)]
/* What is done for each column, MX_SUM(t, column): an index that is not a constant from the start keeps the sums in
 * memory. */
#define MX_COLUMN(i, ...)                                                                                              \
    if (i < V) {                                                                                                       \
        enum { column = i };                                                                                           \
        __VA_ARGS__;                                                                                                   \
    }
#define MX_EACH_COLUMN(...)                                                                                            \
    MX_COLUMN(0, __VA_ARGS__) MX_COLUMN(1, __VA_ARGS__) MX_COLUMN(2, __VA_ARGS__) MX_COLUMN(3, __VA_ARGS__)

/* 16 V columns of the T rows of a, n values each, times the matrix m. For one or two queries the cache is asked for as much
 * from `next` on: the keys or values of a block end before a processor has seen what it is to read ahead. */
MX_INLINE void mx_sums(const uint T, const uint V, const float *a, const uint apart, uint n, __global const mx_kv *m,
                       uint stride, __global const mx_kv *next, float16 *sum) {
    MX_EACH_QUERY(MX_SUM(t, 0) = 0.0f; MX_SUM(t, 1) = 0.0f; MX_SUM(t, 2) = 0.0f; MX_SUM(t, 3) = 0.0f)
    for (uint i = 0; i < n; i++, a++, m += stride, next += 16 * V) {
        for (uint ahead = 0; T <= 2 && ahead < 64; ahead += 64 / sizeof(mx_kv))
            MX_PREFETCH(1, next + ahead);
        const float16 m0 = MX_KV_16(m, 0);
        MX_EACH_QUERY(MX_SUM(t, 0) = fma((float16)(a[t * apart]), m0, MX_SUM(t, 0)))
        if (V > 1) {
            const float16 m1 = MX_KV_16(m, 16);
            MX_EACH_QUERY(MX_SUM(t, 1) = fma((float16)(a[t * apart]), m1, MX_SUM(t, 1)))
        }
        if (V > 2) {
            const float16 m2 = MX_KV_16(m, 32), m3 = MX_KV_16(m, 48);
            MX_EACH_QUERY(const float16 w = a[t * apart]; MX_SUM(t, 2) = fma(w, m2, MX_SUM(t, 2));
                          MX_SUM(t, 3) = fma(w, m3, MX_SUM(t, 3)))
        }
    }
}

/* T queries that read the same cached positions, the last of them the most. A weight of 0 for a position that another
 * query sees changes nothing: fma(0, v, o) = o. */
MX_INLINE void mx_attend(const uint T, struct mx_query *y, __global const mx_kv *k_head, __global const mx_kv *v_head,
                         __global const int *table, uint d, float scale) {
    const uint V = T > 2 ? min(4u, MX_SUMS / T) : 4u, chunks = (d + 15) / 16, p = y[T - 1].p;
    float q[MX_QUERIES * MX_HEAD_DIM_MAX], e[MX_QUERIES * MX_KV_BLOCK];
    float16 o[MX_QUERIES][MX_CHUNKS], sum[MX_QUERIES * 4];
    MX_EACH_QUERY(for (uint i = 0; i < d; i++) q[t * MX_HEAD_DIM_MAX + i] = y[t].q[i])
    for (uint b = 0; b <= p / MX_KV_BLOCK; b++) {
        const ulong block = (uint)table[b] * MX_KV_SIZE(d);
        __global const mx_kv *k = k_head + block, *v = v_head + block;
        __global const mx_kv *next = b < p / MX_KV_BLOCK ? k_head + (uint)table[b + 1] * MX_KV_SIZE(d) : k;
        for (uint c = 0; c < MX_KV_BLOCK / 16; c += V) {
            mx_sums(T, V, q, MX_HEAD_DIM_MAX, d, k + 16 * c, MX_KV_BLOCK, v + 16 * c * d, sum);
            MX_EACH_QUERY(MX_EACH_COLUMN(vstore16(MX_SUM(t, column), c + column, e + t * MX_KV_BLOCK)))
        }
        MX_EACH_QUERY(mx_weigh(&y[t], k, v, d, b, scale, e + t * MX_KV_BLOCK))
        const uint live = min(MX_KV_BLOCK, p + 1 - b * MX_KV_BLOCK);
        uint c = 0;
        for (; 16 * (c + V) <= d; c += V) {
            mx_sums(T, V, e, MX_KV_BLOCK, live, v + 16 * c, d, next + 16 * c * MX_KV_BLOCK, sum);
            MX_EACH_QUERY(MX_EACH_COLUMN(mx_take(&y[t], MX_SUM(t, column), b, &o[t][c + column])))
        }
        for (; c < chunks; c++) {
            MX_EACH_QUERY(MX_SUM(t, 0) = 0.0f)
            for (uint j = 0; j < live; j++) {
                const float16 v0 = mx_kv_part(v + j * d + 16 * c, d - 16 * c);
                MX_EACH_QUERY(MX_SUM(t, 0) = fma((float16)(e[t * MX_KV_BLOCK + j]), v0, MX_SUM(t, 0)))
            }
            MX_EACH_QUERY(mx_take(&y[t], MX_SUM(t, 0), b, &o[t][c]))
        }
    }
    MX_EACH_QUERY(const float inverse = mx_recip(y[t].r.l);
              for (uint c = 0; c < chunks; c++)
                  mx_store(y[t].out + 16 * c, mx_flush16(o[t][c] * inverse), d - 16 * c))
}

#define MX_ATTEND(name, T)                                                                                             \
    MX_APART void name(struct mx_query *y, __global const mx_kv *k_head, __global const mx_kv *v_head,                 \
                       __global const int *table, uint d, float scale) {                                               \
        mx_attend(T, y, k_head, v_head, table, d, scale);                                                              \
    }
MX_ATTEND(mx_attend_4, 4)
MX_ATTEND(mx_attend_2, 2)
MX_ATTEND(mx_attend_1, 1)

/* Queries that share what they read are computed side by side, up to 4: heads of one token that have one KV head when
 * there is one token, else tokens of one sequence that follow each other. One unit does them all, the others nothing. */
MX_KERNEL(mx_attention, __global const float *restrict q, __global const uchar *restrict k_cache,
                           __global const uchar *restrict v_cache, __global const int *restrict position,
                           __global const int *restrict sequence, __global const int *restrict blocks,
                           __global float *restrict out, uint heads, uint kv_heads, uint d, uint pool_blocks,
                           uint max_blocks, float scale) {
    const uint t0 = MX_UNIT(0), h0 = MX_UNIT(1), tokens = MX_UNITS(0), share = heads / kv_heads;
    const bool alone = tokens == 1;
    const uint member = alone ? h0 % share : t0, members = alone ? share : tokens;
    if (member % 4 != 0)
        return;
    const ulong head = (ulong)(h0 / share) * pool_blocks * MX_KV_SIZE(d);
    __global const mx_kv *k = (__global const mx_kv *)k_cache + head, *v = (__global const mx_kv *)v_cache + head;
    for (uint done = 0, n = min(4u, members - member); done < n;) {
        struct mx_query y[MX_QUERIES];
        uint found = 0;
        const int s = sequence[alone ? t0 : t0 + done];
        while (found < n - done) {
            const uint token = alone ? t0 : t0 + done + found;
            const ulong at = ((ulong)token * heads + (alone ? h0 + done + found : h0)) * d;
            if (sequence[token] != s || (found > 0 && (uint)position[token] < y[found - 1].p))
                break;
            y[found].q = q + at;
            y[found].out = out + at;
            y[found].p = (uint)position[token];
            found++;
        }
        __global const int *table = blocks + (uint)s * max_blocks;
        if (found == 4) {
            mx_attend_4(y, k, v, table, d, scale);
        } else if (found >= 2) {
            found = 2;
            mx_attend_2(y, k, v, table, d, scale);
        } else {
            mx_attend_1(y, k, v, table, d, scale);
        }
        done += found;
    }
}
#endif
