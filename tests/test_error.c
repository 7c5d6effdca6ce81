/* SPDX-License-Identifier: Apache-2.0
 *
 * Error values: every code has a name, and mx_fail words any message inside its 232 bytes. */
#include "tests/check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fail.h"

/* The codes come from the header's text, so that a code added there without a name is found. */
static void every_code_has_its_own_name(void **state) {
    (void)state;
    FILE *header = fopen("platform/moxie_error.h", "r");
    assert_non_null(header);
    char line[256];
    const char *names[100];
    size_t n = 0;
    while (fgets(line, sizeof line, header)) {
        char word[64];
        int code;
        if (sscanf(line, " MOXIE_%63[A-Z_] = %d,", word, &code) == 2) {
            names[n] = moxie_error_name((enum moxie_error)code);
            assert_string_not_equal(names[n], "unknown error code");
            for (size_t i = 0; i < n; i++) {
                assert_string_not_equal(names[i], names[n]);
            }
            n++;
        }
    }
    fclose(header);
    assert_true(n > 25);
    assert_string_equal(moxie_error_name(MOXIE_ERROR_KEY_UNKNOWN), "unknown key");
    assert_string_equal(moxie_error_name((enum moxie_error)12345), "unknown error code");
}

static void fields_are_filled(void **state) {
    (void)state;
    struct moxie_failure f;
    memset(&f, 0xAA, sizeof f);
    assert_int_equal(mx_fail(&f, MOXIE_ERROR_HASH, 77, "leaf %u", 3U), MOXIE_ERROR_HASH);
    assert_int_equal(f.code, MOXIE_ERROR_HASH);
    assert_int_equal(f.cl, 0);
    assert_int_equal(f.offset, 77);
    assert_string_equal(f.what, "leaf 3");
    assert_int_equal(mx_fail_cl(&f, MOXIE_ERROR_OPENCL, -54, "clEnqueue"), MOXIE_ERROR_OPENCL);
    assert_int_equal(f.cl, -54);
    assert_true(f.offset == MX_NO_OFFSET);
    assert_int_equal(mx_fail(NULL, MOXIE_ERROR_FILE, 0, "%s", "no one listens"), MOXIE_ERROR_FILE);
}

/* Expectation: what the C library's own formatter writes. */
#define SAME_AS_SNPRINTF(...)                                                                                          \
    do {                                                                                                               \
        struct moxie_failure f;                                                                                        \
        char expected[sizeof f.what];                                                                                  \
        snprintf(expected, sizeof expected, __VA_ARGS__);                                                              \
        mx_fail(&f, MOXIE_ERROR_ARGUMENT, 0, __VA_ARGS__);                                                             \
        assert_string_equal(f.what, expected);                                                                         \
    } while (0)

static void conversions_agree_with_snprintf(void **state) {
    (void)state;
    SAME_AS_SNPRINTF("plain, 100 %%");
    SAME_AS_SNPRINTF("%d %d %d", 0, INT_MAX, INT_MIN);
    SAME_AS_SNPRINTF("%u %x", UINT32_MAX, 0xdeadbeefU);
    SAME_AS_SNPRINTF("%ld %lu %lx", -5L, 7UL, 255UL);
    SAME_AS_SNPRINTF("%lld %lld %llu %llx", (long long)INT64_MIN, (long long)INT64_MAX, (unsigned long long)UINT64_MAX,
                     (unsigned long long)UINT64_MAX);
    SAME_AS_SNPRINTF("%zu %zx", SIZE_MAX, SIZE_MAX);
    SAME_AS_SNPRINTF("[%s] [%.*s] [%c]", "Grüße, 世界 😀", 3, "abcdef", 'x');
}

static void long_texts_are_cut_between_characters(void **state) {
    (void)state;
    struct moxie_failure f;
    char text[400];
    for (size_t shift = 0; shift < 4; shift++) {
        for (size_t i = 0; i < shift; i++) {
            text[i] = 'a';
        }
        for (size_t i = shift; i + 4 < sizeof text; i += 4) {
            memcpy(text + i, "\xF0\x9F\x98\x80", 5);
        }
        mx_fail(&f, MOXIE_ERROR_ARGUMENT, 0, "%s and more %d", text, 5);
        size_t n = strlen(f.what);
        assert_true(n < sizeof f.what && n > sizeof f.what - 6);
        assert_int_equal((n - shift) % 4, 0);
        assert_memory_equal(f.what, text, n);
    }
}

static void hostile_strings_become_harmless(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"esc\x1b[2Jape\n", "esc?[2Jape?"},
        {"\xC2\x9B"
         "31m",
         "?31m"},                                        /* CSI as a C1 control character */
        {"cut\xE4\xB8", "cut??"},                        /* half a character at the end */
        {"\xC0\x80\xED\xA0\x80\xF5", "??????"},          /* overlong NUL, surrogate, above U+10FFFF */
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},        /* U+10FFFF itself */
        {"\xF4\x90\x80\x80", "????"},                    /* one above */
        {"\xE0\x9F\xBF\xE0\xA0\x80", "???\xE0\xA0\x80"}, /* overlong and the first legal one */
    };
    struct moxie_failure f;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mx_fail(&f, MOXIE_ERROR_ARGUMENT, 0, "%s", cases[i][0]);
        assert_string_equal(f.what, cases[i][1]);
    }
    const char *volatile nothing = NULL;
    mx_fail(&f, MOXIE_ERROR_ARGUMENT, 0, "%s!", nothing);
    assert_string_equal(f.what, "(null)!");
    mx_fail(&f, MOXIE_ERROR_ARGUMENT, 0, "%.*s|%.*s", -1, "abc", 2, "a");
    assert_string_equal(f.what, "|a");
    /* not NUL-terminated, and ending inside a character: nothing behind it is read */
    char *exact = malloc(3);
    memcpy(exact, "ab\xC2", 3);
    mx_fail(&f, MOXIE_ERROR_ARGUMENT, 0, "%.*s", 3, exact);
    assert_string_equal(f.what, "ab?");
    free(exact);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_own_name),     cmocka_unit_test(fields_are_filled),
        cmocka_unit_test(conversions_agree_with_snprintf), cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(hostile_strings_become_harmless),
    };
    return check_run(tests);
}
