/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF models: the checkpoints of tests/data/reference, written as GGUF the way llama.cpp's convert_hf_to_gguf.py does
 * (names, stacked experts, permuted query and key rows), must be the same sources again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/gguf.h"
#include "pack/source.h"
#include "tests/check.h"
#include "tests/importer_files.h"

/* A GGUF file under construction: keys, tensor infos and data apart, joined by `finish`. */
struct gguf {
    struct bytes keys, infos, data;
    uint64_t n_keys, n_tensors;
};

static void key(struct gguf *g, const char *name, uint32_t type) {
    put_string(&g->keys, name);
    put_integer(&g->keys, type, 4);
    g->n_keys++;
}

static void key_u32(struct gguf *g, const char *name, uint32_t value) {
    key(g, name, PK_GGUF_U32);
    put_integer(&g->keys, value, 4);
}

static void key_f32(struct gguf *g, const char *name, float value) {
    key(g, name, PK_GGUF_F32);
    put(&g->keys, &value, 4);
}

static void key_string(struct gguf *g, const char *name, const char *value) {
    key(g, name, PK_GGUF_STRING);
    put_string(&g->keys, value);
}

/* `dims` innermost first; the data is put behind by the caller. */
static void tensor(struct gguf *g, const char *name, uint32_t n_dims, const uint64_t *dims, enum pk_type type) {
    static const uint32_t ids[] = {[PK_F32] = 0, [PK_F16] = 1, [PK_BF16] = 30, [PK_Q8_0] = 8};
    align_to(&g->data, 32);
    put_string(&g->infos, name);
    put_integer(&g->infos, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) {
        put_integer(&g->infos, dims[i], 8);
    }
    put_integer(&g->infos, ids[type], 4);
    put_integer(&g->infos, g->data.n, 8);
    g->n_tensors++;
}

/* Writes the file and empties `g`. */
static const char *finish(struct gguf *g) {
    struct bytes b = {0};
    put(&b, "GGUF", 4);
    put_integer(&b, 3, 4);
    put_integer(&b, g->n_tensors, 8);
    put_integer(&b, g->n_keys, 8);
    put(&b, g->keys.data, g->keys.n);
    put(&b, g->infos.data, g->infos.n);
    align_to(&b, 32);
    put(&b, g->data.data, g->data.n);
    const char *path = in_folder(test_folder, "model.gguf");
    write_file(path, b.data, b.n);
    free_bytes(&b);
    free_bytes(&g->keys);
    free_bytes(&g->infos);
    free_bytes(&g->data);
    *g = (struct gguf){0};
    return path;
}

/* Appends all rows of a tensor; `heads` > 0 permutes them as the converter does: row h * d/2 + i to 2i + h. */
static void put_rows(struct gguf *g, const struct pk_source *s, const struct pk_tensor *t, uint32_t heads) {
    struct pk_error e;
    uint64_t d = heads ? t->rows / heads : t->rows;
    uint8_t *row = malloc(t->row_bytes);
    for (uint64_t r = 0; r < t->rows; r++) {
        uint64_t stored = r % d; // row of the head in the file
        uint64_t from = heads ? r - stored + stored % 2 * (d / 2) + stored / 2 : r;
        assert_true(pk_source_read_rows(s, t, from, 1, row, &e));
        put(&g->data, row, t->row_bytes);
    }
    free(row);
}

static const struct {
    const char *gguf, *hf;
} names[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", "mlp.gate.weight"},
    {"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"},
    {"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"},
    {"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"},
    {"ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"},
};

static void put_tensor(struct gguf *g, const struct pk_source *s, const char *name, const struct pk_tensor *t,
                       uint32_t heads) {
    bool flat = strcmp(t->name + strlen(t->name) - 4, "bias") == 0 || strstr(t->name, "norm.weight") ||
                strstr(t->name, "shared_expert_gate"); // the converter writes this one as {H}, HF as [1][H]
    tensor(g, name, flat ? 1 : 2, (uint64_t[]){t->cols, t->rows}, t->type);
    put_rows(g, s, t, heads);
}

