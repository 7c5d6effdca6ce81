/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

const char *const pk_kind_names[] = {"None",         "a bool", "an integer", "a text",  "a tuple",
                                     "a dictionary", "a name", "a storage",  "a tensor"};

void pk_machine_init(struct pk_machine *m, const uint8_t *data, size_t n, const char *path, struct pk_error *e) {
    *m = (struct pk_machine){.data = data,
                             .n = n,
                             .path = path,
                             .nodes.size = sizeof(struct pk_node),
                             .items.size = sizeof(uint32_t),
                             .stack.size = sizeof(uint32_t),
                             .marks.size = sizeof(uint32_t),
                             .memo.size = sizeof(uint32_t),
                             .entries.size = sizeof(struct pk_entry),
                             .e = e};
}

void pk_machine_free(struct pk_machine *m) {
    free(m->nodes.data);
    free(m->items.data);
    free(m->stack.data);
    free(m->marks.data);
    free(m->memo.data);
    free(m->entries.data);
}

bool pk_machine_fail(const struct pk_machine *m, const char *what) {
    return pk_fail(m->e, MOXIE_ERROR_FORMAT, "%s: pickle, offset %zu: %s", m->path, m->at, what);
}

static bool append(struct pk_machine *m, struct pk_array *a, const void *element) {
    if (a->n == a->room) {
        const size_t room = a->room ? 2 * a->room : 256;
        void *larger = realloc(a->data, room * a->size);
        if (!larger) {
            return pk_fail_memory(m->e) != NULL;
        }
        a->data = larger;
        a->room = room;
    }
    memcpy((uint8_t *)a->data + a->n++ * a->size, element, a->size);
    return true;
}

/* ---- The stack ---- */

/* Number of values above the last mark, all of them when there is none. */
static size_t above_mark(const struct pk_machine *m) {
    return m->stack.n - (m->marks.n ? pk_at(&m->marks, m->marks.n - 1) : 0);
}

bool pk_push(struct pk_machine *m, enum pk_kind kind, uint32_t count, int64_t value) {
    const struct pk_node n = {kind, count, value};
    const uint32_t index = (uint32_t)m->nodes.n;
    return append(m, &m->nodes, &n) && append(m, &m->stack, &index);
}

bool pk_top(const struct pk_machine *m, uint32_t *out) {
    if (above_mark(m) == 0) {
        return pk_machine_fail(m, "an instruction lacks a value");
    }
    *out = pk_at(&m->stack, m->stack.n - 1);
    return true;
}

bool pk_pop(struct pk_machine *m, enum pk_kind kind, uint32_t *out) {
    if (!pk_top(m, out)) {
        return false;
    }
    m->stack.n--;
    const enum pk_kind found = pk_node_at(m, *out)->kind;
    return found == kind || pk_fail(m->e, MOXIE_ERROR_FORMAT, "%s: pickle, offset %zu: expected %s, found %s", m->path,
                                    m->at, pk_kind_names[kind], pk_kind_names[found]);
}

bool pk_mark(struct pk_machine *m) {
    const uint32_t place = (uint32_t)m->stack.n;
    return append(m, &m->marks, &place);
}

bool pk_unmark(struct pk_machine *m, size_t *count) {
    if (m->marks.n == 0) {
        return pk_machine_fail(m, "an instruction lacks a mark");
    }
    *count = above_mark(m);
    m->marks.n--;
    return true;
}

bool pk_make_tuple(struct pk_machine *m, size_t count) {
    const int64_t first = (int64_t)m->items.n;
    if (above_mark(m) < count) {
        return pk_machine_fail(m, "an instruction lacks a value");
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = pk_at(&m->stack, m->stack.n - count + i);
        if (!append(m, &m->items, &value)) {
            return false;
        }
    }
    m->stack.n -= count;
    return pk_push(m, PK_TUPLE, (uint32_t)count, first);
}

bool pk_set_items(struct pk_machine *m, size_t count) {
    if (count % 2 || above_mark(m) <= count) {
        return pk_machine_fail(m, "a dictionary gets keys without values");
    }
    const uint32_t dict = pk_at(&m->stack, m->stack.n - count - 1);
    if (pk_node_at(m, dict)->kind != PK_DICT) {
        return pk_machine_fail(m, "keys and values for what is no dictionary");
    }
    for (size_t i = m->stack.n - count; i < m->stack.n; i += 2) {
        const struct pk_entry entry = {dict, pk_at(&m->stack, i), pk_at(&m->stack, i + 1)};
        if (pk_node_at(m, entry.key)->kind != PK_TEXT) {
            return pk_machine_fail(m, "a key that is not a text");
        }
        if (!append(m, &m->entries, &entry)) {
            return false;
        }
    }
    m->stack.n -= count;
    return true;
}

bool pk_remember(struct pk_machine *m, unsigned bytes) {
    uint64_t index = 0;
    uint32_t top = 0;
    if (!pk_read_integer(m, bytes, &index) || !pk_top(m, &top)) {
        return false;
    }
    if (index > m->memo.n) { // torch's picklers count
        return pk_machine_fail(m, "remembers a value under a number that is not the next");
    }
    if (index == m->memo.n) {
        return append(m, &m->memo, &top);
    }
    ((uint32_t *)m->memo.data)[index] = top;
    return true;
}

bool pk_recall(struct pk_machine *m, unsigned bytes) {
    uint64_t index = 0;
    if (!pk_read_integer(m, bytes, &index)) {
        return false;
    }
    if (index >= m->memo.n) {
        return pk_machine_fail(m, "recalls what was not remembered");
    }
    const uint32_t value = pk_at(&m->memo, index);
    return append(m, &m->stack, &value);
}

/* ---- Bytes ---- */

bool pk_read_integer(struct pk_machine *m, unsigned bytes, uint64_t *out) {
    if (bytes > m->n - m->at) {
        return pk_fail(m->e, MOXIE_ERROR_TRUNCATED, "%s: pickle, offset %zu: ends inside an instruction", m->path,
                       m->at);
    }
    *out = 0;
    for (unsigned i = 0; i < bytes; i++) {
        *out |= (uint64_t)m->data[m->at++] << 8 * i;
    }
    return true;
}

bool pk_push_signed(struct pk_machine *m, unsigned bytes) {
    uint64_t v = 0;
    if (bytes > 8) {
        return pk_machine_fail(m, "an integer of more than 8 bytes");
    }
    if (!pk_read_integer(m, bytes, &v)) {
        return false;
    }
    if (bytes > 0 && bytes < 8 && v >> (8 * bytes - 1)) {
        v |= UINT64_MAX << 8 * bytes;
    }
    int64_t value;
    memcpy(&value, &v, sizeof(value));
    return pk_push(m, PK_INTEGER, 0, value);
}

bool pk_push_text(struct pk_machine *m) {
    uint64_t length = 0;
    if (!pk_read_integer(m, 4, &length)) {
        return false;
    }
    if (length > m->n - m->at) {
        return pk_fail(m->e, MOXIE_ERROR_TRUNCATED, "%s: pickle, offset %zu: a text of %llu bytes, %zu are left",
                       m->path, m->at, (unsigned long long)length, m->n - m->at);
    }
    const int64_t start = (int64_t)m->at;
    m->at += length;
    return pk_push(m, PK_TEXT, (uint32_t)length, start);
}
