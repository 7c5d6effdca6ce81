/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a compiled tokenizer: every rule of tokenizer_format.h is checked here, so that no other file has to. */
#include "runtime/tokenizer.h"

#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_utf8.h"

struct check {
    const struct mx_tokenizer *t;
    struct mx_tok_layout layout;
    struct moxie_failure *failure;
};

#define BAD(offset, ...) mx_fail(c->failure, MOXIE_ERROR_TOKENIZER, offset, "tokenizer: " __VA_ARGS__)

static bool all_zero(const uint8_t *p, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        if (p[i]) {
            return false;
        }
    }
    return true;
}

static uint32_t length_of(const struct mx_tokenizer *t, uint32_t id) {
    return t->offsets[id + 1] - t->offsets[id];
}

static enum moxie_error check_header(const struct check *c) {
    const struct mx_tok_header *h = c->t->header;
    if (h->tokens == 0 || h->tokens > MX_TOK_COUNT_MAX || h->merges > MX_TOK_COUNT_MAX || h->specials > h->tokens ||
        h->pool_bytes > MX_TOK_POOL_MAX) {
        return BAD(0, "impossible counts: %u tokens, %u merges, %u specials, %u bytes of text", h->tokens, h->merges,
                   h->specials, h->pool_bytes);
    }
    if (h->merge_slots <= h->merges || (h->merge_slots & (h->merge_slots - 1)) != 0 || h->token_slots == 0 ||
        (h->token_slots & (h->token_slots - 1)) != 0) {
        return BAD(0, "hash tables of %u and %u slots", h->merge_slots, h->token_slots);
    }
    if (h->pretokenizer < MX_TOK_PRE_GPT2 || h->pretokenizer > MX_TOK_PRE_SEAMS ||
        h->normalizer > MX_TOK_NORMAL_SPACES || (h->flags & ~MX_TOK_FLAGS) != 0) {
        return BAD(0, "unknown pre-tokenizer %u, normaliser %u or flags %x", h->pretokenizer, h->normalizer, h->flags);
    }
    const uint32_t ids[] = {h->bos, h->eos, h->unknown};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (ids[i] != MX_TOK_NONE && ids[i] >= h->tokens) {
            return BAD(0, "bos, eos or unknown token %u outside the %u tokens", ids[i], h->tokens);
        }
    }
    if ((h->flags & MX_TOK_ADD_BOS) && h->bos == MX_TOK_NONE) {
        return BAD(0, "texts start with a bos that there is not");
    }
    if (!all_zero((const uint8_t *)h->reserved, sizeof h->reserved)) {
        return BAD(0, "reserved bytes are not zero");
    }
    return MOXIE_OK;
}

static enum moxie_error check_padding(const struct check *c) {
    const struct mx_tok_header *h = c->t->header;
    const struct mx_tok_layout *l = &c->layout;
    const uint64_t gaps[][2] = {
        {l->offsets + 4 * ((uint64_t)h->tokens + 1), l->byte_tokens},
        {l->ranks + (h->flags & MX_TOK_RANKS ? 4 * (uint64_t)h->tokens : 0), l->merges},
        {l->merges + sizeof(struct mx_tok_merge) * (uint64_t)h->merges, l->merge_slots},
        {l->merge_slots + 4 * (uint64_t)h->merge_slots, l->token_slots},
        {l->token_slots + 4 * (uint64_t)h->token_slots, l->specials},
        {l->specials + 4 * (uint64_t)h->specials, l->kinds},
        {l->kinds + h->tokens, l->pool},
        {l->pool + h->pool_bytes, l->end},
    };
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        if (!all_zero((const uint8_t *)h + gaps[i][0], gaps[i][1] - gaps[i][0])) {
            return BAD(gaps[i][0], "filler bytes are not zero");
        }
    }
    return MOXIE_OK;
}

