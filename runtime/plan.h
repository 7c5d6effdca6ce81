/* SPDX-License-Identifier: Apache-2.0
 *
 * Every byte before anything starts: sizes and places of all buffers, the device windows over the weights, and the
 * number of launches and programs. Pure: it reads the bundle's tables, the device's facts and the configuration,
 * nothing else. */
#ifndef MX_PLAN_H
#define MX_PLAN_H

#include "runtime/kv.h"
#include "runtime/model.h"
#include "runtime/moxie.h"

#define MX_REGION_ALIGN 4096u
#define MX_MAX_WINDOWS 256u
#define MX_CL_SCRATCH_BYTES (4u << 20) /* program binaries and build logs during init, text and sampling afterwards */

/* A range of the bundle that becomes one read-only device buffer. */
struct mx_window {
    uint64_t offset, bytes; /* in the bundle */
    uint32_t first, last;   /* segments */
};

struct mx_place {
    uint64_t offset, bytes; /* in STEP; bytes 0: not used by this model */
};

struct mx_plan {
    struct moxie_plan facts; /* what the caller sees */
    struct mx_shape shape;
    uint32_t context, sequences, kv_blocks, max_blocks, step_tokens, step_logits;
    bool lists;                                   /* launches are run as lists (runtime/lists.h) */
    bool keep;                                    /* the experts of all layers */
    uint64_t kv_layer_bytes;                      /* keys (or values) of one layer: half of its part of SESSION */
    uint64_t parameters_offset, parameters_bytes; /* MX_BUFFER_STATUS .. MX_BUFFER_BLOCKS, contiguous in STEP */
    struct mx_place place[MX_BUFFERS];
};

/* Fills `plan`. Errors: MOXIE_ERROR_ARGUMENT for a contradictory configuration, MOXIE_ERROR_DEVICE_MEMORY when the
 * device's facts rule the plan out. */
enum moxie_error mx_plan(const struct mx_bundle *bundle, const struct moxie_device_facts *facts,
                         const struct moxie_config *config, struct mx_plan *plan, struct moxie_failure *failure);

/* Cuts the bundle into windows: whole segments, whole layers where they fit. `window` may be NULL to count. */
enum moxie_error mx_plan_windows(const struct mx_bundle *bundle, const struct moxie_device_facts *facts,
                                 struct mx_window *window, uint32_t *windows, struct moxie_failure *failure);

/* Do the loops of the kernels stay below tunables->loop_rounds? MOXIE_ERROR_DEVICE_UNFIT when not. */
enum moxie_error mx_plan_rounds(const struct mx_bundle *bundle, const struct mx_plan *plan,
                                const struct moxie_tunables *tunables, struct moxie_failure *failure);

/* Number of the window that holds `segment`, or would. */
uint32_t mx_window_of(const struct mx_window *window, uint32_t windows, uint32_t segment);

/* Name of a buffer, for people. */
const char *mx_buffer_name(enum mx_buffer buffer);

#endif
