/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/dequant.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t elements, bytes;
} types[] = {
    [PK_F32] = {"F32", 1, 4},         [PK_F16] = {"F16", 1, 2},       [PK_BF16] = {"BF16", 1, 2},
    [PK_Q4_0] = {"Q4_0", 32, 18},     [PK_Q4_1] = {"Q4_1", 32, 20},   [PK_Q8_0] = {"Q8_0", 32, 34},
    [PK_Q4_Z] = {"Q4_Z", 32, 19},     [PK_Q5_0] = {"Q5_0", 32, 22},   [PK_Q5_1] = {"Q5_1", 32, 24},
    [PK_IQ4_NL] = {"IQ4_NL", 32, 18}, [PK_Q4_K] = {"Q4_K", 256, 144}, [PK_Q5_K] = {"Q5_K", 256, 176},
    [PK_Q6_K] = {"Q6_K", 256, 210},   [PK_OTHER] = {"other", 0, 0},
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

static uint32_t load32(const uint8_t *p) {
    return load16(p) | load16(p + 2) << 16;
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

/* ---- Units of 32 ---- */

/* The nibbles of 16 bytes: low ones first. */
static void nibbles(const uint8_t *qs, int8_t codes[static PK_BLOCK]) {
    for (int i = 0; i < 16; i++) {
        codes[i] = (int8_t)(qs[i] & 15);
        codes[16 + i] = (int8_t)(qs[i] >> 4);
    }
}

/* Adds the fifth bits. */
static void fifth_bits(uint32_t qh, int8_t codes[static PK_BLOCK]) {
    for (int i = 0; i < PK_BLOCK; i++) {
        codes[i] = (int8_t)(codes[i] | (qh >> i & 1) << 4);
    }
}

static void shift(int8_t codes[static PK_BLOCK], int by) {
    for (int i = 0; i < PK_BLOCK; i++) {
        codes[i] = (int8_t)(codes[i] + by);
    }
}

/* Scale and minimum of sub-block `j` of Q4_K and Q5_K: six bits each, of the 12 bytes `s`, times d and dmin. */
static void k_scale(const uint8_t *block, unsigned j, struct pk_unit *u) {
    const uint8_t *s = block + 4;
    unsigned scale = j < 4 ? s[j] & 63u : (s[j + 4] & 15u) | (s[j - 4] >> 6 & 3u) << 4;
    unsigned minimum = j < 4 ? s[j + 4] & 63u : (unsigned)s[j + 4] >> 4 | (s[j] >> 6 & 3u) << 4;
    u->scale = half_at(block) * (float)scale;
    u->minimum = -(half_at(block + 2) * (float)minimum);
}

static void k_codes(const uint8_t *qs, unsigned j, int8_t codes[static PK_BLOCK]) {
    for (unsigned i = 0; i < PK_BLOCK; i++) {
        codes[i] = (int8_t)(qs[32 * (j / 2) + i] >> 4 * (j & 1) & 15);
    }
}

void pk_row_unit(enum pk_type type, const void *row, size_t unit, int8_t codes[static PK_BLOCK], struct pk_unit *u) {
    static const int8_t iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    const size_t units = types[type].elements / PK_BLOCK;
    const uint8_t *p = (const uint8_t *)row + unit / units * types[type].bytes;
    const unsigned j = (unsigned)(unit % units);
    *u = (struct pk_unit){.scale = half_at(p)};
    switch (type) {
    case PK_Q4_0:
        nibbles(p + 2, codes);
        u->zero = 8;
        break;
    case PK_Q4_1:
        nibbles(p + 4, codes);
        u->minimum = half_at(p + 2);
        break;
    case PK_Q4_Z:
        nibbles(p + 3, codes);
        u->zero = p[2];
        break;
    case PK_Q5_0:
        nibbles(p + 6, codes);
        fifth_bits(load32(p + 2), codes);
        shift(codes, -16);
        break;
    case PK_Q5_1:
        nibbles(p + 8, codes);
        fifth_bits(load32(p + 4), codes);
        u->minimum = half_at(p + 2);
        break;
    case PK_Q8_0:
        memcpy(codes, p + 2, PK_BLOCK);
        break;
    case PK_IQ4_NL:
        nibbles(p + 2, codes);
        for (int i = 0; i < PK_BLOCK; i++) {
            codes[i] = iq4[codes[i]];
        }
        break;
    case PK_Q4_K:
        k_scale(p, j, u);
        k_codes(p + 16, j, codes);
        break;
    case PK_Q5_K:
        k_scale(p, j, u);
        k_codes(p + 48, j, codes);
        for (int i = 0; i < PK_BLOCK; i++) {
            codes[i] = (int8_t)(codes[i] | (p[16 + i] >> j & 1) << 4);
        }
        break;
    default:
        memset(codes, 0, PK_BLOCK);
        break;
    }
}

static bool has_minimum(enum pk_type type) {
    return type == PK_Q4_1 || type == PK_Q5_1 || type == PK_Q4_K || type == PK_Q5_K;
}

static void units_to_f32(enum pk_type type, const void *row, size_t cols, float *dst) {
    for (size_t at = 0; at < cols; at += PK_BLOCK, dst += PK_BLOCK) {
        int8_t codes[PK_BLOCK];
        struct pk_unit u;
        pk_row_unit(type, row, at / PK_BLOCK, codes, &u);
        for (int i = 0; i < PK_BLOCK; i++) {
            dst[i] = (float)(codes[i] - u.zero) * u.scale;
        }
        for (int i = 0; has_minimum(type) && i < PK_BLOCK; i++) {
            dst[i] += u.minimum;
        }
    }
}

/* ---- Rows ---- */

static void q6_k_to_f32(const uint8_t *p, size_t cols, float *dst) {
    for (size_t b = 0; b < cols / 256; b++, p += 210, dst += 256) {
        const float d = half_at(p + 208);
        for (int e = 0; e < 256; e++) {
            const int h = e / 128, l = e % 32, c = e % 128 / 32; // quarter c of half h
            const uint8_t low = p[64 * h + l + 32 * (c & 1)], high = p[128 + 32 * h + l];
            const int code = (c < 2 ? low & 15 : low >> 4) | (high >> 2 * c & 3) << 4;
            dst[e] = d * (float)(int8_t)p[192 + e / 16] * (float)(code - 32);
        }
    }
}

void pk_row_to_f32(enum pk_type type, const void *row, size_t cols, float *dst) {
    const uint8_t *p = row;
    switch (type) {
    case PK_F32:
        for (size_t i = 0; i < cols; i++) {
            dst[i] = from_bits(load32(p + 4 * i));
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
    case PK_Q6_K:
        q6_k_to_f32(p, cols, dst);
        break;
    case PK_OTHER:
        break;
    default:
        units_to_f32(type, row, cols, dst);
        break;
    }
}
