/* SPDX-License-Identifier: Apache-2.0 */
#include "twin/cases.h"

#include <string.h>

#include "twin/case_makers.h"

/* ---- Values at the edge ---- */

float twin_edge(struct mx_maker *m) {
    static const int8_t exponents[8] = {-40, -40, -39, -33, -24, -12, -1, 0};
    const uint32_t h = mx_make_random(m), k = h & 15;
    uint32_t bits = (h & 0x80000000u) | (h >> 5 & 0x7fffff);
    float v;
    if (k == 15)
        return 0;
    if (k == 14)
        bits &= 0x80000000u; /* a power of two */
    bits |= (uint32_t)((k < 8 ? exponents[k] : (int)(h >> 8 & 63) - 40) + 127) << 23;
    memcpy(&v, &bits, 4);
    return v;
}

void twin_edges(struct mx_maker *m, float *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        v[i] = twin_edge(m);
}

/* Any finite half, subnormal ones above all. */
static void edge_halves(struct mx_maker *m, uint16_t *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint32_t h = mx_make_random(m);
        v[i] = (uint16_t)((h & 0x8000) | (h & 1 ? h >> 16 & 0x3ff : (h >> 16) % 0x7c00));
    }
}

/* Makes scales, minimums and float weights of one segment those at the edge. */
static void edge_weights(struct mx_maker *m, uint8_t *segment, const struct mx_planes *p) {
    const size_t n = mx_round_up(p->rows, 16) * (size_t)p->groups;
    for (int plane = 0; plane < 2; plane++) {
        const uint32_t at = plane == 0 ? p->scale : p->extra;
        if (at == MX_KF_NONE || (plane == 1 && m->key->format != MX_KF_I4M))
            continue;
        if (m->scale_type == MX_KF_SCALE_F16)
            edge_halves(m, (uint16_t *)(segment + at), n);
        else
            twin_edges(m, (void *)(segment + at), n);
    }
    const size_t weights = mx_round_up(p->rows, 16) * (size_t)p->kp;
    if (m->key->format == MX_KF_F16)
        edge_halves(m, (uint16_t *)(segment + p->data), weights);
    if (m->key->format == MX_KF_F32)
        twin_edges(m, (void *)(segment + p->data), weights);
    for (size_t i = 0; m->key->format == MX_KF_BF16 && i < weights; i++) {
        float v = twin_edge(m);
        uint32_t bits;
        memcpy(&bits, &v, 4);
        ((uint16_t *)(segment + p->data))[i] = (uint16_t)(bits >> 16);
    }
}

/* Integers as large as they can be, of either sign and of one in each pair of bytes: the sums of a variant that adds
 * them in few bits are then at their limits. */
static void extreme_weights(uint8_t *segment, const struct mx_planes *p, uint32_t format) {
    uint8_t *data = segment + p->data;
    const size_t bytes = mx_round_up(p->rows, 16) * (size_t)p->kp / (format == MX_KF_I8 ? 1 : 2);
    for (size_t i = 0; i < bytes; i++) {
        const size_t row = i / 4 % 16;
        const bool most = row % 3 == 0 || (row % 3 == 2 && i % 4 < 2);
        data[i] = format == MX_KF_I8 ? (most ? 0x80 : 0x7f) : (most ? 0xff : 0);
    }
}

static void extreme_activations(int8_t *q, int32_t *sum, uint32_t rows, const struct mx_planes *p, uint32_t group) {
    memset(sum, 0, (size_t)rows * p->groups * 4);
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t k = 0; k < p->cols; k++) {
            const bool most = row % 4 < 2 || k % 4 < 2;
            const int8_t v = most == (row % 2 == 0) ? 127 : -127;
            q[row * p->kp + k] = v;
            sum[row * p->groups + k / group] += v;
        }
}

/* ---- Matrices ---- */

struct linear_shape {
    uint32_t rows, cols, mode, ldo, out_row, units;
    uint32_t jobs, job[4][4], entries;
    enum { PLAIN, EDGES, EXTREMES } values;
};

