/* SPDX-License-Identifier: Apache-2.0
 *
 * x[t] = row token[t] of the embedding, times `factor`. One launch for each tensor of it: tokens outside of
 * [row_offset, row_offset + rows) are another's. Grid: units are tokens.
 * Format, group and type of scales are arguments, not options: a row is little work beside a program for each of them, and
 * a list of launches takes an embedding of any format. */

/* Elements k .. k + 3 of row r as F, k a multiple of 4: a word of integers, with one scale. Rows are stored up to a multiple
 * of 32. */
MX_FN float4 mx_elements(__global const uchar *base, uint data, uint scale, uint extra, uint r, uint k, uint K,
                         uint format, uint group, uint scale_type) {
    __global const uchar *p = base + data;
    const uint row = r % 16, j = k % 32;
    const ulong tile = r / 16, atom = tile * ((K + 31) / 32) + k / 32, at = atom * 512 + j * 16 + row;
    if (format == MX_F32) {
        __global const float *w = (__global const float *)p + at;
        return (float4)(w[0], w[16], w[32], w[48]);
    }
    __global const ushort *h = (__global const ushort *)p + at;
    if (format == MX_F16)
        return (float4)(mx_half(h, 0), mx_half(h, 16), mx_half(h, 32), mx_half(h, 48));
    if (format == MX_BF16)
        return as_float4((uint4)(h[0], h[16], h[32], h[48]) << 16);
    const ulong i = (tile * ((K + group - 1) / group) + k / group) * 16 + row;
    const float s = MX_SCALE_ONE(base + scale, i, scale_type);
    int4 q;
    if (format == MX_I8) {
        q = convert_int4(vload4(atom * 128 + j / 4 * 16 + row, (__global const char *)p));
    } else {
        q = convert_int4(vload4(atom * 64 + j % 16 / 4 * 16 + row, p));
        q = j < 16 ? q & 15 : q >> 4;
        if (format == MX_I4M)
            return fma((float4)(s), convert_float4(q), (float4)(MX_SCALE_ONE(base + extra, i, scale_type)));
        q -= format == MX_I4Z ? (int)(base + extra)[i] : 8;
    }
    return s * convert_float4(q);
}

MX_FN float4 mx_flush4(float4 x) {
    return (as_int4(x) & MX_MAGNITUDE) < MX_LOWEST ? (float4)(0.0f) : x;
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
    int worst = 0;
    for (uint k = MX_ITEM * 4; k < H; k += MX_ITEMS * 4) {
        const float4 w = mx_elements(base, data, scale, extra, r, k, H, format, group, scale_type);
        const float4 y = mx_flush4(mx_flush4(w) * factor);
        const float v[4] = {y.s0, y.s1, y.s2, y.s3};
#pragma unroll
        for (uint i = 0; i < 4; i++)
            if (k + i < H) {
                x[(ulong)t * H + k + i] = v[i];
                worst = max(worst, as_int(v[i]) & MX_MAGNITUDE);
            }
    }
    if (worst >= MX_INFINITE)
        atomic_or(status, MX_NOT_FINITE);
}
