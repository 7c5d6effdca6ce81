/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the two halves of the layout: what a model consists of (layout.c), and where that lies (layout_manifest.c).
 */
#ifndef PK_LAYOUT_BUILD_H
#define PK_LAYOUT_BUILD_H

#include "pack/layout.h"

struct pk_layout_builder {
    const struct pk_source *s;
    const struct pk_pack_options *o;
    uint64_t segment_max, member_max;
    struct mx_segment *segments; /* kind, layer, expert and used are set */
    size_t n_segments, max_segments;
    struct mx_tensor *tensors;
    size_t n_tensors, max_tensors;
    struct mx_member *members;
    size_t n_members, max_members;
    uint32_t widened;
    struct pk_error *e;
};

/* Makes room for one more element of `size` bytes in *(void **)array. */
bool pk_layout_grow(void *array, size_t n, size_t *max, size_t size, struct pk_error *e);

/* Segments to members, places for all of them, and the tables copied behind the manifest's header. */
bool pk_layout_assemble(struct pk_layout_builder *b, struct pk_layout *out);

static inline uint64_t pk_round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

#endif
