/* SPDX-License-Identifier: Apache-2.0
 *
 * A GGUF file as a source: its metadata to a model, its tensors to canonical ones. What sets the architectures apart
 * stands in pack/families.c. */
#define _POSIX_C_SOURCE 200809L // strndup
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/families.h"
#include "pack/gguf.h"
#include "pack/gguf_names.h"
#include "pack/gguf_split.h"
#include "pack/source_build.h"

struct reader {
    const struct pk_gguf *g; // metadata: of the first part
    const struct pk_gguf_parts *parts;
    const struct pk_family *family;
    const char *path;
    struct pk_error *e;
};

static const struct pk_gguf_key *find(const struct reader *r, const char *key, char full[static 96]) {
    snprintf(full, 96, "%s.%s", r->family->gguf.arch, key);
    return pk_gguf_find(r->g, full);
}

/* <arch>.<key> as an integer in [min, max]; `fallback` when it is absent, NULL: it must be there. */
static bool read_u32(const struct reader *r, const char *key, uint32_t min, uint32_t max, const uint32_t *fallback,
                     uint32_t *out) {
    char full[96];
    const struct pk_gguf_key *k = find(r, key, full);
    if (!k && fallback) {
        *out = *fallback;
        return true;
    }
    int64_t value;
    if (!k || k->type == PK_GGUF_ARRAY || !pk_gguf_integer(k, 0, &value)) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\" is %s; expected an integer", r->path, full,
                       k ? "of another type" : "missing");
    }
    if (value < min || value > max) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\" is %lld; expected %u to %u", r->path, full,
                       (long long)value, min, max);
    }
    *out = (uint32_t)value;
    return true;
}

static bool read_float(const struct reader *r, const char *key, double min, double max, const float *fallback,
                       float *out) {
    char full[96];
    const struct pk_gguf_key *k = find(r, key, full);
    if (!k && fallback) {
        *out = *fallback;
        return true;
    }
    double value;
    if (!k || k->type == PK_GGUF_ARRAY || !pk_gguf_number(k, 0, &value) || !(value >= min && value <= max)) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\" is %s; expected a number from %g to %g", r->path, full,
                       k ? "something else" : "missing", min, max);
    }
    *out = (float)value;
    return true;
}

static bool read_architecture(struct reader *r, struct mx_model *m) {
    struct pk_text arch = pk_gguf_string(r->g, "general.architecture");
    const struct pk_gguf_key *count = pk_gguf_find(r->g, "llama.expert_count");
    int64_t experts = 0;
    bool has_experts = count && pk_gguf_integer(count, 0, &experts) && experts > 0;
    r->family = arch.bytes ? pk_family_of_gguf(arch.bytes, arch.length, has_experts) : NULL;
    if (!r->family) {
        pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: general.architecture \"%.*s\" cannot be packed (%s can)", r->path,
                (int)(arch.length < 64 ? arch.length : 64), arch.bytes ? arch.bytes : "", pk_family_archs);
        return false;
    }
    snprintf(m->architecture, sizeof(m->architecture), "%s", r->family->type);
    return true;
}