static bool linear(struct mx_maker *m, uint32_t run) {
    static const struct linear_shape shapes[] = {
        /* 7 = 4 + 2 + 1 entries (6 + 1 with AVX-512), a job without any, then 13 = 8 + 4 + 1 (5 + 4 + 4); short last
         * group and tile */
        {40, 600, 1, 72, 16, 3, 3, {{1, 0, 7, 0}, {0, 7, 0, 0}, {0, 7, 13, 0}}, 20, PLAIN},
        {20, 80, 0, 20, 0, 2, 1, {{0, 0, 3, 0}}, 3, EDGES},
        {20, 80, 1, 20, 0, 2, 1, {{0, 0, 3, 0}}, 3, EDGES},
        /* a width that is no multiple of 16; more entries than a unit takes at once */
        {64, 288, 2, 24, 0, 2, 2, {{0, 0, 70, 0}, {1, 70, 2, 0}}, 72, PLAIN},
        {64, 256, 2, 32, 0, 2, 1, {{1, 0, 5, 0}}, 5, EDGES},
        {64, 96, 3, 24, 0, 2, 1, {{0, 0, 11, 0}}, 11, EDGES},
        {16, 32, 0, 16, 0, 1, 1, {{0, 0, 1, 0}}, 1, PLAIN},
        /* columns of the boards' models, of each a few rows: SmolLM2, Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B, Mixtral */
        {32, 576, 2, 16, 0, 1, 1, {{0, 0, 2, 0}}, 2, PLAIN},
        {32, 2048, 2, 16, 0, 1, 2, {{0, 0, 1, 0}, {1, 1, 3, 0}}, 4, PLAIN},
        {16, 1408, 1, 16, 0, 1, 1, {{1, 0, 2, 0}}, 2, PLAIN},
        {16, 3584, 0, 16, 0, 1, 1, {{0, 0, 1, 0}}, 1, PLAIN},
        {16, 14336, 1, 16, 0, 1, 1, {{0, 0, 1, 0}}, 1, PLAIN},
        {48, 352, 0, 48, 0, 2, 1, {{0, 0, 23, 0}}, 23, EXTREMES},
    };
    enum { X_ROWS = 9, SHAPES = sizeof shapes / sizeof shapes[0] };
    if (run >= (m->key->format <= MX_KF_I8 ? 2 * SHAPES : SHAPES)) /* a second time with scales of the other type */
        return false;
    const struct linear_shape *s = &shapes[run % SHAPES];
    mx_make_scales(m, run % SHAPES + run / SHAPES);
    const struct mx_planes p = mx_make_planes(m, s->rows, s->cols);
    mx_make_weights(m, &p);
    for (uint32_t i = 0; s->values == EDGES && i < 2; i++)
        edge_weights(m, (uint8_t *)twin_argument(m, i) + 512, &p);
    const bool extreme = s->values == EXTREMES && m->key->format <= MX_KF_I8;
    for (uint32_t i = 0; extreme && i < 2; i++)
        extreme_weights((uint8_t *)twin_argument(m, i) + 512, &p, m->key->format);
    mx_make_words(m, 4 * s->jobs, &s->job[0][0]);
    uint32_t *rows = mx_make_zeros(m, 4 * s->entries);
    for (uint32_t i = 0; i < s->entries; i++)
        rows[i] = mx_make_random(m) % X_ROWS;
    mx_make_activations(m, X_ROWS, &p);
    if (extreme)
        extreme_activations(twin_argument(m, 10), twin_argument(m, 12), X_ROWS, &p, m->key->group);
    if (m->key->format > MX_KF_I8) {
        if (s->values == EDGES)
            twin_edges(m, twin_argument(m, 10), (size_t)X_ROWS * s->cols);
    } else { /* a group of zeros in every row; the smallest scale that activations can have */
        for (uint32_t row = 0; row < X_ROWS; row++) {
            const uint32_t group = s->cols < m->key->group ? s->cols : m->key->group;
            memset((int8_t *)twin_argument(m, 10) + (size_t)row * p.kp, 0, group);
            ((float *)twin_argument(m, 11))[(size_t)row * p.groups] = 0;
            ((int32_t *)twin_argument(m, 12))[(size_t)row * p.groups] = 0;
            if (s->values == EDGES && p.groups > 1)
                ((float *)twin_argument(m, 11))[(size_t)row * p.groups + 1] = 0x1.020408p-47f;
        }
    }
    float *out = mx_make_reals(m, (size_t)s->entries * s->ldo, 2);
    if (s->mode == 1)
        twin_edges(m, out, s->ldo);
    if (s->mode == 1 && s->values == EDGES && m->key->format == MX_KF_F32) { /* what is left may be too small for F */
        const float *w = (const void *)((const uint8_t *)twin_argument(m, 0) + 512 + p.data);
        float *x = twin_argument(m, 10);
        memset(x, 0, sizeof *x * X_ROWS * s->cols);
        for (uint32_t row = 0; row < X_ROWS; row++)
            x[row * s->cols + row] = 1;
        for (uint32_t i = 0; i < s->entries * s->rows; i++)
            out[i / s->rows * s->ldo + i % s->rows] =
                -1.25f * w[(i % s->rows / 16 * p.kp + rows[i / s->rows]) * 16 + i % s->rows % 16];
    }
    mx_make_u32(m, s->cols);
    mx_make_u32(m, s->rows);
    mx_make_u32(m, s->ldo);
    mx_make_u32(m, s->out_row);
    mx_make_u32(m, s->mode);
    mx_make_u32(m, m->scale_type);
    mx_make_grid(m, MX_WORK_LINEAR, MX_TOKENS, s->entries, s->units);
    m->c->grid.jobs = MX_JOBS;
    m->c->counts[MX_JOBS] = s->jobs;
    return true;
}

