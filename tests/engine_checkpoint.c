/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/engine_checkpoint.h"
#include "tests/importer_files.h"

struct writer {
    struct bytes header, data;
    uint32_t state; /* of the generator */
};

/* In [-1, 1). */
static float random_value(struct writer *w) {
    w->state = w->state * 1664525u + 1013904223u;
    return (float)(int32_t)w->state * 0x1p-31f;
}

/* A matrix of values that keep their size through a product; cols 0: a norm's weights. */
static void add(struct writer *w, const char *name, uint32_t rows, uint32_t cols) {
    char entry[256];
    size_t begin = w->data.n;
    const float scale = cols ? 1.7f / sqrtf((float)cols) : 0.1f, offset = cols ? 0.0f : 1.0f;
    for (uint64_t i = 0; i < (uint64_t)rows * (cols ? cols : 1); i++) {
        float v = offset + scale * random_value(w);
        put(&w->data, &v, sizeof v);
    }
    int n = snprintf(entry, sizeof entry, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%" PRIu32, w->header.n ? ',' : '{',
                     name, rows);
    if (cols) {
        n += snprintf(entry + n, sizeof entry - (size_t)n, ",%" PRIu32, cols);
    }
    n += snprintf(entry + n, sizeof entry - (size_t)n, "],\"data_offsets\":[%zu,%zu]}", begin, w->data.n);
    put(&w->header, entry, (size_t)n);
}

static void add_mlp(struct writer *w, const char *prefix, uint32_t hidden, uint32_t width) {
    char name[160];
    snprintf(name, sizeof name, "%s.gate_proj.weight", prefix);
    add(w, name, width, hidden);
    snprintf(name, sizeof name, "%s.up_proj.weight", prefix);
    add(w, name, width, hidden);
    snprintf(name, sizeof name, "%s.down_proj.weight", prefix);
    add(w, name, hidden, width);
}

static void add_layer(struct writer *w, const struct checkpoint_shape *s, uint32_t layer) {
    static const struct {
        const char *name;
        char rows, cols; /* h: hidden, k: KV heads, e: experts, 1, 0 */
    } table[] = {
        {"input_layernorm.weight", 'h', 0},          {"post_attention_layernorm.weight", 'h', 0},
        {"self_attn.q_proj.weight", 'h', 'h'},       {"self_attn.q_proj.bias", 'h', 0},
        {"self_attn.k_proj.weight", 'k', 'h'},       {"self_attn.k_proj.bias", 'k', 0},
        {"self_attn.v_proj.weight", 'k', 'h'},       {"self_attn.v_proj.bias", 'k', 0},
        {"self_attn.o_proj.weight", 'h', 'h'},       {"mlp.gate.weight", 'e', 'h'},
        {"mlp.shared_expert_gate.weight", '1', 'h'},
    };
    char name[160];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint32_t rows = table[i].rows == 'h'   ? s->hidden
                        : table[i].rows == 'k' ? s->hidden / s->heads * s->kv_heads
                        : table[i].rows == 'e' ? s->experts
                                               : 1;
        snprintf(name, sizeof name, "model.layers.%" PRIu32 ".%s", layer, table[i].name);
        add(w, name, rows, table[i].cols ? s->hidden : 0);
    }
    for (uint32_t e = 0; e < s->experts; e++) {
        snprintf(name, sizeof name, "model.layers.%" PRIu32 ".mlp.experts.%" PRIu32, layer, e);
        add_mlp(w, name, s->hidden, s->width);
    }
    snprintf(name, sizeof name, "model.layers.%" PRIu32 ".mlp.shared_expert", layer);
    add_mlp(w, name, s->hidden, s->width);
}

char *checkpoint_make(const struct checkpoint_shape *s) {
    char config[1024];
    char *folder = make_folder();
    struct writer w = {.state = 1};
    int n = snprintf(
        config, sizeof config,
        "{\"architectures\":[\"Qwen2MoeForCausalLM\"],\"model_type\":\"qwen2_moe\",\"hidden_act\":\"silu\","
        "\"num_hidden_layers\":%" PRIu32 ",\"hidden_size\":%" PRIu32 ",\"num_attention_heads\":%" PRIu32
        ",\"num_key_value_heads\":%" PRIu32 ",\"moe_intermediate_size\":%" PRIu32
        ",\"shared_expert_intermediate_size\":%" PRIu32 ",\"num_experts\":%" PRIu32 ",\"num_experts_per_tok\":%" PRIu32
        ",\"vocab_size\":%" PRIu32 ",\"max_position_embeddings\":%" PRIu32
        ",\"intermediate_size\":64,\"norm_topk_prob\":true,\"decoder_sparse_step\":1,\"mlp_only_layers\":[],"
        "\"rms_norm_eps\":1e-06,\"rope_theta\":10000.0,\"tie_word_embeddings\":true,\"torch_dtype\":\"float32\"}",
        s->layers, s->hidden, s->heads, s->kv_heads, s->width, s->width, s->experts, s->top_k, s->vocab, s->positions);
    assert_true(n > 0 && (size_t)n < sizeof config);
    write_file(in_folder(folder, "config.json"), config, (size_t)n);
    add(&w, "model.embed_tokens.weight", s->vocab, s->hidden);
    add(&w, "model.norm.weight", s->hidden, 0);
    for (uint32_t layer = 0; layer < s->layers; layer++) {
        add_layer(&w, s, layer);
    }
    put(&w.header, "}", 1);
    struct bytes file = {.data = NULL};
    put_integer(&file, w.header.n, 8);
    put(&file, w.header.data, w.header.n);
    put(&file, w.data.data, w.data.n);
    write_file(in_folder(folder, "model.safetensors"), file.data, file.n);
    free_bytes(&file);
    free_bytes(&w.header);
    free_bytes(&w.data);
    return folder;
}