/* Keys under the architecture that change the arithmetic. 0 and false are harmless; for factors so is 1. */
static bool refuse_unbuilt(const struct reader *r) {
    static const char *const keys[] = {
        "attention.sliding_window",  "attention.clamp_kqv",   "attention.max_alibi_bias",
        "attention.scale",           "logit_scale",           "residual_scale",
        "embedding_scale",           "use_parallel_residual", "expert_weights_scale",
        "expert_gating_func",        "rope.scale_linear",     "rope.scaling.factor",
        "rope.scaling.attn_factor",  "expert_group_count",    "expert_group_used_count",
        "interleave_moe_layer_step",
    };
    char full[96];
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct pk_gguf_key *k = find(r, keys[i], full);
        double value;
        bool factor = strncmp(keys[i], "rope.", 5) == 0 || strncmp(keys[i], "expert_", 7) == 0; // gating 1: softmax
        if (k && (!pk_gguf_number(k, 0, &value) || (value != 0 && !(factor && value == 1)))) {
            return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\" asks for something that is not supported", r->path,
                           full);
        }
    }
    const struct pk_gguf_key *scaling = find(r, "rope.scaling.type", full);
    struct pk_text type = pk_gguf_string(r->g, full);
    if (scaling && !pk_text_equals(type, "none")) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\": RoPE scaling \"%.*s\" is not supported", r->path, full,
                       (int)(type.length < 64 ? type.length : 64), type.bytes ? type.bytes : "");
    }
    const struct pk_gguf_key *causal = find(r, "attention.causal", full);
    int64_t is_causal;
    if (causal && (!pk_gguf_integer(causal, 0, &is_causal) || !is_causal)) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\": only causal attention is supported", r->path, full);
    }
    return true;
}

static bool read_attention(const struct reader *r, struct mx_model *m) {
    static const float theta = 1e4f;
    uint32_t rotated = 0, value_length = 0;
    if (!read_u32(r, "attention.head_count", 1, MX_HEADS_MAX, NULL, &m->heads) ||
        !read_u32(r, "attention.head_count_kv", 1, MX_HEADS_MAX, &m->heads, &m->kv_heads)) {
        return false;
    }
    uint32_t head_dim = m->hidden / m->heads;
    char full[96];
    if (!find(r, "attention.key_length", full) && m->hidden % m->heads) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: %u is not a multiple of %u heads, and key \"%s\" is missing",
                       r->path, m->hidden, m->heads, full);
    }
    if (!read_u32(r, "attention.key_length", 2, MX_HEAD_DIM_MAX, &head_dim, &m->head_dim) ||
        !read_u32(r, "attention.value_length", 2, MX_HEAD_DIM_MAX, &m->head_dim, &value_length) ||
        !read_u32(r, "rope.dimension_count", 2, MX_HEAD_DIM_MAX, &m->head_dim, &rotated) ||
        !read_float(r, "rope.freq_base", 1, 1e15, &theta, &m->rope_theta)) {
        return false;
    }
    if (value_length != m->head_dim || rotated != m->head_dim) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL,
                       "%s: head dimension %u, of values %u, rotated %u: only equal numbers are supported", r->path,
                       m->head_dim, value_length, rotated);
    }
    return true;
}

/* An absent width is, as in llama.cpp, feed_forward_length where the family has no other; else of an expert that over
 * the experts used, of a shared expert all of it. */
static bool read_widths(const struct reader *r, struct pk_ffn *ffn) {
    static const uint32_t none = 0;
    const struct pk_family *f = r->family;
    const uint32_t all = ffn->dense_width;
    const uint32_t part = strcmp(f->width, "intermediate_size") == 0 ? all : all / ffn->top_k;
    uint32_t parts = 0;
    if (!read_u32(r, "expert_feed_forward_length", 1, MX_WIDTH_MAX, part ? &part : NULL, &ffn->width)) {
        return false;
    }
    if (f->shared_width) {
        return read_u32(r, "expert_shared_feed_forward_length", 1, MX_WIDTH_MAX, all ? &all : NULL, &ffn->shared_width);
    }
    if (!read_u32(r, "expert_shared_count", 0, f->shared_parts ? MX_SHARED_MAX : 0, &none, &parts)) {
        return false;
    }
    ffn->shared_width = parts * ffn->width;
    return true;
}

static bool read_experts(const struct reader *r, struct pk_ffn *ffn) {
    char full[96];
    const struct pk_gguf_key *norm = find(r, "expert_weights_norm", full);
    int64_t normed = r->family->gguf.norm_topk;
    if (norm && !pk_gguf_integer(norm, 0, &normed)) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\" is no bool", r->path, full);
    }
    ffn->norm_topk = normed != 0 || r->family->norm == PK_NORM_ALWAYS;
    ffn->shared_gate = r->family->shared_gate;
    return read_u32(r, "expert_count", 1, MX_ROUTED_MAX, NULL, &ffn->routed) &&
           read_u32(r, "expert_used_count", 1, MX_TOP_K_MAX, NULL, &ffn->top_k) && read_widths(r, ffn);
}

