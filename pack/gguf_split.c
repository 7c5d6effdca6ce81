/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/gguf_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/source_build.h"

#define PARTS_MAX 512u /* each stays open */
#define TAIL "-00001-of-00001.gguf"
#define TAIL_BYTES (sizeof(TAIL) - 1)

/* Five digits; -1: something else. */
static int five_digits(const char *text) {
    int n = 0;
    for (int i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        n = 10 * n + text[i] - '0';
    }
    return n;
}

/* Length of what stands before "-00001-of-00003.gguf", and the second number; 0: the name is not such. */
static size_t prefix_of(const char *name, unsigned *count) {
    const size_t n = strlen(name);
    if (n <= TAIL_BYTES) {
        return 0;
    }
    const char *tail = name + n - TAIL_BYTES;
    const int no = five_digits(tail + 1), all = five_digits(tail + 10);
    if (tail[0] != '-' || memcmp(tail + 6, "-of-", 4) != 0 || strcmp(tail + 15, ".gguf") != 0 || no < 1 || all < no) {
        return 0;
    }
    *count = (unsigned)all;
    return n - TAIL_BYTES;
}

bool pk_gguf_same_model(const char *name, const char *other) {
    unsigned a = 0, b = 0;
    const size_t n = prefix_of(name, &a), m = prefix_of(other, &b);
    return n > 0 && n == m && a == b && memcmp(name, other, n) == 0;
}

/* A key that counts parts or tensors; `fallback` when it is absent. */
static bool read_count(const struct pk_gguf *g, const char *path, const char *name, int64_t fallback, int64_t *out,
                       struct pk_error *e) {
    const struct pk_gguf_key *k = pk_gguf_find(g, name);
    *out = fallback;
    if (k && (k->type == PK_GGUF_ARRAY || !pk_gguf_integer(k, 0, out) || *out < 0)) {
        return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: key \"%s\" is not a number from 0", path, name);
    }
    return true;
}

/* Reads the next part from file `name`. */
static bool read_part(struct pk_source *s, const char *name, struct pk_gguf_parts *parts, struct pk_error *e) {
    struct pk_file f;
    uint32_t index;
    struct pk_gguf *larger = realloc(parts->part, (parts->n + 1) * sizeof(*larger));
    if (!larger) {
        return pk_fail_memory(e) != NULL;
    }
    parts->part = larger;
    if (!pk_folder_file(s->folder, name, &f, e) || !pk_source_add_file(s, f, &index, e) ||
        !pk_gguf_read(&parts->part[parts->n], &s->files[index], e)) {
        return false;
    }
    parts->n++;
    return true;
}

/* The part must say that it is number `no` of `count`. */
static bool check_part(const struct pk_source *s, const struct pk_gguf_parts *parts, size_t no, unsigned count,
                       struct pk_error *e) {
    const char *path = s->files[no].path;
    int64_t own, all;
    if (!read_count(&parts->part[no], path, "split.no", 0, &own, e) ||
        !read_count(&parts->part[no], path, "split.count", 1, &all, e)) {
        return false;
    }
    if (own != (int64_t)no || all != (int64_t)count) {
        return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: says that it is part %lld of %lld; expected %zu of %u", path,
                       (long long)own + 1, (long long)all, no + 1, count);
    }
    return true;
}

static bool read_all(struct pk_source *s, const char *name, size_t prefix, unsigned count, struct pk_gguf_parts *parts,
                     struct pk_error *e) {
    char *part = malloc(prefix + TAIL_BYTES + 1);
    bool ok = part || pk_fail_memory(e);
    for (unsigned i = 0; ok && i < count; i++) {
        snprintf(part, prefix + TAIL_BYTES + 1, "%.*s-%05u-of-%05u.gguf", (int)prefix, name, (i + 1) % 100000,
                 count % 100000);
        ok = read_part(s, part, parts, e) && check_part(s, parts, i, count, e);
    }
    free(part);
    return ok;
}

bool pk_gguf_read_parts(struct pk_source *s, const char *name, struct pk_gguf_parts *parts, struct pk_error *e) {
    unsigned count = 1;
    const size_t prefix = prefix_of(name, &count);
    *parts = (struct pk_gguf_parts){0};
    if (count > PARTS_MAX) {
        return pk_fail(e, MOXIE_ERROR_BOUNDS, "%s: %u parts, at most %u can be read", name, count, PARTS_MAX);
    }
    if (!(count > 1 ? read_all(s, name, prefix, count, parts, e) : read_part(s, name, parts, e))) {
        return false;
    }
    int64_t parts_said, tensors_said, tensors = 0;
    const char *path = s->files[0].path;
    for (size_t i = 0; i < parts->n; i++) {
        tensors += (int64_t)parts->part[i].n_tensors;
    }
    if (!read_count(&parts->part[0], path, "split.count", 1, &parts_said, e) ||
        !read_count(&parts->part[0], path, "split.tensors.count", tensors, &tensors_said, e)) {
        return false;
    }
    if (count == 1 && parts_said > 1) {
        return pk_fail(e, MOXIE_ERROR_MODEL,
                       "%s: one part of a split model, but not called <name>-00001-of-%05lld.gguf: the other parts "
                       "cannot be found",
                       path, (long long)parts_said);
    }
    return tensors_said == tensors ||
           pk_fail(e, MOXIE_ERROR_FORMAT, "%s: the parts have %lld tensors, split.tensors.count is %lld", path,
                   (long long)tensors, (long long)tensors_said);
}

void pk_gguf_free_parts(struct pk_gguf_parts *parts) {
    for (size_t i = 0; i < parts->n; i++) {
        pk_gguf_free(&parts->part[i]);
    }
    free(parts->part);
    *parts = (struct pk_gguf_parts){0};
}