/* Offsets and kinds; counts the normal tokens. */
static enum moxie_error check_tokens(const struct check *c, uint32_t *normal) {
    const struct mx_tokenizer *t = c->t;
    const struct mx_tok_header *h = t->header;
    uint32_t specials = 0;
    *normal = 0;
    if (t->offsets[0] != 0 || t->offsets[h->tokens] != h->pool_bytes) {
        return BAD(c->layout.offsets, "texts do not fill their section");
    }
    for (uint32_t id = 0; id < h->tokens; id++) {
        uint32_t begin = t->offsets[id], end = t->offsets[id + 1];
        if (begin > end || end > h->pool_bytes || end - begin > MX_TOK_BYTES_MAX) {
            return BAD(c->layout.offsets + 4 * (uint64_t)id, "token %u has a text from %u to %u", id, begin, end);
        }
        bool special = t->kinds[id] == MX_TOK_CONTROL || t->kinds[id] == MX_TOK_USER;
        if (t->kinds[id] > MX_TOK_BYTE || (t->kinds[id] == MX_TOK_UNUSED) != (begin == end) ||
            (special && end - begin > MX_TOK_SPECIAL_BYTES_MAX)) {
            return BAD(c->layout.kinds + id, "token %u has kind %u and %u bytes", id, t->kinds[id], end - begin);
        }
        if (special && mx_utf8_valid(t->pool + begin, end - begin) != end - begin) {
            return BAD(c->layout.pool + begin, "special token %u is not UTF-8", id);
        }
        *normal += t->kinds[id] == MX_TOK_NORMAL;
        specials += special;
    }
    if (specials != h->specials || *normal >= h->token_slots) {
        return BAD(c->layout.kinds, "%u special and %u normal tokens disagree with the tables", specials, *normal);
    }
    return MOXIE_OK;
}

/* Every normal token is in the table, found before any other with the same bytes: no duplicates, no stray slots. */
static enum moxie_error check_token_slots(const struct check *c, uint32_t normal) {
    const struct mx_tokenizer *t = c->t;
    uint32_t mask = t->header->token_slots - 1, used = 0;
    for (uint32_t slot = 0; slot <= mask; slot++) {
        uint32_t id = t->token_slots[slot];
        if (id == MX_TOK_NONE) {
            continue;
        }
        if (id >= t->header->tokens || t->kinds[id] != MX_TOK_NORMAL) {
            return BAD(c->layout.token_slots + 4 * (uint64_t)slot, "token table names %u, not a normal token", id);
        }
        used++;
    }
    if (used != normal) {
        return BAD(c->layout.token_slots, "token table has %u entries for %u tokens", used, normal);
    }
    for (uint32_t id = 0; id < t->header->tokens; id++) {
        if (t->kinds[id] != MX_TOK_NORMAL) {
            continue;
        }
        uint32_t n = length_of(t, id), slot = mx_tok_bytes_hash(t->pool + t->offsets[id], n) & mask, probes = 0;
        for (; t->token_slots[slot] != id; slot = (slot + 1) & mask) {
            uint32_t other = t->token_slots[slot];
            if (other == MX_TOK_NONE || ++probes == MX_TOK_PROBES) {
                return BAD(c->layout.token_slots, "token %u is not in the token table", id);
            }
            if (length_of(t, other) == n && memcmp(t->pool + t->offsets[other], t->pool + t->offsets[id], n) == 0) {
                return BAD(c->layout.pool + t->offsets[id], "tokens %u and %u are the same", other, id);
            }
        }
    }
    return MOXIE_OK;
}

static enum moxie_error check_byte_tokens(const struct check *c) {
    const struct mx_tokenizer *t = c->t;
    uint8_t kind = t->header->flags & MX_TOK_CHARACTERS ? MX_TOK_BYTE : MX_TOK_NORMAL;
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t id = t->byte_tokens[b];
        if (id != MX_TOK_NONE && (id >= t->header->tokens || t->kinds[id] != kind || length_of(t, id) != 1 ||
                                  t->pool[t->offsets[id]] != b)) {
            return BAD(c->layout.byte_tokens + 4 * (uint64_t)b, "token %u is not the byte %x", id, b);
        }
    }
    return MOXIE_OK;
}

