/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/gguf.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_MAX (1ull << 30)
#define KEYS_MAX 65536u
#define TENSORS_MAX (1u << 20)
#define KEY_MIN_BYTES 13    // empty name, type, one-byte value
#define TENSOR_MIN_BYTES 32 // empty name, n_dims, one dim, type, offset
#define TENSOR_NAME_MAX 63
#define ALIGNMENT_DEFAULT 32
#define ALIGNMENT_MAX (1u << 24)

/* Every tensor type that GGUF files have had, with the elements and bytes of a block. */
static const struct {
    uint32_t id;
    const char *name;
    enum pk_type type;
} tensor_types[] = {
    {0, "F32", PK_F32},        {1, "F16", PK_F16},       {30, "BF16", PK_BF16},     {2, "Q4_0", PK_Q4_0},
    {3, "Q4_1", PK_Q4_1},      {6, "Q5_0", PK_Q5_0},     {7, "Q5_1", PK_Q5_1},      {8, "Q8_0", PK_Q8_0},
    {12, "Q4_K", PK_Q4_K},     {13, "Q5_K", PK_Q5_K},    {14, "Q6_K", PK_Q6_K},     {20, "IQ4_NL", PK_IQ4_NL},
    {9, "Q8_1", PK_OTHER},     {10, "Q2_K", PK_OTHER},   {11, "Q3_K", PK_OTHER},    {15, "Q8_K", PK_OTHER},
    {16, "IQ2_XXS", PK_OTHER}, {17, "IQ2_XS", PK_OTHER}, {18, "IQ3_XXS", PK_OTHER}, {19, "IQ1_S", PK_OTHER},
    {21, "IQ3_S", PK_OTHER},   {22, "IQ2_S", PK_OTHER},  {23, "IQ4_XS", PK_OTHER},  {24, "I8", PK_OTHER},
    {25, "I16", PK_OTHER},     {26, "I32", PK_OTHER},    {27, "I64", PK_OTHER},     {28, "F64", PK_OTHER},
    {29, "IQ1_M", PK_OTHER},   {34, "TQ1_0", PK_OTHER},  {35, "TQ2_0", PK_OTHER},   {39, "MXFP4", PK_OTHER},
};

/* The reader: `header` holds the first `held` bytes of the file and grows on demand; `at` is the position. While it
 * grows, pointers into it are kept as offsets (as_pointer, as_offset). */
struct reader {
    struct pk_gguf *g;
    const struct pk_file *f;
    struct pk_error *e;
    uint64_t at, held;
};

static const void *as_pointer(uint64_t offset) {
    return (const void *)(uintptr_t)offset;
}

static uint64_t left(const struct reader *r) {
    return r->f->bytes - r->at;
}

static bool fail_at(const struct reader *r, int code, const char *what) {
    return pk_fail(r->e, code, "%s: offset %llu: %s", r->f->path, (unsigned long long)r->at, what);
}

/* Makes bytes [at, at + n) readable in `header`. */
static bool need(struct reader *r, uint64_t n, const char *what) {
    if (n > left(r)) {
        return pk_fail(r->e, MOXIE_ERROR_TRUNCATED, "%s: offset %llu: %s needs %llu bytes, the file has %llu left",
                       r->f->path, (unsigned long long)r->at, what, (unsigned long long)n, (unsigned long long)left(r));
    }
    if (n > HEADER_MAX || r->at + n > HEADER_MAX) {
        return fail_at(r, MOXIE_ERROR_BOUNDS, "the header is longer than 1 GiB");
    }
    if (r->at + n <= r->held) {
        return true;
    }
    uint64_t more = r->held ? 2 * r->held : 1u << 16;
    more = more < r->at + n ? r->at + n : more;
    more = more < r->f->bytes ? more : r->f->bytes;
    uint8_t *header = realloc(r->g->header, more);
    if (!header) {
        pk_fail_memory(r->e);
        return false;
    }
    r->g->header = header;
    if (!pk_file_read(r->f, r->held, header + r->held, more - r->held, r->e)) {
        return false;
    }
    r->held = more;
    return true;
}

