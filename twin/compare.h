/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the self-test: the cases of one kernel in one program, on the device and by the twin. */
#ifndef TWIN_COMPARE_H
#define TWIN_COMPARE_H

#include "twin/selftest.h"

enum { TWIN_OBJECTS = MX_CL_OWN_OBJECTS + MX_MAX_ARGS, TWIN_SCRATCH_BYTES = 16 << 20 };

struct twin_tester {
    const struct twin_selftest *t;
    struct mx_cl cl;
    struct mx_callbacks callbacks;
    struct mx_object objects[TWIN_OBJECTS];
    cl_mem memory;                      /* TWIN_IMAGE_BYTES */
    uint8_t *host, *scratch;            /* of the device */
    uint8_t *before, *after, *expected; /* images of a case (TWIN_IMAGE_BYTES) */
    char log[1 << 16];                  /* of the last build */
    struct mx_program_text text;
};

/* Runs all cases of v->of in `p`, up to the first that differs, and tells the visitor. Fails when the device can no
 * longer be used. */
enum moxie_error twin_compare(struct twin_tester *r, const struct mx_program *p, struct twin_verdict *v,
                              struct moxie_failure *failure);

#endif
