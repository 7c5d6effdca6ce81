/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strdup
#include "pack/source.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/gguf_split.h"
#include "pack/gptq.h"
#include "pack/source_build.h"

/* A GGUF file by itself: its other parts lie beside it. */
static bool open_gguf(struct pk_source *s, struct pk_error *e) {
    char *folder = strdup(s->path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (!folder) {
        pk_fail_memory(e);
        return false;
    }
    if (slash) {
        slash[slash == folder] = '\0'; // "/model.gguf" lies in "/"
    }
    s->folder = pk_folder_open(slash ? folder : ".", e);
    free(folder);
    slash = strrchr(s->path, '/');
    return s->folder && pk_source_import_gguf(s, slash ? slash + 1 : s->path, e);
}

/* A folder or an archive: what config.json describes, or else its only GGUF model. */
static bool open_folder(struct pk_source *s, struct pk_error *e) {
    if (!(s->folder = pk_folder_open(s->path, e))) {
        return false;
    }
    if (pk_folder_has(s->folder, "config.json")) {
        return pk_source_import_folder(s, e);
    }
    char **names;
    int n = pk_folder_list(s->folder, ".gguf", &names, e);
    bool ok = n >= 0;
    if (ok && n == 0) {
        ok = pk_source_import_folder(s, e); // which will miss config.json
    } else if (ok && n > 1 && !pk_gguf_same_model(names[0], names[n - 1])) {
        ok = pk_fail(e, MOXIE_ERROR_ARGUMENT, "%s: has several GGUF files (%s, %s): give one of them", s->path,
                     names[0], names[n - 1]);
    } else if (ok) {
        ok = pk_source_import_gguf(s, names[0], e);
    }
    pk_folder_list_free(names);
    return ok;
}

/* Does the file begin as GGUF files do? One that is shorter may be a part of one. */
static bool is_gguf(const char *path, bool *gguf, struct pk_error *e) {
    struct pk_file f;
    char magic[4] = "GGUF";
    if (!pk_file_open(&f, path, e)) {
        return false;
    }
    bool ok = pk_file_read(&f, 0, magic, f.bytes < 4 ? f.bytes : 4, e);
    *gguf = memcmp(magic, "GGUF", 4) == 0;
    pk_file_close(&f);
    return ok;
}

struct pk_source *pk_source_open(const char *path, struct pk_error *e) {
    struct pk_source *s = calloc(1, sizeof(*s));
    if (!s || !(s->path = strdup(path))) {
        free(s);
        return pk_fail_memory(e);
    }
    s->model.bos = MX_NONE;
    bool gguf = false, ok = pk_path_is_folder(path) || is_gguf(path, &gguf, e);
    if (!ok || !(gguf ? open_gguf(s, e) : open_folder(s, e)) || !pk_source_sort(s, e)) {
        pk_source_close(s);
        return NULL;
    }
    return s;
}

void pk_source_close(struct pk_source *s) {
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->n_tensors; i++) {
        free((char *)s->tensors[i].name);
    }
    for (size_t i = 0; i < s->n_files; i++) {
        pk_file_close(&s->files[i]);
    }
    for (size_t i = 0; i < s->n_notes; i++) {
        free(s->notes[i]);
    }
    pk_panels_free(s->panels);
    pk_folder_close(s->folder);
    free(s->notes);
    free(s->modules);
    pk_gguf_free(s->gguf);
    free(s->gguf);
    free(s->tensors);
    free(s->files);
    free(s->layers);
    free(s->path);
    free(s->chat_template);
    free(s->license);
    free(s);
}

/* Room for one more element where the arrays grow by doubling: at 0, 1, 2, 4, … elements. */
static void *grown(void *array, size_t n, size_t element, struct pk_error *e) {
    if (n & (n - 1)) {
        return array;
    }
    void *larger = realloc(array, (n ? 2 * n : 1) * element);
    if (!larger) {
        pk_fail_memory(e);
    }
    return larger;
}

