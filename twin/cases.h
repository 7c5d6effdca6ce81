/* SPDX-License-Identifier: Apache-2.0
 *
 * Awkward inputs for the kernels, beside the known answers: shapes that are no multiple of anything, and values at the
 * edge of what ARITHMETIC.md lets through. Case `run` of a kernel is made in the image; false when there is none. */
#ifndef TWIN_CASES_H
#define TWIN_CASES_H

#include <stdbool.h>

#include "opencl/known_inputs.h"

#define TWIN_IMAGE_BYTES (32u << 20)

bool twin_case(const struct mx_program_key *key, const char *kernel, uint32_t run, uint8_t *image, struct mx_case *c);

#endif
