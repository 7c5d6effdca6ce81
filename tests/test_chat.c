/* SPDX-License-Identifier: Apache-2.0
 *
 * What chat turns and Jinja texts are refused; tests/test_chat_reference.c has those that are not. */
#include <string.h>

#include "runtime/chat.h"
#include "tests/check.h"
#include "tests/tokenizer_files.h"

#define MAX_IDS 1024

static uint64_t scratch[8192];

/* SmolLM2's vocabulary names a control token as the unknown one; 21 bytes have no token in it. */
static void unknown_bytes_are_not_let_in(void **state) {
    (void)state;
    struct test_blob b;
    int32_t ids[MAX_IDS];
    size_t n;
    struct moxie_failure f;
    test_blob_from_vocab(&b, test_small_vocab());
    check_error(mx_chat_turn(&b.t, MX_CHAT_CHATML, MX_CHAT_AT_START, "user", "a\a", 2, true, scratch, sizeof(scratch),
                             ids, MAX_IDS, &n, &f),
                MOXIE_ERROR_TEXT);
    assert_int_equal(f.offset, 1);
    test_blob_free(&b);
}

static enum moxie_error turn(const struct mx_tokenizer *t, uint32_t template, const char *role, const char *content,
                             size_t max, size_t *n, struct moxie_failure *f) {
    int32_t ids[MAX_IDS];
    return mx_chat_turn(t, template, MX_CHAT_AT_START, role, content, strlen(content), true, scratch, sizeof(scratch),
                        ids, max, n, f);
}

static void errors(void **state) {
    (void)state;
    struct test_blob b;
    struct moxie_failure f;
    size_t n;
    struct pk_vocab *v = test_small_vocab();
    test_blob_from_vocab(&b, v);
    check_error(turn(&b.t, MX_CHAT_NONE, "user", "a", MAX_IDS, &n, &f), MOXIE_ERROR_TEXT);
    assert_non_null(strstr(f.what, "no chat template"));
    check_error(turn(&b.t, MX_CHAT_LAST + 1, "user", "a", MAX_IDS, &n, &f), MOXIE_ERROR_TEXT);
    check_error(turn(&b.t, MX_CHAT_CHATML, "tool", "a", MAX_IDS, &n, &f), MOXIE_ERROR_ARGUMENT);
    check_error(turn(&b.t, MX_CHAT_CHATML, "user", "ab\xFF", MAX_IDS, &n, &f), MOXIE_ERROR_TEXT);
    assert_int_equal(f.offset, 2);
    check_error(turn(&b.t, MX_CHAT_CHATML, "user", "Hello!", 3, &n, &f), MOXIE_ERROR_BUFFER_SMALL);
    assert_int_equal(n, 24); /* byte for byte but for "ll" */
    test_blob_free(&b);
    v = test_small_vocab();
    v->tokens[TEST_SMALL_START].text = "<|im_begin|>";
    test_blob_from_vocab(&b, v);
    check_error(turn(&b.t, MX_CHAT_CHATML, "user", "a", MAX_IDS, &n, &f), MOXIE_ERROR_TOKENIZER);
    test_blob_free(&b);
}

#define LOOP "{% for message in messages %}"
#define TURNS                                                                                                          \
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"             \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
#define SYSTEM(text)                                                                                                   \
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n" text "<|im_end|>\n' }}{% endif " \
    "%}"

/* Qwen2.5's, its parts about tools left out but for one. */
#define QWEN "Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define QWEN25(name, before, branch)                                                                                   \
    "{%- if tools %}\n    {{- 'tools' }}\n{%- else %}\n    {%- if messages[0]['role'] == 'system' %}\n"                \
    "        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n    {%- else %}\n"             \
    "        {{- '<|im_start|>system\\nYou are " name "<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n" before     \
    "{%- for message in messages %}\n    {%- if (message.role == \"user\") or (message.role == \"system\" and not "    \
    "loop.first) or (message.role == \"assistant\" and not message.tool_calls) %}\n        {{- '<|im_start|>' + "      \
    "message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n" branch                                        \
    "    {%- elif message.role == \"assistant\" %}\n        {{- 'tools' }}\n    {%- endif %}\n{%- endfor %}\n"         \
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"

/* Templates that are almost one of those that tests/test_chat_reference.c shows to be known. */
static void unknown_templates(void **state) {
    (void)state;
    static const char *const cases[] = {
        NULL,
        "",
        LOOP SYSTEM("You are somebody else.") TURNS,
        LOOP SYSTEM("You are a helpful assistant.") TURNS "{{ 'more' }}",
        LOOP SYSTEM("You are a helpful assistant.") TURNS "\n\n\n", /* renders a line end */
        LOOP SYSTEM("You are a helpful assistant.") TURNS " ",
        " " LOOP TURNS,
        "{{ bos_token }}" LOOP TURNS,
        LOOP SYSTEM("You are a helpful assistant.") LOOP TURNS,
        QWEN25("somebody else", "", ""),
        QWEN25(QWEN, "{{- 'more' }}", ""),
        QWEN25(QWEN, "", "    {%- elif message.role == \"system\" %}\n"),
        QWEN25(QWEN, "", "") "{{- 'more' }}",
        "{{- 'more' }}" QWEN25(QWEN, "", ""),
        "{% for message in messages %}[INST]{{ message['content'] }}[/INST]{% endfor %}",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(pk_chat_template(cases[i]), MX_CHAT_NONE);
    }
    assert_int_equal(pk_chat_template(LOOP TURNS "\n\n"), MX_CHAT_CHATML);
    assert_int_equal(pk_chat_template(QWEN25(QWEN, "", "")), MX_CHAT_CHATML_QWEN25);
    assert_int_equal(pk_chat_template(QWEN25("a helpful assistant.", "", "")), MX_CHAT_CHATML_QWEN2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_bytes_are_not_let_in),
        cmocka_unit_test(errors),
        cmocka_unit_test(unknown_templates),
    };
    return check_run(tests);
}
