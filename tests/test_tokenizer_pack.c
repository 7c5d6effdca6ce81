/* SPDX-License-Identifier: Apache-2.0
 *
 * Vocabulary files of all forms give the same bytes; files with rules that the runtime does not have, or that
 * contradict themselves, are refused by name. */
#define _GNU_SOURCE // memmem
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/gguf.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

#define VOCAB "{\"a\": 0, \"b\": 1, \"ab\": 2, \"Ġ\": 3, \"Ġab\": 4, \"!\": 6}"
#define MERGES_NEW "[[\"a\", \"b\"], [\"Ġ\", \"ab\"]]"
#define MERGES_OLD "[\"a b\", \"Ġ ab\"]"
#define ADDED                                                                                                          \
    "[{\"id\": 5, \"content\": \"<|im_end|>\", \"special\": true}, {\"id\": 7, \"content\": \"<t>\", \"special\": "    \
    "false}]"
#define GPT2 "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}"
#define QWEN2                                                                                                          \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": "                     \
    "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "                                \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}, \"behavior\": "            \
    "\"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}"
#define SMOLLM                                                                                                         \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, " GPT2 "]}"
#define BYTE_LEVEL "{\"type\": \"ByteLevel\"}"

/* The parts of a tokenizer.json; NULL: what a good one has. */
struct file {
    const char *vocab, *merges, *added, *normalizer, *pre, *post, *decoder, *model;
};

static const char * or (const char *part, const char *other) {
    return part ? part : other;
}

static void put_json(struct file f) {
    static char json[4096];
    int n = snprintf(
        json, sizeof(json),
        "{\"version\": \"1.0\", \"added_tokens\": %s, \"normalizer\": %s, \"pre_tokenizer\": %s, "
        "\"post_processor\": %s, \"decoder\": %s, \"model\": {\"type\": \"BPE\", %s \"vocab\": %s, \"merges\": "
        "%s}}",
        or (f.added, ADDED), or (f.normalizer, "null"), or (f.pre, GPT2), or (f.post, "null"),
        or (f.decoder, BYTE_LEVEL), or (f.model, ""), or (f.vocab, VOCAB), or (f.merges, MERGES_NEW));
    assert_in_range(n, 1, sizeof(json) - 1);
    test_folder_put("tokenizer.json", json, (size_t)n);
}

static void put_text(const char *name, const char *text) {
    test_folder_put(name, text, strlen(text));
}

static void load(struct test_blob *b, struct file f) {
    test_folder_new();
    put_json(f);
    test_blob_from_folder(b);
    test_folder_remove();
}

static void expect_same(struct test_blob *a, struct test_blob *b) {
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->bytes, b->bytes, a->size);
    test_blob_free(b);
}

static void every_form_gives_the_same_bytes(void **state) {
    (void)state;
    struct test_blob a, b;
    load(&a, (struct file){.pre = QWEN2, .normalizer = "{\"type\": \"NFC\"}"});
    assert_int_equal(a.t.header->tokens, 8);
    assert_int_equal(a.t.kinds[5], MX_TOK_CONTROL);
    assert_int_equal(a.t.kinds[7], MX_TOK_USER);
    assert_int_equal(a.t.byte_tokens[' '], 3);
    assert_int_equal(a.t.byte_tokens['z'], MX_TOK_NONE);
    assert_int_equal(a.t.header->eos, MX_TOK_NONE);
    load(&b, (struct file){.pre = QWEN2, .normalizer = "{\"type\": \"NFC\"}", .merges = MERGES_OLD});
    expect_same(&a, &b);
    /* another order of the same vocabulary */
    load(&b, (struct file){.pre = QWEN2,
                           .normalizer = "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}]}",
                           .vocab = "{\"!\": 6, \"Ġab\": 4, \"a\": 0, \"ab\": 2, \"Ġ\": 3, \"b\": 1}"});
    expect_same(&a, &b);
    test_folder_new();
    put_text("vocab.json", VOCAB);
    put_text("merges.txt", "#version: 0.2\na b\r\n\nĠ ab");
    put_text(
        "tokenizer_config.json",
        "{\"tokenizer_class\": \"Qwen2Tokenizer\", \"added_tokens_decoder\": {\"5\": {\"content\": \"<|im_end|>\", "
        "\"special\": true}, \"7\": {\"content\": \"<t>\", \"special\": false}}}");
    test_blob_from_folder(&b);
    test_folder_remove();
    expect_same(&a, &b);
    test_folder_new();
    put_text("vocab.json", VOCAB);
    put_text("merges.txt", "a b\nĠ ab\n");
    put_text("tokenizer_config.json",
             "{\"tokenizer_class\": \"Qwen2TokenizerFast\", \"additional_special_tokens\": [\"<|im_end|>\"]}");
    put_text("added_tokens.json", "{\"<t>\": 7, \"<|im_end|>\": 5}");
    test_blob_from_folder(&b);
    test_folder_remove();
    expect_same(&a, &b);
    test_blob_free(&a);
}