static enum moxie_error check_merges(const struct check *c) {
    const struct mx_tokenizer *t = c->t;
    const struct mx_tok_header *h = t->header;
    for (uint32_t i = 0; i < h->merges; i++) {
        const struct mx_tok_merge *m = &t->merges[i];
        uint64_t at = c->layout.merges + sizeof *m * (uint64_t)i;
        if (m->left >= h->tokens || m->right >= h->tokens || m->merged >= h->tokens) {
            return BAD(at, "merge %u (%u, %u to %u) outside the %u tokens", i, m->left, m->right, m->merged, h->tokens);
        }
        if (t->kinds[m->left] != MX_TOK_NORMAL || t->kinds[m->right] != MX_TOK_NORMAL ||
            t->kinds[m->merged] != MX_TOK_NORMAL) {
            return BAD(at, "merge %u (%u, %u to %u) of a token that is not normal", i, m->left, m->right, m->merged);
        }
        /* The result is longer than either part, so merging ends whatever the tables say. */
        uint32_t left = length_of(t, m->left), right = length_of(t, m->right);
        const uint8_t *merged = t->pool + t->offsets[m->merged];
        if (length_of(t, m->merged) != left + right || memcmp(merged, t->pool + t->offsets[m->left], left) != 0 ||
            memcmp(merged + left, t->pool + t->offsets[m->right], right) != 0) {
            return BAD(at, "merge %u: token %u is not %u followed by %u", i, m->merged, m->left, m->right);
        }
    }
    return MOXIE_OK;
}

static enum moxie_error check_merge_slots(const struct check *c) {
    const struct mx_tokenizer *t = c->t;
    const struct mx_tok_header *h = t->header;
    uint32_t mask = h->merge_slots - 1, used = 0;
    for (uint32_t slot = 0; slot <= mask; slot++) {
        uint32_t i = t->merge_slots[slot];
        if (i != MX_TOK_NONE && i >= h->merges) {
            return BAD(c->layout.merge_slots + 4 * (uint64_t)slot, "merge table names %u of %u merges", i, h->merges);
        }
        used += i != MX_TOK_NONE;
    }
    if (used != h->merges) {
        return BAD(c->layout.merge_slots, "merge table has %u entries for %u merges", used, h->merges);
    }
    for (uint32_t i = 0; i < h->merges; i++) {
        const struct mx_tok_merge *m = &t->merges[i];
        uint32_t slot = mx_tok_pair_hash(m->left, m->right) & mask, probes = 0;
        for (; t->merge_slots[slot] != i; slot = (slot + 1) & mask) {
            uint32_t other = t->merge_slots[slot];
            if (other == MX_TOK_NONE || ++probes == MX_TOK_PROBES) {
                return BAD(c->layout.merge_slots, "merge %u is not in the merge table", i);
            }
            if (t->merges[other].left == m->left && t->merges[other].right == m->right) {
                return BAD(c->layout.merge_slots, "merges %u and %u are of the same pair", other, i);
            }
        }
    }
    return MOXIE_OK;
}

static enum moxie_error check_specials(const struct check *c) {
    const struct mx_tokenizer *t = c->t;
    for (uint32_t i = 0; i < t->header->specials; i++) {
        uint64_t at = c->layout.specials + 4 * (uint64_t)i;
        uint32_t id = t->specials[i];
        if (id >= t->header->tokens || (t->kinds[id] != MX_TOK_CONTROL && t->kinds[id] != MX_TOK_USER)) {
            return BAD(at, "special table names %u, not a special token", id);
        }
        if (i == 0) {
            continue;
        }
        uint32_t before = t->specials[i - 1], a = length_of(t, before), b = length_of(t, id);
        int order = memcmp(t->pool + t->offsets[before], t->pool + t->offsets[id], a < b ? a : b);
        if (order > 0 || (order == 0 && a >= b)) {
            return BAD(at, "special tokens %u and %u are the same or out of order", before, id);
        }
    }
    return MOXIE_OK;
}

