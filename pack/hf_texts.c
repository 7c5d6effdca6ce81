/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of a Hugging Face folder: chat template, the token that ends its turns, licence. */
#define _POSIX_C_SOURCE 200809L // strdup
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "pack/hf_config.h"
#include "pack/json_util.h"

#define TEXT_MAX_BYTES (16u << 20)
#define TOKENIZER_MAX_BYTES (256u << 20)
#define END_OF_TURN "<|im_end|>"

static bool is_utf8(const char *text, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(bytes - at), &c);
        if (n <= 0 || c == 0) {
            return false;
        }
        at += (uint64_t)n;
    }
    return true;
}

/* The file `name` of the folder as text; *out stays NULL when there is none. */
static bool load_text(const struct pk_source *s, const char *name, char **out, struct pk_error *e) {
    char *path = pk_folder_path(s->folder, name, e);
    bool ok = path != NULL;
    if (ok && pk_folder_has(s->folder, name)) {
        uint64_t bytes;
        *out = pk_folder_load(s->folder, name, TEXT_MAX_BYTES, &bytes, e);
        ok = *out != NULL;
        if (ok && !is_utf8(*out, bytes)) {
            ok = pk_fail(e, MOXIE_ERROR_FORMAT, "%s: not UTF-8 text", path);
        }
    }
    free(path);
    return ok;
}

/* tokenizer_config.json has the template as a string, or as a list of {"name", "template"}: then "default" counts. */
static bool template_of(const struct pk_json *j, const char **out) {
    const json_t *list = pk_json_get(j, "chat_template");
    if (!json_is_array(list)) {
        return pk_json_string(j, "chat_template", out);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        const char *text = json_string_value(json_object_get(entry, "template"));
        if (!name || !text) {
            return pk_json_fail(j, "chat_template", "a string or a list of {name, template}");
        }
        if (strcmp(name, "default") == 0) {
            *out = text;
        }
    }
    return true;
}

/* `id` of END_OF_TURN: an integer, or the decimal text that is the key of added_tokens_decoder. */
static bool add_end_of_turn(struct pk_source *s, const char *path, const json_t *id, const char *text,
                            struct pk_error *e) {
    char *end = NULL;
    long long number = text ? strtoll(text, &end, 10) : json_integer_value(id);
    if (number < 0 || (text ? end == text || *end : !json_is_integer(id))) {
        return pk_fail(e, MOXIE_ERROR_TOKENIZER, "%s: the id of \"" END_OF_TURN "\" is not an integer from 0", path);
    }
    return pk_model_add_eos(&s->model, (uint64_t)number, path, END_OF_TURN, e);
}

/* tokenizer_config.json: {"added_tokens_decoder": {"151645": {"content": "<|im_end|>", …}, …}} */
static bool end_in_decoder(struct pk_source *s, const struct pk_json *j, bool *found) {
    const json_t *tokens = pk_json_get(j, "added_tokens_decoder");
    void *it = json_object_iter((json_t *)tokens);
    for (; it; it = json_object_iter_next((json_t *)tokens, it)) {
        const char *content = json_string_value(json_object_get(json_object_iter_value(it), "content"));
        if (content && strcmp(content, END_OF_TURN) == 0) {
            *found = true;
            return add_end_of_turn(s, j->path, NULL, json_object_iter_key(it), j->e);
        }
    }
    return true;
}

/* tokenizer.json: {"added_tokens": [{"id": 151645, "content": "<|im_end|>", …}, …], …} */
static bool end_in_tokenizer(struct pk_source *s, const struct pk_json *j) {
    const json_t *tokens = pk_json_get(j, "added_tokens");
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *token = json_array_get(tokens, i);
        const char *content = json_string_value(json_object_get(token, "content"));
        if (content && strcmp(content, END_OF_TURN) == 0) {
            return add_end_of_turn(s, j->path, json_object_get(token, "id"), NULL, j->e);
        }
    }
    return true;
}

static bool read_tokenizer_config(struct pk_source *s, bool *found_end, struct pk_error *e) {
    char *path = pk_folder_path(s->folder, "tokenizer_config.json", e);
    bool ok = path != NULL;
    if (ok && pk_folder_has(s->folder, "tokenizer_config.json")) {
        json_t *config = pk_json_in(s->folder, "tokenizer_config.json", TOKENIZER_MAX_BYTES, e);
        struct pk_json j = {config, path, e};
        const char *text = NULL;
        ok = config && (s->chat_template || template_of(&j, &text)) && end_in_decoder(s, &j, found_end);
        if (ok && text && !(s->chat_template = strdup(text))) {
            pk_fail_memory(e);
            ok = false;
        }
        json_decref(config);
    }
    free(path);
    return ok;
}

static bool read_tokenizer(struct pk_source *s, struct pk_error *e) {
    char *path = pk_folder_path(s->folder, "tokenizer.json", e);
    bool ok = path != NULL;
    if (ok && pk_folder_has(s->folder, "tokenizer.json")) {
        json_t *tokenizer = pk_json_in(s->folder, "tokenizer.json", TOKENIZER_MAX_BYTES, e);
        struct pk_json j = {tokenizer, path, e};
        ok = tokenizer && end_in_tokenizer(s, &j);
        json_decref(tokenizer);
    }
    free(path);
    return ok;
}

bool pk_hf_read_texts(struct pk_source *s, struct pk_error *e) {
    static const char *const licenses[] = {"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"};
    for (size_t i = 0; i < sizeof(licenses) / sizeof(licenses[0]) && !s->license; i++) {
        if (!load_text(s, licenses[i], &s->license, e)) {
            return false;
        }
    }
    bool found_end = false; // the big tokenizer.json is read only when the small file does not know the token
    return load_text(s, "chat_template.jinja", &s->chat_template, e) && read_tokenizer_config(s, &found_end, e) &&
           (found_end || read_tokenizer(s, e));
}
