/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernels there are, in which programs, and how their arguments are called. */
#ifndef TWIN_KERNELS_H
#define TWIN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "opencl/cl_host.h"
#include "opencl/launch.h"

struct twin_kernel {
    struct mx_program_key key;
    const char *kernel;
};

/* Kernel i (0, 1, …) of the list of every kernel in every program that a bundle can ask for; false behind its end. */
bool twin_kernel(size_t i, struct twin_kernel *k);

/* One parameter of a kernel, as its source has it. */
struct twin_parameter {
    char type[16], name[32]; /* "float", "out"; of memory the type of an element */
    bool memory;
};

/* The parameters of k in order. Returns their number, 0 when the source has no such kernel. */
uint32_t twin_parameters(const struct twin_kernel *k, struct twin_parameter list[MX_MAX_ARGS]);

/* Bytes of an element of the parameter, as a comparison counts them: those of what lies there. */
uint32_t twin_element_bytes(const struct twin_kernel *k, const struct twin_parameter *p);

#endif
