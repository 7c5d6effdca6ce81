/* SPDX-License-Identifier: Apache-2.0
 *
 * x[t] = row token[t] of the embedding, times `factor`. One launch for each tensor of it: tokens outside of
 * [row_offset, row_offset + rows) are another's. Grid: units are tokens.
 * Format, group and type of scales are arguments, not options: a row is little work beside a program for each of them, and
 * a list of launches takes an embedding of any format. */

/* Element k of row r as F. shift: a group has 1 << shift elements. */
MX_FN float mx_element(__global const uchar *base, uint data, uint scale, uint extra, uint r, uint k, uint K,
                       uint format, uint shift, uint scale_type) {
    __global const uchar *p = base + data;
    const uint row = r % 16, j = k % 32;
    const ulong tile = r / 16, atom = tile * ((K + 31) / 32) + k / 32, at = atom * 512 + j * 16 + row;
    if (format == MX_BF16)
        return as_float((uint)((__global const ushort *)p)[at] << 16);
    if (format == MX_F16)
        return mx_half((__global const ushort *)p, at);
    if (format == MX_F32)
        return ((__global const float *)p)[at];
    const ulong i = (tile * ((K - 1 >> shift) + 1) + (k >> shift)) * 16 + row;
    const float s = MX_SCALE_ONE(base + scale, i, scale_type);
    if (format == MX_I8)
        return mx_flush(s * convert_float(((__global const char *)p)[atom * 512 + (j / 4 * 16 + row) * 4 + j % 4]));
    const uint pair = p[atom * 256 + (j % 16 / 4 * 16 + row) * 4 + j % 4];
    const int q = j < 16 ? pair & 15 : pair >> 4;
    if (format == MX_I4M)
        return mx_flush(fma(s, convert_float(q), MX_SCALE_ONE(base + extra, i, scale_type)));
    return mx_flush(s * convert_float(q - (format == MX_I4Z ? (int)(base + extra)[i] : 8)));
}

MX_KERNEL(mx_embed, MX_WEIGHTS, __global const int *restrict token, __global float *restrict x,
                       __global int *restrict status, uint H, uint row_offset, uint rows, float factor, uint format,
                       uint group, uint scale_type) {
    const uint t = MX_UNIT(0), r = (uint)token[t] - row_offset;
    if (MX_ITEM == 0 && token[t] < 0)
        atomic_or(status, MX_BAD_INDEX);
    if (token[t] < 0 || r >= rows)
        return;
    __global const uchar *base = MX_BASE(segment);
    const uint shift = 31 - clz(group); /* a division for each element takes longer than all else */
    int worst = 0;
    for (uint k = MX_ITEM; k < H; k += MX_ITEMS) {
        const float v = mx_flush(mx_element(base, data, scale, extra, r, k, H, format, shift, scale_type) * factor);
        x[(ulong)t * H + k] = v;
        worst = max(worst, as_int(v) & MX_MAGNITUDE);
    }
    if (worst >= MX_INFINITE)
        atomic_or(status, MX_NOT_FINITE);
}
