/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a Hugging Face folder: tokenizer.json, or vocab.json with merges.txt and the class that
 * tokenizer_config.json names; beside them tokenizer_config.json, added_tokens.json and special_tokens_map.json. */
#include <stdlib.h>
#include <string.h>

#include "pack/tokenizer_vocab.h"

#define FILE_MAX_BYTES (256u << 20)
#define END_OF_TURN "<|im_end|>"

struct hf {
    const struct pk_folder *folder;
    struct pk_vocab *v;
    struct pk_error *e;
    struct pk_json tokenizer; /* tokenizer.json; object NULL: not there */
    struct pk_json config;    /* tokenizer_config.json, likewise */
    struct pk_json map;       /* special_tokens_map.json, likewise */
    struct pk_json added;     /* added_tokens.json, likewise */
};

/* Loads file `name` into v->json[slot] when it is there. */
static bool load(struct hf *h, size_t slot, const char *name, struct pk_json *out) {
    *out = (struct pk_json){NULL, name, h->e};
    if (!pk_folder_has(h->folder, name)) {
        return true;
    }
    h->v->json[slot] = pk_json_in(h->folder, name, FILE_MAX_BYTES, h->e);
    out->object = h->v->json[slot];
    return out->object != NULL;
}

/* A token is named by a string or by an object with "content". */
static const char *token_name(const json_t *value) {
    return json_is_object(value) ? json_string_value(json_object_get(value, "content")) : json_string_value(value);
}

static const char *special_name(const struct hf *h, const char *key) {
    const char *name = token_name(json_object_get(h->config.object, key));
    return name ? name : token_name(json_object_get(h->map.object, key));
}

static bool is_listed(const json_t *list, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *other = token_name(json_array_get(list, i));
        if (other && strcmp(other, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_special_name(const struct hf *h, const char *name) {
    static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *special = special_name(h, keys[i]);
        if (special && strcmp(special, name) == 0) {
            return true;
        }
    }
    return is_listed(json_object_get(h->config.object, "additional_special_tokens"), name) ||
           is_listed(json_object_get(h->map.object, "additional_special_tokens"), name);
}

static bool read_vocab(struct hf *h, const char *path, json_t *vocab) {
    const char *text;
    json_t *id;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0) {
        return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: the vocabulary is not an object of tokens", path);
    }
    json_object_foreach(vocab, text, id) {
        if (!json_is_integer(id)) {
            return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: the id of \"%.64s\" is not an integer", path, text);
        }
        if (!pk_vocab_set(h->v, json_integer_value(id), text, strlen(text), MX_TOK_NORMAL, h->e)) {
            return false;
        }
    }
    return true;
}

/* One entry of added_tokens or added_tokens_decoder. */
static bool read_added(struct hf *h, const char *path, json_int_t id, const json_t *token) {
    static const char *const refused[] = {"single_word", "lstrip", "rstrip"};
    const char *text = json_string_value(json_object_get(token, "content"));
    if (!text) {
        return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: added token %lld has no content", path, (long long)id);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (json_is_true(json_object_get(token, refused[i]))) {
            return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: added token \"%.64s\": %s is not supported", path, text,
                           refused[i]);
        }
    }
    if (h->v->normalizer != MX_TOK_NORMAL_NONE && json_is_true(json_object_get(token, "normalized"))) {
        return pk_fail(h->e, MOXIE_ERROR_TOKENIZER,
                       "%s: added token \"%.64s\": \"normalized\" beside a normaliser is not supported", path, text);
    }
    uint32_t kind = json_is_true(json_object_get(token, "special")) ? MX_TOK_CONTROL : MX_TOK_USER;
    return pk_vocab_set(h->v, id, text, strlen(text), kind, h->e);
}

static bool read_added_lists(struct hf *h) {
    const json_t *list = pk_json_get(&h->tokenizer, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *token = json_array_get(list, i), *id = json_object_get(token, "id");
        if (!json_is_integer(id)) {
            return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: added token %zu has no id", h->tokenizer.path, i);
        }
        if (!read_added(h, h->tokenizer.path, json_integer_value(id), token)) {
            return false;
        }
    }
    json_t *decoder = json_object_get(h->config.object, "added_tokens_decoder"), *token, *number;
    const char *key;
    json_object_foreach(decoder, key, token) {
        char *end;
        long long id = strtoll(key, &end, 10);
        if (end == key || *end) {
            return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: added_tokens_decoder: \"%.64s\" is no id", h->config.path,
                           key);
        }
        if (!read_added(h, h->config.path, id, token)) {
            return false;
        }
    }
    json_object_foreach((json_t *)h->added.object, key, number) {
        uint32_t kind = is_special_name(h, key) ? MX_TOK_CONTROL : MX_TOK_USER;
        json_int_t id = json_is_integer(number) ? json_integer_value(number) : -1;
        bool known = id >= 0 && id < h->v->n_tokens && h->v->tokens[id].kind >= MX_TOK_CONTROL &&
                     h->v->tokens[id].kind != MX_TOK_UNUSED; /* the other lists say more */
        if (!known && !pk_vocab_set(h->v, id, key, strlen(key), kind, h->e)) {
            return false;
        }
    }
    return true;
}

