/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of a Hugging Face folder: chat template, licence. */
#define _POSIX_C_SOURCE 200809L // strdup
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "pack/hf_config.h"
#include "pack/json_util.h"

#define TEXT_MAX_BYTES (16u << 20)
#define TOKENIZER_MAX_BYTES (256u << 20)

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

static bool read_template(struct pk_source *s, struct pk_error *e) {
    char *path = pk_folder_path(s->folder, "tokenizer_config.json", e);
    bool ok = path != NULL;
    if (ok && pk_folder_has(s->folder, "tokenizer_config.json")) {
        json_t *config = pk_json_in(s->folder, "tokenizer_config.json", TOKENIZER_MAX_BYTES, e);
        struct pk_json j = {config, path, e};
        const char *text = NULL;
        ok = config && template_of(&j, &text);
        bool unnamed = ok && !text && json_array_size(pk_json_get(&j, "chat_template")) > 0;
        if (unnamed && !pk_source_note(s, e, "none of the chat templates is called \"default\": they are ignored")) {
            ok = false;
        }
        if (ok && text && !(s->chat_template = strdup(text))) {
            pk_fail_memory(e);
            ok = false;
        }
        json_decref(config);
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
    return load_text(s, "chat_template.jinja", &s->chat_template, e) && (s->chat_template || read_template(s, e));
}
