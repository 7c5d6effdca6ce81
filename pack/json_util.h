/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON from hostile files: duplicate keys and bad UTF-8 are refused, nesting is limited (jansson: 2048), and values are
 * read by key with their range checked. null counts as absent. */
#ifndef PK_JSON_UTIL_H
#define PK_JSON_UTIL_H

#include <jansson.h>
#include <stdint.h>

#include "pack/folder.h"

/* An object and what an error about it should say. Plain data; the JSON value is borrowed. */
struct pk_json {
    const json_t *object;
    const char *path; /* the file */
    struct pk_error *e;
};

/* The value in `text`; NULL: see `e`. To be released with json_decref. */
json_t *pk_json_parse(const char *text, size_t bytes, const char *path, struct pk_error *e);

/* The object in a file of a folder, of at most `max` bytes; anything but an object is an error. */
json_t *pk_json_in(const struct pk_folder *folder, const char *name, uint64_t max, struct pk_error *e);

/* NULL when absent or null. */
const json_t *pk_json_get(const struct pk_json *j, const char *key);

/* Integers in [min, max]. The `_or` forms give `fallback` when the key is absent, the others fail. */
bool pk_json_u32(const struct pk_json *j, const char *key, uint32_t min, uint32_t max, uint32_t *out);
bool pk_json_u32_or(const struct pk_json *j, const char *key, uint32_t min, uint32_t max, uint32_t fallback,
                    uint32_t *out);

bool pk_json_bool_or(const struct pk_json *j, const char *key, bool fallback, bool *out);

/* A number (integers too) that is a finite float32 in [min, max]. */
bool pk_json_float_or(const struct pk_json *j, const char *key, double min, double max, float fallback, float *out);

/* `out` is NULL when the key is absent. Borrowed. */
bool pk_json_string(const struct pk_json *j, const char *key, const char **out);

/* Fails with "<path>: <key>: expected <what>". */
bool pk_json_fail(const struct pk_json *j, const char *key, const char *what);

#endif