bool pk_source_add_file(struct pk_source *s, struct pk_file f, uint32_t *index, struct pk_error *e) {
    struct pk_file *files = grown(s->files, s->n_files, sizeof(*files), e);
    if (!files) {
        pk_file_close(&f);
        return false;
    }
    s->files = files;
    *index = (uint32_t)s->n_files;
    s->files[s->n_files++] = f;
    return true;
}

struct pk_tensor *pk_source_add(struct pk_source *s, const char *name, enum pk_type type, const char *type_name,
                                uint32_t n_dims, const uint64_t *dims, uint32_t file, uint64_t offset,
                                struct pk_error *e) {
    struct pk_tensor *tensors = grown(s->tensors, s->n_tensors, sizeof(*tensors), e);
    if (!tensors) {
        return NULL;
    }
    s->tensors = tensors;
    struct pk_tensor *t = &tensors[s->n_tensors];
    char *copy = strdup(name), *shown = strdup(name);
    bool odd = shown && pk_make_printable(shown, false); /* the name would act on a terminal that lists it */
    free(shown);
    if (!copy || odd) {
        free(copy);
        return odd ? (pk_fail(e, MOXIE_ERROR_FORMAT, "%s: the name of tensor \"%s\" has control characters",
                              s->files[file].path, name),
                      NULL)
                   : pk_fail_memory(e);
    }
    *t = (struct pk_tensor){.name = copy,
                            .type = type,
                            .type_name = type_name,
                            .n_dims = n_dims,
                            .rows = 1,
                            .cols = n_dims ? dims[n_dims - 1] : 1,
                            .file = file,
                            .offset = offset};
    for (uint32_t i = 0; i < n_dims; i++) {
        t->dims[i] = dims[i];
        t->rows *= i + 1 < n_dims ? dims[i] : 1; // no overflow: the importers checked the product of all dims
    }
    if (type != PK_OTHER) {
        t->row_bytes = t->cols / pk_type_elements(type) * pk_type_bytes(type);
    }
    s->n_tensors++;
    return t;
}

bool pk_source_add_stack(struct pk_source *s, const char *prefix, const char *suffix, const struct pk_tensor *stack,
                         uint64_t first, uint64_t rows, struct pk_error *e) {
    uint64_t experts = stack->dims[0], dims[2] = {rows, stack->dims[2]};
    uint64_t expert_bytes = stack->dims[1] * stack->row_bytes;
    if (experts > MX_ROUTED_MAX) {
        return pk_fail(e, MOXIE_ERROR_MODEL, "%s: tensor \"%s\" stacks %llu experts, at most %u can be packed",
                       s->files[stack->file].path, stack->name, (unsigned long long)experts, MX_ROUTED_MAX);
    }
    for (uint64_t j = 0; j < experts; j++) {
        char name[512];
        int n = snprintf(name, sizeof(name), "%s%llu.%s", prefix, (unsigned long long)j, suffix);
        if (n < 0 || (size_t)n >= sizeof(name)) {
            return pk_fail(e, MOXIE_ERROR_FORMAT, "%s: the name of tensor \"%s\" is too long",
                           s->files[stack->file].path, stack->name);
        }
        if (!pk_source_add(s, name, stack->type, stack->type_name, 2, dims, stack->file,
                           stack->offset + j * expert_bytes + first * stack->row_bytes, e)) {
            return false;
        }
    }
    return true;
}

bool pk_source_note(struct pk_source *s, struct pk_error *e, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pk_make_printable(text, n >= (int)sizeof(text));
    char **notes = grown(s->notes, s->n_notes, sizeof(*notes), e);
    if (!notes) {
        return false;
    }
    s->notes = notes;
    if (!(notes[s->n_notes] = strdup(text))) {
        pk_fail_memory(e);
        return false;
    }
    s->n_notes++;
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct pk_tensor *)a)->name, ((const struct pk_tensor *)b)->name);
}

