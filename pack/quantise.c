/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/quantise.h"

#include <math.h>
#include <string.h>

#include "pack/dequant.h"

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

uint16_t pk_half_from_f32(float value) {
    uint32_t bits = bits_of(value);
    uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (rest >= 0x477ff000u) { // 65520 and above round to infinity
        return (uint16_t)(sign | 0x7c00u);
    }
    if (rest < 0x38800000u) {                // below 2^-14: a multiple of 2^-24, which float addition rounds to
        float shifted = fabsf(value) + 0.5f; // ulp of [0.5, 1) is 2^-24
        return (uint16_t)(sign | (bits_of(shifted) - bits_of(0.5f)));
    }
    uint32_t odd = rest >> 13 & 1;
    return (uint16_t)(sign | ((rest - 0x38000000u + 0xfffu + odd) >> 13));
}

uint16_t pk_bf16_from_f32(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

size_t pk_flush(float *values, size_t n) {
    size_t changed = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = bits_of(values[i]) & 0x7fffffffu;
        if (magnitude < 0x2b800000u) { // 2^-40
            changed += magnitude != 0;
            values[i] = 0.0f;
        }
    }
    return changed;
}

#define LANES 8 // sums have a fixed shape that compilers vectorise

/* Nearest integer, ties to even, of |v| < 2^22. */
static float round_even(float v) {
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

static float clamp(float v, float low, float high) {
    v = v > low ? v : low;
    return v < high ? v : high;
}

static float total(const float lanes[static LANES]) {
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* Sums over a group x[n] (n a multiple of LANES) of x * c and c * c, c the codes -8..7 at 1/scale `inverse`. */
static void correlate(const float *x, size_t n, float inverse, float *xc, float *cc) {
    float a[LANES] = {0}, b[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float c = round_even(clamp(x[i + j] * inverse, -8.0f, 7.0f));
            a[j] += x[i + j] * c;
            b[j] += c * c;
        }
    }
    *xc = total(a);
    *cc = total(b);
}

/* Codes at a given scale, and the sum of squared errors. */
static float encode(const float *x, size_t n, float scale, float *codes) {
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f, e[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            codes[i + j] = round_even(clamp(x[i + j] * inverse, -8.0f, 7.0f));
            float d = x[i + j] - scale * codes[i + j];
            e[j] += d * d;
        }
    }
    return total(e);
}

/* The scale at which `codes` fit best. */
static float best_scale(const float *x, size_t n, const float *codes) {
    float a[LANES] = {0}, b[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            a[j] += x[i + j] * codes[i + j];
            b[j] += codes[i + j] * codes[i + j];
        }
    }
    float cc = total(b);
    return cc > 0.0f ? total(a) / cc : 0.0f;
}

static float stored(float scale) {
    return pk_half_to_f32(pk_half_from_f32(scale));
}

/* The code that the value of largest magnitude gets, before rounding: with one sign it may be near -8, with the other
 * near 7. */
static const float peaks[] = {-8.9f, -8.6f, -8.3f, -8.0f, -7.7f, -7.4f, -7.1f, -6.7f, 6.2f, 6.6f, 7.0f, 7.3f, 7.6f};

/* A scale for the group, normalised so that its largest magnitude is `peak`. */
static float search(const float *x, size_t n, float peak) {
    float best = 0.0f, scale = 0.0f;
    for (size_t k = 0; k < sizeof(peaks) / sizeof(peaks[0]); k++) {
        float xc, cc;
        correlate(x, n, peaks[k] / peak, &xc, &cc);
        // With its best scale xc / cc, these codes leave an error of sum(x * x) - xc * xc / cc.
        if (cc > 0.0f && xc / cc * xc > best) {
            best = xc / cc * xc;
            scale = xc / cc;
        }
    }
    return scale;
}

static size_t pad(const float *values, size_t n, float x[static PK_GROUP_MAX], float *peak) {
    *peak = 0.0f;
    for (size_t i = 0; i < n; i++) {
        x[i] = values[i];
        if (fabsf(x[i]) > fabsf(*peak)) {
            *peak = x[i];
        }
    }
    size_t padded = (n + LANES - 1) / LANES * LANES;
    for (size_t i = n; i < padded; i++) {
        x[i] = 0.0f;
    }
    return padded;
}

uint16_t pk_quantise_i4(const float *values, size_t n, uint8_t *codes) {
    float x[PK_GROUP_MAX], peak, best[PK_GROUP_MAX] = {0}, next[PK_GROUP_MAX];
    size_t padded = pad(values, n, x, &peak);
    memset(codes, 8, n);
    if (fabsf(peak) < 0x1p-25f) { // less than half of the smallest scale that a half can be
        return 0;
    }
    if (fabsf(peak) > 0x1p20f) { // more than nine times the largest
        return 0x7c00;
    }
    float scale = stored(search(x, padded, peak)), error = encode(x, padded, scale, best);
    if (fabsf(scale) < 0x1p-14f) { // halfs are far apart here: the next one may clip less
        float other = copysignf(fabsf(scale) + 0x1p-24f, -peak), more = encode(x, padded, other, next);
        if (more < error) {
            error = more;
            scale = other;
            memcpy(best, next, sizeof(best));
        }
    }
    for (int round = 0; round < 2; round++) { // codes and scale improve each other
        float other = stored(best_scale(x, padded, best)), less = encode(x, padded, other, next);
        if (!(less < error)) {
            break;
        }
        error = less;
        scale = other;
        memcpy(best, next, sizeof(best));
    }
    for (size_t i = 0; i < n; i++) {
        codes[i] = (uint8_t)(best[i] + 8.0f);
    }
    return scale != 0.0f ? pk_half_from_f32(scale) : 0;
}

uint16_t pk_quantise_i8(const float *values, size_t n, int8_t *codes) {
    float largest = 0.0f;
    for (size_t i = 0; i < n; i++) {
        largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    }
    uint16_t half = pk_half_from_f32(largest / 127.0f);
    float scale = pk_half_to_f32(half);
    for (size_t i = 0; i < n; i++) {
        codes[i] = scale > 0.0f ? (int8_t)round_even(clamp(values[i] / scale, -127.0f, 127.0f)) : 0;
    }
    return half;
}
