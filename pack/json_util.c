/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/json_util.h"

#include <stdio.h>
#include <stdlib.h>

json_t *pk_json_parse(const char *text, size_t bytes, const char *path, struct pk_error *e) {
    json_error_t error;
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!value) {
        int code = json_error_code(&error);
        if (code == json_error_out_of_memory) {
            return pk_fail_memory(e);
        }
        bool cut = code == json_error_premature_end_of_input;
        pk_fail(e, cut ? MOXIE_ERROR_TRUNCATED : MOXIE_ERROR_FORMAT, "%s: JSON, line %d, column %d: %s", path,
                error.line, error.column, error.text);
    }
    return value;
}

/* The object in `text` [bytes], which is freed; NULL: see `e`, which was filled before when there is no text. */
static json_t *parse_object(char *text, uint64_t bytes, const char *path, struct pk_error *e) {
    json_t *value = text ? pk_json_parse(text, bytes, path, e) : NULL;
    free(text);
    if (value && !json_is_object(value)) {
        json_decref(value);
        value = NULL;
        pk_fail(e, MOXIE_ERROR_FORMAT, "%s: expected a JSON object", path);
    }
    return value;
}

json_t *pk_json_in(const struct pk_folder *folder, const char *name, uint64_t max, struct pk_error *e) {
    uint64_t bytes = 0;
    char *path = pk_folder_path(folder, name, e), *text = path ? pk_folder_load(folder, name, max, &bytes, e) : NULL;
    json_t *value = parse_object(text, bytes, path, e);
    free(path);
    return value;
}

const json_t *pk_json_get(const struct pk_json *j, const char *key) {
    const json_t *value = json_object_get(j->object, key);
    return value && !json_is_null(value) ? value : NULL;
}

bool pk_json_fail(const struct pk_json *j, const char *key, const char *what) {
    const json_t *value = json_object_get(j->object, key);
    char *found = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    pk_fail(j->e, MOXIE_ERROR_MODEL, "%s: \"%s\": expected %s, found %.100s", j->path, key, what,
            found ? found : "nothing");
    free(found);
    return false;
}

bool pk_json_u32(const struct pk_json *j, const char *key, uint32_t min, uint32_t max, uint32_t *out) {
    const json_t *value = pk_json_get(j, key);
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max) {
        char what[64];
        snprintf(what, sizeof(what), "an integer from %u to %u", min, max);
        return pk_json_fail(j, key, what);
    }
    *out = (uint32_t)json_integer_value(value);
    return true;
}

bool pk_json_u32_or(const struct pk_json *j, const char *key, uint32_t min, uint32_t max, uint32_t fallback,
                    uint32_t *out) {
    *out = fallback;
    return !pk_json_get(j, key) || pk_json_u32(j, key, min, max, out);
}

bool pk_json_bool_or(const struct pk_json *j, const char *key, bool fallback, bool *out) {
    const json_t *value = pk_json_get(j, key);
    if (value && !json_is_boolean(value)) {
        return pk_json_fail(j, key, "true or false");
    }
    *out = value ? json_is_true(value) : fallback;
    return true;
}

bool pk_json_float_or(const struct pk_json *j, const char *key, double min, double max, float fallback, float *out) {
    *out = fallback;
    const json_t *value = pk_json_get(j, key);
    if (!value) {
        return true;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= min && number <= max)) {
        char what[96];
        snprintf(what, sizeof(what), "a number from %g to %g", min, max);
        return pk_json_fail(j, key, what);
    }
    *out = (float)number;
    return true;
}

bool pk_json_string(const struct pk_json *j, const char *key, const char **out) {
    const json_t *value = pk_json_get(j, key);
    if (value && !json_is_string(value)) {
        return pk_json_fail(j, key, "a string");
    }
    *out = value ? json_string_value(value) : NULL;
    return true;
}
