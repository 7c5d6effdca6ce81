/* SPDX-License-Identifier: Apache-2.0
 *
 * BPE of bytes or of characters: text to token ids. A tokenizer is a view of a compiled blob (tokenizer_format.h);
 * nothing is parsed, copied or allocated. Any number of threads may use one tokenizer, each with its own scratch. */
#ifndef MX_TOKENIZER_H
#define MX_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/moxie_error.h"
#include "runtime/tokenizer_format.h"

/* Pointers into the blob, which must stay mapped and unchanged. */
struct mx_tokenizer {
    const struct mx_tok_header *header;
    const uint32_t *offsets;           /* (tokens + 1) */
    const uint32_t *byte_tokens;       /* (256) */
    const uint32_t *ranks;             /* (tokens), NULL without MX_TOK_RANKS */
    const struct mx_tok_merge *merges; /* (merges) */
    const uint32_t *merge_slots;       /* (header->merge_slots) */
    const uint32_t *token_slots;       /* (header->token_slots) */
    const uint32_t *specials;          /* (header->specials) */
    const uint8_t *kinds;              /* (tokens) */
    const uint8_t *pool;               /* (pool_bytes) */
    uint32_t first[3][8];              /* [kind] bit b: some control or user token begins with byte b */
    uint32_t joins[65536 / 32]; /* MX_TOK_PRE_SEAMS, bit 256 * a + b: byte b follows a in a normal or user token */
};

/* Checks every byte of the blob, which may be hostile even when signed: after MOXIE_OK no use of the tokenizer reads
 * outside of it or loops. `blob` is 8-byte aligned. Errors: MOXIE_ERROR_TRUNCATED, MOXIE_ERROR_TOKENIZER (`offset` in
 * the blob), MOXIE_ERROR_ARGUMENT. */
enum moxie_error mx_tokenizer_open(struct mx_tokenizer *t, const void *blob, size_t bytes,
                                   struct moxie_failure *failure);

/* Bytes of token `id`; none for an id that is negative or beyond the vocabulary. Not NUL-terminated. */
static inline const uint8_t *mx_token_bytes(const struct mx_tokenizer *t, int32_t id, size_t *n) {
    if (id < 0 || (uint32_t)id >= t->header->tokens) {
        *n = 0;
        return t->pool;
    }
    *n = t->offsets[id + 1] - t->offsets[id];
    return t->pool + t->offsets[id];
}

/* Sets of kinds of special tokens. */
#define MX_KIND_CONTROL (1u << MX_TOK_CONTROL)
#define MX_KIND_USER (1u << MX_TOK_USER)

/* Id of the longest token of one of `kinds` that p[0 .. n) begins with, -1 when there is none. */
int32_t mx_special_match(const struct mx_tokenizer *t, const uint8_t *p, size_t n, unsigned kinds);

/* Flags of mx_encode. */
#define MX_ENCODE_SPECIALS 1u /* control tokens in the text are recognised: for trusted text only */
#define MX_ENCODE_BEGIN 2u    /* the text begins a sequence: bos comes first where the vocabulary wants it */
#define MX_ENCODE_STRICT 4u   /* a byte without a token is an error even if there is an unknown token */

/* Bytes of scratch (8-byte aligned) for texts whose pre-tokens (words, runs of spaces, … ; with MX_TOK_PRE_SEAMS what
 * lies between two seams) are shorter than `word_bytes` bytes. The text as a whole may have any length. */
size_t mx_encode_scratch(size_t word_bytes);

/* Encodes `bytes` of UTF-8 into at most `max` ids. *count is the number of ids of the whole text even when they do not
 * fit (MOXIE_ERROR_BUFFER_SMALL, with that number in `offset`). Time is linear in the text, times log of the longest
 * pre-token; with MX_TOK_RANKS also times the longest token.
 *
 * MOXIE_ERROR_TEXT: the text is not well-formed UTF-8 (`offset` is the first bad byte: nothing is replaced silently),
 * it has a byte that the vocabulary cannot express, or a pre-token is too long for the scratch. MOXIE_ERROR_MEMORY: the
 * scratch is too small for any. */
enum moxie_error mx_encode(const struct mx_tokenizer *t, const char *text, size_t bytes, unsigned flags, void *scratch,
                           size_t scratch_bytes, int32_t *ids, size_t max, size_t *count,
                           struct moxie_failure *failure);

#endif
