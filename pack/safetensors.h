/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of one safetensors file:
 *   u64 n | n bytes of JSON {"name": {"dtype": "BF16", "shape": […], "data_offsets": [begin, end]}, …} | data
 * Offsets count from the start of the data. Everything is checked before it is believed: the tensors must cover the
 * data exactly, without gap or overlap, each as long as its shape and type say. */
#ifndef PK_SAFETENSORS_H
#define PK_SAFETENSORS_H

#include <stddef.h>

#include "pack/pk_file.h"
#include "pack/source.h"

struct pk_safetensor {
    char *name;
    enum pk_type type;     /* PK_OTHER for the types that only have to be known */
    const char *type_name; /* static: "BF16" */
    uint32_t n_dims;
    uint64_t dims[PK_MAX_DIMS]; /* outermost first; may hold zeros */
    uint64_t offset;            /* in the file */
    uint64_t bytes;
};

struct pk_safetensors {
    struct pk_safetensor *tensors; /* in file order */
    size_t n_tensors;
};

bool pk_safetensors_read(struct pk_safetensors *st, const struct pk_file *f, struct pk_error *e);
void pk_safetensors_free(struct pk_safetensors *st);

#endif
