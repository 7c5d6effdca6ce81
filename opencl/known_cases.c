/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/known_cases.h"

#include <string.h>

#include "opencl/known_inputs.h"

/* Run 0: one token. Run 1: two experts' tokens on top of what is there. Runs 2 and 3: gate and up. 9, 5, 3, 2
 * and 1 entries are computed as 8 + 1, 4 + 1, 2 + 1, 2 and 1 where 8 stand side by side, 7 + 2 and so on where 7 do, 8
 * + 1 and so on in blocks of AVX2, 5 + 4, then five as 6 and three as 4 with AVX-512: every part of the kernel has its
 * share, with a gate and without, with scales of both types. */
static bool linear(struct mx_maker *m, uint32_t run) {
    enum { COLS = 332, ROWS = 40, WIDTH = 24, ENTRIES = 20 };
    static const uint32_t jobs[2][24] = {{0, 0, 1},
                                         {1, 0, 9, 0, 0, 9, 5, 0, 0, 0, 0, 0, 1, 14, 3, 0, 0, 17, 2, 0, 1, 19, 1, 0}};
    static const uint32_t rows[ENTRIES] = {3, 0, 2, 3, 1, 0, 3, 2, 2, 1, 0, 1, 2, 3, 0, 0, 3, 1, 2, 0};
    const uint32_t n_entries = run ? ENTRIES : 1;
    if (run > 3)
        return false;
    const uint32_t rows_out = run >= 2 ? 2 * 32 : ROWS, ldo = run >= 2 ? WIDTH : ROWS + 16;
    mx_make_scales(m, run);
    struct mx_planes p = mx_make_planes(m, rows_out, COLS);
    mx_make_weights(m, &p);
    mx_make_words(m, 24, jobs[run > 0]);
    mx_make_words(m, ENTRIES, rows);
    mx_make_activations(m, 4, &p);
    if (run == 1)
        mx_make_reals(m, (size_t)n_entries * ldo, 2);
    else
        mx_make_output(m, (size_t)n_entries * ldo * 4);
    mx_make_u32(m, COLS);
    mx_make_u32(m, rows_out);
    mx_make_u32(m, ldo);
    mx_make_u32(m, run >= 2 ? 0 : 16);
    mx_make_u32(m, run);
    mx_make_u32(m, m->scale_type);
    mx_make_grid(m, MX_WORK_LINEAR, MX_TOKENS, n_entries, run >= 2 ? 2 : 3);
    m->c->grid.jobs = MX_JOBS;
    m->c->counts[MX_JOBS] = run == 0 ? 1 : 6;
    return true;
}

/* A run for each format, group and type of scales. The fourth token lies in another tensor of the embedding, the
 * last is none. */
static bool embed(struct mx_maker *m, uint32_t run) {
    enum { HIDDEN = 142, ROWS = 20, FIRST = 48 };
    if (!mx_make_format(m, run))
        return false;
    struct mx_planes p = mx_make_planes(m, ROWS, HIDDEN);
    mx_make_weights(m, &p);
    MX_MAKE_WORDS(m, FIRST, FIRST + 19, FIRST + 7, 3, MX_KF_NONE);
    mx_make_output(m, 5 * HIDDEN * 4);
    mx_make_zeros(m, 4);
    mx_make_u32(m, HIDDEN);
    mx_make_u32(m, FIRST);
    mx_make_u32(m, ROWS);
    mx_make_f32(m, 0x1.bb67aep+3f); /* sqrt(192) */
    mx_make_u32(m, m->key->format);
    mx_make_u32(m, m->key->group);
    mx_make_u32(m, m->scale_type);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 5, 1);
    return true;
}

static bool rope_table(struct mx_maker *m, uint32_t run) {
    enum { HALF = 24 };
    if (run > 0)
        return false;
    mx_make_vector(m, HALF, true, true);
    MX_MAKE_WORDS(m, 0, 1, 77, 4095, 131071);
    mx_make_output(m, 5 * HALF * 8);
    mx_make_u32(m, HALF);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 5, 1);
    return true;
}

