/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strdup
#include "pack/torch_bin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/archive.h"
#include "pack/pickle.h"

struct reader {
    const struct pk_file *f;
    struct pk_archive archive;
    const char *root; // "<root>/", in the name of data.pkl
    int root_length;
    struct pk_error *e;
};

/* The member <root>/<name> as a file; `must`: it has to be there. A file with fd -1: it is not. */
static bool open_member(const struct reader *r, const char *name, bool must, struct pk_file *out) {
    char full[1100], path[1600];
    *out = (struct pk_file){.fd = -1};
    int n = snprintf(full, sizeof(full), "%.*s%s", r->root_length, r->root, name);
    const struct pk_member *m = n > 0 && (size_t)n < sizeof(full) ? pk_archive_find(&r->archive, full) : NULL;
    if (!m) {
        return !must || pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: has no member \"%s\"", r->f->path, full);
    }
    snprintf(path, sizeof(path), "%.400s:%s", r->f->path, full);
    return pk_archive_open(&r->archive, r->f, m, path, out, r->e);
}

/* The only member called data.pkl. */
static bool find_root(struct reader *r) {
    for (size_t i = 0; i < r->archive.n_members; i++) {
        const char *name = r->archive.members[i].name, *slash = strrchr(name, '/');
        if (strcmp(slash ? slash + 1 : name, "data.pkl") != 0) {
            continue;
        }
        if (r->root) {
            return pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: has two members data.pkl", r->f->path);
        }
        r->root = name;
        r->root_length = slash ? (int)(slash + 1 - name) : 0;
    }
    return r->root ||
           pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: has no member data.pkl: not written by torch.save", r->f->path);
}

static bool check_byte_order(const struct reader *r) {
    struct pk_file f;
    if (!open_member(r, "byteorder", false, &f)) {
        return false;
    }
    char order[8] = "little";
    bool ok = f.fd < 0 || (f.bytes == 6 && pk_file_read(&f, 0, order, 6, r->e) && strcmp(order, "little") == 0);
    pk_file_close(&f);
    return ok || pk_fail(r->e, MOXIE_ERROR_FORMAT, "%s: its byte order is not \"little\"", r->f->path);
}

/* Row after row without gaps; what has one element or none lies so in any case. */
static bool is_contiguous(const struct pk_pickle_tensor *t) {
    uint64_t expected = 1;
    for (uint32_t i = t->n_dims; i-- > 0;) {
        if (t->dims[i] != 1 && t->strides[i] != expected) {
            return false;
        }
        expected *= t->dims[i]; // no overflow: the product was checked
    }
    return true;
}

static bool read_tensor(const struct reader *r, const struct pk_pickle_tensor *t, struct pk_safetensor *out) {
    uint64_t n = 1, end;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (__builtin_mul_overflow(n, t->dims[i], &n)) {
            return pk_fail(r->e, MOXIE_ERROR_BOUNDS, "%s: tensor \"%s\": the product of its shape overflows",
                           r->f->path, t->name);
        }
    }
    if (__builtin_add_overflow(t->offset, n, &end) || end > t->storage_elements) {
        return pk_fail(r->e, MOXIE_ERROR_BOUNDS,
                       "%s: tensor \"%s\": %llu elements from element %llu of a storage of %llu", r->f->path, t->name,
                       (unsigned long long)n, (unsigned long long)t->offset, (unsigned long long)t->storage_elements);
    }
    if (n > 0 && !is_contiguous(t)) {
        return pk_fail(r->e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\" does not lie row after row (a transposed view?)",
                       r->f->path, t->name);
    }
    char name[300];
    struct pk_file storage;
    snprintf(name, sizeof(name), "data/%s", t->storage);
    if (!open_member(r, name, true, &storage)) {
        return false;
    }
    const uint64_t start = storage.start - r->f->start, bytes = storage.bytes;
    pk_file_close(&storage);
    if (t->storage_elements > bytes / t->element_bytes) {
        return pk_fail(r->e, MOXIE_ERROR_TRUNCATED,
                       "%s: tensor \"%s\": its storage \"%s\" has %llu bytes, not %llu x %u", r->f->path, t->name, name,
                       (unsigned long long)bytes, (unsigned long long)t->storage_elements, t->element_bytes);
    }
    *out = (struct pk_safetensor){.name = strdup(t->name),
                                  .type = t->type,
                                  .type_name = t->type_name,
                                  .n_dims = t->n_dims,
                                  .offset = start + t->offset * t->element_bytes,
                                  .bytes = n * t->element_bytes};
    memcpy(out->dims, t->dims, sizeof(out->dims));
    return out->name || pk_fail_memory(r->e);
}

static bool read_all(struct reader *r, struct pk_safetensors *out) {
    struct pk_file f;
    if (!find_root(r) || !check_byte_order(r) || !open_member(r, "data.pkl", true, &f)) {
        return false;
    }
    uint64_t bytes;
    char *text = pk_file_text(&f, PK_PICKLE_MAX_BYTES, &bytes, r->e);
    struct pk_pickle pickle = {0};
    bool ok = text && pk_pickle_read(&pickle, (const uint8_t *)text, bytes, f.path, r->e);
    if (ok && !(out->tensors = calloc(pickle.n_tensors + 1, sizeof(*out->tensors)))) {
        ok = pk_fail_memory(r->e) != NULL;
    }
    for (size_t i = 0; ok && i < pickle.n_tensors; i++) {
        ok = read_tensor(r, &pickle.tensors[i], &out->tensors[out->n_tensors++]);
    }
    pk_pickle_free(&pickle);
    free(text);
    pk_file_close(&f);
    return ok;
}

bool pk_torch_bin_read(struct pk_safetensors *out, const struct pk_file *f, struct pk_error *e) {
    struct reader r = {.f = f, .e = e};
    uint8_t magic[2];
    *out = (struct pk_safetensors){0};
    if (!pk_file_read(f, 0, magic, 2, e)) {
        return false;
    }
    if (memcmp(magic, "PK", 2) != 0) {
        return pk_fail(e, MOXIE_ERROR_FORMAT,
                       "%s: not a zip archive: torch.save of versions before 1.6 wrote other files, which are not read",
                       f->path);
    }
    bool ok = pk_archive_read(&r.archive, f, NULL, e) && read_all(&r, out);
    pk_archive_free(&r.archive);
    return ok;
}
