/* SPDX-License-Identifier: Apache-2.0
 *
 * RMS norm, and quantising of input sites. Shapes: x (.., H), n (R, H), xq (R, kp), xs and xsum (R, groups);
 * kp = K padded to 32 with zeros, groups = ceil(K / group). Grid: units are rows. */

#define MX_SEGMENTS_MAX 256u /* of MX_HIDDEN_MAX elements */

/* Values of 2^100 and above cannot be quantised (1/x would underflow): they count as not finite. */
#define MX_TOO_LARGE 0x71800000

/* Sum of squares of x (H). `parts` and `sums` are used in the lane style only. */
MX_APART float mx_sum_squares(__global const float *x, uint H, MX_SHARED float *parts, MX_SHARED float *sums) {
    float total = 0.0f;
#if MX_LANES
    const uint segments = (H + MX_SEGMENT - 1) / MX_SEGMENT;
    for (uint s0 = 0; s0 < segments; s0 += MX_SLOTS) {
        const uint s = s0 + MX_SLOT, end = min(H, (s + 1) * MX_SEGMENT);
        float a = 0.0f;
        for (uint i = s * MX_SEGMENT + MX_LANE; i < end; i += 16)
            a = fma(x[i], x[i], a);
        for (uint half_ = 8; half_ > 0; half_ /= 2) {
            parts[MX_ITEM] = a;
            MX_SYNC();
            if (MX_LANE < half_)
                a = a + parts[MX_ITEM + half_];
            MX_SYNC();
        }
        if (MX_LANE == 0 && s < segments)
            sums[s] = a;
    }
    MX_SYNC();
    total = sums[0];
    for (uint s = 1; s < segments; s++)
        total = total + sums[s];
#else
    for (uint s = 0; s < H; s += MX_SEGMENT) {
        const uint end = min(H, s + MX_SEGMENT);
        float16 a = 0.0f;
        for (uint i = s; i < end; i += 16) {
            const float16 v = mx_load(x + i, H - i);
            a = fma(v, v, a);
        }
        const float sum = mx_add16(a);
        total = s ? total + sum : sum;
    }
#endif
    return total;
}

/* to = (from * r) * w, of H values; `to` may be `from`. Gives the largest magnitude's bits (of this work-item's share). */
MX_APART int mx_scale_row(__global const float *from, __global const float *w, __global float *to, uint H, float r) {
#if MX_LANES
    int worst = 0;
    for (uint i = MX_ITEM; i < H; i += MX_ITEMS) {
        const float v = mx_flush((from[i] * r) * w[i]);
        to[i] = v;
        worst = max(worst, as_int(v) & MX_MAGNITUDE);
    }
    return worst;
#else
    int16 largest = 0;
    for (uint i = 0; i < H; i += 16) {
        const float16 v = mx_flush16((mx_load(from + i, H - i) * r) * mx_load(w + i, H - i));
        mx_store(to + i, v, H - i);
        largest = max(largest, as_int16(v) & MX_MAGNITUDE);
    }
    return mx_max16(largest);
#endif
}

/* Quantises group g of x (K). Gives the largest magnitude's bits. */
MX_FN int mx_quantise_group(__global const float *x, __global char *xq, __global float *xs, __global int *xsum, uint K,
                            uint group, uint g) {
    const uint first = g * group, end = min(K, first + group), padded = min((K + 31) / 32 * 32, first + group);
    int worst = 0, sum = 0;
#if MX_LANES
    for (uint k = first; k < end; k++)
        worst = max(worst, as_int(x[k]) & MX_MAGNITUDE);
#else
    int16 largest = 0;
    for (uint k = first; k < end; k += 16)
        largest = max(largest, as_int16(mx_load(x + k, K - k)) & MX_MAGNITUDE);
    worst = mx_max16(largest);
#endif
    const bool some = worst > 0 && worst < MX_TOO_LARGE;
    const float a = as_float(worst), r = some ? mx_div(127.0f, a) : 0.0f;
#if MX_LANES
    for (uint k = first; k < padded; k++) {
        const int q = some && k < end ? clamp(convert_int(rint(x[k] * r)), -127, 127) : 0;
        xq[k] = (char)q;
        sum += q;
    }
#else
    int16 sums = 0;
    for (uint k = first; k < padded; k += 16) {
        const float16 v = k < end ? mx_load(x + k, K - k) : (float16)(0.0f);
        const int16 q = some ? mx_nearest16(clamp(v * r, -127.0f, 127.0f)) : (int16)(0);
        vstore4(as_int4(convert_char16(q)), 0, (__global int *)(xq + k)); /* PoCL stores 16 chars one by one */
        sums += q;
    }
    sum = mx_sum16(sums);
#endif
    xs[g] = some ? a * 0x1.020408p-7f : 0.0f;
    xsum[g] = sum;
    return worst;
}