/* Of each format, group and type of scales: one row, and tokens that are not there. */
static bool embed(struct mx_maker *m, uint32_t run) {
    enum { HIDDEN = 83, ROWS = 20, FIRST = 16 };
    static const float factors[3] = {0x1.bb67aep+3f, 0x1p-2f, 0x1p127f}; /* too small for F, and too large */
    if (!mx_make_format(m, run))
        return false;
    const struct mx_planes p = mx_make_planes(m, ROWS, HIDDEN);
    mx_make_weights(m, &p);
    edge_weights(m, (uint8_t *)twin_argument(m, 0) + 512, &p);
    MX_MAKE_WORDS(m, FIRST + 19, FIRST + 20, FIRST - 1, FIRST, 0xffffffffu);
    mx_make_output(m, 5 * HIDDEN * 4);
    mx_make_zeros(m, 4);
    mx_make_u32(m, HIDDEN);
    mx_make_u32(m, FIRST);
    mx_make_u32(m, ROWS);
    mx_make_f32(m, factors[run % 3]);
    mx_make_u32(m, m->key->format);
    mx_make_u32(m, m->key->group);
    mx_make_u32(m, m->scale_type);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 5, 1);
    return true;
}

/* ---- Norm ---- */

static void quantised(struct mx_maker *m, uint32_t rows, uint32_t cols) {
    const uint32_t kp = mx_round_up(cols, 32);
    mx_make_output(m, (size_t)rows * kp);
    mx_make_output(m, (size_t)rows * kp / 8);
    mx_make_output(m, (size_t)rows * kp / 8);
    mx_make_zeros(m, 4);
}

static const struct {
    uint32_t cols, group;
} norm_shapes[] = {{80, 32}, {80, 128}, {33, 64}, {2064, 64}, {16, 32}, {576, 32}, {3584, 128}, {4100, 0}};
enum { NORM_SHAPES = sizeof norm_shapes / sizeof norm_shapes[0] };

