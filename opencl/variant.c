/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernel variant a device can run. Only PoCL compiles for the processor that this code itself runs on, so only
 * there does the processor's own word count. NVIDIA's compiler takes inline PTX; Mesa's dies of inline assembler. */
#include "opencl/device.h"

#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* XCR0: the register sets that the operating system saves. */
static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static enum mx_dot processor_dot(void) {
    enum {
        OSXSAVE = 1 << 27, /* leaf 1 ecx */
        AVX2 = 1 << 5,     /* leaf 7 ebx */
        VNNI = 1 << 11,    /* leaf 7 ecx */
        YMM = 0x06,        /* XCR0: SSE and AVX state */
        ZMM = 0xe6,        /* XCR0: also masks and all of the zmm registers */
    };
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* leaf 7 ebx: F, DQ, BW, VL */
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
        return MX_DOT_PORTABLE;
    uint64_t saved = saved_registers();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return MX_DOT_PORTABLE;
    if ((b & avx512) == avx512 && (c & VNNI) && (saved & ZMM) == ZMM)
        return MX_DOT_VNNI512;
    return (b & AVX2) && (saved & YMM) == YMM ? MX_DOT_AVX2 : MX_DOT_PORTABLE;
}
#else
static enum mx_dot processor_dot(void) {
    return MX_DOT_PORTABLE;
}
#endif

/* A build that is to run simpler variants where better ones would do (tests/conformance) says the most it may take. */
#ifndef MX_DOT_MOST
#define MX_DOT_MOST MX_DOT_VNNI512
#endif

enum mx_dot mx_device_dot(const struct moxie_device_facts *facts) {
    if (strcmp(facts->platform, "NVIDIA CUDA") == 0)
        return facts->compute_capability >= 80   ? MX_DOT_MMA
               : facts->compute_capability >= 61 ? MX_DOT_DP4A
                                                 : MX_DOT_PORTABLE;
    bool pocl = strcmp(facts->platform, "Portable Computing Language") == 0;
    enum mx_dot best = pocl && (facts->type & CL_DEVICE_TYPE_CPU) ? processor_dot() : MX_DOT_PORTABLE;
    return best < MX_DOT_MOST ? best : MX_DOT_MOST;
}

const char *mx_dot_name(uint32_t dot) {
    switch (dot) {
    case MX_DOT_AVX2:
        return "AVX2";
    case MX_DOT_VNNI512:
        return "AVX-512 VNNI";
    case MX_DOT_DP4A:
        return "dp4a";
    case MX_DOT_MMA:
        return "tensor cores";
    default:
        return "portable";
    }
}
