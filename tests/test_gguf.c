/* SPDX-License-Identifier: Apache-2.0
 *
 * The GGUF header: a good one is read, and each lie is named. Files are put together here, byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/gguf.h"
#include "tests/check.h"
#include "tests/importer_files.h"

static bool parse(const struct bytes *b, struct pk_gguf *g, struct pk_error *e) {
    const char *path = in_folder(test_folder, "a.gguf");
    write_file(path, b->data, b->n);
    struct pk_file f;
    assert_true(pk_file_open(&f, path, e));
    bool ok = pk_gguf_read(g, &f, e);
    pk_file_close(&f);
    return ok;
}

/* Expects a refusal, and frees `b`. */
static void refused(struct bytes *b, int code, const char *part) {
    struct pk_gguf g;
    struct pk_error e = {0};
    if (parse(b, &g, &e)) {
        fail_msg("accepted where \"%s\" was expected", part);
    }
    check_pk_error(&e, code, part);
    assert_non_null(strstr(e.text, "a.gguf"));
    free_bytes(b);
}

static void put_start(struct bytes *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
    put(b, "GGUF", 4);
    put_integer(b, version, 4);
    put_integer(b, n_tensors, 8);
    put_integer(b, n_keys, 8);
}

static void put_key(struct bytes *b, const char *name, uint32_t type) {
    put_string(b, name);
    put_integer(b, type, 4);
}

static void put_tensor(struct bytes *b, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type,
                       uint64_t offset) {
    put_string(b, name);
    put_integer(b, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) {
        put_integer(b, dims[i], 8);
    }
    put_integer(b, type, 4);
    put_integer(b, offset, 8);
}

/* A file of one key; its value is put behind by the caller. */
static struct bytes one_key(const char *name, uint32_t type) {
    struct bytes b = {0};
    put_start(&b, 3, 0, 1);
    put_key(&b, name, type);
    return b;
}

/* Every kind of value, then an F32 [2][3] and a Q4_0 [2][32]; `header` is set to the bytes before the data. */
static struct bytes good_file(uint32_t version, size_t *header) {
    struct bytes b = {0};
    put_start(&b, version, 2, 14);
    put_key(&b, "u8", PK_GGUF_U8), put_integer(&b, 200, 1);
    put_key(&b, "i8", PK_GGUF_I8), put_integer(&b, (uint8_t)-3, 1);
    put_key(&b, "u16", PK_GGUF_U16), put_integer(&b, 60000, 2);
    put_key(&b, "i16", PK_GGUF_I16), put_integer(&b, (uint16_t)-300, 2);
    put_key(&b, "u32", PK_GGUF_U32), put_integer(&b, 4000000000, 4);
    put_key(&b, "i32", PK_GGUF_I32), put_integer(&b, (uint32_t)-70000, 4);
    put_key(&b, "f32", PK_GGUF_F32), put_integer(&b, 0x3fc00000, 4);
    put_key(&b, "bool", PK_GGUF_BOOL), put_integer(&b, 1, 1);
    put_key(&b, "string", PK_GGUF_STRING), put_string(&b, "text");
    put_key(&b, "u64", PK_GGUF_U64), put_integer(&b, UINT64_MAX, 8);
    put_key(&b, "i64", PK_GGUF_I64), put_integer(&b, (uint64_t)-5, 8);
    put_key(&b, "f64", PK_GGUF_F64), put_integer(&b, 0xbff8000000000000, 8);
    put_key(&b, "strings", PK_GGUF_ARRAY), put_integer(&b, PK_GGUF_STRING, 4), put_integer(&b, 3, 8);
    put_string(&b, "a"), put_string(&b, ""), put_string(&b, "bc");
    put_key(&b, "ids", PK_GGUF_ARRAY), put_integer(&b, PK_GGUF_I32, 4), put_integer(&b, 2, 8);
    put_integer(&b, 7, 4), put_integer(&b, (uint32_t)-8, 4);
    put_tensor(&b, "plain", 2, (uint64_t[]){3, 2}, 0, 0);
    put_tensor(&b, "blocks", 2, (uint64_t[]){32, 2}, 2, 32);
    align_to(&b, 32);
    *header = b.n;
    put_zeros(&b, 32 + 36);
    return b;
}

static double number(const struct pk_gguf *g, const char *name, uint64_t i) {
    double value = 0;
    const struct pk_gguf_key *k = pk_gguf_find(g, name);
    assert_non_null(k);
    assert_true(pk_gguf_number(k, i, &value));
    return value;
}