MX_APART void mx_quantise_row(__global const float *x, __global char *xq, __global float *xs, __global int *xsum, uint K,
                           uint group, __global int *status) {
    int worst = 0;
    for (uint g = MX_ITEM; g < (K + group - 1) / group; g += MX_ITEMS)
        worst = max(worst, mx_quantise_group(x, xq, xs, xsum, K, group, g));
    if (worst >= MX_TOO_LARGE)
        atomic_or(status, MX_NOT_FINITE);
}

MX_KERNEL(mx_norm, MX_WEIGHTS, __global const uint *restrict rows, __global const float *restrict x,
                      __global float *restrict n, __global char *restrict xq, __global float *restrict xs,
                      __global int *restrict xsum, __global int *restrict status, uint H, uint group, float inv_hidden,
                      float eps) {
#if MX_LANES
    __local float parts[MX_LOCAL];
    __local float sums[MX_SEGMENTS_MAX];
#else
    float *parts = 0, *sums = 0;
#endif
    const ulong row = MX_UNIT(0), kp = (H + 31) / 32 * 32;
    __global const float *from = x + (ulong)rows[row] * H;
    __global const float *w = (__global const float *)(MX_BASE(segment) + data);
    __global float *to = n + row * H;
    const float r = mx_rsqrt(fma(mx_sum_squares(from, H, parts, sums), inv_hidden, eps));
    const int worst = mx_scale_row(from, w, to, H, r);
    if (worst >= MX_INFINITE)
        atomic_or(status, MX_NOT_FINITE);
    MX_SYNC();
    if (group) {
        const uint groups = (H + group - 1) / group;
        mx_quantise_row(to, xq + row * kp, xs + row * groups, xsum + row * groups, H, group, status);
    }
}

/* x (R, K); rows from counts[which] on are not there. */
MX_KERNEL(mx_quantise, __global const float *restrict x, __global char *restrict xq, __global float *restrict xs,
                          __global int *restrict xsum, __global int *restrict status,
                          __global const uint *restrict counts, uint which, uint K, uint group) {
    if (MX_UNIT(0) >= counts[which])
        return;
    const ulong row = MX_UNIT(0), kp = (K + 31) / 32 * 32, groups = (K + group - 1) / group;
    mx_quantise_row(x + row * K, xq + row * kp, xs + row * groups, xsum + row * groups, K, group, status);
}

/* qkv (T, ld): vectors of q, then of k, normed in place: q_vectors of q_cols values each, weights (q_cols), then vectors
 * of k_cols values, weights (k_cols) behind. Grid: units are (token, vector). */
MX_KERNEL(mx_qk_norm, MX_WEIGHTS, __global float *restrict qkv, uint ld, uint q_vectors, uint q_cols, uint k_cols,
                         float inv_q, float inv_k, float eps) {
#if MX_LANES
    __local float parts[MX_LOCAL];
    __local float sums[MX_SEGMENTS_MAX];
#else
    float *parts = 0, *sums = 0;
#endif
    const uint v = MX_UNIT(1), of_k = v < q_vectors ? 0 : v - q_vectors, cols = v < q_vectors ? q_cols : k_cols;
    __global const float *w = (__global const float *)(MX_BASE(segment) + data) + (v < q_vectors ? 0 : q_cols);
    __global float *x = qkv + (ulong)MX_UNIT(0) * ld + (v < q_vectors ? v * q_cols : q_vectors * q_cols + of_k * k_cols);
    const float r = mx_rsqrt(fma(mx_sum_squares(x, cols, parts, sums), v < q_vectors ? inv_q : inv_k, eps));
    MX_SYNC();
    mx_scale_row(x, w, x, cols, r);
}
