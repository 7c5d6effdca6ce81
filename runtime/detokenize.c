/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/detokenize.h"

#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_utf8.h"

struct sink {
    char *text; /* NULL: only count */
    size_t made;
};

static void put(struct sink *s, const void *bytes, size_t n) {
    if (s->text) {
        memcpy(s->text + s->made, bytes, n);
    }
    s->made += n;
}

/* Ends an incomplete character. */
static void cut(struct mx_detok *d, struct sink *s) {
    if (d->held > 0) {
        put(s, "\xEF\xBF\xBD", 3);
        d->held = 0;
    }
}

static void put_byte(struct mx_detok *d, uint8_t byte, struct sink *s) {
    size_t need;
    d->pending[d->held++] = byte;
    size_t have = mx_utf8_prefix(d->pending, d->held, &need);
    if (have < d->held) { /* `byte` does not go on with what was pending: it begins anew */
        cut(d, s);
        d->pending[d->held++] = byte;
        have = mx_utf8_prefix(d->pending, 1, &need);
    }
    if (need == 0) {
        cut(d, s);
    } else if (have == need) {
        put(s, d->pending, need);
        d->held = 0;
    }
}

static void put_token(struct mx_detok *d, const struct mx_tokenizer *t, int32_t id, struct sink *s) {
    size_t n;
    const uint8_t *bytes = mx_token_bytes(t, id, &n);
    bool control = n > 0 && t->kinds[id] == MX_TOK_CONTROL;
    if (id < 0 || control) {
        cut(d, s);
    }
    if (n == 0 || control) {
        return;
    }
    /* The space that encoding put before the text. */
    bool strip = (t->header->flags & MX_TOK_STRIP) && !d->started && bytes[0] == ' ';
    d->started = 1;
    for (size_t i = strip ? 1 : 0; i < n; i++) {
        put_byte(d, bytes[i], s);
    }
}

enum moxie_error mx_detok_push(struct mx_detok *d, const struct mx_tokenizer *t, int32_t id, char *text, size_t max,
                               size_t *made, struct moxie_failure *failure) {
    if (!d || d->held > 3 || !t || !t->header || (!text && max > 0) || !made) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "detokenise: state, tokenizer or text missing");
    }
    *made = 0;
    struct mx_detok after = *d;
    struct sink count = {NULL, 0}, sink = {text, 0};
    put_token(&after, t, id, &count);
    if (count.made > max) {
        return mx_fail(failure, MOXIE_ERROR_BUFFER_SMALL, count.made, "token %d makes %zu bytes of text, room for %zu",
                       id, count.made, max);
    }
    put_token(d, t, id, &sink);
    *made = sink.made;
    return MOXIE_OK;
}
