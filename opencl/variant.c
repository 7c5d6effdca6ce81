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

static bool processor_sha256(void) {
    enum { SHA = 1 << 29 }; /* leaf 7 ebx */
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & SHA);
}

static uint32_t processor_variants(void) {
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
        return 0;
    uint64_t saved = saved_registers();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    const bool vnni = (b & avx512) == avx512 && (c & VNNI) && (saved & ZMM) == ZMM;
    const bool avx2 = (b & AVX2) && (saved & YMM) == YMM;
    return (uint32_t)vnni << MX_DOT_VNNI512 | (uint32_t)avx2 << MX_DOT_AVX2;
}
#else
static uint32_t processor_variants(void) {
    return 0;
}

static bool processor_sha256(void) {
    return false;
}
#endif

/* Bit n: variant n runs there. */
static uint32_t variants_of(const struct moxie_device_facts *facts) {
    if (strcmp(facts->platform, "NVIDIA CUDA") == 0)
        return (uint32_t)(facts->compute_capability >= 80) << MX_DOT_MMA | (uint32_t)(facts->compute_capability >= 61)
                                                                               << MX_DOT_DP4A;
    const bool pocl = strcmp(facts->platform, "Portable Computing Language") == 0;
    return pocl && (facts->type & CL_DEVICE_TYPE_CPU) ? processor_variants() : 0;
}

enum mx_dot mx_device_dot(const struct moxie_device_facts *facts, uint32_t without) {
    const uint32_t left = variants_of(facts) & ~without;
    for (uint32_t dot = MX_DOT_MMA; dot > MX_DOT_PORTABLE; dot--)
        if (left >> dot & 1)
            return (enum mx_dot)dot;
    return MX_DOT_PORTABLE;
}

bool mx_device_sha256(const struct moxie_device_facts *facts, uint32_t dot) {
    return dot == MX_DOT_AVX2 && (variants_of(facts) >> dot & 1) && processor_sha256();
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
