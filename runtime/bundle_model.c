/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of the model: each in its range, before anything is computed from it. */
#include "runtime/bundle_check.h"
#include "runtime/tokenizer_utf8.h"

static bool in_range(uint64_t value, uint64_t low, uint64_t high) {
    return value >= low && value <= high;
}

/* false for NaN */
static bool between(float value, float low, float high) {
    return value >= low && value <= high;
}

static bool zero_or_between(float value, float low, float high) {
    return value == 0 || between(value, low, high);
}

/* A name of 1 .. size - 1 bytes of UTF-8 without control characters, then zeros. */
static bool is_name(const char *name, size_t size) {
    size_t n = 0;
    while (n < size && name[n]) {
        if ((unsigned char)name[n] < 0x20 || name[n] == 0x7f) {
            return false;
        }
        n++;
    }
    return n > 0 && n < size && mx_all_zero(name + n, size - n) && mx_utf8_valid((const uint8_t *)name, n) == n;
}

static enum moxie_error refuse(const struct mx_bundle *b, const void *at, const char *what, uint64_t value,
                               struct moxie_failure *f) {
    return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, at), "the model's %s (%llu) is out of range", what,
                   (unsigned long long)value);
}

static enum moxie_error check_shape(const struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_model *m = &b->manifest->model;
    const struct {
        const uint32_t *at;
        uint32_t low, high;
        const char *name;
    } ranges[] = {
        {&m->hidden, 1, MX_HIDDEN_MAX, "hidden size"},
        {&m->layers, 1, MX_LAYERS_MAX, "number of layers"},
        {&m->heads, 1, MX_HEADS_MAX, "number of heads"},
        {&m->kv_heads, 1, m->heads, "number of key-value heads"},
        {&m->head_dim, 2, MX_HEAD_DIM_MAX, "head dimension"},
        {&m->vocab, 1, MX_VOCAB_MAX, "vocabulary"},
        {&m->max_positions, 1, MX_POSITIONS_MAX, "number of positions"},
        {&m->kv_type, MX_KV_F16, MX_KV_I8, "type of keys and values"},
        {&m->tied, 0, 1, "flag of a tied head"},
        {&m->chat_template, 0, MX_CHAT_LAST, "chat template"},
        {&m->eos_count, 0, sizeof m->eos / sizeof m->eos[0], "number of end tokens"},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (!in_range(*ranges[i].at, ranges[i].low, ranges[i].high)) {
            return refuse(b, ranges[i].at, ranges[i].name, *ranges[i].at, f);
        }
    }
    if (m->heads % m->kv_heads) {
        return refuse(b, &m->kv_heads, "number of key-value heads", m->kv_heads, f);
    }
    if (m->head_dim % 2) {
        return refuse(b, &m->head_dim, "head dimension", m->head_dim, f);
    }
    if (b->manifest->layers != m->layers) {
        return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, &b->manifest->layers), "%u layers in a table of %u",
                       m->layers, b->manifest->layers);
    }
    return MOXIE_OK;
}

static enum moxie_error check_tokens(const struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_model *m = &b->manifest->model;
    if (m->bos != MX_NONE && m->bos >= m->vocab) {
        return refuse(b, &m->bos, "begin token", m->bos, f);
    }
    for (uint32_t i = 0; i < sizeof m->eos / sizeof m->eos[0]; i++) {
        if (i < m->eos_count ? m->eos[i] >= m->vocab : m->eos[i] != 0) {
            return refuse(b, &m->eos[i], "end token", m->eos[i], f);
        }
    }
    return MOXIE_OK;
}

