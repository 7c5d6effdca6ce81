/* SPDX-License-Identifier: Apache-2.0
 *
 * What linear.cl is made of, whatever the number of entries computed side by side: the products of weights and
 * activations, and what lies where. */

/* Several entries have linear_block.cl. Where there are registers for it two tiles are done side by side, also those that
 * are no gate and its factor: one tile for itself asks for as many reads, of x, scales and sums, as it has products. Few
 * entries wait for memory, and a processor reads one tile after the other faster: they have linear_tile.cl, T = 4 also
 * for three and T = 6 for five, whose last entry is then computed twice. */
#define MX_PAIRS (MX_DOT == MX_VNNI512 && MX_INTEGER)
#define MX_BLOCKS (MX_DOT == MX_AVX2 && MX_INTEGER && MX_FORMAT != MX_I8 || MX_PAIRS)
#if MX_PAIRS
#define MX_BLOCK_T 5
#define MX_BLOCK_MIN 8u                                /* entries */
#define MX_BLOCK_COUNT(left) ((left) - ((left) == 11)) /* as many as are a sum of fives and fours */
#elif MX_BLOCKS
#define MX_BLOCK_T 4
#define MX_BLOCK_MIN 4u
#define MX_BLOCK_COUNT(left) ((left) / 4 * 4)
#endif

#if MX_INTEGER
typedef char mx_x;
#else
typedef float mx_x;
#endif

#if MX_INTEGER
#define MX_ATOM (MX_FORMAT == MX_I8 ? 512u : 256u) /* bytes of 16 rows x 32 k */
#define MX_ATOMS (MX_GROUP / 32u)                  /* in a group */

/* What linear_tile.cl asks the cache for. One entry, or few: what they need themselves a little later; more: the tile that
 * follows, there is time until then. */
#define MX_SOON (T == 1 || MX_PAIRS)
#ifndef MX_AHEAD
#define MX_AHEAD 4096u /* bytes, if soon */
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

/* The four bytes at x, for each of 16 rows; and mx_dot4 with them. */
MX_INLINE mx_i mx_four(__global const int *x) {
    mx_i four;
    __asm__("vpbroadcastd %1, %0" : "=v"(four) : "m"(*x));
    return four;
}

MX_INLINE mx_i mx_dot_four(mx_i sum, mx_u w, mx_i four) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(four));
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

/* What was added to the weights of a group, in a sum, where it is not taken off at its start. S: the sum of its x. */
#define MX_LESS_AFTER (MX_DOT == MX_VNNI512 && (MX_FORMAT == MX_I4 || MX_FORMAT == MX_I8))
#if MX_LESS_AFTER
MX_INLINE mx_i mx_added(__global const int *S) { /* vpdpwssd would do it at once, in a multiplier */
    mx_i added;
    __asm__("vpslld %2, %1%{1to16%}, %0" : "=v"(added) : "m"(*S), "i"(MX_FORMAT == MX_I4 ? 3 : 7));
    return added;
}
#elif MX_BLOCKS && MX_FORMAT == MX_I4 /* a compiler reads S before the products, finds no register, puts it away */
MX_INLINE mx_i mx_added(__global const int *S) {
    int8 added;
    __asm__("vpbroadcastd %1, %0\n\tvpslld $3, %0, %0" : "=x"(added) : "m"(*S));
    return (mx_i)(added, added);
}
#endif

/* Where a group is one atom, the 8 that was added to nibbles is taken off the two sums of 16 bits, half of it each. What
 * a sum holds of its own 16 products then lies within 11 * 127, of the 16 others within 4 * 127: 16 * 15 * 127 again. */
#define MX_HALVES_START (MX_DOT == MX_AVX2 && MX_FORMAT == MX_I4 && MX_ATOMS == 1 ? -4 : 0)

/* The start of a sum: what was added to make weights unsigned, or the zero-point, is taken off. */
#if MX_FORMAT == MX_I4Z
#define MX_START_ROW(extra, g, xsum) (MX_TO_I(MX_ROW(extra, g)) * -(xsum))
#define MX_START_ONE(extra, i, xsum) ((extra)[i] * -(xsum))
#else
#define MX_ADDED (MX_FORMAT == MX_I4 ? 8 : MX_FORMAT == MX_I8 && MX_DOT != MX_AVX2 ? 128 : 0)
#define MX_START_ROW(extra, g, xsum) ((mx_i)((xsum) * -(MX_HALVES_START || MX_LESS_AFTER ? 0 : MX_ADDED)))
#define MX_START_ONE(extra, i, xsum) ((xsum) * -MX_ADDED)
#endif

#define MX_TILE_BYTES(K) ((K + 31) / 32 * MX_ATOM)
#define MX_TILE_SCALES(K) ((K + MX_GROUP - 1) / MX_GROUP * 16)
#if MX_FORMAT == MX_I4Z
#define MX_TILE_EXTRA(K, type) MX_TILE_SCALES(K)
#else
#define MX_TILE_EXTRA(K, type) (MX_TILE_SCALES(K) << (type))
#endif
#else
#define MX_TILE_BYTES(K) ((K + 31) / 32 * 512 * (uint)sizeof(mx_weight))
#define MX_TILE_SCALES(K) 0
#define MX_TILE_EXTRA(K, type) 0
#endif

/* The operands of `side` tiles, one or two, and their results: of the last tile in y, of the first of two in gate. */
#define MX_ARGUMENTS                                                                                                   \
    __global const uchar *base, uint data, uint scale, uint extra, uint scale_type, __global const uint *rows,         \
        __global const mx_x *x, __global const float *xs, __global const int *xsum, uint K, uint side,                 \
        MX_SHARED mx_f *parts, mx_f *y, mx_f *gate

/* linear_tile.cl follows four times: what depends on the number T of entries computed side by side, for T = 1, 2, 4 and,
 * if that is more, MX_T; with MX_PAIRS for 6 instead, with MX_BLOCKS else for 1 and 2 only, and linear_block.cl follows
 * twice. Functions and types have T in their names, and MX_OTHER: a list has linear.cl twice. */
#ifndef MX_OTHER
#define MX_OTHER
#endif
#define MX_OF(name, n) MX_JOIN(MX_JOIN(name##_, n), MX_OTHER)
#define mx_operands MX_OF(mx_operands, T)
#define mx_atom MX_OF(mx_atom, T)
#define mx_segment MX_OF(mx_segment, T)
#define mx_tile MX_OF(mx_tile, T)
#define mx_tiles MX_OF(mx_tiles, T)
#define T 1
