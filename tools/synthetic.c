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

static const struct synthetic_shape shapes[] = {
    // The published config.json of each, in the order of the names; "tiny" is for trying the command. The twin of MoE++
    // has its 16 experts with matrices and an ordinary router, as in the authors' comparison.
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
    {"MoE++", 1536, 24, 16, 16, 96, 65536, 2048, 1e4f, 1e-6f, .ffn = SYNTHETIC_MOEPP(20, 4096)},
    {"mixtral", 1536, 24, 16, 16, 96, 65536, 2048, 1e4f, 1e-6f,
     .ffn = {.routed = 16, .top_k = 2, .width = 4096, .norm_topk = true}},
    {"llama", 576, 30, 9, 3, 64, 49152, 8192, 1e5f, 1e-5f, .tied = true, .ffn = {.dense_width = 1536}},
    {"qwen2_moe", 256, 2, 4, 2, 64, 1024, 1024, 1e6f, 1e-6f,
     .ffn = {.routed = 8, .top_k = 2, .width = 128, .shared_width = 256, .shared_gate = true}},
};
const char *const synthetic_shapes[] = {
    "qwen1.5-moe-a2.7b", "qwen2-57b-a14b", "qwen1.5-7b", "mixtral-8x7b",
    "deepseek-moe-16b",  "qwen3-30b-a3b",  "moe++-7b",   "moe++-7b-vanilla",
    "smollm2-135m",      "tiny",           NULL,
};

/* The pool: blocks of the matrices' type, then floats. A tensor begins somewhere in the first half of what it may
 * overlap with others, each elsewhere. */
#define SLACK_BLOCKS (1u << 18)
#define RANDOM_FLOATS (1u << 21) /* small ones, for routers and biases */
#define NEAR_ONE (1u << 15)      /* for norms */

struct builder {
    struct pk_source *s;
    const struct synthetic_kind *kind;
    uint64_t random_at, near_one_at; /* where the floats begin in the pool */
    uint64_t slack;                  /* blocks among which a matrix may begin */
    uint64_t state;
    struct pk_error *e;
};

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void put16(uint8_t *to, uint32_t bits) {
    to[0] = (uint8_t)bits;
    to[1] = (uint8_t)(bits >> 8);
}

/* A half from 2^e to 2^(e+1), of ten random bits; in wide kinds one of 64 is subnormal. */
static void put_half(const struct synthetic_kind *kind, uint8_t *to, int e, uint64_t random) {
    const bool edge = kind->wide && (random >> 10) % 64 == 0;
    put16(to, (edge ? 0 : (uint32_t)(e + 15) << 10) | (random & 0x3ff));
}

/* The same of either sign, as Q4_0 has it. Codes go from -8 to 7: with all scales positive the weights' mean would not
 * be 0, what a matrix gives would depend on little but the sum of its input, and all tokens would choose the same
 * experts. */
static void put_signed_half(const struct synthetic_kind *kind, uint8_t *to, int e, uint64_t random) {
    put_half(kind, to, e, random);
    to[1] |= !kind->wide && random >> 16 & 1 ? 0x80 : 0;
}

