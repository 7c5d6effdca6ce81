/* SPDX-License-Identifier: Apache-2.0
 *
 * x[t] = row token[t] of the embedding, if this tensor holds it. Global: (T). */
__kernel void mx_embed(WEIGHTS, __global const int *token, __global float *x, __global int *status, uint H,
                       uint row_offset, uint rows) {
    ulong t = get_global_id(0);
    uint row = (uint)token[t] - row_offset;
    if (row >= rows)
        return;
    __global const uchar *base = MX_SEGMENT(0);
    const uint tile = row / 16, lane = row % 16, kp = (H + 31) / 32 * 32;
    __global float *out = x + t * H;
#if MX_FORMAT <= MX_I8
    const uint groups = (H + MX_GROUP - 1) / MX_GROUP;
#endif
    for (uint k = 0; k < H; k++) {
#if MX_FORMAT <= MX_I8
        ulong g = ((ulong)tile * groups + k / MX_GROUP) * 16 + lane;
        float s = mx_one_scale(base + scale, g);
#if MX_FORMAT == MX_I8
        int q = (char)base[data + (((ulong)tile * (kp / 4) + k / 4) * 16 + lane) * 4 + k % 4];
#else
        uint j = k % 16;
        uchar b = base[data + (((ulong)tile * (kp / 32) + k / 32) * 64 + (j / 4) * 16 + lane) * 4 + j % 4];
        int q = k % 32 < 16 ? b & 15 : b >> 4;
#endif
#if MX_FORMAT == MX_I4
        float v = s * (float)(q - 8);
#elif MX_FORMAT == MX_I4Z
        float v = s * (float)(q - base[extra + g]);
#elif MX_FORMAT == MX_I4M
        float v = fma(s, (float)q, mx_one_scale(base + extra, g));
#else
        float v = s * (float)q;
#endif
        out[k] = mx_flush(v);
#else
        float v[16];
        vstore16(mx_column(base + data, (ulong)tile * kp + k), 0, v);
        out[k] = v[lane];
#endif
    }
}
