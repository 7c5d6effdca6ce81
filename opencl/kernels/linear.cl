/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear layers: out[entry][n] = sum over k of W[n][k] x[row of entry][k], section 3 of runtime/ARITHMETIC.md.
 *
 * jobs (J): {expert, first entry, count, 0}. rows (entries): the row of x that an entry reads.
 * Integer formats: x int8 (rows, kp), xs float (rows, groups), xsum int (rows, groups); float formats: x float (rows, K).
 * mode 0: out[entry * ldo + out_row + n] = y; 1: the same, added to what is there; 2: tiles alternate gate and up,
 * out[entry * ldo + n] = silu(gate) * up for n < ldo; 3: the same with GELU.
 *
 * Grid: dim 0 jobs, dim 1 tiles of 16 rows (pairs of tiles in mode 2), dim 2 blocks of MX_TOKENS_PER_ITEM entries. The
 * host may make sides 1 and 2 shorter: a unit then does several tiles or blocks; only speed depends on it. Jobs are the
 * first side because they differ in length and many are empty: each stretch of units has some of all.
 * In the lane style a unit is a work-group whose sets of 16 lanes take the segments of one tile in turn; where NVIDIA's
 * tensor cores compute 8 entries at once, a set is a warp of 32. */

#ifndef MX_TOKENS_PER_ITEM
#define MX_TOKENS_PER_ITEM 64u /* entries for which one unit reads a tile: they share it in the cache */
#endif
#ifndef MX_T
#define MX_T (MX_LANES || MX_DOT == MX_AVX2 ? 4u : 8u) /* entries computed side by side, as registers allow; 4 to 8 */
#endif

#define MX_AVX2 1 /* MX_DOT: enum mx_dot of opencl/device.h */
#define MX_VNNI512 2
#define MX_DP4A 3
#define MX_MMA 4 /* and dp4a where there are few entries */

#define MX_RESIDUAL 1u
#define MX_GLU 2u /* and above */
#define MX_GLU_GELU 3u

#if MX_INTEGER
typedef char mx_x;
#else
typedef float mx_x;
#endif

/* One tile of weights, and the activations of the entries computed side by side. */
struct mx_operands {
    __global const uchar *data, *extra;
    __global const mx_scale *scale;
    __global const mx_x *x[MX_T_MAX];
    __global const float *xs[MX_T_MAX];
    __global const int *xsum[MX_T_MAX];
    uint K;
    uint ahead, scales_ahead; /* distance of what the cache is asked for; 0: nothing */
};

#if MX_INTEGER
#define MX_ATOM (MX_FORMAT == MX_I8 ? 512u : 256u) /* bytes of 16 rows x 32 k */
#define MX_ATOMS (MX_GROUP / 32u)                  /* in a group */

/* Asks the nearest cache, or the next, for the line at p, which need not be memory. */
#if MX_DOT == MX_AVX2 || MX_DOT == MX_VNNI512
#define MX_PREFETCH(near, p)                                                                                           \
    if (near)                                                                                                          \
        __asm__ volatile("prefetcht0 %0" : : "m"(*(p)));                                                               \
    else                                                                                                               \
        __asm__ volatile("prefetcht1 %0" : : "m"(*(p)))
#else
#define MX_PREFETCH(near, p)
#endif
#ifndef MX_AHEAD
#define MX_AHEAD 4096u /* bytes, in a product for one entry */
#endif
#ifndef MX_X_AHEAD
#define MX_X_AHEAD 512u /* bytes of a row of x, in a product for several */
#endif

/* sum + the four unsigned bytes of each w times the four signed bytes at x. Exact, so any way to do it is right. */
#if MX_DOT == MX_VNNI512
MX_INLINE mx_i mx_dot4(mx_i sum, mx_u w, __global const int *x) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*x));
    return sum;
}
#elif MX_DOT == MX_AVX2
/* vpmaddubsw adds two products in 16 bits with saturation, vpmaddwd two of these. x is within +-127 and, as an unsigned
 * byte, a nibble at most 15, the size of an int8 weight at most 128: 2 * 128 * 127 < 2^15, nothing is lost. The blocks of
 * instructions are what sixteen registers hold; a compiler adds in trees, which they do not. */
#if MX_FORMAT == MX_I8
MX_INLINE uint8 mx_size(uint8 w) {
    uint8 size;
    __asm__("vpabsb %1, %0" : "=x"(size) : "x"(w));
    return size;
}

