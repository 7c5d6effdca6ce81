/* SPDX-License-Identifier: Apache-2.0
 *
 * Public vectors of llama.cpp (tests/data/tokenizer) for the vocabularies of GPT-2 and Qwen2, from their own files.
 *
 * With arguments this program is the other half of tests/tokenizer_fuzz.py:
 *     test_tokenizer_vectors FOLDER|FILE.gguf PLAIN|SPECIALS|DECODE < records > answers
 * A record is a u32 length and that many bytes; the answer a u32 count and the ids (u32), or a count of FFFFFFFF for an
 * error. With DECODE a record holds ids, and the answer is a u32 length and the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/detokenize.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

#define SCRATCH_WORD (1u << 20)
#define CASES 46
#define LLAMA_SPM "../shared/vectors/tokenizer/ggml-vocab-llama-spm.gguf"
#define SEPARATOR "\n__ggml_vocab_test__\n"

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *bytes = malloc(1 << 16);
    *size = fread(bytes, 1, (1 << 16) - 1, f);
    bytes[*size] = '\0';
    fclose(f);
    return bytes;
}

/* Text that the ids decode to, through the incremental detokeniser. */
static size_t decode(const struct mx_tokenizer *t, const int32_t *ids, size_t n, char *out, size_t max) {
    struct mx_detok d = {0};
    struct moxie_failure f;
    size_t at = 0, made;
    for (size_t i = 0; i <= n; i++) {
        check_ok(mx_detok_push(&d, t, i < n ? ids[i] : -1, out + at, max - at, &made, &f), f);
        at += made;
    }
    return at;
}

/* Every input, which the separator ends, gives its line of ids, and the ids give the input back. */
static void run_vectors(const struct mx_tokenizer *t, const char *expected_path) {
    size_t inputs_size, expected_size, scratch_size = mx_encode_scratch(4096);
    char *inputs = read_file("tests/data/tokenizer/vectors.inp", &inputs_size);
    char *expected = read_file(expected_path, &expected_size), *line = expected, *input = inputs;
    void *scratch = malloc(scratch_size);
    unsigned cases = 0;
    for (char *end; (end = strstr(input, SEPARATOR)) != NULL; input = end + strlen(SEPARATOR)) {
        char text[4096];
        size_t bytes = (size_t)(end - input), n;
        int32_t ids[1024];
        struct moxie_failure f;
        check_ok(mx_encode(t, input, bytes, 0, scratch, scratch_size, ids, 1024, &n, &f), f);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(ids[i], strtol(line, &line, 10));
        }
        assert_int_equal(line[strspn(line, " ")], '\n');
        line += strspn(line, " ") + 1;
        assert_int_equal(decode(t, ids, n, text, sizeof(text)), bytes);
        assert_memory_equal(text, input, bytes);
        cases++;
    }
    assert_int_equal(cases, CASES);
    free(scratch);
    free(expected);
    free(inputs);
}

static void gpt2(void **state) {
    (void)state;
    struct test_blob b;
    test_blob_gpt2(&b);
    assert_int_equal(b.t.header->tokens, 50257);
    assert_int_equal(b.t.header->eos, 50256);
    run_vectors(&b.t, "tests/data/tokenizer/gpt-2.out");
    test_blob_free(&b);
}

static void qwen2(void **state) {
    (void)state;
    struct test_blob b;
    test_blob_qwen(&b);
    assert_int_equal(b.t.header->merges, 151387);
    assert_int_equal(b.t.header->eos, 151645);
    run_vectors(&b.t, "tests/data/tokenizer/qwen2.out");
    test_blob_free(&b);
}

/* Llama's vocabulary is not ours to hand on: it is tested where it lies beside the repository. */
static void llama_spm(void **state) {
    (void)state;
    struct test_blob b;
    if (access(LLAMA_SPM, R_OK) != 0) {
        print_message(LLAMA_SPM " is not there\n");
        skip();
    }
    test_blob_from_gguf(&b, LLAMA_SPM);
    assert_int_equal(b.t.header->tokens, 32000);
    run_vectors(&b.t, LLAMA_SPM ".out");
    test_blob_free(&b);
}

static int answer(const char *source, const char *mode) {
    bool specials = strcmp(mode, "SPECIALS") == 0, decodes = strcmp(mode, "DECODE") == 0;
    struct test_blob b;
    struct moxie_failure f;
    struct pk_error e = {0};
    size_t length = strlen(source), scratch_size = mx_encode_scratch(SCRATCH_WORD);
    if (length > 5 && strcmp(source + length - 5, ".gguf") == 0) {
        test_blob_from_gguf(&b, source);
    } else {
        struct pk_vocab v = {0};
        if (!pk_tokenizer_from_hf(source, &v, &e)) {
            fprintf(stderr, "%s\n", e.text);
            return 1;
        }
        test_blob_from_vocab(&b, &v);
        pk_vocab_free(&v);
    }
    char *text = malloc(SCRATCH_WORD);
    int32_t *ids = malloc(SCRATCH_WORD * sizeof(*ids));
    void *scratch = malloc(scratch_size);
    uint32_t bytes;
    while (fread(&bytes, sizeof(bytes), 1, stdin) == 1 && bytes <= SCRATCH_WORD &&
           fread(text, 1, bytes, stdin) == bytes) {
        size_t n = 0;
        if (decodes) {
            uint32_t made;
            memcpy(ids, text, bytes);
            made = (uint32_t)decode(&b.t, ids, bytes / sizeof(*ids), text, SCRATCH_WORD);
            fwrite(&made, sizeof(made), 1, stdout);
            fwrite(text, 1, made, stdout);
            continue;
        }
        enum moxie_error error = mx_encode(&b.t, text, bytes, specials ? MX_ENCODE_SPECIALS : 0, scratch, scratch_size,
                                           ids, SCRATCH_WORD, &n, &f);
        uint32_t count = error ? UINT32_MAX : (uint32_t)n;
        fwrite(&count, sizeof(count), 1, stdout);
        fwrite(ids, sizeof(*ids), error ? 0 : n, stdout);
    }
    free(scratch);
    free(ids);
    free(text);
    test_blob_free(&b);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3) {
        return answer(argv[1], argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(llama_spm),
    };
    return check_run(tests);
}
