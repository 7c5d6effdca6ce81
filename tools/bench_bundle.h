/* SPDX-License-Identifier: Apache-2.0
 *
 * The bundle of moxie bench --shape and moxie plan --shape. */
#ifndef TOOL_BENCH_BUNDLE_H
#define TOOL_BENCH_BUNDLE_H

#include "tools/args.h"
#include "tools/engine.h"

struct bench_shape {
    uint32_t shape;        /* synthetic_shapes[shape] */
    uint32_t group_choice; /* bench_groups[group_choice]: weights that share a scale */
    uint32_t kv_type;      /* enum mx_kv_type of keys and values; 0: pack's choice */
    const char *keep; /* write it there, signed with the key of the store; NULL: into a temporary file, signed with a
                       * key that exists for this run only, and without a name once it is open */
    const char *gguf; /* write the weights there too (tools/synthetic_gguf.h); NULL: do not */
    bool hollow;      /* without weights: to be planned, not run */
};

/* Rows of an args table for what --shape has and a BUNDLE brings: its group size and its type of keys and values. */
extern const char *const bench_groups[]; /* 32 << index */
extern const char *const bench_kv[];     /* as enum mx_kv_type */
#define BENCH_SHAPE_OPTIONS(to)                                                                                        \
    {"--group",    .kind = ARG_CHOICE,      .out = &(to)->group_choice,                                                \
     .value = "N", .choices = bench_groups, .help = "weights of --shape that share a scale: 32 (default), 64, 128"},   \
    {                                                                                                                  \
        "--kv", .kind = ARG_CHOICE, .out = &(to)->kv_type, .value = "TYPE", .choices = bench_kv,                       \
                .help = "keys and values of --shape: auto (default: f16), f16, f32, int8"                              \
    }

/* Exactly one of the two, and what only a shape has not with a BUNDLE. An exit status, reported. */
int bench_shape_check(const struct bench_shape *shape, const char *bundle);

/* Packs the shape and opens the bundle. An exit status, reported; the engine is to be closed in any case. */
int bench_bundle_open(struct engine *engine, const struct bench_shape *shape);

#endif