/* w signed, size its absolute values. */
MX_INLINE int8 mx_dot4_half(int8 sum, uint8 w, uint8 size, int8 x) {
    int8 products;
    __asm__("vpsignb %2, %4, %1\n\tvpmaddubsw %1, %3, %1\n\tvpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(products)
            : "x"(w), "x"(size), "x"(x), "x"((short16)(1)));
    return sum;
}

MX_INLINE mx_i mx_dot4(mx_i sum, mx_u w, __global const int *x) {
    const int8 v = (int8)(*x);
    return (mx_i)(mx_dot4_half(sum.lo, w.lo, mx_size(w.lo), v), mx_dot4_half(sum.hi, w.hi, mx_size(w.hi), v));
}
#else
/* Adds the products of 16 rows' nibbles with the four bytes at x, two by two: those of the first 8 rows to low. */
MX_INLINE void mx_add_pairs(short16 *low, short16 *high, mx_u w, __global const int *x) {
    short16 a, b;
    __asm__("vpbroadcastd %4, %2\n\tvpmaddubsw %2, %5, %3\n\tvpmaddubsw %2, %6, %2\n\t"
            "vpaddw %3, %0, %0\n\tvpaddw %2, %1, %1"
            : "+x"(*low), "+x"(*high), "=&x"(a), "=&x"(b)
            : "m"(*x), "x"(w.lo), "x"(w.hi));
}

MX_INLINE int8 mx_sum_pairs(short16 pairs) {
    int8 sums;
    __asm__("vpmaddwd %2, %1, %0" : "=x"(sums) : "x"(pairs), "x"((short16)(1)));
    return sums;
}
#endif
#elif MX_DOT >= MX_DP4A
#ifndef MX_PTX_DP4A /* tests put a model of the instruction here */
#define MX_PTX_DP4A(sum, w, x) __asm__("dp4a.u32.s32 %0, %1, %2, %0;" : "+r"(sum) : "r"(w), "r"(x))
#endif
MX_INLINE mx_i mx_dot4(mx_i sum, mx_u w, __global const int *x) {
    MX_PTX_DP4A(sum, w, *x);
    return sum;
}
#else
MX_INLINE mx_i mx_dot4(mx_i sum, mx_u w, __global const int *x) {
    int v = *x;
    return sum + as_mx_i(w & 255u) * (v << 24 >> 24) + as_mx_i(w >> 8 & 255u) * (v << 16 >> 24) +
           as_mx_i(w >> 16 & 255u) * (v << 8 >> 24) + as_mx_i(w >> 24) * (v >> 24);
}
#endif

/* Where a group is one atom, the 8 that was added to nibbles is taken off the two sums of 16 bits, half of it each. What
 * a sum holds of its own 16 products then lies within 11 * 127, of the 16 others within 4 * 127: 16 * 15 * 127 again. */
#define MX_HALVES_START (MX_DOT == MX_AVX2 && MX_FORMAT == MX_I4 && MX_ATOMS == 1 ? -4 : 0)

/* sum[t] += the 32 k of one atom, q_x at x[t] + at. */
MX_INLINE void mx_atom(const uint T, const struct mx_operands *o, __global const uchar *data, uint at, mx_i *sum) {
    __global const uint *words = (__global const uint *)data;
#if MX_FORMAT == MX_I8
#pragma unroll
    for (uint q = 0; q < 8; q++) {
        mx_u w = MX_ROW(words, q);
#if MX_DOT != MX_AVX2
        w ^= 0x80808080u; /* + 128: unsigned */
#endif
        MX_EACH_T(sum[t] = mx_dot4(sum[t], w, (__global const int *)(o->x[t] + at) + q))
    }
#elif MX_DOT == MX_AVX2
    /* Nibbles are so small that all products of a row fit in two sums of 16 bits: 16 * 15 * 127 < 2^15. */
    short16 low[MX_T_MAX], high[MX_T_MAX];
    MX_EACH_T(low[t] = high[t] = (short16)((short)(MX_HALVES_START * o->xsum[t][at / 32])))
#pragma unroll
    for (uint q = 0; q < 4; q++) {
        const mx_u w = MX_ROW(words, q), first = w & 0x0f0f0f0fu, second = w >> 4 & 0x0f0f0f0fu;
        MX_EACH_T(mx_add_pairs(&low[t], &high[t], first, (__global const int *)(o->x[t] + at) + q))
        MX_EACH_T(mx_add_pairs(&low[t], &high[t], second, (__global const int *)(o->x[t] + at) + 4 + q))
    }
    MX_EACH_T(sum[t] += (mx_i)(mx_sum_pairs(low[t]), mx_sum_pairs(high[t])))
#else
#pragma unroll
    for (uint q = 0; q < 4; q++) {
        mx_u w = MX_ROW(words, q), low = w & 0x0f0f0f0fu, high = w >> 4 & 0x0f0f0f0fu;
        MX_EACH_T(sum[t] = mx_dot4(sum[t], low, (__global const int *)(o->x[t] + at) + q))
        MX_EACH_T(sum[t] = mx_dot4(sum[t], high, (__global const int *)(o->x[t] + at) + 4 + q))
    }
#endif
}

