/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L // strdup
#include "tools/conversation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

/* A question is asked when this part of the context is left for the answer. */
#define ANSWER_ROOM(context) ((context) / 8)

int conversation_open(struct conversation *c, struct engine *engine, const struct sampling_options *sampling,
                      const char *system) {
    *c = (struct conversation){.system = system};
    size_t bytes = ((size_t)engine->plan.context + 1) * sizeof(int32_t);
    if (!writer_open(&c->writer, engine, sampling)) {
        return STATUS_FAILED;
    }
    c->answer = malloc(bytes);
    c->turn = malloc(bytes);
    return c->answer && c->turn ? STATUS_OK : report_tool("out of memory");
}

void conversation_close(struct conversation *c) {
    writer_close(&c->writer);
    free(c->question);
    free(c->answer);
    free(c->turn);
    *c = (struct conversation){0};
}

static void empty_sequence(struct conversation *c) {
    struct moxie_failure failure;
    moxie_sequence_truncate(c->writer.engine->moxie, 0, 0, &failure); // to 0 it never fails
    c->writer.count = 0;
    c->at = MOXIE_CHAT_AT_START;
}

void conversation_reset(struct conversation *c) {
    empty_sequence(c);
    free(c->question);
    c->question = NULL;
}

/* Appends one message. CONTEXT_FULL: it does not fit. */
static enum moxie_error append_turn(struct conversation *c, const char *role, const char *text, bool answer,
                                    struct moxie_failure *failure) {
    struct writer *w = &c->writer;
    uint32_t context = w->engine->plan.context;
    size_t count = 0;
    enum moxie_error code =
        moxie_chat_turn(w->engine->moxie, c->at, role, text, strlen(text), answer, c->turn, context, &count, failure);
    // an answer that filled the context ends with a token behind it
    if (code == MOXIE_ERROR_BUFFER_SMALL || (code == MOXIE_OK && w->count + count > context)) {
        return MOXIE_ERROR_CONTEXT_FULL;
    }
    if (code == MOXIE_OK) {
        memcpy(w->ids + w->count, c->turn, count * sizeof(*w->ids));
        w->count += (uint32_t)count;
        c->at = strcmp(role, "system") == 0 ? MOXIE_CHAT_AT_SYSTEM : MOXIE_CHAT_AT_QUESTION;
    }
    return code;
}

/* Appends a question up to the opening of its answer. */
static enum moxie_error append_question(struct conversation *c, const char *question, struct moxie_failure *failure) {
    enum moxie_error code = MOXIE_OK;
    if (c->system && c->at == MOXIE_CHAT_AT_START) {
        code = append_turn(c, "system", c->system, false, failure);
    }
    return code == MOXIE_OK ? append_turn(c, "user", question, true, failure) : code;
}

/* Appends the last question and its answer to an empty conversation, when they take at most half of the context. */
static void append_last(struct conversation *c) {
    struct moxie_failure failure;
    struct writer *w = &c->writer;
    uint32_t half = w->engine->plan.context / 2;
    if (!c->question || append_question(c, c->question, &failure) != MOXIE_OK || w->count > half ||
        c->answer_count > half - w->count) {
        empty_sequence(c);
        return;
    }
    memcpy(w->ids + w->count, c->answer, c->answer_count * sizeof(*w->ids));
    w->count += c->answer_count;
    c->at = MOXIE_CHAT_AT_ANSWER;
}

static bool answer_fits(const struct conversation *c) {
    uint32_t context = c->writer.engine->plan.context;
    return c->writer.count + ANSWER_ROOM(context) <= context;
}

/* Appends `question`, forgetting what must be forgotten. *before is the count that the conversation had, or has again
 * when the question is taken back. */
static enum moxie_error make_room(struct conversation *c, const char *question, uint32_t *before,
                                  struct moxie_failure *failure) {
    *before = c->writer.count;
    enum moxie_chat_at at = c->at;
    enum moxie_error code = append_question(c, question, failure);
    for (bool keep_last = true;; keep_last = false) {
        bool full = code == MOXIE_ERROR_CONTEXT_FULL || (code == MOXIE_OK && !answer_fits(c));
        if (!full || !*before) {
            break;
        }
        empty_sequence(c);
        if (keep_last) {
            append_last(c);
        }
        report_note(c->writer.count ? "the context is full: everything but the last question and answer is forgotten"
                                    : "the context is full: the conversation is forgotten");
        *before = c->writer.count;
        at = c->at;
        code = append_question(c, question, failure);
    }
    if (code != MOXIE_OK) {
        c->writer.count = *before;
        c->at = at;
    }
    return code;
}

/* Keeps question and answer; the answer's end token is taken back, as the template adds its own. */
static int keep_answer(struct conversation *c, const char *question, enum written why) {
    struct writer *w = &c->writer;
    uint32_t end = why == WRITTEN_END ? 1 : 0;
    w->count -= end;
    c->at = MOXIE_CHAT_AT_ANSWER;
    c->answer_count = w->written - end;
    memcpy(c->answer, w->ids + w->count - c->answer_count, c->answer_count * sizeof(*w->ids));
    char *copy = strdup(question);
    free(c->question);
    c->question = copy;
    return copy ? STATUS_OK : report_tool("out of memory");
}

int conversation_ask(struct conversation *c, const char *question, uint32_t limit) {
    struct moxie_failure failure = {0};
    struct writer *w = &c->writer;
    uint32_t before;
    int status;
    enum moxie_error code = make_room(c, question, &before, &failure);
    if (code == MOXIE_ERROR_CONTEXT_FULL) {
        return report_error(code, "the question does not fit into a context of %u tokens (see --context)",
                            w->engine->plan.context);
    }
    if (code != MOXIE_OK) {
        return report_failure(&failure);
    }
    enum written why = writer_run(w, limit, &status);
    if (!w->written) { // the sequence is as it was
        w->count = before;
        c->at = before ? MOXIE_CHAT_AT_ANSWER : MOXIE_CHAT_AT_START;
        return status;
    }
    putchar('\n');
    if (why == WRITTEN_FULL) {
        report_note("the context of %u tokens is full: the answer was cut short", w->engine->plan.context);
    }
    if (why == WRITTEN_LIMIT) {
        report_note("the answer was cut short after %u tokens (see -n)", limit);
    }
    int kept = keep_answer(c, question, why);
    return kept == STATUS_OK ? finish_output(status) : kept;
}
