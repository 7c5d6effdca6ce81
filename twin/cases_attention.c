/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of positions, of the cache of keys and values, and of attention. */
#include <string.h>

#include "twin/case_makers.h"

bool twin_case_rope_table(struct mx_maker *m, uint32_t run) {
    enum { HALF = 37 };
    if (run > 0)
        return false;
    mx_make_vector(m, HALF, true, true);
    MX_MAKE_WORDS(m, 1, 3, 1000, 32767, 262143, 200000, 0);
    mx_make_output(m, 7 * HALF * 8);
    mx_make_u32(m, HALF);
    mx_make_grid(m, MX_WORK_ROWS, MX_TOKENS, 7, 1);
    return true;
}

enum { FAINT = 40 }; /* values per head of the case with these */

struct attention_shape {
    uint32_t heads, kv_heads, d, tokens;
    struct {
        uint32_t p, s;
    } at[8];
};

static const struct attention_shape attention_shapes[] = {
    /* one token: heads that share a KV head are computed side by side, here 7 = 4 + 2 + 1 */
    {14, 2, 80, 1, {{200, 0}}},
    {3, 3, 64, 1, {{63, 0}}},
    {2, 1, 10, 1, {{64, 0}}},
    {2, 1, 256, 1, {{1, 0}}},
    /* tokens of one sequence across a block's end, then tokens of others, one before its predecessor */
    {4, 2, 48, 8, {{61, 1}, {62, 1}, {63, 1}, {64, 1}, {65, 1}, {66, 1}, {3, 0}, {2, 2}}},
    {3, 1, 128, 6, {{200, 0}, {199, 0}, {5, 2}, {6, 2}, {7, 2}, {0, 1}}},
    {1, 1, 66, 5, {{126, 0}, {127, 0}, {128, 0}, {129, 0}, {130, 0}}},
    {2, 2, FAINT, 2, {{130, 1}, {131, 1}}},
    /* heads of the boards' models: SmolLM2, and one of the four KV heads of Qwen2-57B-A14B */
    {9, 3, 64, 2, {{100, 0}, {101, 0}}},
    {7, 1, 128, 1, {{150, 1}}},
    /* a long context: as many blocks as plan allows where loops end after 65535 rounds (boards/host-rusticl) */
    {1, 1, 64, 1, {{19775, 0}}},
};
enum { ATTENTION_SHAPES = sizeof attention_shapes / sizeof attention_shapes[0], SEQUENCES = 3 };

/* Blocks of one sequence, and of all. */
static uint32_t max_blocks(const struct attention_shape *s) {
    const uint32_t n = s->at[0].p / 64 + 1;
    return n > 4 ? n : 4;
}

static uint32_t pool_blocks(const struct attention_shape *s) {
    return max_blocks(s) > 4 ? max_blocks(s) + 2 : SEQUENCES * 4 + 1; /* no multiple of 5 */
}

/* Where block i of `sequence` lies. Of a small pool block 8 is nobody's, a large one has one sequence. */
static uint32_t block_of(const struct attention_shape *s, uint32_t sequence, uint32_t i) {
    return (sequence * max_blocks(s) + i) * 5 % pool_blocks(s);
}

static void table(struct mx_maker *m, const struct attention_shape *s) {
    const uint32_t n = max_blocks(s);
    uint32_t *blocks = mx_make_zeros(m, (size_t)4 * SEQUENCES * n);
    for (uint32_t i = 0; i < SEQUENCES * n; i++)
        blocks[i] = block_of(s, i / n, i % n);
}

static void attention_sizes(struct mx_maker *m, const struct attention_shape *s) {
    mx_make_u32(m, s->heads);
    mx_make_u32(m, s->kv_heads);
    mx_make_u32(m, s->d);
    mx_make_u32(m, pool_blocks(s));
    mx_make_u32(m, max_blocks(s));
}

static void places(struct mx_maker *m, const struct attention_shape *s) {
    uint32_t *p = mx_make_zeros(m, 4 * s->tokens);
    for (uint32_t t = 0; t < s->tokens; t++)
        p[t] = s->at[t].p;
    p = mx_make_zeros(m, 4 * s->tokens);
    for (uint32_t t = 0; t < s->tokens; t++)
        p[t] = s->at[t].s;
}

/* Values of which what is left is too small for F where weights are equal: the first block's sum in even columns, in
 * odd ones that of the first and the second. The third block shows it; in the second head factors leave too little of
 * it. */