static bool norm(struct mx_maker *m, uint32_t run) {
    if (run >= NORM_SHAPES)
        return false;
    const uint32_t H = norm_shapes[run].cols;
    mx_make_vector(m, H, false, true);
    twin_edges(m, twin_vector(m, 0), H);
    MX_MAKE_WORDS(m, 3, 0, 2, 2);
    float *x = mx_make_reals(m, 4 * (size_t)H, 3);
    twin_edges(m, x, H);
    memset(x + 2 * H, 0, H * 4);
    mx_make_output(m, 4 * (size_t)H * 4);
    quantised(m, 4, H);
    if (!norm_shapes[run].group) { /* what overflows is told by this kernel itself */
        twin_vector(m, 0)[5] = 0x1p127f;
        x[3 * H + 5] = 64;
    }
    mx_make_u32(m, H);
    mx_make_u32(m, norm_shapes[run].group);
    mx_make_f32(m, 1.0f / (float)H);
    mx_make_f32(m, 0x1.0c6f7ap-20f);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 4, 1);
    return true;
}

static const struct {
    uint32_t q_vectors, q_cols, k_vectors, k_cols;
} qk_norm_shapes[] = {{6, 8, 2, 8}, {4, 96, 1, 96}, {1, 256, 1, 64}, {1, 4100, 1, 2050}, {1, 2, 1, 2}};

/* v lies behind k and is left alone. */
static bool qk_norm(struct mx_maker *m, uint32_t run) {
    if (run >= sizeof qk_norm_shapes / sizeof qk_norm_shapes[0])
        return false;
    const uint32_t q_cols = qk_norm_shapes[run].q_cols, k_cols = qk_norm_shapes[run].k_cols;
    const uint32_t q = qk_norm_shapes[run].q_vectors * q_cols, k = qk_norm_shapes[run].k_vectors * k_cols;
    mx_make_vector(m, q_cols + k_cols, false, true);
    twin_edges(m, twin_vector(m, 0), q_cols);
    float *x = mx_make_reals(m, 3 * (size_t)(q + 2 * k), 3);
    twin_edges(m, x, q);
    memset(x + q + 2 * k, 0, q * 4);
    mx_make_u32(m, q + 2 * k);
    mx_make_u32(m, qk_norm_shapes[run].q_vectors);
    mx_make_u32(m, q_cols);
    mx_make_u32(m, k_cols);
    mx_make_f32(m, 1.0f / (float)q_cols);
    mx_make_f32(m, 1.0f / (float)k_cols);
    mx_make_f32(m, 0x1.0c6f7ap-20f);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, 3, qk_norm_shapes[run].q_vectors + qk_norm_shapes[run].k_vectors);
    return true;
}

static bool quantise(struct mx_maker *m, uint32_t run) {
    if (run >= NORM_SHAPES - 1)
        return false;
    const uint32_t K = norm_shapes[run].cols;
    float *x = mx_make_reals(m, 5 * (size_t)K, 3);
    twin_edges(m, x, 2 * K);
    for (uint32_t i = 0; i < K; i++)
        x[2 * K + i] *= 0x1p90f;
    memset(x + 3 * K, 0, K * 4);
    quantised(m, 5, K);
    const uint32_t there = run % 2 ? 4 : 5; /* of five rows */
    mx_make_words(m, 1, &there);
    mx_make_u32(m, 0);
    mx_make_u32(m, K);
    mx_make_u32(m, norm_shapes[run].group);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 5, 1);
    return true;
}

/* ---- Experts ---- */