/* The start of a sum: what was added to make weights unsigned, or the zero-point, is taken off. */
#if MX_FORMAT == MX_I4Z
#define MX_START_ROW(extra, g, xsum) (MX_TO_I(MX_ROW(extra, g)) * -(xsum))
#define MX_START_ONE(extra, i, xsum) ((extra)[i] * -(xsum))
#else
#define MX_ADDED (MX_FORMAT == MX_I4 ? 8 : MX_FORMAT == MX_I8 && MX_DOT != MX_AVX2 ? 128 : 0)
#define MX_START_ROW(extra, g, xsum) ((mx_i)((xsum) * -(MX_HALVES_START ? 0 : MX_ADDED)))
#define MX_START_ONE(extra, i, xsum) ((xsum) * -MX_ADDED)
#endif

/* acc[t] += terms of segment s. */
MX_INLINE void mx_segment(const uint T, const struct mx_operands *o, uint s, mx_f *acc) {
    const uint groups = (o->K + MX_GROUP - 1) / MX_GROUP, atoms = (o->K + 31) / 32;
    const uint first = s * (MX_SEGMENT / MX_GROUP), end = min(groups, first + MX_SEGMENT / MX_GROUP);
    for (uint g = first; g < end; g++) {
        mx_i sum[MX_T_MAX];
        MX_EACH_T(sum[t] = MX_START_ROW(o->extra, g, o->xsum[t][g]))
        const uint last = min(atoms, (g + 1) * MX_ATOMS);
        uint a = g * MX_ATOMS;
        do { /* a group has an atom; one of 32 has no other, and the compiler sees that */
            if (o->ahead)
#pragma unroll
                for (uint line = 0; line < MX_ATOM; line += 64)
                    MX_PREFETCH(T == 1, o->data + a * MX_ATOM + o->ahead + line);
            if (T > 1 && a % 2 == 0) { /* more rows of x than a processor follows by itself */
                MX_EACH_T(MX_PREFETCH(1, o->x[t] + a * 32 + MX_X_AHEAD))
            }
            mx_atom(T, o, o->data + a * MX_ATOM, a * 32, sum);
        } while (MX_ATOMS > 1 && ++a < last);
        if (o->ahead) {
            MX_PREFETCH(T == 1, o->scale + g * 16 + o->scales_ahead);
#if MX_FORMAT == MX_I4M
            MX_PREFETCH(T == 1, (__global const mx_scale *)o->extra + g * 16 + o->scales_ahead);
#endif
        }
        const mx_f scale = MX_SCALE_ROW(o->scale, g);
        MX_EACH_T(acc[t] = fma(scale * o->xs[t][g], MX_TO_F(sum[t]), acc[t]))
#if MX_FORMAT == MX_I4M
        const mx_f least = MX_SCALE_ROW((__global const mx_scale *)o->extra, g);
        MX_EACH_T(acc[t] = fma(least * o->xs[t][g], (mx_f)(convert_float(o->xsum[t][g])), acc[t]))
#endif
    }
}

#if MX_DOT == MX_MMA
/* ---- Eight entries by the tensor cores of a warp ----
 * mma.m16n8k32 multiplies an atom with the 32 k of 8 entries. Thread 4 g + q of the warp holds A of rows g and g + 8, k
 * 4 q .. and 16 + 4 q .., B of entry g at the same k, and the sums of rows g, g + 8 and entries 2 q, 2 q + 1 (PTX ISA,
 * matrix fragments of mma.m16n8k32): the words of an atom as they lie. */
