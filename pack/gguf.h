/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a GGUF file, versions 2 and 3, little-endian:
 *   "GGUF" | u32 version | u64 tensors | u64 keys | keys: {string name, u32 type, value} |
 *   tensors: {string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset} | padding | data
 * A string is a u64 length and its bytes. The header is kept as it stands in the file; keys and strings are views of
 * it. Everything is checked before it is believed: counts against the bytes that are left, tensors against the file. */
#ifndef PK_GGUF_H
#define PK_GGUF_H

#include <stddef.h>

#include "pack/pk_file.h"
#include "pack/source.h"

enum pk_gguf_type {
    PK_GGUF_U8 = 0,
    PK_GGUF_I8 = 1,
    PK_GGUF_U16 = 2,
    PK_GGUF_I16 = 3,
    PK_GGUF_U32 = 4,
    PK_GGUF_I32 = 5,
    PK_GGUF_F32 = 6,
    PK_GGUF_BOOL = 7,
    PK_GGUF_STRING = 8,
    PK_GGUF_ARRAY = 9,
    PK_GGUF_U64 = 10,
    PK_GGUF_I64 = 11,
    PK_GGUF_F64 = 12,
};

/* Bytes inside the header, not NUL-terminated. Valid until pk_gguf_free. */
struct pk_text {
    const char *bytes;
    uint64_t length;
};

struct pk_gguf_key {
    struct pk_text name;
    uint32_t type;       /* enum pk_gguf_type */
    uint32_t element;    /* of an array; else the type itself */
    uint64_t count;      /* elements of an array; else 1 */
    const uint8_t *data; /* first element: a plain value (unaligned), or u64 length and bytes of a string */
};

struct pk_gguf_tensor {
    struct pk_text name; /* at most 63 bytes, none of them NUL */
    enum pk_type type;
    uint32_t n_dims;
    uint64_t dims[4]; /* as the file has them: dims[0] is contiguous */
    uint64_t offset;  /* in the file */
};

struct pk_gguf {
    uint8_t *header;
    uint32_t version;
    struct pk_gguf_key *keys; /* sorted by name */
    size_t n_keys;
    struct pk_gguf_tensor *tensors; /* in file order */
    size_t n_tensors;
};

bool pk_gguf_read(struct pk_gguf *g, const struct pk_file *f, struct pk_error *e);
void pk_gguf_free(struct pk_gguf *g); /* NULL is fine */

/* NULL when there is no such key. */
const struct pk_gguf_key *pk_gguf_find(const struct pk_gguf *g, const char *name);

/* Element `i` of a key whose elements are integers (or bools); signed types are extended. False when the elements are
 * of another type or there are not that many. */
bool pk_gguf_integer(const struct pk_gguf_key *k, uint64_t i, int64_t *out);

/* The same for integers, f32 and f64. */
bool pk_gguf_number(const struct pk_gguf_key *k, uint64_t i, double *out);

/* Walks the strings of a key: `*at` starts as k->data, and each of the k->count calls gives one string. */
struct pk_text pk_gguf_next_string(const uint8_t **at);

/* A key that is a string, not an array; an empty text with bytes NULL when it is not there or is something else. */
struct pk_text pk_gguf_string(const struct pk_gguf *g, const char *name);

bool pk_text_equals(struct pk_text text, const char *other);

/* For gguf.c. */
extern const uint8_t pk_gguf_value_bytes[];              /* by enum pk_gguf_type; 0 for strings and arrays */
uint64_t pk_gguf_load(const uint8_t *p, unsigned bytes); /* little-endian, unaligned */
int pk_gguf_by_name(const void *a, const void *b);       /* order of struct pk_gguf_key for qsort */

#endif