static enum moxie_error check_all(const struct check *c) {
    uint32_t normal;
    enum moxie_error e = check_padding(c);
    e = e ? e : check_tokens(c, &normal);
    e = e ? e : check_token_slots(c, normal);
    e = e ? e : check_byte_tokens(c);
    e = e ? e : check_merges(c);
    e = e ? e : check_merge_slots(c);
    return e ? e : check_specials(c);
}

/* What encoding looks up for each byte of a text: how special tokens begin, and where no token lies over a seam. */
static void index_bytes(struct mx_tokenizer *t) {
    const struct mx_tok_header *h = t->header;
    for (uint32_t i = 0; i < h->specials; i++) {
        uint32_t id = t->specials[i];
        uint8_t b = t->pool[t->offsets[id]];
        t->first[t->kinds[id]][b / 32] |= 1u << b % 32;
    }
    for (uint32_t id = 0; h->pretokenizer == MX_TOK_PRE_SEAMS && id < h->tokens; id++) {
        bool joins = t->kinds[id] == MX_TOK_NORMAL || t->kinds[id] == MX_TOK_USER;
        for (uint32_t at = t->offsets[id] + 1; joins && at < t->offsets[id + 1]; at++) {
            uint32_t pair = t->pool[at - 1] * 256u + t->pool[at];
            t->joins[pair / 32] |= 1u << pair % 32;
        }
    }
}

enum moxie_error mx_tokenizer_open(struct mx_tokenizer *t, const void *blob, size_t bytes,
                                   struct moxie_failure *failure) {
    if (!t || !blob || (uintptr_t)blob % 8 != 0) {
        return mx_fail(failure, MOXIE_ERROR_ARGUMENT, MX_NO_OFFSET, "tokenizer: bytes missing or not 8-byte aligned");
    }
    const struct mx_tok_header *h = blob;
    memset(t, 0, sizeof *t);
    if (bytes < sizeof *h) {
        return mx_fail(failure, MOXIE_ERROR_TRUNCATED, bytes, "tokenizer: %zu bytes, the header alone has %zu", bytes,
                       sizeof *h);
    }
    if (memcmp(h->magic, MX_TOK_MAGIC, sizeof h->magic) != 0) {
        return mx_fail(failure, MOXIE_ERROR_TOKENIZER, 0, "tokenizer: not a compiled tokenizer of this version");
    }
    t->header = h;
    struct check c = {.t = t, .layout = mx_tok_layout(h), .failure = failure};
    enum moxie_error e = check_header(&c);
    if (e) {
        return e;
    }
    if (c.layout.end != h->bytes) {
        return mx_fail(failure, MOXIE_ERROR_TOKENIZER, 8, "tokenizer: sections of %llu bytes, the header names %llu",
                       (unsigned long long)c.layout.end, (unsigned long long)h->bytes);
    }
    if (h->bytes > bytes) {
        return mx_fail(failure, MOXIE_ERROR_TRUNCATED, bytes, "tokenizer: %llu bytes named, %zu there",
                       (unsigned long long)h->bytes, bytes);
    }
    const uint8_t *base = blob;
    t->offsets = (const uint32_t *)(base + c.layout.offsets);
    t->byte_tokens = (const uint32_t *)(base + c.layout.byte_tokens);
    t->ranks = h->flags & MX_TOK_RANKS ? (const uint32_t *)(base + c.layout.ranks) : NULL;
    t->merges = (const struct mx_tok_merge *)(base + c.layout.merges);
    t->merge_slots = (const uint32_t *)(base + c.layout.merge_slots);
    t->token_slots = (const uint32_t *)(base + c.layout.token_slots);
    t->specials = (const uint32_t *)(base + c.layout.specials);
    t->kinds = base + c.layout.kinds;
    t->pool = base + c.layout.pool;
    e = check_all(&c);
    if (e) {
        return e;
    }
    index_bytes(t);
    return MOXIE_OK;
}