static bool route(struct mx_maker *m, uint32_t run) {
    static const struct {
        uint32_t routed, top_k, shared, flags, inner, constants, kinds;
        float deviation;
    } shapes[] = {{60, 4, 4, 2, 0, 0, 0, 0},
                  {3, 3, 0, 1, 0, 0, 0, 0},
                  {300, 16, 1, 3, 0, 0, 0, 0},
                  {1024, 2, 0, 0, 0, 0, 0, 0},
                  {1, 1, 1, 0, 0, 0, 0, 0},
                  /* MoE++ as it is, and as it can be */
                  {20, 2, 0, 1 | 16 | 32 | MX_KF_CARRY_ON, 0, 2, 2 | 1 << 8 | 1 << 16, 1},
                  {20, 2, 0, 1 | 8 | 16 | MX_KF_CARRY_ON, 160, 2, 2 | 1 << 8 | 1 << 16, 0},
                  {5, 2, 2, 1 | 2 | 8 | 32, 7, 1, 1 | 1 << 8 | 2 << 16, 0.25f},
                  {300, 8, 0, 16, 0, 0, 2 << 8, 3},
                  {8, 3, 0, 0, 0, 2, 2 | 1 << 8 | 3 << 16, 0}, /* with the logits of `faint` */
                  {8, 3, 0, 1 | 32, 0, 2, 2 | 1 << 8 | 3 << 16, 0},
                  /* Qwen2-57B-A14B, DeepSeekMoE 16B, Mixtral, Qwen3-30B-A3B */
                  {64, 8, 8, 2, 0, 0, 0, 0},
                  {64, 6, 2, 0, 0, 0, 0, 0},
                  {8, 2, 0, 1, 0, 0, 0, 0},
                  {128, 8, 0, 1, 0, 0, 0, 0}};
    enum { TOKENS = 4 };
    /* Only zero experts are chosen, whose weights sum to 0; a probability that is too small for F; products of a weight
     * and of each of a constant expert's factors that are. */
    static const float faint[TOKENS][8 + 4] = {{0, 0, 0, 0, 0, 9, 9, 9},
                                               {0, 0, -99, -27.5f, -99, -99, -99, -99},
                                               {0, -99, -26, -25, -99, -99, -99, -99, -9, 9, -9, 9},
                                               {0, -99, -26, -25, -99, -99, -99, -99, 9, -9, 9, -9}};
    if (run >= sizeof shapes / sizeof shapes[0])
        return false;
    const uint32_t routed = shapes[run].routed, n = shapes[run].top_k + shapes[run].shared;
    const uint32_t inner = shapes[run].inner, constants = shapes[run].constants, first = inner ? inner : routed;
    const uint32_t ldg = first + 2 * constants + (shapes[run].flags & MX_KF_SHARED_GATE ? 1 : 0);
    const bool more = shapes[run].flags & (MX_KF_TWO_LAYERS | MX_KF_CARRIED);
    mx_make_vector(m, more ? mx_round_up((inner ? 2 : 1) * routed, 16) * mx_round_up(first, 32) : 1, false, more);
    float *g = mx_make_reals(m, (size_t)TOKENS * ldg, 4);
    for (uint32_t i = 0; i < ldg; i++) {
        g[i] = (float)(int32_t)(mx_make_random(m) % 3); /* ties */
        g[ldg + i] = i % 2 ? -100.0f : 0.5f;            /* probabilities of 0, and more ties */
    }
    twin_edges(m, g + 2 * ldg, ldg);
    if (shapes[run].kinds >> 16 == 3)
        memcpy(g, faint, sizeof faint);
    float *carried = mx_make_reals(m, (size_t)TOKENS * routed, 1) + 3 * (size_t)routed;
    memset(carried, 0, routed * sizeof *g);
    if (shapes[run].deviation > 0 || inner) /* nothing to scale; */
        memset(g + 3 * ldg, 0, ldg * sizeof *g);
    if (inner) /* logits that are too small for F */
        carried[0] = 0x1.8p-40f;
    mx_make_output(m, TOKENS * n * 4);
    mx_make_output(m, TOKENS * n * 4);
    mx_make_output(m, TOKENS * (1 + constants) * 4);
    mx_make_u32(m, routed);
    mx_make_u32(m, shapes[run].top_k);
    mx_make_u32(m, shapes[run].shared);
    mx_make_u32(m, shapes[run].flags);
    mx_make_u32(m, ldg);
    mx_make_u32(m, first);
    mx_make_u32(m, shapes[run].kinds);
    mx_make_f32(m, shapes[run].deviation);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, TOKENS, 1);
    return true;
}

