/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // ftello
#include "tools/synthetic_gguf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/paths.h"

#define ALIGNMENT 32u
#define COPY_BYTES (4u << 20)

enum { GGUF_UINT32 = 4, GGUF_INT32 = 5, GGUF_FLOAT32 = 6, GGUF_STRING = 8, GGUF_ARRAY = 9 };
enum { TYPE_F32 = 0, TYPE_Q4_0 = 2 };

struct writer {
    const struct pk_source *s;
    FILE *f;
    const char *arch; /* as GGUF says it */
    uint64_t keys, tensors, offset;
    bool data; /* tensors are written, not only listed */
    uint8_t *copy;
    struct pk_error *e;
};

static void put(struct writer *w, const void *bytes, size_t n) {
    fwrite(bytes, 1, n, w->f);
}

static void put_u32(struct writer *w, uint32_t v) {
    put(w, &v, 4);
}

static void put_u64(struct writer *w, uint64_t v) {
    put(w, &v, 8);
}

static void put_string(struct writer *w, const char *s) {
    put_u64(w, strlen(s));
    put(w, s, strlen(s));
}

static void align(struct writer *w) {
    static const uint8_t zeros[ALIGNMENT];
    put(w, zeros, (ALIGNMENT - (uint64_t)ftello(w->f) % ALIGNMENT) % ALIGNMENT);
}

/* ---- Metadata ---- */

static void key(struct writer *w, const char *name, uint32_t type) {
    put_string(w, name);
    put_u32(w, type);
    w->keys++;
}

static void key_u32(struct writer *w, const char *name, uint32_t v) {
    char full[96];
    snprintf(full, sizeof(full), "%s.%s", w->arch, name);
    key(w, full, GGUF_UINT32);
    put_u32(w, v);
}

static void key_f32(struct writer *w, const char *name, float v) {
    char full[96];
    snprintf(full, sizeof(full), "%s.%s", w->arch, name);
    key(w, full, GGUF_FLOAT32);
    put(w, &v, 4);
}

static void array(struct writer *w, const char *name, uint32_t type, uint64_t n) {
    key(w, name, GGUF_ARRAY);
    put_u32(w, type);
    put_u64(w, n);
}

/* Bytes, then "t256", "t257", …: SentencePiece's kind of vocabulary, the one that needs no merges. */
static void vocabulary(struct writer *w) {
    const uint32_t n = w->s->model.vocab;
    char text[16];
    key(w, "tokenizer.ggml.model", GGUF_STRING);
    put_string(w, "llama");
    array(w, "tokenizer.ggml.tokens", GGUF_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(text, sizeof(text), i < 256 ? "<0x%02X>" : "t%u", i);
        put_string(w, text);
    }
    array(w, "tokenizer.ggml.scores", GGUF_FLOAT32, n);
    for (uint32_t i = 0; i < n; i++) {
        put_u32(w, 0);
    }
    array(w, "tokenizer.ggml.token_type", GGUF_INT32, n);
    for (uint32_t i = 0; i < n; i++) {
        put_u32(w, i < 256 ? 6 : 1); // byte, normal
    }
}

static void metadata(struct writer *w) {
    const struct mx_model *m = &w->s->model;
    const struct mx_layer *l = &w->s->layers[m->layers - 1];
    key(w, "general.architecture", GGUF_STRING);
    put_string(w, w->arch);
    key_u32(w, "block_count", m->layers);
    key_u32(w, "context_length", m->max_positions);
    key_u32(w, "embedding_length", m->hidden);
    key_u32(w, "feed_forward_length", l->routed ? (uint32_t)w->s->shared_width : l->width);
    key_u32(w, "attention.head_count", m->heads);
    key_u32(w, "attention.head_count_kv", m->kv_heads);
    key_f32(w, "attention.layer_norm_rms_epsilon", m->rms_eps);
    key_f32(w, "rope.freq_base", m->rope_theta);
    key_u32(w, "rope.dimension_count", m->head_dim);
    key_u32(w, "vocab_size", m->vocab);
    if (l->routed) {
        key_u32(w, "expert_count", l->routed);
        key_u32(w, "expert_used_count", l->top_k);
        key_u32(w, "expert_feed_forward_length", l->width);
        key_u32(w, "expert_shared_feed_forward_length", (uint32_t)w->s->shared_width);
    }
    vocabulary(w);
}

/* ---- Tensors: the same walk lists them and writes them ---- */

static bool copy_rows(struct writer *w, const struct pk_tensor *t) {
    uint64_t step = COPY_BYTES / t->row_bytes;
    for (uint64_t row = 0; row < t->rows; row += step) {
        uint64_t n = t->rows - row < step ? t->rows - row : step;
        if (!pk_source_read_rows(w->s, t, row, n, w->copy, w->e)) {
            return false;
        }
        put(w, w->copy, n * t->row_bytes);
    }
    return true;
}

