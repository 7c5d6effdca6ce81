/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strndup
#include "pack/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "pack/pickle_machine.h"

#define NAME_MAX_BYTES 255

static const struct {
    const char *name, *type_name;
    enum pk_type type;
    uint32_t bytes;
} storages[] = {
    {"torch BFloat16Storage", "BF16", PK_BF16, 2}, {"torch HalfStorage", "F16", PK_F16, 2},
    {"torch FloatStorage", "F32", PK_F32, 4},      {"torch IntStorage", "I32", PK_OTHER, 4},
    {"torch DoubleStorage", "F64", PK_OTHER, 8},   {"torch LongStorage", "I64", PK_OTHER, 8},
    {"torch ShortStorage", "I16", PK_OTHER, 2},    {"torch CharStorage", "I8", PK_OTHER, 1},
    {"torch ByteStorage", "U8", PK_OTHER, 1},      {"torch BoolStorage", "BOOL", PK_OTHER, 1},
};

/* ---- Instructions with meaning ---- */

/* "module\nname\n", one of those that are known. */
static bool push_global(struct pk_machine *m) {
    static const char *const known[] = {[PK_GLOBAL_ORDERED_DICT] = "collections OrderedDict",
                                        [PK_GLOBAL_TENSOR] = "torch._utils _rebuild_tensor_v2",
                                        [PK_GLOBAL_PARAMETER] = "torch._utils _rebuild_parameter"};
    char name[128];
    size_t n = 0, lines = 0;
    for (; m->at + n < m->n && n < sizeof(name) - 1 && lines < 2; n++) {
        name[n] = (char)m->data[m->at + n];
        if (name[n] == '\n') {
            name[n] = ++lines < 2 ? ' ' : '\0';
        }
    }
    name[n] = '\0';
    const bool whole = lines == 2 && strlen(name) == n - 1; // no NUL inside
    for (size_t i = 0; whole && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i]) == 0) {
            m->at += n;
            return pk_push(m, PK_GLOBAL, 0, (int64_t)i);
        }
    }
    for (size_t i = 0; whole && i < sizeof(storages) / sizeof(storages[0]); i++) {
        if (strcmp(name, storages[i].name) == 0) {
            m->at += n;
            return pk_push(m, PK_GLOBAL, 0, PK_GLOBAL_STORAGE + (int64_t)i);
        }
    }
    return pk_fail(m->e, MOXIE_ERROR_FORMAT, "%s: pickle, offset %zu: names \"%s\", which is none of a tensor's",
                   m->path, m->at, name);
}

/* Are the first items of the tuple of these kinds? */
static bool items_are(const struct pk_machine *m, const struct pk_node *tuple, const enum pk_kind *kinds, uint32_t n) {
    bool same = tuple->kind == PK_TUPLE && tuple->count >= n;
    for (uint32_t i = 0; same && i < n; i++) {
        same = pk_item(m, tuple, i)->kind == kinds[i];
    }
    return same;
}

static bool text_is(const struct pk_machine *m, const struct pk_node *n, const char *text) {
    return n->kind == PK_TEXT && n->count == strlen(text) && memcmp(m->data + n->value, text, n->count) == 0;
}

/* ("storage", class, key, location, elements) */
static bool make_storage(struct pk_machine *m) {
    static const enum pk_kind kinds[] = {PK_TEXT, PK_GLOBAL, PK_TEXT, PK_TEXT, PK_INTEGER};
    uint32_t id;
    if (!pk_pop(m, PK_TUPLE, &id)) {
        return false;
    }
    const struct pk_node *tuple = pk_node_at(m, id);
    if (tuple->count != 5 || !items_are(m, tuple, kinds, 5) || !text_is(m, pk_item(m, tuple, 0), "storage") ||
        pk_item(m, tuple, 1)->value < PK_GLOBAL_STORAGE || pk_item(m, tuple, 4)->value < 0) {
        return pk_machine_fail(m, "a persistent id that is not a storage");
    }
    return pk_push(m, PK_STORAGE, 0, tuple->value);
}

/* A tuple of at most PK_MAX_DIMS integers from 0. */
static bool is_shape(const struct pk_machine *m, const struct pk_node *tuple) {
    bool right = tuple->count <= PK_MAX_DIMS;
    for (uint32_t i = 0; right && i < tuple->count; i++) {
        right = pk_item(m, tuple, i)->kind == PK_INTEGER && pk_item(m, tuple, i)->value >= 0;
    }
    return right;
}

