/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of stored rows, bit for bit: against gguf-py (tests/reference/make_blocks.py), and for halfs and bfloat16
 * against their definitions over all 65 536 patterns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/pk_file.h"
#include "pack/source.h"
#include "tests/check.h"
#include "tests/importer_files.h"

/* The file holds blocks, then their values. */
static void check_blocks(const char *name, enum pk_type type, size_t blocks, size_t block_bytes, size_t elements) {
    char path[64];
    snprintf(path, sizeof(path), "tests/data/importer/blocks-%s.bin", name);
    struct bytes b = read_whole(path);
    const size_t raw = blocks * block_bytes, n = blocks * elements;
    assert_int_equal(b.n, raw + 4 * n);
    float *values = malloc(4 * n);
    uint8_t *moved = malloc(1 + raw); // rows need no alignment
    memcpy(moved + 1, b.data, raw);
    pk_row_to_f32(type, moved + 1, n, values);
    assert_memory_equal(values, b.data + raw, 4 * n);
    // The same numbers as integers: one rounding of the sum, none of the product.
    for (size_t u = 0; type != PK_BF16 && type != PK_Q6_K && u < n / PK_BLOCK; u++) {
        int8_t codes[PK_BLOCK];
        struct pk_unit unit;
        pk_row_unit(type, moved + 1, u, codes, &unit);
        for (size_t i = 0; i < PK_BLOCK; i++) {
            const double exact = (double)unit.scale * (codes[i] - unit.zero) + unit.minimum;
            assert_true((float)exact == values[u * PK_BLOCK + i]);
        }
    }
    free(moved);
    free(values);
    free_bytes(&b);
}

static void test_blocks(void **state) {
    (void)state;
    check_blocks("q4_0", PK_Q4_0, 48, 18, 32);
    check_blocks("q4_1", PK_Q4_1, 48, 20, 32);
    check_blocks("q5_0", PK_Q5_0, 48, 22, 32);
    check_blocks("q5_1", PK_Q5_1, 48, 24, 32);
    check_blocks("q8_0", PK_Q8_0, 48, 34, 32);
    check_blocks("iq4_nl", PK_IQ4_NL, 48, 18, 32);
    check_blocks("q4_k", PK_Q4_K, 12, 144, 256);
    check_blocks("q5_k", PK_Q5_K, 12, 176, 256);
    check_blocks("q6_k", PK_Q6_K, 12, 210, 256);
    check_blocks("bf16", PK_BF16, 48, 64, 32);
}

/* Q4_Z is Q4_0 with another zero-point. */
static void test_zero_points(void **state) {
    (void)state;
    uint8_t block[19] = {0x00, 0x35, 0}; // 0.3125
    float values[32];
    for (int i = 0; i < 16; i++) {
        block[3 + i] = (uint8_t)(i | (15 - i) << 4);
    }
    for (int zero = 0; zero < 16; zero++) {
        block[2] = (uint8_t)zero;
        pk_row_to_f32(PK_Q4_Z, block, 32, values);
        for (int i = 0; i < 16; i++) {
            assert_true(values[i] == 0.3125f * (float)(i - zero) && values[16 + i] == 0.3125f * (float)(15 - i - zero));
        }
    }
}

static void test_all_halfs(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        int sign = bits >> 15 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
        uint16_t stored = (uint16_t)bits;
        float value;
        pk_row_to_f32(PK_F16, &stored, 1, &value);
        if (exponent == 31) {
            assert_true(fraction ? isnan(value) : isinf(value) && !signbit(value) == (sign > 0));
            continue;
        }
        double exact = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        assert_true((double)value == sign * exact && !signbit(value) == (sign > 0));
    }
}

static void test_all_bfloats(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t stored = (uint16_t)bits;
        uint32_t got, expected = bits << 16;
        float value;
        pk_row_to_f32(PK_BF16, &stored, 1, &value);
        memcpy(&got, &value, 4);
        assert_int_equal(got, expected);
    }
}

static void test_not_finite_is_named(void **state) {
    (void)state;
    static const float row[] = {1, 2, INFINITY, NAN};
    struct pk_file file = {.path = "a/model.safetensors"};
    const struct pk_source s = {.files = &file, .n_files = 1};
    struct pk_tensor t = {.name = "model.norm.weight", .cols = 2};
    struct pk_error e = {0};
    assert_true(pk_check_finite(&s, &t, 7, row, &e));
    t.cols = 3;
    assert_false(pk_check_finite(&s, &t, 7, row, &e));
    check_pk_error(&e, MOXIE_ERROR_NOT_FINITE,
                   "a/model.safetensors: tensor \"model.norm.weight\", row 7, column 2: the value is infinite");
    t.cols = 1;
    assert_false(pk_check_finite(&s, &t, 0, row + 3, &e));
    check_pk_error(&e, MOXIE_ERROR_NOT_FINITE, "row 0, column 0: the value is NaN");
}

/* A bad scale shows in the values, whatever the nibbles: 0 * infinity is NaN. */
static void test_bad_scale_shows(void **state) {
    struct pk_file file = {.path = "model.gguf"};
    const struct pk_source s = {.files = &file, .n_files = 1};
    (void)state;
    static const uint16_t bad[] = {0x7c00, 0xfc00, 0x7e00};
    for (size_t i = 0; i < 3; i++) {
        uint8_t block[34] = {0};
        float values[32];
        struct pk_tensor t = {.name = "t", .cols = 32};
        struct pk_error e;
        memcpy(block, &bad[i], 2);
        for (enum pk_type type = PK_Q4_0; type <= PK_IQ4_NL; type++) {
            pk_row_to_f32(type, block, 32, values);
            assert_false(pk_check_finite(&s, &t, 0, values, &e));
        }
        memset(block, 0, 2);
        memcpy(block + 2, &bad[i], 2); // the minimum
        pk_row_to_f32(PK_Q4_1, block, 32, values);
        assert_false(pk_check_finite(&s, &t, 0, values, &e));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),          cmocka_unit_test(test_all_halfs),
        cmocka_unit_test(test_all_bfloats),     cmocka_unit_test(test_not_finite_is_named),
        cmocka_unit_test(test_bad_scale_shows), cmocka_unit_test(test_zero_points),
    };
    return check_run(tests);
}
