/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of launches that a processor goes through by itself, as one launch (opencl/kernels/sequence.cl): drivers for
 * processors take 5 to 25 microseconds for a launch that all cores share, more than most kernels of a small step. */
#ifndef MX_SEQUENCE_H
#define MX_SEQUENCE_H

#include "opencl/launch.h"

#define MX_OP_WORDS 32u
#define MX_OP_ARGS 24u
#define MX_PROGRESS_WORDS 16u
#define MX_SEQUENCE_WINDOWS 4u
#define MX_PAGE 4096u /* places of memory are counted in these */

/* Does a device run lists? Pure. */
bool mx_sequence_device(const struct moxie_device_facts *facts, const struct moxie_tunables *tunables);

/* Can one program run operations of `op` and of what `program` runs already? It has room for one format of matrices; if
 * so, `program` becomes the key of both. Zeroed, `program` runs nothing yet. */
bool mx_sequence_join(struct mx_program_key *program, const struct mx_program_key *op);

/* One operation, as the kernel reads it. `grid` has been set by mx_launch_grid. A memory argument is its place, in
 * pages; of a window its place * MX_SEQUENCE_WINDOWS + the window's number. */
void mx_sequence_record(const char *kernel, const struct mx_launch *grid, const uint32_t *args, uint32_t n_args,
                        uint32_t record[MX_OP_WORDS]);

/* Memory of a list. Places in step: records (n, MX_OP_WORDS), counts (MX_COUNTS) with counts[MX_FIXED] = 1, progress
 * (n, MX_PROGRESS_WORDS), zeros before each step. */
struct mx_sequence_memory {
    cl_mem step, session, window[MX_SEQUENCE_WINDOWS];
    uint32_t ops, counts, progress; /* pages */
};

/* Makes the launch of a list whose operations are all of `program`. Errors as of mx_launch_bind. */
enum moxie_error mx_sequence_bind(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program_key *program,
                                  const struct mx_sequence_memory *memory, struct moxie_failure *failure);

/* Checks `kernel` as it is inside of `program`, once, like mx_launch_bind does it for a kernel of its own; `op` is the
 * key that it has there. */
enum moxie_error mx_sequence_check(struct mx_cl *cl, const struct mx_program_key *program,
                                   const struct mx_program_key *op, const char *kernel, struct moxie_failure *failure);

/* Enqueues operations first .. end - 1. */
enum moxie_error mx_sequence_run(struct mx_cl *cl, struct mx_launch *launch, uint32_t first, uint32_t end,
                                 struct moxie_failure *failure);

#endif