/* Real numbers: kernels divide by some of them and multiply by all. */
static enum moxie_error check_numbers(const struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_model *m = &b->manifest->model;
    const struct mx_generation *g = &m->generation;
    const double square = (double)m->attn_scale * m->attn_scale * m->head_dim; /* 1, but for one rounding */
    const struct {
        const void *at;
        bool right;
        const char *name;
    } facts[] = {
        {&m->rms_eps, between(m->rms_eps, 0x1p-40f, 1), "epsilon of the norms"},
        {&m->inv_hidden, m->inv_hidden == 1.0f / (float)m->hidden, "1 / hidden"},
        {&m->embedding_scale, zero_or_between(m->embedding_scale, 0x1p-10f, 0x1p10f), "factor of the embedding"},
        {&m->attn_scale, m->attn_scale > 0 && square > 1 - 0x1p-22 && square < 1 + 0x1p-22, "1 / sqrt(head_dim)"},
        {&m->rope_theta, between(m->rope_theta, 1, 0x1p100f), "base of RoPE"},
        {&g->do_sample, g->do_sample <= 1, "do_sample"},
        {&g->temperature, zero_or_between(g->temperature, 0x1p-10f, 0x1p10f), "temperature"},
        {&g->top_p, between(g->top_p, 0, 1), "top_p"},
        {&g->min_p, between(g->min_p, 0, 1), "min_p"},
        {&g->repetition_penalty, zero_or_between(g->repetition_penalty, 0x1p-10f, 0x1p10f), "repetition penalty"},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (!facts[i].right) {
            return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, facts[i].at),
                           "the model's %s is not a number in its range", facts[i].name);
        }
    }
    return MOXIE_OK;
}

enum moxie_error mx_check_model(const struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_model *m = &b->manifest->model;
    if (!is_name(m->id, sizeof m->id) || !is_name(m->architecture, sizeof m->architecture)) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, m), "model id or architecture is not a name");
    }
    if (b->manifest->minor <= MX_BUNDLE_MINOR &&
        (!mx_all_zero(m->reserved, sizeof m->reserved) ||
         !mx_all_zero(m->generation.reserved, sizeof m->generation.reserved))) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, m->reserved), "reserved bytes of the model are not zero");
    }
    enum moxie_error e = check_shape(b, f);
    if (!e) {
        e = check_tokens(b, f);
    }
    return e ? e : check_numbers(b, f);
}

/* The routing of layer i. Light experts leave at least one with matrices; logits are carried from the layer before,
 * which has as many; scaling them takes two. */
static bool routing_is_right(const struct mx_bundle *b, uint32_t i) {
    const struct mx_layer *l = &b->layers[i];
    const uint32_t allowed = MX_LAYER_FLAGS & ~(l->shared ? 0 : MX_LAYER_SHARED_GATE) &
                             ~(i && b->layers[i - 1].routed == l->routed ? 0 : MX_LAYER_CARRIED) &
                             ~(l->zeros && l->flags & MX_LAYER_NORM_TOPK ? 0 : MX_LAYER_ZERO_APART);
    return in_range(l->top_k, 1, l->routed < MX_TOP_K_MAX ? l->routed : MX_TOP_K_MAX) && l->shared <= MX_SHARED_MAX &&
           !(l->flags & ~allowed) && mx_layer_light(l) < l->routed &&
           (l->deviation == 0 || (l->routed > 1 && between(l->deviation, 0x1p-10f, 0x1p10f)));
}

enum moxie_error mx_check_layers(const struct mx_bundle *b, struct moxie_failure *f) {
    for (uint32_t i = 0; i < b->manifest->layers; i++) {
        const struct mx_layer *l = &b->layers[i];
        const bool dense = l->top_k == 0 && l->shared == 1 && !(l->flags & ~MX_LAYER_GELU) && mx_layer_light(l) == 0 &&
                           l->deviation == 0;
        if (l->routed > MX_ROUTED_MAX || !in_range(l->width, 1, MX_WIDTH_MAX) ||
            !(l->routed ? routing_is_right(b, i) : dense)) {
            return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, l),
                           "layer %u: %u routed experts, %u of them light, %u per token, %u shared, width %u, flags %x",
                           i, l->routed, mx_layer_light(l), l->top_k, l->shared, l->width, l->flags);
        }
        if (b->manifest->minor <= MX_BUNDLE_MINOR && l->reserved) {
            return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, l), "layer %u: reserved bytes are not zero", i);
        }
    }
    return MOXIE_OK;
}
