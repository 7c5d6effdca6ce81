/* SPDX-License-Identifier: Apache-2.0
 *
 * The running engine: what lives in the HOST region. struct moxie stands at its start, the arrays follow. */
#ifndef MX_ENGINE_H
#define MX_ENGINE_H

#include <stdatomic.h>

#include "runtime/lists.h"
#include "runtime/tokenizer.h"

#define MX_STEP_BYTES_MIN (1u << 20) /* room for the known answers and the hashes of init */

struct moxie {
    const struct mx_bundle *bundle;
    struct mx_plan plan;
    struct mx_cl cl;
    struct mx_callbacks callbacks;
    struct mx_kv kv;
    struct mx_tokenizer tokenizer;

    void *mapped; /* what init mapped itself: one mmap for all regions without a pointer */
    uint64_t mapped_bytes;
    struct moxie_region region[MOXIE_REGIONS];

    cl_mem window[MX_MAX_WINDOWS];
    struct mx_window window_range[MX_MAX_WINDOWS];
    cl_mem step, buffer[MX_BUFFERS];
    cl_mem session;                /* all of it, with lists */
    enum moxie_error lists_failed; /* why kernels are launched one by one on a device that should run lists */
    cl_mem *kv_memory;             /* (layers, 2) */
    struct mx_launch *launch;      /* (launches) bound */
    struct mx_list *list;          /* (launches) what each runs of the walk's launches */
    uint32_t *launch_layer;        /* (the walk's launches) */
    struct moxie_gemm *gemm;       /* (launches) what the caller's BLAS computes instead; rows 0: nothing */
    const struct moxie_blas *blas; /* NULL: none */
    cl_event *event;               /* (launches) of the step that runs, when it is profiled; else NULL each */
    void (*profile)(void *user, const struct moxie_launch *launch); /* NULL: steps are not profiled */
    uint32_t counts[MX_COUNTS];                                     /* of the last step */
    uint64_t positions_read; /* of keys and values, by the last step: each once for its sequence */
    uint32_t launches;
    uint8_t *parameters;       /* host copy of MX_BUFFER_STATUS .. MX_BUFFER_BLOCKS, laid out as on the device */
    struct mx_kv_copy *copies; /* in parameters */
    uint32_t *appended;        /* (sequences) tokens of the running step */
    float *logits;             /* (step_logits, vocab) */
    uint32_t rows;             /* of logits that are valid */
    int32_t *kept;             /* (step_tokens, layers, N) copy of MX_BUFFER_KEPT */
    uint32_t kept_tokens;      /* of it that are valid */
    uint8_t *scratch;          /* MX_CL_SCRATCH_BYTES, or more for the sampler */
    size_t scratch_bytes;

    atomic_uint cancel; /* set by moxie_cancel, honoured while a call runs */
    bool lost;          /* the device is gone */
};

/* Bytes of the HOST region. */
uint64_t mx_engine_bytes(const struct mx_bundle *bundle, const struct mx_plan *plan);

/* The validated bundle behind the public handle; NULL when the handle is not open. */
const struct mx_bundle *mx_bundle_of(const struct moxie_bundle *bundle);

/* Whether mx_bundle_accept was called for this open bundle. */
bool mx_bundle_verified(const struct moxie_bundle *bundle);

/* To be called when all of the bundle has been verified. Tells the product its counter (moxie_trust.counter_store). */
enum moxie_error mx_bundle_accept(const struct moxie_bundle *bundle, struct moxie_failure *failure);

/* Hashes every weight segment on the device, from the buffers that kernels will read, and compares with the tree. Uses
 * STEP as scratch. */
enum moxie_error mx_verify_on_device(struct moxie *engine, struct moxie_failure *failure);

/* Binds one launch of the walk as the engine's next. */
enum moxie_error mx_bind_launch(struct moxie *engine, const struct mx_op *op, struct moxie_failure *failure);

/* Tells the caller about the launches of the step just done, and releases their events; the latter alone. */
enum moxie_error mx_profile_step(struct moxie *engine, struct moxie_failure *failure);
void mx_profile_forget(struct moxie *engine);

/* Sees whether launch `launch`, being bound, is one that the caller's BLAS computes. */
void mx_blas_bind(struct moxie *engine, uint32_t launch, const struct mx_op *op);
/* Enqueues it, for `n` rows of activations. */
enum moxie_error mx_blas_run(struct moxie *engine, uint32_t launch, uint32_t n, struct moxie_failure *failure);
/* Computes one product, so that the BLAS builds its kernels. */
enum moxie_error mx_blas_start(struct moxie *engine, struct moxie_failure *failure);

/* Forgets a cancellation that came while nothing ran. */
static inline void mx_arm(struct moxie *engine) {
    atomic_store(&engine->cancel, 0);
}

#endif
