/* SPDX-License-Identifier: Apache-2.0
 *
 * Recognising chat templates. There is no Jinja engine: a template counts as known when it is, character by character,
 * one of those that were published (ChatML in the two ways in which Qwen1.5, Qwen2 and SmolLM2 write it; Mistral's
 * three, DeepSeek's, Gemma's), or when it is Qwen2.5's but for its parts about tools, of which there are none here.
 * Anything else is not guessed at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/tokenizer.h"

#define LOOP "{% for message in messages %}"
#define DEFAULT_BEGIN "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
#define TURNS                                                                                                          \
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"               \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
/* Leaves a last assistant turn open: the same where the user speaks last, which is when an answer is asked for. */
#define TURNS_OPEN                                                                                                     \
    "{{'<|im_start|>' + message['role'] + '\n' + message['content']}}"                                                 \
    "{% if (loop.last and add_generation_prompt) or not loop.last %}{{ '<|im_end|>' + '\n'}}{% endif %}{% endfor %}"   \
    "{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}{{ '<|im_start|>assistant\n' }}{% endif %}"

static const struct {
    uint32_t id;
    const char *system;
} defaults[] = {
    {MX_CHAT_CHATML_QWEN2, "You are a helpful assistant."},
    {MX_CHAT_CHATML_QWEN15, "You are a helpful assistant"},
    {MX_CHAT_CHATML_QWEN25, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
    {MX_CHAT_CHATML_SMOLLM2, "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
};

/* Yi and DeepSeek begin with this, which says what is the default anyway. */
#define NO_PROMPT "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"

#define ALTERNATE                                                                                                      \
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must "       \
    "alternate user/assistant/user/assistant/...') }}{% endif %}"
#define MISTRAL(behind)                                                                                                \
    "{{ bos_token }}" LOOP ALTERNATE                                                                                   \
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"                              \
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token" behind "}}"                           \
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
/* Quotes of one kind: this one was published with both. */
#define MISTRAL_SYSTEM                                                                                                 \
    "{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content'] %}\n"              \
    "    {%- set loop_messages = messages[1:] %}\n{%- else %}\n    {%- set loop_messages = messages %}\n{%- endif "    \
    "%}\n"                                                                                                             \
    "\n{{- bos_token }}\n{%- for message in loop_messages %}\n"                                                        \
    "    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\n"                                            \
    "        {{- raise_exception('After the optional system message, conversation roles must alternate "               \
    "user/assistant/user/assistant/...') }}\n    {%- endif %}\n    {%- if message['role'] == 'user' %}\n"              \
    "        {%- if loop.first and system_message is defined %}\n"                                                     \
    "            {{- ' [INST] ' + system_message + '\n\n' + message['content'] + ' [/INST]' }}\n"                      \
    "        {%- else %}\n            {{- ' [INST] ' + message['content'] + ' [/INST]' }}\n"                           \
    "        {%- endif %}\n    {%- elif message['role'] == 'assistant' %}\n"                                           \
    "        {{- ' ' + message['content'] + eos_token}}\n    {%- else %}\n"                                            \
    "        {{- raise_exception('Only user and assistant roles are supported, with the exception of an initial "      \
    "optional system message!') }}\n    {%- endif %}\n{%- endfor %}"
#define DEEPSEEK                                                                                                       \
    "{{ bos_token }}" LOOP "{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\n\n' }}"            \
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}"                    \
    "{% elif message['role'] == 'system' %}{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}"                   \
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
#define GEMMA                                                                                                          \
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"        \
    "{% endif %}" LOOP ALTERNATE                                                                                       \
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"      \
    "{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"     \
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"

static const struct {
    uint32_t id;
    const char *text;
} whole[] = {
    {MX_CHAT_MISTRAL, MISTRAL("")},
    {MX_CHAT_MISTRAL_SPACE, MISTRAL(" + ' ' ")},
    {MX_CHAT_MISTRAL_SYSTEM, MISTRAL_SYSTEM},
    {MX_CHAT_DEEPSEEK, DEEPSEEK},
    {MX_CHAT_GEMMA, GEMMA},
};

/* The text with line ends however they are written, and without those behind it, of which Jinja drops one and, with
 * trim_blocks, one more; to be freed. */
static char *plain(const char *jinja) {
    size_t n = strlen(jinja), made = 0;
    char *out = malloc(n + 1);
    if (!out) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        bool escape = (jinja[i] == '\\' && jinja[i + 1] == 'n') || (jinja[i] == '\r' && jinja[i + 1] == '\n');
        out[made++] = escape ? '\n' : jinja[i];
        i += escape;
    }
    for (int i = 0; i < 2 && made > 0 && out[made - 1] == '\n'; i++) {
        made--;
    }
    out[made] = '\0';
    return out;
}

