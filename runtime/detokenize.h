/* SPDX-License-Identifier: Apache-2.0
 *
 * Token ids to text, as a stream: bytes come out as soon as they complete a character. */
#ifndef MX_DETOKENIZE_H
#define MX_DETOKENIZE_H

#include "runtime/tokenizer.h"

/* One stream; start it zeroed. */
struct mx_detok {
    uint8_t pending[4]; /* an incomplete, still possible character */
    uint32_t held;      /* 0 .. 3 */
    uint32_t started;   /* 1: there was text, so that a space is one; to go on another text, start with 1 */
};

/* Text that `id` completes: well-formed UTF-8, `*made` bytes, 0 while a character is incomplete. Bytes that can belong
 * to no character become one U+FFFD for each maximal prefix of one (Unicode 15, section 3.9; Python's
 * errors="replace"). A control token gives nothing but the end of an incomplete character. id < 0 ends the stream. An
 * id beyond the vocabulary gives nothing. MOXIE_ERROR_BUFFER_SMALL: `max` is less than the size in `offset`, nothing
 * changed; 512 bytes are enough for tokens of up to 167 bytes, whatever they hold. */
enum moxie_error mx_detok_push(struct mx_detok *d, const struct mx_tokenizer *t, int32_t id, char *text, size_t max,
                               size_t *made, struct moxie_failure *failure);

#endif
