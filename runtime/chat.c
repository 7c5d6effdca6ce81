/* SPDX-License-Identifier: Apache-2.0
 *
 * Two kinds of templates. Those of marked turns have a pair of control tokens around each:
 *
 *     <|im_start|>ROLE\nCONTENT<|im_end|>\n            and the assistant's is opened by <|im_start|>assistant\n
 *
 * Those of plain turns have text around the contents, and the end token behind answers alone:
 *
 *     <s>[INST] QUESTION [/INST]ANSWER</s>             <s>User: QUESTION\n\nAssistant: ANSWER</s>
 *
 * Text between two ids is encoded as a whole. Where turns meet without an id between them, they meet at a line end or
 * before a space, which no token of these models spans; but for answers in the first two of Mistral's, which follow
 * " [/INST]" at once: there a given answer is encoded by itself, as a written one is. The space that stands behind an
 * answer's end in one of them comes with the next question. */
#include "runtime/chat.h"

#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

struct marked {
    const char *open, *close; /* control tokens */
    const char *system;       /* the default system message; NULL: there are no system turns, "": none by default */
    const char *assistant;    /* the assistant's name with the line end that follows */
    bool bos;                 /* a conversation starts with bos */
    bool alternates;          /* question, answer, question, … */
    bool trim;                /* white space around contents is dropped */
};

/* What stands before and behind a content; behind it, also with the opening of an answer. */
struct plain {
    const char
        *system[3];      /* before, behind, behind with an opening; NULL: there is no such turn, or no opening there */
    const char *user[3]; /* before: the first, one behind a system turn, others */
    const char *behind[2]; /* a user's content */
    const char *answer[2]; /* before an answer: one to be written, one that is there */
    bool alternates;       /* question, answer, question, …, and a system turn only before them */
};

#define CHATML(text)                                                                                                   \
    { "<|im_start|>", "<|im_end|>", text, "assistant\n", false, false, false }

