/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json of the families in pack/families.c. Whatever a checkpoint may ask for that is not built is refused by
 * name: a model that runs but computes something else is the worst outcome. */
#include "pack/hf_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/families.h"
#include "pack/json_util.h"

#define CONFIG_MAX_BYTES (64u << 20)

static bool refuse(const struct pk_json *j, const char *key, const char *why) {
    return pk_fail(j->e, MOXIE_ERROR_MODEL, "%s: \"%s\": %s", j->path, key, why);
}

/* Gemma's first files say "gelu" and mean the tanh form; "hidden_activation" overrides that, and there it does not. */
static bool require_activation(const struct pk_json *j, const struct pk_family *f) {
    const char *act, *newer;
    if (!pk_json_string(j, "hidden_act", &act) || !pk_json_string(j, "hidden_activation", &newer)) {
        return false;
    }
    if (!f->gelu) {
        return !act || strcmp(act, "silu") == 0 || pk_json_fail(j, "hidden_act", "\"silu\"");
    }
    const char *const tanh_form = "gelu_pytorch_tanh";
    if (newer && strcmp(newer, tanh_form) != 0) {
        return pk_json_fail(j, "hidden_activation", "\"gelu_pytorch_tanh\"");
    }
    return !act || strcmp(act, tanh_form) == 0 || strcmp(act, "gelu") == 0 ||
           pk_json_fail(j, "hidden_act", "\"gelu_pytorch_tanh\"");
}

static bool require_false(const struct pk_json *j, const char *key) {
    bool value;
    if (!pk_json_bool_or(j, key, false, &value)) {
        return false;
    }
    return !value || refuse(j, key, "true is not supported");
}

static bool require_whole_head_rotated(const struct pk_json *j) {
    float part;
    return pk_json_float_or(j, "partial_rotary_factor", 0, 1, 1, &part) &&
           (part == 1 || refuse(j, "partial_rotary_factor", "only 1 is supported"));
}

/* `value`: an object that says how RoPE is scaled, under "rope_type" or, earlier, "type". */
static bool require_default_rope(const struct pk_json *j, const char *key, const json_t *value) {
    if (!json_is_object(value)) {
        return pk_json_fail(j, key, "an object or null");
    }
    static const char *const names[] = {"rope_type", "type"};
    struct pk_json scaling = {value, j->path, j->e};
    for (size_t i = 0; i < 2; i++) {
        const json_t *type = pk_json_get(&scaling, names[i]);
        if (type && (!json_is_string(type) || strcmp(json_string_value(type), "default") != 0)) {
            return pk_json_fail(j, key, "no RoPE scaling (rope_type \"default\" or null)");
        }
    }
    if (!pk_json_get(&scaling, names[0]) && !pk_json_get(&scaling, names[1]) && !pk_json_get(&scaling, "rope_theta")) {
        return pk_json_fail(j, key, "no RoPE scaling (rope_type \"default\" or null)");
    }
    return require_whole_head_rotated(&scaling);
}

static bool read_rope(const struct pk_json *j, const struct pk_family *f, struct mx_model *m) {
    const json_t *scaling = pk_json_get(j, "rope_scaling"), *parameters = pk_json_get(j, "rope_parameters");
    if ((scaling && !require_default_rope(j, "rope_scaling", scaling)) ||
        (parameters && !require_default_rope(j, "rope_parameters", parameters)) || !require_whole_head_rotated(j)) {
        return false;
    }
    if (json_object_size(scaling)) { // transformers takes one for the other, and its theta before that beside it
        parameters = scaling;
    }
    struct pk_json nested = {parameters, j->path, j->e};
    bool in_parameters = parameters && pk_json_get(&nested, "rope_theta");
    return pk_json_float_or(in_parameters ? &nested : j, "rope_theta", 1, 1e15, f->rope_theta, &m->rope_theta);
}

/* Sliding windows: inert unless use_sliding_window is true; newer files list the kind of each layer. Embedding models
 * attend in both directions. */
