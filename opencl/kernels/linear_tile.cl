/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of linear.cl that depends on T, how many entries are computed side by side; linear_parts.cl says how often it
 * stands in a program. */
#ifdef T

/* One tile of weights, and the activations of the entries computed side by side. */
struct mx_operands {
    __global const uchar *data, *scale, *extra;
    __global const mx_x *x[T];
    __global const float *xs[T];
    __global const int *xsum[T];
    uint K, type; /* of scales */
    uint ahead, scales_ahead; /* distance of what the cache is asked for; 0: nothing */
};

#if MX_INTEGER
/* sum[t] += the 32 k of atom a, q_x at x[t]. */
MX_INLINE void mx_atom(const struct mx_operands *o, __global const uchar *data, uint a, __global const mx_x *const *x,
                       mx_i *sum) {
    __global const uint *words = (__global const uint *)data;
#if MX_FORMAT == MX_I8
#pragma unroll
    for (uint q = 0; q < 8; q++) {
        mx_u w = MX_ROW(words, q);
#if MX_DOT != MX_AVX2
        w ^= 0x80808080u; /* + 128: unsigned */
#endif
        MX_EACH_T(sum[t] = mx_dot4(sum[t], w, (__global const int *)x[t] + q))
    }
#elif MX_DOT == MX_AVX2
    /* Nibbles are so small that all products of a row fit in two sums of 16 bits: 16 * 15 * 127 < 2^15. */
    short16 low[T], high[T];
    MX_EACH_T(low[t] = high[t] = (short16)((short)(MX_HALVES_START * o->xsum[t][a])))
#pragma unroll
    for (uint q = 0; q < 4; q++) {
        const mx_u w = MX_ROW(words, q), first = w & 0x0f0f0f0fu, second = w >> 4 & 0x0f0f0f0fu;
        MX_EACH_T(mx_add_pairs(&low[t], &high[t], first, (__global const int *)x[t] + q))
        MX_EACH_T(mx_add_pairs(&low[t], &high[t], second, (__global const int *)x[t] + 4 + q))
    }
    MX_EACH_T(sum[t] += (mx_i)(mx_sum_pairs(low[t]), mx_sum_pairs(high[t])))
#else
#pragma unroll
    for (uint q = 0; q < 4; q++) {
        mx_u w = MX_ROW(words, q), low = w & 0x0f0f0f0fu, high = w >> 4 & 0x0f0f0f0fu;
        MX_EACH_T(sum[t] = mx_dot4(sum[t], low, (__global const int *)x[t] + q))
        MX_EACH_T(sum[t] = mx_dot4(sum[t], high, (__global const int *)x[t] + 4 + q))
    }
#endif
}

/* acc[t] += terms of segment s. */
MX_INLINE void mx_segment(const struct mx_operands *o, uint s, mx_f *acc) {
    const uint groups = (o->K + MX_GROUP - 1) / MX_GROUP, atoms = (o->K + 31) / 32;
    const uint first = s * (MX_SEGMENT / MX_GROUP), end = min(groups, first + MX_SEGMENT / MX_GROUP);
    for (uint g = first; g < end; g++) {
        mx_i sum[T];
        MX_EACH_T(sum[t] = MX_START_ROW(o->extra, g, o->xsum[t][g]))
        const uint last = min(atoms, (g + 1) * MX_ATOMS);
        uint a = g * MX_ATOMS;
        do { /* a group has an atom; one of 32 has no other, and the compiler sees that */
            __global const mx_x *x[T];
            MX_EACH_T(x[t] = o->x[t] + a * 32)
            if (o->ahead) {
                __global const uchar *next = o->data + a * MX_ATOM + o->ahead;
#pragma unroll
                for (uint line = 0; line < MX_ATOM; line += 64)
                    MX_PREFETCH(MX_SOON, next + line);
            }
            if (T > 1 && !MX_PAIRS && a % 2 == 0) { /* more rows of x than a processor follows by itself */
                MX_EACH_T(MX_PREFETCH(1, x[t] + MX_X_AHEAD))
            }
            mx_atom(o, o->data + a * MX_ATOM, a, x, sum);
        } while (MX_ATOMS > 1 && ++a < last);
        if (o->ahead) {
            MX_PREFETCH(MX_SOON, MX_SCALE_AT(o->scale, g * 16 + o->scales_ahead, o->type));
#if MX_FORMAT == MX_I4M
            MX_PREFETCH(MX_SOON, MX_SCALE_AT(o->extra, g * 16 + o->scales_ahead, o->type));
#endif
        }
#if MX_LESS_AFTER
        MX_EACH_T(sum[t] -= mx_added(o->xsum[t] + g))
#endif
        const mx_f scale = MX_SCALE_ROW(o->scale, g, o->type);
        MX_EACH_T(acc[t] = fma(scale * o->xs[t][g], MX_TO_F(sum[t]), acc[t]))
#if MX_FORMAT == MX_I4M
        const mx_f least = MX_SCALE_ROW(o->extra, g, o->type);
        MX_EACH_T(acc[t] = fma(least * o->xs[t][g], (mx_f)(convert_float(o->xsum[t][g])), acc[t]))
#endif
    }
}

