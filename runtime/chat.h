/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates, rendered natively: ChatML as Qwen and SmolLM2 use it. A turn is
 *
 *     <|im_start|>ROLE\nCONTENT<|im_end|>\n
 *
 * and the assistant's is opened by <|im_start|>assistant\n. The markers are put in as ids; ROLE and CONTENT are encoded
 * as text in which control tokens are never recognised, so nothing that a user writes can close or open a turn. */
#ifndef MX_CHAT_H
#define MX_CHAT_H

#include "runtime/bundle_format.h"
#include "runtime/tokenizer.h"

/* What the sequence, to which a turn is appended, ends with. */
enum mx_chat_at {
    MX_CHAT_AT_START,  /* nothing: the sequence is empty */
    MX_CHAT_AT_TURN,   /* a complete turn, as mx_chat_turn leaves it with answer = 0 */
    MX_CHAT_AT_END,    /* an answer and its <|im_end|>, without the line end that follows */
    MX_CHAT_AT_ANSWER, /* an answer that was cut short: its <|im_end|> is missing too */
};

/* Renders one turn to ids that continue the sequence: what `at` lacks; at the start the template's default system turn,
 * unless this one is the system's; the turn; with `answer` the opening of the assistant's turn. A conversation rendered
 * turn by turn is the same as rendered whole, so history is never encoded again.
 *
 * `template` is an enum mx_chat_template; `role` is "system", "user" or "assistant"; scratch, ids and count are as for
 * mx_encode. MOXIE_ERROR_TEXT: no template (a base model), content that is not UTF-8 or has a byte that the vocabulary
 * cannot express (never replaced here: some vocabularies name a control token as the unknown one).
 * MOXIE_ERROR_ARGUMENT: role. MOXIE_ERROR_TOKENIZER: the vocabulary lacks the markers. */
enum moxie_error mx_chat_turn(const struct mx_tokenizer *t, uint32_t template, enum mx_chat_at at, const char *role,
                              const char *content, size_t bytes, bool answer, void *scratch, size_t scratch_bytes,
                              int32_t *ids, size_t max, size_t *count, struct moxie_failure *failure);

#endif