static bool read_integer(struct reader *r, unsigned bytes, const char *what, uint64_t *out) {
    if (!need(r, bytes, what)) {
        return false;
    }
    *out = pk_gguf_load(r->g->header + r->at, bytes);
    r->at += bytes;
    return true;
}

/* Leaves the offset of the bytes in `text`. */
static bool read_string(struct reader *r, const char *what, struct pk_text *text) {
    uint64_t length;
    if (!read_integer(r, 8, what, &length) || !need(r, length, what)) {
        return false;
    }
    *text = (struct pk_text){as_pointer(r->at), length};
    r->at += length;
    return true;
}

/* A name: at most `max` bytes, none of them NUL. */
static bool read_name(struct reader *r, const char *what, uint64_t max, struct pk_text *text) {
    if (!read_string(r, what, text)) {
        return false;
    }
    if (text->length == 0 || text->length > max || memchr(r->g->header + (uintptr_t)text->bytes, 0, text->length)) {
        return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: offset %llu: a %s has 1 to %llu bytes other than NUL", r->f->path,
                       (unsigned long long)(uintptr_t)text->bytes, what, (unsigned long long)max);
    }
    return true;
}

/* Skips the value of `k`, checking that it lies in the file. */
static bool read_value(struct reader *r, struct pk_gguf_key *k) {
    uint64_t type, element, count = 1;
    if (!read_integer(r, 4, "type of a value", &type)) {
        return false;
    }
    element = type;
    if (type == PK_GGUF_ARRAY &&
        (!read_integer(r, 4, "type of an array", &element) || !read_integer(r, 8, "length of an array", &count))) {
        return false;
    }
    if (element > PK_GGUF_F64 || element == PK_GGUF_ARRAY) {
        return fail_at(r, MOXIE_ERROR_FORMAT, "unknown type of value, or an array of arrays");
    }
    k->type = (uint32_t)type;
    k->element = (uint32_t)element;
    k->count = count;
    k->data = as_pointer(r->at);
    if (element == PK_GGUF_STRING) {
        if (count > left(r) / 8) {
            return fail_at(r, MOXIE_ERROR_TRUNCATED, "an array of strings is longer than the file");
        }
        for (uint64_t i = 0; i < count; i++) {
            struct pk_text skipped;
            if (!read_string(r, "string", &skipped)) {
                return false;
            }
        }
        return true;
    }
    if (count > left(r) / pk_gguf_value_bytes[element]) {
        return fail_at(r, MOXIE_ERROR_TRUNCATED, "a value is longer than the file");
    }
    uint64_t bytes = count * pk_gguf_value_bytes[element];
    if (!need(r, bytes, "value")) {
        return false;
    }
    for (uint64_t i = 0; element == PK_GGUF_BOOL && i < bytes; i++) {
        if (r->g->header[r->at + i] > 1) {
            return fail_at(r, MOXIE_ERROR_FORMAT, "a bool is neither 0 nor 1");
        }
    }
    r->at += bytes;
    return true;
}

