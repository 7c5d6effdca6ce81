/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a device and judging it. */
#ifndef MX_DEVICE_H
#define MX_DEVICE_H

#include <stdbool.h>

#include <CL/cl.h>

#include "opencl/moxie_device.h"

/* Variants of the integer dot product: MX_DOT of opencl/kernels. They give the same bits. */
enum mx_dot {
    MX_DOT_PORTABLE = 0,
    MX_DOT_AVX2 = 1,
    MX_DOT_VNNI512 = 2, /* x86 AVX-512 with VNNI: vpdpbusd on 64 bytes */
    MX_DOT_DP4A = 3,    /* NVIDIA from compute capability 6.1 on */
    MX_DOT_MMA = 4,     /* NVIDIA from 8.0 on: mma.m16n8k32 where there are many entries, else dp4a */
};

/* Device `index`, counted over platforms and their devices. A platform that cannot be asked has no devices.
 * Errors: NO_DEVICE. */
enum moxie_error mx_device_find(uint32_t index, cl_platform_id *platform, cl_device_id *device,
                                struct moxie_failure *failure);

/* Reads the facts. Errors: OPENCL. */
enum moxie_error mx_device_read(cl_platform_id platform, cl_device_id device, struct moxie_device_facts *facts,
                                struct moxie_failure *failure);

/* Can a device with these facts give the canonical bits? That its fma rounds once is not asked here: CL_FP_FMA only
 * says that it is fast, and the known answers of the kernels find one that does not. Pure. Errors: DEVICE_UNFIT. */
enum moxie_error mx_device_accept(const struct moxie_device_facts *facts, struct moxie_failure *failure);

/* The fastest variant that a device with these facts can run: by the name of the platform, the processor's own word and
 * the compute capability, never by trying (some compilers crash on code they do not know). Not one that has its bit in
 * `without`. */
enum mx_dot mx_device_dot(const struct moxie_device_facts *facts, uint32_t without);

/* Whether hash.cl takes the SHA instructions of x86 in programs of this variant. Only AVX2's: vectors of 64 bytes are
 * fast enough without, and a portable program has taken the place of one that was wrong. */
bool mx_device_sha256(const struct moxie_device_facts *facts, uint32_t dot);

/* "AVX2"; "portable" for a number that is none. Static memory. */
const char *mx_dot_name(uint32_t dot);

#endif
