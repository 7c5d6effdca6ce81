/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of linear.cl for blocks of several entries (MX_BLOCKS): a segment of a tile, or of two side by side (MX_PAIRS),
 * for all entries while it lies in the nearest cache, T of them at a time. With AVX2 its nibbles are taken apart for all
 * entries before, as this costs as much there as multiplying. The text stands in a program for T = 4, with MX_PAIRS for 5
 * and 4. */
#ifdef MX_BLOCK_T
#ifndef MX_SIDE
#define MX_SIDE (MX_PAIRS + 1)
#if MX_PAIRS
#define MX_EACH_R(...)                                                                                                 \
    {                                                                                                                  \
        enum { r = 0 };                                                                                                \
        __VA_ARGS__;                                                                                                   \
    }                                                                                                                  \
    {                                                                                                                  \
        enum { r = 1 };                                                                                                \
        __VA_ARGS__;                                                                                                   \
    }
#else
#define MX_EACH_R(...)                                                                                                 \
    {                                                                                                                  \
        enum { r = 0 };                                                                                                \
        __VA_ARGS__;                                                                                                   \
    }
#endif

/* Asks for the line at p, which need not be memory, to be written. */
#define MX_PREFETCH_WRITE(p) __asm__ volatile("prefetchw %0" : : "m"(*(p)))

#if MX_DOT == MX_AVX2
/* A group of one tile. */
struct mx_apart {
    mx_u word[MX_GROUP / 4]; /* four k of 16 rows */
    mx_f scale;
#if MX_FORMAT == MX_I4M
    mx_f least;
#elif MX_FORMAT == MX_I4Z
    mx_i zero;
#endif
};

/* As mx_add_pairs to sums that are 0. */
MX_INLINE void mx_pairs(short16 *low, short16 *high, mx_u w, __global const int *x) {
    __asm__("vpbroadcastd %2, %1\n\tvpmaddubsw %1, %3, %0\n\tvpmaddubsw %1, %4, %1"
            : "=&x"(*low), "=&x"(*high)
            : "m"(*x), "x"(w.lo), "x"(w.hi));
}
#endif

/* A segment of the tiles side by side, and the entries of a block. */
struct mx_block {
    __global const uint *rows;     /* of the entries */
    __global const char *x, *xs;   /* of row 0, where the segment begins */
    size_t row_bytes, row_scales;  /* bytes of x and of xs from one row to the next */
    size_t sums;                   /* bytes from xs to the sums */
    __global const uchar *data, *scale, *extra;
    size_t data_step, scale_step, extra_step; /* bytes to the second tile */
    uint type;                     /* of scales */
    uint atoms, groups;            /* in the segment */
    __global const uchar *next;    /* memory to ask for meanwhile */
    uint share;                    /* bytes of it for each entry and group */
    __global float *out;           /* where not 0, the results to ask for: `lines` of each entry, ldo elements apart */
    uint lines, ldo;
    mx_f *y[MX_SIDE];              /* sums of the entries */
#if MX_DOT == MX_AVX2
    struct mx_apart *apart;        /* its groups */
#endif
};

/* Of group g, in mx_block_part: what stands beside the words of tile r. */
#if MX_DOT == MX_AVX2
#define MX_BLOCK_SCALE(r) apart->scale
#define MX_BLOCK_LEAST(r) apart->least
#define MX_BLOCK_ZERO(r) apart->zero
#else
#define MX_BLOCK_SCALE(r) MX_SCALE_ROW(b->scale + r * b->scale_step, g, b->type)
#define MX_BLOCK_LEAST(r) MX_SCALE_ROW(b->extra + r * b->extra_step, g, b->type)
#define MX_BLOCK_ZERO(r) MX_TO_I(MX_ROW(b->extra + r * b->extra_step, g))
#endif
#endif

