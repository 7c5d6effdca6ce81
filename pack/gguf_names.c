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
    {"output.bias", "lm_head.bias", PK_GGUF_PLAIN, NULL},
};

/* Behind "blk.<l>." and "model.layers.<l>.". */
static const struct mapping of_layer[] = {
    {"attn_norm.weight", "input_layernorm.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_norm.weight", "post_attention_layernorm.weight", PK_GGUF_PLAIN, NULL},
    {"attn_q.weight", "self_attn.q_proj.weight", PK_GGUF_ROTATED, NULL},
    {"attn_k.weight", "self_attn.k_proj.weight", PK_GGUF_ROTATED, NULL},
    {"attn_v.weight", "self_attn.v_proj.weight", PK_GGUF_PLAIN, NULL},
    {"attn_q.bias", "self_attn.q_proj.bias", PK_GGUF_PLAIN, NULL},
    {"attn_k.bias", "self_attn.k_proj.bias", PK_GGUF_PLAIN, NULL},
    {"attn_v.bias", "self_attn.v_proj.bias", PK_GGUF_PLAIN, NULL},
    {"attn_q_norm.weight", "self_attn.q_norm.weight", PK_GGUF_PLAIN, NULL},
    {"attn_k_norm.weight", "self_attn.k_norm.weight", PK_GGUF_PLAIN, NULL},
    {"attn_output.weight", "self_attn.o_proj.weight", PK_GGUF_PLAIN, NULL},
    {"attn_output.bias", "self_attn.o_proj.bias", PK_GGUF_PLAIN, NULL},
    {"ffn_gate.weight", "mlp.gate_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_up.weight", "mlp.up_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_down.weight", "mlp.down_proj.weight", PK_GGUF_PLAIN, NULL},
    {"ffn_gate.bias", "mlp.gate_proj.bias", PK_GGUF_PLAIN, NULL},
    {"ffn_up.bias", "mlp.up_proj.bias", PK_GGUF_PLAIN, NULL},
    {"ffn_down.bias", "mlp.down_proj.bias", PK_GGUF_PLAIN, NULL},
    {"ffn_gate_inp.bias", "mlp.gate.bias", PK_GGUF_PLAIN, NULL},
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

/* Length of the number at the start of `text`, without a leading zero; 0 when a '.' does not follow it. */
static size_t number(const char *text, size_t length) {
    size_t n = 0;
    while (n < length && text[n] >= '0' && text[n] <= '9') {
        n++;
    }
    return n < length && text[n] == '.' && (n == 1 || text[0] != '0') ? n : 0;
}

/* Length of "blk.<number>." at the start of `gguf`; 0 when it does not begin so. */
static size_t layer_prefix(const char *gguf, size_t length) {
    size_t digits = length > 4 && memcmp(gguf, "blk.", 4) == 0 ? number(gguf + 4, length - 4) : 0;
    return digits ? 4 + digits + 1 : 0;
}

/* The first files of Mixtral have a tensor for each expert: ffn_gate.<number>.weight. */
static const char *find_expert(const char *gguf, size_t length, size_t *digits) {
    static const struct {
        const char *gguf, *name;
    } known[] = {{"ffn_gate.", "gate_proj"}, {"ffn_up.", "up_proj"}, {"ffn_down.", "down_proj"}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t n = strlen(known[i].gguf);
        *digits = length > n && memcmp(gguf, known[i].gguf, n) == 0 ? number(gguf + n, length - n) : 0;
        if (*digits && n + *digits + 7 == length && memcmp(gguf + n + *digits, ".weight", 7) == 0) {
            return known[i].name;
        }
    }
    return NULL;
}

enum pk_gguf_kind pk_gguf_map_name(const char *gguf, size_t length, char *name, size_t size, const char **suffix) {
    size_t prefix = layer_prefix(gguf, length);
    const struct mapping *m =
        prefix ? find(of_layer, sizeof(of_layer) / sizeof(of_layer[0]), gguf + prefix, length - prefix)
               : find(of_model, sizeof(of_model) / sizeof(of_model[0]), gguf, length);
    size_t digits = 0;
    const char *expert = prefix && !m ? find_expert(gguf + prefix, length - prefix, &digits) : NULL;
    *suffix = NULL;
    int n = -1;
    if (m && prefix) {
        n = snprintf(name, size, "model.layers.%.*s%s", (int)prefix - 4, gguf + 4, m->name);
    } else if (expert) {
        n = snprintf(name, size, "model.layers.%.*smlp.experts.%.*s.%s.weight", (int)prefix - 4, gguf + 4, (int)digits,
                     gguf + length - 7 - digits, expert);
    } else if (m) {
        n = snprintf(name, size, "%s", m->name);
    }
    if (n < 0 || (size_t)n >= size) {
        snprintf(name, size, "%.*s", (int)length, gguf);
        return PK_GGUF_UNKNOWN;
    }
    *suffix = m ? m->suffix : NULL;
    return m ? m->kind : PK_GGUF_PLAIN;
}
