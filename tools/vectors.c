/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // close
#include "tools/vectors.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pack/pack.h"
#include "tools/digest.h"
#include "tools/paths.h"
#include "tools/report.h"

/* ---- Models ---- */

static const uint8_t first_dense[3] = {1};

/* hidden, layers, heads, KV heads, head_dim, vocabulary, positions: multiples of nothing where the formats allow it. */
static const struct synthetic_shape
    qwen2_moe = {"qwen2_moe",
                 288,
                 2,
                 6,
                 2,
                 32,
                 131,
                 256,
                 1e6f,
                 1e-6f,
                 .ffn = {.routed = 6, .top_k = 2, .width = 64, .shared_width = 160, .shared_gate = true}},
    qwen2 = {"qwen2", 96, 2, 3, 3, 32, 67, 256, 1e6f, 1e-6f, .ffn = {.dense_width = 160}},
    llama = {"llama", 160, 2, 5, 1, 32, 101, 256, 1e4f, 1e-5f, .tied = true, .ffn = {.dense_width = 288}},
    mistral = {"mistral", 256, 2, 4, 2, 64, 83, 256, 1e4f, 1e-5f, .ffn = {.dense_width = 256}},
    mixtral = {"mixtral",
               160,
               2,
               4,
               2,
               48,
               67,
               256,
               1e6f,
               1e-5f,
               .ffn = {.routed = 4, .top_k = 2, .width = 96, .norm_topk = true}},
    deepseek =
        {"deepseek",
         128,
         3,
         4,
         4,
         32,
         97,
         256,
         1e4f,
         1e-6f,
         .ffn = {.dense_width = 224, .routed = 8, .top_k = 3, .width = 64, .shared_width = 128, .dense = first_dense}},
    qwen3_moe = {"qwen3_moe",
                 96,
                 2,
                 4,
                 1,
                 48,
                 67,
                 256,
                 1e6f,
                 1e-6f,
                 .ffn = {.routed = 8, .top_k = 4, .width = 32, .norm_topk = true}},
    olmoe = {"olmoe", 128, 2, 4, 4, 32, 67, 256, 1e4f, 1e-5f, .ffn = {.routed = 8, .top_k = 2, .width = 64}},
    gemma = {"gemma", 96, 2, 2, 1, 96, 67, 256, 1e4f, 1e-6f, .tied = true, .ffn = {.dense_width = 160}},
    moepp = {"MoE++", 96, 3, 1, 1, 96, 67, 256, 1e4f, 1e-6f, .ffn = SYNTHETIC_MOEPP(12, 64)};

#define FLOAT(t)                                                                                                       \
    { .type = (t), .wide = true }
#define GROUPS(t, n)                                                                                                   \
    { .type = (t), .group = (n), .wide = true }

#define KV8(t, n)                                                                                                      \
    { .type = (t), .group = (n), .kv_type = MX_KV_I8, .wide = true }

/* Each architecture with a float format, Int4 and others; each format and group size with some architecture, and keys
 * and values of int8 with the one whose heads are neither short nor whole vectors of 64. */
const struct vector_model vector_models[] = {
    {"qwen2_moe-F32", &qwen2_moe, FLOAT(PK_F32), false},
    {"qwen2_moe-I4-32", &qwen2_moe, GROUPS(PK_Q4_0, 32), false},
    {"qwen2_moe-I4Z-128", &qwen2_moe, GROUPS(PK_Q4_Z, 128), false},
    {"qwen2-F16", &qwen2, FLOAT(PK_F16), false},
    {"qwen2-I4-64", &qwen2, GROUPS(PK_Q4_0, 64), false},
    {"qwen2-I8-32", &qwen2, GROUPS(PK_Q8_0, 32), true},
    {"llama-BF16", &llama, FLOAT(PK_BF16), false},
    {"llama-I4-128", &llama, GROUPS(PK_Q4_0, 128), false},
    {"llama-I4M-32", &llama, GROUPS(PK_Q4_1, 32), false},
    {"mistral-F16", &mistral, FLOAT(PK_F16), false},
    {"mistral-I4-32", &mistral, GROUPS(PK_Q4_0, 32), false},
    {"mistral-I4M-32-F32", &mistral, GROUPS(PK_Q4_K, 32), false},
    {"mixtral-F32", &mixtral, FLOAT(PK_F32), false},
    {"mixtral-I4-64", &mixtral, GROUPS(PK_Q4_0, 64), false},
    {"mixtral-I8-128", &mixtral, GROUPS(PK_Q8_0, 128), false},
    {"deepseek-BF16", &deepseek, FLOAT(PK_BF16), false},
    {"deepseek-I4Z-32", &deepseek, GROUPS(PK_Q4_Z, 32), false},
    {"deepseek-I4M-64", &deepseek, GROUPS(PK_Q4_1, 64), false},
    {"qwen3_moe-F32", &qwen3_moe, FLOAT(PK_F32), false},
    {"qwen3_moe-I4-32", &qwen3_moe, GROUPS(PK_Q4_0, 32), true},
    {"qwen3_moe-I8-64", &qwen3_moe, GROUPS(PK_Q8_0, 64), false},
    {"olmoe-F16", &olmoe, FLOAT(PK_F16), true},
    {"olmoe-I4Z-64", &olmoe, GROUPS(PK_Q4_Z, 64), false},
    {"olmoe-I4M-128", &olmoe, GROUPS(PK_Q4_1, 128), false},
    {"gemma-F32", &gemma, FLOAT(PK_F32), false},
    {"gemma-I4-32", &gemma, GROUPS(PK_Q4_0, 32), false},
    {"gemma-I4-32-KV8", &gemma, KV8(PK_Q4_0, 32), true},
    {"moe++-BF16", &moepp, FLOAT(PK_BF16), false},
    {"moe++-I4-32", &moepp, GROUPS(PK_Q4_0, 32), false},
    {.name = NULL},
};

