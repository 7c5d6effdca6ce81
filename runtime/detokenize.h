/* SPDX-License-Identifier: Apache-2.0
 *
 * Token ids to text, as a stream: bytes come out as soon as they complete a character, and text that may be the
 * beginning of a stop string is held back until that is decided. */
#ifndef MX_DETOKENIZE_H
#define MX_DETOKENIZE_H

#include "runtime/tokenizer.h"

/* One stream; start it zeroed. */
struct mx_detok {
    uint8_t pending[4]; /* an incomplete, still possible character */
    uint32_t held;      /* 0 .. 3 */
    uint32_t started;   /* 1: there was text, so that a space is one; to go on another text, start with 1 */
};

#define MX_DETOK_CONTROL 1u /* control tokens appear as their text; else they give nothing */

/* Text that `id` completes: well-formed UTF-8, `*made` bytes, 0 while a character is incomplete. Bytes that can belong
 * to no character become one U+FFFD for each maximal prefix of one (Unicode 15, section 3.9; Python's
 * errors="replace"). A control token ends an incomplete character. id < 0 ends the stream. An id beyond the vocabulary
 * gives nothing. MOXIE_ERROR_BUFFER_SMALL: `max` is less than the size in `offset`, nothing changed; 512 bytes are
 * enough for tokens of up to 167 bytes, whatever they hold. */
enum moxie_error mx_detok_push(struct mx_detok *d, const struct mx_tokenizer *t, int32_t id, unsigned flags, char *text,
                               size_t max, size_t *made, struct moxie_failure *failure);

#define MX_STOPS_MAX 8u
#define MX_STOP_BYTES_MAX 255u

struct mx_stop_string {
    const char *text; /* UTF-8, `bytes` long */
    size_t bytes;
};

/* Looks for stop strings in one stream. The strings must stay alive. Plain data. */
struct mx_stops {
    const struct mx_stop_string *strings; /* (count) */
    uint32_t count;
    uint32_t held;                                       /* bytes of `hold` */
    uint8_t matched[MX_STOPS_MAX];                       /* how much of each string the text ends with */
    uint8_t border[MX_STOPS_MAX][MX_STOP_BYTES_MAX + 1]; /* [i][n]: longest proper border of its first n bytes */
    char hold[MX_STOP_BYTES_MAX + 1];
};

/* MOXIE_ERROR_ARGUMENT: more than MX_STOPS_MAX strings, or one that is empty, too long or not UTF-8. */
enum moxie_error mx_stops_init(struct mx_stops *s, const struct mx_stop_string *strings, size_t count,
                               struct moxie_failure *failure);

/* Appends text to the stream and gives what may be shown: at most held + bytes, for which `out` must have room. True: a
 * stop string is complete; `out` ends before it and the stream is over. The first string to be complete wins, of
 * several that end at the same byte the longest; however the text was cut into calls. */
bool mx_stops_push(struct mx_stops *s, const char *text, size_t bytes, char *out, size_t *made);

/* What was held back, at the end of a stream without a stop: at most MX_STOP_BYTES_MAX bytes. */
void mx_stops_flush(struct mx_stops *s, char *out, size_t *made);

#endif
