/* SPDX-License-Identifier: Apache-2.0
 *
 * From a configuration's numbers to the model and its layers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "pack/families.h"
#include "pack/source_build.h"

static bool check(const struct mx_model *m, const struct pk_ffn *ffn, const char *where, struct pk_error *e) {
    if (m->heads % m->kv_heads) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: %u query heads are not a multiple of %u key-value heads", where,
                       m->heads, m->kv_heads);
    }
    if (m->head_dim % 2 || m->head_dim > MX_HEAD_DIM_MAX) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: head dimension %u, expected an even number up to %u", where,
                       m->head_dim, MX_HEAD_DIM_MAX);
    }
    if (ffn->routed && ffn->top_k > ffn->routed) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: %u experts per token of %u experts", where, ffn->top_k, ffn->routed);
    }
    if (ffn->routed && ffn->shared_width > (uint64_t)MX_SHARED_MAX * ffn->width) {
        return pk_fail(e, MOXIE_ERROR_MODEL,
                       "%s: the shared expert's width %u is more than %u times that of an expert, %u", where,
                       ffn->shared_width, MX_SHARED_MAX, ffn->width);
    }
    if (m->bos != MX_NONE && m->bos >= m->vocab) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: the begin token %u is outside the vocabulary of %u", where, m->bos,
                       m->vocab);
    }
    return true;
}

bool pk_model_finish(struct pk_source *s, const struct pk_ffn *ffn, const char *where, struct pk_error *e) {
    struct mx_model *m = &s->model;
    if (!check(m, ffn, where, e)) {
        return false;
    }
    if (m->max_positions > MX_POSITIONS_MAX) {
        m->max_positions = MX_POSITIONS_MAX; // fewer are fine: a model runs in any context up to its own
    }
    m->inv_hidden = 1.0f / (float)m->hidden; // one rounding: hidden is below 2^24
    // Two roundings, which for every head_dim up to 256 give the float nearest to the exact value
    // (tests/test_importer_config.c).
    m->attn_scale = (float)(1.0 / sqrt((double)m->head_dim));

    s->layers = calloc(m->layers, sizeof(*s->layers));
    if (!s->layers) {
        pk_fail_memory(e);
        return false;
    }
    const struct pk_family *f = pk_family_find(m->architecture);
    m->embedding_scale = f && f->scaled ? (float)sqrt((double)m->hidden) : 0;
    bool any_sparse = false;
    for (uint32_t l = 0; l < m->layers; l++) {
        struct mx_layer *layer = &s->layers[l];
        if (!ffn->routed || (ffn->dense && ffn->dense[l])) {
            *layer =
                (struct mx_layer){.shared = 1, .width = ffn->dense_width, .flags = f && f->gelu ? MX_LAYER_GELU : 0};
            continue;
        }
        any_sparse = true;
        const bool carried = ffn->carried && l && s->layers[l - 1].routed;
        *layer = (struct mx_layer){
            .routed = ffn->routed,
            .top_k = ffn->top_k,
            .shared = ffn->shared_width / ffn->width + (ffn->shared_width % ffn->width != 0),
            .width = ffn->width,
            .flags = (ffn->norm_topk ? MX_LAYER_NORM_TOPK : 0) |
                     (ffn->shared_width && ffn->shared_gate ? MX_LAYER_SHARED_GATE : 0) |
                     (f && f->gelu ? MX_LAYER_GELU : 0) | (ffn->two_layers ? MX_LAYER_TWO_LAYERS : 0) |
                     (carried ? MX_LAYER_CARRIED : 0) | (ffn->zero_apart ? MX_LAYER_ZERO_APART : 0),
            .constants = ffn->constants,
            .copies = ffn->copies,
            .zeros = ffn->zeros,
            .deviation = ffn->deviation,
        };
    }
    s->shared_width = any_sparse ? ffn->shared_width : 0;
    return true;
}

bool pk_model_add_eos(struct mx_model *m, uint64_t id, const char *where, const char *key, struct pk_error *e) {
    for (uint32_t i = 0; i < m->eos_count; i++) {
        if (m->eos[i] == id) {
            return true;
        }
    }
    if (id >= m->vocab) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: \"%s\": end token %llu is outside the vocabulary of %u", where, key,
                       (unsigned long long)id, m->vocab);
    }
    if (m->eos_count == sizeof(m->eos) / sizeof(m->eos[0])) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: \"%s\": more than %u end tokens", where, key, m->eos_count);
    }
    m->eos[m->eos_count++] = (uint32_t)id;
    return true;
}

void pk_model_set_id(struct mx_model *m, const char *name) {
    memset(m->id, 0, sizeof(m->id));
    size_t length = strlen(name), out = 0;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)name + at, (utf8proc_ssize_t)(length - at), &c);
        bool bad = n <= 0 || utf8proc_category(c) == UTF8PROC_CATEGORY_CC;
        size_t step = n <= 0 ? 1 : (size_t)n, take = bad ? 1 : step;
        if (out + take >= sizeof(m->id)) {
            return;
        }
        memcpy(m->id + out, bad ? "_" : name + at, take);
        out += take;
        at += step;
    }
}
