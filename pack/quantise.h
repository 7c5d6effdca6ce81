/* SPDX-License-Identifier: Apache-2.0
 *
 * From float32 to the formats of a bundle: rounding, and the search for a group's scale. The same input gives the same
 * bytes on every machine: IEEE arithmetic in a fixed order, nothing of the math library. */
#ifndef PK_QUANTISE_H
#define PK_QUANTISE_H

#include <stddef.h>
#include <stdint.h>

#define PK_GROUP_MAX 128

/* Nearest, ties to even. A value beyond the format becomes infinite: the caller refuses it. */
uint16_t pk_half_from_f32(float value);
uint16_t pk_bf16_from_f32(float value);

static inline int pk_half_is_finite(uint16_t half) {
    return (half & 0x7c00) != 0x7c00;
}

/* The rule of ARITHMETIC.md section 1: what is below 2^-40 in magnitude becomes +0. Returns how many of the `n` values
 * were changed, those that were a zero already not counted. */
size_t pk_flush(float *values, size_t n);

/* One group of n <= PK_GROUP_MAX finite values, symmetric: value = scale * (code - 8), codes 0..15. The scale, which
 * may be negative, is searched so that the sum of squared errors is small; it is returned as the half that is stored.
 */
uint16_t pk_quantise_i4(const float *values, size_t n, uint8_t *codes);

/* The same with value = scale * code, codes -127..127; scale = largest magnitude / 127. */
uint16_t pk_quantise_i8(const float *values, size_t n, int8_t *codes);

#endif