#define MX_MMA_T 8u
#define MX_MMA_ROW(thread, v) (((thread) >> 2 & 7u) + 8u * ((v) >> 1)) /* of sum v = 0 .. 3 */
#define MX_MMA_ENTRY(thread, v) (((thread) & 3u) * 2u + ((v) & 1u))

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
    enum { T = 4 };
    const uint groups = (o->K + MX_GROUP - 1) / MX_GROUP, atoms = (o->K + 31) / 32, thread = get_local_id(0);
    const uint first = s * (MX_SEGMENT / MX_GROUP), end = min(groups, first + MX_SEGMENT / MX_GROUP);
    for (uint g = first; g < end; g++) {
        int sum[T];
        MX_EACH_T(sum[t] = MX_START_ONE(o->extra, 16 * g + MX_MMA_ROW(thread, t), o->xsum[t & 1][g]))
        const uint last = min(atoms, (g + 1) * MX_ATOMS);
        for (uint a = g * MX_ATOMS; a < last; a++)
            mx_mma(o->data + a * MX_ATOM, (__global const int *)(o->x[0] + a * 32), sum);
        MX_EACH_T(const float scale = MX_SCALE_ONE(o->scale, 16 * g + MX_MMA_ROW(thread, t));
                  acc[t] = fma(scale * o->xs[t & 1][g], convert_float(sum[t]), acc[t]))
#if MX_FORMAT == MX_I4M
        __global const mx_scale *extra = (__global const mx_scale *)o->extra;
        MX_EACH_T(const float least = MX_SCALE_ONE(extra, 16 * g + MX_MMA_ROW(thread, t));
                  acc[t] = fma(least * o->xs[t & 1][g], convert_float(o->xsum[t & 1][g]), acc[t]))
#endif
    }
}
#endif

#define MX_TILE_BYTES(K) ((K + 31) / 32 * MX_ATOM)
#define MX_TILE_SCALES(K) ((K + MX_GROUP - 1) / MX_GROUP * 16)
#if MX_FORMAT == MX_I4Z
#define MX_TILE_EXTRA(K) MX_TILE_SCALES(K)
#else
#define MX_TILE_EXTRA(K) (MX_TILE_SCALES(K) * (uint)sizeof(mx_scale))
#endif
#else
MX_INLINE void mx_segment(const uint T, const struct mx_operands *o, uint s, mx_f *acc) {
    __global const mx_weight *weights = (__global const mx_weight *)o->data;
    const uint end = min(o->K, (s + 1) * MX_SEGMENT);
    for (uint k = s * MX_SEGMENT; k < end; k++) {
        const mx_f w = MX_WEIGHT_ROW(weights, k);
        MX_EACH_T(acc[t] = fma(w, (mx_f)(o->x[t][k]), acc[t]))
    }
}

#define MX_TILE_BYTES(K) ((K + 31) / 32 * 512 * (uint)sizeof(mx_weight))
#define MX_TILE_SCALES(K) 0
#define MX_TILE_EXTRA(K) 0
#endif

/* y[t] = rows of one tile times the activations. In the lane style `set` lanes share a segment, and only the first set
 * has the result. */
MX_INLINE void mx_tile(const uint T, const uint set, const struct mx_operands *o, MX_SHARED mx_f *parts, mx_f *y) {
    const uint segments = (o->K + MX_SEGMENT - 1) / MX_SEGMENT;
    MX_EACH_T(y[t] = (mx_f)(0.0f))
#if MX_LANES
    const uint slot = get_local_id(0) / set, slots = get_local_size(0) / set, lane = get_local_id(0) % set;
    for (uint s0 = 0; s0 < segments; s0 += slots) {
        mx_f acc[MX_T_MAX];
        MX_EACH_T(acc[t] = 0.0f)
        if (s0 + slot < segments) {
#if MX_INTEGER && MX_DOT == MX_MMA
            if (set == 32)
                mx_mma_segment(o, s0 + slot, acc);
            else
#endif
                mx_segment(T, o, s0 + slot, acc);
        }
        MX_EACH_T(parts[t * get_local_size(0) + get_local_id(0)] = acc[t])
        MX_SYNC();
        if (slot == 0)
            for (uint s = 0; s < slots && s0 + s < segments; s++) {
                MX_EACH_T(y[t] = y[t] + parts[t * get_local_size(0) + set * s + lane])
            }
        MX_SYNC();
    }
#else
    for (uint s = 0; s < segments; s++) {
        mx_f acc[MX_T_MAX];
        MX_EACH_T(acc[t] = (mx_f)(0.0f))
        mx_segment(T, o, s, acc);
        MX_EACH_T(y[t] = y[t] + acc[t])
    }
#endif
}