static bool require_full_attention(const struct pk_json *j) {
    const json_t *types = pk_json_get(j, "layer_types");
    if (types && !json_is_array(types)) {
        return pk_json_fail(j, "layer_types", "an array");
    }
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type || strcmp(type, "full_attention") != 0) {
            return refuse(j, "layer_types", "only \"full_attention\" is supported");
        }
    }
    bool causal;
    return require_false(j, "use_sliding_window") && pk_json_bool_or(j, "is_causal", true, &causal) &&
           (causal || refuse(j, "is_causal", "false is not supported"));
}

/* Mistral's files have no switch beside the number, and where the key itself is missing there is a window too. Up to as
 * many positions as the window is wide it masks nothing, so the model gets that many. */
static bool read_window(const struct pk_json *j, const struct pk_family *f, struct mx_model *m) {
    const bool absent = !json_object_get(j->object, "sliding_window"); // null is: none
    uint32_t window = absent && f->window ? f->window : m->max_positions;
    if (f->windowed && !absent && !pk_json_u32_or(j, "sliding_window", 1, INT32_MAX, m->max_positions, &window)) {
        return false;
    }
    m->max_positions = window < m->max_positions ? window : m->max_positions;
    return true;
}

static bool read_attention(const struct pk_json *j, const struct pk_family *f, struct mx_model *m) {
    if (!pk_json_u32(j, "num_attention_heads", 1, MX_HEADS_MAX, &m->heads) ||
        !pk_json_u32_or(j, "num_key_value_heads", 1, MX_HEADS_MAX, m->heads, &m->kv_heads)) {
        return false;
    }
    if (!pk_json_get(j, "head_dim") && m->hidden % m->heads) {
        return refuse(j, "hidden_size", "is not a multiple of num_attention_heads, and head_dim is absent");
    }
    return pk_json_u32_or(j, "head_dim", 2, MX_HEAD_DIM_MAX, m->hidden / m->heads, &m->head_dim) &&
           read_rope(j, f, m) && require_full_attention(j) && read_window(j, f, m);
}

/* Layer l is sparse when it is not in mlp_only_layers and (l + 1) % decoder_sparse_step == 0. */
static bool read_sparse_step(const struct pk_json *j, uint32_t layers, uint8_t *dense) {
    uint32_t step;
    if (!pk_json_u32_or(j, "decoder_sparse_step", 1, INT32_MAX, 1, &step)) {
        return false;
    }
    for (uint32_t l = 0; l < layers; l++) {
        dense[l] = (l + 1) % step != 0;
    }
    const json_t *only = pk_json_get(j, "mlp_only_layers");
    if (only && !json_is_array(only)) {
        return pk_json_fail(j, "mlp_only_layers", "an array of layer indices");
    }
    for (size_t i = 0; i < json_array_size(only); i++) {
        const json_t *l = json_array_get(only, i);
        if (!json_is_integer(l) || json_integer_value(l) < 0 || json_integer_value(l) >= layers) {
            return pk_json_fail(j, "mlp_only_layers", "an array of layer indices");
        }
        dense[json_integer_value(l)] = 1;
    }
    return true;
}

/* Layer l is sparse when l >= first_k_dense_replace and l % moe_layer_freq == 0. */
static bool read_first_dense(const struct pk_json *j, uint32_t layers, uint8_t *dense) {
    uint32_t first, step;
    if (!pk_json_u32_or(j, "first_k_dense_replace", 0, MX_LAYERS_MAX, 0, &first) ||
        !pk_json_u32_or(j, "moe_layer_freq", 1, INT32_MAX, 1, &step)) {
        return false;
    }
    for (uint32_t l = 0; l < layers; l++) {
        dense[l] = l < first || l % step != 0;
    }
    return true;
}

static bool read_dense_layers(const struct pk_json *j, const struct pk_family *f, uint32_t layers, uint8_t *dense) {
    switch (f->dense) {
    case PK_DENSE_STEP:
        return read_sparse_step(j, layers, dense);
    case PK_DENSE_FIRST:
        return read_first_dense(j, layers, dense);
    default:
        return true;
    }
}

/* Queries, keys and values cut to a range: OLMoE's files have the key, as null. */
static bool require_no_clipping(const struct pk_json *j) {
    return !pk_json_get(j, "clip_qkv") || refuse(j, "clip_qkv", "only null is supported");
}

