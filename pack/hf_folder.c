/* SPDX-License-Identifier: Apache-2.0
 *
 * A Hugging Face folder: config.json and its companions, and the weights in model.safetensors or pytorch_model.bin, or
 * in shards listed in an index. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/families.h"
#include "pack/hf_config.h"
#include "pack/json_util.h"
#include "pack/safetensors.h"
#include "pack/torch_bin.h"

#define INDEX_MAX_BYTES 100000000u
#define SHARDS_MAX 512u // each stays open

/* Newer writers may keep a layer's experts in two stacks; they become the tensors of single experts:
 *   <layer>.mlp.experts.gate_up_proj (experts, gate rows then up rows, hidden)
 *   <layer>.mlp.experts.down_proj    (experts, hidden, width) */
static bool add_stacked(struct pk_source *s, const struct pk_safetensor *t, const char *name, uint32_t file,
                        struct pk_error *e) {
    bool gate_up = pk_ends_with(name, ".gate_up_proj");
    int prefix_length = (int)(strlen(name) - strlen(gate_up ? "gate_up_proj" : "down_proj"));
    if (t->n_dims != 3 || t->type == PK_OTHER || (gate_up && t->dims[1] % 2)) {
        return pk_fail(e, MOXIE_ERROR_MODEL,
                       "%s: tensor \"%s\": expected a stack of experts with 3 dims of type F32, F16 or BF16",
                       s->files[file].path, t->name);
    }
    struct pk_tensor stack = {.name = t->name,
                              .type = t->type,
                              .type_name = t->type_name,
                              .dims = {t->dims[0], t->dims[1], t->dims[2]},
                              .row_bytes = t->dims[2] * pk_type_bytes(t->type),
                              .file = file,
                              .offset = t->offset};
    char prefix[300]; // names have at most 255 bytes
    snprintf(prefix, sizeof(prefix), "%.*s", prefix_length, name);
    uint64_t rows = t->dims[1] / 2;
    return gate_up ? pk_source_add_stack(s, prefix, "gate_proj.weight", &stack, 0, rows, e) &&
                         pk_source_add_stack(s, prefix, "up_proj.weight", &stack, rows, rows, e)
                   : pk_source_add_stack(s, prefix, "down_proj.weight", &stack, 0, t->dims[1], e);
}

/* gate and up of one expert in one matrix, gate first. */
static bool add_fused(struct pk_source *s, const struct pk_safetensor *t, const char *name, uint32_t file,
                      struct pk_error *e) {
    if (t->n_dims != 2 || t->type == PK_OTHER || t->dims[0] % 2) {
        return pk_fail(e, MOXIE_ERROR_MODEL,
                       "%s: tensor \"%s\": expected the rows of gate and up, 2 dims of type F32, F16 or BF16",
                       s->files[file].path, t->name);
    }
    const uint64_t dims[2] = {t->dims[0] / 2, t->dims[1]}, bytes = dims[0] * dims[1] * pk_type_bytes(t->type);
    char gate[300];
    snprintf(gate, sizeof(gate), "%.*sgate_proj.weight", (int)(strlen(name) - strlen("up_proj.weight")), name);
    return pk_source_add(s, gate, t->type, t->type_name, 2, dims, file, t->offset, e) &&
           pk_source_add(s, name, t->type, t->type_name, 2, dims, file, t->offset + bytes, e);
}

static bool is_stacked(const char *name) {
    return pk_ends_with(name, ".mlp.experts.gate_up_proj") || pk_ends_with(name, ".mlp.experts.down_proj");
}

static bool add_tensors(struct pk_source *s, const struct pk_safetensors *st, uint32_t file, struct pk_error *e) {
    const struct pk_family *f = pk_family_find(s->model.architecture);
    for (size_t i = 0; i < st->n_tensors; i++) {
        const struct pk_safetensor *t = &st->tensors[i];
        char name[300]; // names have at most 255 bytes
        pk_family_name(f, t->name, name, sizeof(name));
        const bool fused = f->fused_up && pk_ends_with(name, ".up_proj.weight");
        if (!(is_stacked(name) ? add_stacked(s, t, name, file, e)
              : fused
                  ? add_fused(s, t, name, file, e)
                  : pk_source_add(s, name, t->type, t->type_name, t->n_dims, t->dims, file, t->offset, e) != NULL)) {
            return false;
        }
    }
    return true;
}

static bool add_file(struct pk_source *s, const char *name, struct pk_error *e) {
    struct pk_file f;
    uint32_t index;
    if (!pk_folder_file(s->folder, name, &f, e) || !pk_source_add_file(s, f, &index, e)) {
        return false;
    }
    struct pk_safetensors st;
    const struct pk_file *file = &s->files[index];
    bool ok = pk_ends_with(name, ".bin") ? pk_torch_bin_read(&st, file, e) : pk_safetensors_read(&st, file, e);
    ok = ok && add_tensors(s, &st, index, e);
    pk_safetensors_free(&st);
    return ok;
}

/* A shard is a file of the folder itself: no path that leads elsewhere. */
static bool plain_name(const char *name, const char *ending) {
    return name && pk_ends_with(name, ending) && !strchr(name, '/') && !strchr(name, '\\') && name[0] != '.';
}