/* `dense`: [layers], zeros. */
static bool read_ffn(const struct reader *r, uint32_t layers, struct pk_ffn *ffn, uint8_t *dense) {
    static const uint32_t none = 0;
    const bool moe = r->family->routed != NULL, first = r->family->dense == PK_DENSE_FIRST;
    uint32_t leading = 0;
    if (!read_u32(r, "feed_forward_length", moe ? 0 : 1, MX_WIDTH_MAX, moe ? &none : NULL, &ffn->dense_width) ||
        !read_u32(r, "leading_dense_block_count", 0, first ? layers : 0, &none, &leading)) {
        return false;
    }
    if (!moe) {
        return read_u32(r, "expert_count", 0, 0, &none, &ffn->routed);
    }
    memset(dense, 1, leading);
    ffn->dense = dense;
    return read_experts(r, ffn);
}

/* MX_NONE when the key is absent. */
static bool read_token(const struct reader *r, const struct mx_model *m, const char *name, uint32_t *out) {
    const struct pk_gguf_key *key = pk_gguf_find(r->g, name);
    int64_t id = 0;
    if (key && (!pk_gguf_integer(key, 0, &id) || id < 0 || id >= m->vocab)) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: key \"%s\" is not a token id", r->path, name);
    }
    *out = key ? (uint32_t)id : MX_NONE;
    return true;
}

/* What the vocabulary knows beyond these, pk_tokenizer_from_source adds. */
static bool read_tokens(const struct reader *r, struct mx_model *m) {
    static const char eos_key[] = "tokenizer.ggml.eos_token_id";
    uint32_t eos = MX_NONE;
    return read_token(r, m, "tokenizer.ggml.bos_token_id", &m->bos) && read_token(r, m, eos_key, &eos) &&
           (eos == MX_NONE || pk_model_add_eos(m, eos, r->path, eos_key, r->e));
}

/* The vocabulary is as large as the embedding: {hidden, vocab}. */
static bool read_vocab(const struct reader *r, struct mx_model *m) {
    for (size_t p = 0; p < r->parts->n; p++) {
        const struct pk_gguf *g = &r->parts->part[p];
        for (size_t i = 0; i < g->n_tensors; i++) {
            const struct pk_gguf_tensor *t = &g->tensors[i];
            if (pk_text_equals(t->name, "token_embd.weight") && t->n_dims == 2 && t->dims[1] <= MX_VOCAB_MAX) {
                m->vocab = (uint32_t)t->dims[1];
                return true;
            }
        }
    }
    return pk_fail(r->e, MOXIE_ERROR_MODEL,
                   "%s: tensor \"token_embd.weight\" with 2 dims and at most %u rows is missing", r->path,
                   MX_VOCAB_MAX);
}

static bool read_model(const struct reader *r, struct pk_source *s) {
    struct mx_model *m = &s->model;
    struct pk_ffn ffn = {0};
    uint8_t dense[MX_LAYERS_MAX] = {0};
    return refuse_unbuilt(r) && read_u32(r, "embedding_length", 1, MX_HIDDEN_MAX, NULL, &m->hidden) &&
           read_u32(r, "block_count", 1, MX_LAYERS_MAX, NULL, &m->layers) &&
           read_u32(r, "context_length", 1, INT32_MAX, NULL, &m->max_positions) &&
           read_float(r, "attention.layer_norm_rms_epsilon", 1e-12, 1, NULL, &m->rms_eps) && read_vocab(r, m) &&
           read_attention(r, m) && read_ffn(r, m->layers, &ffn, dense) && read_tokens(r, m) &&
           pk_model_finish(s, &ffn, r->path, r->e);
}

