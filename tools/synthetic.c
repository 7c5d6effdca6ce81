/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE // memfd_create
#include "tools/synthetic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pack/families.h"
#include "pack/source_build.h"

static const uint8_t first_dense[28] = {1}; /* DeepSeekMoE's layers */

static const struct shape {
    const char *architecture;
    uint32_t hidden, layers, heads, kv_heads, head_dim, vocab, positions;
    float rope_theta, rms_eps;
    bool tied;
    struct pk_ffn ffn;
} shapes[] = {
    // The published config.json of each, in the order of the names; "tiny" is for trying the command.
    {"qwen2_moe", 2048, 24, 16, 16, 128, 151936, 8192, 1e6f, 1e-6f,
     .ffn = {.routed = 60, .top_k = 4, .width = 1408, .shared_width = 5632, .shared_gate = true}},
    {"qwen2_moe", 3584, 28, 28, 4, 128, 151936, 131072, 1e6f, 1e-6f,
     .ffn = {.routed = 64, .top_k = 8, .width = 2560, .shared_width = 20480, .shared_gate = true}},
    {"qwen2", 4096, 32, 32, 32, 128, 151936, 32768, 1e6f, 1e-6f, .ffn = {.dense_width = 11008}},
    {"mixtral", 4096, 32, 32, 8, 128, 32000, 32768, 1e6f, 1e-5f,
     .ffn = {.routed = 8, .top_k = 2, .width = 14336, .norm_topk = true}},
    {"deepseek", 2048, 28, 16, 16, 128, 102400, 4096, 1e4f, 1e-6f,
     .ffn =
         {.dense_width = 10944, .routed = 64, .top_k = 6, .width = 1408, .shared_width = 2816, .dense = first_dense}},
    {"qwen3_moe", 2048, 48, 32, 4, 128, 151936, 40960, 1e6f, 1e-6f,
     .ffn = {.routed = 128, .top_k = 8, .width = 768, .norm_topk = true}},
    {"llama", 576, 30, 9, 3, 64, 49152, 8192, 1e5f, 1e-5f, .tied = true, .ffn = {.dense_width = 1536}},
    {"qwen2_moe", 256, 2, 4, 2, 64, 1024, 1024, 1e6f, 1e-6f,
     .ffn = {.routed = 8, .top_k = 2, .width = 128, .shared_width = 256, .shared_gate = true}},
};
const char *const synthetic_shapes[] = {
    "qwen1.5-moe-a2.7b", "qwen2-57b-a14b", "qwen1.5-7b", "mixtral-8x7b", "deepseek-moe-16b",
    "qwen3-30b-a3b",     "smollm2-135m",   "tiny",       NULL,
};

/* The pool: Q4_0 blocks, then floats. A tensor begins somewhere in the first SLACK bytes, each elsewhere. Where more
 * than a block's 32 weights share a scale it is that of their first block. */
#define SLACK_BLOCKS (1u << 18)
#define RANDOM_FLOATS (1u << 20) /* small ones, for routers and biases */
#define ONES (1u << 14)          /* for norms */
#define BLOCK_BYTES 18u          /* half scale, 32 nibbles */

struct builder {
    struct pk_source *s;
    uint64_t random_at, ones_at; /* where the floats begin in the pool */
    uint64_t state;
    uint32_t group; /* weights that share a scale */
    struct pk_error *e;
};

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Scales from 2^-8 to 2^-7 give weights with a deviation near 1/40, as trained matrices of this size have. */
static void fill_blocks(uint8_t *pool, uint64_t blocks, uint64_t *state) {
    for (uint64_t i = 0; i < blocks; i++, pool += BLOCK_BYTES) {
        uint64_t scale = next_random(state), low = next_random(state), high = next_random(state);
        pool[0] = (uint8_t)scale;
        pool[1] = (uint8_t)(0x1c | (scale >> 8 & 3));
        memcpy(pool + 2, &low, 8);
        memcpy(pool + 10, &high, 8);
    }
}

static void fill_floats(uint8_t *random, uint8_t *ones, uint64_t *state) {
    const float one = 1;
    for (uint32_t i = 0; i < RANDOM_FLOATS; i++) {
        float value = ((float)(next_random(state) >> 40) - 8388608.0f) * (1.0f / 8388608.0f / 16); // within 1/16 of 0
        memcpy(random + 4ull * i, &value, 4);
    }
    for (uint32_t i = 0; i < ONES; i++) {
        memcpy(ones + 4ull * i, &one, 4);
    }
}

