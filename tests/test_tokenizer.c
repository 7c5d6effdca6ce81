/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding on a vocabulary small enough to know the answer by hand, and against a merging loop written straight from
 * the definition of BPE. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pack/tokenizer_vocab.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

#define MAX_IDS 512

static struct test_blob small;
static uint64_t scratch[8192];

static int setup(void **state) {
    (void)state;
    test_blob_from_vocab(&small, test_small_vocab());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_blob_free(&small);
    return 0;
}

static enum moxie_error encode(const struct mx_tokenizer *t, const char *text, size_t bytes, unsigned flags,
                               int32_t *ids, size_t *n, struct moxie_failure *f) {
    return mx_encode(t, text, bytes, flags, scratch, sizeof(scratch), ids, MAX_IDS, n, f);
}

/* `expected` ends with -1. */
static void expect(const struct mx_tokenizer *t, const char *text, unsigned flags, const int32_t *expected) {
    int32_t ids[MAX_IDS];
    size_t n, i = 0;
    struct moxie_failure f;
    check_ok(encode(t, text, strlen(text), flags, ids, &n, &f), f);
    for (; expected[i] >= 0; i++) {
        assert_true(i < n);
        assert_int_equal(ids[i], expected[i]);
    }
    assert_int_equal(n, i);
}
#define EXPECT(t, text, flags, ...) expect(t, text, flags, (const int32_t[]){__VA_ARGS__ - 1})

static void merges_go_by_rank(void **state) {
    (void)state;
    EXPECT(&small.t, "hello", 0, TEST_SMALL_HELL, 'o', );
    EXPECT(&small.t, "el", 0, TEST_SMALL_EL, );
    EXPECT(&small.t, "helhe", 0, TEST_SMALL_HE, 'l', TEST_SMALL_HE, );
    EXPECT(&small.t, "aaaaa", 0, TEST_SMALL_AA, TEST_SMALL_AA, 'a', ); /* leftmost first */
    EXPECT(&small.t, "   h", 0, TEST_SMALL_SPACES, ' ', 'h', );        /* the last space belongs to the word */
    EXPECT(&small.t, "\xC3\xA9", 0, TEST_SMALL_E_ACUTE_1, TEST_SMALL_E_ACUTE_2, );
    EXPECT(&small.t, "", 0, );
}

static void special_tokens_are_cut_out(void **state) {
    (void)state;
    EXPECT(&small.t, "a<|im_end|>a", MX_ENCODE_SPECIALS, 'a', TEST_SMALL_END, 'a', );
    EXPECT(&small.t, "<|im_end|", MX_ENCODE_SPECIALS, '<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', );
    /* control tokens stay text without the flag, user tokens never do; the longest wins */
    EXPECT(&small.t, "<|im_end|>", 0, '<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', '>', );
    EXPECT(&small.t, "<tool>s<tool>", 0, TEST_SMALL_USER_LONG, TEST_SMALL_USER, );
    EXPECT(&small.t, "<<tool>", 0, '<', TEST_SMALL_USER, );
    /* merges do not reach over them */
    EXPECT(&small.t, "h<tool>e", 0, 'h', TEST_SMALL_USER, 'e', );
}

static void bos_where_it_is_wanted(void **state) {
    (void)state;
    struct test_blob b;
    struct pk_vocab *v = test_small_vocab();
    v->flags |= MX_TOK_ADD_BOS;
    test_blob_from_vocab(&b, v);
    EXPECT(&b.t, "a", MX_ENCODE_BEGIN, TEST_SMALL_START, 'a', );
    EXPECT(&b.t, "a", 0, 'a', );
    EXPECT(&small.t, "a", MX_ENCODE_BEGIN, 'a', );
    test_blob_free(&b);
}

static void ignore_merges_takes_whole_words(void **state) {
    (void)state;
    struct test_blob b;
    struct pk_vocab *v = test_small_vocab();
    v->n_merges = 0;
    v->flags |= MX_TOK_IGNORE_MERGES;
    test_blob_from_vocab(&b, v);
    EXPECT(&b.t, "hell", 0, TEST_SMALL_HELL, );
    EXPECT(&b.t, "hello", 0, 'h', 'e', 'l', 'l', 'o', );
    test_blob_free(&b);
}

static void bytes_without_a_token(void **state) {
    (void)state;
    struct test_blob b;
    int32_t ids[MAX_IDS];
    size_t n = 9;
    struct moxie_failure f;
    EXPECT(&small.t, "a\aa", 0, 'a', TEST_SMALL_UNKNOWN, 'a', );
    check_error(encode(&small.t, "aa \a", 4, MX_ENCODE_STRICT, ids, &n, &f), MOXIE_ERROR_TEXT);
    assert_int_equal(f.offset, 3);
    assert_int_equal(n, 0);
    struct pk_vocab *v = test_small_vocab();
    v->unknown = MX_TOK_NONE;
    test_blob_from_vocab(&b, v);
    check_error(encode(&b.t, "aa \a", 4, 0, ids, &n, &f), MOXIE_ERROR_TEXT);
    test_blob_free(&b);
}

