/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors header: a good one is read, and each lie is named. Expectations are the format's own rules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/safetensors.h"
#include "tests/check.h"
#include "tests/importer_files.h"

/* Writes `b` to a file and reads its header. */
static bool parse(const struct bytes *b, struct pk_safetensors *st, struct pk_error *e) {
    const char *path = in_folder(test_folder, "a.safetensors");
    write_file(path, b->data, b->n);
    struct pk_file f;
    assert_true(pk_file_open(&f, path, e));
    bool ok = pk_safetensors_read(st, &f, e);
    pk_file_close(&f);
    return ok;
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
                           "\"empty\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[16,16]},"
                           "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                           "\"mask\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]}}   ";

static void test_good_file(void **state) {
    (void)state;
    struct pk_safetensors st;
    struct pk_error e = {0};
    struct bytes b = safetensors(good, 24);
    if (!parse(&b, &st, &e)) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(st.n_tensors, 4);
    const uint64_t data = 8 + sizeof(good) - 1;
    const struct pk_safetensor *t = st.tensors;
    assert_string_equal(t[0].name, "scalar");
    assert_int_equal(t[0].n_dims, 0);
    assert_int_equal(t[0].type, PK_F32);
    assert_int_equal(t[0].offset, data);
    assert_string_equal(t[1].name, "b");
    assert_int_equal(t[1].type, PK_BF16);
    assert_int_equal(t[1].n_dims, 2);
    assert_int_equal(t[1].dims[0], 2);
    assert_int_equal(t[1].dims[1], 3);
    assert_int_equal(t[1].offset, data + 4);
    assert_int_equal(t[1].bytes, 12);
    assert_string_equal(t[2].name, "empty");
    assert_int_equal(t[2].bytes, 0);
    assert_string_equal(t[3].name, "mask");
    assert_int_equal(t[3].type, PK_OTHER);
    assert_string_equal(t[3].type_name, "I64");
    pk_safetensors_free(&st);
    free_bytes(&b);
}

#define T(dtype, shape, offsets) "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(a, b)                                                                                                      \
    "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" a "},"                                                  \
    "\"y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" b "}}"

static void test_lies(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        int code;
        const char *part;
    } cases[] = {
        {T("F32", "[1]", "[0,4]"), 3, MOXIE_ERROR_TRUNCATED, "holds 3 bytes of data"},
        {T("F32", "[1]", "[0,4]"), 5, MOXIE_ERROR_BOUNDS, "the last tensor ends"},
        {T("F32", "[2]", "[0,4]"), 4, MOXIE_ERROR_BOUNDS, "do not fill"},
        {T("F32", "[1]", "[4,0]"), 4, MOXIE_ERROR_BOUNDS, "do not fill"},
        {T("F32", "[1]", "[4,8]"), 8, MOXIE_ERROR_BOUNDS, "begins at"},
        {TWO("[0,4]", "[2,6]"), 6, MOXIE_ERROR_BOUNDS, "begins at"},
        {TWO("[0,4]", "[0,4]"), 4, MOXIE_ERROR_BOUNDS, "begins at"},
        {TWO("[0,4]", "[5,9]"), 9, MOXIE_ERROR_BOUNDS, "begins at"},
        // 2^32 * 2^32 elements wrap to 0; 2^61 elements of 8 bytes wrap in bits.
        {T("U8", "[4294967296,4294967296]", "[0,0]"), 0, MOXIE_ERROR_BOUNDS, "overflows"},
        {T("F64", "[2305843009213693952]", "[0,0]"), 0, MOXIE_ERROR_BOUNDS, "do not fill"},
        {T("U8", "[9223372036854775807]", "[0,9223372036854775807]"), 4, MOXIE_ERROR_BOUNDS, "do not fill"},
        {T("U8", "[1]", "[9223372036854775806,9223372036854775807]"), 1, MOXIE_ERROR_TRUNCATED, "ends at"},
        {T("U8", "[18446744073709551616]", "[0,0]"), 0, MOXIE_ERROR_FORMAT, "JSON"},
        {T("F32", "[-1]", "[0,4]"), 4, MOXIE_ERROR_FORMAT, "integers from 0"},
        {T("F32", "[1.0]", "[0,4]"), 4, MOXIE_ERROR_FORMAT, "integers from 0"},
        {T("F32", "[\"1\"]", "[0,4]"), 4, MOXIE_ERROR_FORMAT, "integers from 0"},
        {T("F32", "1", "[0,4]"), 4, MOXIE_ERROR_FORMAT, "\"shape\""},
        {T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, MOXIE_ERROR_FORMAT, "at most 8"},
        {T("F32", "[1]", "[0]"), 4, MOXIE_ERROR_FORMAT, "pair"},
        {T("F32", "[1]", "[0,4,8]"), 4, MOXIE_ERROR_FORMAT, "pair"},
        {T("F32", "[1]", "[-4,0]"), 4, MOXIE_ERROR_FORMAT, "pair"},
        {T("F32", "[1]", "[0.0,4]"), 4, MOXIE_ERROR_FORMAT, "pair"},
        {T("F31", "[1]", "[0,4]"), 4, MOXIE_ERROR_FORMAT, "unknown type \"F31\""},
        {T("F4", "[1]", "[0,1]"), 1, MOXIE_ERROR_BOUNDS, "do not fill"},
        {"{\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, MOXIE_ERROR_FORMAT, "\"dtype\" is not a string"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"more\":1}}", 4, MOXIE_ERROR_FORMAT,
         "keys other"},
        {"{\"t\":[]}", 0, MOXIE_ERROR_FORMAT, "expected an object"},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, MOXIE_ERROR_FORMAT, "1 to 255 bytes"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, MOXIE_ERROR_FORMAT, "duplicate"},
        {"{\"__metadata__\":{\"a\":1}}", 0, MOXIE_ERROR_FORMAT, "not a string"},
        {"{\"__metadata__\":3}", 0, MOXIE_ERROR_FORMAT, "not an object"},
        {"[]", 0, MOXIE_ERROR_FORMAT, "does not begin with '{'"},
        {" {}", 0, MOXIE_ERROR_FORMAT, "does not begin with '{'"},
        {"{}x", 0, MOXIE_ERROR_FORMAT, "JSON"},
        {"{\"t\":", 0, MOXIE_ERROR_TRUNCATED, "JSON"},
        {"{\"\xff\":1}", 0, MOXIE_ERROR_FORMAT, "JSON"},
        {"{\"a\\u0000b\":1}", 0, MOXIE_ERROR_FORMAT, "JSON"},
        {"{", 0, MOXIE_ERROR_FORMAT, "header length 1"},
        {"", 0, MOXIE_ERROR_FORMAT, "header length 0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pk_safetensors st;
        struct pk_error e = {0};
        struct bytes b = safetensors(cases[i].header, cases[i].data);
        if (parse(&b, &st, &e)) {
            fail_msg("accepted: %s", cases[i].header);
        }
        check_pk_error(&e, cases[i].code, cases[i].part);
        assert_non_null(strstr(e.text, "a.safetensors"));
        free_bytes(&b);
    }
}