static void test_good_file(void **state) {
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        size_t header;
        struct bytes b = good_file(version, &header);
        struct pk_gguf g;
        struct pk_error e = {0};
        if (!parse(&b, &g, &e)) {
            fail_msg("%s", e.text);
        }
        assert_true(number(&g, "u8", 0) == 200 && number(&g, "i8", 0) == -3 && number(&g, "u16", 0) == 60000);
        assert_true(number(&g, "i16", 0) == -300 && number(&g, "u32", 0) == 4e9 && number(&g, "i32", 0) == -70000);
        assert_true(number(&g, "f32", 0) == 1.5 && number(&g, "bool", 0) == 1 && number(&g, "i64", 0) == -5);
        assert_true(number(&g, "f64", 0) == -1.5 && number(&g, "ids", 0) == 7 && number(&g, "ids", 1) == -8);
        int64_t integer;
        assert_false(pk_gguf_integer(pk_gguf_find(&g, "u64"), 0, &integer)); // past int64
        assert_false(pk_gguf_integer(pk_gguf_find(&g, "f32"), 0, &integer));
        assert_false(pk_gguf_integer(pk_gguf_find(&g, "ids"), 2, &integer));
        assert_true(pk_text_equals(pk_gguf_string(&g, "string"), "text"));
        assert_null(pk_gguf_string(&g, "strings").bytes);
        assert_null(pk_gguf_string(&g, "absent").bytes);
        const struct pk_gguf_key *strings = pk_gguf_find(&g, "strings");
        const uint8_t *at = strings->data;
        assert_int_equal(strings->count, 3);
        assert_true(pk_text_equals(pk_gguf_next_string(&at), "a"));
        assert_true(pk_text_equals(pk_gguf_next_string(&at), ""));
        assert_true(pk_text_equals(pk_gguf_next_string(&at), "bc"));
        assert_int_equal(g.n_tensors, 2);
        assert_true(pk_text_equals(g.tensors[1].name, "blocks"));
        assert_int_equal(g.tensors[1].type, PK_Q4_0);
        assert_int_equal(g.tensors[1].dims[0], 32);
        assert_int_equal(g.tensors[0].offset, header);
        assert_int_equal(g.tensors[1].offset, header + 32);
        pk_gguf_free(&g);
        free_bytes(&b);
    }
}

/* The header is read piece by piece: one far larger than a piece. */
static void test_long_header(void **state) {
    (void)state;
    struct bytes b = one_key("strings", PK_GGUF_ARRAY);
    put_integer(&b, PK_GGUF_STRING, 4), put_integer(&b, 30000, 8);
    char text[32];
    for (int i = 0; i < 30000; i++) {
        snprintf(text, sizeof(text), "string %d", i);
        put_string(&b, text);
    }
    struct pk_gguf g;
    struct pk_error e = {0};
    assert_true(parse(&b, &g, &e));
    const struct pk_gguf_key *k = pk_gguf_find(&g, "strings");
    const uint8_t *at = k->data;
    for (int i = 0; i < 30000; i++) {
        snprintf(text, sizeof(text), "string %d", i);
        assert_true(pk_text_equals(pk_gguf_next_string(&at), text));
    }
    pk_gguf_free(&g);
    free_bytes(&b);
}

static void test_cut_at_every_byte(void **state) {
    (void)state;
    size_t header;
    struct bytes whole = good_file(3, &header);
    for (size_t n = 0; n < whole.n; n++) {
        struct pk_gguf g;
        struct pk_error e = {0};
        struct bytes cut = {whole.data, n, n};
        assert_false(parse(&cut, &g, &e));
        // A count at the front no longer fits the file that is left: that is said first.
        assert_true(e.code == MOXIE_ERROR_TRUNCATED || (e.code == MOXIE_ERROR_BOUNDS && n < header));
        assert_null(g.header);
    }
    free_bytes(&whole);
}

/* Whatever one byte says, what is accepted lies in the file. */
static void test_every_byte_changed(void **state) {
    (void)state;
    static const uint8_t values[] = {0, 1, 2, 9, 12, 0x7f, 0x80, 0xff};
    size_t header;
    struct bytes b = good_file(3, &header);
    for (size_t at = 0; at < header; at++) {
        uint8_t before = b.data[at];
        for (size_t v = 0; v < sizeof(values); v++) {
            struct pk_gguf g;
            struct pk_error e = {0};
            b.data[at] = values[v];
            if (!parse(&b, &g, &e)) {
                assert_true(e.code != MOXIE_OK && e.text[0]);
                continue;
            }
            for (size_t i = 0; i < g.n_tensors; i++) {
                const struct pk_gguf_tensor *t = &g.tensors[i];
                uint64_t bytes = t->dims[0] / pk_type_elements(t->type) * pk_type_bytes(t->type);
                for (uint32_t d = 1; d < t->n_dims; d++) {
                    bytes *= t->dims[d];
                }
                assert_true(t->offset + bytes <= b.n);
            }
            pk_gguf_free(&g);
        }
        b.data[at] = before;
    }
    free_bytes(&b);
}