static bool sort(struct mx_maker *m, uint32_t run) {
    static const uint32_t shapes[][4] = {
        /* the last: how many have no matrices */
        {1, 8, 64, 0},
        {130, 3, 7, 0},
        {2, 2, 1088, 0},
        {40, 1, 5, 0},
        {33, 2, 20, 4},
        {3, 2, 2, 2},
        /* as many as plan allows where loops end after 65535 rounds (boards/host-rusticl) */
        {8141, 4, 64, 0},
    };
    if (run >= sizeof shapes / sizeof shapes[0])
        return false;
    const uint32_t tokens = shapes[run][0], n = shapes[run][1], experts = shapes[run][2];
    uint32_t *selected = mx_make_zeros(m, 4 * tokens * n);
    for (uint32_t t = 0; t < tokens; t++) /* different ones for each token, some experts never */
        for (uint32_t i = 0; i < n; i++)
            selected[t * n + i] = (mx_make_random(m) % (experts / n) * n + i) % experts;
    MX_MAKE_WORDS(m, tokens, 0);
    mx_make_output(m, (experts < tokens * n ? experts : tokens * n) * 16);
    mx_make_output(m, tokens * n * 4);
    mx_make_output(m, tokens * n * 4);
    mx_make_output(m, 4 * (run + 1));
    mx_make_u32(m, n);
    mx_make_u32(m, experts - shapes[run][3]);
    mx_make_u32(m, run);
    mx_make_grid(m, MX_WORK_ONE, MX_FIXED, 1, 1);
    return true;
}

static bool combine(struct mx_maker *m, uint32_t run) {
    enum { TOKENS = 3, N = 5, HIDDEN = 83, LIGHTS = 3 };
    if (run > 1)
        return false;
    mx_make_vector(m, 2 * HIDDEN, false, run == 1);
    float *out = mx_make_reals(m, TOKENS * N * HIDDEN, 2);
    twin_edges(m, out, TOKENS * N * HIDDEN / 2);
    uint32_t *entry = mx_make_zeros(m, 4 * TOKENS * N);
    for (uint32_t i = 0; i < TOKENS * N; i++)
        entry[i] = run && i % 4 == 2 ? MX_KF_NONE : i * 7 % (TOKENS * N);
    float *weight = mx_make_reals(m, TOKENS * N, 0);
    twin_edges(m, weight, N);
    twin_edges(m, mx_make_reals(m, TOKENS * HIDDEN, 2), HIDDEN);
    float *light = mx_make_reals(m, TOKENS * LIGHTS, 0);
    light[0] = light[LIGHTS + 2] = 0;
    float *x = mx_make_reals(m, TOKENS * HIDDEN, 2);
    twin_edges(m, x, HIDDEN);
    if (run == 0) { /* the last token has one entry, and what is left of x with it may be too small for F */
        const uint32_t last = N * (TOKENS - 1);
        for (uint32_t i = 0; i < N; i++)
            weight[last + i] = i == 0 ? 1 : 0;
        for (uint32_t i = 0; i < HIDDEN; i++) {
            out[entry[last] * HIDDEN + i] = twin_edge(m);
            x[(TOKENS - 1) * HIDDEN + i] = -1.25f * out[entry[last] * HIDDEN + i];
        }
    }
    mx_make_u32(m, HIDDEN);
    mx_make_u32(m, N);
    mx_make_u32(m, run ? LIGHTS : 0);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, TOKENS, (HIDDEN + 15) / 16);
    return true;
}

bool twin_case(const struct mx_program_key *key, const char *kernel, uint32_t run, uint8_t *image, struct mx_case *c) {
    static const struct {
        const char *kernel;
        bool (*make)(struct mx_maker *m, uint32_t run);
    } makers[] = {
        {"mx_linear", linear},
        {"mx_embed", embed},
        {"mx_norm", norm},
        {"mx_quantise", quantise},
        {"mx_route", route},
        {"mx_sort", sort},
        {"mx_rope_table", twin_case_rope_table},
        {"mx_rope_kv", twin_case_rope_kv},
        {"mx_attention", twin_case_attention},
        {"mx_combine", combine},
        {"mx_qk_norm", qk_norm},
    };
    struct mx_maker m = {.image = image, .seed = run * 104729 + 7, .key = key, .c = c};
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++)
        if (strcmp(makers[i].kernel, kernel) == 0) {
            const bool made = makers[i].make(&m, run);
            c->image_bytes = m.used;
            return made;
        }
    return false;
}
