/* SPDX-License-Identifier: Apache-2.0
 *
 * No kernel is trusted before it has given a known answer on this very device: inputs come from an integer hash, the
 * digests of the outputs are compiled into the library (they were computed by the scalar twins in twin/). */
#ifndef MX_KNOWN_ANSWERS_H
#define MX_KNOWN_ANSWERS_H

#include "opencl/launch.h"

#define MX_KNOWN_ANSWERS_BYTES (512u << 10) /* of device memory, and of mx_cl.scratch, that a check needs */

/* From now on mx_launch_bind checks each kernel before its first use, in `memory` (a region of at least
 * MX_KNOWN_ANSWERS_BYTES; what is in it is lost). To be called before the first bind; NULL switches checks off again.
 * Errors: MEMORY (too small). */
enum moxie_error mx_known_answers(struct mx_cl *cl, cl_mem memory, uint64_t bytes, struct moxie_failure *failure);

#endif