/* How routers of other families score; softmax is what is built. */
static bool require_softmax(const struct pk_json *j) {
    const char *scoring;
    if (!pk_json_string(j, "scoring_func", &scoring)) {
        return false;
    }
    return !scoring || strcmp(scoring, "softmax") == 0 || pk_json_fail(j, "scoring_func", "\"softmax\"");
}

static bool read_shared(const struct pk_json *j, const struct pk_family *f, struct pk_ffn *ffn) {
    uint32_t parts = 0;
    ffn->shared_gate = f->shared_gate;
    if (f->shared_parts && !pk_json_u32_or(j, f->shared_parts, 0, MX_SHARED_MAX, 0, &parts)) {
        return false;
    }
    ffn->shared_width = parts * ffn->width;
    return !f->shared_width || pk_json_u32(j, f->shared_width, 1, MX_WIDTH_MAX, &ffn->shared_width);
}

static bool read_moe(const struct pk_json *j, const struct pk_family *f, struct pk_source *s, struct pk_ffn *ffn,
                     uint8_t *dense) {
    bool norm = true;
    if (f->plus) {
        return pk_moepp_read(j, s, ffn);
    }
    // transformers 5 writes the key of Mixtral for other families as well
    const char *routed = pk_json_get(j, "num_local_experts") ? "num_local_experts" : f->routed;
    if (!pk_json_u32(j, routed, 0, MX_ROUTED_MAX, &ffn->routed)) {
        return false;
    }
    if (ffn->routed == 0) {
        return true;
    }
    if (!pk_json_u32(j, "num_experts_per_tok", 1, MX_TOP_K_MAX, &ffn->top_k) ||
        !pk_json_u32(j, f->width, 1, MX_WIDTH_MAX, &ffn->width) || !read_shared(j, f, ffn) ||
        (f->norm != PK_NORM_ALWAYS && !pk_json_bool_or(j, "norm_topk_prob", false, &norm))) {
        return false;
    }
    ffn->norm_topk = norm && (f->norm != PK_NORM_SEVERAL || ffn->top_k > 1);
    return require_softmax(j) && require_no_clipping(j) && read_dense_layers(j, f, s->model.layers, dense);
}

static bool read_ffn(const struct pk_json *j, const struct pk_family *f, struct pk_source *s, struct pk_ffn *ffn,
                     uint8_t *dense) {
    if (f->routed && !read_moe(j, f, s, ffn, dense)) {
        return false;
    }
    bool any_dense = ffn->routed == 0 || memchr(dense, 1, s->model.layers);
    ffn->dense = dense;
    return !any_dense || pk_json_u32(j, "intermediate_size", 1, MX_WIDTH_MAX, &ffn->dense_width);
}

static bool read_eos(const struct pk_json *j, struct mx_model *m) {
    const json_t *eos = pk_json_get(j, "eos_token_id");
    size_t n = json_is_array(eos) ? json_array_size(eos) : eos ? 1 : 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_is_array(eos) ? json_array_get(eos, i) : eos;
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            return pk_json_fail(j, "eos_token_id", "a token id or an array of them");
        }
        if (!pk_model_add_eos(m, (uint64_t)json_integer_value(id), j->path, "eos_token_id", j->e)) {
            return false;
        }
    }
    return true;
}

static bool read_architecture(const struct pk_json *j, struct mx_model *m) {
    const char *type;
    if (!pk_json_string(j, "model_type", &type)) {
        return false;
    }
    if (!type || !pk_family_find(type)) {
        char expected[160];
        snprintf(expected, sizeof(expected), "an architecture that can be packed (%s)", pk_family_types);
        return pk_json_fail(j, "model_type", expected);
    }
    snprintf(m->architecture, sizeof(m->architecture), "%s", type);
    return true;
}

/* SmolLM2 has all three keys as false. */
static bool read_biases(const struct pk_json *j, const struct pk_family *f, struct pk_source *s) {
    if (!f->qkv_bias) {
        return require_false(j, "attention_bias") && require_false(j, "mlp_bias") &&
               require_false(j, "rope_interleaved");
    }
    return pk_json_bool_or(j, "qkv_bias", true, &s->qkv_bias);
}

