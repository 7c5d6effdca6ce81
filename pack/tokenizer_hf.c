/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a Hugging Face folder: tokenizer.json; or vocab.json with merges.txt and the class that
 * tokenizer_config.json names; or tokenizer.model; or qwen.tiktoken. Beside them tokenizer_config.json,
 * added_tokens.json and special_tokens_map.json. */
#include <stdlib.h>
#include <string.h>

#include "pack/tokenizer_vocab.h"

#define FILE_MAX_BYTES (256u << 20)
#define TIKTOKEN "qwen.tiktoken"

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
        /* In SentencePiece's alphabet bytes have names, and what has a plain space is never made by merging. */
        bool made =
            h->v->alphabet != PK_ALPHABET_SPACES || (pk_vocab_byte_name(text, strlen(text)) < 0 && !strchr(text, ' '));
        if (!pk_vocab_set(h->v, json_integer_value(id), text, strlen(text), made ? MX_TOK_NORMAL : MX_TOK_BYTE, h->e)) {
            return false;
        }
    }
    return true;
}

/* An added token that is looked for in the normalised text: is that another text where it is concerned? (Control tokens
 * are looked for in trusted text only, which has them as they are.) */
static bool normalising_matters(const struct hf *h, const char *text) {
    size_t n = strlen(text);
    if (h->v->normalizer == MX_TOK_NORMAL_SPACES) {
        return pk_json_get(&h->tokenizer, "normalizer") != NULL; /* else spaces are replaced behind the added tokens */
    }
    if (h->v->normalizer == MX_TOK_NORMAL_NONE) {
        return false;
    }
    /* NFC makes K, ` and ; of other characters; letters and <, =, > compose with a mark that follows. */
    for (size_t i = 0; i < n; i++) {
        if ((signed char)text[i] < 0 || strchr("K`;", text[i])) {
            return true;
        }
    }
    char last = n ? text[n - 1] : 'a';
    return (last >= '<' && last <= '>') || (last >= 'A' && last <= 'Z') || (last >= 'a' && last <= 'z');
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
    uint32_t kind = json_is_true(json_object_get(token, "special")) ? MX_TOK_CONTROL : MX_TOK_USER;
    if (kind == MX_TOK_USER && json_is_true(json_object_get(token, "normalized")) && normalising_matters(h, text)) {
        return pk_fail(h->e, MOXIE_ERROR_TOKENIZER,
                       "%s: added token \"%.64s\": \"normalized\" beside this normaliser is not supported", path, text);
    }
    if (kind == MX_TOK_USER && h->v->alphabet == PK_ALPHABET_SPACES && !(h->v->flags & MX_TOK_RANKS) &&
        strstr(text, "\xE2\x96\x81")) {
        /* Only a text that itself writes U+2581 for spaces would have it; merging makes it from spaces. */
        bool made = id >= 0 && id < h->v->n_tokens && h->v->tokens[id].kind == MX_TOK_NORMAL;
        return made || pk_vocab_set(h->v, id, text, strlen(text), MX_TOK_BYTE, h->e);
    }
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
    if ((list && !json_is_array(list)) || (decoder && !json_is_null(decoder) && !json_is_object(decoder))) {
        return list && !json_is_array(list) ? pk_json_fail(&h->tokenizer, "added_tokens", "an array")
                                            : pk_json_fail(&h->config, "added_tokens_decoder", "an object");
    }
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
    return true;
}

/* tokenizer.model has all rules; tokenizer_config.json says whether the space before a text comes again behind control
 * tokens ("legacy", the default). */
static bool read_model(struct hf *h) {
    const json_t *legacy = json_object_get(h->config.object, "legacy");
    if (!pk_vocab_read_sentencepiece(h->folder, "tokenizer.model", h->v, h->e)) {
        return false;
    }
    h->v->flags |= MX_TOK_ADD_BOS | (h->v->flags & MX_TOK_PREFIX && json_is_false(legacy) ? MX_TOK_PREFIX_FIRST : 0);
    return true;
}

static bool read_tiktoken(struct hf *h) {
    return pk_vocab_read_tiktoken(h->folder, TIKTOKEN, h->v, h->e);
}

/* When every byte has a token nothing is ever unknown. Else each unknown byte is one for itself here, and a character
 * becomes all its bytes or none. */
static bool check_bytes(const struct hf *h, const json_t *model) {
    const bool characters = h->v->alphabet == PK_ALPHABET_SPACES;
    unsigned n = 0;
    for (uint32_t id = 0; id < h->v->n_tokens; id++) {
        const struct pk_vocab_token *t = &h->v->tokens[id];
        bool printable = t->bytes == 1 || (t->bytes == 2 && (unsigned char)t->text[0] >= 0xC0);
        n += characters ? t->kind == MX_TOK_BYTE && pk_vocab_byte_name(t->text, t->bytes) >= 0
                        : t->kind == MX_TOK_NORMAL && printable;
    }
    bool fused =
        json_is_true(json_object_get(model, "fuse_unk")) && json_is_string(json_object_get(model, "unk_token"));
    if (n >= 256 || !(characters || fused)) {
        return true;
    }
    return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: %s is not supported where only %u of 256 bytes have a token",
                   h->tokenizer.path, characters ? "byte_fallback" : "fuse_unk", n);
}