/* Calls what stands below a tuple of arguments. */
static bool reduce(struct pk_machine *m) {
    static const enum pk_kind tensor[] = {PK_STORAGE, PK_INTEGER, PK_TUPLE, PK_TUPLE, PK_BOOL, PK_DICT};
    static const enum pk_kind parameter[] = {PK_TENSOR, PK_BOOL, PK_DICT};
    uint32_t arguments, callable;
    if (!pk_pop(m, PK_TUPLE, &arguments) || !pk_pop(m, PK_GLOBAL, &callable)) {
        return false;
    }
    const struct pk_node *tuple = pk_node_at(m, arguments);
    switch (pk_node_at(m, callable)->value) {
    case PK_GLOBAL_ORDERED_DICT:
        return tuple->count == 0 ? pk_push(m, PK_DICT, 0, 0) : pk_machine_fail(m, "an OrderedDict with arguments");
    case PK_GLOBAL_TENSOR:
        if (tuple->count > 7 || !items_are(m, tuple, tensor, 6) || pk_item(m, tuple, 1)->value < 0 ||
            !is_shape(m, pk_item(m, tuple, 2)) || !is_shape(m, pk_item(m, tuple, 3)) ||
            pk_item(m, tuple, 2)->count != pk_item(m, tuple, 3)->count) {
            return pk_machine_fail(m, "a tensor that is not made of storage, offset, shape and strides");
        }
        return pk_push(m, PK_TENSOR, 0, tuple->value);
    case PK_GLOBAL_PARAMETER:
        if (tuple->count != 3 || !items_are(m, tuple, parameter, 3)) {
            return pk_machine_fail(m, "a parameter that is not made of a tensor");
        }
        return pk_push(m, PK_TENSOR, 0, pk_item(m, tuple, 0)->value);
    default:
        return pk_machine_fail(m, "a call of something that is no function");
    }
}

/* The attributes of a state dictionary (its _metadata) do not matter. */
static bool build(struct pk_machine *m) {
    uint32_t state, object;
    if (!pk_pop(m, PK_DICT, &state) || !pk_top(m, &object)) {
        return false;
    }
    return pk_node_at(m, object)->kind == PK_DICT || pk_machine_fail(m, "attributes for what is no dictionary");
}

static bool step(struct pk_machine *m, uint8_t op) {
    uint64_t v;
    size_t count;
    switch (op) {
    case 0x80: // PROTO
        return pk_read_integer(m, 1, &v) &&
               (v == 2 || pk_machine_fail(m, "expected protocol 2, which torch.save writes"));
    case '}': // EMPTY_DICT
        return pk_push(m, PK_DICT, 0, 0);
    case ')': // EMPTY_TUPLE
        return pk_make_tuple(m, 0);
    case '(': // MARK
        return pk_mark(m);
    case 't': // TUPLE
        return pk_unmark(m, &count) && pk_make_tuple(m, count);
    case 0x85: // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
        return pk_make_tuple(m, op - 0x84u);
    case 's': // SETITEM
        return pk_set_items(m, 2);
    case 'u': // SETITEMS
        return pk_unmark(m, &count) && pk_set_items(m, count);
    case 'q': // BINPUT, LONG_BINPUT
        return pk_remember(m, 1);
    case 'r':
        return pk_remember(m, 4);
    case 'h': // BINGET, LONG_BINGET
        return pk_recall(m, 1);
    case 'j':
        return pk_recall(m, 4);
    case 'X': // BINUNICODE
        return pk_push_text(m);
    case 'c': // GLOBAL
        return push_global(m);
    case 'Q': // BINPERSID
        return make_storage(m);
    case 'R': // REDUCE
        return reduce(m);
    case 'b': // BUILD
        return build(m);
    case 'K': // BININT1, BININT2: unsigned
    case 'M':
        return pk_read_integer(m, op == 'K' ? 1 : 2, &v) && pk_push(m, PK_INTEGER, 0, (int64_t)v);
    case 'J': // BININT
        return pk_push_signed(m, 4);
    case 0x8a: // LONG1
        return pk_read_integer(m, 1, &v) && pk_push_signed(m, (unsigned)v);
    case 0x88: // NEWTRUE, NEWFALSE
    case 0x89:
        return pk_push(m, PK_BOOL, 0, op == 0x88);
    case 'N': // NONE
        return pk_push(m, PK_NONE, 0, 0);
    default:
        m->at--;
        return pk_fail(m->e, MOXIE_ERROR_FORMAT,
                       "%s: pickle, offset %zu: instruction 0x%02x, which a dictionary of tensors does not need",
                       m->path, m->at, op);
    }
}

