/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/gguf_names.h"

#include <stdio.h>
#include <string.h>

struct mapping {
    const char *gguf, *name;
    enum pk_gguf_kind kind;
    const char *suffix;
};

static const struct mapping of_model[] = {
    {"token_embd.weight", "model.embed_tokens.weight", PK_GGUF_PLAIN, NULL},
    {"output_norm.weight", "model.norm.weight", PK_GGUF_PLAIN, NULL},
    {"output.weight", "lm_head.weight", PK_GGUF_PLAIN, NULL},
};

/* Behind "blk.<l>." and "model.layers.<l>.". */
static const struct mapping of_layer[] = {
    {"attn_norm.weight", "input_layernorm.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_norm.weight", "post_attention_layernorm.weight", PK_GGUF_PLAIN, NULL},
    {"attn_q.weight", "self_attn.q_proj.weight", PK_GGUF_QUERY, NULL},
    {"attn_k.weight", "self_attn.k_proj.weight", PK_GGUF_KEY, NULL},
    {"attn_v.weight", "self_attn.v_proj.weight", PK_GGUF_PLAIN, NULL},
    {"attn_q.bias", "self_attn.q_proj.bias", PK_GGUF_PLAIN, NULL},
    {"attn_k.bias", "self_attn.k_proj.bias", PK_GGUF_PLAIN, NULL},
    {"attn_v.bias", "self_attn.v_proj.bias", PK_GGUF_PLAIN, NULL},
    {"attn_output.weight", "self_attn.o_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_gate.weight", "mlp.gate_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_up.weight", "mlp.up_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_down.weight", "mlp.down_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_gate_inp.weight", "mlp.gate.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_gate_exps.weight", "mlp.experts.", PK_GGUF_STACK, "gate_proj.weight"},
    {"ffn_up_exps.weight", "mlp.experts.", PK_GGUF_STACK, "up_proj.weight"},
    {"ffn_down_exps.weight", "mlp.experts.", PK_GGUF_STACK, "down_proj.weight"},
    {"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight", PK_GGUF_PLAIN, NULL},
};

static const struct mapping *find(const struct mapping *table, size_t n, const char *gguf, size_t length) {
    for (size_t i = 0; i < n; i++) {
        if (strlen(table[i].gguf) == length && memcmp(table[i].gguf, gguf, length) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* Length of "blk.<digits>." at the start of `gguf`, without a leading zero; 0 when it does not begin so. */
static size_t layer_prefix(const char *gguf, size_t length) {
    size_t at = 4;
    if (length < 6 || memcmp(gguf, "blk.", 4) != 0) {
        return 0;
    }
    while (at < length && gguf[at] >= '0' && gguf[at] <= '9') {
        at++;
    }
    bool plain = at > 4 && at < length && gguf[at] == '.' && (gguf[4] != '0' || at == 5);
    return plain ? at + 1 : 0;
}

enum pk_gguf_kind pk_gguf_map_name(const char *gguf, size_t length, char *name, size_t size, const char **suffix) {
    size_t prefix = layer_prefix(gguf, length);
    const struct mapping *m =
        prefix ? find(of_layer, sizeof(of_layer) / sizeof(of_layer[0]), gguf + prefix, length - prefix)
               : find(of_model, sizeof(of_model) / sizeof(of_model[0]), gguf, length);
    *suffix = NULL;
    int n = -1;
    if (m && prefix) {
        n = snprintf(name, size, "model.layers.%.*s%s", (int)prefix - 4, gguf + 4, m->name);
    } else if (m) {
        n = snprintf(name, size, "%s", m->name);
    }
    if (n < 0 || (size_t)n >= size) {
        snprintf(name, size, "%.*s", (int)length, gguf);
        return PK_GGUF_UNKNOWN;
    }
    *suffix = m->suffix;
    return m->kind;
}