/* The tensor `to`: `from`, with %u for the expert's number when there are several. */
static bool tensor(struct writer *w, const char *to, const char *from, uint32_t experts) {
    char name[128];
    const struct pk_tensor *t = NULL;
    for (uint32_t j = 0; j < (experts ? experts : 1); j++) {
        const char *mark = strstr(from, "%u");
        snprintf(name, sizeof(name), "%s", from);
        if (mark) {
            snprintf(name, sizeof(name), "%.*s%u%s", (int)(mark - from), from, j, mark + 2);
        }
        t = pk_source_find(w->s, name);
        if (!t) {
            return pk_fail(w->e, MOXIE_ERROR_MODEL, "no tensor %s", name);
        }
        if (w->data && !copy_rows(w, t)) {
            return false;
        }
    }
    if (w->data) {
        align(w);
        return true;
    }
    uint64_t bytes = t->rows * t->row_bytes * (experts ? experts : 1);
    put_string(w, to);
    put_u32(w, t->n_dims + (experts ? 1 : 0));
    for (uint32_t i = t->n_dims; i-- > 0;) {
        put_u64(w, t->dims[i]);
    }
    if (experts) {
        put_u64(w, experts);
    }
    put_u32(w, t->type == PK_F32 ? TYPE_F32 : TYPE_Q4_0);
    put_u64(w, w->offset);
    w->offset += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    w->tensors++;
    return true;
}

struct pair {
    const char *to, *from;
};

static bool layer_tensors(struct writer *w, uint32_t l, const struct pair *pairs, uint32_t experts) {
    char to[64], from[96];
    for (; pairs->to; pairs++) {
        snprintf(to, sizeof(to), "blk.%u.%s", l, pairs->to);
        snprintf(from, sizeof(from), "model.layers.%u.%s", l, pairs->from);
        if (!tensor(w, to, from, experts)) {
            return false;
        }
    }
    return true;
}

static bool tensors(struct writer *w) {
    static const struct pair attention[] = {{"attn_norm.weight", "input_layernorm.weight"},
                                            {"ffn_norm.weight", "post_attention_layernorm.weight"},
                                            {"attn_q.weight", "self_attn.q_proj.weight"},
                                            {"attn_k.weight", "self_attn.k_proj.weight"},
                                            {"attn_v.weight", "self_attn.v_proj.weight"},
                                            {"attn_output.weight", "self_attn.o_proj.weight"},
                                            {NULL, NULL}};
    static const struct pair biases[] = {{"attn_q.bias", "self_attn.q_proj.bias"},
                                         {"attn_k.bias", "self_attn.k_proj.bias"},
                                         {"attn_v.bias", "self_attn.v_proj.bias"},
                                         {NULL, NULL}};
    static const struct pair dense[] = {{"ffn_gate.weight", "mlp.gate_proj.weight"},
                                        {"ffn_up.weight", "mlp.up_proj.weight"},
                                        {"ffn_down.weight", "mlp.down_proj.weight"},
                                        {NULL, NULL}};
    static const struct pair shared[] = {{"ffn_gate_inp.weight", "mlp.gate.weight"},
                                         {"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"},
                                         {"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"},
                                         {"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"},
                                         {"ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"},
                                         {NULL, NULL}};
    static const struct pair routed[] = {{"ffn_gate_exps.weight", "mlp.experts.%u.gate_proj.weight"},
                                         {"ffn_up_exps.weight", "mlp.experts.%u.up_proj.weight"},
                                         {"ffn_down_exps.weight", "mlp.experts.%u.down_proj.weight"},
                                         {NULL, NULL}};
    const struct mx_model *m = &w->s->model;
    bool ok = tensor(w, "token_embd.weight", "model.embed_tokens.weight", 0) &&
              tensor(w, "output_norm.weight", "model.norm.weight", 0) &&
              (m->tied || tensor(w, "output.weight", "lm_head.weight", 0));
    for (uint32_t l = 0; ok && l < m->layers; l++) {
        uint32_t experts = w->s->layers[l].routed;
        ok = layer_tensors(w, l, attention, 0) && (!w->s->qkv_bias || layer_tensors(w, l, biases, 0)) &&
             layer_tensors(w, l, experts ? shared : dense, 0) && (!experts || layer_tensors(w, l, routed, experts));
    }
    return ok;
}

/* The header twice: numbers of keys and tensors are known after the first time. */
static bool write_all(struct writer *w) {
    uint64_t keys = 0, count = 0;
    for (int pass = 0; pass < 2; pass++) {
        rewind(w->f);
        w->keys = w->tensors = w->offset = 0;
        put(w, "GGUF", 4);
        put_u32(w, 3);
        put_u64(w, count);
        put_u64(w, keys);
        metadata(w);
        w->data = false;
        if (!tensors(w)) {
            return false;
        }
        keys = w->keys;
        count = w->tensors;
    }
    align(w);
    w->data = true;
    return tensors(w);
}

bool synthetic_gguf(const struct pk_source *s, const char *path, struct pk_error *e) {
    static const struct pair names[] = {
        {"qwen2moe", "qwen2_moe"}, {"qwen2", "qwen2"}, {"llama", "llama"}, {NULL, NULL}};
    const struct pair *arch = names;
    while (arch->to && strcmp(arch->from, s->model.architecture) != 0) {
        arch++;
    }
    if (!arch->to) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "no GGUF is written of architecture %s", s->model.architecture);
    }
    struct out_file out;
    struct writer w = {.s = s, .arch = arch->to, .copy = malloc(COPY_BYTES), .e = e};
    if (!w.copy) {
        return pk_fail_memory(e) != NULL;
    }
    bool ok = false, opened = out_file_open(&out, path);
    if (opened) {
        w.f = out.file;
        ok = write_all(&w);
    }
    bool written = ok && out_file_commit(&out);
    if (!written && (ok || !opened)) {
        pk_fail(e, MOXIE_ERROR_FILE, "%s: cannot be written: %s", path, strerror(errno));
    }
    if (opened && !ok) {
        out_file_discard(&out);
    }
    free(w.copy);
    return written;
}
