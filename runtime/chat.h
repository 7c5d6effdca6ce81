/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates, rendered natively; chat.c has the text of each. Markers and control tokens are put in as ids;
 * contents are encoded as text in which control tokens are never recognised, so nothing that a user writes can close or
 * open a turn. (Where a template's markers are plain text, as [INST] is to the first Mistrals, contents can imitate
 * them: the models were made so.) */
#ifndef MX_CHAT_H
#define MX_CHAT_H

#include "runtime/bundle_format.h"
#include "runtime/tokenizer.h"

/* What the sequence, to which a turn is appended, ends with. */
enum mx_chat_at {
    MX_CHAT_AT_START,    /* nothing: the sequence is empty */
    MX_CHAT_AT_TURN,     /* an assistant's turn, as mx_chat_turn leaves it with answer = 0 */
    MX_CHAT_AT_END,      /* an answer and its end token, without the line end that may follow */
    MX_CHAT_AT_ANSWER,   /* an answer that was cut short: its end token is missing too */
    MX_CHAT_AT_SYSTEM,   /* a system turn, as mx_chat_turn leaves it with answer = 0 */
    MX_CHAT_AT_QUESTION, /* a user's turn, likewise */
};

/* Renders one turn to ids that continue the sequence: what `at` lacks; at the start the begin token and the default
 * system turn of the template, unless this turn is the system's; the turn; with `answer` the opening of the assistant's
 * turn. A conversation rendered turn by turn is the same as rendered whole, so history is never encoded again.
 *
 * `template` is an enum mx_chat_template; `role` is "system", "user" or "assistant"; scratch, ids and count are as for
 * mx_encode. MOXIE_ERROR_TEXT: no template (a base model), a turn for which the template has no place (a system turn,
 * an answer to no question, a question behind a question), content that is not UTF-8 or has a byte that the vocabulary
 * cannot express (never replaced here: some vocabularies name a control token as the unknown one).
 * MOXIE_ERROR_ARGUMENT: role. MOXIE_ERROR_TOKENIZER: the vocabulary lacks the markers. */
enum moxie_error mx_chat_turn(const struct mx_tokenizer *t, uint32_t template, enum mx_chat_at at, const char *role,
                              const char *content, size_t bytes, bool answer, void *scratch, size_t scratch_bytes,
                              int32_t *ids, size_t max, size_t *count, struct moxie_failure *failure);

#endif