#if MX_LANES
/* One result. */
MX_INLINE void mx_put(__global float *out, float y, uint mode) {
    y = mx_flush(y);
    *out = mode == MX_RESIDUAL ? mx_flush(*out + y) : y;
}
#endif

/* Row of results: the first n of 16 columns. */
MX_INLINE void mx_put_row(__global float *out, mx_f y, uint n, uint mode) {
#if MX_LANES
    if (MX_SLOT == 0 && MX_LANE < n)
        mx_put(out + MX_LANE, y, mode);
#else
    y = mx_flush_f(y);
    if (mode == MX_RESIDUAL)
        y = mx_flush_f(mx_load(out, n) + y);
    mx_store(out, y, n);
#endif
}

#define MX_ARGUMENTS                                                                                                   \
    __global const uchar *base, uint data, uint scale, uint extra, __global const uint *rows, __global const mx_x *x,  \
        __global const float *xs, __global const int *xsum, __global float *out, uint K, uint rows_out, uint ldo,      \
        uint out_row, uint mode, MX_SHARED mx_f *parts

/* Tile `tile` times the activations in o: results in y; with MX_GLU and above a pair of tiles, the first one's in gate. */
MX_INLINE void mx_tiles(const uint T, const uint set, struct mx_operands *o, uint tile, __global const uchar *base,
                        uint data, uint scale, uint extra, uint mode, MX_SHARED mx_f *parts, mx_f *y,
                        mx_f *gate) {
    const uint parts_of_row = mode >= MX_GLU ? 2 : 1;
    MX_EACH_T(y[t] = (mx_f)(0.0f))
    for (uint part = 0; part < parts_of_row; part++) {
        const ulong i = tile * parts_of_row + part;
        o->data = base + data + i * MX_TILE_BYTES(o->K);
        o->scale = (__global const mx_scale *)(base + scale) + i * MX_TILE_SCALES(o->K);
        o->extra = base + extra + i * MX_TILE_EXTRA(o->K);
        MX_EACH_T(gate[t] = y[t])
        mx_tile(T, set, o, parts, y);
    }
}

/* Columns of the output from those of `tile` on. */
MX_INLINE uint mx_columns(uint tile, uint rows_out, uint ldo, uint mode) {
    const uint all = mode >= MX_GLU ? ldo : rows_out;
    return all - min(all, tile * 16);
}

/* T entries from `entry` on. `first`: no others have used the tile just before. */
MX_INLINE void mx_entries(const uint T, bool first, uint entry, uint tile, MX_ARGUMENTS) {
    struct mx_operands o;
    mx_f y[MX_T_MAX], gate[MX_T_MAX];
    o.K = K;
#if MX_INTEGER
    const uint groups = (K + MX_GROUP - 1) / MX_GROUP, stride = (K + 31) / 32 * 32;
    MX_EACH_T(const ulong row = rows[entry + t]; o.x[t] = x + row * stride; o.xs[t] = xs + row * groups;
              o.xsum[t] = xsum + row * groups)
    /* one entry: what it needs itself a little later; several: the tile that follows, there is time until then */
    const uint tiles_ahead = !first ? 0 : mode == MX_GLU ? 2 : 1;
    o.ahead = T == 1 ? MX_AHEAD : tiles_ahead * MX_TILE_BYTES(K);
    o.scales_ahead = T == 1 ? MX_AHEAD / MX_ATOM / MX_ATOMS * 16 : tiles_ahead * MX_TILE_SCALES(K);
#else
    MX_EACH_T(o.x[t] = x + (ulong)rows[entry + t] * K)
#endif
    mx_tiles(T, 16, &o, tile, base, data, scale, extra, mode, parts, y, gate);
    const uint n = mx_columns(tile, rows_out, ldo, mode);
    out += (ulong)entry * ldo + tile * 16;
    if (mode >= MX_GLU) {
        const int gelu = mode == MX_GLU_GELU;
        MX_EACH_T(mx_put_row(out + t * ldo, mx_gate_f(mx_flush_f(gate[t]), gelu) * mx_flush_f(y[t]), n, mode))
    } else {
        MX_EACH_T(mx_put_row(out + out_row + t * ldo, y[t], n, mode))
    }
}

