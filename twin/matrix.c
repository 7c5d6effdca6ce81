/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear layers and the embedding. */
#include <math.h>

#include "runtime/arith.h"
#include "runtime/bundle_format.h"
#include "twin/twin.h"

enum { SEGMENT = 256 };

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Terms of segment s of the product of one row with x. */
static float integer_terms(const struct twin_tensor *t, uint32_t row, uint32_t s, const int8_t *x, const float *xs) {
    const uint32_t G = t->key->group, end = least(t->K, (s + 1) * SEGMENT);
    float acc = 0;
    for (uint32_t first = s * SEGMENT; first < end; first += G) {
        int32_t dot = 0, sum = 0;
        for (uint32_t k = first; k < least(end, first + G); k++) {
            dot += twin_q(t, row, k) * x[k];
            sum += x[k];
        }
        float c = twin_scale(t, row, first / G) * xs[first / G];
        acc = fmaf(c, (float)dot, acc);
        if (t->key->format == MX_FORMAT_I4M) {
            c = twin_min(t, row, first / G) * xs[first / G];
            acc = fmaf(c, (float)sum, acc);
        }
    }
    return acc;
}

static float float_terms(const struct twin_tensor *t, uint32_t row, uint32_t s, const float *x) {
    float acc = 0;
    for (uint32_t k = s * SEGMENT; k < least(t->K, (s + 1) * SEGMENT); k++)
        acc = fmaf(twin_weight(t, row, k), x[k], acc);
    return acc;
}

/* x, xs: the whole arrays; i: row of them. */
static float product(const struct twin_tensor *t, uint32_t row, const void *x, const float *xs, uint64_t i) {
    const uint64_t kp = (t->K + 31) / 32 * 32;
    float y = 0;
    for (uint32_t s = 0; s * SEGMENT < t->K; s++) {
        float acc = twin_is_integer(t->key) ? integer_terms(t, row, s, (const int8_t *)x + i * kp,
                                                            xs + i * ((t->K + t->key->group - 1) / t->key->group))
                                            : float_terms(t, row, s, (const float *)x + i * t->K);
        y = y + acc;
    }
    return mx_flush(y);
}

void twin_linear(const struct mx_program_key *key, const union twin_arg *arg, uint32_t jobs) {
    const uint32_t *job = arg[8].mem, *rows = arg[9].mem;
    const float *xs = arg[11].mem;
    float *out = arg[13].mem;
    const uint32_t K = arg[14].u, rows_out = arg[15].u, ldo = arg[16].u, out_row = arg[17].u, mode = arg[18].u;
    for (uint32_t j = 0; j < jobs; j++, job += 4)
        for (uint32_t entry = job[1]; entry < job[1] + job[2]; entry++) {
            struct twin_tensor t = twin_tensor(key, arg, job[0], K);
            t.scale_type = arg[19].u;
            float *to = out + (uint64_t)entry * ldo;
            for (uint32_t n = 0; n < (mode >= 2 ? ldo : rows_out); n++) {
                uint32_t row = mode >= 2 ? n / 16 * 32 + n % 16 : n;
                float y = product(&t, row, arg[10].mem, xs, rows[entry]);
                if (mode == 0)
                    to[out_row + n] = y;
                if (mode == 1)
                    to[out_row + n] = mx_flush(to[out_row + n] + y);
                if (mode >= 2)
                    to[n] = mx_flush(mx_gate(y, mode == 3) * product(&t, row + 16, arg[10].mem, xs, rows[entry]));
            }
        }
}

void twin_embed(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens) {
    const int32_t *token = arg[8].mem;
    const uint32_t H = arg[11].u, row_offset = arg[12].u, rows = arg[13].u;
    const struct mx_program_key of = {.format = arg[15].u, .group = arg[16].u};
    struct twin_tensor t = twin_tensor(&of, arg, 0, H);
    t.scale_type = arg[17].u;
    (void)key; /* of all formats */
    int32_t *status = arg[10].mem;
    for (uint32_t i = 0; i < tokens; i++) {
        const uint32_t row = (uint32_t)token[i] - row_offset;
        float *x = (float *)arg[9].mem + (uint64_t)i * H;
        if (token[i] < 0)
            *status |= 2;
        for (uint32_t k = 0; token[i] >= 0 && row < rows && k < H; k++) {
            if (!twin_is_integer(&of))
                x[k] = twin_weight(&t, row, k);
            else if (of.format == MX_FORMAT_I4M)
                x[k] = mx_flush(fmaf(twin_scale(&t, row, k / of.group), (float)twin_q(&t, row, k),
                                     twin_min(&t, row, k / of.group)));
            else
                x[k] = mx_flush(twin_scale(&t, row, k / of.group) * (float)twin_q(&t, row, k));
            x[k] = mx_flush(x[k] * arg[14].f);
            if (!isfinite(x[k]))
                *status |= 1;
        }
    }
}
