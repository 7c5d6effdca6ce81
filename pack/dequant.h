/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage types of a checkpoint's tensors, and the exact float32 values of a row. */
#ifndef PK_DEQUANT_H
#define PK_DEQUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Halfs are IEEE binary16; everything is little-endian. Types of blocks of 32 elements, element e of a block:
 *   PK_Q4_0    18 bytes  d half @0, qs[16] @2                         (nibble - 8) * d
 *   PK_Q4_1    20 bytes  d half @0, m half @2, qs[16] @4              nibble * d + m
 *   PK_Q4_Z    19 bytes  d half @0, zero u8 @2 (0..15), qs[16] @3     (nibble - zero) * d
 *   PK_Q5_0    22 bytes  d half @0, qh u32 @2, qs[16] @6              (five - 16) * d
 *   PK_Q5_1    24 bytes  d half @0, m half @2, qh u32 @4, qs[16] @8   five * d + m
 *   PK_Q8_0    34 bytes  d half @0, int8 qs[32] @2                    qs[e] * d
 *   PK_IQ4_NL  18 bytes  d half @0, qs[16] @2                         table[nibble] * d
 * nibble = (qs[e % 16] >> (e / 16 * 4)) & 15; five = nibble | (qh >> e & 1) << 4.
 * Types of blocks of 256 elements, 32 or (PK_Q6_K) 16 of which share a scale that is a product:
 *   PK_Q4_K   144 bytes  d half @0, dmin half @2, scales[12] @4, qs[128] @16
 *   PK_Q5_K   176 bytes  d half @0, dmin half @2, scales[12] @4, qh[32] @16, qs[128] @48
 *   PK_Q6_K   210 bytes  ql[128] @0, qh[64] @128, int8 scales[16] @192, d half @208
 * All but PK_Q4_Z are GGUF's. PK_Q4_0 and PK_Q4_Z are also what GPTQ's and AWQ's columns become (pack/gptq.h). */
enum pk_type {
    PK_F32,
    PK_F16,
    PK_BF16,
    PK_Q4_0,
    PK_Q4_1,
    PK_Q8_0,
    PK_Q4_Z,
    PK_Q5_0,
    PK_Q5_1,
    PK_IQ4_NL,
    PK_Q4_K,
    PK_Q5_K,
    PK_Q6_K,
    PK_OTHER, /* a known type that cannot be packed: the tensor must not be needed */
};

#define PK_BLOCK 32      /* elements of a unit: what shares a scale in every type of blocks but PK_Q6_K */
#define PK_BLOCK_MAX 256 /* of the largest block */

/* Elements and bytes of one block (1 element for plain types); 0 for PK_OTHER. */
uint32_t pk_type_elements(enum pk_type type);
uint32_t pk_type_bytes(enum pk_type type);

/* "F32", "Q4_1", … */
const char *pk_type_name(enum pk_type type);

float pk_half_to_f32(uint16_t half);

/* The values of one row, exactly as the type defines them (products and sums in float32, not fused). `cols` is a
 * multiple of the type's block; `row` needs no alignment. */
void pk_row_to_f32(enum pk_type type, const void *row, size_t cols, float *dst);

/* Integers of 32 columns: value = scale * (code - zero) + minimum, exact but for the one rounding of the addition. */
struct pk_unit {
    float scale, minimum;
    uint8_t zero;
};

/* Unit `unit` (columns 32 * unit …) of a row of any type of blocks but PK_Q6_K. */
void pk_row_unit(enum pk_type type, const void *row, size_t unit, int8_t codes[static PK_BLOCK], struct pk_unit *u);

#endif
