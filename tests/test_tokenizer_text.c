/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids to text: the replacement of broken UTF-8 as the Unicode standard tabulates it, whatever the tokens. */
#include <stdlib.h>
#include <string.h>

#include "runtime/detokenize.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

#define R "\xEF\xBF\xBD"

static struct test_blob gpt2;

static int setup(void **state) {
    (void)state;
    test_blob_gpt2(&gpt2);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_blob_free(&gpt2);
    return 0;
}

/* Feeds single-byte tokens and ends the stream. */
static size_t decode_bytes(const uint8_t *bytes, size_t n, char *out, size_t max) {
    struct mx_detok d = {0};
    struct moxie_failure f;
    size_t at = 0, made;
    for (size_t i = 0; i <= n; i++) {
        int32_t id = i < n ? (int32_t)gpt2.t.byte_tokens[bytes[i]] : -1;
        check_ok(mx_detok_push(&d, &gpt2.t, id, out + at, max - at, &made, &f), f);
        at += made;
    }
    return at;
}

/* Tables 3-8 to 3-11 of the Unicode standard 15.0, and D93b's example. */
static void broken_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"},
        {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", "a" R R R "b" R "c" R R "d"},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
        {"ab\xE4\xBD", "ab" R}, /* cut at the end of the stream */
        {"\xC3", R},
        {"\xEF\xBB\xBFx", "\xEF\xBB\xBFx"}, /* a byte order mark is text */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        size_t n = decode_bytes((const uint8_t *)cases[i].bytes, strlen(cases[i].bytes), out, sizeof(out));
        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, n);
    }
}

static enum moxie_error push(struct mx_detok *d, const struct mx_tokenizer *t, int32_t id, const char *text) {
    char out[64];
    size_t n;
    struct moxie_failure f;
    enum moxie_error error = mx_detok_push(d, t, id, out, sizeof(out), &n, &f);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(out, text, n);
    return error;
}

static void tokens_of_every_kind(void **state) {
    (void)state;
    struct test_blob b;
    struct mx_detok d = {0};
    struct moxie_failure f;
    char out[8];
    size_t n;
    test_blob_from_vocab(&b, test_small_vocab());
    push(&d, &b.t, TEST_SMALL_HELL, "hell");
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, ""); /* half a character is held back */
    push(&d, &b.t, TEST_SMALL_E_ACUTE_2, "\xC3\xA9");
    push(&d, &b.t, TEST_SMALL_END, ""); /* control tokens are silent, user tokens are text */
    push(&d, &b.t, TEST_SMALL_USER, "<tool>");
    push(&d, &b.t, TEST_SMALL_HOLE, "");
    push(&d, &b.t, TEST_SMALL_TOKENS, ""); /* rows of logits beyond the vocabulary */
    push(&d, &b.t, INT32_MAX, "");
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, "");
    push(&d, &b.t, TEST_SMALL_END, R); /* ends what was incomplete */
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, "");
    push(&d, &b.t, TEST_SMALL_HE, R "he");
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, "");
    check_error(mx_detok_push(&d, &b.t, TEST_SMALL_USER_LONG, out, 8, &n, &f), MOXIE_ERROR_BUFFER_SMALL);
    assert_int_equal(f.offset, 10); /* the replacement and 7 bytes; nothing happened */
    push(&d, &b.t, TEST_SMALL_E_ACUTE_2, "\xC3\xA9");
    push(&d, &b.t, -1, "");
    test_blob_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_utf8),
        cmocka_unit_test(tokens_of_every_kind),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
