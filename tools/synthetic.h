/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints with pseudo-random weights, made without any download: those of published shapes are what moxie bench
 * --shape packs, tiny ones what moxie conform computes. Every tensor is a window into one pool of pseudo-random blocks,
 * so that memory stays small and making a bundle takes as long as writing it. */
#ifndef TOOL_SYNTHETIC_H
#define TOOL_SYNTHETIC_H

#include "pack/source_build.h"

struct synthetic_shape {
    const char *architecture; /* a family of pack/families.h */
    uint32_t hidden, layers, heads, kv_heads, head_dim, vocab, positions;
    float rope_theta, rms_eps;
    bool tied;
    struct pk_ffn ffn;
};

/* MoE++'s mixture in struct pk_ffn: `experts_` experts, of which the last four have no matrices. */
#define SYNTHETIC_MOEPP(experts_, width_)                                                                              \
    {                                                                                                                  \
        .routed = (experts_), .top_k = 2, .width = (width_), .norm_topk = true, .carried = true, .zero_apart = true,   \
        .constants = 2, .copies = 1, .zeros = 1, .deviation = 1                                                        \
    }

/* How its matrices are stored, and what its bundle is to say of keys and values. Where more than a block's 32 weights
 * share a scale it is that of their first block. */
struct synthetic_kind {
    enum pk_type type;
    uint32_t group;   /* 32, 64 or 128 for types of blocks */
    uint32_t kv_type; /* enum mx_kv_type; 0: pack's choice */
    bool wide; /* weights near 1/10 and values at the edge of the formats, instead of 1/40 as trained ones have */
};

/* A source for pk_pack; the same bytes every time, others for another name. NULL: see `e`. */
struct pk_source *synthetic_make(const char *name, const struct synthetic_shape *shape,
                                 const struct synthetic_kind *kind, struct pk_error *e);

/* Names of the shapes, NULL at the end. */
extern const char *const synthetic_shapes[];

/* The same of synthetic_shapes[shape] in Int4, where `group` weights (32, 64 or 128) share a scale. */
struct pk_source *synthetic_open(uint32_t shape, uint32_t group, struct pk_error *e);

/* About how many bytes its bundle has at most. */
uint64_t synthetic_bytes(uint32_t shape);

#endif