/* A float as large as a weight, exact in its type. Wide: one of 64 lies near the smallest that a bundle has. */
static void put_weight(const struct synthetic_kind *kind, uint8_t *to, uint64_t random) {
    const int32_t v = (int32_t)(random & 0xffffff) - 0x800000; // 24 bits
    const bool edge = kind->wide && (random >> 24) % 64 == 0;
    const float scale = kind->wide ? 0x1p-25f : 0x1p-27f; // within 1/4, 1/16 of 0
    const int32_t drop = kind->type == PK_F32   ? 1
                         : kind->type == PK_F16 ? 0x2000
                                                : 0x10000; // what the type cannot hold
    const int32_t kept = v / drop;
    float value = (float)kept * ((float)drop * scale);
    value = edge && kind->type != PK_F16 ? value * 0x1p-35f : value;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (kind->type == PK_F32) {
        memcpy(to, &bits, 4);
    } else if (kind->type == PK_BF16) { // seven bits and the sign
        put16(to, bits >> 16);
    } else if (edge || !(bits & 0x7fffffff)) {
        put16(to, (bits >> 16 & 0x8000) | (random & 0x3ff));
    } else {
        put16(to, (bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | (bits >> 13 & 0x3ff));
    }
}

/* One block of any type that this makes. */
static void fill_block(const struct synthetic_kind *kind, uint8_t *block, uint64_t *state) {
    const uint64_t random = next_random(state), more = next_random(state);
    const uint32_t bytes = pk_type_bytes(kind->type), head = kind->type == PK_Q4_K   ? 4
                                                             : kind->type == PK_Q4_1 ? 4
                                                             : kind->type == PK_Q4_Z ? 3
                                                                                     : 2;
    const int e = kind->wide ? -6 : -8; // 4 random bits times 2^-8 to 2^-7: a deviation near 1/40
    if (pk_type_elements(kind->type) == 1) {
        put_weight(kind, block, random);
        return;
    }
    for (uint32_t at = head; at < bytes; at++) {
        block[at] = (uint8_t)(next_random(state) >> 20);
        if (kind->type == PK_Q8_0 && block[at] == 0x80) {
            block[at] = 0x81; // -128 is no code of a bundle
        }
    }
    switch (kind->type) {
    case PK_Q8_0:
        put_half(kind, block, e - 4, random);
        break;
    case PK_Q4_1: // minimums that put 0 near the middle of the codes
        put_half(kind, block, e, random);
        put_half(kind, block + 2, e + 3, more);
        block[3] |= more >> 40 & 3 ? 0x80 : 0;
        break;
    case PK_Q4_K: // times six bits
        put_half(kind, block, e - 5, random);
        put_half(kind, block + 2, e - 2, more);
        break;
    case PK_Q4_Z:
        put_half(kind, block, e, random);
        block[2] = more & 15;
        break;
    default:
        put_signed_half(kind, block, e, random);
    }
}

static void fill_floats(uint8_t *random, uint8_t *near_one, uint64_t *state) {
    for (uint32_t i = 0; i < RANDOM_FLOATS + NEAR_ONE; i++) {
        float value = ((float)(next_random(state) >> 40) - 8388608.0f) * (1.0f / 8388608.0f / 16); // within 1/16 of 0
        float one = 1 + value;
        if (i < RANDOM_FLOATS) {
            memcpy(random + 4ull * i, &value, 4);
        } else {
            memcpy(near_one + 4ull * (i - RANDOM_FLOATS), &one, 4);
        }
    }
}

/* Adds the pool as the source's only file. */
static bool add_pool(struct builder *b, uint64_t elements) {
    const uint32_t block = pk_type_bytes(b->kind->type);
    uint64_t blocks = elements / pk_type_elements(b->kind->type) + b->slack, bytes = blocks * block;
    uint32_t index;
    b->random_at = (bytes + 63) / 64 * 64;
    b->near_one_at = b->random_at + 4ull * RANDOM_FLOATS;
    bytes = b->near_one_at + 4ull * NEAR_ONE;
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
    for (uint64_t i = 0; i < blocks; i++) {
        fill_block(b->kind, pool + i * block, &b->state);
    }
    fill_floats(pool + b->random_at, pool + b->near_one_at, &b->state);
    munmap(pool, bytes);
    return pk_source_add_file(b->s, f, &index, b->e);
}

/* Adds a tensor that begins at `start`. */
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
    if (t && pk_type_elements(type) > 1) {
        t->group = b->kind->group;
    }
    return t != NULL;
}

/* Somewhere in the first `n` of things that are `bytes` long. */
static uint64_t somewhere(struct builder *b, uint64_t n, uint32_t bytes) {
    return next_random(&b->state) % n * bytes;
}

#define MATRIX(b, rows, cols, ...)                                                                                     \
    add(b, (b)->kind->type, somewhere(b, (b)->slack, pk_type_bytes((b)->kind->type)), rows, cols, __VA_ARGS__)
#define FLOATS(b, rows, cols, ...)                                                                                     \
    add(b, PK_F32, (b)->random_at + somewhere(b, RANDOM_FLOATS / 2, 4), rows, cols, __VA_ARGS__)
#define NORM(b, cols, ...) add(b, PK_F32, (b)->near_one_at + somewhere(b, NEAR_ONE / 2, 4), 1, cols, __VA_ARGS__)

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

/* What light experts have, from number `first` on, and the map of carried logits. */
static bool add_light(struct builder *b, uint32_t l, uint32_t first) {
    const struct mx_layer *layer = &b->s->layers[l];
    const uint64_t hidden = b->s->model.hidden;
    bool ok = !pk_family_find(b->s->model.architecture)->plus ||
              FLOATS(b, layer->routed, layer->routed, "model.layers.%u.mlp.gate_map.weight", l);
    for (uint32_t j = first; ok && j < first + layer->constants; j++) {
        ok = FLOATS(b, 1, hidden, "model.layers.%u.mlp.experts.%u.constant", l, j) &&
             FLOATS(b, 2, hidden, "model.layers.%u.mlp.experts.%u.wg.weight", l, j);
    }
    return ok;
}

