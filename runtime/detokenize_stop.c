/* SPDX-License-Identifier: Apache-2.0
 *
 * Stop strings by Knuth-Morris-Pratt, one automaton per string. What is held back is the longest end of the text that
 * begins any string. Strings begin with a lead byte and the text is UTF-8, so no character is ever cut. */
#include "runtime/detokenize.h"

#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_utf8.h"

/* How much of string i the text ends with after one more byte, given that it ended with `matched` of it. */
static uint32_t advance(const struct mx_stops *s, uint32_t i, uint32_t matched, char byte) {
    while (matched > 0 && s->strings[i].text[matched] != byte) {
        // cppcheck-suppress arrayIndexOutOfBoundsCond ; matched < bytes <= 255: a complete match ends the stream
        matched = s->border[i][matched];
    }
    return matched + (s->strings[i].text[matched] == byte);
}

enum moxie_error mx_stops_init(struct mx_stops *s, const struct mx_stop_string *strings, size_t count,
                               struct moxie_failure *failure) {
    if (!s || (!strings && count > 0) || count > MX_STOPS_MAX) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "%zu stop strings, at most %u", count,
                       MX_STOPS_MAX);
    }
    memset(s, 0, sizeof *s);
    s->strings = strings;
    s->count = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        size_t n = strings[i].bytes <= MX_STOP_BYTES_MAX ? strings[i].bytes : 0;
        if (n == 0 || !strings[i].text || mx_utf8_valid((const uint8_t *)strings[i].text, n) != n) {
            return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "stop string %u is not 1 to %u bytes of UTF-8",
                           i, MX_STOP_BYTES_MAX);
        }
        for (size_t k = 1; k < n; k++) {
            s->border[i][k + 1] = (uint8_t)advance(s, i, s->border[i][k], strings[i].text[k]);
        }
    }
    return MOXIE_OK;
}

bool mx_stops_push(struct mx_stops *s, const char *text, size_t bytes, char *out, size_t *made) {
    *made = 0;
    for (size_t at = 0; at < bytes; at++) {
        uint32_t hold = 0, complete = 0;
        s->hold[s->held++] = text[at];
        for (uint32_t i = 0; i < s->count; i++) {
            uint32_t m = advance(s, i, s->matched[i], text[at]);
            s->matched[i] = (uint8_t)m;
            hold = m > hold ? m : hold;
            complete = m == s->strings[i].bytes && m > complete ? m : complete;
        }
        uint32_t release = s->held - (complete ? complete : hold);
        memcpy(out + *made, s->hold, release);
        *made += release;
        s->held -= release;
        memmove(s->hold, s->hold + release, s->held);
        if (complete) {
            s->held = 0;
            memset(s->matched, 0, sizeof s->matched);
            return true;
        }
    }
    return false;
}

void mx_stops_flush(struct mx_stops *s, char *out, size_t *made) {
    memcpy(out, s->hold, s->held);
    *made = s->held;
    s->held = 0;
    memset(s->matched, 0, sizeof s->matched);
}