static const uint32_t groups_of_run[4] = {32, 64, 128, 0};

enum { COLS = 332 };

static void quantised(struct mx_maker *m, uint32_t rows) {
    mx_make_output(m, (size_t)rows * mx_round_up(COLS, 32));
    mx_make_output(m, (size_t)rows * mx_round_up(COLS, 32) / 32 * 4);
    mx_make_output(m, (size_t)rows * mx_round_up(COLS, 32) / 32 * 4);
    mx_make_zeros(m, 4);
}

static bool norm(struct mx_maker *m, uint32_t run) {
    if (run > 3)
        return false;
    mx_make_vector(m, COLS, false, true);
    MX_MAKE_WORDS(m, 3, 0, 2);
    mx_make_reals(m, 4 * COLS, 3);
    mx_make_output(m, 3 * COLS * 4);
    quantised(m, 3);
    mx_make_u32(m, COLS);
    mx_make_u32(m, groups_of_run[run]);
    mx_make_f32(m, 0x1.8acb9p-9f); /* 1 / 332 */
    mx_make_f32(m, 0x1.0c6f7ap-20f);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 3, 1);
    return true;
}

/* One group of the second row is all zeros, one of the first too large; the last row is not there. */
static bool quantise(struct mx_maker *m, uint32_t run) {
    if (run > 2)
        return false;
    float *x = mx_make_reals(m, 3 * COLS, 3);
    memset(x + COLS + groups_of_run[run], 0, groups_of_run[run] * sizeof *x);
    x[groups_of_run[run]] = 0x1p101f;
    quantised(m, 3);
    MX_MAKE_WORDS(m, 9, 2);
    mx_make_u32(m, 1);
    mx_make_u32(m, COLS);
    mx_make_u32(m, groups_of_run[run]);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 3, 1);
    return true;
}

enum { HEADS = 4, KV_HEADS = 2, DIM = 48, POOL = 4, BLOCKS = 3 };

/* Integers, and a byte as the scale of each position: from 2^-7 to nearly 1. */
static void cache_of_integers(struct mx_maker *m, uint32_t dim) {
    const size_t block = (dim + 1) * 64;
    uint8_t *v = mx_make_zeros(m, KV_HEADS * POOL * block);
    for (size_t i = 0; i < KV_HEADS * POOL * block; i++) {
        const bool scale = i % block >= (size_t)dim * 64;
        const uint32_t x = mx_make_random(m) >> 9;
        v[i] = (uint8_t)(scale ? 128 + x % 56 : x % 255 - 127);
    }
}

static void cache(struct mx_maker *m, uint32_t dim) {
    const size_t n = (size_t)KV_HEADS * POOL * dim * 64;
    for (int part = 0; part < 2; part++) {
        if (m->key->kv == MX_KF_KV_I8) {
            cache_of_integers(m, dim);
            continue;
        }
        if (m->key->kv != MX_KF_KV_F16) {
            mx_make_reals(m, n, 0);
            continue;
        }
        uint16_t *v = mx_make_zeros(m, n * 2);
        for (size_t i = 0; i < n; i++)
            v[i] = mx_make_half(m);
    }
}

static void places(struct mx_maker *m) {
    MX_MAKE_WORDS(m, 0, 63, 130);                         /* position */
    MX_MAKE_WORDS(m, 1, 1, 0);                            /* sequence */
    MX_MAKE_WORDS(m, 2, 0, 3, 1, MX_KF_NONE, MX_KF_NONE); /* blocks (2 sequences, BLOCKS) */
}

static void attention_sizes(struct mx_maker *m, uint32_t heads, uint32_t dim) {
    mx_make_u32(m, heads);
    mx_make_u32(m, KV_HEADS);
    mx_make_u32(m, dim);
    mx_make_u32(m, POOL);
    mx_make_u32(m, BLOCKS);
}