static void text_that_is_not_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t bytes, bad;
    } cases[] = {
        {"ab\xC3", 3, 2},           {"\x80", 1, 0},
        {"a\xC0\x80", 3, 1},        {"\xED\xA0\x80", 3, 0},
        {"\xE4\xBD\xA0\xE4", 4, 3}, {"\xF4\x90\x80\x80", 4, 0},
        {"\xF0\x9F\x98", 3, 0},     {"a\xFF", 2, 1},
    };
    int32_t ids[MAX_IDS];
    size_t n;
    struct moxie_failure f;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_error(encode(&small.t, cases[i].text, cases[i].bytes, 0, ids, &n, &f), MOXIE_ERROR_TEXT);
        assert_int_equal(f.offset, cases[i].bad);
    }
}

static void buffers_too_small(void **state) {
    (void)state;
    int32_t ids[2] = {-7, -7};
    size_t n;
    struct moxie_failure f;
    check_error(mx_encode(&small.t, "a hello", 7, 0, scratch, sizeof(scratch), ids, 1, &n, &f),
                MOXIE_ERROR_BUFFER_SMALL);
    assert_int_equal(n, 4);
    assert_int_equal(f.offset, 4);
    assert_int_equal(ids[0], 'a');
    assert_int_equal(ids[1], -7);
    check_ok(mx_encode(&small.t, "", 0, 0, scratch, sizeof(scratch), NULL, 0, &n, &f), f);
    check_error(mx_encode(&small.t, "a", 1, 0, scratch, 16, ids, 2, &n, &f), MOXIE_ERROR_MEMORY);
    check_error(mx_encode(&small.t, "a", 1, 8, scratch, sizeof(scratch), ids, 2, &n, &f), MOXIE_ERROR_ARGUMENT);
    check_error(mx_encode(&small.t, "a", 1, 0, NULL, 0, ids, 2, &n, &f), MOXIE_ERROR_ARGUMENT);
    /* a word beyond the scratch, behind one that fits */
    char text[600] = "a ";
    memset(text + 2, 'b', 598);
    check_error(mx_encode(&small.t, text, 600, 0, scratch, mx_encode_scratch(300), ids, 2, &n, &f), MOXIE_ERROR_TEXT);
    assert_int_equal(f.offset, 1);
}

/* BPE by definition: merge the lowest rank, the leftmost of it, until nothing merges. */
static size_t merge_slowly(const struct mx_tokenizer *t, int32_t *ids, size_t n) {
    for (;;) {
        size_t best = n, rank = t->header->merges;
        for (size_t i = 0; i + 1 < n; i++) {
            for (size_t r = 0; r < rank; r++) {
                if ((int32_t)t->merges[r].left == ids[i] && (int32_t)t->merges[r].right == ids[i + 1]) {
                    best = i;
                    rank = r;
                }
            }
        }
        if (best == n) {
            return n;
        }
        ids[best] = (int32_t)t->merges[rank].merged;
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof(*ids));
        n--;
    }
}

/* Random vocabularies over two letters, dense in ties and overlaps, against the definition. */
static void merging_agrees_with_its_definition(void **state) {
    (void)state;
    srand(1);
    for (int round = 0; round < 60; round++) {
        struct pk_vocab_token tokens[40];
        struct pk_vocab_merge merges[38];
        static char texts[40][24];
        struct pk_vocab v = {.path = (char *)"random", .tokens = tokens, .merges = merges, .n_tokens = 2};
        v.pretokenizer = MX_TOK_PRE_GPT2;
        v.bos = v.eos = v.unknown = MX_TOK_NONE;
        tokens[0] = (struct pk_vocab_token){"a", 1, MX_TOK_NORMAL};
        tokens[1] = (struct pk_vocab_token){"b", 1, MX_TOK_NORMAL};
        for (int attempt = 0; attempt < 60 && v.n_tokens < 40; attempt++) {
            uint32_t l = (uint32_t)rand() % v.n_tokens, r = (uint32_t)rand() % v.n_tokens;
            uint32_t n = tokens[l].bytes + tokens[r].bytes;
            char *text = texts[v.n_tokens];
            if (n >= sizeof(texts[0])) {
                continue;
            }
            memcpy(text, tokens[l].text, tokens[l].bytes);
            memcpy(text + tokens[l].bytes, tokens[r].text, tokens[r].bytes);
            if (pk_vocab_find(&v, text, n) != MX_TOK_NONE) {
                continue;
            }
            tokens[v.n_tokens++] = (struct pk_vocab_token){text, n, MX_TOK_NORMAL};
            merges[v.n_merges++] =
                (struct pk_vocab_merge){tokens[l].text, tokens[r].text, tokens[l].bytes, tokens[r].bytes};
        }
        struct test_blob b;
        test_blob_from_vocab(&b, &v);
        for (int i = 0; i < 50; i++) {
            char text[200];
            int32_t ids[MAX_IDS], expected[200];
            size_t bytes = (size_t)rand() % 200, n, expected_n;
            struct moxie_failure f;
            for (size_t k = 0; k < bytes; k++) {
                text[k] = "ab"[rand() % 2];
                expected[k] = text[k] - 'a';
            }
            expected_n = merge_slowly(&b.t, expected, bytes);
            check_ok(encode(&b.t, text, bytes, 0, ids, &n, &f), f);
            assert_int_equal(n, expected_n);
            assert_memory_equal(ids, expected, n * sizeof(*ids));
        }
        test_blob_free(&b);
    }
}

