/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a GGUF file: tokenizer.ggml.* */
#include <string.h>

#include "pack/gguf.h"
#include "pack/tokenizer_vocab.h"

#define KEY(name) "tokenizer.ggml." name

/* Token types of GGUF. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5 };

static bool read_pre(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    struct pk_text model = pk_gguf_string(g, KEY("model")), pre = pk_gguf_string(g, KEY("pre"));
    if (!pk_text_equals(model, "gpt2")) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: " KEY("model") " is \"%.*s\"; only \"gpt2\" (byte-level BPE) is supported", v->path,
                       (int)(model.length < 64 ? model.length : 64), model.bytes ? model.bytes : "");
    }
    if (pk_text_equals(pre, "qwen2")) {
        v->pretokenizer = MX_TOK_PRE_QWEN2;
        v->normalizer = MX_TOK_NORMAL_NFC; /* of the vocabulary's own makers; GGUF does not store it */
    } else if (pk_text_equals(pre, "smollm")) {
        v->pretokenizer = MX_TOK_PRE_SMOLLM;
    } else if (pk_text_equals(pre, "gpt-2")) {
        v->pretokenizer = MX_TOK_PRE_GPT2;
    } else {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: pre-tokenizer " KEY("pre") " \"%.*s\" is not one of qwen2, smollm, gpt-2", v->path,
                       (int)(pre.length < 64 ? pre.length : 64), pre.bytes ? pre.bytes : "");
    }
    return true;
}

static bool read_tokens(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    const struct pk_gguf_key *tokens = pk_gguf_find(g, KEY("tokens")), *types = pk_gguf_find(g, KEY("token_type"));
    if (!tokens || tokens->type != PK_GGUF_ARRAY || tokens->element != PK_GGUF_STRING || !types ||
        types->type != PK_GGUF_ARRAY || types->count != tokens->count) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: " KEY("tokens") " and " KEY("token_type") " are not arrays of one length", v->path);
    }
    const uint8_t *at = tokens->data;
    for (uint64_t i = 0; i < tokens->count; i++) {
        struct pk_text text = pk_gguf_next_string(&at);
        int64_t type;
        if (!pk_gguf_integer(types, i, &type) || type < TYPE_NORMAL || type > TYPE_UNUSED) {
            return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                           "%s: " KEY("token_type") " of token %llu is none of a byte-level BPE", v->path,
                           (unsigned long long)i);
        }
        uint32_t kind = type == TYPE_NORMAL ? MX_TOK_NORMAL : type == TYPE_USER ? MX_TOK_USER : MX_TOK_CONTROL;
        bool unused = type == TYPE_UNUSED;
        if (!pk_vocab_set(v, (int64_t)i, unused ? "" : text.bytes, unused ? 0 : text.length,
                          unused ? MX_TOK_UNUSED : kind, e)) {
            return false;
        }
    }
    return true;
}

static bool read_merges(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    const struct pk_gguf_key *merges = pk_gguf_find(g, KEY("merges"));
    if (!merges || merges->type != PK_GGUF_ARRAY || merges->element != PK_GGUF_STRING) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: " KEY("merges") " is not an array of strings", v->path);
    }
    if (!pk_vocab_reserve_merges(v, merges->count, e)) {
        return false;
    }
    const uint8_t *at = merges->data;
    for (uint64_t i = 0; i < merges->count; i++) {
        struct pk_text text = pk_gguf_next_string(&at);
        if (!pk_vocab_add_merge(v, text.bytes, text.length, e)) {
            return false;
        }
    }
    return true;
}

/* The id that a key holds; *id stays as it is when the key is not there. */
static bool read_id(const struct pk_gguf *g, const struct pk_vocab *v, const char *name, uint32_t *id,
                    struct pk_error *e) {
    const struct pk_gguf_key *key = pk_gguf_find(g, name);
    int64_t value;
    if (!key) {
        return true;
    }
    if (!pk_gguf_integer(key, 0, &value) || value < 0 || value >= v->n_tokens) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: %s is not one of the %u tokens", v->path, name, v->n_tokens);
    }
    *id = (uint32_t)value;
    return true;
}

static bool read_special_ids(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    static const char *const ends[] = {KEY("eos_token_id"), KEY("eot_token_id")};
    static const char *const names[] = {"<|im_end|>", "<|endoftext|>"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        uint32_t id = MX_TOK_NONE;
        if (!read_id(g, v, ends[i], &id, e) || (id != MX_TOK_NONE && !pk_vocab_add_eos(v, id, e))) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t id = pk_vocab_find(v, names[i], strlen(names[i]));
        if (id != MX_TOK_NONE && v->tokens[id].kind == MX_TOK_CONTROL && !pk_vocab_add_eos(v, id, e)) {
            return false;
        }
    }
    const struct pk_gguf_key *add_bos = pk_gguf_find(g, KEY("add_bos_token"));
    int64_t add = 0;
    if (add_bos && !pk_gguf_integer(add_bos, 0, &add)) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: " KEY("add_bos_token") " is not a bool", v->path);
    }
    v->add_bos = add != 0;
    return read_id(g, v, KEY("bos_token_id"), &v->bos, e) && read_id(g, v, KEY("unknown_token_id"), &v->unknown, e);
}

bool pk_tokenizer_from_gguf(const struct pk_gguf *g, const char *path, struct pk_vocab *v, struct pk_error *e) {
    if (!pk_vocab_init(v, path, e)) {
        return false;
    }
    if (!pk_gguf_find(g, KEY("model")) && !pk_gguf_find(g, KEY("tokens"))) {
        return true;
    }
    return read_pre(g, v, e) && read_tokens(g, v, e) && read_merges(g, v, e) && read_special_ids(g, v, e);
}