static bool run(struct pk_machine *m) {
    for (;;) {
        uint64_t op;
        if (!pk_read_integer(m, 1, &op)) {
            return false;
        }
        if (op == '.') { // STOP
            return true;
        }
        if (!step(m, (uint8_t)op)) {
            return false;
        }
    }
}

/* ---- The result ---- */

static char *copy_text(const struct pk_machine *m, const struct pk_node *text, const char *what) {
    const char *bytes = (const char *)m->data + text->value;
    if (text->count == 0 || text->count > NAME_MAX_BYTES || memchr(bytes, 0, text->count)) {
        pk_fail(m->e, MOXIE_ERROR_FORMAT, "%s: pickle: a %s has 1 to %d bytes other than NUL", m->path, what,
                NAME_MAX_BYTES);
        return NULL;
    }
    char *copy = strndup(bytes, text->count);
    return copy ? copy : pk_fail_memory(m->e);
}

static bool take_tensor(const struct pk_machine *m, const struct pk_entry *entry, struct pk_pickle_tensor *out) {
    const struct pk_node *t = pk_node_at(m, entry->value);
    if (!(out->name = copy_text(m, pk_node_at(m, entry->key), "name"))) {
        return false;
    }
    if (t->kind != PK_TENSOR) {
        return pk_fail(m->e, MOXIE_ERROR_FORMAT, "%s: pickle: \"%s\" is %s; expected a dictionary of tensors alone",
                       m->path, out->name, pk_kind_names[t->kind]);
    }
    const struct pk_node *storage = pk_item(m, t, 0), *shape = pk_item(m, t, 2), *strides = pk_item(m, t, 3);
    const size_t type = (size_t)(pk_item(m, storage, 1)->value - PK_GLOBAL_STORAGE);
    out->type = storages[type].type;
    out->type_name = storages[type].type_name;
    out->element_bytes = storages[type].bytes;
    out->storage_elements = (uint64_t)pk_item(m, storage, 4)->value;
    out->offset = (uint64_t)pk_item(m, t, 1)->value;
    out->n_dims = shape->count;
    for (uint32_t i = 0; i < shape->count; i++) {
        out->dims[i] = (uint64_t)pk_item(m, shape, i)->value;
        out->strides[i] = (uint64_t)pk_item(m, strides, i)->value;
    }
    return (out->storage = copy_text(m, pk_item(m, storage, 2), "key of a storage")) != NULL;
}

static bool take_all(struct pk_machine *m, struct pk_pickle *out) {
    if (m->at != m->n) {
        return pk_machine_fail(m, "bytes after the end");
    }
    if (m->stack.n != 1 || pk_node_at(m, pk_at(&m->stack, 0))->kind != PK_DICT) {
        return pk_machine_fail(m, "expected one dictionary of tensors");
    }
    const struct pk_entry *entries = m->entries.data;
    out->tensors = calloc(m->entries.n + 1, sizeof(*out->tensors));
    if (!out->tensors) {
        return pk_fail_memory(m->e) != NULL;
    }
    for (size_t i = 0; i < m->entries.n; i++) {
        if (entries[i].dict == pk_at(&m->stack, 0) && !take_tensor(m, &entries[i], &out->tensors[out->n_tensors++])) {
            return false;
        }
    }
    return true;
}

bool pk_pickle_read(struct pk_pickle *out, const uint8_t *data, size_t n, const char *path, struct pk_error *e) {
    struct pk_machine m;
    *out = (struct pk_pickle){0};
    pk_machine_init(&m, data, n, path, e);
    bool ok = run(&m) && take_all(&m, out);
    pk_machine_free(&m);
    return ok;
}

void pk_pickle_free(struct pk_pickle *out) {
    for (size_t i = 0; i < out->n_tensors; i++) {
        free(out->tensors[i].name);
        free(out->tensors[i].storage);
    }
    free(out->tensors);
    *out = (struct pk_pickle){0};
}
