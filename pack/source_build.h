/* SPDX-License-Identifier: Apache-2.0
 *
 * What the importers share while they fill a struct pk_source. */
#ifndef PK_SOURCE_BUILD_H
#define PK_SOURCE_BUILD_H

#include "pack/folder.h"
#include "pack/source.h"

/* The importers: both fill an `s` that has a path and a folder; `name` is the GGUF file in it. */
bool pk_source_import_folder(struct pk_source *s, struct pk_error *e);
bool pk_source_import_gguf(struct pk_source *s, const char *name, struct pk_error *e);

/* Appends an opened file (`f` is taken over) and gives its index. */
bool pk_source_add_file(struct pk_source *s, struct pk_file f, uint32_t *index, struct pk_error *e);

/* Appends a tensor of `n_dims` dims (outermost first) that begins at `offset` of file `file`; name is copied. The
 * caller has checked that its bytes lie in the file. NULL: see `e`. */
struct pk_tensor *pk_source_add(struct pk_source *s, const char *name, enum pk_type type, const char *type_name,
                                uint32_t n_dims, const uint64_t *dims, uint32_t file, uint64_t offset,
                                struct pk_error *e);

/* Rows [first, first + rows) of every matrix in a stack [experts][stack rows][cols], as one tensor per expert called
 * "<prefix><expert>.<suffix>". `stack` is not an element of the table, which may move. */
bool pk_source_add_stack(struct pk_source *s, const char *prefix, const char *suffix, const struct pk_tensor *stack,
                         uint64_t first, uint64_t rows, struct pk_error *e);

/* Adds a note. */
bool pk_source_note(struct pk_source *s, struct pk_error *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sorts the table by name; two tensors of one name are an error. */
bool pk_source_sort(struct pk_source *s, struct pk_error *e);

/* The feed-forward part of a model, the same in every layer but for which layers are dense. */
struct pk_ffn {
    uint32_t dense_width; /* of the FFN in dense layers */
    uint32_t routed;      /* 0: all layers are dense */
    uint32_t top_k;
    uint32_t width;        /* of one routed expert */
    uint32_t shared_width; /* 0: no shared expert */
    bool norm_topk, shared_gate;
    bool two_layers, carried, zero_apart; /* as the flags of struct mx_layer, and its next fields */
    uint8_t constants, copies, zeros;
    float deviation;
    const uint8_t *dense; /* [layers], 1 = dense; NULL: all layers are sparse */
};

/* From the numbers read so far: checks that they fit each other, makes the layers, and computes inv_hidden and
 * attn_scale. `where` names the file in errors. */
bool pk_model_finish(struct pk_source *s, const struct pk_ffn *ffn, const char *where, struct pk_error *e);

/* Adds an end token to the union; `key` says where it came from. */
bool pk_model_add_eos(struct mx_model *m, uint64_t id, const char *where, const char *key, struct pk_error *e);

/* Copies at most 63 bytes of `name` into m->id, cut between two characters; bytes that are not UTF-8 become '_'. */
void pk_model_set_id(struct mx_model *m, const char *name);

#endif