#define T MX_BLOCK_T
/* Terms of the block's segment for T entries, number e on. */
MX_INLINE void MX_OF(mx_block_part, T)(const struct mx_block *b, uint e) {
    __global const char *x[T]; /* first of the segment, and its scale; the sum of its x is b->sums bytes behind */
    __global const char *xs[T];
    MX_EACH_T(const ulong row = b->rows[e + t]; x[t] = b->x + row * b->row_bytes; xs[t] = b->xs + row * b->row_scales)
    if (b->out) {
        MX_EACH_T(MX_PREFETCH_WRITE(b->out + (e + t) * b->ldo))
        if (b->lines == 2) {
            MX_EACH_T(MX_PREFETCH_WRITE(b->out + (e + t) * b->ldo + 16))
        }
    }
    const uint step = T * b->share;
    __global const uchar *next = b->next + e * b->share * b->groups;
#if MX_PAIRS
    mx_f acc[MX_SIDE * T];
#define MX_BLOCK_ACC(r, t) acc[r * T + t]
#else
    mx_f acc[T / 2], kept[T / 2]; /* kept in memory: there are sixteen registers */
#define MX_BLOCK_ACC(r, t) (t < T / 2 ? acc : kept)[t % (T / 2)]
#endif
#define MX_BLOCK_SUM(r, t) sum[r * T + t]
#define MX_BLOCK_X(t, q) ((__global const int *)(x[t] + (g * MX_ATOMS + a) * 32) + (q))
#define MX_BLOCK_XS(t) ((__global const float *)xs[t])[g]
#define MX_BLOCK_XSUM(t) ((__global const int *)(xs[t] + sum_at))
    MX_EACH_T(MX_EACH_R(MX_BLOCK_ACC(r, t) = (mx_f)(0.0f)))
#if MX_DOT == MX_AVX2
    const struct mx_apart *apart = b->apart;
#endif
    const size_t groups = b->groups;
    for (size_t g = 0; g < groups; g++) {
        MX_PREFETCH(MX_PAIRS, next);
        for (uint at = 64; at < step; at += 64) /* of few entries more than one line */
            MX_PREFETCH(MX_PAIRS, next + at);
        next += step;
        size_t sum_at = g * 4 + b->sums;
#if MX_PAIRS
        __asm__("" : "+r"(sum_at)); /* a compiler would have a pointer to each sum, in memory */
#else
        __asm__("" : "+r"(sum_at), "+m"(kept));
#endif
        mx_i sum[MX_SIDE * T];
        MX_EACH_T(MX_EACH_R(MX_BLOCK_SUM(r, t) = (mx_i)(0)))
        uint a = 0;
        do {
#if MX_DOT == MX_AVX2
            short16 low[T], high[T];
            MX_EACH_T(mx_pairs(&low[t], &high[t], apart->word[a * 8], MX_BLOCK_X(t, 0)))
#pragma unroll
            for (uint q = 1; q < 8; q++) {
                const mx_u w = apart->word[a * 8 + q];
                MX_EACH_T(mx_add_pairs(&low[t], &high[t], w, MX_BLOCK_X(t, q)))
            }
            MX_EACH_T(MX_BLOCK_SUM(0, t) += (mx_i)(mx_sum_pairs(low[t]), mx_sum_pairs(high[t])))
#else
            __global const uchar *words = b->data + (g * MX_ATOMS + a) * MX_ATOM;
#if MX_FORMAT == MX_I8
#pragma unroll
            for (uint q = 0; q < 8; q++) {
                mx_u w[MX_SIDE];
                MX_EACH_R(w[r] = MX_ROW((__global const uint *)(words + r * b->data_step), q) ^ 0x80808080u)
                MX_EACH_T(const mx_i four = mx_four(MX_BLOCK_X(t, q));
                          MX_EACH_R(MX_BLOCK_SUM(r, t) = mx_dot_four(MX_BLOCK_SUM(r, t), w[r], four)))
            }
#else
#pragma unroll
            for (uint q = 0; q < 4; q++) {
                mx_u low[MX_SIDE], high[MX_SIDE];
                MX_EACH_R(const mx_u w = MX_ROW((__global const uint *)(words + r * b->data_step), q);
                          low[r] = w & 0x0f0f0f0fu; high[r] = w >> 4 & 0x0f0f0f0fu)
                MX_EACH_T(const mx_i four = mx_four(MX_BLOCK_X(t, q));
                          MX_EACH_R(MX_BLOCK_SUM(r, t) = mx_dot_four(MX_BLOCK_SUM(r, t), low[r], four)))
                MX_EACH_T(const mx_i four = mx_four(MX_BLOCK_X(t, 4 + q));
                          MX_EACH_R(MX_BLOCK_SUM(r, t) = mx_dot_four(MX_BLOCK_SUM(r, t), high[r], four)))
            }
#endif
#endif
        } while (MX_ATOMS > 1 && ++a < MX_ATOMS && g * MX_ATOMS + a < b->atoms);
#if MX_FORMAT == MX_I4 || MX_FORMAT == MX_I8
        MX_EACH_T(const mx_i added = mx_added(MX_BLOCK_XSUM(t)); MX_EACH_R(MX_BLOCK_SUM(r, t) -= added))
#elif MX_FORMAT == MX_I4Z
        MX_EACH_R(const mx_i zero = MX_BLOCK_ZERO(r); MX_EACH_T(MX_BLOCK_SUM(r, t) -= (mx_i)(*MX_BLOCK_XSUM(t)) * zero))
#endif
        mx_f scale[MX_SIDE];
        MX_EACH_R(scale[r] = MX_BLOCK_SCALE(r))
        MX_EACH_T(MX_EACH_R(const mx_f factor = scale[r] * MX_BLOCK_XS(t);
                            MX_BLOCK_ACC(r, t) = fma(factor, MX_TO_F(MX_BLOCK_SUM(r, t)), MX_BLOCK_ACC(r, t))))
#if MX_FORMAT == MX_I4M
        mx_f least[MX_SIDE];
        MX_EACH_R(least[r] = MX_BLOCK_LEAST(r))
        MX_EACH_T(const mx_f S = (mx_f)(convert_float(*MX_BLOCK_XSUM(t)));
                  MX_EACH_R(MX_BLOCK_ACC(r, t) = fma(least[r] * MX_BLOCK_XS(t), S, MX_BLOCK_ACC(r, t))))
#endif
#if MX_DOT == MX_AVX2
        apart++;
#endif
    }
    MX_EACH_R(MX_EACH_T(b->y[r][e + t] = b->y[r][e + t] + MX_BLOCK_ACC(r, t)))
#undef MX_BLOCK_ACC
}
#undef T

