/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/known_cases.h"

#include <string.h>

#include "opencl/known_answers.h"

/* As in the bundle format, which this layer does not include. */
enum { I4 = 1, I4Z = 2, I4M = 3, I8 = 4, BF16 = 5, F16 = 6, F32 = 7, VECTOR = 8 };
enum { SCALE_F16 = 1 };
enum { KV_F16 = 1 };
enum { NORM_TOPK = 1, SHARED_GATE = 2 };
#define NONE 0xffffffffu

struct maker {
    uint8_t *image;
    size_t used;
    uint32_t seed;
    const struct mx_program_key *key;
    struct mx_case *c;
};

/* ---- Random values, all exact ---- */

static uint32_t random32(struct maker *m) {
    uint32_t h = m->seed += 0x9e3779b9u;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

/* In (-1, 1) * 2^e, multiples of 2^(e-23). */
static float real(struct maker *m, int e) {
    float v = (float)((int32_t)(random32(m) >> 8) - 0x800000);
    uint32_t bits = (uint32_t)(e - 23 + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return v * power;
}

static uint16_t half(struct maker *m) { /* |v| < 1, subnormal halves too */
    uint32_t h = random32(m);
    return (uint16_t)((h & 0x8000) | (h >> 16) % 0x3c00);
}

static uint16_t bfloat(struct maker *m) {
    uint32_t h = random32(m);
    return (uint16_t)((h & 0x8000) | (0x3c00 + (h >> 16) % 0x0380));
}

/* ---- Memory and arguments ---- */

static struct mx_case_arg *argument(struct maker *m, enum mx_arg_kind kind) {
    struct mx_case_arg *a = &m->c->arg[m->c->n_args++];
    *a = (struct mx_case_arg){.kind = (uint8_t)kind};
    return a;
}

static void u32(struct maker *m, uint32_t value) {
    argument(m, MX_ARG_U32)->u = value;
}

static void f32(struct maker *m, float value) {
    argument(m, MX_ARG_F32)->f = value;
}

/* Memory of zeros that is no argument yet. */
static uint32_t reserve(struct maker *m, size_t bytes) {
    uint32_t offset = (uint32_t)m->used;
    m->used += (bytes + 4095) / 4096 * 4096;
    memset(m->image + offset, 0, m->used - offset);
    return offset;
}

static void memory(struct maker *m, uint32_t offset, size_t bytes) {
    struct mx_case_arg *a = argument(m, MX_ARG_MEM);
    a->offset = offset;
    a->bytes = (uint32_t)bytes;
}

static void *zeros(struct maker *m, size_t bytes) {
    uint32_t offset = reserve(m, bytes);
    memory(m, offset, bytes);
    return m->image + offset;
}

/* An output: what the kernel does not write stays visible. */
static void *output(struct maker *m, size_t bytes) {
    return memset(zeros(m, bytes), 0xa5, bytes);
}

static void reals(struct maker *m, size_t n, int e) {
    float *v = zeros(m, n * 4);
    for (size_t i = 0; i < n; i++)
        v[i] = real(m, e);
}

static void words(struct maker *m, size_t n, const uint32_t *values) {
    memcpy(zeros(m, n * 4), values, n * 4);
}
#define WORDS(m, ...) words(m, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, (const uint32_t[]){__VA_ARGS__})

static void grid(struct maker *m, enum mx_work work, enum mx_count count, uint32_t n, uint32_t items) {
    m->c->grid = (struct mx_grid){.work = work, .count = count, .jobs = MX_FIXED, .items = items};
    m->c->counts[count] = n;
}

static uint32_t up(uint32_t n, uint32_t to) {
    return (n + to - 1) / to * to;
}

/* ---- Weights ---- */

/* Places of the planes in a segment, and its size. */
struct planes {
    uint32_t rows, cols, kp, groups, data, scale, extra, bytes;
};

static struct planes planes_of(const struct mx_program_key *key, uint32_t rows, uint32_t cols) {
    struct planes p = {.rows = rows, .cols = cols, .kp = up(cols, 32), .data = 256, .scale = NONE, .extra = NONE};
    uint32_t tiles = up(rows, 16) / 16;
    p.groups = key->format <= I8 ? (cols + key->group - 1) / key->group : 0;
    uint32_t atom = key->format <= I4M ? 256 : key->format == I8 ? 512 : key->format == F32 ? 2048 : 1024;
    uint32_t at = p.data + tiles * (p.kp / 32) * atom;
    uint32_t params = tiles * p.groups * 16 * (key->scale == SCALE_F16 ? 2 : 4);
    if (key->format <= I8) {
        p.scale = up(at, 256);
        at = p.scale + params;
    }
    if (key->format == I4Z || key->format == I4M) {
        p.extra = up(at, 256);
        at = p.extra + (key->format == I4Z ? tiles * p.groups * 16 : params);
    }
    p.bytes = up(at, 4096);
    return p;
}

static void put_scale(struct maker *m, uint8_t *plane, size_t i, bool is_min) {
    uint32_t h = random32(m);
    if (m->key->scale == SCALE_F16) {
        uint16_t v = (uint16_t)((0x2000 + (h & 0x7ff)) | (is_min ? h >> 16 & 0x8000 : 0));
        memcpy(plane + 2 * i, &v, 2);
    } else {
        uint32_t v = (0x3c000000 + (h & 0xffffff)) | (is_min ? h & 0x80000000 : 0);
        memcpy(plane + 4 * i, &v, 4);
    }
}

/* One weight at (row, k), in the tile layout of the bundle format. */
static void put_weight(struct maker *m, uint8_t *data, uint32_t kp, uint32_t row, uint32_t k, bool inside,
                       uint32_t zero) {
    uint32_t tile = row / 16, r = row % 16, j = k % 32;
    if (m->key->format <= I4M) {
        uint8_t *atom = data + (size_t)(tile * (kp / 32) + k / 32) * 256;
        uint32_t q = inside ? random32(m) & 15 : zero;
        atom[(j % 16 / 4 * 16 + r) * 4 + j % 4] |= (uint8_t)(q << (j < 16 ? 0 : 4));
    } else if (m->key->format == I8) {
        uint8_t *atom = data + (size_t)(tile * (kp / 32) + k / 32) * 512;
        int32_t q = (int32_t)(random32(m) % 255) - 127;
        atom[(j / 4 * 16 + r) * 4 + j % 4] = inside ? (uint8_t)q : 0;
    } else if (inside) {
        size_t i = (size_t)(tile * kp + k) * 16 + r;
        uint16_t bits = m->key->format == BF16 ? bfloat(m) : half(m);
        float v = real(m, 0);
        memcpy(data + i * (m->key->format == F32 ? 4 : 2), m->key->format == F32 ? (void *)&v : &bits,
               m->key->format == F32 ? 4 : 2);
    }
}

/* Fills a segment with random weights. */
static void fill_segment(struct maker *m, uint8_t *segment, const struct planes *p) {
    for (uint32_t i = 0; i < up(p->rows, 16) / 16 * p->groups * 16; i++) {
        bool inside = i / (p->groups * 16) * 16 + i % 16 < p->rows;
        if (inside)
            put_scale(m, segment + p->scale, i, false);
        if (inside && m->key->format == I4M)
            put_scale(m, segment + p->extra, i, true);
        if (inside && m->key->format == I4Z)
            segment[p->extra + i] = random32(m) & 15;
    }
    for (uint32_t row = 0; row < up(p->rows, 16); row++)
        for (uint32_t k = 0; k < p->kp; k++) {
            uint32_t zero = m->key->format == I4 ? 8 : 0;
            if (m->key->format == I4Z && k >= p->cols)
                zero = segment[p->extra + (row / 16 * p->groups + p->groups - 1) * 16 + row % 16];
            put_weight(m, segment + p->data, p->kp, row, k, row < p->rows && k < p->cols, zero);
        }
}

enum { FIRST_WINDOW = 5, SEGMENT = 2 };

/* The WEIGHTS arguments: expert 0 in the first window, expert 1 in the second, neither at its start. */
static void weights(struct maker *m, const struct planes *p) {
    for (uint32_t e = 0; e < 2; e++) {
        uint32_t offset = reserve(m, 4096 + p->bytes);
        fill_segment(m, m->image + offset + 512, p);
        memory(m, offset, 4096 + p->bytes);
    }
    u32(m, FIRST_WINDOW);
    WORDS(m, 0, 0, 0, 0, FIRST_WINDOW, 2, FIRST_WINDOW + 1, 2);
    u32(m, SEGMENT);
    u32(m, p->data);
    u32(m, p->scale);
    u32(m, p->extra);
}

/* The same for a plain float array: norm weights, a bias, frequencies; values in (-1, 1), or (0, 1) when positive. */
static void vector(struct maker *m, uint32_t n, bool positive, bool present) {
    uint32_t offset = reserve(m, 768 + 4 * n);
    for (uint32_t i = 0; i < n; i++) {
        float v = real(m, 0);
        v = positive && v < 0 ? -v : v;
        memcpy(m->image + offset + 768 + 4 * i, &v, 4);
    }
    memory(m, offset, 768 + 4 * n);
    memory(m, offset, 768 + 4 * n);
    u32(m, FIRST_WINDOW);
    WORDS(m, 0, 0, 0, 0, FIRST_WINDOW, 2);
    u32(m, SEGMENT);
    u32(m, present ? 256 : NONE);
    u32(m, NONE);
    u32(m, NONE);
}

/* ---- Kernels ---- */

/* Quantised activations (rows, cols) as mx_quantise leaves them. */
static void activations(struct maker *m, uint32_t rows, const struct planes *p) {
    if (m->key->format > I8) {
        reals(m, (size_t)rows * p->cols, 1);
        zeros(m, 64);
        zeros(m, 64);
        return;
    }
    int8_t *q = zeros(m, (size_t)rows * p->kp);
    float *scale = zeros(m, (size_t)rows * p->groups * 4);
    int32_t *sum = zeros(m, (size_t)rows * p->groups * 4);
    for (uint32_t i = 0; i < rows * p->groups; i++)
        scale[i] = (float)(1 + (random32(m) >> 8)) * 0x1p-29f;
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t k = 0; k < p->cols; k++) {
            int32_t v = (int32_t)(random32(m) % 255) - 127;
            q[row * p->kp + k] = (int8_t)v;
            sum[row * p->groups + k / m->key->group] += v;
        }
}

/* Run 0: one token. Run 1: ten tokens of two experts on top of what is there. Run 2: gate and up. */
static bool linear(struct maker *m, uint32_t run) {
    enum { COLS = 332, ROWS = 40, WIDTH = 24 };
    static const uint32_t jobs[3][12] = {{0, 0, 1}, {1, 0, 7, 0, 0, 7, 3, 0, 0, 0, 0, 0}, {0, 0, 1, 0, 1, 1, 2, 0}};
    static const uint32_t n_entries[3] = {1, 10, 3}, rows[10] = {3, 0, 2, 3, 1, 0, 3, 2, 2, 1};
    if (run > 2)
        return false;
    const uint32_t rows_out = run == 2 ? 2 * 32 : ROWS, ldo = run == 2 ? WIDTH : ROWS + 16;
    struct planes p = planes_of(m->key, rows_out, COLS);
    weights(m, &p);
    words(m, 12, jobs[run]);
    words(m, 10, rows);
    activations(m, 4, &p);
    if (run == 1)
        reals(m, (size_t)n_entries[run] * ldo, 2);
    else
        output(m, (size_t)n_entries[run] * ldo * 4);
    u32(m, COLS);
    u32(m, rows_out);
    u32(m, ldo);
    u32(m, run == 2 ? 0 : 16);
    u32(m, run);
    grid(m, MX_WORK_LINEAR, MX_TOKENS, n_entries[run], run == 2 ? 2 : 3);
    m->c->grid.jobs = MX_JOBS;
    m->c->counts[MX_JOBS] = run == 0 ? 1 : 3;
    return true;
}

/* The last token lies in another tensor of the embedding. */
static bool embed(struct maker *m, uint32_t run) {
    enum { HIDDEN = 332, ROWS = 40, FIRST = 48 };
    struct planes p = planes_of(m->key, ROWS, HIDDEN);
    if (run > 0)
        return false;
    weights(m, &p);
    WORDS(m, FIRST, FIRST + 39, FIRST + 17, 3);
    output(m, 4 * HIDDEN * 4);
    zeros(m, 4);
    u32(m, HIDDEN);
    u32(m, FIRST);
    u32(m, ROWS);
    grid(m, MX_WORK_ROWS, MX_TOKENS, 4, 1);
    return true;
}

static bool rope_table(struct maker *m, uint32_t run) {
    enum { HALF = 24 };
    if (run > 0)
        return false;
    vector(m, HALF, true, true);
    WORDS(m, 0, 1, 77, 4095, 131071);
    output(m, 5 * HALF * 8);
    u32(m, HALF);
    grid(m, MX_WORK_ROWS, MX_TOKENS, 5, 1);
    return true;
}

static const uint32_t groups_of_run[4] = {32, 64, 128, 0};

static void quantised(struct maker *m, uint32_t rows, uint32_t cols) {
    output(m, (size_t)rows * up(cols, 32));
    output(m, (size_t)rows * up(cols, 32) / 32 * 4);
    output(m, (size_t)rows * up(cols, 32) / 32 * 4);
    zeros(m, 4);
    u32(m, cols);
}

static bool norm(struct maker *m, uint32_t run) {
    enum { HIDDEN = 332 };
    if (run > 3)
        return false;
    vector(m, HIDDEN, false, true);
    WORDS(m, 3, 0, 2);
    reals(m, 4 * HIDDEN, 3);
    output(m, 3 * HIDDEN * 4);
    quantised(m, 3, HIDDEN);
    u32(m, groups_of_run[run]);
    f32(m, 0x1.8acb9p-9f); /* 1 / 332 */
    f32(m, 0x1.0c6f7ap-20f);
    grid(m, MX_WORK_ROWS, MX_TOKENS, 3, 1);
    return true;
}

/* One group of the second row is all zeros. */
static bool quantise(struct maker *m, uint32_t run) {
    enum { COLS = 332 };
    if (run > 2)
        return false;
    float *x = (float *)(void *)(m->image + m->used);
    reals(m, 3 * COLS, 3);
    memset(x + COLS + groups_of_run[run], 0, groups_of_run[run] * sizeof *x);
    quantised(m, 3, COLS);
    u32(m, groups_of_run[run]);
    grid(m, MX_WORK_ROWS, MX_TOKENS, 3, 1);
    return true;
}

enum { HEADS = 4, KV_HEADS = 2, DIM = 48, POOL = 4, BLOCKS = 3 };

static void cache(struct maker *m) {
    const size_t n = (size_t)KV_HEADS * POOL * DIM * 64;
    for (int part = 0; part < 2; part++) {
        if (m->key->kv != KV_F16) {
            reals(m, n, 0);
            continue;
        }
        uint16_t *v = zeros(m, n * 2);
        for (size_t i = 0; i < n; i++)
            v[i] = half(m);
    }
}

static void places(struct maker *m) {
    WORDS(m, 0, 63, 130);             /* position */
    WORDS(m, 1, 1, 0);                /* sequence */
    WORDS(m, 2, 0, 3, 1, NONE, NONE); /* blocks (2 sequences, BLOCKS) */
}

static void attention_sizes(struct maker *m) {
    u32(m, HEADS);
    u32(m, KV_HEADS);
    u32(m, DIM);
    u32(m, POOL);
    u32(m, BLOCKS);
}

/* Run 0 with a bias, run 1 without. */
static bool rope_kv(struct maker *m, uint32_t run) {
    const uint32_t ldq = (HEADS + 2 * KV_HEADS) * DIM;
    if (run > 1)
        return false;
    reals(m, 3 * ldq, 3);
    vector(m, ldq, false, run == 0);
    reals(m, 3 * DIM, 0); /* not quite cosines and sines */
    places(m);
    output(m, 3 * HEADS * DIM * 4);
    cache(m);
    zeros(m, 4);
    attention_sizes(m);
    grid(m, MX_WORK_GRID, MX_TOKENS, 3, HEADS + 2 * KV_HEADS);
    return true;
}

static bool attention(struct maker *m, uint32_t run) {
    if (run > 0)
        return false;
    reals(m, 3 * HEADS * DIM, 2);
    cache(m);
    places(m);
    output(m, 3 * HEADS * DIM * 4);
    attention_sizes(m);
    f32(m, 0x1.279a74p-3f); /* 1 / sqrt(48) */
    grid(m, MX_WORK_GRID, MX_TOKENS, 3, HEADS);
    return true;
}

/* Equal values among the routed, normalised weights and a gate in run 0, neither in run 1. */
static bool route(struct maker *m, uint32_t run) {
    enum { ROUTED = 12, TOP_K = 4, SHARED = 2, TOKENS = 3 };
    const uint32_t ldg = run == 0 ? ROUTED + 1 : ROUTED;
    if (run > 1)
        return false;
    float *g = zeros(m, TOKENS * ldg * 4);
    for (uint32_t i = 0; i < TOKENS * ldg; i++)
        g[i] = run == 0 ? (float)((int32_t)(random32(m) % 7) - 3) : real(m, 3);
    output(m, TOKENS * (TOP_K + SHARED) * 4);
    output(m, TOKENS * (TOP_K + SHARED) * 4);
    u32(m, ROUTED);
    u32(m, TOP_K);
    u32(m, SHARED);
    u32(m, run == 0 ? NORM_TOPK | SHARED_GATE : 0);
    u32(m, ldg);
    grid(m, MX_WORK_ROWS, MX_TOKENS, TOKENS, 1);
    return true;
}

static bool sort(struct maker *m, uint32_t run) {
    enum { TOKENS = 5, N = 3, EXPERTS = 9 };
    if (run > 0)
        return false;
    WORDS(m, 0, 2, 8, 1, 2, 8, 2, 6, 8, 0, 1, 8, 2, 5, 8);
    WORDS(m, TOKENS);
    output(m, EXPERTS * 16);
    output(m, TOKENS * N * 4);
    output(m, TOKENS * N * 4);
    u32(m, N);
    u32(m, EXPERTS);
    grid(m, MX_WORK_ONE, MX_FIXED, 1, 1);
    return true;
}

static bool combine(struct maker *m, uint32_t run) {
    enum { TOKENS = 2, N = 3, HIDDEN = 84 };
    if (run > 0)
        return false;
    reals(m, TOKENS * N * HIDDEN, 2);
    WORDS(m, 4, 0, 5, 1, 3, 2);
    reals(m, TOKENS * N, 0);
    reals(m, TOKENS * HIDDEN, 2);
    u32(m, HIDDEN);
    u32(m, N);
    grid(m, MX_WORK_GRID, MX_TOKENS, TOKENS, (HIDDEN + 15) / 16);
    return true;
}

static bool kv_copy(struct maker *m, uint32_t run) {
    if (run > 0)
        return false;
    cache(m);
    WORDS(m, 3, 1, 0, 2);
    u32(m, KV_HEADS);
    u32(m, DIM);
    u32(m, POOL);
    grid(m, MX_WORK_GRID, MX_COPIES, 2, KV_HEADS);
    return true;
}

/* 19 leaves of different lengths that overlap. */
static bool hash_leaves(struct maker *m, uint32_t run) {
    enum { LEAVES = 19, PAGES = 6 };
    uint32_t leaf[2 * LEAVES];
    if (run > 0)
        return false;
    uint32_t *window = zeros(m, PAGES * 4096);
    for (uint32_t i = 0; i < PAGES * 1024; i++)
        window[i] = random32(m);
    for (uint32_t i = 0; i < LEAVES; i++) {
        leaf[2 * i] = i % PAGES;
        leaf[2 * i + 1] = (1 + i / PAGES % (PAGES - i % PAGES)) * 4096;
    }
    words(m, 2 * LEAVES, leaf);
    output(m, LEAVES * 32);
    u32(m, LEAVES);
    grid(m, MX_WORK_ROWS, MX_LEAVES, (LEAVES + 15) / 16, 1);
    return true;
}

static const struct {
    const char *kernel;
    bool (*make)(struct maker *m, uint32_t run);
} makers[] = {
    {"mx_linear", linear},       {"mx_embed", embed},           {"mx_norm", norm},
    {"mx_quantise", quantise},   {"mx_rope_table", rope_table}, {"mx_rope_kv", rope_kv},
    {"mx_attention", attention}, {"mx_route", route},           {"mx_sort", sort},
    {"mx_combine", combine},     {"mx_kv_copy", kv_copy},       {"mx_hash_leaves", hash_leaves},
};

bool mx_case_make(const struct mx_program_key *key, const char *kernel, uint32_t run, uint8_t *image,
                  struct mx_case *c) {
    struct maker m = {.image = image, .seed = run * 7919 + 1, .key = key, .c = c};
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++)
        if (strcmp(makers[i].kernel, kernel) == 0 && makers[i].make(&m, run)) {
            c->image_bytes = m.used;
            return true;
        }
    return false;
}

uint64_t mx_case_digest(uint64_t digest, const uint8_t *image, size_t bytes) {
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t word;
        memcpy(&word, image + i, 4);
        digest = (digest ^ word) * 0x100000001b3u + 0x9e3779b97f4a7c15u;
        digest ^= digest >> 29;
    }
    return digest;
}