/* Adds the pool as the source's only file. */
static bool add_pool(struct builder *b, uint64_t largest) {
    uint64_t blocks = largest / PK_BLOCK + SLACK_BLOCKS, bytes = blocks * BLOCK_BYTES;
    uint32_t index;
    b->random_at = (bytes + 63) / 64 * 64;
    b->ones_at = b->random_at + 4ull * RANDOM_FLOATS;
    bytes = b->ones_at + 4ull * ONES;
    struct pk_file f = {.path = strdup(b->s->path), .fd = memfd_create("moxie", MFD_CLOEXEC), .bytes = bytes};
    uint8_t *pool = f.path && f.fd >= 0 && ftruncate(f.fd, (off_t)bytes) == 0
                        ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0)
                        : MAP_FAILED;
    if (pool == MAP_FAILED) {
        pk_fail(b->e, MOXIE_ERROR_FILE, "cannot make %llu bytes of pseudo-random weights: %s",
                (unsigned long long)bytes, strerror(errno));
        pk_file_close(&f);
        return false;
    }
    fill_blocks(pool, blocks, &b->state);
    fill_floats(pool + b->random_at, pool + b->ones_at, &b->state);
    munmap(pool, bytes);
    return pk_source_add_file(b->s, f, &index, b->e);
}

/* Adds a tensor: type PK_Q4_0, or PK_F32 with values that are random or 1. */
static bool add(struct builder *b, enum pk_type type, uint64_t start, uint64_t rows, uint64_t cols, const char *format,
                ...) __attribute__((format(printf, 6, 7)));

static bool add(struct builder *b, enum pk_type type, uint64_t start, uint64_t rows, uint64_t cols, const char *format,
                ...) {
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    uint64_t dims[2] = {rows, cols};
    uint32_t n_dims = rows > 1 ? 2 : 1;
    struct pk_tensor *t =
        pk_source_add(b->s, name, type, pk_type_name(type), n_dims, n_dims == 2 ? dims : dims + 1, 0, start, b->e);
    if (t && type == PK_Q4_0) {
        t->group = b->group;
    }
    return t != NULL;
}

#define MATRIX(b, rows, cols, ...)                                                                                     \
    add(b, PK_Q4_0, next_random(&(b)->state) % SLACK_BLOCKS * BLOCK_BYTES, rows, cols, __VA_ARGS__)
#define FLOATS(b, rows, cols, ...) add(b, PK_F32, (b)->random_at, rows, cols, __VA_ARGS__)
#define NORM(b, cols, ...) add(b, PK_F32, (b)->ones_at, 1, cols, __VA_ARGS__)

static bool add_mlp(struct builder *b, uint64_t width, const char *prefix) {
    uint64_t hidden = b->s->model.hidden;
    return MATRIX(b, width, hidden, "%s.gate_proj.weight", prefix) &&
           MATRIX(b, width, hidden, "%s.up_proj.weight", prefix) &&
           MATRIX(b, hidden, width, "%s.down_proj.weight", prefix);
}

/* The norm of q and k, where the family has one. */
static bool add_qk_norm(struct builder *b, enum pk_qk_norm norm, uint32_t l) {
    const struct mx_model *m = &b->s->model;
    bool whole = norm == PK_QK_NORM_WHOLE;
    return norm == PK_QK_NORM_NONE ||
           (NORM(b, (whole ? m->heads : 1) * m->head_dim, "model.layers.%u.self_attn.q_norm.weight", l) &&
            NORM(b, (whole ? m->kv_heads : 1) * m->head_dim, "model.layers.%u.self_attn.k_norm.weight", l));
}