static void rules_of_each_family(void **state) {
    (void)state;
    struct test_blob b;
    load(&b, (struct file){0});
    assert_int_equal(b.t.header->pretokenizer, MX_TOK_PRE_GPT2);
    assert_int_equal(b.t.header->normalizer, MX_TOK_NORMAL_NONE);
    assert_int_equal(b.t.header->flags, 0);
    test_blob_free(&b);
    load(&b, (struct file){.pre = SMOLLM, .model = "\"ignore_merges\": true, \"unk_token\": \"!\","});
    assert_int_equal(b.t.header->pretokenizer, MX_TOK_PRE_SMOLLM);
    assert_int_equal(b.t.header->flags, MX_TOK_IGNORE_MERGES);
    assert_int_equal(b.t.header->unknown, 6);
    test_blob_free(&b);
    load(&b,
         (struct file){.post = "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\"}}, "
                               "{\"Sequence\": {\"id\": \"A\"}}], \"special_tokens\": {\"x\": {\"ids\": [5]}}}"});
    assert_int_equal(b.t.header->flags, MX_TOK_ADD_BOS);
    assert_int_equal(b.t.header->bos, 5);
    test_blob_free(&b);
    /* a GPT-2 folder as it was first published */
    test_folder_new();
    put_text("vocab.json", "{\"a\": 0, \"b\": 1, \"ab\": 2, \"<|endoftext|>\": 3}");
    put_text("merges.txt", "#version: 0.2\na b\n");
    put_text("tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\"}");
    put_text("special_tokens_map.json",
             "{\"bos_token\": {\"content\": \"<|endoftext|>\"}, \"eos_token\": \"<|endoftext|>\"}");
    test_blob_from_folder(&b);
    test_folder_remove();
    assert_int_equal(b.t.kinds[3], MX_TOK_CONTROL);
    assert_int_equal(b.t.header->eos, 3);
    assert_int_equal(b.t.header->bos, 3);
    test_blob_free(&b);
}

static void expect_refused(const char *words) {
    struct pk_error e = {0};
    struct pk_vocab v = {0};
    void *blob = NULL;
    size_t bytes;
    bool ok = pk_tokenizer_from_hf(test_folder_name(), &v, &e) && pk_tokenizer_compile(&v, &blob, &bytes, &e);
    pk_vocab_free(&v);
    free(blob);
    test_folder_remove();
    if (ok || !strstr(e.text, words) || e.code == MOXIE_OK) {
        fail_msg("expected \"%s\", got \"%s\"", words, ok ? "success" : e.text);
    }
}

static void refuse(struct file f, const char *words) {
    test_folder_new();
    put_json(f);
    expect_refused(words);
}

static void unknown_rules_are_refused_by_name(void **state) {
    (void)state;
    refuse((struct file){.normalizer = "{\"type\": \"NFKC\"}"}, "NFKC");
    refuse((struct file){.normalizer =
                             "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Strip\"}]}"},
           "normalizer");
    refuse((struct file){.pre = "{\"type\": \"Metaspace\"}"}, "Metaspace");
    refuse((struct file){.pre = "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}"}, "pre_tokenizer");
    refuse((struct file){.pre = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}"},
           "pre_tokenizer");
    refuse((struct file){.pre = "null"}, "pre_tokenizer");
    refuse((struct file){.post = "{\"type\": \"BertProcessing\"}"}, "BertProcessing");
    refuse((struct file){.post =
                             "{\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {}}, {\"SpecialToken\": "
                             "{\"id\": \"x\"}}]}"},
           "post_processor");
    refuse((struct file){.decoder = "{\"type\": \"Metaspace\"}"}, "decoder");
    refuse((struct file){.decoder = "null"}, "decoder");
    refuse((struct file){.model = "\"byte_fallback\": true,"}, "decoder");
    refuse((struct file){.model = "\"end_of_word_suffix\": \"</w>\","}, "end_of_word_suffix");
    refuse((struct file){.model = "\"dropout\": 0.5,"}, "dropout");
    refuse((struct file){.model = "\"unk_token\": \"!\", \"fuse_unk\": true,"},
           "fuse_unk is not supported where only 4 ");
    refuse((struct file){.model = "\"byte_fallback\": true,",
                         .vocab = "{\"a\": 0, \"<0x41>\": 1}",
                         .merges = "[]",
                         .pre = "null",
                         .normalizer = "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"▁\"}",
                         .decoder =
                             "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": "
                             "{\"String\": \"▁\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": "
                             "\"Fuse\"}]}"},
           "byte_fallback is not supported where only 1 ");
    refuse((struct file){.added = "{\"<x>\": 5}"}, "\"added_tokens\": expected an array");
    refuse((struct file){.added = "[{\"id\": 5, \"content\": \"<x>\", \"lstrip\": true}]"}, "lstrip");
    refuse((struct file){.added = "[{\"id\": 5, \"content\": \"<x>\", \"normalized\": true}]",
                         .normalizer = "{\"type\": \"NFC\"}"},
           "normalized");
    test_folder_new();
    put_json((struct file){.pre = QWEN2});
    put_text("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2TokenizerFast\", \"add_prefix_space\": true}");
    expect_refused("add_prefix_space");
    test_folder_new();
    put_json((struct file){.pre = QWEN2});
    put_text("tokenizer_config.json", "{\"added_tokens_decoder\": []}");
    expect_refused("\"added_tokens_decoder\": expected an object");
}

