/* SPDX-License-Identifier: Apache-2.0
 *
 * Models that gguf-split has cut: <prefix>-00001-of-000NN.gguf and so on, the first with the metadata. */
#ifndef PK_GGUF_SPLIT_H
#define PK_GGUF_SPLIT_H

#include "pack/gguf.h"

/* The headers of a model's parts, one when it is in one file. */
struct pk_gguf_parts {
    struct pk_gguf *part; /* [n]; part i is file i of the source */
    size_t n;
};

/* Reads the model that the file `name` of the source's folder is, or is a part of, and adds its files to the source.
 * `parts` is to be freed also after a failure. */
bool pk_gguf_read_parts(struct pk_source *s, const char *name, struct pk_gguf_parts *parts, struct pk_error *e);
void pk_gguf_free_parts(struct pk_gguf_parts *parts);

/* By their names, are these parts of the same model? */
bool pk_gguf_same_model(const char *name, const char *other);

#endif
