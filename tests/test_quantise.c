/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounding against the definition in double, and the search for scales against a dense search by brute force. */
#include "tests/check.h"

#include <math.h>
#include <string.h>

#include "pack/dequant.h"
#include "pack/quantise.h"

static uint32_t random_state;

static uint32_t random_bits(void) {
    random_state = random_state * 1664525 + 1013904223;
    uint32_t high = random_state;
    random_state = random_state * 1664525 + 1013904223;
    return high ^ random_state >> 16;
}

/* About normal: the sum of twelve uniform values. */
static float random_normal(void) {
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += random_bits() * 0x1p-32;
    }
    return (float)sum;
}

static float from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* binary16 by its definition (IEEE 754, 3.4), in double */
static double half_value(uint16_t h) {
    int exponent = h >> 10 & 31;
    double m = h & 1023, v = exponent ? ldexp(1024 + m, exponent - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

static double bf16_value(uint16_t b) {
    return from_bits((uint32_t)b << 16);
}

/* Is `bits` the nearest of the finite values, ties to the even one? `value` maps patterns, ascending for positive ones.
 */
static void check_nearest(double x, uint16_t bits, double (*value)(uint16_t), uint16_t largest) {
    uint16_t magnitude = bits & 0x7fff;
    double a = fabs(x), got = fabs(value(magnitude)), mine = fabs(a - got);
    assert_int_equal(bits >> 15, signbit(x) != 0);
    if (magnitude > largest) { /* infinite: x is at least half a step beyond the largest */
        double step = value(largest) - value(largest - 1);
        assert_true(a >= value(largest) + step / 2);
        return;
    }
    double below = magnitude ? fabs(a - value(magnitude - 1)) : INFINITY;
    double above = magnitude < largest ? fabs(a - value(magnitude + 1)) : INFINITY;
    assert_true(mine <= below && mine <= above);
    assert_true((mine < below && mine < above) || magnitude % 2 == 0);
}

static void halfs_and_bfloats_round_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) { /* every half and what lies in the middle between two */
        assert_int_equal(pk_half_from_f32((float)half_value((uint16_t)h)), h);
        assert_int_equal(pk_half_from_f32(-(float)half_value((uint16_t)h)), h | 0x8000);
        if (h < 0x7bff) {
            float middle = (float)((half_value((uint16_t)h) + half_value((uint16_t)(h + 1))) / 2);
            check_nearest(middle, pk_half_from_f32(middle), half_value, 0x7bff);
            check_nearest(nextafterf(middle, 0), pk_half_from_f32(nextafterf(middle, 0)), half_value, 0x7bff);
            check_nearest(nextafterf(middle, 1e9f), pk_half_from_f32(nextafterf(middle, 1e9f)), half_value, 0x7bff);
        }
    }
    random_state = 1;
    for (int i = 0; i < 1000000; i++) {
        float x = from_bits(random_bits());
        if (isfinite(x)) {
            check_nearest(x, pk_half_from_f32(x), half_value, 0x7bff);
            check_nearest(x, pk_bf16_from_f32(x), bf16_value, 0x7f7f);
        }
    }
    assert_int_equal(pk_half_from_f32(65504.0f), 0x7bff);
    assert_int_equal(pk_half_from_f32(65519.996f), 0x7bff);
    assert_int_equal(pk_half_from_f32(65520.0f), 0x7c00);
    assert_int_equal(pk_half_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(pk_half_from_f32(NAN) & 0x7c00, 0x7c00);
    assert_int_not_equal(pk_half_from_f32(NAN) & 0x3ff, 0);
    assert_int_equal(pk_bf16_from_f32(INFINITY), 0x7f80);
    assert_int_equal(pk_bf16_from_f32(from_bits(0x7f800001)) & 0x7f80, 0x7f80);
    assert_int_not_equal(pk_bf16_from_f32(from_bits(0x7f800001)) & 0x7f, 0);
}

static void values_below_the_limit_become_zero(void **state) {
    (void)state;
    float x[] = {0.0f, -0.0f, 0x1p-40f, -0x1p-40f, nextafterf(0x1p-40f, 0), -0x1p-41f, 0x1p-149f, 1.0f};
    const uint32_t expected[] = {0, 0, 0x2b800000, 0xab800000, 0, 0, 0, 0x3f800000};
    assert_int_equal(pk_flush(x, 8), 3);
    assert_memory_equal(x, expected, sizeof(expected));
}

static double squared_error(const float *x, size_t n, const uint8_t *codes, float scale) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - (double)scale * (codes[i] - 8);
        sum += d * d;
    }
    return sum;
}

/* The error at `scale` with the nearest codes. */
static double error_at(const float *x, size_t n, double scale) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double q = fmin(fmax(rint(x[i] / scale), -8), 7), d = x[i] - scale * q;
        sum += d * d;
    }
    return sum;
}

static double brute_force(const float *x, size_t n) {
    double largest = 0, best = INFINITY;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)x[i]));
    }
    for (int i = 0; i < 1600; i++) {
        const double levels = 4 + i * 0.005;
        best = fmin(best, fmin(error_at(x, n, largest / levels), error_at(x, n, -largest / levels)));
    }
    return best;
}