/* Run 0 with a bias, run 1 without: there the cache has no room for one value of a key, and a value of zeros. */
static bool rope_kv(struct mx_maker *m, uint32_t run) {
    const uint32_t ldq = (HEADS + 2 * KV_HEADS) * DIM;
    if (run > 1)
        return false;
    float *qkv = mx_make_reals(m, 3 * ldq, 3);
    if (run == 1) {
        qkv[HEADS * DIM + 5] = 0x1p20f;
        memset(qkv + 3 * ldq - DIM, 0, DIM * sizeof *qkv);
    }
    mx_make_vector(m, ldq, false, run == 0);
    mx_make_reals(m, 3 * DIM, 0); /* not quite cosines and sines */
    places(m);
    mx_make_output(m, 3 * HEADS * DIM * 4);
    cache(m, DIM);
    mx_make_zeros(m, 4);
    attention_sizes(m, HEADS, DIM);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, 3, HEADS + 2 * KV_HEADS);
    return true;
}

/* Run 0: head by head, run 1: all of q and all of k. */
static bool qk_norm(struct mx_maker *m, uint32_t run) {
    const uint32_t ld = (HEADS + 2 * KV_HEADS) * DIM, q = run ? HEADS * DIM : DIM, k = run ? KV_HEADS * DIM : DIM;
    if (run > 1)
        return false;
    mx_make_vector(m, q + k, false, true);
    mx_make_reals(m, 3 * ld, 3);
    mx_make_u32(m, ld);
    mx_make_u32(m, run ? 1 : HEADS);
    mx_make_u32(m, q);
    mx_make_u32(m, k);
    mx_make_f32(m, run ? 0x1.555556p-8f : 0x1.555556p-6f); /* 1 / 192, 1 / 48 */
    mx_make_f32(m, run ? 0x1.555556p-7f : 0x1.555556p-6f); /* 1 / 96 */
    mx_make_f32(m, 0x1.0c6f7ap-20f);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, 3, run ? 2 : HEADS + KV_HEADS);
    return true;
}

/* Processors compute queries side by side and columns by fours of 16. Run 0: two tokens of one sequence, one of
 * another, fewer columns. Run 1: one token, whose heads that share are 4, 2 and 1; 64 columns and part of 16 more. Run
 * 2: the same of tokens that go on into the next block, whose queries side by side end in different blocks. */
static bool attention(struct mx_maker *m, uint32_t run) {
    static const struct {
        uint32_t tokens, heads, dim;
    } shapes[] = {{3, HEADS, DIM}, {1, 7 * KV_HEADS, 72}, {7, KV_HEADS, 72}};
    if (run >= sizeof shapes / sizeof shapes[0])
        return false;
    const uint32_t tokens = shapes[run].tokens, heads = shapes[run].heads, dim = shapes[run].dim;
    mx_make_reals(m, (size_t)tokens * heads * dim, 2);
    cache(m, dim);
    if (run == 0) {
        places(m);
    } else if (run == 1) {
        MX_MAKE_WORDS(m, 130);
        MX_MAKE_WORDS(m, 0);
        MX_MAKE_WORDS(m, 2, 0, 3);
    } else {
        MX_MAKE_WORDS(m, 125, 126, 127, 128, 129, 130, 131);
        MX_MAKE_WORDS(m, 1, 1, 1, 1, 1, 1, 1);
        MX_MAKE_WORDS(m, MX_KF_NONE, MX_KF_NONE, MX_KF_NONE, 2, 0, 3);
    }
    mx_make_output(m, (size_t)tokens * heads * dim * 4);
    attention_sizes(m, heads, dim);
    mx_make_f32(m, run ? 0x1.e2b7dep-4f : 0x1.279a74p-3f); /* 1 / sqrt(dim) */
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, tokens, heads);
    return true;
}

