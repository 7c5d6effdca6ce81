/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled tokenizers that are cut, damaged or inconsistent although signed: the named error, or use that stays inside
 * the blob. Build with SAN=1 to see the second half. */
#include <stdlib.h>
#include <string.h>

#include "runtime/detokenize.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

static struct test_blob good;
static uint64_t scratch[4096];

static int setup(void **state) {
    (void)state;
    struct pk_vocab *v = test_small_vocab();
    v->flags |= MX_TOK_ADD_BOS;
    v->normalizer = MX_TOK_NORMAL_NFC;
    test_blob_from_vocab(&good, v);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_blob_free(&good);
    return 0;
}

/* Everything that reads the blob, on texts that touch all of it. */
static void use(const struct mx_tokenizer *t) {
    static const char text[] = "hello  <tool>s <|im_end|>\a aaaa \xC3\xA9 e\xCC\x81 1'll 12 <unk>\r\n";
    struct mx_detok d = {0};
    int32_t ids[256];
    size_t n;
    char out[4096];
    for (unsigned flags = 0; flags < 8; flags++) {
        enum moxie_error error =
            mx_encode(t, text, sizeof(text) - 1, flags, scratch, sizeof(scratch), ids, 256, &n, NULL);
        assert_true(error == MOXIE_OK ? n <= 256 : error == MOXIE_ERROR_TEXT);
    }
    for (int32_t id = -1; id <= TEST_SMALL_TOKENS; id++) {
        enum moxie_error error = mx_detok_push(&d, t, id, out, sizeof(out), &n, NULL);
        assert_true(error == MOXIE_OK || error == MOXIE_ERROR_BUFFER_SMALL);
    }
}

static void cut_anywhere(void **state) {
    (void)state;
    for (size_t size = 0; size < good.size; size++) {
        struct mx_tokenizer t;
        void *copy = malloc(size + (size == 0)); /* so that a read behind it is seen */
        memcpy(copy, good.bytes, size);
        check_error(mx_tokenizer_open(&t, copy, size, NULL), MOXIE_ERROR_TRUNCATED);
        free(copy);
    }
}

static void any_flipped_bit(void **state) {
    (void)state;
    size_t accepted = 0;
    uint8_t *copy = malloc(good.size);
    for (size_t bit = 0; bit < 8 * good.size; bit++) {
        struct mx_tokenizer t;
        memcpy(copy, good.bytes, good.size);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (mx_tokenizer_open(&t, copy, good.size, NULL) == MOXIE_OK) {
            accepted++; /* another, consistent tokenizer: other end token, other text of a special one, … */
            use(&t);
        }
    }
    assert_in_range(accepted, 1, good.size / 4);
    free(copy);
}

static void random_damage(void **state) {
    (void)state;
    uint8_t *copy = malloc(good.size);
    srand(1);
    for (int round = 0; round < 100000; round++) {
        struct mx_tokenizer t;
        memcpy(copy, good.bytes, good.size);
        for (int i = rand() % 4; i >= 0; i--) {
            static const uint32_t words[] = {0, 1, 127, 128, 140, 0x7fffffff, 0x80000000, 0xffffffff};
            size_t at = (size_t)rand() % (good.size / 4) * 4;
            uint32_t word = rand() % 2 ? words[rand() % 8] : (uint32_t)rand() % TEST_SMALL_TOKENS;
            memcpy(copy + at, &word, 4);
        }
        if (mx_tokenizer_open(&t, copy, good.size, NULL) == MOXIE_OK) {
            use(&t);
        }
    }
    free(copy);
}

/* One u32 of section `offset`, place `i`, becomes `value`; the error is named and says where. */
static void refuse(uint64_t offset, uint32_t i, uint32_t value, const char *words) {
    struct mx_tokenizer t;
    struct moxie_failure f;
    uint8_t *copy = malloc(good.size);
    memcpy(copy, good.bytes, good.size);
    memcpy(copy + offset + 4 * (size_t)i, &value, 4);
    check_error(mx_tokenizer_open(&t, copy, good.size, &f), MOXIE_ERROR_TOKENIZER);
    if (!strstr(f.what, words)) {
        fail_msg("expected \"%s\" in \"%s\"", words, f.what);
    }
    assert_true(f.offset < good.size);
    free(copy);
}

static void tables_that_contradict_themselves(void **state) {
    (void)state;
    struct mx_tok_layout l = mx_tok_layout(good.t.header);
    refuse(l.offsets, 5, 0, "text from");
    refuse(l.offsets, TEST_SMALL_TOKENS, 3, "do not fill");
    refuse(l.byte_tokens, 'a', 'b', "not the byte");
    refuse(l.byte_tokens, 'a', 5000, "not the byte");
    refuse(l.byte_tokens, 'a', TEST_SMALL_AA, "not the byte");
    refuse(l.byte_tokens, 'a', TEST_SMALL_END, "not the byte");
    refuse(l.merges, 0, 4000000000u, "outside the");               /* of a missing id */
    refuse(l.merges, 2, TEST_SMALL_TOKENS, "outside the");         /* the result, first id that is not there */
    refuse(l.merges, 2, 'h', "is not");                            /* cyclic: h + e gives h */
    refuse(l.merges, 1, 'l', "is not");                            /* h + l gives he */
    refuse(l.merges, 2, TEST_SMALL_END, "of a token that is not"); /* text would turn into a control token */
    refuse(l.merges, 0, TEST_SMALL_UNKNOWN, "of a token that is not");
    refuse(l.specials, 0, TEST_SMALL_HE, "not a special token");
    refuse(l.specials, 0, 77777, "not a special token");
    refuse(l.specials, 1, good.t.specials[0], "the same or out of order");
    refuse(l.specials, 0, good.t.specials[1], "the same or out of order");
    for (uint32_t slot = 0; slot < good.t.header->merge_slots; slot++) {
        if (good.t.merge_slots[slot] != MX_TOK_NONE) {
            refuse(l.merge_slots, slot, MX_TOK_NONE, "entries for 6 merges");
            refuse(l.merge_slots, slot, 6, "names 6 of 6");
            refuse(l.merge_slots, slot, (good.t.merge_slots[slot] + 1) % 6, "merge table");
        }
    }
    for (uint32_t slot = 0; slot < good.t.header->token_slots; slot++) {
        if (good.t.token_slots[slot] != MX_TOK_NONE) {
            refuse(l.token_slots, slot, MX_TOK_NONE, "token table");
            refuse(l.token_slots, slot, TEST_SMALL_END, "not a normal token");
        }
    }
}

