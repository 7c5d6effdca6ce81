/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear layers: out[entry][n] = sum over k of W[n][k] x[row of entry][k], section 3 of runtime/ARITHMETIC.md.
 *
 * jobs (J): {expert, first entry, count, 0}. rows (entries): the row of x that an entry reads.
 * scale_type: enum mx_scale_type, an argument as it costs a branch beside a group, and another program otherwise.
 * Integer formats: x int8 (rows, kp), xs float (rows, groups), xsum int (rows, groups); float formats: x float (rows, K).
 * mode 0: out[entry * ldo + out_row + n] = y; 1: the same, added to what is there; 2: tiles alternate gate and up,
 * out[entry * ldo + n] = silu(gate) * up for n < ldo; 3: the same with GELU.
 *
 * Grid: dim 0 jobs, dim 1 tiles of 16 rows (pairs of tiles from mode 2 on), dim 2 blocks of MX_TOKENS_PER_ITEM entries. The
 * host may make sides 1 and 2 shorter: a unit then does several tiles or blocks; only speed depends on it. Jobs are the
 * first side because they differ in length and many are empty: each stretch of units has some of all.
 *
 * In the lane style a unit is a work-group whose sets of 16 lanes take the segments of one tile in turn; where NVIDIA's
 * tensor cores compute 8 entries at once, a set is a warp of 32.
 *
 * In front of this text stand linear_results.cl, linear_parts.cl and, several times, linear_tile.cl and linear_block.cl. */

MX_KERNEL(mx_linear, MX_WEIGHTS, __global const uint4 *restrict jobs, __global const uint *restrict rows,
                        __global const mx_x *restrict x, __global const float *restrict xs,
                        __global const int *restrict xsum, __global float *restrict out, uint K, uint rows_out,
                        uint ldo, uint out_row, uint mode, uint scale_type) {
#if MX_LANES
    __local float parts[MX_T * MX_LOCAL];
#else
    mx_f *parts = 0;
#endif
    mx_f y[MX_OWN], gate[MX_OWN];
    const uint4 job = jobs[MX_UNIT(0)];
    const uint tiles = (rows_out + 15) / 16, together = mode >= MX_GLU || MX_PAIRS ? 2 : 1;
    const uint steps = (tiles + together - 1) / together;
#if MX_LANES
    const uint share = (steps + MX_UNITS(1) - 1) / MX_UNITS(1);
    const uint first = MX_UNIT(1) * share, last = min(steps, first + share);
#else /* with MX_PAIRS there may be more units than steps: each stretch of units, one core's, has some */
    const uint first = (ulong)MX_UNIT(1) * steps / MX_UNITS(1), last = ((ulong)MX_UNIT(1) + 1) * steps / MX_UNITS(1);
#endif
    for (uint start = MX_UNIT(2) * MX_TOKENS_PER_ITEM; start < job.z; start += MX_UNITS(2) * MX_TOKENS_PER_ITEM) {
        __global const uchar *base = MX_BASE(segment + job.x);
        const uint end = min(job.z, start + MX_TOKENS_PER_ITEM);
        for (uint tile = first * together; tile < last * together; tile += together)
            for (uint i = start, n; i < end; i += n) {
                const uint side = min(together, tiles - tile);
                __global float *to = out + (ulong)(job.y + i) * ldo;
#define MX_THESE job.y + i, tile, base, data, scale, extra, scale_type, rows, x, xs, xsum, K, side, parts, y, gate
#define MX_RUN(count)                                                                                                  \
    n = min((uint)count, end - i);                                                                                     \
    MX_OF(mx_entries, count)(n, i == start, MX_THESE)
#if MX_INTEGER && MX_DOT == MX_MMA
                if (end - i > 4) {
                    n = min(end - i, MX_MMA_T);
                    mx_mma_entries(n, MX_THESE);
                    mx_results(32, n, tile / together, y, gate, to, rows_out, ldo, out_row, mode);
                    continue;
                }
#elif MX_T > 4 && !MX_BLOCKS
                if (end - i >= MX_T) {
                    MX_RUN(MX_T);
                } else
#endif
#if MX_BLOCKS
                if (end - i >= MX_BLOCK_MIN) {
                    n = MX_BLOCK_COUNT(end - i);
                    if (mode >= MX_GLU)
                        mx_block_entries(n, MX_THESE, to + tile / 2 * 16, 1, ldo);
                    else
                        mx_block_entries(n, MX_THESE, to + tile * 16 + out_row, side, ldo);
                } else
#endif
#if MX_PAIRS
                if (end - i > 4) {
                    MX_RUN(6);
                } else
#endif
#if !MX_BLOCKS || MX_PAIRS
                if (end - i >= (MX_PAIRS ? 3 : 4)) {
                    MX_RUN(4);
                } else
#endif
                if (end - i >= 2) {
                    MX_RUN(2);
                } else {
                    MX_RUN(1);
                }
#if MX_PAIRS
                if (mode < MX_GLU) { /* a pair of tiles that are no gate and its factor */
                    if (side == 2)
                        mx_results(16, n, tile, gate, gate, to, rows_out, ldo, out_row, mode);
                    mx_results(16, n, tile + side - 1, y, gate, to, rows_out, ldo, out_row, mode);
                    continue;
                }
#endif
                mx_results(16, n, tile / together, y, gate, to, rows_out, ldo, out_row, mode);
            }
    }
}