static void put_layer(struct gguf *g, const struct pk_source *s, uint32_t l) {
    char from[128], to[64];
    bool llama = strcmp(s->model.architecture, "llama") == 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(from, sizeof(from), "model.layers.%u.%s", l, names[i].hf);
        snprintf(to, sizeof(to), "blk.%u.%s", l, names[i].gguf);
        const struct pk_tensor *t = pk_source_find(s, from);
        if (t) {
            bool q = strcmp(names[i].gguf, "attn_q.weight") == 0, k = strcmp(names[i].gguf, "attn_k.weight") == 0;
            put_tensor(g, s, to, t, !llama ? 0 : q ? s->model.heads : k ? s->model.kv_heads : 0);
        }
    }
    static const char *const parts[] = {"gate", "up", "down"};
    for (size_t p = 0; s->layers[l].routed && p < 3; p++) {
        for (uint32_t j = 0; j < s->layers[l].routed; j++) {
            snprintf(from, sizeof(from), "model.layers.%u.mlp.experts.%u.%s_proj.weight", l, j, parts[p]);
            const struct pk_tensor *t = pk_source_find(s, from);
            assert_non_null(t);
            if (j == 0) {
                snprintf(to, sizeof(to), "blk.%u.ffn_%s_exps.weight", l, parts[p]);
                tensor(g, to, 3, (uint64_t[]){t->cols, t->rows, s->layers[l].routed}, t->type);
            }
            put_rows(g, s, t, 0);
        }
    }
}

static void put_tensors(struct gguf *g, const struct pk_source *s) {
    put_tensor(g, s, "token_embd.weight", pk_source_find(s, "model.embed_tokens.weight"), 0);
    put_tensor(g, s, "output_norm.weight", pk_source_find(s, "model.norm.weight"), 0);
    if (!s->model.tied) {
        put_tensor(g, s, "output.weight", pk_source_find(s, "lm_head.weight"), 0);
    }
    for (uint32_t l = 0; l < s->model.layers; l++) {
        put_layer(g, s, l);
    }
}

static void arch_u32(struct gguf *g, const char *arch, const char *name, uint32_t value) {
    char full[96];
    snprintf(full, sizeof(full), "%s.%s", arch, name);
    key_u32(g, full, value);
}

static void put_keys(struct gguf *g, const struct pk_source *s, const char *arch) {
    const struct mx_model *m = &s->model;
    char full[96];
    key_string(g, "general.architecture", arch);
    key_string(g, "general.name", m->id);
    arch_u32(g, arch, "block_count", m->layers);
    arch_u32(g, arch, "context_length", m->max_positions);
    arch_u32(g, arch, "embedding_length", m->hidden);
    arch_u32(g, arch, "attention.head_count", m->heads);
    arch_u32(g, arch, "attention.head_count_kv", m->kv_heads);
    snprintf(full, sizeof(full), "%s.rope.freq_base", arch);
    key_f32(g, full, m->rope_theta);
    snprintf(full, sizeof(full), "%s.attention.layer_norm_rms_epsilon", arch);
    key_f32(g, full, m->rms_eps);
    if (m->head_dim * m->heads != m->hidden) {
        arch_u32(g, arch, "attention.key_length", m->head_dim);
        arch_u32(g, arch, "attention.value_length", m->head_dim);
        arch_u32(g, arch, "rope.dimension_count", m->head_dim);
    }
    const struct mx_layer *layer = &s->layers[0];
    arch_u32(g, arch, "feed_forward_length", layer->routed ? (uint32_t)s->shared_width : layer->width);
    if (layer->routed) {
        arch_u32(g, arch, "expert_count", layer->routed);
        arch_u32(g, arch, "expert_used_count", layer->top_k);
        arch_u32(g, arch, "expert_feed_forward_length", layer->width);
        arch_u32(g, arch, "expert_shared_feed_forward_length", (uint32_t)s->shared_width);
    }
    key_u32(g, "tokenizer.ggml.bos_token_id", m->bos);
    key_u32(g, "tokenizer.ggml.eos_token_id", m->eos[0]);
}

