/* SPDX-License-Identifier: Apache-2.0
 *
 * From a piece of text to pre-tokens. A piece that needs no normalising is split where it lies. Another runs through a
 * window of fixed size, so that scratch depends on the longest pre-token and not on the text. */
#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"

struct window {
    struct mx_encoder *e;
    const uint8_t *lead, *text; /* what is still to be read */
    size_t lead_left, text_left;
    uint64_t offset;   /* of `text` */
    size_t begin, end; /* unread bytes of e->window */
};

static enum moxie_error too_long(const struct mx_encoder *e, uint64_t offset) {
    return mx_fail(e->failure, MOXIE_ERROR_MEMORY, offset,
                   "a word of more than %zu bytes does not fit the scratch memory", e->word_max);
}

/* Bytes of p[0 .. n) that fit in `max` without cutting a character. */
static size_t whole_characters(const uint8_t *p, size_t n, size_t max) {
    if (n <= max) {
        return n;
    }
    while (max > 0 && (p[max] & 0xC0) == 0x80) {
        max--;
    }
    return max;
}

/* Moves one part of the text into the window; false: no room. */
static bool read_part(struct window *w, const uint8_t **from, size_t *left) {
    struct mx_encoder *e = w->e;
    uint8_t *to = e->window + w->end;
    size_t room = e->word_max - w->end, used, made;
    if (e->t->header->normalizer == MX_TOK_NORMAL_NFC) {
        if (!mx_nfc_part(*from, *left, to, room, (uint32_t *)e->heap, 4 * e->word_max, &used, &made)) {
            return false;
        }
    } else {
        used = made = whole_characters(*from, *left, room);
        memcpy(to, *from, made);
    }
    *from += used;
    *left -= used;
    w->end += made;
    return used > 0;
}

/* At least doubles what the window holds, so that looking again at its beginning costs linear time in all. False: no
 * room. */
static bool refill(struct window *w) {
    size_t have = w->end - w->begin;
    if (w->begin > 0) {
        memmove(w->e->window, w->e->window + w->begin, have);
        w->begin = 0;
        w->end = have;
    }
    bool any = false;
    while (w->end < 2 * have + 256) {
        bool done = w->lead_left   ? !read_part(w, &w->lead, &w->lead_left)
                    : w->text_left ? !read_part(w, &w->text, &w->text_left)
                                   : true;
        if (done) {
            break;
        }
        any = true;
    }
    return any;
}

static enum moxie_error encode_window(struct window *w) {
    struct mx_encoder *e = w->e;
    const uint8_t *text = w->text;
    for (;;) {
        bool final = w->lead_left == 0 && w->text_left == 0;
        /* Place in the text for errors: exact unless normalising changed lengths. */
        size_t read = (size_t)(w->text - text), unread = w->end - w->begin;
        uint64_t at = w->offset + (read > unread ? read - unread : 0);
        size_t n = unread ? mx_split(e->t->header->pretokenizer, e->window + w->begin, unread, final) : 0;
        if (n == 0 && final) {
            return MOXIE_OK;
        }
        if (n == 0) {
            if (!refill(w)) {
                return too_long(e, at);
            }
            continue;
        }
        enum moxie_error error = mx_bpe(e, e->window + w->begin, n, at);
        if (error) {
            return error;
        }
        w->begin += n;
    }
}

enum moxie_error mx_encode_piece(struct mx_encoder *e, const uint8_t *lead, size_t lead_bytes, const uint8_t *text,
                                 size_t bytes, uint64_t offset) {
    if (lead_bytes > 0 || e->t->header->normalizer != MX_TOK_NORMAL_NONE) {
        struct window w = {e, lead, text, lead_bytes, bytes, offset, 0, 0};
        return encode_window(&w);
    }
    for (size_t at = 0; at < bytes;) {
        size_t n = mx_split(e->t->header->pretokenizer, text + at, bytes - at, true);
        if (n > e->word_max) {
            return too_long(e, offset + at);
        }
        enum moxie_error error = mx_bpe(e, text + at, n, offset + at);
        if (error) {
            return error;
        }
        at += n;
    }
    return MOXIE_OK;
}
