/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a checkpoint hold the tensors that its configuration asks for, and nothing else that matters? */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/families.h"
#include "pack/source_build.h"

struct checker {
    struct pk_source *s;
    bool *expected; // [n_tensors]
    struct pk_error *e;
};

/* "48 x 96" */
static const char *shape_text(const struct pk_tensor *t, char text[static 192]) {
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < t->n_dims; i++) {
        n += (size_t)snprintf(text + n, 192 - n, "%s%llu", i ? " x " : "", (unsigned long long)t->dims[i]);
    }
    return t->n_dims ? text : "scalar";
}

/* The tensor must be there as [rows][cols]; a vector is one row. */
static bool expect(struct checker *c, uint64_t rows, uint64_t cols, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool expect(struct checker *c, uint64_t rows, uint64_t cols, const char *format, ...) {
    char name[128], shape[192];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    struct pk_tensor *t = pk_source_find(c->s, name);
    if (!t) {
        return pk_fail(c->e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\" (%llu x %llu) is missing", c->s->path, name,
                       (unsigned long long)rows, (unsigned long long)cols);
    }
    if (t->rows != rows || t->cols != cols) {
        return pk_fail(
            c->e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\": the configuration asks for %llu x %llu, the file has %s",
            c->s->files[t->file].path, name, (unsigned long long)rows, (unsigned long long)cols, shape_text(t, shape));
    }
    if (t->type == PK_OTHER) {
        return pk_fail(c->e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\" has type %s, which cannot be packed", c->s->path,
                       name, t->type_name);
    }
    c->expected[t - c->s->tensors] = true;
    return true;
}

static bool expect_attention(struct checker *c, uint32_t l) {
    const struct mx_model *m = &c->s->model;
    uint64_t q = (uint64_t)m->heads * m->head_dim, kv = (uint64_t)m->kv_heads * m->head_dim, h = m->hidden;
    bool bias = c->s->qkv_bias;
    enum pk_qk_norm norm = pk_family_find(m->architecture)->qk_norm;
    return expect(c, 1, h, "model.layers.%u.input_layernorm.weight", l) &&
           expect(c, 1, h, "model.layers.%u.post_attention_layernorm.weight", l) &&
           expect(c, q, h, "model.layers.%u.self_attn.q_proj.weight", l) &&
           expect(c, kv, h, "model.layers.%u.self_attn.k_proj.weight", l) &&
           expect(c, kv, h, "model.layers.%u.self_attn.v_proj.weight", l) &&
           expect(c, h, q, "model.layers.%u.self_attn.o_proj.weight", l) &&
           (!norm ||
            (expect(c, 1, norm == PK_QK_NORM_HEAD ? m->head_dim : q, "model.layers.%u.self_attn.q_norm.weight", l) &&
             expect(c, 1, norm == PK_QK_NORM_HEAD ? m->head_dim : kv, "model.layers.%u.self_attn.k_norm.weight", l))) &&
           (!bias || (expect(c, 1, q, "model.layers.%u.self_attn.q_proj.bias", l) &&
                      expect(c, 1, kv, "model.layers.%u.self_attn.k_proj.bias", l) &&
                      expect(c, 1, kv, "model.layers.%u.self_attn.v_proj.bias", l)));
}

/* The three matrices of an FFN whose names begin with `prefix`. */
static bool expect_mlp(struct checker *c, uint64_t width, const char *prefix) {
    uint64_t h = c->s->model.hidden;
    return expect(c, width, h, "%s.gate_proj.weight", prefix) && expect(c, width, h, "%s.up_proj.weight", prefix) &&
           expect(c, h, width, "%s.down_proj.weight", prefix);
}

/* The router, and what constant experts have. */
static bool expect_router(struct checker *c, uint32_t l) {
    const struct mx_layer *layer = &c->s->layers[l];
    const uint64_t h = c->s->model.hidden, wide = c->s->router_width, whole = layer->routed - mx_layer_light(layer);
    bool ok = expect(c, wide ? wide : layer->routed, h, "model.layers.%u.mlp.gate.weight", l) &&
              (!wide || expect(c, layer->routed, wide, "model.layers.%u.mlp.gate_out.weight", l)) &&
              // MoE++ has one in every layer, also where no logits come in
              (!pk_family_find(c->s->model.architecture)->plus ||
               expect(c, layer->routed, layer->routed, "model.layers.%u.mlp.gate_map.weight", l));
    for (uint64_t j = whole; ok && j < whole + layer->constants; j++) {
        ok = expect(c, 1, h, "model.layers.%u.mlp.experts.%u.constant", l, (unsigned)j) &&
             expect(c, 2, h, "model.layers.%u.mlp.experts.%u.wg.weight", l, (unsigned)j);
    }
    return ok;
}

static bool expect_ffn(struct checker *c, uint32_t l) {
    const struct mx_layer *layer = &c->s->layers[l];
    uint64_t h = c->s->model.hidden;
    char prefix[96];
    snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp", l);
    if (!layer->routed) {
        return expect_mlp(c, layer->width, prefix);
    }
    const uint32_t whole = layer->routed - mx_layer_light(layer); // experts with matrices
    if (!expect_router(c, l)) {
        return false;
    }
    for (uint32_t j = 0; j < whole; j++) {
        snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.experts.%u", l, j);
        if (!expect_mlp(c, layer->width, prefix)) {
            return false;
        }
    }
    snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.shared_expert", l);
    return (!layer->shared || expect_mlp(c, c->s->shared_width, prefix)) &&
           (!(layer->flags & MX_LAYER_SHARED_GATE) ||
            expect(c, 1, h, "model.layers.%u.mlp.shared_expert_gate.weight", l));
}

static bool expect_all(struct checker *c) {
    const struct mx_model *m = &c->s->model;
    if (!expect(c, m->vocab, m->hidden, "model.embed_tokens.weight") || !expect(c, 1, m->hidden, "model.norm.weight") ||
        (!m->tied && !expect(c, m->vocab, m->hidden, "lm_head.weight"))) {
        return false;
    }
    for (uint32_t l = 0; l < m->layers; l++) {
        if (!expect_attention(c, l) || !expect_ffn(c, l)) {
            return false;
        }
    }
    return true;
}

/* ---- Tensors that nobody asked for ---- */

/* Is every value of the vector 0? Tools of quantisation put such biases beside every matrix. */
static bool is_zero(struct checker *c, const struct pk_tensor *t, bool *zero) {
    uint8_t *raw = malloc(t->row_bytes + 1);
    float *values = malloc((t->cols + 1) * sizeof(float));
    bool ok = false;
    *zero = false;
    if (!raw || !values) {
        pk_fail_memory(c->e);
    } else if (t->type == PK_OTHER || t->rows != 1) {
        ok = true;
    } else if (pk_source_read_rows(c->s, t, 0, 1, raw, c->e)) {
        pk_row_to_f32(t->type, raw, t->cols, values);
        ok = *zero = true;
        for (uint64_t i = 0; *zero && i < t->cols; i++) {
            *zero = values[i] == 0;
        }
    }
    free(values);
    free(raw);
    return ok;
}

/* A bias of a matrix that is used; a head that is the embedding has another name. */
static bool is_bias(const struct checker *c, const char *name) {
    char weight[300];
    if (c->s->model.tied && strcmp(name, "lm_head.bias") == 0) {
        return true;
    }
    if (!pk_ends_with(name, ".bias") || snprintf(weight, sizeof(weight), "%.*s.weight",
                                                 (int)(strlen(name) - strlen(".bias")), name) >= (int)sizeof(weight)) {
        return false;
    }
    const struct pk_tensor *t = pk_source_find(c->s, weight);
    return t && c->expected[t - c->s->tensors];
}

/* A head of its own beside an embedding that is said to be the head: which of the two is meant differs from program to
 * program, unless they are the same. */
static bool check_tied_head(struct checker *c, const struct pk_tensor *head) {
    const struct pk_tensor *embedding = pk_source_find(c->s, "model.embed_tokens.weight");
    const bool alike = head->rows == embedding->rows && head->cols == embedding->cols && head->type != PK_OTHER;
    const uint64_t bytes = head->row_bytes > embedding->row_bytes ? head->row_bytes : embedding->row_bytes;
    uint8_t *raw = malloc(bytes + 1);
    float *values = malloc((2 * head->cols + 1) * sizeof(float));
    bool read = raw && values, same = alike;
    if (!read) {
        pk_fail_memory(c->e);
    }
    for (uint64_t row = 0; read && same && row < head->rows; row++) {
        const struct pk_tensor *const both[] = {head, embedding};
        for (size_t i = 0; read && i < 2; i++) {
            read = pk_source_read_rows(c->s, both[i], row, 1, raw, c->e);
            if (read) {
                pk_row_to_f32(both[i]->type, raw, head->cols, values + i * head->cols);
            }
        }
        same = read && memcmp(values, values + head->cols, head->cols * sizeof(float)) == 0;
    }
    free(values);
    free(raw);
    return read &&
           (same || pk_fail(c->e, MOXIE_ERROR_MODEL,
                            "%s: tensor \"lm_head.weight\" is not the embedding, but \"tie_word_embeddings\" is "
                            "true: set that to false, or leave the tensor out",
                            c->s->files[head->file].path));
}

/* Would a model that has this tensor compute something else? More layers, another norm or projection in a layer, other
 * rotary angles. */
static bool changes_result(const struct checker *c, const char *name) {
    unsigned layer;
    return strcmp(name, "rope_freqs.weight") == 0 ||
           (sscanf(name, "model.layers.%u.", &layer) == 1 &&
            (layer >= c->s->model.layers || strstr(name, "norm") || pk_ends_with(name, "_proj.weight") ||
             strstr(name, ".mlp.gate") || pk_ends_with(name, "gate.weight") || pk_ends_with(name, ".wg.weight") ||
             pk_ends_with(name, ".constant")));
}

/* Decides about tensor `t`, which is not expected: known and harmless, a warning, or an error. */
static bool judge(struct checker *c, struct pk_tensor *t) {
    const bool bias = is_bias(c, t->name);
    bool zero = false;
    if (bias && !is_zero(c, t, &zero)) {
        return false;
    }
    if (bias ? !zero : changes_result(c, t->name)) {
        return pk_fail(c->e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\" has no place in a %s model with this configuration",
                       c->s->files[t->file].path, t->name, c->s->model.architecture);
    }
    const bool head = c->s->model.tied && strcmp(t->name, "lm_head.weight") == 0;
    t->surplus = !zero && !head && !pk_ends_with(t->name, ".rotary_emb.inv_freq"); // made from rope_theta by everyone
    return !head || check_tied_head(c, t);
}

bool pk_source_check(struct pk_source *s, struct pk_error *e) {
    struct checker c = {s, calloc(s->n_tensors + 1, sizeof(bool)), e};
    if (!c.expected) {
        pk_fail_memory(e);
        return false;
    }
    bool ok = expect_all(&c);
    for (size_t i = 0; ok && i < s->n_tensors; i++) {
        s->tensors[i].ignored = !c.expected[i];
        ok = c.expected[i] || judge(&c, &s->tensors[i]);
    }
    free(c.expected);
    return ok;
}
