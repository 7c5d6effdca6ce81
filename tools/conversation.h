/* SPDX-License-Identifier: Apache-2.0
 *
 * A chat in one sequence: what was said stays in the KV cache, and each turn only adds its own tokens.
 *
 * When the context is too full for the next question and some answer, everything but the last question and its answer
 * is forgotten and these are read again; when even they take more than half of the context, they are forgotten too. */
#ifndef TOOL_CONVERSATION_H
#define TOOL_CONVERSATION_H

#include "tools/generate.h"

struct conversation {
    struct writer writer;
    const char *system;    /* NULL: the template's own */
    enum moxie_chat_at at; /* what writer.ids end with */
    char *question;        /* the last one that was answered; NULL: none */
    int32_t *answer;       /* (context + 1) its answer */
    uint32_t answer_count;
    int32_t *turn; /* (context + 1) scratch */
};

/* An exit status, reported. */
int conversation_open(struct conversation *c, struct engine *engine, const struct sampling_options *sampling,
                      const char *system);
void conversation_close(struct conversation *c);

/* Forgets everything. */
void conversation_reset(struct conversation *c);

/* Prints the answer to `question`; an exit status. After Ctrl-C (STATUS_INTERRUPTED) the conversation goes on with what
 * was answered, or, when no word was, as if the question had not been asked. */
int conversation_ask(struct conversation *c, const char *question, uint32_t limit);

#endif