/* Run 0: equal values among the routed, normalised weights and a gate; run 1: neither; run 2: light experts of all
 * kinds, logits carried over and scaled, those of the last token all the same; run 3: the same through two layers, with
 * a gate, and not scaled. */
static bool route(struct mx_maker *m, uint32_t run) {
    enum { ROUTED = 12, TOP_K = 4, SHARED = 2, TOKENS = 3, INNER = 40, CONSTANTS = 2 };
    static const uint32_t flags[4] = {MX_KF_NORM_TOPK | MX_KF_SHARED_GATE, 0,
                                      MX_KF_NORM_TOPK | MX_KF_ZERO_APART | MX_KF_CARRIED | MX_KF_CARRY_ON,
                                      MX_KF_TWO_LAYERS | MX_KF_CARRIED | MX_KF_SHARED_GATE | MX_KF_NORM_TOPK};
    const bool light = run >= 2;
    if (run > 3)
        return false;
    const uint32_t first = run == 3 ? INNER : ROUTED;
    const uint32_t ldg = first + (light ? 2 * CONSTANTS : 0) + (flags[run] & MX_KF_SHARED_GATE ? 1 : 0);
    mx_make_vector(m, 2 * 64 * 16, false, light); /* at most 24 rows of 40 */
    float *g = mx_make_zeros(m, TOKENS * ldg * 4);
    for (uint32_t i = 0; i < TOKENS * ldg; i++)
        g[i] = run == 0 ? (float)((int32_t)(mx_make_random(m) % 7) - 3) : mx_make_real(m, light ? 1 : 3);
    float *carried = mx_make_reals(m, TOKENS * ROUTED, 0);
    for (uint32_t i = 0; run == 2 && i < ROUTED; i++)
        g[(TOKENS - 1) * ldg + i] = carried[(TOKENS - 1) * ROUTED + i] = 0;
    mx_make_output(m, TOKENS * (TOP_K + SHARED) * 4);
    mx_make_output(m, TOKENS * (TOP_K + SHARED) * 4);
    mx_make_output(m, TOKENS * (1 + CONSTANTS) * 4);
    mx_make_u32(m, ROUTED);
    mx_make_u32(m, TOP_K);
    mx_make_u32(m, SHARED);
    mx_make_u32(m, flags[run]);
    mx_make_u32(m, ldg);
    mx_make_u32(m, first);
    mx_make_u32(m, light ? CONSTANTS | 3 << 8 | 2 << 16 : 0);
    mx_make_f32(m, run == 2 ? 1.5f : 0);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, TOKENS, 1);
    return true;
}

/* Run 1: the last two of the numbers are light experts'. */
static bool sort(struct mx_maker *m, uint32_t run) {
    enum { TOKENS = 5, N = 3 };
    const uint32_t experts = run ? 7 : 9;
    if (run > 1)
        return false;
    MX_MAKE_WORDS(m, 0, 2, 8, 1, 2, 8, 2, 6, 8, 0, 1, 8, 2, 5, 7);
    MX_MAKE_WORDS(m, TOKENS, 0);
    mx_make_output(m, experts * 16);
    mx_make_output(m, TOKENS * N * 4);
    mx_make_output(m, TOKENS * N * 4);
    mx_make_output(m, 4 * 4);
    mx_make_u32(m, N);
    mx_make_u32(m, experts);
    mx_make_u32(m, 2);
    mx_make_grid(m, MX_WORK_ONE, MX_FIXED, 1, 1);
    return true;
}

static bool keep(struct mx_maker *m, uint32_t run) {
    enum { TOKENS = 3, N = 3, LAYERS = 4 };
    if (run > 0)
        return false;
    MX_MAKE_WORDS(m, 0, 2, 8, 1, 2, 8, 6, 7, 8);
    mx_make_output(m, TOKENS * LAYERS * N * 4);
    mx_make_u32(m, N);
    mx_make_u32(m, LAYERS);
    mx_make_u32(m, 2);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, TOKENS, 1);
    return true;
}

