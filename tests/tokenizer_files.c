/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // mkdtemp
#include "tests/tokenizer_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack/gguf.h"
#include "tests/check.h"

static char folder[64];
static char files[8][64];
static size_t n_files;

void test_blob_free(struct test_blob *b) {
    free(b->bytes);
    memset(b, 0, sizeof(*b));
}

char *test_unxz(const char *path, size_t *size) {
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    archive_read_support_filter_xz(a);
    archive_read_support_format_raw(a);
    if (archive_read_open_filename(a, path, 1 << 16) != ARCHIVE_OK ||
        archive_read_next_header(a, &entry) != ARCHIVE_OK) {
        fail_msg("%s: %s", path, archive_error_string(a));
    }
    size_t room = 32u << 20;
    char *bytes = malloc(room);
    assert_non_null(bytes);
    la_ssize_t n = archive_read_data(a, bytes, room);
    assert_in_range(n, 1, room - 1);
    archive_read_free(a);
    *size = (size_t)n;
    return bytes;
}

const char *test_folder_new(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%.40s/moxie-XXXXXX", base && strlen(base) <= 40 ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    return folder;
}

const char *test_folder_name(void) {
    return folder;
}

static void path_of(const char *name, char path[160]) {
    snprintf(path, 160, "%s/%s", folder, name);
}

void test_folder_put(const char *name, const void *bytes, size_t size) {
    char path[160];
    path_of(name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    assert_true(n_files < sizeof(files) / sizeof(files[0]));
    snprintf(files[n_files++], sizeof(files[0]), "%s", name);
}

void test_folder_remove(void) {
    while (n_files > 0) {
        char path[160];
        path_of(files[--n_files], path);
        remove(path);
    }
    rmdir(folder);
}

void test_blob_from_vocab(struct test_blob *b, const struct pk_vocab *v) {
    struct pk_error e = {0};
    struct moxie_failure f;
    if (!pk_tokenizer_compile(v, &b->bytes, &b->size, &e)) {
        fail_msg("%s", e.text);
    }
    check_ok(mx_tokenizer_open(&b->t, b->bytes, b->size, &f), f);
}

void test_blob_from_folder(struct test_blob *b) {
    struct pk_error e = {0};
    struct pk_vocab v = {0};
    if (!pk_tokenizer_from_hf(folder, &v, &e)) {
        fail_msg("%s", e.text);
    }
    test_blob_from_vocab(b, &v);
    pk_vocab_free(&v);
}

void test_blob_from_gguf(struct test_blob *b, const char *path) {
    struct pk_error e = {0};
    struct pk_vocab v = {0};
    struct pk_file file;
    struct pk_gguf g;
    if (!pk_file_open(&file, path, &e) || !pk_gguf_read(&g, &file, &e) || !pk_tokenizer_from_gguf(&g, path, &v, &e)) {
        fail_msg("%s", e.text);
    }
    test_blob_from_vocab(b, &v);
    pk_vocab_free(&v);
    pk_gguf_free(&g);
    pk_file_close(&file);
}

void test_blob_qwen(struct test_blob *b) {
    static const char config[] = "{\"tokenizer_class\": \"Qwen2Tokenizer\", \"eos_token\": \"<|im_end|>\"}";
    size_t size;
    char *json = test_unxz("tests/data/tokenizer/qwen-tokenizer.json.xz", &size);
    test_folder_new();
    test_folder_put("tokenizer.json", json, size);
    test_folder_put("tokenizer_config.json", config, sizeof(config) - 1);
    free(json);
    test_blob_from_folder(b);
    test_folder_remove();
}

void test_blob_gpt2(struct test_blob *b) {
    size_t size;
    char path[160], *gguf = test_unxz("tests/data/tokenizer/ggml-vocab-gpt-2.gguf.xz", &size);
    test_folder_new();
    test_folder_put("gpt-2.gguf", gguf, size);
    free(gguf);
    path_of("gpt-2.gguf", path);
    test_blob_from_gguf(b, path);
    test_folder_remove();
}

/* Text of byte b in the printable alphabet; both halves of it that the small vocabulary needs. */
static uint32_t printable(unsigned b, char *out) {
    unsigned c = b >= 0x21 && b != 0x7F ? b : b == 0x7F ? 0x121 : 0x100 + b;
    out[0] = (char)(c < 0x80 ? c : 0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3F));
    return c < 0x80 ? 1 : 2;
}

struct pk_vocab *test_small_vocab(void) {
    static struct pk_vocab v;
    static struct pk_vocab_token tokens[TEST_SMALL_TOKENS];
    static struct pk_vocab_merge merges[6];
    static char bytes[128][2];
    static char path[] = "small vocabulary";
    static const struct pk_vocab_token others[] = {
        {"he", 2, MX_TOK_NORMAL},
        {"ll", 2, MX_TOK_NORMAL},
        {"hell", 4, MX_TOK_NORMAL},
        {"el", 2, MX_TOK_NORMAL},
        {"ĠĠ", 4, MX_TOK_NORMAL},
        {"aa", 2, MX_TOK_NORMAL},
        {"<|im_start|>", 12, MX_TOK_CONTROL},
        {"<|im_end|>", 10, MX_TOK_CONTROL},
        {"<tool>", 6, MX_TOK_USER},
        {"<tool>s", 7, MX_TOK_USER},
        {"", 0, MX_TOK_UNUSED},
        {"Ã", 2, MX_TOK_NORMAL},
        {"©", 2, MX_TOK_NORMAL},
    };
    static const struct pk_vocab_merge pairs[] = {
        {"h", "e", 1, 1}, {"he", "ll", 2, 2}, {"l", "l", 1, 1}, {"e", "l", 1, 1}, {"Ġ", "Ġ", 2, 2}, {"a", "a", 1, 1},
    };
    for (uint32_t b = 0; b < 128; b++) {
        tokens[b] = (struct pk_vocab_token){bytes[b], printable(b, bytes[b]), MX_TOK_NORMAL};
    }
    tokens[TEST_SMALL_UNKNOWN] = (struct pk_vocab_token){"<unk>", 5, MX_TOK_CONTROL};
    memcpy(tokens + 128, others, sizeof(others));
    memcpy(merges, pairs, sizeof(pairs));
    v = (struct pk_vocab){
        .path = path,
        .tokens = tokens,
        .n_tokens = TEST_SMALL_TOKENS,
        .merges = merges,
        .n_merges = 6,
        .pretokenizer = MX_TOK_PRE_GPT2,
        .bos = TEST_SMALL_START,
        .unknown = TEST_SMALL_UNKNOWN,
        .eos = TEST_SMALL_END,
        .ends = {TEST_SMALL_END},
        .n_ends = 1,
    };
    return &v;
}
