/* SPDX-License-Identifier: Apache-2.0
 *
 * The one kind of pickle that is read: what torch.save writes for a dictionary of tensors (protocol 2). Nothing in it
 * is executed. Its instructions build plain values on a stack; the only things that may be named are the rebuilding of
 * a tensor, the storages of the element types and an ordered dictionary, and every other name or instruction is
 * refused.
 */
#ifndef PK_PICKLE_H
#define PK_PICKLE_H

#include <stddef.h>

#include "pack/pk_error.h"
#include "pack/source.h"

#define PK_PICKLE_MAX_BYTES (16u << 20) /* some 60 000 tensors */

struct pk_pickle_tensor {
    char *name;
    char *storage;         /* the key of its storage: the last part of a member's name */
    enum pk_type type;     /* PK_OTHER for the types that only have to be known */
    const char *type_name; /* static: "BF16" */
    uint32_t element_bytes;
    uint64_t storage_elements;
    uint64_t offset; /* of the first element in its storage, in elements */
    uint32_t n_dims;
    uint64_t dims[PK_MAX_DIMS];    /* outermost first */
    uint64_t strides[PK_MAX_DIMS]; /* in elements */
};

struct pk_pickle {
    struct pk_pickle_tensor *tensors; /* as they stand in the dictionary */
    size_t n_tensors;
};

/* n: at most PK_PICKLE_MAX_BYTES. `path` is what errors call it. `out` is to be freed also after a failure. */
bool pk_pickle_read(struct pk_pickle *out, const uint8_t *data, size_t n, const char *path, struct pk_error *e);
void pk_pickle_free(struct pk_pickle *out);

#endif
