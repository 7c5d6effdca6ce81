/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of encoding, for tokenizer_*.c and chat.c:
 *
 *     text -> pieces between special tokens (tokenizer_encode.c) -> normalised window (tokenizer_window.c)
 *          -> pre-tokens (tokenizer_split.c) -> ids (tokenizer_bpe.c) */
#ifndef MX_TOKENIZER_ENCODE_H
#define MX_TOKENIZER_ENCODE_H

#include "runtime/tokenizer.h"

/* What stands before the text that comes next: it decides on the space of MX_TOK_PREFIX. */
enum mx_before { MX_BEFORE_NOTHING, MX_BEFORE_SPECIAL, MX_BEFORE_TEXT };

/* One encoding under way. Scratch holds, for pre-tokens of at most `word_max` bytes: the arrays of the merging, and the
 * window of normalised text. They are never needed at once by normalising and merging, so normalising borrows `heap`.
 */
struct mx_encoder {
    const struct mx_tokenizer *t;
    struct moxie_failure *failure;
    size_t word_max;
    uint64_t *heap;  /* (2 * word_max) rank << 32 | position */
    uint32_t *ids;   /* (word_max) */
    uint32_t *next;  /* (word_max) */
    uint32_t *prev;  /* (word_max) */
    uint8_t *window; /* (word_max) */
    bool strict;
    enum mx_before before;
    int32_t *out;
    size_t max;
    size_t count; /* ids so far; those from `max` on are counted only */
};

enum moxie_error mx_encoder_init(struct mx_encoder *e, const struct mx_tokenizer *t, void *scratch,
                                 size_t scratch_bytes, int32_t *ids, size_t max, struct moxie_failure *failure);

static inline void mx_encoder_put(struct mx_encoder *e, uint32_t id) {
    if (e->count < e->max) {
        e->out[e->count] = (int32_t)id;
    }
    e->count++;
}

static inline void mx_encoder_special(struct mx_encoder *e, uint32_t id) {
    mx_encoder_put(e, id);
    e->before = MX_BEFORE_SPECIAL;
}

/* Appends `lead`, `text` and `tail` as one text: pre-tokens may span them. User tokens are looked for in each of them,
 * control tokens in `lead` and `tail`, which are ours, and in `text` if `control`. Offsets of errors count from `text`.
 */
enum moxie_error mx_encoder_text(struct mx_encoder *e, const char *lead, const char *text, size_t bytes,
                                 const char *tail, bool control);

/* *count and MOXIE_OK, or MOXIE_ERROR_BUFFER_SMALL. */
enum moxie_error mx_encoder_finish(const struct mx_encoder *e, size_t *count);

/* SentencePiece matches its user tokens in the normalised text, where they are words that do not merge; others cut them
 * out of the raw text. */
static inline bool mx_users_in_words(const struct mx_tokenizer *t) {
    return (t->header->flags & MX_TOK_CHARACTERS) && (t->header->flags & MX_TOK_RANKS);
}

/* Length of the first pre-token of p[0 .. n), n > 0. 0: it depends on what follows p[n], which is possible only if
 * `final` is false, i.e. if the text goes on. */
size_t mx_split(const struct mx_tokenizer *t, const uint8_t *p, size_t n, bool final);
size_t mx_split_deepseek(const uint8_t *p, size_t n, bool final);

/* Classes of characters in the regular expressions that scanners stand for: \p{L}, \p{N}, \s, the rest, no character.
 */
enum mx_class { MX_LETTER, MX_NUMBER, MX_SPACE, MX_OTHER, MX_END };
enum mx_class mx_class_of(int32_t c);

/* Appends the ids of one pre-token of n <= word_max bytes. `offset` is its place for errors. */
enum moxie_error mx_bpe(struct mx_encoder *e, const uint8_t *p, size_t n, uint64_t offset);

struct mx_span {
    const uint8_t *p;
    size_t n;
};

/* Appends the ids of a piece that has no special tokens to cut out: lead, text and tail. */
enum moxie_error mx_encode_piece(struct mx_encoder *e, struct mx_span lead, struct mx_span text, struct mx_span tail,
                                 uint64_t offset);

/* NFC of the text that p[0 .. n), n > 0, begins with, as far as it cannot interact with what follows: `*used` bytes of
 * p become `*made` bytes of out. `work` has room for `room` code points. False: out (`max` bytes) or work is too small.
 */
bool mx_nfc_part(const uint8_t *p, size_t n, uint8_t *out, size_t max, uint32_t *work, size_t room, size_t *used,
                 size_t *made);

#endif