static bool add_attention(struct builder *b, uint32_t l) {
    const struct mx_model *m = &b->s->model;
    uint64_t q = (uint64_t)m->heads * m->head_dim, kv = (uint64_t)m->kv_heads * m->head_dim;
    return NORM(b, m->hidden, "model.layers.%u.input_layernorm.weight", l) &&
           NORM(b, m->hidden, "model.layers.%u.post_attention_layernorm.weight", l) &&
           MATRIX(b, q, m->hidden, "model.layers.%u.self_attn.q_proj.weight", l) &&
           MATRIX(b, kv, m->hidden, "model.layers.%u.self_attn.k_proj.weight", l) &&
           MATRIX(b, kv, m->hidden, "model.layers.%u.self_attn.v_proj.weight", l) &&
           MATRIX(b, m->hidden, q, "model.layers.%u.self_attn.o_proj.weight", l) &&
           add_qk_norm(b, pk_family_find(m->architecture)->qk_norm, l) &&
           (!b->s->qkv_bias || (FLOATS(b, 1, q, "model.layers.%u.self_attn.q_proj.bias", l) &&
                                FLOATS(b, 1, kv, "model.layers.%u.self_attn.k_proj.bias", l) &&
                                FLOATS(b, 1, kv, "model.layers.%u.self_attn.v_proj.bias", l)));
}

static bool add_ffn(struct builder *b, uint32_t l) {
    const struct mx_layer *layer = &b->s->layers[l];
    char prefix[96];
    snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp", l);
    if (!layer->routed) {
        return add_mlp(b, layer->width, prefix);
    }
    for (uint32_t j = 0; j < layer->routed; j++) {
        snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.experts.%u", l, j);
        if (!add_mlp(b, layer->width, prefix)) {
            return false;
        }
    }
    snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.shared_expert", l);
    uint64_t hidden = b->s->model.hidden;
    return FLOATS(b, layer->routed, hidden, "model.layers.%u.mlp.gate.weight", l) &&
           (!layer->shared || add_mlp(b, b->s->shared_width, prefix)) &&
           (!(layer->flags & MX_LAYER_SHARED_GATE) ||
            FLOATS(b, 1, hidden, "model.layers.%u.mlp.shared_expert_gate.weight", l));
}

static bool add_all(struct builder *b) {
    const struct mx_model *m = &b->s->model;
    if (!add_pool(b, (uint64_t)m->vocab * m->hidden) || !MATRIX(b, m->vocab, m->hidden, "model.embed_tokens.weight") ||
        !NORM(b, m->hidden, "model.norm.weight") || !(m->tied || MATRIX(b, m->vocab, m->hidden, "lm_head.weight"))) {
        return false;
    }
    for (uint32_t l = 0; l < m->layers; l++) {
        if (!add_attention(b, l) || !add_ffn(b, l)) {
            return false;
        }
    }
    return pk_source_sort(b->s, b->e);
}

struct pk_source *synthetic_open(uint32_t shape, uint32_t group, struct pk_error *e) {
    const struct shape *from = &shapes[shape];
    struct builder b = {.s = calloc(1, sizeof(*b.s)), .state = 0x9e3779b97f4a7c15u, .group = group, .e = e};
    if (!b.s || !(b.s->path = strdup(synthetic_shapes[shape]))) {
        free(b.s);
        return pk_fail_memory(e);
    }
    struct mx_model *m = &b.s->model;
    pk_model_set_id(m, synthetic_shapes[shape]);
    snprintf(m->architecture, sizeof(m->architecture), "%s", from->architecture);
    m->hidden = from->hidden;
    m->layers = from->layers;
    m->heads = from->heads;
    m->kv_heads = from->kv_heads;
    m->head_dim = from->head_dim;
    m->vocab = from->vocab;
    m->max_positions = from->positions;
    m->rope_theta = from->rope_theta;
    m->rms_eps = from->rms_eps;
    m->tied = from->tied;
    m->bos = MX_NONE;
    b.s->qkv_bias = pk_family_find(m->architecture)->qkv_bias;
    if (!pk_model_finish(b.s, &from->ffn, b.s->path, e) || !add_all(&b)) {
        pk_source_close(b.s);
        return NULL;
    }
    return b.s;
}

uint64_t synthetic_bytes(uint32_t shape) {
    const struct shape *s = &shapes[shape];
    const struct pk_ffn *f = &s->ffn;
    uint64_t weights = (uint64_t)s->vocab * s->hidden * (s->tied ? 1 : 2);
    for (uint32_t l = 0; l < s->layers; l++) {
        bool dense = !f->routed || (f->dense && f->dense[l]);
        weights += (uint64_t)s->hidden * s->head_dim * 2 * (s->heads + s->kv_heads);
        weights += 3ull * s->hidden * (dense ? f->dense_width : (uint64_t)f->routed * f->width + f->shared_width);
    }
    return weights / PK_BLOCK * BLOCK_BYTES;
}