bool pk_source_sort(struct pk_source *s, struct pk_error *e) {
    if (s->n_tensors) {
        qsort(s->tensors, s->n_tensors, sizeof(*s->tensors), by_name);
    }
    for (size_t i = 1; i < s->n_tensors; i++) {
        const struct pk_tensor *a = &s->tensors[i - 1], *b = &s->tensors[i];
        if (strcmp(a->name, b->name) == 0) {
            return pk_fail(e, MOXIE_ERROR_FORMAT, "tensor \"%s\" appears twice: in %s and in %s", a->name,
                           s->files[a->file].path, s->files[b->file].path);
        }
    }
    return true;
}

struct pk_tensor *pk_source_find(const struct pk_source *s, const char *name) {
    struct pk_tensor key = {.name = name};
    return s->n_tensors ? bsearch(&key, s->tensors, s->n_tensors, sizeof(key), by_name) : NULL;
}

bool pk_source_read_rows(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows,
                         void *dst, struct pk_error *e) {
    const struct pk_file *f = &s->files[t->file];
    if (first_row > t->rows || n_rows > t->rows - first_row) {
        return pk_fail(e, MOXIE_ERROR_BOUNDS, "tensor \"%s\" has %llu rows; %llu from row %llu were asked for", t->name,
                       (unsigned long long)t->rows, (unsigned long long)n_rows, (unsigned long long)first_row);
    }
    if (t->module) {
        return pk_panels_read(s, t, first_row, n_rows, dst, e);
    }
    if (!t->head_rows) {
        return pk_file_read(f, t->offset + first_row * t->row_bytes, dst, n_rows * t->row_bytes, e);
    }
    // In a head of d rows, the row (half h, i) of the rotate-half form stands at 2i + h.
    uint64_t half = t->head_rows / 2;
    for (uint64_t i = 0; i < n_rows; i++) {
        uint64_t row = first_row + i, in_head = row % t->head_rows;
        uint64_t stored = row - in_head + 2 * (in_head % half) + in_head / half;
        if (!pk_file_read(f, t->offset + stored * t->row_bytes, (uint8_t *)dst + i * t->row_bytes, t->row_bytes, e)) {
            return false;
        }
    }
    return true;
}

bool pk_source_read_columns(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows,
                            uint64_t first_col, uint64_t cols, void *dst, struct pk_error *e) {
    if (cols == t->cols || t->module || t->head_rows) {
        return pk_source_read_rows(s, t, first_row, n_rows, dst, e);
    }
    const uint64_t block = pk_type_elements(t->type), bytes = pk_type_bytes(t->type);
    const uint64_t start = first_col / block * bytes, end = (first_col + cols + block - 1) / block * bytes;
    for (uint64_t i = 0; i < n_rows; i++) {
        if (!pk_file_read(&s->files[t->file], t->offset + (first_row + i) * t->row_bytes + start,
                          (uint8_t *)dst + i * t->row_bytes + start, end - start, e)) {
            return false;
        }
    }
    return true;
}

void pk_source_expect(const struct pk_source *s, const struct pk_tensor *t, uint64_t first_row, uint64_t n_rows) {
    if (!t->module) { // whose matrices are loaded whole
        pk_file_expect(&s->files[t->file], t->offset + first_row * t->row_bytes, n_rows * t->row_bytes);
    }
}

bool pk_check_finite(const struct pk_source *s, const struct pk_tensor *t, uint64_t row, const float *values,
                     struct pk_error *e) {
    for (uint64_t i = 0; i < t->cols; i++) {
        if (!isfinite(values[i])) {
            return pk_fail(e, MOXIE_ERROR_NOT_FINITE, "%s: tensor \"%s\", row %llu, column %llu: the value is %s",
                           s->files[t->file].path, t->name, (unsigned long long)row, (unsigned long long)i,
                           isnan(values[i]) ? "NaN" : "infinite");
        }
    }
    return true;
}
