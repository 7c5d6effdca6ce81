/* SPDX-License-Identifier: Apache-2.0
 *
 * x[t] = row token[t] of the embedding, times `factor`. One launch for each tensor of it: tokens outside of
 * [row_offset, row_offset + rows) are another's. Grid: units are tokens. */

/* Element k of row r as F. */
MX_FN float mx_element(__global const uchar *base, uint data, uint scale, uint extra, uint r, uint k, uint K) {
    const ulong tile = r / 16, row = r % 16, atoms = (K + 31) / 32;
#if MX_INTEGER
    const uint j = k % 32;
    const ulong i = (tile * ((K + MX_GROUP - 1) / MX_GROUP) + k / MX_GROUP) * 16 + row;
    const float s = MX_SCALE_ONE((__global const mx_scale *)(base + scale), i);
#if MX_FORMAT == MX_I8
    const int q = ((__global const char *)(base + data))[(tile * atoms + k / 32) * 512 + (j / 4 * 16 + row) * 4 + j % 4];
    return mx_flush(s * convert_float(q));
#else
    const uint pair = (base + data)[(tile * atoms + k / 32) * 256 + (j % 16 / 4 * 16 + row) * 4 + j % 4];
    const int q = j < 16 ? pair & 15 : pair >> 4;
#if MX_FORMAT == MX_I4
    return mx_flush(s * convert_float(q - 8));
#elif MX_FORMAT == MX_I4Z
    return mx_flush(s * convert_float(q - (int)(base + extra)[i]));
#else
    return mx_flush(fma(s, convert_float(q), MX_SCALE_ONE((__global const mx_scale *)(base + extra), i)));
#endif
#endif
#else
    return MX_WEIGHT_ONE((__global const mx_weight *)(base + data), (tile * atoms * 32 + k) * 16 + row);
#endif
}

MX_KERNEL(mx_embed, MX_WEIGHTS, __global const int *restrict token, __global float *restrict x,
                       __global int *restrict status, uint H, uint row_offset, uint rows, float factor) {
    const uint t = MX_UNIT(0), r = (uint)token[t] - row_offset;
    if (MX_ITEM == 0 && token[t] < 0)
        atomic_or(status, MX_BAD_INDEX);
    if (token[t] < 0 || r >= rows)
        return;
    __global const uchar *base = MX_BASE(segment);
    int worst = 0;
    for (uint k = MX_ITEM; k < H; k += MX_ITEMS) {
        const float v = mx_flush(mx_element(base, data, scale, extra, r, k, H) * factor);
        x[(ulong)t * H + k] = v;
        worst = max(worst, as_int(v) & MX_MAGNITUDE);
    }
    if (worst >= MX_INFINITE)
        atomic_or(status, MX_NOT_FINITE);
}
