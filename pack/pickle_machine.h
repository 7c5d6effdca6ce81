/* SPDX-License-Identifier: Apache-2.0
 *
 * The stack machine of a pickle: values, the stack, what is remembered. Every function checks what it takes. */
#ifndef PK_PICKLE_MACHINE_H
#define PK_PICKLE_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "pack/pk_error.h"

/* What a pickle may name. */
enum pk_global {
    PK_GLOBAL_ORDERED_DICT,
    PK_GLOBAL_TENSOR,
    PK_GLOBAL_PARAMETER,
    PK_GLOBAL_STORAGE, /* and those after it: an index in pk_storages is added */
};

enum pk_kind { PK_NONE, PK_BOOL, PK_INTEGER, PK_TEXT, PK_TUPLE, PK_DICT, PK_GLOBAL, PK_STORAGE, PK_TENSOR };
extern const char *const pk_kind_names[];

/* A value. It does not change once it is made; what a dictionary holds stands in `entries`. */
struct pk_node {
    enum pk_kind kind;
    uint32_t count; /* TEXT: bytes; TUPLE: items */
    int64_t value;  /* INTEGER, BOOL; TEXT: offset in the data; TUPLE: first of `items`; GLOBAL: enum pk_global; STORAGE
                       and TENSOR: first of the items that it was made of */
};

struct pk_entry {
    uint32_t dict, key, value; /* nodes */
};

/* A growing array of `size`-byte elements. */
struct pk_array {
    void *data;
    size_t n, room, size;
};

struct pk_machine {
    const uint8_t *data;
    size_t n, at;
    const char *path;
    struct pk_array nodes;   /* struct pk_node: fewer than bytes of pickle, which is below 2^32 */
    struct pk_array items;   /* uint32_t: nodes */
    struct pk_array stack;   /* uint32_t: nodes */
    struct pk_array marks;   /* uint32_t: places in the stack */
    struct pk_array memo;    /* uint32_t: nodes */
    struct pk_array entries; /* struct pk_entry */
    struct pk_error *e;
};

void pk_machine_init(struct pk_machine *m, const uint8_t *data, size_t n, const char *path, struct pk_error *e);
void pk_machine_free(struct pk_machine *m);

/* Fails with the place in the pickle. */
bool pk_machine_fail(const struct pk_machine *m, const char *what);

static inline uint32_t pk_at(const struct pk_array *a, size_t i) {
    return ((const uint32_t *)a->data)[i];
}

static inline const struct pk_node *pk_node_at(const struct pk_machine *m, uint32_t i) {
    return (const struct pk_node *)m->nodes.data + i;
}

/* Item `i` of a tuple, or of what a storage or tensor was made of. */
static inline const struct pk_node *pk_item(const struct pk_machine *m, const struct pk_node *of, uint32_t i) {
    return pk_node_at(m, pk_at(&m->items, (size_t)of->value + i));
}

/* A new value on the stack. */
bool pk_push(struct pk_machine *m, enum pk_kind kind, uint32_t count, int64_t value);

/* Takes the topmost value, which must be of that kind. */
bool pk_pop(struct pk_machine *m, enum pk_kind kind, uint32_t *out);

/* The topmost value; false: there is none above the last mark. */
bool pk_top(const struct pk_machine *m, uint32_t *out);

/* A mark, and the number of values above the last one, which goes. */
bool pk_mark(struct pk_machine *m);
bool pk_unmark(struct pk_machine *m, size_t *count);

/* Makes a tuple of the topmost `count` values. */
bool pk_make_tuple(struct pk_machine *m, size_t count);

/* Puts the topmost `count` values, keys and values in turn, into the dictionary below them. */
bool pk_set_items(struct pk_machine *m, size_t count);

/* Under the number that follows in the pickle, `bytes` long. */
bool pk_remember(struct pk_machine *m, unsigned bytes);
bool pk_recall(struct pk_machine *m, unsigned bytes);

/* The next bytes as an unsigned number. */
bool pk_read_integer(struct pk_machine *m, unsigned bytes, uint64_t *out);

/* Pushes what follows: a two's complement number of 0 to 8 bytes; a text behind its length of 4 bytes. */
bool pk_push_signed(struct pk_machine *m, unsigned bytes);
bool pk_push_text(struct pk_machine *m);

#endif