static bool is_called(const struct pk_file *f, const char *name) {
    const size_t n = strlen(f->path), m = strlen(name);
    return pk_ends_with(f->path, name) && n > m && strchr("/:", f->path[n - m - 1]);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct shard names of weight_map, sorted: [*n], to be freed. */
static const char **shard_names(const struct pk_json *index, const json_t *map, const char *ending, size_t *n) {
    const char **names = calloc(json_object_size(map) + 1, sizeof(*names));
    if (!names) {
        return pk_fail_memory(index->e);
    }
    size_t all = 0;
    void *it = json_object_iter((json_t *)map);
    for (; it; it = json_object_iter_next((json_t *)map, it)) {
        names[all] = json_string_value(json_object_iter_value(it));
        if (!plain_name(names[all++], ending)) {
            pk_fail(index->e, MOXIE_ERROR_FORMAT, "%s: tensor \"%s\": expected the name of a %s file in this folder",
                    index->path, json_object_iter_key(it), ending);
            free(names);
            return NULL;
        }
    }
    qsort(names, all, sizeof(*names), by_text);
    *n = 0;
    for (size_t i = 0; i < all; i++) {
        if (*n == 0 || strcmp(names[*n - 1], names[i]) != 0) {
            names[(*n)++] = names[i];
        }
    }
    return names;
}

/* Every tensor of the index must be in a file, and those of its own shard. Stacks were split: they have no entry. */
static bool check_index(struct pk_source *s, const struct pk_json *index, const json_t *map) {
    if (!pk_source_sort(s, index->e)) {
        return false;
    }
    const struct pk_family *f = pk_family_find(s->model.architecture);
    void *it = json_object_iter((json_t *)map);
    for (; it; it = json_object_iter_next((json_t *)map, it)) {
        char canonical[300];
        const char *name = json_object_iter_key(it), *shard = json_string_value(json_object_iter_value(it));
        pk_family_name(f, name, canonical, sizeof(canonical));
        if (is_stacked(canonical)) {
            continue;
        }
        const struct pk_tensor *t = pk_source_find(s, canonical);
        if (!t || !is_called(&s->files[t->file], shard)) {
            return pk_fail(index->e, MOXIE_ERROR_FORMAT, "%s: tensor \"%s\" is not in %s", index->path, name, shard);
        }
    }
    return true;
}

static bool add_shards(struct pk_source *s, const struct pk_json *index, const char *ending) {
    const json_t *map = pk_json_get(index, "weight_map");
    if (!json_is_object(map)) {
        return pk_json_fail(index, "weight_map", "an object");
    }
    size_t n = 0;
    const char **names = shard_names(index, map, ending, &n);
    bool ok = names != NULL;
    if (ok && n > SHARDS_MAX) {
        ok =
            pk_fail(index->e, MOXIE_ERROR_BOUNDS, "%s: %zu files, at most %u are expected", index->path, n, SHARDS_MAX);
    }
    for (size_t i = 0; ok && i < n; i++) {
        ok = add_file(s, names[i], index->e);
    }
    free(names);
    return ok && check_index(s, index, map);
}

static bool add_index(struct pk_source *s, const char *name, const char *ending, struct pk_error *e) {
    char *path = pk_folder_path(s->folder, name, e);
    json_t *root = path ? pk_json_in(s->folder, name, INDEX_MAX_BYTES, e) : NULL;
    struct pk_json j = {root, path, e};
    bool ok = root && add_shards(s, &j, ending);
    json_decref(root);
    free(path);
    return ok;
}

/* The usual names, safetensors first; else the only .safetensors file, whatever it is called (AutoGPTQ's are called
 * after their settings). */
static bool import_weights(struct pk_source *s, struct pk_error *e) {
    static const struct {
        const char *name, *ending; // of the shards; NULL: `name` is the one file
    } usual[] = {{"model.safetensors", NULL},
                 {"model.safetensors.index.json", ".safetensors"},
                 {"pytorch_model.bin", NULL},
                 {"pytorch_model.bin.index.json", ".bin"}};
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (pk_folder_has(s->folder, usual[i].name)) {
            return usual[i].ending ? add_index(s, usual[i].name, usual[i].ending, e) : add_file(s, usual[i].name, e);
        }
    }
    char **names;
    const int n = pk_folder_list(s->folder, ".safetensors", &names, e);
    bool ok = n == 1 ? add_file(s, names[0], e)
                     : n >= 0 && pk_fail(e, MOXIE_ERROR_FILE,
                                         "%s: neither model.safetensors nor pytorch_model.bin, nor an index of either "
                                         "(.index.json); %d other .safetensors files",
                                         s->path, n);
    pk_folder_list_free(names);
    return ok;
}

/* The model is called what its folder is called. */
static bool name_model(struct pk_source *s, struct pk_error *e) {
    char *name = pk_folder_name(s->folder, e);
    if (name) {
        pk_model_set_id(&s->model, name);
    }
    free(name);
    return name != NULL;
}

bool pk_source_import_folder(struct pk_source *s, struct pk_error *e) {
    struct pk_quant quant = {0};
    bool ok = name_model(s, e) && pk_hf_read_config(s, &quant, e) && pk_hf_read_generation(s, e) &&
              pk_hf_read_texts(s, e) && import_weights(s, e) && pk_gptq_join(s, &quant, e);
    pk_quant_free(&quant);
    return ok;
}