#if MX_BLOCK_T == 5
#undef MX_BLOCK_T
#define MX_BLOCK_T 4
#else
#undef MX_BLOCK_T
#if MX_DOT == MX_AVX2
MX_INLINE void mx_take_apart(struct mx_block *b) {
    for (uint a = 0; a < b->atoms; a++) {
        __global const uint *words = (__global const uint *)(b->data + a * MX_ATOM);
        mx_u *word = b->apart[a / MX_ATOMS].word + a % MX_ATOMS * 8;
#pragma unroll
        for (uint q = 0; q < 4; q++) {
            const mx_u w = MX_ROW(words, q);
            word[q] = w & 0x0f0f0f0fu;
            word[q + 4] = w >> 4 & 0x0f0f0f0fu;
        }
    }
    for (uint g = 0; g < b->groups; g++) {
        b->apart[g].scale = MX_SCALE_ROW(b->scale, g, b->type);
#if MX_FORMAT == MX_I4M
        b->apart[g].least = MX_SCALE_ROW(b->extra, g, b->type);
#elif MX_FORMAT == MX_I4Z
        b->apart[g].zero = MX_TO_I(MX_ROW(b->extra, g));
#endif
    }
}
#endif

/* Asks the second cache for `bytes` from p on. */
MX_INLINE void mx_ask(__global const uchar *p, uint bytes) {
    for (uint at = 0; at < bytes; at += 64)
        MX_PREFETCH(0, p + at);
}

