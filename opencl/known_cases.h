/* SPDX-License-Identifier: Apache-2.0
 *
 * The inputs of the known answers: for each kernel a few small runs that reach its corners (last partial tile, short
 * group, segment boundary, several experts, both windows, masked positions). Everything is made from an integer hash
 * with exact operations, so that every machine makes the same bytes. */
#ifndef MX_KNOWN_CASES_H
#define MX_KNOWN_CASES_H

#include "opencl/launch.h"

/* An argument: for MX_ARG_MEM a place in the image, else the value. */
struct mx_case_arg {
    uint8_t kind; /* enum mx_arg_kind */
    uint32_t offset, bytes;
    uint32_t u;
    float f;
};

/* One run of a kernel. Its buffers lie in one image of memory, each at a multiple of 4096. */
struct mx_case {
    struct mx_case_arg arg[MX_MAX_ARGS];
    uint32_t n_args;
    struct mx_grid grid;
    uint32_t counts[MX_COUNTS];
    size_t image_bytes;
};

/* Run `run` (0, 1, …) of `kernel` in the program `key`: fills the case and the image (at least MX_KNOWN_ANSWERS_BYTES).
 * False when there is no such run or kernel. */
bool mx_case_make(const struct mx_program_key *key, const char *kernel, uint32_t run, uint8_t *image,
                  struct mx_case *c);

/* Digest of the images after the runs, one after the other; the first `digest` is 0. The whole image counts: a kernel
 * that also writes elsewhere is wrong. */
uint64_t mx_case_digest(uint64_t digest, const uint8_t *image, size_t bytes);

#endif