static bool add_ffn(struct builder *b, uint32_t l) {
    const struct mx_layer *layer = &b->s->layers[l];
    char prefix[96];
    snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp", l);
    if (!layer->routed) {
        return add_mlp(b, layer->width, prefix);
    }
    const uint32_t whole = layer->routed - mx_layer_light(layer);
    for (uint32_t j = 0; j < whole; j++) {
        snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.experts.%u", l, j);
        if (!add_mlp(b, layer->width, prefix)) {
            return false;
        }
    }
    snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.shared_expert", l);
    uint64_t hidden = b->s->model.hidden;
    return FLOATS(b, layer->routed, hidden, "model.layers.%u.mlp.gate.weight", l) && add_light(b, l, whole) &&
           (!layer->shared || add_mlp(b, b->s->shared_width, prefix)) &&
           (!(layer->flags & MX_LAYER_SHARED_GATE) ||
            FLOATS(b, 1, hidden, "model.layers.%u.mlp.shared_expert_gate.weight", l));
}

/* Elements of the largest matrix. */
static uint64_t largest(const struct pk_source *s) {
    const struct mx_model *m = &s->model;
    uint64_t rows = m->vocab > m->heads * m->head_dim ? m->vocab : m->heads * m->head_dim;
    rows = s->shared_width > rows ? s->shared_width : rows;
    for (uint32_t l = 0; l < m->layers; l++) {
        rows = s->layers[l].width > rows ? s->layers[l].width : rows;
    }
    return rows * m->hidden;
}

static bool add_all(struct builder *b) {
    const struct mx_model *m = &b->s->model;
    if (!add_pool(b, largest(b->s)) || !MATRIX(b, m->vocab, m->hidden, "model.embed_tokens.weight") ||
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

struct pk_source *synthetic_make(const char *name, const struct synthetic_shape *shape,
                                 const struct synthetic_kind *kind, struct pk_error *e) {
    struct builder b = {.s = calloc(1, sizeof(*b.s)), .kind = kind, .slack = SLACK_BLOCKS, .e = e};
    b.state = 0x9e3779b97f4a7c15u;
    for (const char *c = name; *c; c++) {
        b.state = (b.state ^ (uint8_t)*c) * 0x100000001b3u;
    }
    if (!b.s || !(b.s->path = strdup(name))) {
        free(b.s);
        return pk_fail_memory(e);
    }
    struct mx_model *m = &b.s->model;
    pk_model_set_id(m, name);
    snprintf(m->architecture, sizeof(m->architecture), "%s", shape->architecture);
    m->hidden = shape->hidden;
    m->layers = shape->layers;
    m->heads = shape->heads;
    m->kv_heads = shape->kv_heads;
    m->head_dim = shape->head_dim;
    m->vocab = shape->vocab;
    m->max_positions = shape->positions;
    m->rope_theta = shape->rope_theta;
    m->rms_eps = shape->rms_eps;
    m->tied = shape->tied;
    m->bos = MX_NONE;
    b.s->qkv_bias = pk_family_find(m->architecture)->qkv_bias;
    if (!pk_model_finish(b.s, &shape->ffn, b.s->path, e) || !add_all(&b)) {
        pk_source_close(b.s);
        return NULL;
    }
    return b.s;
}

struct pk_source *synthetic_open(uint32_t shape, uint32_t group, struct pk_error *e) {
    const struct synthetic_kind kind = {.type = PK_Q4_0, .group = group};
    return synthetic_make(synthetic_shapes[shape], &shapes[shape], &kind, e);
}

uint64_t synthetic_bytes(uint32_t shape) {
    const struct synthetic_shape *s = &shapes[shape];
    const struct pk_ffn *f = &s->ffn;
    uint64_t weights = (uint64_t)s->vocab * s->hidden * (s->tied ? 1 : 2);
    for (uint32_t l = 0; l < s->layers; l++) {
        bool dense = !f->routed || (f->dense && f->dense[l]);
        weights += (uint64_t)s->hidden * s->head_dim * 2 * (s->heads + s->kv_heads);
        uint64_t whole = f->routed - f->constants - f->copies - f->zeros;
        weights += 3ull * s->hidden * (dense ? f->dense_width : whole * f->width + f->shared_width);
    }
    return weights / PK_BLOCK * pk_type_bytes(PK_Q4_0);
}