static void contradictions_are_refused(void **state) {
    (void)state;
    refuse((struct file){.merges = "[[\"a\", \"z\"]]"}, "merge 0");
    refuse((struct file){.merges = "[[\"b\", \"a\"]]"}, "merge 0"); /* the result is no token */
    refuse((struct file){.merges = "[\"a b\", \"a b\"]"}, "same pair");
    refuse((struct file){.merges = "[\"ab\"]"}, "is not two words");
    refuse((struct file){.merges = "[\"a b c\"]"}, "is not two words");
    refuse((struct file){.merges = "[5]"}, "merge 0");
    refuse((struct file){.merges = "{}"}, "not an array");
    refuse((struct file){.vocab = "{\"a\": 0, \"b\": 0}"}, "token 0");
    refuse((struct file){.vocab = "{\"a\": -1}"}, "token id -1");
    refuse((struct file){.vocab = "{\"a\": 99999999999}"}, "token id 99999999999");
    refuse((struct file){.vocab = "{\"a\": 1.5}"}, "not an integer");
    refuse((struct file){.vocab = "[]"}, "not an object");
    refuse((struct file){.vocab = "{\"a b\": 0}"}, "alphabet of bytes"); /* a plain space is not in it */
    refuse((struct file){.vocab = "{\"你\": 0}"}, "alphabet of bytes");
    refuse((struct file){.added = "[{\"id\": 0, \"content\": \"<x>\"}]"}, "token 0 is both");
    refuse((struct file){.added = "[{\"id\": 9, \"content\": \"x\"}, {\"id\": 8, \"content\": \"x\"}]"},
           "are the same");
    refuse((struct file){.added = "[{\"id\": 9, \"content\": \"\"}]"}, "special token 9");
    refuse((struct file){.added = "[{\"content\": \"x\"}]"}, "no id");
    refuse((struct file){.added = "[{\"id\": 9}]"}, "no content");
    test_folder_new();
    put_text("tokenizer.json", "{\"model\": ");
    expect_refused("tokenizer.json");
    test_folder_new();
    put_text("vocab.json", VOCAB);
    put_text("merges.txt", "a b\n");
    expect_refused("tokenizer_class");
    test_folder_new();
    put_text("vocab.json", VOCAB);
    put_text("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2Tokenizer\"}");
    expect_refused("merges.txt");
}

/* User tokens are cut out before merging, and text must never become a control token. */
static void merges_of_special_tokens_are_left_out(void **state) {
    (void)state;
    struct test_blob b;
    load(&b, (struct file){.added = "[{\"id\": 2, \"content\": \"ab\", \"special\": true}]"});
    assert_int_equal(b.t.header->merges, 0);
    test_blob_free(&b);
    load(&b, (struct file){.added = "[{\"id\": 4, \"content\": \" ab\", \"special\": false}]",
                           .vocab = "{\"a\": 0, \"b\": 1, \"ab\": 2, \"Ġ\": 3}"});
    assert_int_equal(b.t.header->merges, 1);
    test_blob_free(&b);
}

struct part {
    const char *bytes;
    size_t n;
};
#define PART(text)                                                                                                     \
    { text, sizeof(text) - 1 }

static size_t put_part(char *out, char tag, struct part part) {
    out[0] = tag;
    out[1] = (char)part.n;
    memcpy(out + 2, part.bytes, part.n);
    return 2 + part.n;
}

