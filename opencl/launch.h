/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel launches that are bound once and then only enqueued. */
#ifndef MX_LAUNCH_H
#define MX_LAUNCH_H

#include "opencl/cl_host.h"

#define MX_MAX_ARGS 32u

enum mx_arg_kind { MX_ARG_MEM = 0, MX_ARG_U32, MX_ARG_F32 };

struct mx_arg {
    uint8_t kind; /* enum mx_arg_kind */
    union {
        cl_mem mem;
        uint32_t u;
        float f;
    };
};

static inline struct mx_arg mx_arg_mem(cl_mem mem) {
    return (struct mx_arg){.kind = MX_ARG_MEM, .mem = mem};
}
static inline struct mx_arg mx_arg_u32(uint32_t u) {
    return (struct mx_arg){.kind = MX_ARG_U32, .u = u};
}
static inline struct mx_arg mx_arg_f32(float f) {
    return (struct mx_arg){.kind = MX_ARG_F32, .f = f};
}

/* Numbers of a step that grids are multiplied with when they are enqueued. counts[MX_FIXED] is not read: it is 1. */
enum mx_count {
    MX_FIXED = 0,
    MX_TOKENS,  /* T, tokens of this step */
    MX_LOGITS,  /* L, rows that want logits */
    MX_JOBS,    /* experts that may have entries: min(experts, T * N) */
    MX_ENTRIES, /* T * N, (token, expert) pairs */
    MX_COPIES,  /* KV blocks to copy */
    MX_LEAVES,  /* groups of 16 Merkle leaves */
    MX_COUNTS
};

/* The shape of a grid, whatever the device. */
enum mx_work {
    MX_WORK_ONE,    /* a single work-group */
    MX_WORK_CORES,  /* one for each compute unit of the device */
    MX_WORK_ROWS,   /* one per row of `count` */
    MX_WORK_GRID,   /* rows of `count` x `items` */
    MX_WORK_LINEAR, /* `items` tiles of 16 rows (pairs of tiles for gate and up) x `jobs` of at most `count` entries */
};

struct mx_grid {
    enum mx_work work;
    enum mx_count count, jobs; /* MX_FIXED: 1 */
    uint32_t items;
};

/* units[i] = ceil(base[i] * counts[scale[i]] / divide[i]); a unit is a work-item, or a work-group of `group` along
 * side 0. */
struct mx_launch {
    cl_kernel kernel;
    const char *name;
    uint32_t dims, base[3], divide[3], group;
    uint8_t scale[3]; /* enum mx_count */
    uint8_t needs;    /* enum mx_count that must not be 0 */
};

/* Builds the program if it is new, creates a kernel of it and sets its arguments. With mx_known_answers in force a
 * kernel that has not been checked yet is checked first: a variant that fails to build or gives wrong bits is replaced
 * by the portable kernel and the log says so.
 * Errors: COMPILE (the build log went to the log callback), KNOWN_ANSWER, OPENCL, DEVICE_MEMORY. */
enum moxie_error mx_launch_bind(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program_key *program,
                                const char *kernel, const struct mx_arg *args, uint32_t n_args,
                                struct moxie_failure *failure);

/* Sets the grid, in the way this device and kernel want it. */
void mx_launch_grid(const struct mx_cl *cl, struct mx_launch *launch, const struct mx_grid *grid);

/* Changes one argument for the launches enqueued from now on. */
enum moxie_error mx_launch_set(struct mx_launch *launch, uint32_t index, struct mx_arg arg,
                               struct moxie_failure *failure);

/* The work-items of a launch with these counts, and those of a work-group. Returns the number of sides, 0 when one is
 * 0.
 */
uint32_t mx_launch_range(const struct mx_launch *launch, const uint32_t counts[MX_COUNTS], size_t global[3],
                         size_t local[3]);

/* Enqueues. A grid with a side of 0 is skipped. Creates nothing when `event` is NULL, else the event of the launch goes
 * there, NULL when it was skipped. */
enum moxie_error mx_launch_run(struct mx_cl *cl, const struct mx_launch *launch, const uint32_t counts[MX_COUNTS],
                               cl_event *event, struct moxie_failure *failure);

/* When a launch that is done ran, by the device's clock. The queue keeps times (struct mx_callbacks). */
enum moxie_error mx_launch_times(cl_event event, uint64_t *start_ns, uint64_t *end_ns, struct moxie_failure *failure);

/* Gives the binaries of the programs built by now to the cache callback; for the end of init, when every kernel has
 * been created and checked. Never fails: a cache is a cache. */
void mx_programs_store(struct mx_cl *cl);

#endif