/* A megabyte that is one word, or one run of combining marks: seconds would be a quadratic algorithm. */
static void hostile_lengths_take_linear_time(void **state) {
    (void)state;
    enum { BYTES = 1 << 20 };
    struct test_blob b;
    test_blob_qwen(&b);
    size_t size = mx_encode_scratch(2 * BYTES), n;
    void *big = malloc(size);
    char *text = malloc(BYTES);
    int32_t *ids = malloc(BYTES * sizeof(*ids));
    static const char *const units[] = {"a",     " ",        "<", "ab", "\n", "!", "\xCC\x80\xCC\x95\xD6\xAE\xCC\xA1",
                                        "<|im_", "e\xCC\x81"};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t unit = strlen(units[i]), bytes = BYTES / unit * unit;
        for (size_t at = 0; at < bytes; at += unit) {
            memcpy(text + at, units[i], unit);
        }
        struct moxie_failure f;
        clock_t start = clock();
        check_ok(mx_encode(&b.t, text, bytes, MX_ENCODE_SPECIALS, big, size, ids, BYTES, &n, &f), f);
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 8); /* 0.3 s; sanitizers and a busy machine get more */
        assert_in_range(n, 1, bytes);
    }
    free(ids);
    free(text);
    free(big);
    test_blob_free(&b);
}

/* With the smallest scratch a long text runs through many windows: the ids do not depend on it. */
static void window_size_does_not_matter(void **state) {
    (void)state;
    static const char *const parts[] = {"Hello",
                                        " world",
                                        "cafe\xCC\x81",
                                        "\n \n",
                                        "    ",
                                        "\xE4\xBD\xA0\xE5\xA5\xBD",
                                        "'s",
                                        "<|im_end|>",
                                        "123",
                                        "\xE2\x84\xAB",
                                        "\xF0\x9F\x98\x80",
                                        "!?",
                                        "\xE0\xB8\x81\xE0\xB8\xB3"};
    struct test_blob b;
    test_blob_qwen(&b);
    size_t large_size = mx_encode_scratch(1 << 16), small_size = mx_encode_scratch(0);
    void *large = malloc(large_size);
    char *text = malloc(1 << 16);
    int32_t *ids = malloc(4 << 16), *same = malloc(4 << 16);
    srand(2);
    for (int round = 0; round < 40; round++) {
        size_t bytes = 0, n, same_n;
        struct moxie_failure f;
        for (int i = 0; i < 2000; i++) {
            const char *part = parts[(size_t)rand() % (sizeof(parts) / sizeof(parts[0]))];
            memcpy(text + bytes, part, strlen(part));
            bytes += strlen(part);
        }
        check_ok(mx_encode(&b.t, text, bytes, MX_ENCODE_SPECIALS, large, large_size, ids, 1 << 16, &n, &f), f);
        check_ok(mx_encode(&b.t, text, bytes, MX_ENCODE_SPECIALS, scratch, small_size, same, 1 << 16, &same_n, &f), f);
        assert_int_equal(n, same_n);
        assert_memory_equal(ids, same, n * sizeof(*ids));
    }
    free(same);
    free(ids);
    free(text);
    free(large);
    test_blob_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_go_by_rank),
        cmocka_unit_test(special_tokens_are_cut_out),
        cmocka_unit_test(bos_where_it_is_wanted),
        cmocka_unit_test(ignore_merges_takes_whole_words),
        cmocka_unit_test(bytes_without_a_token),
        cmocka_unit_test(text_that_is_not_utf8),
        cmocka_unit_test(buffers_too_small),
        cmocka_unit_test(merging_agrees_with_its_definition),
        cmocka_unit_test(hostile_lengths_take_linear_time),
        cmocka_unit_test(window_size_does_not_matter),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
