/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of the sums of a product, whatever the format of its weights. In front of linear_parts.cl. */

#ifndef MX_TOKENS_PER_ITEM
#define MX_TOKENS_PER_ITEM 64u /* entries for which one unit reads a tile: they share it in the cache */
#endif

#ifndef MX_T /* entries computed side by side outside of blocks, as registers allow; 4 to 8 */
#if MX_LANES || MX_DOT == MX_AVX2
#define MX_T 4
#else
#define MX_T 8
#endif
#endif

#define MX_RESIDUAL 1u /* modes of mx_linear */
#define MX_GLU 2u      /* and above */
#define MX_GLU_GELU 3u

/* A work-item's results of a tile are y[own], own = 0 .. MX_OWN - 1. Without lanes it has those of all entries. With them
 * a set of lanes, 16 with a row of the tile each or a warp in the order of mma, has numbers t = 0 .. of results for each
 * lane, and the sets of a unit share these out, so that all of them sum and compute gates. */
#if MX_LANES
#define MX_OWN ((8 * 16 + MX_LOCAL - 1) / MX_LOCAL)
#define MX_OWN_T(set) (get_local_id(0) / (set) + own * (MX_LOCAL / (set)))
#define MX_MMA_ROW(thread, t) (((thread) >> 2 & 7u) + 8u * ((t) >> 1)) /* linear_tile.cl says why */
#define MX_MMA_ENTRY(thread, t) (((thread) & 3u) * 2u + ((t) & 1u))
#else
/* With AVX-512 at least 6: five entries are computed as six. */
#define MX_OWN                                                                                                         \
    (MX_DOT == MX_VNNI512 && MX_TOKENS_PER_ITEM < 6 ? 6                                                                \
     : MX_DOT == MX_AVX2 || MX_DOT == MX_VNNI512    ? MX_TOKENS_PER_ITEM                                               \
                                                    : MX_T)
#endif

/* A lane's element of a row, or the first n of 16. */
#if MX_LANES
#define MX_LOAD(p, n) (*(p))
#define MX_STORE(p, v, n) *(p) = (v)
#else
#define MX_LOAD(p, n) mx_load(p, n)
#define MX_STORE(p, v, n) mx_store(p, v, n)
#endif

/* The results of tile `tile` for n entries, the first of which has its row at `out`; with a gate of tile pair `tile`. A
 * loop: as many copies of what is done with a result are more text than the products (Mesa took 4 times as long). */
MX_APART void mx_results(const uint set, uint n, uint tile, const mx_f *y, const mx_f *gate, __global float *out,
                         uint rows_out, uint ldo, uint out_row, uint mode) {
    const uint all = mode >= MX_GLU ? ldo : rows_out, columns = min(16u, all - min(all, tile * 16));
    out += tile * 16 + (mode >= MX_GLU ? 0 : out_row);
    for (uint own = 0; own < (MX_LANES ? MX_OWN : n); own++) {
        uint entry = own, row = 0;
#if MX_LANES
        entry = set == 32 ? MX_MMA_ENTRY(get_local_id(0), MX_OWN_T(set)) : MX_OWN_T(set);
        row = set == 32 ? MX_MMA_ROW(get_local_id(0), MX_OWN_T(set)) : MX_LANE;
        if (entry >= n || row >= columns)
            continue;
#endif
        __global float *to = out + entry * ldo + row;
        mx_f v = mx_flush_f(y[own]);
        if (mode >= MX_GLU)
            v = mx_flush_f(mx_gate_f(mx_flush_f(gate[own]), mode == MX_GLU_GELU) * v);
        else if (mode == MX_RESIDUAL)
            v = mx_flush_f(MX_LOAD(to, columns) + v);
        MX_STORE(to, v, columns);
    }
}
