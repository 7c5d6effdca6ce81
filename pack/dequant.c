/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/dequant.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t elements, bytes;
} types[] = {
    [PK_F32] = {"F32", 1, 4},     [PK_F16] = {"F16", 1, 2},     [PK_BF16] = {"BF16", 1, 2},
    [PK_Q4_0] = {"Q4_0", 32, 18}, [PK_Q4_1] = {"Q4_1", 32, 20}, [PK_Q8_0] = {"Q8_0", 32, 34},
    [PK_OTHER] = {"other", 0, 0},
};

uint32_t pk_type_elements(enum pk_type type) {
    return types[type].elements;
}

uint32_t pk_type_bytes(enum pk_type type) {
    return types[type].bytes;
}

const char *pk_type_name(enum pk_type type) {
    return types[type].name;
}

static float from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint32_t load16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

float pk_half_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t rest = half & 0x7fffu;
    if (rest >= 0x7c00u) { // infinity and NaN keep their payload
        return from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    }
    // The float with these bits is the half times 2^-112, subnormal halfs included: one exact product.
    return from_bits(sign | rest << 13) * 0x1p112f;
}

static float half_at(const uint8_t *p) {
    return pk_half_to_f32((uint16_t)load16(p));
}

void pk_row_to_f32(enum pk_type type, const void *row, size_t cols, float *dst) {
    const uint8_t *p = row;
    switch (type) {
    case PK_F32:
        for (size_t i = 0; i < cols; i++) {
            dst[i] = from_bits(load16(p + 4 * i) | load16(p + 4 * i + 2) << 16);
        }
        break;
    case PK_F16:
        for (size_t i = 0; i < cols; i++) {
            dst[i] = half_at(p + 2 * i);
        }
        break;
    case PK_BF16:
        for (size_t i = 0; i < cols; i++) {
            dst[i] = from_bits(load16(p + 2 * i) << 16);
        }
        break;
    case PK_Q4_0:
        for (size_t b = 0; b < cols / PK_BLOCK; b++, p += 18, dst += PK_BLOCK) {
            float d = half_at(p);
            for (int i = 0; i < 16; i++) {
                dst[i] = (float)((p[2 + i] & 15) - 8) * d;
                dst[i + 16] = (float)((p[2 + i] >> 4) - 8) * d;
            }
        }
        break;
    case PK_Q4_1:
        for (size_t b = 0; b < cols / PK_BLOCK; b++, p += 20, dst += PK_BLOCK) {
            float d = half_at(p), m = half_at(p + 2);
            for (int i = 0; i < 16; i++) {
                dst[i] = (float)(p[4 + i] & 15) * d + m;
                dst[i + 16] = (float)(p[4 + i] >> 4) * d + m;
            }
        }
        break;
    case PK_Q8_0:
        for (size_t b = 0; b < cols / PK_BLOCK; b++, p += 34, dst += PK_BLOCK) {
            float d = half_at(p);
            for (int i = 0; i < PK_BLOCK; i++) {
                dst[i] = (float)(int8_t)p[2 + i] * d;
            }
        }
        break;
    case PK_OTHER:
        break;
    }
}