static void check_same(const struct pk_source *a, const struct pk_source *b) {
    assert_memory_equal(&a->model, &b->model, sizeof(a->model));
    assert_memory_equal(a->layers, b->layers, a->model.layers * sizeof(*a->layers));
    assert_true(a->shared_width == b->shared_width && a->qkv_bias == b->qkv_bias);
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (size_t i = 0; i < a->n_tensors; i++) {
        const struct pk_tensor *x = &a->tensors[i], *y = &b->tensors[i];
        struct pk_error e;
        assert_string_equal(x->name, y->name);
        assert_true(x->type == y->type && x->rows == y->rows && x->cols == y->cols);
        size_t n = x->rows * x->row_bytes;
        uint8_t *rows = malloc(2 * n);
        assert_true(pk_source_read_rows(a, x, 0, x->rows, rows, &e) &&
                    pk_source_read_rows(b, y, 0, y->rows, rows + n, &e));
        assert_memory_equal(rows, rows + n, n);
        free(rows);
    }
}

static void test_same_as_folder(void **state) {
    (void)state;
    static const struct {
        const char *path, *arch;
    } cases[] = {{REFERENCE "moe-f32", "qwen2moe"}, {REFERENCE "qwen2", "qwen2"}, {REFERENCE "llama", "llama"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pk_source *s = open_source(cases[i].path);
        struct gguf g = {0};
        put_keys(&g, s, cases[i].arch);
        put_tensors(&g, s);
        struct pk_source *again = open_source(finish(&g));
        check_same(s, again);
        pk_source_close(again);
        pk_source_close(s);
    }
}

static void test_texts(void **state) {
    (void)state;
    struct pk_source *s = open_source(REFERENCE "qwen2");
    struct gguf g = {0};
    put_keys(&g, s, "qwen2");
    put_tensors(&g, s);
    pk_source_close(s);
    key_string(&g, "tokenizer.chat_template", "{{ x }}");
    key_string(&g, "general.license", "apache-2.0");
    s = open_source(finish(&g));
    assert_true(s->model.eos_count == 1 && s->model.eos[0] == 102);
    assert_string_equal(s->chat_template, "{{ x }}");
    assert_string_equal(s->license, "apache-2.0");
    pk_source_close(s);
}

static void refused(struct gguf *g, int code, const char *part) {
    refuse_source(finish(g), code, part);
}

static void test_refused_keys(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t value;
        const char *part;
    } cases[] = {
        {"qwen2moe.attention.sliding_window", 4096, "sliding_window"},
        {"qwen2moe.expert_gating_func", 2, "expert_gating_func"},
        {"qwen2moe.expert_weights_scale", 16, "expert_weights_scale"},
        {"qwen2moe.leading_dense_block_count", 1, "leading_dense_block_count"},
        {"qwen2moe.rope.dimension_count", 8, "rotated 8"},
        {"qwen2moe.attention.key_length", 8, "q_proj.weight"},
        {"qwen2moe.attention.value_length", 8, "of values 8"},
        {"qwen2moe.attention.causal", 0, "only causal"},
        {"split.count", 2, "split model"},
    };
    struct pk_source *s = open_source(REFERENCE "moe-f32");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gguf g = {0};
        put_keys(&g, s, "qwen2moe");
        put_tensors(&g, s);
        key_u32(&g, cases[i].name, cases[i].value);
        refused(&g, MOXIE_ERROR_MODEL, cases[i].part);
    }
    struct gguf g = {0};
    put_keys(&g, s, "qwen2moe");
    put_tensors(&g, s);
    key_string(&g, "qwen2moe.rope.scaling.type", "yarn");
    refused(&g, MOXIE_ERROR_MODEL, "RoPE scaling \"yarn\"");
    put_keys(&g, s, "rwkv6");
    refused(&g, MOXIE_ERROR_MODEL, "general.architecture \"rwkv6\" cannot be packed (qwen2moe, ");
    refused(&g, MOXIE_ERROR_MODEL, "general.architecture \"\"");
    put_keys(&g, s, "qwen2moe");
    refused(&g, MOXIE_ERROR_MODEL, "token_embd.weight");
    key_string(&g, "general.architecture", "llama");
    key_string(&g, "llama.embedding_length", "48");
    refused(&g, MOXIE_ERROR_MODEL, "\"llama.embedding_length\" is of another type");
    key_string(&g, "general.architecture", "llama");
    key_u32(&g, "llama.embedding_length", 0);
    refused(&g, MOXIE_ERROR_MODEL, "\"llama.embedding_length\" is 0; expected 1 to");
    pk_source_close(s);

    s = open_source(REFERENCE "llama"); // Mixtral's files say llama too
    put_keys(&g, s, "llama");
    put_tensors(&g, s);
    key_u32(&g, "llama.expert_count", 8);
    refused(&g, MOXIE_ERROR_MODEL, "\"llama.expert_used_count\" is missing");
    put_keys(&g, s, "llama");
    put_tensors(&g, s);
    key_u32(&g, "llama.expert_count", 8);
    key_u32(&g, "llama.expert_used_count", 2);
    refused(&g, MOXIE_ERROR_MODEL, "\"model.layers.0.mlp.gate.weight\" (8 x 272) is missing");
    put_keys(&g, s, "llama");
    put_tensors(&g, s);
    key_u32(&g, "llama.expert_count", 8);
    key_u32(&g, "llama.expert_used_count", 2);
    key_u32(&g, "llama.expert_shared_count", 1);
    refused(&g, MOXIE_ERROR_MODEL, "\"llama.expert_shared_count\" is 1; expected 0");
    put_keys(&g, s, "llama");
    put_tensors(&g, s);
    tensor(&g, "rope_freqs.weight", 1, (uint64_t[]){8}, PK_F32);
    put_zeros(&g.data, 32);
    refused(&g, MOXIE_ERROR_MODEL, "\"rope_freqs.weight\" has no place");
    static const char *const biases[][2] = {{"blk.0.attn_output.bias", "self_attn.o_proj.bias\" has no place"},
                                            {"blk.0.ffn_gate.bias", "mlp.gate_proj.bias\" has no place"},
                                            {"blk.0.ffn_up.bias", "mlp.up_proj.bias\" has no place"},
                                            {"blk.0.ffn_down.bias", "mlp.down_proj.bias\" has no place"},
                                            {"output.bias", "lm_head.bias\" has no place"}};
    for (size_t i = 0; i < sizeof(biases) / sizeof(biases[0]); i++) {
        put_keys(&g, s, "llama");
        put_tensors(&g, s);
        tensor(&g, biases[i][0], 1, (uint64_t[]){8}, PK_F32);
        put_integer(&g.data, 0x3f800000, 4); /* 1, and seven zeros */
        put_zeros(&g.data, 28);
        refused(&g, MOXIE_ERROR_MODEL, biases[i][1]);
    }
    put_keys(&g, s, "llama");
    put_tensors(&g, s);
    tensor(&g, "token_embd.weight", 1, (uint64_t[]){8}, PK_F32);
    put_zeros(&g.data, 32);
    refused(&g, MOXIE_ERROR_FORMAT, "\"model.embed_tokens.weight\" appears twice");
    put_keys(&g, s, "llama");
    put_tensors(&g, s);
    tensor(&g, "blk.0.ffn_up_exps.weight", 2, (uint64_t[]){4, 2}, PK_F32);
    put_zeros(&g.data, 32);
    refused(&g, MOXIE_ERROR_MODEL, "\"blk.0.ffn_up_exps.weight\" has 2 dims; expected 3");
    pk_source_close(s);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_in_folder, end_in_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_same_as_folder),
        TEST(test_texts),
        TEST(test_refused_keys),
    };
    return check_run(tests);
}