/* Moves *text behind `prefix` if it begins so. */
static bool skip(const char **text, const char *prefix) {
    size_t n = strlen(prefix);
    bool same = strncmp(*text, prefix, n) == 0;
    *text += same ? n : 0;
    return same;
}

/* The default system message that *text begins with, behind which it moves; MX_CHAT_NONE when there is none. */
static uint32_t skip_default(const char **text) {
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        const char *behind = *text;
        if (skip(&behind, defaults[i].system) && skip(&behind, "<|im_end|>\n' }}")) {
            *text = behind;
            return defaults[i].id;
        }
    }
    return MX_CHAT_NONE;
}

/* Qwen2.5's, which differ in what they say about tools: a first branch, and more branches for a message. */
static uint32_t recognise_tools(const char *text) {
    static const char end[] =
        "\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\n' }}\n"
        "{%- endif %}";
    const char *at = skip(&text, "{%- if tools %}\n") ? strstr(text, "\n{%- else %}\n") : NULL;
    if (!at || !skip(&at, "\n{%- else %}\n    {%- if messages[0]['role'] == 'system' %}\n        {{- "
                          "'<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}\n    {%- else %}\n"
                          "        {{- '<|im_start|>system\n")) {
        return MX_CHAT_NONE;
    }
    uint32_t id = skip_default(&at);
    bool same =
        skip(&at, "\n    {%- endif %}\n{%- endif %}\n{%- for message in messages %}\n    {%- if (message.role == "
                  "\"user\") or (message.role == \"system\" and not loop.first) or (message.role == "
                  "\"assistant\" and not message.tool_calls) %}\n        {{- '<|im_start|>' + message.role + "
                  "'\n' + message.content + '<|im_end|>' + '\n' }}");
    size_t left = strlen(at), n = sizeof(end) - 1;
    bool ends = left >= n && strcmp(at + left - n, end) == 0;
    const char *more = at;
    return same && ends && (left == n || skip(&more, "\n    {%- elif message.role == \"assistant\" %}\n"))
               ? id
               : MX_CHAT_NONE;
}

/* The same text but for quotes of the other kind. */
static bool is_same(const char *text, const char *known) {
    size_t n = strlen(known);
    bool same = strlen(text) == n;
    for (size_t i = 0; same && i < n; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): both ends are behind i */
        same = text[i] == known[i] || (text[i] == '"' && known[i] == '\'');
    }
    return same;
}

static uint32_t recognise(const char *text) {
    const char *at = text;
    skip(&at, NO_PROMPT);
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        if (is_same(at, whole[i].text)) {
            return whole[i].id;
        }
    }
    if (!skip(&at, LOOP)) {
        return recognise_tools(text);
    }
    uint32_t id = MX_CHAT_CHATML;
    if (skip(&at, DEFAULT_BEGIN)) {
        id = skip_default(&at);
        if (!skip(&at, "{% endif %}")) {
            return MX_CHAT_NONE;
        }
    }
    return strcmp(at, TURNS) == 0 || strcmp(at, TURNS_OPEN) == 0 ? id : MX_CHAT_NONE;
}

uint32_t pk_chat_template(const char *jinja) {
    char *text = jinja ? plain(jinja) : NULL;
    uint32_t id = text ? recognise(text) : MX_CHAT_NONE;
    free(text);
    return id;
}
