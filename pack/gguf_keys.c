/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of a GGUF header that pk_gguf_read has checked. */
#include <stdlib.h>
#include <string.h>

#include "pack/gguf.h"

const uint8_t pk_gguf_value_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

uint64_t pk_gguf_load(const uint8_t *p, unsigned bytes) {
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint64_t)p[i] << 8 * i;
    }
    return v;
}

static int compare_text(struct pk_text a, struct pk_text b) {
    int order = memcmp(a.bytes, b.bytes, a.length < b.length ? a.length : b.length);
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

int pk_gguf_by_name(const void *a, const void *b) {
    return compare_text(((const struct pk_gguf_key *)a)->name, ((const struct pk_gguf_key *)b)->name);
}

const struct pk_gguf_key *pk_gguf_find(const struct pk_gguf *g, const char *name) {
    struct pk_gguf_key key = {.name = {name, strlen(name)}};
    return g->n_keys ? bsearch(&key, g->keys, g->n_keys, sizeof(key), pk_gguf_by_name) : NULL;
}

bool pk_gguf_integer(const struct pk_gguf_key *k, uint64_t i, int64_t *out) {
    if (i >= k->count || k->element == PK_GGUF_F32 || k->element == PK_GGUF_F64 || k->element == PK_GGUF_STRING) {
        return false;
    }
    unsigned bytes = pk_gguf_value_bytes[k->element];
    uint64_t v = pk_gguf_load(k->data + i * bytes, bytes);
    bool is_signed = k->element == PK_GGUF_I8 || k->element == PK_GGUF_I16 || k->element == PK_GGUF_I32;
    if (is_signed && v >> (8 * bytes - 1)) {
        v |= UINT64_MAX << 8 * bytes;
    }
    if (k->element == PK_GGUF_U64 && v > INT64_MAX) {
        return false;
    }
    memcpy(out, &v, sizeof(*out));
    return true;
}

bool pk_gguf_number(const struct pk_gguf_key *k, uint64_t i, double *out) {
    int64_t integer;
    if (pk_gguf_integer(k, i, &integer)) {
        *out = (double)integer;
        return true;
    }
    if (i >= k->count) {
        return false;
    }
    if (k->element == PK_GGUF_F32) {
        float f;
        memcpy(&f, k->data + 4 * i, 4);
        *out = (double)f;
        return true;
    }
    if (k->element == PK_GGUF_F64) {
        memcpy(out, k->data + 8 * i, 8);
        return true;
    }
    return false;
}

struct pk_text pk_gguf_next_string(const uint8_t **at) {
    struct pk_text text = {(const char *)*at + 8, pk_gguf_load(*at, 8)};
    *at += 8 + text.length;
    return text;
}

struct pk_text pk_gguf_string(const struct pk_gguf *g, const char *name) {
    const struct pk_gguf_key *k = pk_gguf_find(g, name);
    if (!k || k->type != PK_GGUF_STRING) {
        return (struct pk_text){NULL, 0};
    }
    const uint8_t *at = k->data;
    return pk_gguf_next_string(&at);
}

bool pk_text_equals(struct pk_text text, const char *other) {
    return text.bytes && text.length == strlen(other) && memcmp(text.bytes, other, text.length) == 0;
}