static float faint(size_t h, uint32_t p, uint32_t i) {
    const float one = p % 2 ? -0x1p-36f : 0x1p-36f;
    if (p >= 128)
        return h == 0 ? 0x1p-33f : 0x1p-40f;
    if (p == 0)
        return i % 2 ? 0x1p-35f : one + 0x1p-41f;
    if (p == 65)
        return i % 2 ? -0x1p-35f + 0x1p-41f : -one;
    return one;
}

/* A cache whose values end with the last position of each sequence: NaN behind it. `edge`: values at the edge. */
static void cache(struct mx_maker *m, const struct attention_shape *s, bool values, bool key) {
    const bool half = m->key->kv == MX_KF_KV_F16, integers = m->key->kv == MX_KF_KV_I8;
    const size_t block_bytes = 64 * (integers ? s->d + 1 : s->d * (half ? 2 : 4)), pool = pool_blocks(s);
    const size_t n = s->kv_heads * pool * block_bytes;
    uint8_t *v = mx_make_zeros(m, n);
    memset(v, 0xff, n);
    for (uint32_t t = 0; values && t < s->tokens; t++)
        for (uint32_t p = 0; p <= s->at[t].p; p++)
            for (size_t h = 0; h < s->kv_heads; h++)
                for (uint32_t i = 0; i < s->d; i++) {
                    uint8_t *block = v + (h * pool + block_of(s, s->at[t].s, p / 64)) * block_bytes;
                    size_t at = key ? (size_t)i * 64 + p % 64 : (size_t)(p % 64) * s->d + i;
                    float f = s->d == 48 ? twin_edge(m) : mx_make_real(m, 1);
                    if (s->d == FAINT && !key)
                        f = faint(h, p, i);
                    uint16_t x = (uint16_t)(mx_make_random(m) & 0xbfff); /* below 2 */
                    if (integers) {
                        block[at] = (uint8_t)(x % 255 - 127);
                        block[s->d * 64 + p % 64] = (uint8_t)(s->d == 48 ? x >> 6 : 128 + x % 64); /* any, or below 2 */
                    } else {
                        memcpy(block + at * (half ? 2 : 4), half ? (void *)&x : &f, half ? 2 : 4);
                    }
                }
}

bool twin_case_rope_kv(struct mx_maker *m, uint32_t run) {
    if (run >= ATTENTION_SHAPES)
        return false;
    const struct attention_shape *s = &attention_shapes[run];
    const size_t ldq = (s->heads + 2 * s->kv_heads) * s->d;
    float *qkv = mx_make_reals(m, s->tokens * ldq, run % 2 ? 18 : 2); /* too large for halves: saturated */
    if (run == 4)
        twin_edges(m, qkv, s->tokens * ldq);
    mx_make_vector(m, (uint32_t)ldq, false, run != 1);
    float *bias = twin_vector(m, 1);
    if (run == 4)
        twin_edges(m, bias, ldq);
    for (size_t i = 0; run == 4 && i < ldq; i++) /* with the bias some are too small for F */
        qkv[i] = -1.25f * bias[i];
    float *cs = mx_make_reals(m, s->tokens * (size_t)s->d, 0);
    if (run == 4)
        twin_edges(m, cs, s->tokens * (size_t)s->d);
    places(m, s);
    table(m, s);
    if (run == 5) /* a block that is not in the pool */
        ((uint32_t *)twin_argument(m, 12))[s->at[0].p / 64] = pool_blocks(s);
    mx_make_output(m, s->tokens * (size_t)s->heads * s->d * 4);
    cache(m, s, false, true);
    cache(m, s, false, false);
    mx_make_zeros(m, 4);
    attention_sizes(m, s);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, s->tokens, s->heads + 2 * s->kv_heads);
    return true;
}

bool twin_case_attention(struct mx_maker *m, uint32_t run) {
    if (run >= ATTENTION_SHAPES)
        return false;
    const struct attention_shape *s = &attention_shapes[run];
    float *q = mx_make_reals(m, s->tokens * (size_t)s->heads * s->d, run == 3 ? 6 : 1);
    if (run == 4)
        twin_edges(m, q, s->tokens * (size_t)s->heads * s->d);
    for (uint32_t t = 0; s->d == FAINT && t < s->tokens; t++) /* the first head's weights are equal */
        memset(q + t * (size_t)s->heads * s->d, 0, s->d * sizeof *q);
    cache(m, s, true, true);
    cache(m, s, true, false);
    places(m, s);
    table(m, s);
    mx_make_output(m, s->tokens * (size_t)s->heads * s->d * 4);
    attention_sizes(m, s);
    mx_make_f32(m, 0x1.8p-4f);
    mx_make_grid(m, MX_WORK_GRID, MX_TOKENS, s->tokens, s->heads);
    return true;
}