static void headers_that_lie(void **state) {
    (void)state;
    static const struct {
        size_t field;
        uint32_t value;
        const char *words;
    } cases[] = {
        {offsetof(struct mx_tok_header, magic), 0, "not a compiled tokenizer"},
        {offsetof(struct mx_tok_header, bytes), 0, "sections of"},
        {offsetof(struct mx_tok_header, tokens), 0, "impossible counts"},
        {offsetof(struct mx_tok_header, tokens), 0xffffffff, "impossible counts"},
        {offsetof(struct mx_tok_header, tokens), 5000, "sections of"},
        {offsetof(struct mx_tok_header, merges), 0xffffffff, "impossible counts"},
        {offsetof(struct mx_tok_header, merge_slots), 0, "slots"},
        {offsetof(struct mx_tok_header, merge_slots), 3, "slots"},
        {offsetof(struct mx_tok_header, merge_slots), 4, "slots"},
        {offsetof(struct mx_tok_header, merge_slots), 0x80000000, "sections of"},
        {offsetof(struct mx_tok_header, token_slots), 0, "slots"},
        {offsetof(struct mx_tok_header, token_slots), 0x80000000, "sections of"},
        {offsetof(struct mx_tok_header, specials), 0xffffffff, "impossible counts"},
        {offsetof(struct mx_tok_header, pool_bytes), 0xffffffff, "impossible counts"},
        {offsetof(struct mx_tok_header, pretokenizer), 0, "unknown pre-tokenizer"},
        {offsetof(struct mx_tok_header, pretokenizer), 6, "unknown pre-tokenizer"},
        {offsetof(struct mx_tok_header, normalizer), 3, "unknown pre-tokenizer"},
        {offsetof(struct mx_tok_header, flags), 256, "unknown pre-tokenizer"},
        {offsetof(struct mx_tok_header, bos), TEST_SMALL_TOKENS, "bos"},
        {offsetof(struct mx_tok_header, bos), MX_TOK_NONE, "bos"}, /* it is to be added */
        {offsetof(struct mx_tok_header, unknown), TEST_SMALL_TOKENS, "unknown token"},
        {offsetof(struct mx_tok_header, eos), TEST_SMALL_TOKENS, "bos, eos"},
        {offsetof(struct mx_tok_header, reserved), 1, "reserved"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refuse(cases[i].field, 0, cases[i].value, cases[i].words);
    }
}

/* Texts that only the pool can make wrong. */
static void texts_that_are_wrong(void **state) {
    (void)state;
    struct mx_tokenizer t;
    struct moxie_failure f;
    const uint32_t *offsets = good.t.offsets;
    struct mx_tok_layout l = mx_tok_layout(good.t.header);
    uint8_t *copy = malloc(good.size);
    memcpy(copy, good.bytes, good.size);
    copy[l.pool + offsets[TEST_SMALL_USER]] = 0xFF;
    check_error(mx_tokenizer_open(&t, copy, good.size, &f), MOXIE_ERROR_TOKENIZER);
    assert_non_null(strstr(f.what, "is not UTF-8"));
    memcpy(copy, good.bytes, good.size);
    copy[l.pool + offsets['a']] = 'b'; /* a duplicate, and no longer where its hash says */
    check_error(mx_tokenizer_open(&t, copy, good.size, &f), MOXIE_ERROR_TOKENIZER);
    memcpy(copy, good.bytes, good.size);
    copy[l.kinds + TEST_SMALL_HOLE] = MX_TOK_NORMAL; /* a token without bytes would merge for ever */
    check_error(mx_tokenizer_open(&t, copy, good.size, &f), MOXIE_ERROR_TOKENIZER);
    copy[l.kinds + TEST_SMALL_HOLE] = 9;
    check_error(mx_tokenizer_open(&t, copy, good.size, &f), MOXIE_ERROR_TOKENIZER);
    assert_non_null(strstr(f.what, "kind 9"));
    check_error(mx_tokenizer_open(&t, (uint8_t *)good.bytes + 4, good.size - 4, &f), MOXIE_ERROR_ARGUMENT);
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),     cmocka_unit_test(any_flipped_bit),
        cmocka_unit_test(random_damage),    cmocka_unit_test(tables_that_contradict_themselves),
        cmocka_unit_test(headers_that_lie), cmocka_unit_test(texts_that_are_wrong),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
