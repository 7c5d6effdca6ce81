/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a GGUF file: tokenizer.ggml.* */
#include <string.h>

#include "pack/gguf.h"
#include "pack/tokenizer_vocab.h"

#define KEY(name) "tokenizer.ggml." name

/* Token types of GGUF. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5 };

static bool is_array(const struct pk_gguf_key *key) {
    return key && key->type == PK_GGUF_ARRAY;
}

static bool read_pre(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    struct pk_text model = pk_gguf_string(g, KEY("model")), pre = pk_gguf_string(g, KEY("pre"));
    if (!pk_text_equals(model, "gpt2")) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: " KEY("model") " is \"%.*s\"; supported are \"gpt2\" (byte-level BPE) and \"llama\" "
                                           "(SentencePiece)",
                       v->path, (int)(model.length < 64 ? model.length : 64), model.bytes ? model.bytes : "");
    }
    /* Normalisers are those of the vocabularies' own makers; GGUF does not store them. */
    static const struct {
        const char *name;
        uint32_t pretokenizer, normalizer;
    } known[] = {
        {"qwen2", MX_TOK_PRE_QWEN2, MX_TOK_NORMAL_NFC},
        {"smollm", MX_TOK_PRE_SMOLLM, MX_TOK_NORMAL_NONE},
        {"gpt-2", MX_TOK_PRE_GPT2, MX_TOK_NORMAL_NONE},
        {"olmo", MX_TOK_PRE_GPT2, MX_TOK_NORMAL_NFC},
        {"deepseek-llm", MX_TOK_PRE_DEEPSEEK, MX_TOK_NORMAL_NONE},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (pk_text_equals(pre, known[i].name)) {
            v->pretokenizer = known[i].pretokenizer;
            v->normalizer = known[i].normalizer;
            return true;
        }
    }
    return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                   "%s: pre-tokenizer " KEY("pre") " \"%.*s\" is not one of qwen2, smollm, gpt-2, olmo, deepseek-llm",
                   v->path, (int)(pre.length < 64 ? pre.length : 64), pre.bytes ? pre.bytes : "");
}

static bool read_tokens(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    const struct pk_gguf_key *tokens = pk_gguf_find(g, KEY("tokens")), *types = pk_gguf_find(g, KEY("token_type"));
    if (!is_array(tokens) || tokens->element != PK_GGUF_STRING || !is_array(types) || types->count != tokens->count) {
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
    if (!is_array(merges) || merges->element != PK_GGUF_STRING) {
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

static bool read_flag(const struct pk_gguf *g, const struct pk_vocab *v, const char *name, bool *out,
                      struct pk_error *e) {
    const struct pk_gguf_key *key = pk_gguf_find(g, name);
    int64_t value = *out;
    if (key && !pk_gguf_integer(key, 0, &value)) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: %s is not a bool", v->path, name);
    }
    *out = value != 0;
    return true;
}

/* What ends an answer: eos, eot, and the tokens that end a text or a turn by their name. */
static bool read_ends(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    static const char *const names[] = {"<|im_end|>", "<|endoftext|>", "<end_of_turn>"};
    uint32_t eot = MX_TOK_NONE;
    if (!read_id(g, v, KEY("eos_token_id"), &v->eos, e) || !read_id(g, v, KEY("eot_token_id"), &eot, e) ||
        (v->eos != MX_TOK_NONE && !pk_vocab_add_end(v, v->eos, e)) ||
        (eot != MX_TOK_NONE && !pk_vocab_add_end(v, eot, e))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t id = pk_vocab_find(v, names[i], strlen(names[i]));
        if (id != MX_TOK_NONE && v->tokens[id].kind != MX_TOK_NORMAL && !pk_vocab_add_end(v, id, e)) {
            return false;
        }
    }
    return true;
}

static bool read_special_ids(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    bool add_bos = (v->flags & MX_TOK_ADD_BOS) != 0, add_eos = false;
    if (!read_ends(g, v, e) || !read_flag(g, v, KEY("add_bos_token"), &add_bos, e) ||
        !read_flag(g, v, KEY("add_eos_token"), &add_eos, e)) {
        return false;
    }
    if (add_eos) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER,
                       "%s: " KEY("add_eos_token") ": a token behind every text is not supported", v->path);
    }
    v->flags = (v->flags & ~MX_TOK_ADD_BOS) | (add_bos ? MX_TOK_ADD_BOS : 0);
    return read_id(g, v, KEY("bos_token_id"), &v->bos, e) && read_id(g, v, KEY("unknown_token_id"), &v->unknown, e);
}

/* tokenizer.ggml.model "llama": SentencePiece. What is absent has llama.cpp's defaults. */
static bool read_pieces(const struct pk_gguf *g, struct pk_vocab *v, struct pk_error *e) {
    const struct pk_gguf_key *tokens = pk_gguf_find(g, KEY("tokens")), *types = pk_gguf_find(g, KEY("token_type"));
    const struct pk_gguf_key *scores = pk_gguf_find(g, KEY("scores"));
    bool prefix = true;
    if (!is_array(tokens) || tokens->element != PK_GGUF_STRING || !is_array(types) || !is_array(scores) ||
        types->count != tokens->count || scores->count != tokens->count) {
        return pk_fail(
            e, MOXIE_ERROR_TOKENIZER,
            "%s: " KEY("tokens") ", " KEY("scores") " and " KEY("token_type") " are not arrays of one length", v->path);
    }
    const uint8_t *at = tokens->data;
    for (uint64_t i = 0; i < tokens->count; i++) {
        struct pk_text text = pk_gguf_next_string(&at);
        int64_t type;
        double score;
        if (!pk_gguf_integer(types, i, &type) || !pk_gguf_number(scores, i, &score)) {
            return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: token %llu has no number for its type or score", v->path,
                           (unsigned long long)i);
        }
        if (!pk_vocab_add_piece(v, text.bytes, text.length, type, score, e)) {
            return false;
        }
    }
    if (!read_flag(g, v, KEY("add_space_prefix"), &prefix, e) || !pk_vocab_finish_pieces(v, prefix, e)) {
        return false;
    }
    v->flags |= MX_TOK_ADD_BOS;
    v->bos = v->n_tokens > 2 ? 1 : MX_TOK_NONE;
    v->eos = v->n_tokens > 2 ? 2 : MX_TOK_NONE;
    v->unknown = 0;
    return true;
}

bool pk_tokenizer_from_gguf(const struct pk_gguf *g, const char *path, struct pk_vocab *v, struct pk_error *e) {
    if (!pk_vocab_init(v, path, e)) {
        return false;
    }
    if (!pk_gguf_find(g, KEY("model")) && !pk_gguf_find(g, KEY("tokens"))) {
        return true;
    }
    if (pk_text_equals(pk_gguf_string(g, KEY("model")), "llama")) {
        return read_pieces(g, v, e) && read_special_ids(g, v, e);
    }
    return read_pre(g, v, e) && read_tokens(g, v, e) && read_merges(g, v, e) && read_special_ids(g, v, e);
}
