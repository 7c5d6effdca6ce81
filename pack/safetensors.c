/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strdup
#include "pack/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "pack/json_util.h"

#define HEADER_MAX 100000000u // the limit of the reference implementation
#define NAME_MAX_BYTES 255

static const struct {
    const char *name;
    uint8_t bits;
    enum pk_type type;
} dtypes[] = {
    {"F32", 32, PK_F32},      {"F16", 16, PK_F16},          {"BF16", 16, PK_BF16},        {"F64", 64, PK_OTHER},
    {"C64", 64, PK_OTHER},    {"I64", 64, PK_OTHER},        {"U64", 64, PK_OTHER},        {"I32", 32, PK_OTHER},
    {"U32", 32, PK_OTHER},    {"I16", 16, PK_OTHER},        {"U16", 16, PK_OTHER},        {"I8", 8, PK_OTHER},
    {"U8", 8, PK_OTHER},      {"BOOL", 8, PK_OTHER},        {"F8_E4M3", 8, PK_OTHER},     {"F8_E5M2", 8, PK_OTHER},
    {"F8_E8M0", 8, PK_OTHER}, {"F8_E4M3FNUZ", 8, PK_OTHER}, {"F8_E5M2FNUZ", 8, PK_OTHER}, {"F6_E2M3", 6, PK_OTHER},
    {"F6_E3M2", 6, PK_OTHER}, {"F4", 4, PK_OTHER},
};

/* What an error about a tensor's entry names. */
struct entry {
    const struct pk_file *f;
    const char *name;
    struct pk_error *e;
};

static bool fail(const struct entry *at, int code, const char *what) {
    return pk_fail(at->e, code, "%s: tensor \"%s\": %s", at->f->path, at->name, what);
}

/* A non-negative integer; jansson itself refuses those past 2^63 - 1. */
static bool whole(const json_t *value, uint64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_dtype(const struct entry *at, const json_t *value, struct pk_safetensor *t, uint8_t *bits) {
    const char *name = json_string_value(value);
    if (!name) {
        return fail(at, MOXIE_ERROR_FORMAT, "\"dtype\" is not a string");
    }
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            t->type = dtypes[i].type;
            t->type_name = dtypes[i].name;
            *bits = dtypes[i].bits;
            return true;
        }
    }
    return pk_fail(at->e, MOXIE_ERROR_FORMAT, "%s: tensor \"%s\": unknown type \"%s\"", at->f->path, at->name, name);
}

/* Fills dims; `n` becomes their product. */
static bool read_shape(const struct entry *at, const json_t *value, struct pk_safetensor *t, uint64_t *n) {
    if (!json_is_array(value) || json_array_size(value) > PK_MAX_DIMS) {
        return fail(at, MOXIE_ERROR_FORMAT, "\"shape\" is not an array of at most 8 integers");
    }
    t->n_dims = (uint32_t)json_array_size(value);
    *n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (!whole(json_array_get(value, i), &t->dims[i])) {
            return fail(at, MOXIE_ERROR_FORMAT, "\"shape\" holds something else than integers from 0");
        }
        if (__builtin_mul_overflow(*n, t->dims[i], n)) {
            return fail(at, MOXIE_ERROR_BOUNDS, "the product of \"shape\" overflows");
        }
    }
    return true;
}

static bool read_entry(const struct entry *at, const json_t *value, uint64_t data, struct pk_safetensor *t) {
    if (!json_is_object(value)) {
        return fail(at, MOXIE_ERROR_FORMAT, "expected an object with dtype, shape and data_offsets");
    }
    uint8_t bits = 0;
    uint64_t n = 0, begin, end;
    if (!read_dtype(at, json_object_get(value, "dtype"), t, &bits) ||
        !read_shape(at, json_object_get(value, "shape"), t, &n)) {
        return false;
    }
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !whole(json_array_get(offsets, 0), &begin) ||
        !whole(json_array_get(offsets, 1), &end)) {
        return fail(at, MOXIE_ERROR_FORMAT, "\"data_offsets\" is not a pair of integers from 0");
    }
    if (json_object_size(value) != 3) {
        return fail(at, MOXIE_ERROR_FORMAT, "has keys other than dtype, shape and data_offsets");
    }
    uint64_t total_bits;
    if (end < begin || __builtin_mul_overflow(n, (uint64_t)bits, &total_bits) || total_bits % 8 ||
        total_bits / 8 != end - begin) {
        return pk_fail(at->e, MOXIE_ERROR_BOUNDS,
                       "%s: tensor \"%s\": %llu elements of %s do not fill data_offsets [%llu, %llu]", at->f->path,
                       at->name, (unsigned long long)n, t->type_name, (unsigned long long)begin,
                       (unsigned long long)end);
    }
    if (end > at->f->bytes - data) {
        return pk_fail(at->e, MOXIE_ERROR_TRUNCATED,
                       "%s: tensor \"%s\" ends at data offset %llu, the file holds %llu bytes of data", at->f->path,
                       at->name, (unsigned long long)end, (unsigned long long)(at->f->bytes - data));
    }
    t->offset = data + begin;
    t->bytes = end - begin;
    return true;
}

