/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of linear.cl for four entries and more where taking nibbles apart costs as much as multiplying them: a
 * segment of a tile is taken apart once for all entries of a block. */
#if MX_UNPACKED
#define T 4

/* A group of one tile. */
struct mx_unpacked {
    mx_u word[MX_GROUP / 4]; /* four k of 16 rows */
    mx_f scale;
#if MX_FORMAT == MX_I4M
    mx_f least;
#elif MX_FORMAT == MX_I4Z
    mx_i zero;
#endif
};

MX_INLINE void mx_unpack(struct mx_unpacked *u, __global const uchar *data, __global const uchar *scale,
                         __global const uchar *extra, uint atoms, uint groups, uint type) {
    for (uint a = 0; a < atoms; a++) {
        __global const uint *words = (__global const uint *)(data + a * MX_ATOM);
        mx_u *word = u[a / MX_ATOMS].word + a % MX_ATOMS * 8;
#pragma unroll
        for (uint q = 0; q < 4; q++) {
            const mx_u w = MX_ROW(words, q);
            word[q] = w & 0x0f0f0f0fu;
            word[q + 4] = w >> 4 & 0x0f0f0f0fu;
        }
    }
    for (uint g = 0; g < groups; g++) {
        MX_PREFETCH(0, MX_SCALE_AT(scale, (g + MX_SEGMENT / MX_GROUP) * 16, type));
        u[g].scale = MX_SCALE_ROW(scale, g, type);
#if MX_FORMAT == MX_I4M
        u[g].least = MX_SCALE_ROW(extra, g, type);
#elif MX_FORMAT == MX_I4Z
        u[g].zero = MX_TO_I(MX_ROW(extra, g));
#endif
    }
}

/* Asks for the line at p, to be written. */
#define MX_PREFETCH_WRITE(p) __asm__ volatile("prefetchw %0" : : "m"(*(p)))

/* As mx_add_pairs to sums that are 0. */
MX_INLINE void mx_pairs(short16 *low, short16 *high, mx_u w, __global const int *x) {
    __asm__("vpbroadcastd %2, %1\n\tvpmaddubsw %1, %3, %0\n\tvpmaddubsw %1, %4, %1"
            : "=&x"(*low), "=&x"(*high)
            : "m"(*x), "x"(w.lo), "x"(w.hi));
}

/* y[t] += the terms of the segment that begins with group u, and with x[t]; xs[t]: that group's scale of x, its sum is
 * `sums` bytes behind. Asks for the memory at `next` meanwhile, `step` bytes in each group. */
MX_INLINE void mx_unpacked_segment(const struct mx_unpacked *u, uint atoms, uint groups, __global const char *const *x,
                                   __global const char *const *xs, size_t sums, mx_f *y, __global const uchar *next,
                                   uint step) {
    mx_f acc[T / 2], kept[T / 2]; /* kept in memory: there are sixteen registers */
#define MX_ACC(t) (t < T / 2 ? acc : kept)[t % (T / 2)]
#define MX_SCALE_OF(t) ((__global const float *)xs[t])[g]
#define MX_SUM_OF(t) (__global const int *)(xs[t] + sum_at)
    MX_EACH_T(MX_ACC(t) = (mx_f)(0.0f))
    for (size_t g = 0; g < groups; g++, u++) {
        MX_PREFETCH(0, next); /* of few entries more than one line */
        for (uint at = 64; at < step; at += 64)
            MX_PREFETCH(0, next + at);
        next += step;
        size_t sum_at = g * 4 + sums;
        __asm__("" : "+r"(sum_at), "+m"(kept)); /* a compiler would have a pointer to each sum, in memory */
        mx_i sum[T];
        MX_EACH_T(sum[t] = (mx_i)(0))
        uint a = 0;
        do {
            short16 low[T], high[T];
            MX_EACH_T(mx_pairs(&low[t], &high[t], u->word[a * 8], (__global const int *)(x[t] + (g * MX_ATOMS + a) * 32)))
#pragma unroll
            for (uint q = 1; q < 8; q++) {
                const mx_u w = u->word[a * 8 + q];
                MX_EACH_T(mx_add_pairs(&low[t], &high[t], w, (__global const int *)(x[t] + (g * MX_ATOMS + a) * 32) + q))
            }
            MX_EACH_T(sum[t] += (mx_i)(mx_sum_pairs(low[t]), mx_sum_pairs(high[t])))
        } while (MX_ATOMS > 1 && ++a < MX_ATOMS && g * MX_ATOMS + a < atoms);
#if MX_FORMAT == MX_I4
        MX_EACH_T(sum[t] = mx_less_added(sum[t], MX_SUM_OF(t)))
#elif MX_FORMAT == MX_I4Z
        MX_EACH_T(sum[t] -= (mx_i)(*MX_SUM_OF(t)) * u->zero)
#endif
        const mx_f scale = u->scale;
        MX_EACH_T(MX_ACC(t) = fma(scale * MX_SCALE_OF(t), MX_TO_F(sum[t]), MX_ACC(t)))
#if MX_FORMAT == MX_I4M
        const mx_f least = u->least;
        MX_EACH_T(MX_ACC(t) = fma(least * MX_SCALE_OF(t), (mx_f)(convert_float(*MX_SUM_OF(t))), MX_ACC(t)))
#endif
    }
    MX_EACH_T(y[t] = y[t] + MX_ACC(t))
}