static bool read_merge_array(struct hf *h, const json_t *merges) {
    size_t n = json_array_size(merges);
    if (!json_is_array(merges)) {
        return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: \"merges\" is not an array", h->tokenizer.path);
    }
    if (!pk_vocab_reserve_merges(h->v, n, h->e)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *merge = json_array_get(merges, i);
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        if (json_is_string(merge)) {
            if (!pk_vocab_add_merge(h->v, json_string_value(merge), json_string_length(merge), h->e)) {
                return false;
            }
        } else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right)) {
            h->v->merges[h->v->n_merges++] =
                (struct pk_vocab_merge){json_string_value(left), json_string_value(right),
                                        (uint32_t)json_string_length(left), (uint32_t)json_string_length(right)};
        } else {
            return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: merge %zu is neither \"a b\" nor [\"a\", \"b\"]",
                           h->tokenizer.path, i);
        }
    }
    return true;
}

/* merges.txt: an optional line "#version: …", then one merge a line. */
static bool read_merges_txt(struct hf *h) {
    uint64_t bytes = 0, lines = 1;
    h->v->owned = pk_folder_load(h->folder, "merges.txt", FILE_MAX_BYTES, &bytes, h->e);
    if (!h->v->owned) {
        return false;
    }
    const char *at = h->v->owned, *end = at + bytes;
    for (const char *p = at; p < end; p++) {
        lines += *p == '\n';
    }
    if (!pk_vocab_reserve_merges(h->v, lines, h->e)) {
        return false;
    }
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - at);
        n -= n > 0 && at[n - 1] == '\r';
        bool version = at == h->v->owned && n >= 9 && memcmp(at, "#version:", 9) == 0;
        if (n > 0 && !version && !pk_vocab_add_merge(h->v, at, n, h->e)) {
            return false;
        }
        at = stop + 1;
    }
    return true;
}

/* vocab.json and merges.txt say nothing about splitting: the class of the tokenizer does. */
static bool read_slow(struct hf *h) {
    const char *class = json_string_value(json_object_get(h->config.object, "tokenizer_class"));
    if (class && strncmp(class, "Qwen2Tokenizer", 14) == 0) {
        h->v->pretokenizer = MX_TOK_PRE_QWEN2;
        h->v->normalizer = MX_TOK_NORMAL_NFC;
    } else if (class && strncmp(class, "GPT2Tokenizer", 13) == 0) {
        h->v->pretokenizer = MX_TOK_PRE_GPT2;
    } else {
        return pk_fail(
            h->e, MOXIE_ERROR_TOKENIZER,
            "%s: without tokenizer.json, tokenizer_class must be Qwen2Tokenizer or GPT2Tokenizer, found %.64s",
            h->config.path, class ? class : "none");
    }
    struct pk_json vocab;
    if (!load(h, 0, "vocab.json", &vocab) || !read_vocab(h, vocab.path, (json_t *)vocab.object) ||
        !read_merges_txt(h)) {
        return false;
    }
    for (uint32_t id = 0; id < h->v->n_tokens; id++) {
        struct pk_vocab_token *t = &h->v->tokens[id];
        if (t->kind == MX_TOK_NORMAL && t->bytes > 1 && is_special_name(h, t->text)) {
            t->kind = MX_TOK_CONTROL;
        }
    }
    const char *bos = special_name(h, "bos_token");
    h->v->add_bos = json_is_true(json_object_get(h->config.object, "add_bos_token"));
    h->v->bos = bos ? pk_vocab_find(h->v, bos, strlen(bos)) : MX_TOK_NONE;
    return true;
}

static bool read_fast(struct hf *h) {
    const json_t *model = json_object_get(h->tokenizer.object, "model");
    return pk_hf_tokenizer_rules(&h->tokenizer, h->v) &&
           read_vocab(h, h->tokenizer.path, json_object_get(model, "vocab")) &&
           read_merge_array(h, json_object_get(model, "merges"));
}

static bool read_special_ids(struct hf *h) {
    struct pk_vocab *v = h->v;
    const char *eos = special_name(h, "eos_token");
    uint32_t end = eos ? pk_vocab_find(v, eos, strlen(eos)) : MX_TOK_NONE;
    uint32_t turn = pk_vocab_find(v, END_OF_TURN, strlen(END_OF_TURN));
    if (end != MX_TOK_NONE && !pk_vocab_add_eos(v, end, h->e)) {
        return false;
    }
    if (turn != MX_TOK_NONE && v->tokens[turn].kind == MX_TOK_CONTROL && !pk_vocab_add_eos(v, turn, h->e)) {
        return false;
    }
    const json_t *model = json_object_get(h->tokenizer.object, "model");
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    unknown = unknown ? unknown : special_name(h, "unk_token");
    v->unknown = unknown ? pk_vocab_find(v, unknown, strlen(unknown)) : MX_TOK_NONE;
    return true;
}

bool pk_tokenizer_from_folder(const struct pk_folder *folder, const char *name, struct pk_vocab *v,
                              struct pk_error *e) {
    struct hf h = {.folder = folder, .v = v, .e = e};
    if (!pk_vocab_init(v, name, e) || !load(&h, 0, "tokenizer.json", &h.tokenizer) ||
        !load(&h, 1, "tokenizer_config.json", &h.config) || !load(&h, 2, "special_tokens_map.json", &h.map) ||
        !load(&h, 3, "added_tokens.json", &h.added)) {
        return false;
    }
    if (!h.tokenizer.object && !pk_folder_has(folder, "vocab.json")) {
        return true;
    }
    return (h.tokenizer.object ? read_fast(&h) : read_slow(&h)) && read_added_lists(&h) && read_special_ids(&h);
}

bool pk_tokenizer_from_hf(const char *path, struct pk_vocab *v, struct pk_error *e) {
    *v = (struct pk_vocab){0};
    struct pk_folder *folder = pk_folder_open(path, e);
    bool ok = folder && pk_tokenizer_from_folder(folder, path, v, e);
    pk_folder_close(folder);
    return ok;
}