#if MX_DOT == MX_MMA && T == 4
/* ---- Eight entries by the tensor cores of a warp ----
 * mma.m16n8k32 multiplies an atom with the 32 k of 8 entries. Thread 4 g + q of the warp holds A of rows g and g + 8, k
 * 4 q .. and 16 + 4 q .., B of entry g at the same k, and the sums of rows g, g + 8 and entries 2 q, 2 q + 1 (PTX ISA,
 * matrix fragments of mma.m16n8k32): the words of an atom as they lie. */
#define MX_MMA_T 8u

/* Word i = 0 .. 3 of a thread's share of A, unsigned bytes. */
MX_INLINE uint mx_mma_a(__global const uchar *data, uint thread, uint i) {
    const uint row = MX_MMA_ROW(thread, (i & 1u) * 2u), q = thread & 3u;
#if MX_FORMAT == MX_I8
    return ((__global const uint *)data)[16 * (q + (i >> 1) * 4) + row] ^ 0x80808080u;
#else
    return ((__global const uint *)data)[16 * q + row] >> (i >> 1) * 4 & 0x0f0f0f0fu;
#endif
}

#ifndef MX_PTX_MMA
#define MX_PTX_MMA(sum, a, b)                                                                                          \
    __asm__("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "           \
            "{%0, %1, %2, %3};"                                                                                        \
            : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])                                                   \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#endif

/* sum[v] += products of the atom at `data` with x, the 32 k of this thread's entry of B. */
MX_INLINE void mx_mma(__global const uchar *data, __global const int *x, int *sum) {
    const uint thread = get_local_id(0), q = thread & 3u;
    const uint a[4] = {mx_mma_a(data, thread, 0), mx_mma_a(data, thread, 1), mx_mma_a(data, thread, 2),
                       mx_mma_a(data, thread, 3)};
    const int b[2] = {x[q], x[4 + q]};
    MX_PTX_MMA(sum, a, b);
}

/* acc[v] += terms of segment s; o as mx_mma_entries fills it. */
MX_INLINE void mx_mma_segment(const struct mx_operands *o, uint s, float *acc) {
    const uint groups = (o->K + MX_GROUP - 1) / MX_GROUP, atoms = (o->K + 31) / 32, thread = get_local_id(0);
    const uint first = s * (MX_SEGMENT / MX_GROUP), end = min(groups, first + MX_SEGMENT / MX_GROUP);
    for (uint g = first; g < end; g++) {
        int sum[T];
        MX_EACH_T(sum[t] = MX_START_ONE(o->extra, 16 * g + MX_MMA_ROW(thread, t), o->xsum[t & 1][g]))
        const uint last = min(atoms, (g + 1) * MX_ATOMS);
        for (uint a = g * MX_ATOMS; a < last; a++)
            mx_mma(o->data + a * MX_ATOM, (__global const int *)(o->x[0] + a * 32), sum);
        MX_EACH_T(const float scale = MX_SCALE_ONE(o->scale, 16 * g + MX_MMA_ROW(thread, t), o->type);
                  acc[t] = fma(scale * o->xs[t & 1][g], convert_float(sum[t]), acc[t]))
#if MX_FORMAT == MX_I4M
        MX_EACH_T(const float least = MX_SCALE_ONE(o->extra, 16 * g + MX_MMA_ROW(thread, t), o->type);
                  acc[t] = fma(least * o->xs[t & 1][g], convert_float(o->xsum[t & 1][g]), acc[t]))
#endif
    }
}
#endif
#else
MX_INLINE void mx_segment(const struct mx_operands *o, uint s, mx_f *acc) {
    __global const mx_weight *weights = (__global const mx_weight *)o->data;
    const uint end = min(o->K, (s + 1) * MX_SEGMENT);
    for (uint k = s * MX_SEGMENT; k < end; k++) {
        const mx_f w = MX_WEIGHT_ROW(weights, k);
        MX_EACH_T(acc[t] = fma(w, (mx_f)(o->x[t][k]), acc[t]))
    }
}
#endif