/* n entries from `entry` on, a multiple of T and at most MX_TOKENS_PER_ITEM. out: the lines that their results will go to
 * lie there, each ldo elements further. */
MX_APART void MX_OF(mx_unpacked_entries, T)(uint n, uint entry, uint tile, MX_ARGUMENTS, __global float *out, uint ldo) {
    struct mx_unpacked u[MX_SEGMENT / MX_GROUP];
    const uint groups = (K + MX_GROUP - 1) / MX_GROUP, atoms = (K + 31) / 32, parts_of_row = mode >= MX_GLU ? 2 : 1;
    const size_t sums = (size_t)xsum - (size_t)xs;
    for (uint part = 0; part < parts_of_row; part++) {
        const ulong i = tile * parts_of_row + part;
        __global const uchar *extras = base + extra + i * MX_TILE_EXTRA(K, scale_type);
        mx_f *sum = part + 1 == parts_of_row ? y : gate;
        for (uint e = 0; e < n; e++)
            sum[e] = (mx_f)(0.0f);
        for (uint g = 0; g < groups; g += MX_SEGMENT / MX_GROUP) {
            const uint a = g * MX_ATOMS, groups_here = min(groups - g, MX_SEGMENT / MX_GROUP);
            const uint atoms_here = min(atoms - a, MX_SEGMENT / 32);
            const uint step = atoms_here * MX_ATOM * T / (groups_here * n);
            __global const uchar *here = base + data + i * MX_TILE_BYTES(K) + a * MX_ATOM;
            mx_unpack(u, here, MX_SCALE_AT(base + scale, i * MX_TILE_SCALES(K) + g * 16, scale_type),
                      extras + MX_TILE_EXTRA(g * MX_GROUP, scale_type), atoms_here, groups_here, scale_type);
            for (uint e = 0; e < n; e += T) {
                __global const char *x_of[T];
                __global const char *xs_of[T];
                MX_EACH_T(const ulong row = rows[entry + e + t]; x_of[t] = x + (row * atoms + a) * 32;
                          xs_of[t] = (__global const char *)(xs + row * groups + g))
                if (g == 0 && part == 0) {
                    MX_EACH_T(MX_PREFETCH_WRITE(out + (e + t) * ldo))
                }
                /* of the segment after the next, an equal part in each group of each round */
                mx_unpacked_segment(u, atoms_here, groups_here, x_of, xs_of, sums, sum + e,
                                    here + 2 * atoms_here * MX_ATOM + e / T * groups_here * step, step);
            }
        }
    }
}
#undef T
#endif