static void test_start(void **state) {
    (void)state;
    struct bytes b = {0};
    put(&b, "GGML", 4);
    put_zeros(&b, 40);
    refused(&b, MOXIE_ERROR_FORMAT, "not a GGUF file");
    for (uint32_t version = 0; version < 6; version++) {
        if (version != 2 && version != 3) {
            put_start(&b, version, 0, 0);
            refused(&b, MOXIE_ERROR_FORMAT_VERSION, "expected 2 or 3");
        }
    }
    put_start(&b, 0x03000000, 0, 0);
    refused(&b, MOXIE_ERROR_FORMAT_VERSION, "big-endian");
    for (int shift = 8; shift < 64; shift += 5) {
        put_start(&b, 3, 1ull << shift, 0);
        refused(&b, MOXIE_ERROR_BOUNDS, "tensors do not fit");
        put_start(&b, 3, 0, 1ull << shift);
        refused(&b, MOXIE_ERROR_BOUNDS, "keys do not fit");
    }
    put_start(&b, 3, UINT64_MAX, 0);
    refused(&b, MOXIE_ERROR_BOUNDS, "tensors do not fit");
}

static void test_keys(void **state) {
    (void)state;
    struct bytes b = one_key("a", 13);
    put_zeros(&b, 64);
    refused(&b, MOXIE_ERROR_FORMAT, "unknown type");
    b = one_key("a", PK_GGUF_ARRAY);
    put_integer(&b, PK_GGUF_ARRAY, 4), put_zeros(&b, 64);
    refused(&b, MOXIE_ERROR_FORMAT, "array of arrays");
    b = one_key("a", PK_GGUF_BOOL);
    put_integer(&b, 2, 1), put_zeros(&b, 64);
    refused(&b, MOXIE_ERROR_FORMAT, "neither 0 nor 1");
    b = one_key("", PK_GGUF_U8);
    put_zeros(&b, 64);
    refused(&b, MOXIE_ERROR_FORMAT, "1 to 65535 bytes");
    // Lengths of strings and arrays: one too long, half of 2^64, 2^64 - 1, and one whose product wraps to 0.
    static const uint64_t lengths[] = {65, 1ull << 63, UINT64_MAX, 1ull << 61, 1ull << 62};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        b = one_key("a", PK_GGUF_STRING);
        put_integer(&b, lengths[i], 8), put_zeros(&b, 64);
        refused(&b, MOXIE_ERROR_TRUNCATED, "string needs");
        for (uint32_t element = 0; element <= PK_GGUF_F64; element++) {
            if (element == PK_GGUF_ARRAY) {
                continue;
            }
            b = one_key("a", PK_GGUF_ARRAY);
            put_integer(&b, element, 4), put_integer(&b, lengths[i], 8), put_zeros(&b, 64);
            refused(&b, MOXIE_ERROR_TRUNCATED, "longer than the file");
        }
    }
    put_start(&b, 3, 0, 2);
    put_key(&b, "same", PK_GGUF_U8), put_integer(&b, 1, 1);
    put_key(&b, "same", PK_GGUF_U8), put_integer(&b, 2, 1);
    refused(&b, MOXIE_ERROR_FORMAT, "\"same\" appears twice");
    put_start(&b, 3, 0, 1);
    put_integer(&b, UINT64_MAX, 8), put_zeros(&b, 64); // length of the key's name
    refused(&b, MOXIE_ERROR_TRUNCATED, "key needs");
}

/* A file with one tensor and `data` bytes behind an aligned header. */
static struct bytes one_tensor(const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset,
                               size_t data) {
    struct bytes b = {0};
    put_start(&b, 3, 1, 0);
    put_tensor(&b, name, n_dims, dims, type, offset);
    align_to(&b, 32);
    put_zeros(&b, data);
    return b;
}

