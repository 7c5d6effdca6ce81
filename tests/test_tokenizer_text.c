/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids to text: the replacement of broken UTF-8 as the Unicode standard tabulates it, whatever the tokens; stop strings
 * that span tokens, overlap and almost match. */
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
        check_ok(mx_detok_push(&d, &gpt2.t, id, 0, out + at, max - at, &made, &f), f);
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

static enum moxie_error push(struct mx_detok *d, const struct mx_tokenizer *t, int32_t id, unsigned flags,
                             const char *text) {
    char out[64];
    size_t n;
    struct moxie_failure f;
    enum moxie_error error = mx_detok_push(d, t, id, flags, out, sizeof(out), &n, &f);
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
    push(&d, &b.t, TEST_SMALL_HELL, 0, "hell");
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, 0, ""); /* half a character is held back */
    push(&d, &b.t, TEST_SMALL_E_ACUTE_2, 0, "\xC3\xA9");
    push(&d, &b.t, TEST_SMALL_END, 0, ""); /* control tokens are silent, user tokens are text */
    push(&d, &b.t, TEST_SMALL_END, MX_DETOK_CONTROL, "<|im_end|>");
    push(&d, &b.t, TEST_SMALL_USER, 0, "<tool>");
    push(&d, &b.t, TEST_SMALL_HOLE, 0, "");
    push(&d, &b.t, TEST_SMALL_TOKENS, 0, ""); /* rows of logits beyond the vocabulary */
    push(&d, &b.t, INT32_MAX, 0, "");
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, 0, "");
    push(&d, &b.t, TEST_SMALL_END, 0, R); /* ends what was incomplete */
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, 0, "");
    push(&d, &b.t, TEST_SMALL_HE, 0, R "he");
    push(&d, &b.t, TEST_SMALL_E_ACUTE_1, 0, "");
    check_error(mx_detok_push(&d, &b.t, TEST_SMALL_USER_LONG, 0, out, 8, &n, &f), MOXIE_ERROR_BUFFER_SMALL);
    assert_int_equal(f.offset, 10); /* the replacement and 7 bytes; nothing happened */
    push(&d, &b.t, TEST_SMALL_E_ACUTE_2, 0, "\xC3\xA9");
    push(&d, &b.t, -1, 0, "");
    test_blob_free(&b);
}

/* Runs `text` through the stops in pieces of `step` bytes; the text shown, and whether it stopped. */
static bool run_stops(const struct mx_stop_string *strings, size_t count, const char *text, size_t step, char *out) {
    struct mx_stops s;
    struct moxie_failure f;
    size_t n = strlen(text), at = 0, made;
    bool stopped = false;
    check_ok(mx_stops_init(&s, strings, count, &f), f);
    for (size_t i = 0; i < n && !stopped; i += step) {
        size_t piece = n - i < step ? n - i : step;
        stopped = mx_stops_push(&s, text + i, piece, out + at, &made);
        at += made;
    }
    if (!stopped) {
        mx_stops_flush(&s, out + at, &made);
        at += made;
    }
    out[at] = '\0';
    return stopped;
}

static void stop_strings(void **state) {
    (void)state;
    static const struct {
        const char *strings[3];
        const char *text, *shown;
        bool stops;
    } cases[] = {
        {{"END"}, "one END two", "one ", true},
        {{"END"}, "EN EEND", "EN E", true},
        {{"END"}, "one EN", "one EN", false}, /* held back, then released */
        {{"aab"}, "aaab", "a", true},         /* a failed match hides the beginning of one */
        {{"abab!"}, "ababab!", "ab", true},
        {{"bc", "abcd"}, "xabcd", "xa", true},   /* complete first */
        {{"c", "abc", "bc"}, "xabc", "x", true}, /* the longest of those that end together */
        {{"\n\n"}, "a\nb\n\nc", "a\nb", true},
        {{"\xC3\xA9"}, "\xC3\xA8\xC3\xA9z", "\xC3\xA8", true},
        {{"\n", "User:"}, "Use User", "Use User", false},
        {{NULL}, "anything", "anything", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mx_stop_string strings[3];
        size_t count = 0;
        for (; count < 3 && cases[i].strings[count]; count++) {
            strings[count] = (struct mx_stop_string){cases[i].strings[count], strlen(cases[i].strings[count])};
        }
        for (size_t step = 1; step <= 8; step++) {
            char out[64];
            assert_int_equal(run_stops(strings, count, cases[i].text, step, out), cases[i].stops);
            assert_string_equal(out, cases[i].shown);
        }
    }
}

/* Random texts over two letters against a search of the whole text. */
static void stop_strings_agree_with_a_search(void **state) {
    (void)state;
    srand(3);
    for (int round = 0; round < 20000; round++) {
        char text[41], strings[3][6], out[64];
        struct mx_stop_string stops[3];
        size_t count = 1 + (size_t)rand() % 3, end = 0, start = 0, n = 40;
        for (size_t i = 0; i < n; i++) {
            text[i] = "ab"[rand() % 2];
        }
        text[n] = '\0';
        for (size_t k = 0; k < count; k++) {
            stops[k] = (struct mx_stop_string){strings[k], 1 + (size_t)rand() % 6};
            for (size_t i = 0; i < stops[k].bytes; i++) {
                strings[k][i] = "ab"[rand() % 2];
            }
        }
        for (size_t e = 1; e <= n && !end; e++) {
            for (size_t k = 0; k < count; k++) {
                size_t m = stops[k].bytes;
                if (m <= e && memcmp(text + e - m, stops[k].text, m) == 0 && (!end || e - m < start)) {
                    end = e;
                    start = e - m;
                }
            }
        }
        assert_int_equal(run_stops(stops, count, text, 1 + (size_t)rand() % 9, out), end > 0);
        text[end ? start : n] = '\0';
        assert_string_equal(out, text);
    }
}

static void stop_strings_that_are_refused(void **state) {
    (void)state;
    struct mx_stops s;
    char text[300];
    memset(text, 'a', sizeof(text));
    const struct mx_stop_string bad[] = {{"", 0}, {"\xC3", 1}, {text, 256}, {NULL, 1}}, good = {text, 255};
    const struct mx_stop_string many[9] = {good, good, good, good, good, good, good, good, good};
    for (size_t i = 0; i < 4; i++) {
        check_error(mx_stops_init(&s, &bad[i], 1, NULL), MOXIE_ERROR_ARGUMENT);
    }
    check_error(mx_stops_init(&s, many, 9, NULL), MOXIE_ERROR_ARGUMENT);
    check_error(mx_stops_init(&s, many, 8, NULL), MOXIE_OK);
    char out[600];
    size_t made;
    text[254] = 'b'; /* the longest string, matched at the last moment */
    check_error(mx_stops_init(&s, &good, 1, NULL), MOXIE_OK);
    assert_false(mx_stops_push(&s, text, 254, out, &made));
    assert_int_equal(made, 0);
    assert_false(mx_stops_push(&s, text, 254, out, &made));
    assert_int_equal(made, 254);
    assert_true(mx_stops_push(&s, "b", 1, out, &made));
    assert_int_equal(made, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_utf8),
        cmocka_unit_test(tokens_of_every_kind),
        cmocka_unit_test(stop_strings),
        cmocka_unit_test(stop_strings_agree_with_a_search),
        cmocka_unit_test(stop_strings_that_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