#define MX_ENTRIES(name, T)                                                                                            \
    MX_APART void name(bool first, uint entry, uint tile, MX_ARGUMENTS) {                                              \
        mx_entries(T, first, entry, tile, base, data, scale, extra, rows, x, xs, xsum, out, K, rows_out, ldo, out_row, \
                   mode, parts);                                                                                       \
    }
#if MX_T > 4
MX_ENTRIES(mx_entries_most, MX_T)
#endif
MX_ENTRIES(mx_entries_4, 4)
MX_ENTRIES(mx_entries_2, 2)
MX_ENTRIES(mx_entries_1, 1)

#if MX_INTEGER && MX_DOT == MX_MMA
/* n entries, at most 8, from `entry` on; behind the last it stands in for others, whose results are left out. */
MX_INLINE void mx_mma_entries(uint entry, uint n, uint tile, MX_ARGUMENTS) {
    enum { T = 4 };
    const uint groups = (K + MX_GROUP - 1) / MX_GROUP, stride = (K + 31) / 32 * 32, thread = get_local_id(0);
    struct mx_operands o;
    float y[MX_T_MAX], gate[MX_T_MAX];
    o.K = K;
    o.x[0] = x + (ulong)rows[entry + min(n - 1, thread >> 2 & 7u)] * stride;
    for (uint i = 0; i < 2; i++) {
        const ulong row = rows[entry + min(n - 1, MX_MMA_ENTRY(thread, i))];
        o.xs[i] = xs + row * groups;
        o.xsum[i] = xsum + row * groups;
    }
    mx_tiles(T, 32, &o, tile, base, data, scale, extra, mode, parts, y, gate);
    const uint columns = thread < 32 ? mx_columns(tile, rows_out, ldo, mode) : 0; /* the first warp has the results */
    out += (ulong)entry * ldo + tile * 16;
    MX_EACH_T(if (MX_MMA_ENTRY(thread, t) < n && MX_MMA_ROW(thread, t) < columns) {
        __global float *to = out + MX_MMA_ENTRY(thread, t) * ldo + MX_MMA_ROW(thread, t);
        if (mode >= MX_GLU)
            mx_put(to, mx_gate(mx_flush(gate[t]), mode == MX_GLU_GELU) * mx_flush(y[t]), mode);
        else
            mx_put(to + out_row, y[t], mode);
    })
}
#endif

MX_KERNEL(mx_linear, MX_WEIGHTS, __global const uint4 *restrict jobs, __global const uint *restrict rows,
                        __global const mx_x *restrict x, __global const float *restrict xs,
                        __global const int *restrict xsum, __global float *restrict out, uint K, uint rows_out,
                        uint ldo, uint out_row, uint mode) {
#if MX_LANES
    __local float parts[MX_T * MX_LOCAL];
#else
    mx_f *parts = 0;
#endif
    const uint4 job = jobs[MX_UNIT(0)];
    const uint tiles = mode >= MX_GLU ? rows_out / 32 : (rows_out + 15) / 16;
    const uint share = (tiles + MX_UNITS(1) - 1) / MX_UNITS(1), first = MX_UNIT(1) * share;
    for (uint start = MX_UNIT(2) * MX_TOKENS_PER_ITEM; start < job.z; start += MX_UNITS(2) * MX_TOKENS_PER_ITEM) {
        __global const uchar *base = MX_BASE(segment + job.x);
        const uint end = min(job.z, start + MX_TOKENS_PER_ITEM);
        for (uint tile = first; tile < min(tiles, first + share); tile++)
            for (uint i = start; i < end;) {
#define MX_RUN(T, name)                                                                                                \
    name(i == start, job.y + i, tile, base, data, scale, extra, rows, x, xs, xsum, out, K, rows_out, ldo, out_row,     \
         mode, parts);                                                                                                 \
    i += T
#if MX_INTEGER && MX_DOT == MX_MMA
                if (end - i > 4) {
                    const uint n = min(end - i, MX_MMA_T);
                    mx_mma_entries(job.y + i, n, tile, base, data, scale, extra, rows, x, xs, xsum, out, K, rows_out,
                                   ldo, out_row, mode, parts);
                    i += n;
                } else
#elif MX_T > 4
                if (end - i >= MX_T) {
                    MX_RUN(MX_T, mx_entries_most);
                } else
#endif
                if (end - i >= 4) {
                    MX_RUN(4, mx_entries_4);
                } else if (end - i >= 2) {
                    MX_RUN(2, mx_entries_2);
                } else {
                    MX_RUN(1, mx_entries_1);
                }
            }
    }
}
