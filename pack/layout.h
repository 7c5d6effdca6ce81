/* SPDX-License-Identifier: Apache-2.0
 *
 * The manifest: all tables of a bundle, made from the headers of a checkpoint. Sizes and places are known before the
 * first weight is read; what is missing afterwards are the hashes. */
#ifndef PK_LAYOUT_H
#define PK_LAYOUT_H

#include "pack/coding.h"

struct pk_layout {
    struct mx_manifest *manifest; /* manifest_bytes of memory: the tables follow; what is signed */
    struct mx_member *members;    /* in there */
    struct mx_layer *layers;
    struct mx_segment *segments;
    struct mx_tensor *tensors;
    uint64_t weight_bytes; /* of all segments that hold tensors */
    uint32_t widened;      /* tensor copies in a wider format than asked for */
};

/* tokenizer_bytes, license_bytes: 0 = there is none. `layout` is to be freed also after a failure. */
bool pk_layout_make(const struct pk_source *s, const struct pk_pack_options *o, uint64_t tokenizer_bytes,
                    uint64_t license_bytes, struct pk_layout *layout, struct pk_error *e);
void pk_layout_free(struct pk_layout *layout);

#endif