/* ---- What they are fed ---- */

const struct vector_way vector_ways[] = {
    {1, 1, false}, {1, 7, false}, {1, 32, false}, {1, 0, true},   {2, 1, false}, {2, 7, true},  {2, 32, false},
    {2, 0, false}, {5, 1, false}, {5, 7, false},  {5, 32, false}, {5, 0, false}, {0, 0, false},
};
const uint32_t vector_prompts[VECTOR_PROMPTS] = {33, VECTOR_TOKENS}, vector_small_prompts[VECTOR_SMALL_PROMPTS] = {70};

int32_t vector_token(uint32_t vocab, uint32_t sequence, uint32_t position) {
    uint32_t h = (sequence * 0x9e3779b9u + position + 1) * 0x85ebca6bu;
    h = (h ^ h >> 15) * 0xc2b2ae35u;
    return (int32_t)((h ^ h >> 16) % vocab);
}

const char *vector_expected(const char *model, uint32_t tokens) {
    for (const struct vector_digest *d = vector_table; d->model; d++) {
        if (d->tokens == tokens && strcmp(d->model, model) == 0) {
            return d->sha256;
        }
    }
    return NULL;
}

bool vector_chosen(const struct vector_model *model, bool small, const char *named) {
    return named ? strcmp(named, model->name) == 0 : model->small || !small;
}

void vector_fingerprint(bool small, const char *named, char hex[65]) {
    const uint32_t *prompts = small ? vector_small_prompts : vector_prompts;
    struct digest d;
    digest_begin(&d);
    for (const struct vector_model *m = vector_models; m->name; m++) {
        for (uint32_t i = 0; i < (small ? VECTOR_SMALL_PROMPTS : VECTOR_PROMPTS); i++) {
            const char *expected = vector_expected(m->name, prompts[i]);
            for (const struct vector_way *way = vector_ways; way->batch; way++) {
                if (expected && vector_chosen(m, small, named) && (way->small || !small)) {
                    digest_add(&d, expected, 64);
                }
            }
        }
    }
    digest_end(&d, hex);
}

/* ---- Bundles ---- */

/* Everybody's key, that of RFC 6979, A.2.5: with it everybody makes the same bytes. Nobody else trusts it. */
static const struct pk_key key = {
    {0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
     0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21},
    {0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68,
     0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6,
     0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64,
     0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99}};

static int pack(const struct vector_model *model, const char *path) {
    struct pk_error e = {0};
    struct pk_summary summary;
    struct pk_source *source = synthetic_make(model->name, model->shape, &model->kind, &e);
    struct pk_pack_options options = {
        .output = path, .key = &key, .weights = PK_WEIGHTS_KEEP, .kv_type = model->kind.kv_type};
    bool ok = source && pk_pack_source(source, &options, NULL, NULL, &summary, &e);
    pk_source_close(source);
    return ok ? STATUS_OK : report_error(e.code, "%s: %s", model->name, e.text);
}

int vector_open(struct engine *engine, const struct vector_model *model, const char *keep, char sha256[65]) {
    char path[PATH_BYTES];
    *engine = (struct engine){0};
    const int scratch = keep ? -1 : path_scratch(path, "conform", 1u << 24);
    if (!keep && scratch < 0) {
        return report_tool("there is no cache folder: %s", strerror(errno));
    }
    const char *at = keep ? keep : path;
    int status = pack(model, at);
    if (status == STATUS_OK && !digest_file(at, sha256)) {
        status = report_tool("%s: %s", at, strerror(errno));
    }
    if (status == STATUS_OK) {
        status = engine_open_signed(engine, at, key.xy);
    }
    if (!keep) {
        close(scratch); // the mapping keeps the bytes
    }
    return status;
}