static bool read_tensor(struct reader *r, struct pk_gguf_tensor *t) {
    uint64_t n_dims, id, n = 1;
    if (!read_name(r, "tensor name", TENSOR_NAME_MAX, &t->name) || !read_integer(r, 4, "dims of a tensor", &n_dims)) {
        return false;
    }
    const char *name = (const char *)r->g->header + (uintptr_t)t->name.bytes;
    int length = (int)t->name.length;
    if (n_dims < 1 || n_dims > 4) {
        return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: tensor \"%.*s\": %llu dims, expected 1 to 4", r->f->path, length,
                       name, (unsigned long long)n_dims);
    }
    t->n_dims = (uint32_t)n_dims;
    for (uint32_t i = 0; i < n_dims; i++) {
        if (!read_integer(r, 8, "dim of a tensor", &t->dims[i])) {
            return false;
        }
        name = (const char *)r->g->header + (uintptr_t)t->name.bytes;
        if (t->dims[i] == 0 || __builtin_mul_overflow(n, t->dims[i], &n) || n > INT64_MAX) {
            return pk_fail(r->e, MOXIE_ERROR_BOUNDS,
                           "%s: tensor \"%.*s\": dim %u is %llu: zero, or the product overflows", r->f->path, length,
                           name, i, (unsigned long long)t->dims[i]);
        }
    }
    if (!read_integer(r, 4, "type of a tensor", &id) || !read_integer(r, 8, "offset of a tensor", &t->offset)) {
        return false;
    }
    name = (const char *)r->g->header + (uintptr_t)t->name.bytes;
    for (size_t i = 0; i < sizeof(tensor_types) / sizeof(tensor_types[0]); i++) {
        if (tensor_types[i].id == id && tensor_types[i].type == PK_OTHER) {
            return pk_fail(r->e, MOXIE_ERROR_MODEL,
                           "%s: tensor \"%.*s\" has type %s; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, "
                           "Q5_K, Q6_K and IQ4_NL can be packed",
                           r->f->path, length, name, tensor_types[i].name);
        }
        if (tensor_types[i].id == id) {
            t->type = tensor_types[i].type;
            return true;
        }
    }
    return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: tensor \"%.*s\": unknown type %llu", r->f->path, length, name,
                   (unsigned long long)id);
}

static bool read_keys(struct reader *r, uint64_t n) {
    struct pk_gguf *g = r->g;
    if (n > KEYS_MAX || n > left(r) / KEY_MIN_BYTES) {
        return pk_fail(r->e, MOXIE_ERROR_BOUNDS, "%s: offset 16: %llu keys do not fit the file, or are more than %u",
                       r->f->path, (unsigned long long)n, KEYS_MAX);
    }
    if (!(g->keys = calloc(n + 1, sizeof(*g->keys)))) {
        pk_fail_memory(r->e);
        return false;
    }
    for (; g->n_keys < n; g->n_keys++) {
        if (!read_name(r, "key", UINT16_MAX, &g->keys[g->n_keys].name) || !read_value(r, &g->keys[g->n_keys])) {
            return false;
        }
    }
    return true;
}

static bool read_tensors(struct reader *r, uint64_t n) {
    struct pk_gguf *g = r->g;
    if (n > TENSORS_MAX || n > left(r) / TENSOR_MIN_BYTES) {
        return pk_fail(r->e, MOXIE_ERROR_BOUNDS, "%s: offset 8: %llu tensors do not fit the file, or are more than %u",
                       r->f->path, (unsigned long long)n, TENSORS_MAX);
    }
    if (!(g->tensors = calloc(n + 1, sizeof(*g->tensors)))) {
        pk_fail_memory(r->e);
        return false;
    }
    for (; g->n_tensors < n; g->n_tensors++) {
        if (!read_tensor(r, &g->tensors[g->n_tensors])) {
            return false;
        }
    }
    return true;
}

/* The header no longer moves: offsets become pointers, keys are sorted, and none may appear twice. */
static bool settle_keys(struct reader *r) {
    struct pk_gguf *g = r->g;
    for (size_t i = 0; i < g->n_keys; i++) {
        g->keys[i].name.bytes = (const char *)g->header + (uintptr_t)g->keys[i].name.bytes;
        g->keys[i].data = g->header + (uintptr_t)g->keys[i].data;
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        g->tensors[i].name.bytes = (const char *)g->header + (uintptr_t)g->tensors[i].name.bytes;
    }
    qsort(g->keys, g->n_keys, sizeof(*g->keys), pk_gguf_by_name);
    for (size_t i = 1; i < g->n_keys; i++) {
        if (pk_gguf_by_name(&g->keys[i - 1], &g->keys[i]) == 0) {
            return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: key \"%.*s\" appears twice", r->f->path,
                           (int)g->keys[i].name.length, g->keys[i].name.bytes);
        }
    }
    return true;
}

