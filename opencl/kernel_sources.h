/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenCL C text of opencl/kernels/, embedded into the library by the build. */
#ifndef MX_KERNEL_SOURCES_H
#define MX_KERNEL_SOURCES_H

#include <stddef.h>

struct mx_kernel_source {
    const char *name;   /* file name without ".cl" */
    const char *source; /* NUL-terminated ASCII */
    size_t length;      /* bytes, the NUL not counted */
};

/* All of them in the order of their names; ends with an entry whose name is NULL. */
extern const struct mx_kernel_source mx_kernel_sources[];

/* The source of opencl/kernels/NAME.cl, NULL when there is none. Static memory. Any thread. */
const struct mx_kernel_source *mx_kernel_source(const char *name);

#endif
