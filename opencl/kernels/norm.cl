/* SPDX-License-Identifier: Apache-2.0
 *
 * Input sites: RMSNorm, and quantising activations. One work-item for a row. */

/* Quantises row x (K) in groups; the padding up to kp becomes 0. */
inline void mx_quantise_row(__global const float *x, __global char *xq, __global float *xs, __global int *xsum,
                            __global int *status, uint K, uint group) {
    const uint kp = (K + 31) / 32 * 32;
    for (uint g = 0; g * group < K; g++) {
        uint end = min((g + 1) * group, kp);
        int16 top = 0;
        for (uint i = g * group; i < end; i += 16)
            top = max(top, as_int16(mx_load16(x, i, K)) & 0x7fffffff);
        int8 t8 = max(top.lo, top.hi);
        int4 t4 = max(t8.lo, t8.hi);
        int2 t2 = max(t4.lo, t4.hi);
        int bits = max(t2.x, t2.y);
        if (bits >= 0x7f800000) {
            atomic_or(status, MX_STATUS_NOT_FINITE);
            bits = 0;
        }
        float a = as_float(bits), r = bits ? mx_div(127.0f, a) : 0.0f;
        int16 sum = 0;
        for (uint i = g * group; i < end; i += 16) {
            float16 v = bits ? mx_load16(x, i, K) : (float16)(0.0f);
            int16 q = clamp(convert_int16(rint(v * r)), -127, 127);
            vstore16(convert_char16(q), 0, xq + i);
            sum += q;
        }
        int8 s8 = sum.lo + sum.hi;
        int4 s4 = s8.lo + s8.hi;
        xsum[g] = s4.x + s4.y + s4.z + s4.w;
        xs[g] = a * 0x1.020408p-7f;
    }
}

__kernel void mx_quantise(__global const float *x, __global char *xq, __global float *xs, __global int *xsum,
                          __global int *status, uint K, uint group) {
    ulong row = get_global_id(0);
    uint groups = (K + group - 1) / group;
    mx_quantise_row(x + row * K, xq + row * ((K + 31) / 32 * 32), xs + row * groups, xsum + row * groups, status, K,
                    group);
}

__kernel void mx_norm(WEIGHTS, __global const uint *rows, __global const float *x, __global float *n, __global char *xq,
                      __global float *xs, __global int *xsum, __global int *status, uint H, uint group,
                      float inv_hidden, float eps) {
    ulong row = get_global_id(0);
    __global const float *w = (__global const float *)(MX_SEGMENT(0) + data);
    __global const float *in = x + (ulong)rows[row] * H;
    __global float *out = n + row * H;
    float r = mx_rsqrt(fma(mx_lanesum(in, H, true), inv_hidden, eps));
    bool bad = false;
    for (uint i = 0; i < H; i += 16) {
        float16 v = mx_flush(mx_load16(in, i, H) * r * mx_load16(w, i, H));
        bad = bad || mx_not_finite(v);
        mx_store16(out, i, H, v);
    }
    if (bad)
        atomic_or(status, MX_STATUS_NOT_FINITE);
    uint groups = group ? (H + group - 1) / group : 0;
    if (group)
        mx_quantise_row(out, xq + row * ((H + 31) / 32 * 32), xs + row * groups, xsum + row * groups, status, H, group);
}