static bool add_tensor(struct pk_source *s, const struct pk_family *family, const struct pk_gguf_tensor *t,
                       uint32_t file, struct pk_error *e) {
    struct pk_tensor whole = {.type = t->type, .type_name = pk_type_name(t->type), .file = file, .offset = t->offset};
    char name[128];
    const char *suffix;
    enum pk_gguf_kind kind = pk_gguf_map_name(t->name.bytes, t->name.length, name, sizeof(name), &suffix);
    for (uint32_t i = 0; i < t->n_dims; i++) {
        whole.dims[i] = t->dims[t->n_dims - 1 - i];
    }
    if (kind == PK_GGUF_STACK) {
        if (t->n_dims != 3) {
            return pk_fail(e, MOXIE_ERROR_MODEL, "%s: tensor \"%.*s\" has %u dims; expected 3", s->files[file].path,
                           (int)t->name.length, t->name.bytes, t->n_dims);
        }
        whole.name = name;
        whole.row_bytes = t->dims[0] / pk_type_elements(t->type) * pk_type_bytes(t->type);
        return pk_source_add_stack(s, name, suffix, &whole, 0, whole.dims[1], e);
    }
    struct pk_tensor *added =
        pk_source_add(s, name, t->type, whole.type_name, t->n_dims, whole.dims, file, t->offset, e);
    if (added && kind == PK_GGUF_ROTATED && family->gguf.interleaved) {
        added->head_rows = s->model.head_dim; // whole heads, or pk_source_check finds the wrong number of rows
    }
    return added != NULL;
}

static char *copy_text(struct pk_text text) {
    return text.bytes && !memchr(text.bytes, 0, text.length) ? strndup(text.bytes, text.length) : NULL;
}

static void read_texts(struct pk_source *s, const struct pk_gguf *g) {
    s->chat_template = copy_text(pk_gguf_string(g, "tokenizer.chat_template"));
    s->license = copy_text(pk_gguf_string(g, "general.license"));
    char *name = copy_text(pk_gguf_string(g, "general.name"));
    const char *slash = strrchr(s->path, '/');
    pk_model_set_id(&s->model, name && *name ? name : slash ? slash + 1 : s->path);
    free(name);
}

static bool import_parts(struct pk_source *s, const struct pk_gguf_parts *parts, struct pk_error *e) {
    struct reader r = {.g = &parts->part[0], .parts = parts, .path = s->files[0].path, .e = e};
    if (!read_architecture(&r, &s->model) || !read_model(&r, s)) {
        return false;
    }
    read_texts(s, r.g);
    for (size_t p = 0; p < parts->n; p++) {
        for (size_t i = 0; i < parts->part[p].n_tensors; i++) {
            if (!add_tensor(s, r.family, &parts->part[p].tensors[i], (uint32_t)p, e)) {
                return false;
            }
        }
    }
    // What the metadata does not say, the tensors do.
    s->qkv_bias = r.family->qkv_bias;
    s->model.tied = !r.family->gguf.head;
    for (size_t i = 0; i < s->n_tensors; i++) {
        s->model.tied &= strcmp(s->tensors[i].name, "lm_head.weight") != 0;
    }
    return true;
}

bool pk_source_import_gguf(struct pk_source *s, const char *name, struct pk_error *e) {
    struct pk_gguf_parts parts;
    bool ok = pk_gguf_read_parts(s, name, &parts, e) && import_parts(s, &parts, e);
    s->gguf = ok ? malloc(sizeof(*s->gguf)) : NULL;
    if (s->gguf) { // the vocabulary lies in the first part's header
        *s->gguf = parts.part[0];
        parts.part[0] = (struct pk_gguf){0};
    } else if (ok) {
        ok = pk_fail_memory(e) != NULL;
    }
    pk_gguf_free_parts(&parts);
    return ok;
}