/* n entries from `entry` on: at least MX_BLOCK_MIN, at most MX_TOKENS_PER_ITEM, and as many as MX_BLOCK_COUNT gives. One
 * tile where two are side by side is computed twice, and what is in gate is not used. out: the results will go there, to
 * `lines` lines for each entry, ldo elements further. */
MX_APART void mx_block_entries(uint n, uint entry, uint tile, MX_ARGUMENTS, __global float *out, uint lines, uint ldo) {
    const uint groups = (K + MX_GROUP - 1) / MX_GROUP, atoms = (K + 31) / 32;
    enum { ALL = MX_SEGMENT / MX_GROUP, BYTES = MX_SEGMENT / 32 * MX_ATOM }; /* groups of a segment, bytes of its weights */
#if MX_PAIRS
    const uint fives_end = n - (5 - n % 5) % 5 * 4;
#endif
    struct mx_block b;
#if MX_DOT == MX_AVX2
    struct mx_apart apart[ALL];
    b.apart = apart;
#endif
    b.rows = rows + entry;
    b.row_bytes = atoms * 32;
    b.row_scales = groups * 4;
    b.sums = (size_t)xsum - (size_t)xs;
    b.type = scale_type;
    b.data_step = side == 2 ? MX_TILE_BYTES(K) : 0;
    b.scale_step = side == 2 ? MX_TILE_SCALES(K) << scale_type : 0;
    b.extra_step = side == 2 ? MX_TILE_EXTRA(K, scale_type) : 0;
    b.lines = lines;
    b.ldo = ldo;
    for (uint e = 0; e < n; e++)
        y[e] = gate[e] = (mx_f)(0.0f);
    for (uint part = 0; part < (MX_PAIRS ? 1 : side); part++) {
        const ulong i = tile + part;
        __global const uchar *tiles = base + data + i * MX_TILE_BYTES(K);
#if MX_PAIRS
        b.y[0] = gate;
        b.y[1] = y;
#else
        b.y[0] = part + 1 == side ? y : gate;
#endif
        for (uint g = 0; g < groups; g += ALL) {
            b.groups = min(groups - g, (uint)ALL);
            b.atoms = min(atoms - g * MX_ATOMS, MX_SEGMENT / 32);
            b.x = x + g * MX_GROUP;
            b.xs = (__global const char *)(xs + g);
            b.data = tiles + g * MX_ATOMS * MX_ATOM;
            b.scale = MX_SCALE_AT(base + scale, i * MX_TILE_SCALES(K) + g * 16, scale_type);
            b.extra = base + extra + i * MX_TILE_EXTRA(K, scale_type) + MX_TILE_EXTRA(g * MX_GROUP, scale_type);
            b.out = g == 0 && part == 0 ? out : 0;
            /* One tile: two segments ahead. Two: the pair that follows, in the order in which it lies in memory, as a
             * processor reads two tiles in turns more slowly. */
            b.next = MX_PAIRS ? tiles + 2 * (MX_TILE_BYTES(K) + g * MX_ATOMS * MX_ATOM) : b.data + 2 * BYTES;
            b.share = (MX_SIDE * MX_ATOMS * MX_ATOM + n - 1) / n;
            const ulong ahead = MX_PAIRS ? (i + 2) * MX_TILE_SCALES(K) + 2 * g * 16 : i * MX_TILE_SCALES(K) + (g + ALL) * 16;
            mx_ask(MX_SCALE_AT(base + scale, ahead, scale_type), MX_SIDE * b.groups * 16 << scale_type);
#if MX_FORMAT == MX_I4M
            mx_ask(MX_SCALE_AT(base + extra, ahead, scale_type), MX_SIDE * b.groups * 16 << scale_type);
#endif
#if MX_DOT == MX_AVX2
            mx_take_apart(&b);
#endif
            uint e = 0;
#if MX_PAIRS
            for (; e < fives_end; e += 5)
                MX_OF(mx_block_part, 5)(&b, e);
#endif
            for (; e < n; e += 4)
                MX_OF(mx_block_part, 4)(&b, e);
        }
    }
}
#endif
#endif
