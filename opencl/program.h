/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs: one for each key, from the cache's binary or from the embedded sources. */
#ifndef MX_PROGRAM_H
#define MX_PROGRAM_H

#include "opencl/cl_host.h"

bool mx_same_program(const struct mx_program_key *a, const struct mx_program_key *b);

/* The program of `key`, built now if it is new; a variant that does not compile becomes the portable one.
 * Errors: COMPILE, OPENCL, DEVICE_MEMORY, MEMORY (more programs than MX_MAX_PROGRAMS). */
enum moxie_error mx_program_get(struct mx_cl *cl, const struct mx_program_key *key, struct mx_program **out,
                                struct moxie_failure *failure);

/* What a program is built from and with: the texts in their order, and the options. */
#define MX_PROGRAM_SOURCES 30u /* at most */
struct mx_program_text {
    const char *source[MX_PROGRAM_SOURCES];
    uint32_t sources;
    char options[256];
};
enum moxie_error mx_program_text(const struct mx_cl *cl, const struct mx_program *p, struct mx_program_text *text,
                                 struct moxie_failure *failure);

/* Makes `p` trust less of the device: the portable primitive in the place of a variant, then its own conversion of
 * halves. False when nothing is left to distrust. mx_program_build then builds it anew; kernels already made stay as
 * they are. */
bool mx_program_distrust(struct mx_program *p);

/* "AVX2", "portable", "portable, halves by integers". Static memory. */
const char *mx_form_name(uint32_t dot, bool half_by_integer);
enum moxie_error mx_program_build(struct mx_cl *cl, struct mx_program *p, struct moxie_failure *failure);

#endif
