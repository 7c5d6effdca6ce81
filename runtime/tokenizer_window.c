/* SPDX-License-Identifier: Apache-2.0
 *
 * From a piece of text to pre-tokens. A piece that needs no normalising is split where it lies. Another runs through a
 * window of fixed size, so that scratch depends on the longest pre-token and not on the text. */
#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

enum { PREFIX, LEAD, TEXT, TAIL, SPANS };

struct window {
    struct mx_encoder *e;
    struct mx_span span[SPANS]; /* what is still to be read */
    uint64_t offset;            /* of TEXT */
    size_t begin, end;          /* unread bytes of e->window */
};

static enum moxie_error too_long(const struct mx_encoder *e, uint64_t offset) {
    return mx_fail(e->failure, MOXIE_ERROR_TEXT, offset,
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

/* U+2581 to a space, for as much as fits; *used = 0: nothing does. */
static void plain_spaces(const uint8_t *p, size_t n, uint8_t *out, size_t max, size_t *used, size_t *made) {
    *used = *made = 0;
    while (*used < n) {
        size_t length;
        bool space = mx_utf8_decode(p + *used, &length) == 0x2581;
        size_t bytes = space ? 1 : length;
        if (bytes > max - *made) {
            return;
        }
        memcpy(out + *made, space ? (const uint8_t *)" " : p + *used, bytes);
        *used += length;
        *made += bytes;
    }
}

/* Moves one part of the text into the window; false: no room. */
static bool read_part(struct window *w, struct mx_span *from) {
    struct mx_encoder *e = w->e;
    uint8_t *to = e->window + w->end;
    size_t room = e->word_max - w->end, used, made;
    switch (e->t->header->normalizer) {
    case MX_TOK_NORMAL_NFC:
        if (!mx_nfc_part(from->p, from->n, to, room, (uint32_t *)e->heap, 4 * e->word_max, &used, &made)) {
            return false;
        }
        break;
    case MX_TOK_NORMAL_SPACES:
        plain_spaces(from->p, from->n, to, room, &used, &made);
        break;
    default:
        used = made = whole_characters(from->p, from->n, room);
        memcpy(to, from->p, made);
    }
    from->p += used;
    from->n -= used;
    w->end += made;
    return used > 0;
}

/* The span to read from, NULL at the end of the piece. */
static struct mx_span *next_span(struct window *w) {
    for (int i = 0; i < SPANS; i++) {
        if (w->span[i].n > 0) {
            return &w->span[i];
        }
    }
    return NULL;
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
        struct mx_span *span = next_span(w);
        if (!span || !read_part(w, span)) {
            break;
        }
        any = true;
    }
    return any;
}

static enum moxie_error encode_window(struct window *w) {
    struct mx_encoder *e = w->e;
    const uint8_t *text = w->span[TEXT].p;
    for (;;) {
        bool final = !next_span(w);
        /* Place in the text for errors: exact unless normalising changed lengths. */
        size_t read = (size_t)(w->span[TEXT].p - text), unread = w->end - w->begin;
        uint64_t at = w->offset + (read > unread ? read - unread : 0);
        size_t n = unread ? mx_split(e->t, e->window + w->begin, unread, final) : 0;
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

/* Is a space put before a text that begins with `first`? */
static bool is_prefixed(const struct mx_encoder *e, struct mx_span first) {
    uint32_t flags = e->t->header->flags;
    size_t length;
    if (!(flags & MX_TOK_PREFIX) || e->before == MX_BEFORE_TEXT ||
        ((flags & MX_TOK_PREFIX_FIRST) && e->before == MX_BEFORE_SPECIAL)) {
        return false;
    }
    return !(flags & MX_TOK_PREFIX_UNLESS) || (first.p[0] != ' ' && mx_utf8_decode(first.p, &length) != 0x2581);
}

enum moxie_error mx_encode_piece(struct mx_encoder *e, struct mx_span lead, struct mx_span text, struct mx_span tail,
                                 uint64_t offset) {
    struct mx_span first = lead.n > 0 ? lead : text.n > 0 ? text : tail;
    if (first.n == 0) {
        return MOXIE_OK;
    }
    struct mx_span prefix = {(const uint8_t *)" ", is_prefixed(e, first) ? 1 : 0};
    e->before = MX_BEFORE_TEXT;
    if (prefix.n + lead.n + tail.n > 0 || e->t->header->normalizer != MX_TOK_NORMAL_NONE) {
        struct window w = {.e = e, .span = {prefix, lead, text, tail}, .offset = offset};
        return encode_window(&w);
    }
    for (size_t at = 0; at < text.n;) {
        size_t n = mx_split(e->t, text.p + at, text.n - at, true);
        if (n > e->word_max) {
            return too_long(e, offset + at);
        }
        enum moxie_error error = mx_bpe(e, text.p + at, n, offset + at);
        if (error) {
            return error;
        }
        at += n;
    }
    return MOXIE_OK;
}
