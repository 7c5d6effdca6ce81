/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding a text: special tokens are cut out of the raw text, leftmost first and the longest of those that begin
 * there; what lies between goes on as pieces. (User tokens of SentencePiece are no such cuts: mx_users_in_words.) */
#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

/* Per byte of word_max: two heap entries, three arrays of 32 bits, the window. */
#define SCRATCH_PER_BYTE (2 * sizeof(uint64_t) + 3 * sizeof(uint32_t) + 1)

/* First of specials[low .. high), whose first `depth` bytes are equal, with a byte of at least `value` at `depth`. */
static uint32_t lower_bound(const struct mx_tokenizer *t, uint32_t low, uint32_t high, size_t depth, unsigned value) {
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, id = t->specials[middle];
        /* the one that ends at this depth comes first */
        bool less = t->offsets[id + 1] - t->offsets[id] <= depth || t->pool[t->offsets[id] + depth] < value;
        low = less ? middle + 1 : low;
        high = less ? high : middle;
    }
    return low;
}

int32_t mx_special_match(const struct mx_tokenizer *t, const uint8_t *p, size_t n, unsigned kinds) {
    uint32_t low = 0, high = t->header->specials, first = 0;
    int32_t found = -1;
    for (unsigned kind = MX_TOK_CONTROL; n > 0 && kind <= MX_TOK_USER; kind++) {
        first |= kinds >> kind & 1u ? t->first[kind][p[0] / 32] >> p[0] % 32 & 1u : 0;
    }
    if (!first) {
        return -1;
    }
    for (size_t depth = 0; depth < n && low < high; depth++) {
        low = lower_bound(t, low, high, depth, p[depth]);
        high = lower_bound(t, low, high, depth, p[depth] + 1u);
        uint32_t id = low < high ? t->specials[low] : 0;
        if (low < high && t->offsets[id + 1] - t->offsets[id] == depth + 1 && (kinds >> t->kinds[id] & 1u)) {
            found = (int32_t)id;
        }
    }
    return found;
}

size_t mx_encode_scratch(size_t word_bytes) {
    size_t words = word_bytes < 256 ? 256 : word_bytes;
    return words > (SIZE_MAX - 8) / SCRATCH_PER_BYTE ? SIZE_MAX : (words * SCRATCH_PER_BYTE + 7) / 8 * 8;
}

enum moxie_error mx_encoder_init(struct mx_encoder *e, const struct mx_tokenizer *t, void *scratch,
                                 size_t scratch_bytes, int32_t *ids, size_t max, struct moxie_failure *failure) {
    if (!t || !t->header || !scratch || (uintptr_t)scratch % 8 != 0 || (!ids && max > 0)) {
        mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "encode: tokenizer, scratch or ids missing");
        return MOXIE_ERROR_ARGUMENT;
    }
    if (scratch_bytes < mx_encode_scratch(0)) {
        mx_fail(failure, MOXIE_ERROR_MEMORY, mx_encode_scratch(0), "encode: %zu bytes of scratch, at least %zu",
                scratch_bytes, mx_encode_scratch(0));
        return MOXIE_ERROR_MEMORY;
    }
    size_t words = scratch_bytes / SCRATCH_PER_BYTE;
    memset(e, 0, sizeof *e);
    e->word_max = words < UINT32_MAX / 2 ? words : UINT32_MAX / 2; /* positions are 32 bits */
    e->t = t;
    e->failure = failure;
    e->heap = scratch;
    e->ids = (uint32_t *)(e->heap + 2 * e->word_max);
    e->next = e->ids + e->word_max;
    e->prev = e->next + e->word_max;
    e->window = (uint8_t *)(e->prev + e->word_max);
    e->out = ids;
    e->max = max;
    return MOXIE_OK;
}

enum moxie_error mx_encoder_finish(const struct mx_encoder *e, size_t *count) {
    *count = e->count;
    if (e->count > e->max) {
        return mx_fail(e->failure, MOXIE_ERROR_BUFFER_SMALL, e->count, "%zu tokens, room for %zu", e->count, e->max);
    }
    return MOXIE_OK;
}

enum moxie_error mx_encoder_text(struct mx_encoder *e, const char *lead, const char *text, size_t bytes,
                                 const char *tail, bool control) {
    const struct mx_span parts[3] = {
        {(const uint8_t *)lead, strlen(lead)}, {(const uint8_t *)text, bytes}, {(const uint8_t *)tail, strlen(tail)}};
    struct mx_span piece[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    unsigned users = mx_users_in_words(e->t) ? 0 : MX_KIND_USER;
    size_t bad = mx_utf8_valid(parts[1].p, bytes), begin = 0; /* of the piece's text */
    if (bad != bytes) {
        return mx_fail(e->failure, MOXIE_ERROR_TEXT, bad, "text is not UTF-8 from byte %zu on", bad);
    }
    for (int part = 0; part < 3; part++) {
        const uint8_t *p = parts[part].p;
        unsigned kinds = users | (part != 1 || control ? MX_KIND_CONTROL : 0);
        size_t start = 0, at = 0;
        while (at < parts[part].n) {
            int32_t id = mx_special_match(e->t, p + at, parts[part].n - at, kinds);
            if (id < 0) {
                at++;
                continue;
            }
            piece[part] = (struct mx_span){p + start, at - start};
            enum moxie_error error = mx_encode_piece(e, piece[0], piece[1], piece[2], begin);
            if (error) {
                return error;
            }
            memset(piece, 0, sizeof piece);
            mx_encoder_special(e, (uint32_t)id);
            at += e->t->offsets[id + 1] - e->t->offsets[id];
            start = at;
            begin = part == 1 ? start : begin;
        }
        piece[part] = (struct mx_span){p + start, parts[part].n - start};
    }
    return mx_encode_piece(e, piece[0], piece[1], piece[2], begin);
}

enum moxie_error mx_encode(const struct mx_tokenizer *t, const char *text, size_t bytes, unsigned flags, void *scratch,
                           size_t scratch_bytes, int32_t *ids, size_t max, size_t *count,
                           struct moxie_failure *failure) {
    struct mx_encoder e;
    const unsigned known = MX_ENCODE_SPECIALS | MX_ENCODE_STRICT | MX_ENCODE_BEGIN;
    if (!count || (!text && bytes > 0)) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "encode: text or count missing");
    }
    if (flags & ~known) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "encode: flags %x, known are %x", flags, known);
    }
    *count = 0;
    enum moxie_error error = mx_encoder_init(&e, t, scratch, scratch_bytes, ids, max, failure);
    if (error) {
        return error;
    }
    e.strict = (flags & MX_ENCODE_STRICT) != 0;
    if ((flags & MX_ENCODE_BEGIN) && (t->header->flags & MX_TOK_ADD_BOS)) {
        mx_encoder_put(&e, t->header->bos);
    }
    error = mx_encoder_text(&e, "", text ? text : "", bytes, "", (flags & MX_ENCODE_SPECIALS) != 0);
    return error ? error : mx_encoder_finish(&e, count);
}