/* Run 1: with two constant experts, of which the second token takes one. */
static bool combine(struct mx_maker *m, uint32_t run) {
    enum { TOKENS = 2, N = 3, HIDDEN = 340, LIGHTS = 3 }; /* more than one share of a token */
    if (run > 1)
        return false;
    mx_make_vector(m, 2 * HIDDEN, false, run == 1);
    mx_make_reals(m, TOKENS * N * HIDDEN, 2);
    MX_MAKE_WORDS(m, 4, 0, run ? MX_KF_NONE : 5, 1, run ? MX_KF_NONE : 3, 2);
    mx_make_reals(m, TOKENS * N, 0);
    mx_make_reals(m, TOKENS * HIDDEN, 2);
    mx_make_reals(m, TOKENS * LIGHTS, 0)[LIGHTS + 1] = 0;
    mx_make_reals(m, TOKENS * HIDDEN, 2);
    mx_make_u32(m, HIDDEN);
    mx_make_u32(m, N);
    mx_make_u32(m, run ? LIGHTS : 0);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, TOKENS, (HIDDEN + 15) / 16);
    return true;
}

static bool kv_copy(struct mx_maker *m, uint32_t run) {
    if (run > 0)
        return false;
    cache(m, DIM);
    MX_MAKE_WORDS(m, 3, 1, 0, 2);
    mx_make_u32(m, KV_HEADS);
    mx_make_u32(m, DIM);
    mx_make_u32(m, POOL);
    mx_make_grid(m, MX_WORK_GRID, MX_COPIES, 2, KV_HEADS);
    return true;
}

/* Run 0: 19 leaves of different lengths that overlap, one of them empty. Run 1: one as long as leaves are: there are
 * drivers that end long loops early. */
static bool hash_leaves(struct mx_maker *m, uint32_t run) {
    enum { LEAVES = 19, PAGES = 6, LONG_PAGES = 16 };
    const uint32_t pages = run == 0 ? PAGES : LONG_PAGES, n = run == 0 ? LEAVES : 1;
    uint32_t leaf[2 * LEAVES] = {0, LONG_PAGES * 4096};
    if (run > 1)
        return false;
    uint32_t *window = mx_make_zeros(m, pages * 4096);
    for (uint32_t i = 0; i < pages * 1024; i++)
        window[i] = mx_make_random(m);
    for (uint32_t i = 0; run == 0 && i < LEAVES; i++) {
        leaf[2 * i] = i % PAGES;
        leaf[2 * i + 1] = i == 3 ? 0 : (1 + i / PAGES % (PAGES - i % PAGES)) * 4096;
    }
    mx_make_words(m, 2 * n, leaf);
    mx_make_output(m, n * 32);
    mx_make_u32(m, n);
    mx_make_grid(m, MX_WORK_ROWS, MX_LEAVES, (n + 15) / 16, 1);
    return true;
}

static const struct {
    const char *kernel;
    bool (*make)(struct mx_maker *m, uint32_t run);
} makers[] = {
    {"mx_linear", linear},     {"mx_embed", embed},
    {"mx_norm", norm},         {"mx_qk_norm", qk_norm},
    {"mx_quantise", quantise}, {"mx_rope_table", rope_table},
    {"mx_rope_kv", rope_kv},   {"mx_attention", attention},
    {"mx_route", route},       {"mx_sort", sort},
    {"mx_keep", keep},         {"mx_combine", combine},
    {"mx_kv_copy", kv_copy},   {"mx_hash_leaves", hash_leaves},
};

bool mx_case_make(const struct mx_program_key *key, const char *kernel, uint32_t run, uint8_t *image,
                  struct mx_case *c) {
    struct mx_maker m = {.image = image, .seed = run * 7919 + 1, .key = key, .c = c};
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
