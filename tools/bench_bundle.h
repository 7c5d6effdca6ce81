/* SPDX-License-Identifier: Apache-2.0
 *
 * The bundle of moxie bench --shape and moxie plan --shape. */
#ifndef TOOL_BENCH_BUNDLE_H
#define TOOL_BENCH_BUNDLE_H

#include "tools/engine.h"

struct bench_shape {
    uint32_t shape;   /* synthetic_shapes[shape] */
    uint32_t group;   /* weights that share a scale */
    uint32_t kv_type; /* enum mx_kv_type of keys and values; 0: pack's choice */
    const char *keep; /* write it there, signed with the key of the store; NULL: into a temporary file, signed with a
                       * key that exists for this run only, and without a name once it is open */
    const char *gguf; /* write the weights there too (tools/synthetic_gguf.h); NULL: do not */
    bool hollow;      /* without weights: to be planned, not run */
};

/* Packs the shape and opens the bundle. An exit status, reported; the engine is to be closed in any case. */
int bench_bundle_open(struct engine *engine, const struct bench_shape *shape);

#endif