static void int4_is_nearly_as_good_as_every_scale_tried(void **state) {
    (void)state;
    static const size_t sizes[] = {32, 64, 128, 1, 7, 31, 100};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        const size_t n = sizes[k];
        double ours = 0, best = 0, plain = 0;
        random_state = 7;
        for (int trial = 0; trial < 60; trial++) {
            float x[PK_GROUP_MAX], largest = 0;
            uint8_t codes[PK_GROUP_MAX];
            const float size = ldexpf(1, trial % 8 - 4);
            for (size_t i = 0; i < n; i++) {
                x[i] = random_normal() * size;
                largest = fmaxf(largest, fabsf(x[i]));
            }
            const float scale = pk_half_to_f32(pk_quantise_i4(x, n, codes));
            for (size_t i = 0; i < n; i++) {
                assert_in_range(codes[i], 0, 15);
            }
            const double error = squared_error(x, n, codes, scale) / (size * size);
            assert_true(error <= error_at(x, n, scale) / (size * size) * (1 + 1e-5) + 1e-12); /* the nearest codes */
            ours += error;
            best += brute_force(x, n) / (size * size);
            plain += error_at(x, n, largest / 7) / (size * size);
        }
        print_message("group %zu: squared error %.4f, by brute force %.4f, at largest / 7 %.4f\n", n, ours, best,
                      plain);
        assert_true(ours <= best * 1.03 + 1e-4);
        assert_true(n < 7 || ours < plain * 0.95);
    }
}

static void what_int4_can_hold_is_exact(void **state) {
    (void)state;
    random_state = 3;
    for (int trial = 0; trial < 200; trial++) {
        float x[32], scale = pk_half_to_f32((uint16_t)(0x2000 + random_bits() % 0x1800)) * (trial % 2 ? -1.0f : 1.0f);
        uint8_t codes[32];
        for (int i = 0; i < 32; i++) {
            x[i] = scale * (float)((int)(random_bits() % 16) - 8);
        }
        x[trial % 32] = scale * -8; /* the end of the range is used */
        float found = pk_half_to_f32(pk_quantise_i4(x, 32, codes));
        for (int i = 0; i < 32; i++) {
            assert_true(found * (float)(codes[i] - 8) == x[i]);
        }
    }
}

static void extremes_of_int4(void **state) {
    (void)state;
    float x[32] = {0};
    uint8_t codes[32];
    assert_int_equal(pk_quantise_i4(x, 32, codes), 0);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(codes[i], 8);
    }
    x[3] = 0x1p-26f; /* no scale is that small */
    assert_int_equal(pk_quantise_i4(x, 32, codes), 0);
    x[3] = 0x1p-23f;
    assert_true(fabsf(pk_half_to_f32(pk_quantise_i4(x, 32, codes)) * (float)(codes[3] - 8) - 0x1p-23f) <= 0x1p-25f);
    x[3] = 400000.0f; /* 8 * 50000 */
    uint16_t half = pk_quantise_i4(x, 32, codes);
    assert_true(pk_half_is_finite(half));
    assert_true(fabsf(pk_half_to_f32(half) * (float)(codes[3] - 8) / 400000.0f - 1) < 0.001f);
    x[3] = 3e38f; /* beyond: told by an infinite scale */
    assert_false(pk_half_is_finite(pk_quantise_i4(x, 32, codes)));
    x[3] = 1e6f;
    assert_false(pk_half_is_finite(pk_quantise_i4(x, 32, codes)));
}

static void int8_errs_by_half_a_step(void **state) {
    (void)state;
    random_state = 5;
    for (int trial = 0; trial < 200; trial++) {
        float x[PK_GROUP_MAX];
        int8_t codes[PK_GROUP_MAX];
        const size_t n = 1 + random_bits() % PK_GROUP_MAX;
        for (size_t i = 0; i < n; i++) {
            x[i] = random_normal() * ldexpf(1, trial % 12 - 6);
        }
        const float scale = pk_half_to_f32(pk_quantise_i8(x, n, codes));
        for (size_t i = 0; i < n; i++) {
            assert_true(codes[i] >= -127);
            /* half a step, and the rounding of the scale, felt 127 times */
            assert_true(fabsf(x[i] - scale * codes[i]) <= scale * (0.5f + 127 * 0x1p-11f));
        }
    }
    float zero[4] = {0}, huge[1] = {1e38f}, tiny[2] = {0x1p-30f, -0x1p-30f};
    int8_t codes[4] = {1, 1, 1, 1};
    assert_int_equal(pk_quantise_i8(zero, 4, codes), 0);
    assert_int_equal(codes[0], 0);
    assert_false(pk_half_is_finite(pk_quantise_i8(huge, 1, codes)));
    assert_int_equal(pk_quantise_i8(tiny, 2, codes), 0);
    assert_int_equal(codes[0], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halfs_and_bfloats_round_to_nearest_even),
        cmocka_unit_test(values_below_the_limit_become_zero),
        cmocka_unit_test(int4_is_nearly_as_good_as_every_scale_tried),
        cmocka_unit_test(what_int4_can_hold_is_exact),
        cmocka_unit_test(extremes_of_int4),
        cmocka_unit_test(int8_errs_by_half_a_step),
    };
    return check_run(tests);
}