static bool read_numbers(const struct pk_json *j, struct pk_source *s, struct pk_ffn *ffn, uint8_t **dense) {
    struct mx_model *m = &s->model;
    bool tied;
    const struct pk_family *f = read_architecture(j, m) ? pk_family_find(m->architecture) : NULL;
    if (!f || !require_activation(j, f) || !pk_json_u32(j, "hidden_size", 1, MX_HIDDEN_MAX, &m->hidden) ||
        !pk_json_u32(j, "num_hidden_layers", 1, MX_LAYERS_MAX, &m->layers) ||
        !pk_json_u32(j, "vocab_size", 1, MX_VOCAB_MAX, &m->vocab) ||
        !pk_json_u32(j, "max_position_embeddings", 1, INT32_MAX, &m->max_positions) ||
        !pk_json_float_or(j, "rms_norm_eps", 1e-12, 1, f->rms_eps, &m->rms_eps) ||
        !pk_json_bool_or(j, "tie_word_embeddings", f->tied, &tied) ||
        !pk_json_u32_or(j, "bos_token_id", 0, MX_VOCAB_MAX, MX_NONE, &m->bos) || !read_attention(j, f, m) ||
        !read_biases(j, f, s) || !read_eos(j, m)) {
        return false;
    }
    m->tied = tied;
    s->norm_offset = f->norm_plus_one ? 1 : 0;
    *dense = calloc(m->layers, 1);
    if (!*dense) {
        pk_fail_memory(j->e);
        return false;
    }
    return read_ffn(j, f, s, ffn, *dense);
}

bool pk_hf_read_config(struct pk_source *s, struct pk_quant *quant, struct pk_error *e) {
    *quant = (struct pk_quant){0};
    char *path = pk_folder_path(s->folder, "config.json", e);
    json_t *config = path ? pk_json_in(s->folder, "config.json", CONFIG_MAX_BYTES, e) : NULL;
    struct pk_json j = {config, path, e};
    struct pk_ffn ffn = {0};
    uint8_t *dense = NULL;
    bool ok = config && read_numbers(&j, s, &ffn, &dense) && pk_model_finish(s, &ffn, path, e) &&
              pk_quant_read(s->folder, &j, quant, e);
    free(dense);
    json_decref(config);
    free(path);
    return ok;
}

/* Numbers that the kernels multiply by or divide by: 0 (not set), or in the range that a bundle may hold. */
static bool read_factor(const struct pk_json *j, const char *key, float *out) {
    if (!pk_json_float_or(j, key, 0, 0x1p10, 0, out)) {
        return false;
    }
    return *out == 0 || *out >= 0x1p-10f || pk_json_fail(j, key, "0 or a number from 1/1024 to 1024");
}

static bool read_sampling(const struct pk_json *j, struct pk_source *s) {
    struct mx_generation *g = &s->model.generation;
    bool do_sample;
    if (!pk_json_bool_or(j, "do_sample", false, &do_sample) || !read_factor(j, "temperature", &g->temperature) ||
        !read_factor(j, "repetition_penalty", &g->repetition_penalty) ||
        !pk_json_u32_or(j, "top_k", 0, INT32_MAX, 0, &g->top_k) || !pk_json_float_or(j, "top_p", 0, 1, 0, &g->top_p) ||
        !pk_json_float_or(j, "min_p", 0, 1, 0, &g->min_p)) {
        return false;
    }
    bool cold = pk_json_get(j, "temperature") && g->temperature == 0; // the limit of sampling is the largest logit
    g->do_sample = do_sample && !cold;
    if (!json_object_get(j->object, "top_k")) {
        g->top_k = g->do_sample ? 50 : 0; // the default of transformers' GenerationConfig
    } else if (g->top_k == 0) {
        g->top_k = s->model.vocab; // 0 and null switch top-k off there; here 0 means that it is not set
    }
    return read_eos(j, &s->model);
}

bool pk_hf_read_generation(struct pk_source *s, struct pk_error *e) {
    char *path = pk_folder_path(s->folder, "generation_config.json", e);
    bool ok = path != NULL;
    if (ok && pk_folder_has(s->folder, "generation_config.json")) {
        json_t *config = pk_json_in(s->folder, "generation_config.json", CONFIG_MAX_BYTES, e);
        struct pk_json j = {config, path, e};
        ok = config && read_sampling(&j, s);
        json_decref(config);
    }
    free(path);
    return ok;
}
