/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of ARITHMETIC.md, section 2, against double. Largest errors allowed here, relative unless said:
 *   recip 2^-23, div 2^-23, rsqrt 2^-22, exp 2^-22 (results of 2^-40 and more), sigmoid 2^-21 (results of 2^-40 and
 * more), silu 2^-20 and gelu 2^-18 (results of 2^-34 and more; what gelu's sigmoid is of has an error of its own, and
 * e^-x makes it x times larger), tanh 2^-22 absolute, sine and cosine 2^-22 absolute. */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>

#include "runtime/arith.h"

static uint32_t seed;

static uint32_t random32(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed ^ seed >> 15;
}

/* In 2^low .. 2^high, every exponent equally often. */
static float positive(int low, int high) {
    const uint32_t h = random32(), exponent = (uint32_t)(low + 127) + random32() % (uint32_t)(high - low);
    return mx_as_float((int32_t)(exponent << 23 | (h & 0x7fffff)));
}

static double relative(double found, double expected) {
    return fabs(found - expected) / fabs(expected);
}

enum { TRIES = 1 << 20 };

static void within(const char *what, double worst, double limit) {
    print_message("# %s: %.3g = 2^%.2f\n", what, worst, log2(worst));
    assert_true(worst <= limit);
}

static void test_division(void **state) {
    (void)state;
    double of_recip = 0, of_div = 0, of_rsqrt = 0;
    for (int i = 0; i < TRIES; i++) {
        const float b = positive(-100, 100), a = positive(-20, 20), c = positive(-40, 40);
        of_recip = fmax(of_recip, relative(mx_recip(b), 1 / (double)b));
        of_div = fmax(of_div, relative(mx_div(a, c), (double)a / (double)c));
        const float x = positive(-100, 120);
        of_rsqrt = fmax(of_rsqrt, relative(mx_rsqrt(x), 1 / sqrt((double)x)));
    }
    within("recip", of_recip, 0x1p-23);
    within("div", of_div, 0x1p-23);
    within("rsqrt", of_rsqrt, 0x1p-22);
}

static void test_exp(void **state) {
    (void)state;
    double of_exp = 0, of_sigmoid = 0;
    for (int i = 0; i < TRIES; i++) {
        const float x = -(float)(random32() >> 8) * (29.0f / 0x1p24f), z = (float)((int32_t)random32() >> 8) * 0x1p-18f;
        const double e = exp((double)x), s = 1 / (1 + exp(-(double)z));
        if (e >= 0x1p-40 * 1.000001)
            of_exp = fmax(of_exp, relative(mx_exp(x), e));
        if (e < 0x1p-40 * 0.999999)
            assert_true(mx_exp(x) == 0);
        if (s >= 0x1p-40 * 1.000001)
            of_sigmoid = fmax(of_sigmoid, relative(mx_sigmoid(z), s));
    }
    within("exp", of_exp, 0x1p-22);
    within("sigmoid", of_sigmoid, 0x1p-21);
    assert_true(mx_exp(0) == 1 && mx_exp(-INFINITY) == 0 && mx_exp(-28.5f) == 0 && mx_exp(-3e38f) == 0);
    assert_true(mx_gate(0, 0) == 0 && mx_gate(40, 0) == 40 && mx_gate(-100, 0) == 0);
}

static void test_gates(void **state) {
    (void)state;
    double of_silu = 0, of_gelu = 0, of_tanh = 0;
    for (int i = 0; i < TRIES; i++) {
        const float z = (float)((int32_t)random32() >> 8) * 0x1p-18f; /* within 32 of 0 */
        const double x = z, silu = x / (1 + exp(-x));
        const double gelu = x / (1 + exp(-2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
        if (fabs(silu) >= 0x1p-34)
            of_silu = fmax(of_silu, relative(mx_gate(z, 0), silu));
        if (fabs(gelu) >= 0x1p-34)
            of_gelu = fmax(of_gelu, relative(mx_gate(z, 1), gelu));
        else
            assert_true(fabsf(mx_gate(z, 1)) <= 0x1p-33f);
        of_tanh = fmax(of_tanh, fabs(mx_tanh(z) - tanh(x)));
    }
    within("silu", of_silu, 0x1p-20);
    within("gelu", of_gelu, 0x1p-18);
    within("tanh", of_tanh, 0x1p-22);
    assert_true(mx_gate(0, 1) == 0 && mx_gate(40, 1) == 40 && mx_gate(-100, 1) == 0 && mx_gate(0x1p70f, 1) == 0x1p70f);
    assert_true(mx_tanh(0) == 0 && mx_tanh(INFINITY) == 1 && mx_tanh(-30) == -1);
}

static void test_sincos(void **state) {
    (void)state;
    double worst = 0;
    for (int i = 0; i < TRIES; i++) {
        /* what a model asks for: a position times a frequency of at most 1 */
        const float a = (float)(random32() & 0x3ffff) * ((float)(random32() >> 8) * 0x1p-24f);
        float s, c;
        mx_sincos(a, &s, &c);
        worst = fmax(worst, fmax(fabs(s - sin((double)a)), fabs(c - cos((double)a))));
    }
    for (int p = 0; p < 1 << 18; p++) {
        float s, c;
        mx_sincos((float)p, &s, &c);
        worst = fmax(worst, fmax(fabs(s - sin((double)p)), fabs(c - cos((double)p))));
    }
    within("sine and cosine", worst, 0x1p-22);
}

static void test_flush(void **state) {
    (void)state;
    assert_int_equal(mx_as_int(mx_flush(-0.0f)), 0);
    assert_int_equal(mx_as_int(mx_flush(0x1.fffffep-41f)), 0);
    assert_int_equal(mx_as_int(mx_flush(-0x1.fffffep-41f)), 0);
    assert_int_equal(mx_as_int(mx_flush(0x1p-140f)), 0);
    assert_true(mx_flush(0x1p-40f) == 0x1p-40f && mx_flush(-0x1p-40f) == -0x1p-40f);
    assert_true(isinf(mx_flush(INFINITY)) && isnan(mx_flush(NAN)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_division), cmocka_unit_test(test_exp),   cmocka_unit_test(test_gates),
        cmocka_unit_test(test_sincos),   cmocka_unit_test(test_flush),
    };
    return check_run(tests);
}
