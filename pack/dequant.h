/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage types of a checkpoint's tensors, and the exact float32 values of a row. */
#ifndef PK_DEQUANT_H
#define PK_DEQUANT_H

#include <stddef.h>
#include <stdint.h>

/* Block types hold 32 elements. Halfs are IEEE binary16; everything is little-endian. Element e of a block:
 *   PK_Q4_0  18 bytes  d half @0, qs[16] @2            (nibble - 8) * d
 *   PK_Q4_1  20 bytes  d half @0, m half @2, qs[16] @4  nibble * d + m
 *   PK_Q8_0  34 bytes  d half @0, int8 qs[32] @2        qs[e] * d
 * nibble = (qs[e % 16] >> (e / 16 * 4)) & 15 */
enum pk_type {
    PK_F32,
    PK_F16,
    PK_BF16,
    PK_Q4_0,
    PK_Q4_1,
    PK_Q8_0,
    PK_OTHER, /* a known type that cannot be packed: the tensor must not be needed */
};

#define PK_BLOCK 32

/* Elements and bytes of one block (1 element for plain types); 0 for PK_OTHER. */
uint32_t pk_type_elements(enum pk_type type);
uint32_t pk_type_bytes(enum pk_type type);

/* "F32", "Q4_1", … */
const char *pk_type_name(enum pk_type type);

float pk_half_to_f32(uint16_t half);

/* The values of one row, exactly as the type defines them (products and sums in float32, not fused). `cols` is a
 * multiple of the type's block; `row` needs no alignment. */
void pk_row_to_f32(enum pk_type type, const void *row, size_t cols, float *dst);

#endif