static bool read_fast(struct hf *h) {
    const json_t *model = json_object_get(h->tokenizer.object, "model");
    return pk_hf_tokenizer_rules(&h->tokenizer, h->v) &&
           read_vocab(h, h->tokenizer.path, json_object_get(model, "vocab")) && check_bytes(h, model) &&
           read_merge_array(h, json_object_get(model, "merges"));
}

/* These classes put a space before a text whatever tokenizer.json says. */
static bool check_prefix_space(const struct hf *h) {
    const char *class = json_string_value(json_object_get(h->config.object, "tokenizer_class"));
    bool looks = class && (strncmp(class, "GPT2Tokenizer", 13) == 0 || strncmp(class, "Qwen2Tokenizer", 14) == 0);
    return !looks || !json_is_true(json_object_get(h->config.object, "add_prefix_space")) ||
           pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: add_prefix_space: a space before every text is not supported",
                   h->config.path);
}

/* add_bos_token of tokenizer_config.json counts more than tokenizer.json; the classes of Llama and Gemma default to
 * true. */
static bool read_add_bos(struct hf *h) {
    const char *class = json_string_value(json_object_get(h->config.object, "tokenizer_class"));
    const json_t *add = json_object_get(h->config.object, "add_bos_token");
    bool llama = class && (strncmp(class, "LlamaTokenizer", 14) == 0 || strncmp(class, "GemmaTokenizer", 14) == 0);
    if (json_is_true(json_object_get(h->config.object, "add_eos_token"))) {
        return pk_fail(h->e, MOXIE_ERROR_TOKENIZER, "%s: add_eos_token: a token behind every text is not supported",
                       h->config.path);
    }
    if (json_is_true(add) || (llama && !json_is_false(add))) {
        h->v->flags |= MX_TOK_ADD_BOS;
    } else if (json_is_false(add)) {
        h->v->flags &= ~MX_TOK_ADD_BOS;
    }
    return true;
}

/* The id of the token that the configuration calls `key`, else *id as it is. */
static void find_special(const struct hf *h, const char *key, uint32_t *id) {
    const char *name = special_name(h, key);
    uint32_t found = name ? pk_vocab_find(h->v, name, strlen(name)) : MX_TOK_NONE;
    *id = found != MX_TOK_NONE ? found : *id;
}

static bool read_special_ids(struct hf *h) {
    static const char *const turns[] = {"<|im_end|>", "<end_of_turn>"};
    struct pk_vocab *v = h->v;
    const json_t *model = json_object_get(h->tokenizer.object, "model");
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    find_special(h, "bos_token", &v->bos);
    find_special(h, "eos_token", &v->eos);
    find_special(h, "unk_token", &v->unknown);
    if (unknown) {
        v->unknown = pk_vocab_find(v, unknown, strlen(unknown));
    }
    if (v->eos != MX_TOK_NONE && !pk_vocab_add_end(v, v->eos, h->e)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        uint32_t id = pk_vocab_find(v, turns[i], strlen(turns[i]));
        if (id != MX_TOK_NONE && v->tokens[id].kind != MX_TOK_NORMAL && !pk_vocab_add_end(v, id, h->e)) {
            return false;
        }
    }
    return read_add_bos(h) && check_prefix_space(h);
}

bool pk_tokenizer_from_folder(const struct pk_folder *folder, const char *name, struct pk_vocab *v,
                              struct pk_error *e) {
    struct hf h = {.folder = folder, .v = v, .e = e};
    if (!pk_vocab_init(v, name, e) || !load(&h, 0, "tokenizer.json", &h.tokenizer) ||
        !load(&h, 1, "tokenizer_config.json", &h.config) || !load(&h, 2, "special_tokens_map.json", &h.map) ||
        !load(&h, 3, "added_tokens.json", &h.added)) {
        return false;
    }
    bool (*read)(struct hf *) = h.tokenizer.object                         ? read_fast
                                : pk_folder_has(folder, "vocab.json")      ? read_slow
                                : pk_folder_has(folder, "tokenizer.model") ? read_model
                                : pk_folder_has(folder, TIKTOKEN)          ? read_tiktoken
                                                                           : NULL;
    return !read || (read(&h) && read_added_lists(&h) && read_special_ids(&h));
}

bool pk_tokenizer_from_hf(const char *path, struct pk_vocab *v, struct pk_error *e) {
    *v = (struct pk_vocab){0};
    struct pk_folder *folder = pk_folder_open(path, e);
    bool ok = folder && pk_tokenizer_from_folder(folder, path, v, e);
    pk_folder_close(folder);
    return ok;
}