static void test_tensors(void **state) {
    (void)state;
    static const struct {
        uint32_t n_dims;
        uint64_t dims[5];
        uint32_t type;
        uint64_t offset;
        size_t data;
        int code;
        const char *part;
    } cases[] = {
        {0, {0}, 0, 0, 64, MOXIE_ERROR_FORMAT, "0 dims"},
        {5, {1, 1, 1, 1, 1}, 0, 0, 64, MOXIE_ERROR_FORMAT, "5 dims"},
        {UINT32_MAX, {0}, 0, 0, 0, MOXIE_ERROR_FORMAT, "dims"},
        {2, {4, 0}, 0, 0, 64, MOXIE_ERROR_BOUNDS, "zero, or the product overflows"},
        {2, {1ull << 32, 1ull << 32}, 0, 0, 64, MOXIE_ERROR_BOUNDS, "overflows"},
        {2, {1ull << 31, 1ull << 32}, 0, 0, 64, MOXIE_ERROR_BOUNDS, "overflows"},
        {1, {1ull << 62}, 0, 0, 64, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {1, {INT64_MAX}, 1, 0, 64, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {4, {1ull << 15, 1ull << 15, 1ull << 15, 1ull << 17}, 0, 0, 64, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {4, 4}, 0, 0, 63, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {32, 4}, 8, 0, 135, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {33, 1}, 2, 0, 64, MOXIE_ERROR_BOUNDS, "whole blocks of Q4_0"},
        {2, {16, 2}, 3, 0, 64, MOXIE_ERROR_BOUNDS, "whole blocks of Q4_1"},
        {1, {4}, 0, 32, 64, MOXIE_ERROR_BOUNDS, "data offset 32, expected 0"},
        {1, {4}, 0, 1, 64, MOXIE_ERROR_BOUNDS, "data offset 1"},
        {1, {4}, 0, UINT64_MAX, 64, MOXIE_ERROR_BOUNDS, "expected 0"},
        {1, {256}, 10, 0, 84, MOXIE_ERROR_MODEL, "\"t\" has type Q2_K"},
        {1, {256}, 23, 0, 136, MOXIE_ERROR_MODEL, "IQ4_XS"},
        {2, {288, 1}, 12, 0, 288, MOXIE_ERROR_BOUNDS, "whole blocks of Q4_K"},
        {2, {128, 2}, 14, 0, 210, MOXIE_ERROR_BOUNDS, "whole blocks of Q6_K"},
        {2, {256, 3}, 12, 0, 3 * 144 - 1, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {256, 3}, 13, 0, 3 * 176 - 1, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {256, 3}, 14, 0, 3 * 210 - 1, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {32, 3}, 6, 0, 3 * 22 - 1, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {32, 3}, 7, 0, 3 * 24 - 1, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {2, {32, 3}, 20, 0, 3 * 18 - 1, MOXIE_ERROR_TRUNCATED, "behind the end"},
        {1, {4}, 4, 0, 64, MOXIE_ERROR_FORMAT, "unknown type 4"},
        {1, {4}, 999, 0, 64, MOXIE_ERROR_FORMAT, "unknown type 999"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t n = cases[i].n_dims > 5 ? 0 : cases[i].n_dims;
        struct bytes b = one_tensor("t", n, cases[i].dims, cases[i].type, cases[i].offset, cases[i].data);
        if (n != cases[i].n_dims) { // the number stands behind 24 bytes of start and the name of 9
            memset(b.data + 33, 0xff, 4);
        }
        refused(&b, cases[i].code, cases[i].part);
    }
    char name[65] = "";
    memset(name, 'n', 64);
    struct bytes b = one_tensor(name, 1, (uint64_t[]){4}, 0, 0, 16);
    refused(&b, MOXIE_ERROR_FORMAT, "1 to 63 bytes");
    b = one_tensor("", 1, (uint64_t[]){4}, 0, 0, 16);
    refused(&b, MOXIE_ERROR_FORMAT, "1 to 63 bytes");
    b = one_tensor("two", 1, (uint64_t[]){4}, 0, 0, 16);
    b.data[24 + 8 + 1] = 0;
    refused(&b, MOXIE_ERROR_FORMAT, "other than NUL");
    put_start(&b, 3, 2, 0); // the second one overlaps the first
    put_tensor(&b, "a", 1, (uint64_t[]){16}, 0, 0);
    put_tensor(&b, "b", 1, (uint64_t[]){16}, 0, 32);
    put_zeros(&b, 256);
    refused(&b, MOXIE_ERROR_BOUNDS, "\"b\" stands at data offset 32, expected 64");
}

static void test_alignment(void **state) {
    (void)state;
    static const uint64_t bad[] = {0, 3, 48, UINT32_MAX, 1u << 31};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = one_key("general.alignment", PK_GGUF_U32);
        put_integer(&b, bad[i], 4);
        refused(&b, MOXIE_ERROR_FORMAT, "general.alignment");
    }
    struct bytes b = one_key("general.alignment", PK_GGUF_U64);
    put_integer(&b, 32, 8);
    refused(&b, MOXIE_ERROR_FORMAT, "general.alignment");

    put_start(&b, 3, 2, 1);
    put_key(&b, "general.alignment", PK_GGUF_U32), put_integer(&b, 8, 4);
    put_tensor(&b, "a", 1, (uint64_t[]){1}, 0, 0);
    put_tensor(&b, "b", 1, (uint64_t[]){1}, 0, 8);
    align_to(&b, 8);
    size_t header = b.n;
    put_zeros(&b, 12);
    struct pk_gguf g;
    struct pk_error e = {0};
    assert_true(parse(&b, &g, &e));
    assert_int_equal(g.tensors[1].offset, header + 8);
    pk_gguf_free(&g);
    free_bytes(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_long_header),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_byte_changed),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_alignment),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, begin_in_folder, end_in_folder);
}
