/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/chat.h"

#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"

/* Indexed by enum mx_chat_template; "": no default system turn. */
static const char *const default_system[] = {
    [MX_CHAT_NONE] = NULL,
    [MX_CHAT_CHATML] = "",
    [MX_CHAT_CHATML_QWEN2] = "You are a helpful assistant.",
    [MX_CHAT_CHATML_QWEN25] = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    [MX_CHAT_CHATML_SMOLLM2] = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
};

/* A role's name with the line end that follows: encoded together with the content, because a pre-token may span both.
 */
static const char *const leads[][2] = {{"system", "system\n"}, {"user", "user\n"}, {"assistant", "assistant\n"}};

struct render {
    struct mx_encoder e;
    uint32_t im_start, im_end;
};

static enum moxie_error find_marker(const struct mx_tokenizer *t, const char *text, uint32_t *id,
                                    struct moxie_failure *failure) {
    size_t n = strlen(text), found = 0;
    int32_t match = mx_special_match(t, (const uint8_t *)text, n, true);
    if (match >= 0) {
        mx_token_bytes(t, match, &found);
    }
    if (found != n || t->kinds[match] != MX_TOK_CONTROL) {
        return mx_fail(failure, MOXIE_ERROR_TOKENIZER, MX_NO_OFFSET, "the chat template needs the control token %s",
                       text);
    }
    *id = (uint32_t)match;
    return MOXIE_OK;
}

static enum moxie_error text(struct render *r, const char *lead, const char *p, size_t bytes) {
    return mx_encoder_text(&r->e, lead, p, bytes, false);
}

static enum moxie_error turn(struct render *r, const char *lead, const char *content, size_t bytes) {
    mx_encoder_put(&r->e, r->im_start);
    enum moxie_error error = text(r, lead, content, bytes);
    mx_encoder_put(&r->e, r->im_end);
    return error ? error : text(r, "\n", "", 0);
}

static enum moxie_error render(struct render *r, enum mx_chat_at at, const char *system, const char *lead,
                               const char *content, size_t bytes, bool answer) {
    enum moxie_error error = MOXIE_OK;
    if (at == MX_CHAT_AT_ANSWER) {
        mx_encoder_put(&r->e, r->im_end);
    }
    if (at == MX_CHAT_AT_ANSWER || at == MX_CHAT_AT_END) {
        error = text(r, "\n", "", 0);
    }
    if (!error && at == MX_CHAT_AT_START && system[0] && strcmp(lead, "system\n") != 0) {
        error = turn(r, "system\n", system, strlen(system));
    }
    if (!error) {
        error = turn(r, lead, content, bytes);
    }
    if (!error && answer) {
        mx_encoder_put(&r->e, r->im_start);
        error = text(r, "assistant\n", "", 0);
    }
    return error;
}

enum moxie_error mx_chat_turn(const struct mx_tokenizer *t, uint32_t template, enum mx_chat_at at, const char *role,
                              const char *content, size_t bytes, bool answer, void *scratch, size_t scratch_bytes,
                              int32_t *ids, size_t max, size_t *count, struct moxie_failure *failure) {
    if (!role || (!content && bytes > 0) || !count || at > MX_CHAT_AT_ANSWER) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "chat: role, content or count missing");
    }
    *count = 0;
    if (template == MX_CHAT_NONE || template >= sizeof default_system / sizeof default_system[0]) {
        return mx_fail(failure, MOXIE_ERROR_TEXT, MX_NO_OFFSET,
                       "this model has no chat template (a base model?): let it continue a text instead");
    }
    const char *lead = NULL;
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        lead = strcmp(role, leads[i][0]) == 0 ? leads[i][1] : lead;
    }
    if (!lead) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET,
                       "chat: role \"%s\" is not system, user or assistant", role);
    }
    struct render r;
    enum moxie_error error = mx_encoder_init(&r.e, t, scratch, scratch_bytes, ids, max, failure);
    error = error ? error : find_marker(t, "<|im_start|>", &r.im_start, failure);
    error = error ? error : find_marker(t, "<|im_end|>", &r.im_end, failure);
    if (error) {
        return error;
    }
    r.e.strict = true;
    error = render(&r, at, default_system[template], lead, content ? content : "", bytes, answer);
    return error ? error : mx_encoder_finish(&r.e, count);
}
