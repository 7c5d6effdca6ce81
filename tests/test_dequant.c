/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of stored rows, bit for bit: against gguf-py (tests/reference/make_blocks.py), and for halfs and bfloat16
 * against their definitions over all 65 536 patterns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/source.h"
#include "tests/check.h"
#include "tests/importer_files.h"

#define BLOCKS 48

static void check_blocks(const char *name, enum pk_type type, size_t block_bytes) {
    char path[64];
    snprintf(path, sizeof(path), "tests/data/importer/blocks-%s.bin", name);
    struct bytes b = read_whole(path);
    assert_int_equal(b.n, BLOCKS * (block_bytes + 32 * 4));
    float values[BLOCKS * 32];
    uint8_t moved[1 + BLOCKS * 64]; // rows need no alignment
    memcpy(moved + 1, b.data, BLOCKS * block_bytes);
    pk_row_to_f32(type, moved + 1, BLOCKS * 32, values);
    assert_memory_equal(values, b.data + BLOCKS * block_bytes, sizeof(values));
    free_bytes(&b);
}

static void test_blocks(void **state) {
    (void)state;
    check_blocks("q4_0", PK_Q4_0, 18);
    check_blocks("q4_1", PK_Q4_1, 20);
    check_blocks("q8_0", PK_Q8_0, 34);
    check_blocks("bf16", PK_BF16, 64);
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
    struct pk_tensor t = {.name = "model.norm.weight", .cols = 2};
    struct pk_error e = {0};
    assert_true(pk_check_finite(&t, 7, row, &e));
    t.cols = 3;
    assert_false(pk_check_finite(&t, 7, row, &e));
    check_pk_error(&e, MOXIE_ERROR_NOT_FINITE, "\"model.norm.weight\", row 7, column 2: the value is infinite");
    t.cols = 1;
    assert_false(pk_check_finite(&t, 0, row + 3, &e));
    check_pk_error(&e, MOXIE_ERROR_NOT_FINITE, "row 0, column 0: the value is NaN");
}

/* A bad scale shows in the values, whatever the nibbles: 0 * infinity is NaN. */
static void test_bad_scale_shows(void **state) {
    (void)state;
    static const uint16_t bad[] = {0x7c00, 0xfc00, 0x7e00};
    for (size_t i = 0; i < 3; i++) {
        uint8_t block[34] = {0};
        float values[32];
        struct pk_tensor t = {.name = "t", .cols = 32};
        struct pk_error e;
        memcpy(block, &bad[i], 2);
        for (enum pk_type type = PK_Q4_0; type <= PK_Q8_0; type++) {
            pk_row_to_f32(type, block, 32, values);
            assert_false(pk_check_finite(&t, 0, values, &e));
        }
        memset(block, 0, 2);
        memcpy(block + 2, &bad[i], 2); // the minimum
        pk_row_to_f32(PK_Q4_1, block, 32, values);
        assert_false(pk_check_finite(&t, 0, values, &e));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),          cmocka_unit_test(test_all_halfs),
        cmocka_unit_test(test_all_bfloats),     cmocka_unit_test(test_not_finite_is_named),
        cmocka_unit_test(test_bad_scale_shows),
    };
    return check_run(tests);
}
