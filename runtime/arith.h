/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of runtime/ARITHMETIC.md, section 2, on the host: mx_flush, mx_recip, mx_div, mx_rsqrt, mx_exp,
 * mx_sigmoid, mx_gate, mx_tanh, mx_sincos, on float. The text is that of the kernels; here are the few words of
 * OpenCL C that it uses. To be compiled with -ffp-contract=off. */
#ifndef MX_ARITH_H
#define MX_ARITH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float mx_as_float(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int32_t mx_as_int(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float mx_clamp(float x, float low, float high) {
    return x < low ? low : x > high ? high : x;
}

/* OpenCL C defines what a shift does to the sign, and so do gcc and clang for C; C11 leaves it open. */
#define MX_FN static inline __attribute__((no_sanitize("shift")))
#define as_float mx_as_float
#define as_int mx_as_int
#define clamp mx_clamp
#define convert_int (int32_t)
#define fma fmaf
#define fabs fabsf
#define rint rintf
#include "opencl/kernels/arith.cl"
#undef MX_FN
#undef as_float
#undef as_int
#undef clamp
#undef convert_int
#undef fma
#undef fabs
#undef rint

#endif
