/* SPDX-License-Identifier: Apache-2.0
 *
 * A model as a list of launches. mx_model_walk is pure: it reads the bundle's tables and tells the caller every launch
 * of a step, in order, with symbolic operands. The plan counts and prints them, init binds them; there is no second
 * list. */
#ifndef MX_MODEL_H
#define MX_MODEL_H

#include <stdint.h>

#include "opencl/launch.h"
#include "platform/fail.h"
#include "runtime/bundle.h"

/* Device buffers of a step. Shapes: T = step_tokens, L = step_logits, S = sequences, N = experts per token (routed and
 * shared), E = T * N entries. */
enum mx_buffer {
    /* tables, written once by init */
    MX_BUFFER_SEGMENTS, /* (segments) uint2 {window, offset / 256} */
    MX_BUFFER_IOTA,     /* (max(E, T, L)) uint: 0, 1, 2, ... */
    MX_BUFFER_OPS,      /* (launches, MX_OP_WORDS) uint: for devices that run lists (opencl/sequence.h) */
    /* parameters of a step, one write */
    MX_BUFFER_STATUS,      /* (1 + layers) int: bits set by kernels; experts of each layer that had entries */
    MX_BUFFER_COUNTS,      /* uint {T of this step, entries of the layer at hand: those with an expert's matrices} */
    MX_BUFFER_STEP_COUNTS, /* (MX_COUNTS) uint; this and the next for lists */
    MX_BUFFER_PROGRESS,    /* (launches, MX_PROGRESS_WORDS) uint: zeros */
    MX_BUFFER_JOBS_TOKENS, /* uint4 {0, 0, T of this step, 0} */
    MX_BUFFER_JOBS_LOGITS, /* uint4 {0, 0, L of this step, 0} */
    MX_BUFFER_TOKEN,       /* (T) int */
    MX_BUFFER_POSITION,    /* (T) int */
    MX_BUFFER_SEQUENCE,    /* (T) int: row of the block table */
    MX_BUFFER_LOGIT_ROWS,  /* (L) uint: token index of each row of logits */
    MX_BUFFER_COPIES,      /* (S) uint2: KV blocks to copy before they are written */
    MX_BUFFER_BLOCKS,      /* (S, blocks per sequence) int */
    /* activations */
    MX_BUFFER_X,            /* (T, hidden) residual stream */
    MX_BUFFER_ANGLES,       /* (T, head_dim / 2) float2: cosine, sine */
    MX_BUFFER_NORM,         /* (T, hidden) */
    MX_BUFFER_QUANT,        /* (rows, kp) int8 of the current input site */
    MX_BUFFER_QUANT_SCALE,  /* (rows, groups) float */
    MX_BUFFER_QUANT_SUM,    /* (rows, groups) int */
    MX_BUFFER_QKV,          /* (T, (heads + 2 kv_heads) head_dim) */
    MX_BUFFER_Q,            /* (T, heads head_dim) */
    MX_BUFFER_ATTENTION,    /* (T, heads head_dim) */
    MX_BUFFER_ROUTER,       /* (T, router rows) */
    MX_BUFFER_CARRIED,      /* (T, routed) router logits, from layer to layer */
    MX_BUFFER_SELECTED,     /* (T, N) int: experts, ascending */
    MX_BUFFER_KEPT,         /* (T, layers, N) int: SELECTED of every layer, when the caller wants to see it */
    MX_BUFFER_WEIGHT,       /* (T, N) float */
    MX_BUFFER_LIGHT,        /* (T, 1 + constants) float: what light experts take of the input and of each constant */
    MX_BUFFER_ENTRY,        /* (T, N) uint: entry of the sorted list, NONE for light experts */
    MX_BUFFER_JOBS_EXPERTS, /* (experts) uint4 {expert, first entry, count, 0} */
    MX_BUFFER_ENTRY_ROWS,   /* (E) uint: token of each entry */
    MX_BUFFER_MIDDLE,       /* (E, width) */
    MX_BUFFER_OUT,          /* (E, hidden) */
    MX_BUFFER_LOGITS,       /* (L, vocab) */
    MX_BUFFERS
};