/* tokenizer.model with the byte pieces and these TrainerSpec and NormalizerSpec (protobuf, at most 127 bytes each). */
static void put_model(struct part trainer, struct part normalizer) {
    static char model[16 * 256];
    size_t n = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        char piece[16];
        int length = snprintf(piece, sizeof(piece), "\x0A\x06<0x%02X>\x18\x06", byte);
        n += put_part(model + n, 0x0A, (struct part){piece, (size_t)length});
    }
    n += put_part(model + n, 0x12, trainer);
    n += put_part(model + n, 0x1A, normalizer);
    test_folder_new();
    test_folder_put("tokenizer.model", model, n);
}

static void sentencepiece_rules_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        struct part trainer, normalizer;
        const char *words;
    } cases[] = {
        {PART("\x18\x01"), PART("\x20\x00"), "model_type 1 (unigram)"},
        {PART("\x18\x63"), PART("\x20\x00"), "model_type 99 (?)"},
        {PART("\x0A\x00"), PART("\x20\x00"), "model_type 1 (unigram)"}, /* the default */
        {PART("\x18\x02"), PART("\x0A\x08nmt_nfkc\x12\x01x\x20\x00"), "normaliser \"nmt_nfkc\""},
        {PART("\x18\x02"), PART("\x0A\x08identity"), "remove_extra_whitespaces"}, /* the default */
        {PART("\x18\x02"), PART("\x20\x00\x28\x00"), "not escaped"},
        {PART("\x18\x02\xC0\x01\x01"), PART("\x20\x00"), "treat_whitespace_as_suffix"},
    };
    struct test_blob b;
    put_model((struct part)PART("\x18\x02"), (struct part)PART("\x0A\x08identity\x20\x00"));
    test_blob_from_folder(&b);
    test_folder_remove();
    assert_int_equal(b.t.header->tokens, 256);
    test_blob_free(&b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_model(cases[i].trainer, cases[i].normalizer);
        expect_refused(cases[i].words);
    }
}

static void no_tokenizer_is_not_an_error(void **state) {
    (void)state;
    struct pk_error e = {0};
    struct pk_vocab v = {0};
    const char *folder = test_folder_new();
    assert_true(pk_tokenizer_from_hf(folder, &v, &e));
    assert_int_equal(v.n_tokens, 0);
    pk_vocab_free(&v);
    test_folder_remove();
}

/* GPT-2's GGUF with one byte behind a key changed. */
static void refuse_gguf(const char *key, size_t skip, char byte, const char *words) {
    struct pk_error e = {0};
    struct pk_vocab v = {0};
    struct pk_file file;
    struct pk_gguf g;
    size_t size;
    char *gguf = test_unxz("tests/data/tokenizer/ggml-vocab-gpt-2.gguf.xz", &size), path[128];
    char *at = memmem(gguf, size, key, strlen(key));
    assert_non_null(at);
    at[strlen(key) + skip] = byte;
    snprintf(path, sizeof(path), "%s/x.gguf", test_folder_new());
    test_folder_put("x.gguf", gguf, size);
    free(gguf);
    assert_true(pk_file_open(&file, path, &e) && pk_gguf_read(&g, &file, &e));
    if (pk_tokenizer_from_gguf(&g, path, &v, &e) || !strstr(e.text, words)) {
        fail_msg("expected \"%s\", got \"%s\"", words, e.text);
    }
    pk_vocab_free(&v);
    pk_gguf_free(&g);
    pk_file_close(&file);
    test_folder_remove();
}

static void gguf_files_are_refused(void **state) {
    (void)state;
    refuse_gguf("tokenizer.ggml.model", 4 + 8, 'b', "\"bpt2\""); /* u32 type, u64 length, text */
    refuse_gguf("tokenizer.ggml.pre", 4 + 8, 'b', "\"bpt-2\"");
    refuse_gguf("tokenizer.ggml.token_type", 4 + 4 + 8, 6, "token_type"); /* type, element type, count, first element */
    refuse_gguf("tokenizer.ggml.token_type", 4 + 4 + 8, 77, "token_type");
    refuse_gguf("tokenizer.ggml.eos_token_id", 4 + 2, 5, "eos_token_id");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_gives_the_same_bytes),
        cmocka_unit_test(rules_of_each_family),
        cmocka_unit_test(unknown_rules_are_refused_by_name),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(no_tokenizer_is_not_an_error),
        cmocka_unit_test(gguf_files_are_refused),
        cmocka_unit_test(merges_of_special_tokens_are_left_out),
        cmocka_unit_test(sentencepiece_rules_are_refused_by_name),
    };
    return check_run(tests);
}