static void test_lying_header_length(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        int code;
    } cases[] = {
        {100000001, MOXIE_ERROR_FORMAT},  {UINT64_MAX, MOXIE_ERROR_FORMAT}, {UINT64_MAX - 7, MOXIE_ERROR_FORMAT},
        {1ull << 63, MOXIE_ERROR_FORMAT}, {3, MOXIE_ERROR_TRUNCATED},       {100000000, MOXIE_ERROR_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pk_safetensors st;
        struct pk_error e = {0};
        struct bytes b = {0};
        put_integer(&b, cases[i].length, 8);
        put(&b, "{}", 2);
        assert_false(parse(&b, &st, &e));
        check_pk_error(&e, cases[i].code, "header");
        free_bytes(&b);
    }
}

/* 100 000 open brackets: an error, not a stack overflow. */
static void test_deep_nesting(void **state) {
    (void)state;
    struct bytes b = {0};
    put_integer(&b, 100005, 8);
    put(&b, "{\"t\":", 5);
    for (int i = 0; i < 100000; i++) {
        put(&b, "[", 1);
    }
    struct pk_safetensors st;
    struct pk_error e = {0};
    assert_false(parse(&b, &st, &e));
    check_pk_error(&e, MOXIE_ERROR_FORMAT, "depth");
    free_bytes(&b);
}

static void test_cut_at_every_byte(void **state) {
    (void)state;
    struct bytes whole = safetensors(good, 24);
    for (size_t n = 0; n < whole.n; n++) {
        struct pk_safetensors st;
        struct pk_error e = {0};
        struct bytes cut = {whole.data, n, n};
        assert_false(parse(&cut, &st, &e));
        assert_int_equal(e.code, MOXIE_ERROR_TRUNCATED);
        assert_int_equal(st.n_tensors, 0);
    }
    free_bytes(&whole);
}

/* Whatever one byte of the header says, what is accepted lies in the file and covers it. */
static void test_every_byte_changed(void **state) {
    (void)state;
    static const uint8_t values[] = {0, '"', '{', '}', '[', ']', ',', ':', '-', '9', '1', ' ', 0x7f, 0x80, 0xff};
    struct bytes b = safetensors(good, 24);
    for (size_t at = 0; at < b.n - 24; at++) {
        uint8_t before = b.data[at];
        for (size_t v = 0; v < sizeof(values); v++) {
            struct pk_safetensors st;
            struct pk_error e = {0};
            b.data[at] = values[v];
            if (!parse(&b, &st, &e)) {
                assert_true(e.code != MOXIE_OK && e.text[0]);
                continue;
            }
            uint64_t end = 8 + sizeof(good) - 1;
            for (size_t i = 0; i < st.n_tensors; i++) {
                assert_int_equal(st.tensors[i].offset, end);
                end += st.tensors[i].bytes;
            }
            assert_int_equal(end, b.n);
            pk_safetensors_free(&st);
        }
        b.data[at] = before;
    }
    free_bytes(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),         cmocka_unit_test(test_lies),
        cmocka_unit_test(test_deep_nesting),      cmocka_unit_test(test_lying_header_length),
        cmocka_unit_test(test_cut_at_every_byte), cmocka_unit_test(test_every_byte_changed),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, begin_in_folder, end_in_folder);
}
