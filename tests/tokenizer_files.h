/* SPDX-License-Identifier: Apache-2.0
 *
 * Vocabularies for tests: the public ones under tests/data/tokenizer, and a small one whose every token fits on a
 * screen. */
#ifndef TESTS_TOKENIZER_FILES_H
#define TESTS_TOKENIZER_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "pack/tokenizer.h"
#include "runtime/tokenizer.h"

/* A compiled vocabulary; all functions fail the running test when something is wrong. */
struct test_blob {
    void *bytes;
    size_t size;
    struct mx_tokenizer t;
};
void test_blob_free(struct test_blob *b);

/* The first file in the xz-compressed `path`; to be freed. */
char *test_unxz(const char *path, size_t *size);

/* A new empty folder, and the one made last; test_folder_remove takes it away with the files in it. The name is static.
 */
const char *test_folder_new(void);
const char *test_folder_name(void);
void test_folder_remove(void);
void test_folder_put(const char *name, const void *bytes, size_t size);

/* From the files in the folder, from a GGUF file, from a vocabulary. */
void test_blob_from_folder(struct test_blob *b);
void test_blob_from_gguf(struct test_blob *b, const char *path);
void test_blob_from_vocab(struct test_blob *b, const struct pk_vocab *v);

/* Qwen's: 151 643 tokens and the special ones of Qwen3. GPT-2's. */
void test_blob_qwen(struct test_blob *b);
void test_blob_gpt2(struct test_blob *b);

/* The small vocabulary, in static memory that the test may change: call it again to have it fresh. Ids 0 to 127 are the
 * bytes 0 to 127 but for 7, which has no token; then the tokens of TEST_SMALL_*. */
struct pk_vocab *test_small_vocab(void);
enum {
    TEST_SMALL_UNKNOWN = 7, /* control */
    TEST_SMALL_HE = 128,    /* "he", rank 0 */
    TEST_SMALL_LL,          /* "ll", rank 2 */
    TEST_SMALL_HELL,        /* "hell" = "he" "ll", rank 1 */
    TEST_SMALL_EL,          /* "el", rank 3 */
    TEST_SMALL_SPACES,      /* two spaces, rank 4 */
    TEST_SMALL_AA,          /* "aa", rank 5 */
    TEST_SMALL_START,       /* <|im_start|>, control */
    TEST_SMALL_END,         /* <|im_end|>, control */
    TEST_SMALL_USER,        /* <tool>, user */
    TEST_SMALL_USER_LONG,   /* <tool>s, user */
    TEST_SMALL_HOLE,        /* unused */
    TEST_SMALL_E_ACUTE_1,   /* byte C3 */
    TEST_SMALL_E_ACUTE_2,   /* byte A9 */
    TEST_SMALL_TOKENS,
};

#endif
