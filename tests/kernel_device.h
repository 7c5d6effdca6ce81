/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs cases of opencl/known_cases.h on a device and by the twins, with plain OpenCL calls: programs are compiled from
 * opencl/kernels as they are on disk, every argument has a buffer of its own and of its exact size, so that a checker
 * like Oclgrind sees each access beyond one. */
#ifndef TESTS_KERNEL_DEVICE_H
#define TESTS_KERNEL_DEVICE_H

#include <stdbool.h>

#include "opencl/known_inputs.h"

struct kernel_device {
    cl_platform_id platform;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    char name[160]; /* platform: device */
    bool pocl;
};

/* How a kernel is compiled and run. All give the same bits. */
struct kernel_style {
    const char *name;
    uint32_t dot;     /* MX_DOT */
    uint32_t local;   /* 0: vectors; else the lane style with work-groups of this size */
    uint32_t shrink;  /* 0: the whole grid; else sides are divided by this */
    const char *more; /* further options, or NULL */
    bool spelt_out;   /* AVX-512's instructions are written as what they compute, for processors without it */
};

/* Opens the device of which MX_DEVICE names the platform or the device (a part of either), the first without it.
 * Fails the test when there is none. */
void kernel_device_open(struct kernel_device *d);
void kernel_device_close(struct kernel_device *d);

/* The text of opencl/kernels/NAME.cl, to be freed. */
char *kernel_source(const char *name);

cl_program kernel_build(struct kernel_device *d, const struct mx_program_key *key, const struct kernel_style *style);

/* Runs on the device; image is the memory before and after. */
void kernel_run(struct kernel_device *d, cl_program program, const char *kernel, const struct kernel_style *style,
                const struct mx_case *c, uint8_t *image);

/* Runs the twin on the image. */
void kernel_twin(const struct mx_program_key *key, const char *kernel, const struct mx_case *c, uint8_t *image);

/* Makes the case's memory twice, runs kernel and twin, and fails the test unless all bytes are equal. */
void kernel_compare(struct kernel_device *d, cl_program program, const struct mx_program_key *key, const char *kernel,
                    const struct kernel_style *style, const struct mx_case *c, const uint8_t *image);

#endif