/* y[own] = rows of one tile times the activations. In the lane style `set` lanes share a segment. */
MX_INLINE void mx_tile(const uint set, const struct mx_operands *o, MX_SHARED mx_f *parts, mx_f *y) {
    const uint segments = (o->K + MX_SEGMENT - 1) / MX_SEGMENT;
#if MX_LANES
    const uint slot = get_local_id(0) / set, slots = MX_LOCAL / set, lane = get_local_id(0) % set;
    for (uint own = 0; own < MX_OWN; own++)
        y[own] = 0.0f;
    for (uint s0 = 0; s0 < segments; s0 += slots) {
        mx_f acc[T];
        MX_EACH_T(acc[t] = 0.0f)
        if (s0 + slot < segments) {
#if MX_INTEGER && MX_DOT == MX_MMA && T == 4
            if (set == 32)
                mx_mma_segment(o, s0 + slot, acc);
            else
#endif
                mx_segment(o, s0 + slot, acc);
        }
        MX_EACH_T(parts[t * MX_LOCAL + get_local_id(0)] = acc[t])
        MX_SYNC();
        for (uint own = 0; own < MX_OWN; own++)
            for (uint s = 0; MX_OWN_T(set) < T && s < slots && s0 + s < segments; s++)
                y[own] = y[own] + parts[MX_OWN_T(set) * MX_LOCAL + set * s + lane];
        MX_SYNC();
    }
#else
    MX_EACH_T(y[t] = (mx_f)(0.0f))
    for (uint s = 0; s < segments; s++) {
        mx_f acc[T];
        MX_EACH_T(acc[t] = (mx_f)(0.0f))
        mx_segment(o, s, acc);
        MX_EACH_T(y[t] = y[t] + acc[t])
    }
#endif
}

/* `side` tiles from `tile` on times the activations in o. */
MX_INLINE void mx_tiles(const uint set, struct mx_operands *o, uint tile, __global const uchar *base, uint data,
                        uint scale, uint extra, uint side, MX_SHARED mx_f *parts, mx_f *y, mx_f *gate) {
    for (uint part = 0; part < side; part++) {
        const ulong i = tile + part;
        o->data = base + data + i * MX_TILE_BYTES(o->K);
        o->scale = MX_SCALE_AT(base + scale, i * MX_TILE_SCALES(o->K), o->type);
        o->extra = base + extra + i * MX_TILE_EXTRA(o->K, o->type);
#if MX_LANES /* registers: there is no choosing between arrays of them */
        for (uint own = 0; part && own < MX_OWN; own++)
            gate[own] = y[own];
        mx_tile(set, o, parts, y);
#else
        mx_tile(set, o, parts, part + 1 == side ? y : gate);
#endif
    }
}

/* n entries from `entry` on: T, or with MX_PAIRS less. `first`: no others have used the tile just before. */
MX_APART void MX_OF(mx_entries, T)(uint n, bool first, uint entry, uint tile, MX_ARGUMENTS) {
    struct mx_operands o;
    o.K = K;
    o.type = scale_type;
#if MX_INTEGER
    const uint groups = (K + MX_GROUP - 1) / MX_GROUP, stride = (K + 31) / 32 * 32;
    MX_EACH_T(const ulong row = rows[entry + (MX_PAIRS ? min((uint)t, n - 1) : t)]; o.x[t] = x + row * stride;
              o.xs[t] = xs + row * groups; o.xsum[t] = xsum + row * groups)
    const uint tiles_ahead = first ? side : 0;
    o.ahead = MX_SOON ? MX_AHEAD : tiles_ahead * MX_TILE_BYTES(K);
    o.scales_ahead = MX_SOON ? MX_AHEAD / MX_ATOM / MX_ATOMS * 16 : tiles_ahead * MX_TILE_SCALES(K);
#else
    MX_EACH_T(o.x[t] = x + (ulong)rows[entry + t] * K)
#endif
    mx_tiles(16, &o, tile, base, data, scale, extra, side, parts, y, gate);
}

#if MX_INTEGER && MX_DOT == MX_MMA && T == 4
/* n entries, at most 8, from `entry` on; behind the last it stands in for others, whose results are left out. */
MX_INLINE void mx_mma_entries(uint n, uint entry, uint tile, MX_ARGUMENTS) {
    const uint groups = (K + MX_GROUP - 1) / MX_GROUP, stride = (K + 31) / 32 * 32, thread = get_local_id(0);
    struct mx_operands o;
    o.K = K;
    o.type = scale_type;
    o.x[0] = x + (ulong)rows[entry + min(n - 1, thread >> 2 & 7u)] * stride;
    for (uint i = 0; i < 2; i++) {
        const ulong row = rows[entry + min(n - 1, MX_MMA_ENTRY(thread, i))];
        o.xs[i] = xs + row * groups;
        o.xsum[i] = xsum + row * groups;
    }
    mx_tiles(32, &o, tile, base, data, scale, extra, side, parts, y, gate);
}
#endif

#if T == 1
#undef T
#define T 2
#elif T == 2 && (!MX_BLOCKS || MX_PAIRS)
#undef T
#define T 4
#elif T == 4 && MX_PAIRS
#undef T
#define T 6
#elif T == 4 && MX_T > 4
#undef T
#define T MX_T
#else
#undef T
#endif
#endif