/* Indexed by enum mx_chat_template. */
static const struct marked marked[MX_CHAT_LAST + 1] = {
    [MX_CHAT_CHATML] = CHATML(""),
    [MX_CHAT_CHATML_QWEN2] = CHATML("You are a helpful assistant."),
    [MX_CHAT_CHATML_QWEN25] = CHATML("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    [MX_CHAT_CHATML_SMOLLM2] = CHATML("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    [MX_CHAT_CHATML_QWEN15] = CHATML("You are a helpful assistant"),
    [MX_CHAT_GEMMA] = {"<start_of_turn>", "<end_of_turn>", NULL, "model\n", true, true, true},
};

#define INST "[INST] "
#define INST_END " [/INST]"

static const struct plain plain[MX_CHAT_LAST + 1] = {
    [MX_CHAT_MISTRAL] = {{NULL}, {INST, INST, INST}, {INST_END, INST_END}, {"", ""}, true},
    [MX_CHAT_MISTRAL_SPACE] = {{NULL}, {INST, INST, " " INST}, {INST_END, INST_END}, {"", ""}, true},
    [MX_CHAT_MISTRAL_SYSTEM] =
        {{" " INST, "\n\n", NULL}, {" " INST, "", " " INST}, {INST_END, INST_END}, {"", " "}, true},
    [MX_CHAT_DEEPSEEK] = {{"", "\n\n", "\n\nAssistant:"},
                          {"User: ", "User: ", "User: "},
                          {"\n\n", "\n\nAssistant:"},
                          {"Assistant:", "Assistant: "},
                          false},
};

enum role { SYSTEM, USER, ASSISTANT, ROLES };

/* A message to be rendered. */
struct turn {
    struct mx_encoder e;
    enum mx_chat_at at;
    enum role role;
    const char *content;
    size_t bytes;
    bool answer;
};

static enum moxie_error text(struct turn *t, const char *lead, const char *p, size_t bytes, const char *tail) {
    return mx_encoder_text(&t->e, lead, p, bytes, tail, false);
}

static enum moxie_error no_place(const struct turn *t, const char *what) {
    return mx_fail(t->e.failure, MOXIE_ERROR_TEXT, MX_NO_OFFSET, "this model's chat template has no place for %s",
                   what);
}

/* Whether there is a place for the turn in a template with or without system turns. (Gemma's text looks only for users'
 * places, so that it takes a system message for an answer; here it has none.) */
static enum moxie_error check_place(const struct turn *t, bool system, bool alternates) {
    bool odd = alternates &&
               ((t->role == SYSTEM && t->at != MX_CHAT_AT_START) || (t->role == USER && t->at == MX_CHAT_AT_QUESTION) ||
                (t->role == ASSISTANT && t->at != MX_CHAT_AT_QUESTION));
    if (t->role == SYSTEM && (!system || odd)) {
        return no_place(t, system ? "a system message but before the first question" : "a system message");
    }
    if (odd) {
        return no_place(t, t->role == USER ? "a question behind a question" : "an answer that follows no question");
    }
    return alternates && t->role == SYSTEM && t->answer ? no_place(t, "an answer that follows no question") : MOXIE_OK;
}

/* The control token of this name, -1 without one. */
static int32_t control_token(const struct mx_tokenizer *t, const char *name) {
    size_t n = strlen(name), found = 0;
    int32_t id = mx_special_match(t, (const uint8_t *)name, n, MX_KIND_CONTROL);
    mx_token_bytes(t, id, &found);
    return found == n ? id : -1;
}

static enum moxie_error find_marker(const struct turn *t, const char *name, uint32_t *id) {
    int32_t found = control_token(t->e.t, name);
    if (found < 0) {
        return mx_fail(t->e.failure, MOXIE_ERROR_TOKENIZER, MX_NO_OFFSET,
                       "the chat template needs the control token %s", name);
    }
    *id = (uint32_t)found;
    return MOXIE_OK;
}

/* bos or eos, which the tokenizer must have. */
static enum moxie_error put_edge(struct turn *t, uint32_t id, const char *what) {
    if (id == MX_TOK_NONE) {
        return mx_fail(t->e.failure, MOXIE_ERROR_TOKENIZER, MX_NO_OFFSET,
                       "the chat template needs a token that %s a text, and the tokenizer names none", what);
    }
    mx_encoder_special(&t->e, id);
    return MOXIE_OK;
}

/* What Python's str.strip() drops. */
static bool is_blank(int32_t c) {
    return (c >= 0x1C && c <= 0x1F) || mx_class_of(c) == MX_SPACE;
}

/* Drops white space around the content, which is checked to be UTF-8 first. */
static void trim(struct turn *t) {
    const uint8_t *p = (const uint8_t *)t->content;
    size_t length, end = 0, begin = 0;
    if (mx_utf8_valid(p, t->bytes) != t->bytes) {
        return; /* encoding will say where */
    }
    while (begin < t->bytes && is_blank(mx_utf8_decode(p + begin, &length))) {
        begin += length;
    }
    for (size_t at = begin; at < t->bytes; at += length) {
        end = is_blank(mx_utf8_decode(p + at, &length)) ? end : at + length;
    }
    t->content += begin;
    t->bytes = end > begin ? end - begin : 0;
}

static enum moxie_error render_marked(struct turn *t, const struct marked *m) {
    const char *const names[ROLES] = {"system\n", "user\n", m->assistant};
    uint32_t open = 0, close = 0;
    enum moxie_error error = check_place(t, m->system, m->alternates);
    error = error ? error : find_marker(t, m->open, &open);
    error = error ? error : find_marker(t, m->close, &close);
    if (error) {
        return error;
    }
    if (m->trim) {
        trim(t);
    }
    if (t->at == MX_CHAT_AT_START && m->bos) {
        error = put_edge(t, t->e.t->header->bos, "begins");
    }
    if (t->at == MX_CHAT_AT_ANSWER) {
        mx_encoder_special(&t->e, close);
    }
    if (!error && (t->at == MX_CHAT_AT_ANSWER || t->at == MX_CHAT_AT_END)) {
        t->e.before = MX_BEFORE_SPECIAL;
        error = text(t, "", "", 0, "\n");
    }
    if (!error && t->at == MX_CHAT_AT_START && t->role != SYSTEM && m->system && m->system[0]) {
        mx_encoder_special(&t->e, open);
        error = text(t, "system\n", m->system, strlen(m->system), "");
        mx_encoder_special(&t->e, close);
        error = error ? error : text(t, "", "", 0, "\n");
    }
    if (!error) {
        mx_encoder_special(&t->e, open);
        error = text(t, names[t->role], t->content, t->bytes, "");
        mx_encoder_special(&t->e, close);
        error = error ? error : text(t, "", "", 0, "\n");
    }
    if (!error && t->answer) {
        mx_encoder_special(&t->e, open);
        error = text(t, "", "", 0, m->assistant);
    }
    return error;
}

/* Whether the last word of a template's text is a control token: later Mistrals have [/INST] as one. */
static bool ends_in_control(const struct turn *t, const char *text) {
    const char *word = strrchr(text, ' ');
    return word && control_token(t->e.t, word + 1) >= 0;
}

static enum moxie_error render_plain(struct turn *t, const struct plain *p) {
    const struct mx_tok_header *h = t->e.t->header;
    enum moxie_error error = check_place(t, p->system[0], p->alternates);
    if (error) {
        return error;
    }
    if (t->at == MX_CHAT_AT_START) {
        error = put_edge(t, h->bos, "begins");
    } else if (t->at == MX_CHAT_AT_ANSWER) {
        error = put_edge(t, h->eos, "ends");
    } else { /* an answer's end token precedes, or the text of a turn */
        bool in_text =
            t->at == MX_CHAT_AT_SYSTEM || (t->at == MX_CHAT_AT_QUESTION && !ends_in_control(t, p->behind[0]));
        t->e.before = in_text ? MX_BEFORE_TEXT : MX_BEFORE_SPECIAL;
    }
    if (error) {
        return error;
    }
    if (t->role == SYSTEM) {
        return text(t, p->system[0], t->content, t->bytes, p->system[t->answer ? 2 : 1]);
    }
    if (t->role == USER) {
        const char *lead = p->user[t->at == MX_CHAT_AT_START ? 0 : t->at == MX_CHAT_AT_SYSTEM ? 1 : 2];
        return text(t, lead, t->content, t->bytes, p->behind[t->answer]);
    }
    error = text(t, p->answer[1], t->content, t->bytes, "");
    error = error ? error : put_edge(t, h->eos, "ends");
    return !error && t->answer ? text(t, "", "", 0, p->answer[0]) : error;
}

enum moxie_error mx_chat_turn(const struct mx_tokenizer *t, uint32_t template, enum mx_chat_at at, const char *role,
                              const char *content, size_t bytes, bool answer, void *scratch, size_t scratch_bytes,
                              int32_t *ids, size_t max, size_t *count, struct moxie_failure *failure) {
    static const char *const names[ROLES] = {"system", "user", "assistant"};
    struct turn turn = {.at = at, .role = ROLES, .content = content ? content : "", .bytes = bytes, .answer = answer};
    if (!role || (!content && bytes > 0) || !count) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "chat: role, content or count missing");
    }
    if (at > MX_CHAT_AT_QUESTION) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "chat: at is %u, the largest is %d", (unsigned)at,
                       MX_CHAT_AT_QUESTION);
    }
    *count = 0;
    if (template == MX_CHAT_NONE || template > MX_CHAT_LAST) {
        return mx_fail(
            failure, MOXIE_ERROR_TEXT, MX_NO_OFFSET,
            "this model has no chat template that is known here (a base model?): let it continue a text instead");
    }
    for (unsigned i = 0; i < ROLES; i++) {
        turn.role = strcmp(role, names[i]) == 0 ? (enum role)i : turn.role;
    }
    if (turn.role == ROLES) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET,
                       "chat: role \"%s\" is not system, user or assistant", role);
    }
    enum moxie_error error = mx_encoder_init(&turn.e, t, scratch, scratch_bytes, ids, max, failure);
    if (error) {
        return error;
    }
    turn.e.strict = true;
    error = marked[template].open ? render_marked(&turn, &marked[template]) : render_plain(&turn, &plain[template]);
    return error ? error : mx_encoder_finish(&turn.e, count);
}
