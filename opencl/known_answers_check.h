/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the known answers, for launch.c, the self-test and the test that recomputes the table. */
#ifndef MX_KNOWN_ANSWERS_CHECK_H
#define MX_KNOWN_ANSWERS_CHECK_H

#include "opencl/known_cases.h"

struct mx_known_answer {
    const char *kernel;
    uint8_t format, group, kv; /* of the program key */
    uint64_t digest;
};

/* All of them; ends with an entry whose kernel is NULL. */
extern const struct mx_known_answer mx_known_answer_table[];

/* Makes sure that `kernel` of `p` gives the known answer of `key`, once; a variant that does not is replaced in `p`.
 * `key` is the program's own, or the kernel is a part of mx_sequence. Errors: KNOWN_ANSWER (names the kernel and the
 * device), or those of a launch. */
enum moxie_error mx_check_kernel(struct mx_cl *cl, struct mx_program *p, const struct mx_program_key *key,
                                 const char *kernel, struct moxie_failure *failure);

#define MX_SEQUENCE_CASE_BYTES (3u * 4096u)

/* The launch of one case by mx_sequence. `memory` holds `image` (image_max), whose bytes behind the case's own are
 * written: they are to be copied to `memory` before the launch is run. Errors: MEMORY, or those of a launch. */
enum moxie_error mx_sequence_case(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program *program,
                                  const char *kernel, const struct mx_case *c, uint8_t *image, size_t image_max,
                                  cl_mem memory, struct moxie_failure *failure);

/* Runs the case of which `image` (image_max) is the memory, in `memory`, a region of as many bytes: by the kernel of
 * `p`, or, when `p` is a sequence, as a list of one operation; then MX_SEQUENCE_CASE_BYTES of the image behind the
 * case's own are written. The image afterwards is the memory after the run. */
enum moxie_error mx_case_run(struct mx_cl *cl, cl_mem memory, const struct mx_program *p, const char *kernel,
                             const struct mx_case *c, uint8_t *image, size_t image_max, struct moxie_failure *failure);

/* A kernel with its arguments set, of a program that may be unchecked. */
enum moxie_error mx_launch_create(struct mx_cl *cl, struct mx_launch *launch, const struct mx_program *program,
                                  const char *kernel, const struct mx_arg *args, uint32_t n_args,
                                  struct moxie_failure *failure);

#endif
