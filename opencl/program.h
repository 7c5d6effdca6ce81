/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs: one for each key, from the cache's binary or from the embedded sources. */
#ifndef MX_PROGRAM_H
#define MX_PROGRAM_H

#include "opencl/cl_host.h"

/* The program of `key`, built now if it is new; a variant that does not compile becomes the portable one.
 * Errors: COMPILE, OPENCL, DEVICE_MEMORY, MEMORY (more programs than MX_MAX_PROGRAMS). */
enum moxie_error mx_program_get(struct mx_cl *cl, const struct mx_program_key *key, struct mx_program **out,
                                struct moxie_failure *failure);

/* Puts the portable program in the place of a variant. Kernels already made of the variant stay as they are. */
enum moxie_error mx_program_make_portable(struct mx_cl *cl, struct mx_program *p, struct moxie_failure *failure);

#endif
