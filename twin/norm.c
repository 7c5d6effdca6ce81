/* SPDX-License-Identifier: Apache-2.0
 *
 * RMS norm, and quantising of input sites. */
#include <math.h>
#include <string.h>

#include "runtime/arith.h"
#include "twin/sum.h"
#include "twin/twin.h"

static void quantise_row(const float *x, int8_t *xq, float *xs, int32_t *xsum, int32_t *status, uint32_t K,
                         uint32_t group) {
    memset(xq, 0, (K + 31) / 32 * 32);
    for (uint32_t g = 0; g * group < K; g++) {
        uint32_t end = (g + 1) * group < K ? (g + 1) * group : K;
        float a = 0;
        xs[g] = 0;
        xsum[g] = 0;
        for (uint32_t k = g * group; k < end; k++) {
            if (!(fabsf(x[k]) < 0x1p100f)) {
                *status |= 1;
                a = INFINITY;
            }
            a = fabsf(x[k]) > a ? fabsf(x[k]) : a;
        }
        if (a == 0 || !(a < 0x1p100f))
            continue;
        xs[g] = a * 0x1.020408p-7f;
        float r = mx_div(127, a);
        for (uint32_t k = g * group; k < end; k++) {
            float q = rintf(x[k] * r);
            q = q > 127 ? 127 : q < -127 ? -127 : q;
            xq[k] = (int8_t)q;
            xsum[g] += xq[k];
        }
    }
}

void twin_norm(const struct mx_program_key *key, const union twin_arg *arg, uint32_t rows) {
    const uint32_t H = arg[15].u, group = arg[16].u, kp = (H + 31) / 32 * 32;
    const struct twin_tensor t = twin_tensor(key, arg, 0, 1);
    for (uint64_t row = 0; row < rows; row++) {
        const float *x = (const float *)arg[9].mem + (uint64_t)((const uint32_t *)arg[8].mem)[row] * H;
        float *n = (float *)arg[10].mem + row * H, w;
        float r = mx_rsqrt(fmaf(twin_lanesum(x, H, true), arg[17].f, arg[18].f));
        for (uint32_t i = 0; i < H; i++) {
            memcpy(&w, t.data + 4 * i, 4);
            float scaled = x[i] * r;
            n[i] = mx_flush(scaled * w);
            if (!isfinite(n[i]))
                *(int32_t *)arg[14].mem |= 1;
        }
        uint64_t groups = group ? (H + group - 1) / group : 0;
        if (group)
            quantise_row(n, (int8_t *)arg[11].mem + row * kp, (float *)arg[12].mem + row * groups,
                         (int32_t *)arg[13].mem + row * groups, arg[14].mem, H, group);
    }
}

void twin_qk_norm(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const uint32_t ld = arg[9].u, q_vectors = arg[10].u, q_cols = arg[11].u, k_cols = arg[12].u;
    const struct twin_tensor t = twin_tensor(key, arg, 0, 1);
    for (uint64_t token = 0; token < tokens; token++) {
        const uint64_t v_starts = (uint64_t)q_vectors * q_cols; /* then k, then as many values of v */
        const uint64_t k_values = (ld - v_starts) / 2;
        float *row = (float *)arg[8].mem + token * ld;
        for (uint64_t at = 0; at < v_starts + k_values;) {
            const bool key_part = at >= v_starts;
            const uint32_t cols = key_part ? k_cols : q_cols;
            const float r = mx_rsqrt(fmaf(twin_lanesum(row + at, cols, true), arg[key_part ? 14 : 13].f, arg[15].f));
            for (uint32_t i = 0; i < cols; i++) {
                float w, scaled = row[at + i] * r;
                memcpy(&w, t.data + 4 * ((key_part ? q_cols : 0) + i), 4);
                row[at + i] = mx_flush(scaled * w);
            }
            at += cols;
        }
    }
}

void twin_quantise(const struct mx_program_key *key, const union twin_arg *arg, uint32_t rows) {
    const uint32_t K = arg[7].u, group = arg[8].u, kp = (K + 31) / 32 * 32, groups = (K + group - 1) / group;
    (void)key;
    for (uint64_t row = 0; row < rows && row < ((const uint32_t *)arg[5].mem)[arg[6].u]; row++)
        quantise_row((const float *)arg[0].mem + row * K, (int8_t *)arg[1].mem + row * kp,
                     (float *)arg[2].mem + row * groups, (int32_t *)arg[3].mem + row * groups, arg[4].mem, K, group);
}