static bool check_metadata(const struct pk_file *f, const json_t *value, struct pk_error *e) {
    if (!json_is_object(value)) {
        return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: \"__metadata__\" is not an object", f->path);
    }
    void *it = json_object_iter((json_t *)value);
    for (; it; it = json_object_iter_next((json_t *)value, it)) {
        if (!json_is_string(json_object_iter_value(it))) {
            return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: \"__metadata__\": \"%s\" is not a string", f->path,
                           json_object_iter_key(it));
        }
    }
    return true;
}

static int by_offset(const void *a, const void *b) {
    const struct pk_safetensor *x = a, *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return x->bytes < y->bytes ? -1
                               : x->bytes > y->bytes; // an empty tensor stands before the one it shares an offset with
}

/* The tensors must cover [data, file end) exactly. */
static bool check_cover(const struct pk_safetensors *st, const struct pk_file *f, uint64_t data, struct pk_error *e) {
    uint64_t at = data;
    for (size_t i = 0; i < st->n_tensors; i++) {
        const struct pk_safetensor *t = &st->tensors[i];
        if (t->offset != at) {
            return pk_fail(e, MOXIE_ERROR_BOUNDS,
                           "%s: tensor \"%s\" begins at file offset %llu, the one before ends at %llu", f->path,
                           t->name, (unsigned long long)t->offset, (unsigned long long)at);
        }
        at += t->bytes;
    }
    if (at != f->bytes) {
        return pk_fail(e, MOXIE_ERROR_BOUNDS, "%s: the last tensor ends at file offset %llu, the file at %llu", f->path,
                       (unsigned long long)at, (unsigned long long)f->bytes);
    }
    return true;
}

static bool read_header(struct pk_safetensors *st, const struct pk_file *f, const json_t *header, uint64_t data,
                        struct pk_error *e) {
    st->tensors = calloc(json_object_size(header) + 1, sizeof(*st->tensors));
    if (!st->tensors) {
        pk_fail_memory(e);
        return false;
    }
    void *it = json_object_iter((json_t *)header);
    for (; it; it = json_object_iter_next((json_t *)header, it)) {
        struct entry at = {f, json_object_iter_key(it), e};
        if (strcmp(at.name, "__metadata__") == 0) {
            if (!check_metadata(f, json_object_iter_value(it), e)) {
                return false;
            }
            continue;
        }
        size_t length = strlen(at.name);
        if (length == 0 || length > NAME_MAX_BYTES) {
            return fail(&at, MOXIE_ERROR_FORMAT, "names have 1 to 255 bytes");
        }
        struct pk_safetensor *t = &st->tensors[st->n_tensors];
        if (!read_entry(&at, json_object_iter_value(it), data, t)) {
            return false;
        }
        t->name = strdup(at.name);
        if (!t->name) {
            pk_fail_memory(e);
            return false;
        }
        st->n_tensors++;
    }
    qsort(st->tensors, st->n_tensors, sizeof(*st->tensors), by_offset);
    return check_cover(st, f, data, e);
}

bool pk_safetensors_read(struct pk_safetensors *st, const struct pk_file *f, struct pk_error *e) {
    *st = (struct pk_safetensors){0};
    uint8_t prefix[8];
    if (!pk_file_read(f, 0, prefix, sizeof(prefix), e)) {
        return false;
    }
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) {
        n = n << 8 | prefix[i];
    }
    if (n < 2 || n > HEADER_MAX) {
        return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: header length %llu at offset 0, expected 2 to %u", f->path,
                       (unsigned long long)n, HEADER_MAX);
    }
    if (n > f->bytes - 8) {
        return pk_fail(e, MOXIE_ERROR_TRUNCATED, "%s: header of %llu bytes at offset 8, the file has %llu", f->path,
                       (unsigned long long)n, (unsigned long long)f->bytes);
    }
    char *text = malloc(n);
    if (!text) {
        pk_fail_memory(e);
        return false;
    }
    json_t *header = NULL;
    bool ok = pk_file_read(f, 8, text, n, e);
    if (ok && text[0] != '{') {
        ok = pk_fail(e, MOXIE_ERROR_FORMAT, "%s: the header at offset 8 does not begin with '{'", f->path);
    }
    ok = ok && (header = pk_json_parse(text, n, f->path, e)) && read_header(st, f, header, 8 + n, e);
    json_decref(header);
    free(text);
    if (!ok) {
        pk_safetensors_free(st);
    }
    return ok;
}

void pk_safetensors_free(struct pk_safetensors *st) {
    for (size_t i = 0; i < st->n_tensors; i++) {
        free(st->tensors[i].name);
    }
    free(st->tensors);
    *st = (struct pk_safetensors){0};
}
