/* SPDX-License-Identifier: Apache-2.0
 *
 * mx_linear: every matrix product. out[entry][n] = sum over k of W[n][k] x[rows[entry]][k], ARITHMETIC.md section 3.
 * Global: (tiles of 16 rows, or pairs of tiles for gate and up; jobs; 1). A work-item owns one tile for all entries of its
 * job, in blocks of MX_T so that the tile comes from memory once and then from the nearest cache. */
#ifndef MX_T
#define MX_T 8
#endif

#define MODE_STORE 0
#define MODE_RESIDUAL 1
#define MODE_GLU 2

#if MX_FORMAT <= MX_I8
typedef char mx_act;

/* acc + dot products of 4 unsigned and 4 signed bytes, for 16 rows. */
inline int16 mx_dot4(int16 acc, uint16 w, __global const uint *xp) {
#if MX_DOT == 1
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*xp));
    return acc;
#else
    char4 v = as_char4(*xp);
    acc += convert_int16(w & 0xff) * (int)v.s0;
    acc += convert_int16((w >> 8) & 0xff) * (int)v.s1;
    acc += convert_int16((w >> 16) & 0xff) * (int)v.s2;
    return acc + convert_int16(w >> 24) * (int)v.s3;
#endif
}
#else
typedef float mx_act;
#endif

struct mx_tile_args {
    __global const uchar *data, *scale, *extra; /* planes */
    __global const mx_act *x;
    __global const float *xs;
    __global const int *xsum;
    uint K, kp, groups;
};

/* One tile for T entries whose activation rows are r[0..T). T is a constant at every call. */
inline __attribute__((always_inline)) void mx_tile(const uint T, const struct mx_tile_args *a, uint tile, const uint *r,
                                                   float16 *y) {
#if MX_FORMAT <= MX_I8
    const uint atoms = a->kp / 32;
#if MX_FORMAT == MX_I8
    __global const uint *w = (__global const uint *)(a->data + (ulong)tile * atoms * 512);
#else
    __global const uint *w = (__global const uint *)(a->data + (ulong)tile * atoms * 256);
#endif
    __global const uint *x[MX_T];
    for (uint t = 0; t < T; t++) {
        x[t] = (__global const uint *)(a->x + (ulong)r[t] * a->kp);
        y[t] = 0.0f;
    }
    for (uint g0 = 0; g0 < a->groups; g0 += 256 / MX_GROUP) {
        float16 acc[MX_T];
        for (uint t = 0; t < T; t++)
            acc[t] = 0.0f;
        for (uint g = g0; g < min(g0 + 256 / MX_GROUP, a->groups); g++) {
            const ulong plane = (ulong)tile * a->groups + g;
            int16 dot[MX_T];
            for (uint t = 0; t < T; t++) {
                int sum = a->xsum[(ulong)r[t] * a->groups + g];
#if MX_FORMAT == MX_I4
                dot[t] = -8 * sum;
#elif MX_FORMAT == MX_I4Z
                dot[t] = convert_int16(vload16(plane, a->extra)) * -sum;
#elif MX_FORMAT == MX_I8
                dot[t] = -128 * sum;
#else
                dot[t] = 0;
#endif
            }
            for (uint atom = g * (MX_GROUP / 32); atom < min((g + 1) * (MX_GROUP / 32), atoms); atom++) {
#if MX_FORMAT == MX_I8
                for (uint q = 0; q < 8; q++) {
                    uint16 v = vload16(atom * 8 + q, w) ^ 0x80808080u;
                    for (uint t = 0; t < T; t++)
                        dot[t] = mx_dot4(dot[t], v, x[t] + atom * 8 + q);
                }
#else
                for (uint q = 0; q < 4; q++) {
                    uint16 v = vload16(atom * 4 + q, w), lo = v & 0x0f0f0f0fu, hi = (v >> 4) & 0x0f0f0f0fu;
                    for (uint t = 0; t < T; t++) {
                        dot[t] = mx_dot4(dot[t], lo, x[t] + atom * 8 + q);
                        dot[t] = mx_dot4(dot[t], hi, x[t] + atom * 8 + 4 + q);
                    }
                }
#endif
            }
            float16 s = mx_scales(a->scale, plane);
#if MX_FORMAT == MX_I4M
            float16 m = mx_scales(a->extra, plane);
#endif
            for (uint t = 0; t < T; t++) {
                float xs = a->xs[(ulong)r[t] * a->groups + g];
                acc[t] = fma(s * xs, convert_float16(dot[t]), acc[t]);
#if MX_FORMAT == MX_I4M
                acc[t] = fma(m * xs, (float16)((float)a->xsum[(ulong)r[t] * a->groups + g]), acc[t]);
#endif
            }
        }
        for (uint t = 0; t < T; t++)
            y[t] = y[t] + acc[t];
    }
#else
    __global const float *x[MX_T];
    for (uint t = 0; t < T; t++) {
        x[t] = a->x + (ulong)r[t] * a->K;
        y[t] = 0.0f;
    }
    for (uint k0 = 0; k0 < a->K; k0 += 256) {
        float16 acc[MX_T];
        for (uint t = 0; t < T; t++)
            acc[t] = 0.0f;
        for (uint k = k0; k < min(k0 + 256, a->K); k++) {
            float16 w = mx_column(a->data, (ulong)tile * a->kp + k);
            for (uint t = 0; t < T; t++)
                acc[t] = fma(w, (float16)(x[t][k]), acc[t]);
        }
        for (uint t = 0; t < T; t++)
            y[t] = y[t] + acc[t];
    }
#endif
    for (uint t = 0; t < T; t++)
        y[t] = mx_flush(y[t]);
}