enum mx_operand_kind {
    MX_OPERAND_BUFFER,        /* value = enum mx_buffer */
    MX_OPERAND_WINDOW,        /* value = segment, the window that holds it */
    MX_OPERAND_WINDOW_NUMBER, /* value = segment: number of its window, as a uint argument */
    MX_OPERAND_KV,            /* value = layer * 2 + (0 keys, 1 values) */
    MX_OPERAND_U32,
    MX_OPERAND_F32,
};

struct mx_operand {
    enum mx_operand_kind kind;
    uint32_t value;
    float real;
};

/* The order of a step; a buffer lives from the phase that writes it to the last that reads it (runtime/plan.c). */
enum mx_phase {
    MX_PHASE_BEGIN,
    MX_PHASE_ATTN_NORM,
    MX_PHASE_QKV,
    MX_PHASE_ROPE,
    MX_PHASE_ATTENTION,
    MX_PHASE_ATTN_QUANT,
    MX_PHASE_ATTN_OUT,
    MX_PHASE_FFN_NORM,
    MX_PHASE_ROUTER,
    MX_PHASE_ROUTE,
    MX_PHASE_SORT,
    MX_PHASE_GATE_UP,
    MX_PHASE_MIDDLE_QUANT,
    MX_PHASE_DOWN,
    MX_PHASE_COMBINE,
    MX_PHASE_FINAL_NORM,
    MX_PHASE_HEAD,
    MX_PHASE_END,
};

#define MX_OPERANDS 24

/* A product of a float32 matrix with the first rows of a buffer, in their order: what any BLAS can compute. */
struct mx_dense {
    const struct mx_tensor *tensor; /* NULL: this launch is none */
    enum mx_buffer in, out;
    uint32_t ldo; /* floats per output row */
    bool add;     /* to what `out` holds */
};

/* One launch, before it is bound. */
struct mx_op {
    const char *kernel;
    struct mx_program_key program;
    struct mx_grid grid;
    uint32_t layer; /* MX_NONE outside of layers */
    uint32_t phase; /* enum mx_phase: lifetimes of buffers */
    uint32_t operands;
    struct mx_operand operand[MX_OPERANDS];
    struct mx_dense dense;
    const struct mx_tensor *tensor; /* of a product, else NULL */
};

/* What a model needs of a step's buffers: maxima over its layers. */
struct mx_shape {
    uint32_t selected;        /* N: most experts per token, routed and shared, 1 for a dense model */
    uint32_t experts;         /* most experts of a layer with matrices, routed and shared */
    uint32_t router_rows;     /* most router rows */
    uint32_t carried;         /* logits that a layer hands on, 0: none does */
    uint32_t light;           /* most factors of light experts */
    bool down_of_floats;      /* a down projection reads MIDDLE unquantised */
    uint64_t middle;          /* floats of MIDDLE per token: most (experts per token * width) */
    uint64_t out;             /* floats of OUT per token */
    uint64_t quant_bytes;     /* bytes of QUANT per token over all sites */
    uint64_t quant_groups;    /* groups per token over all sites */
    uint64_t bytes_per_token; /* weight bytes that one decoded token reads, at most: light experts read none */
};

/* The shape, and the rules that go beyond well-formed tables: everything the walk relies on. */
enum moxie_error mx_model_shape(const struct mx_bundle *bundle, struct mx_shape *shape, struct moxie_failure *failure);

/* Bytes of weights of one of a tensor's segments. */
uint64_t mx_model_tensor_bytes(const struct mx_tensor *tensor);

/* Calls emit for every launch of a step, in order. Stops at the first error. kv_blocks and max_blocks: blocks of the
 * pool and of one sequence. keep: the experts of all layers are kept. */
enum moxie_error mx_model_walk(const struct mx_bundle *bundle, uint32_t kv_blocks, uint32_t max_blocks, bool keep,
                               enum moxie_error (*emit)(void *context, const struct mx_op *op,
                                                        struct moxie_failure *failure),
                               void *context, struct moxie_failure *failure);

#endif
