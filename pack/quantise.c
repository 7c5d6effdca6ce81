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

/* Groups are looked at in vectors of four (gcc and clang know them on every machine), sums kept in eight lanes: a fixed
 * shape. */
typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));

#define VECTORS_MAX (PK_GROUP_MAX / 4)

static f4 splat(float v) {
    return (f4){v, v, v, v};
}

static f4 choose(i4 mask, f4 yes, f4 no) {
    return (f4)(((i4)yes & mask) | ((i4)no & ~mask));
}

/* The codes -8 .. 7 nearest to v, ties to even. */
static f4 round_codes(f4 v) {
    const f4 low = splat(-8.0f), high = splat(7.0f), magic = splat(0x1.8p23f); // its last bit is 1
    v = choose(v > low, v, low);
    v = choose(v < high, v, high);
    return (v + magic) - magic;
}

static float total(f4 a, f4 b) {
    f4 t = a + b;
    return (t[0] + t[2]) + (t[1] + t[3]);
}

/* Sums over a group of n vectors (n even) of x * c and c * c, c the codes at 1 / scale = `inverse`. */
static void correlate(const f4 *x, size_t n, float inverse, float *xc, float *cc) {
    f4 a[2] = {splat(0), splat(0)}, b[2] = {splat(0), splat(0)};
    const f4 factor = splat(inverse);
    for (size_t i = 0; i < n; i += 2) {
        const f4 c0 = round_codes(x[i] * factor), c1 = round_codes(x[i + 1] * factor);
        a[0] += x[i] * c0;
        a[1] += x[i + 1] * c1;
        b[0] += c0 * c0;
        b[1] += c1 * c1;
    }
    *xc = total(a[0], a[1]);
    *cc = total(b[0], b[1]);
}

/* Codes at a given scale, and the sum of squared errors. */
static float encode(const f4 *x, size_t n, float scale, f4 *codes) {
    const f4 factor = splat(scale != 0.0f ? 1.0f / scale : 0.0f), by = splat(scale);
    f4 e[2] = {splat(0), splat(0)};
    for (size_t i = 0; i < n; i++) {
        codes[i] = round_codes(x[i] * factor);
        const f4 d = x[i] - by * codes[i];
        e[i % 2] += d * d;
    }
    return total(e[0], e[1]);
}

/* The scale at which `codes` fit best. */
static float best_scale(const f4 *x, size_t n, const f4 *codes) {
    f4 a = splat(0), b = splat(0);
    for (size_t i = 0; i < n; i++) {
        a += x[i] * codes[i];
        b += codes[i] * codes[i];
    }
    const float cc = total(b, splat(0));
    return cc > 0.0f ? total(a, splat(0)) / cc : 0.0f;
}

static float stored(float scale) {
    return pk_half_to_f32(pk_half_from_f32(scale));
}

/* The code that the value of largest magnitude gets, before rounding: with one sign it may be near -8, with the other
 * near 7. */
static const float peaks[] = {-8.9f, -8.6f, -8.3f, -8.0f, -7.7f, -7.4f, -7.1f, -6.7f, 6.2f, 6.6f, 7.0f, 7.3f, 7.6f};

/* A scale for the group, normalised so that its largest magnitude is `peak`. */
static float search(const f4 *x, size_t n, float peak) {
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

/* Copies a group into vectors, with zeros behind it; returns their number, and the value of largest magnitude. */
static size_t load(const float *values, size_t n, f4 x[static VECTORS_MAX], float *peak) {
    const size_t vectors = (n + 7) / 8 * 2;
    float largest = 0.0f, smallest = 0.0f;
    for (size_t i = 0; i < n; i++) {
        largest = values[i] > largest ? values[i] : largest;
        smallest = values[i] < smallest ? values[i] : smallest;
    }
    *peak = largest >= -smallest ? largest : smallest;
    memset(x, 0, vectors * sizeof(*x));
    memcpy(x, values, n * sizeof(*values));
    return vectors;
}

uint16_t pk_quantise_i4(const float *values, size_t n, uint8_t *codes) {
    f4 x[VECTORS_MAX], best[VECTORS_MAX] = {0}, next[VECTORS_MAX];
    float peak;
    const size_t vectors = load(values, n, x, &peak);
    memset(codes, 8, n);
    if (fabsf(peak) < 0x1p-25f) { // less than half of the smallest scale that a half can be
        return 0;
    }
    if (fabsf(peak) > 0x1p20f) { // more than nine times the largest
        return 0x7c00;
    }
    float scale = stored(search(x, vectors, peak)), error = encode(x, vectors, scale, best);
    if (fabsf(scale) < 0x1p-14f) { // halfs are far apart here: the next one may clip less
        float other = copysignf(fabsf(scale) + 0x1p-24f, -peak), more = encode(x, vectors, other, next);
        if (more < error) {
            error = more;
            scale = other;
            memcpy(best, next, vectors * sizeof(*best));
        }
    }
    for (int round = 0; round < 2; round++) { // codes and scale improve each other
        float other = stored(best_scale(x, vectors, best)), less = encode(x, vectors, other, next);
        if (!(less < error)) {
            break;
        }
        error = less;
        scale = other;
        memcpy(best, next, vectors * sizeof(*best));
    }
    for (size_t i = 0; i < n; i++) {
        codes[i] = (uint8_t)(best[i / 4][i % 4] + 8.0f);
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
        float v = scale > 0.0f ? values[i] / scale : 0.0f;
        v = v > -127.0f ? v : -127.0f;
        v = v < 127.0f ? v : 127.0f;
        codes[i] = (int8_t)((v + 0x1.8p23f) - 0x1.8p23f); // the nearest integer, ties to even
    }
    return half;
}