/* A power of two; 0: see the error. */
static uint64_t read_alignment(const struct reader *r) {
    const struct pk_gguf_key *k = pk_gguf_find(r->g, "general.alignment");
    if (!k) {
        return ALIGNMENT_DEFAULT;
    }
    uint64_t alignment = k->type == PK_GGUF_U32 ? pk_gguf_load(k->data, 4) : 0;
    if (alignment == 0 || alignment > ALIGNMENT_MAX || (alignment & (alignment - 1))) {
        pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: general.alignment is not a u32 power of two up to %u", r->f->path,
                ALIGNMENT_MAX);
        return 0;
    }
    return alignment;
}

/* The tensors must follow each other in the data, each aligned, and end inside the file. */
static bool place_tensors(const struct reader *r) {
    uint64_t alignment = read_alignment(r);
    if (!alignment) {
        return false;
    }
    uint64_t data = (r->at + alignment - 1) / alignment * alignment, at = 0; // no overflow: at is below 1 GiB
    for (size_t i = 0; i < r->g->n_tensors; i++) {
        struct pk_gguf_tensor *t = &r->g->tensors[i];
        int length = (int)t->name.length;
        uint64_t elements = pk_type_elements(t->type), rows = 1;
        for (uint32_t d = 1; d < t->n_dims; d++) {
            rows *= t->dims[d];
        }
        if (t->dims[0] % elements) {
            return pk_fail(r->e, MOXIE_ERROR_BOUNDS, "%s: tensor \"%.*s\": rows of %llu are not whole blocks of %s",
                           r->f->path, length, t->name.bytes, (unsigned long long)t->dims[0], pk_type_name(t->type));
        }
        if (t->offset != at) {
            return pk_fail(r->e, MOXIE_ERROR_BOUNDS, "%s: tensor \"%.*s\" stands at data offset %llu, expected %llu",
                           r->f->path, length, t->name.bytes, (unsigned long long)t->offset, (unsigned long long)at);
        }
        uint64_t bytes; // n / elements * bytes of a block <= 4 n: may pass 2^64
        if (__builtin_mul_overflow(t->dims[0] / elements * rows, (uint64_t)pk_type_bytes(t->type), &bytes) ||
            data > r->f->bytes || at > r->f->bytes - data || bytes > r->f->bytes - data - at) {
            return pk_fail(r->e, MOXIE_ERROR_TRUNCATED,
                           "%s: tensor \"%.*s\" ends behind the end of the file (%llu bytes)", r->f->path, length,
                           t->name.bytes, (unsigned long long)r->f->bytes);
        }
        t->offset = data + at;
        at = (at + bytes + alignment - 1) / alignment * alignment;
    }
    return true;
}

static bool read_all(struct reader *r) {
    uint64_t magic, version, n_tensors, n_keys;
    if (!read_integer(r, 4, "magic", &magic)) {
        return false;
    }
    if (magic != 0x46554747u) {
        r->at = 0;
        return fail_at(r, MOXIE_ERROR_FORMAT, "not a GGUF file: it does not begin with \"GGUF\"");
    }
    if (!read_integer(r, 4, "version", &version)) {
        return false;
    }
    if (version != 2 && version != 3) {
        bool big = version && (version & 0xffff) == 0;
        return pk_fail(r->e, MOXIE_ERROR_FORMAT_VERSION, "%s: GGUF version %llu, expected 2 or 3%s", r->f->path,
                       (unsigned long long)version, big ? " (a big-endian file?)" : "");
    }
    r->g->version = (uint32_t)version;
    return read_integer(r, 8, "number of tensors", &n_tensors) && read_integer(r, 8, "number of keys", &n_keys) &&
           read_keys(r, n_keys) && read_tensors(r, n_tensors) && settle_keys(r) && place_tensors(r);
}

bool pk_gguf_read(struct pk_gguf *g, const struct pk_file *f, struct pk_error *e) {
    *g = (struct pk_gguf){0};
    struct reader r = {.g = g, .f = f, .e = e};
    if (!read_all(&r)) {
        pk_gguf_free(g);
        return false;
    }
    return true;
}

void pk_gguf_free(struct pk_gguf *g) {
    if (g) {
        free(g->header);
        free(g->keys);
        free(g->tensors);
        *g = (struct pk_gguf){0};
    }
}