inline __attribute__((always_inline)) void mx_block(const uint T, const struct mx_tile_args *a, uint tile, uint mode,
                                                    uint entry, __global const uint *rows, __global float *out,
                                                    uint rows_out, uint ldo, uint out_row) {
    uint r[MX_T];
    float16 y[MX_T], up[MX_T];
    for (uint t = 0; t < T; t++)
        r[t] = rows[entry + t];
    mx_tile(T, a, mode == MODE_GLU ? 2 * tile : tile, r, y);
    if (mode == MODE_GLU)
        mx_tile(T, a, 2 * tile + 1, r, up);
    for (uint t = 0; t < T; t++) {
        __global float *o = out + (ulong)(entry + t) * ldo + (mode == MODE_GLU ? 0 : out_row);
        uint n = mode == MODE_GLU ? ldo : rows_out;
        float16 v = y[t];
        if (mode == MODE_GLU)
            v = mx_flush(mx_silu(v) * up[t]);
        else if (mode == MODE_RESIDUAL)
            v = mx_flush(mx_load16(o, tile * 16, n) + v);
        mx_store16(o, tile * 16, n, v);
    }
}

__kernel void mx_linear(WEIGHTS, __global const uint4 *jobs, __global const uint *rows, __global const mx_act *x,
                        __global const float *xs, __global const int *xsum, __global float *out, uint K, uint rows_out,
                        uint ldo, uint out_row, uint mode) {
    uint4 job = jobs[get_global_id(1)];
    if (job.z == 0 || get_global_id(2) != 0)
        return;
    __global const uchar *base = MX_SEGMENT(job.x);
    struct mx_tile_args a = {base + data, base + scale, base + extra, x, xs, xsum, K, (K + 31) / 32 * 32, 1};
#if MX_FORMAT <= MX_I8
    a.groups = (K + MX_GROUP - 1) / MX_GROUP;
#endif
    uint tile = get_global_id(0), e = job.y, end = job.y + job.z;
    for (; e + MX_T <= end; e += MX_T)
        mx_block(MX_T, &a, tile, mode, e, rows, out, rows_out, ldo, out_row);
    for (; e < end; e++)
        mx_block(1, &a, tile, mode, e, rows, out, rows_out, ldo, out_row);
}
