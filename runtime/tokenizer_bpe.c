/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging the symbols of one pre-token, bytes or characters: again and again the adjacent pair of lowest rank, the
 * leftmost of equals. A heap of candidates and a linked list of symbols make that n log n; a candidate that a later
 * merge has overtaken stays in the heap and is recognised when it comes up.
 *
 * A pair's rank stands in a table of pairs (Hugging Face's merges), or is that of the token which both make together
 * (SentencePiece's scores, tiktoken). */
#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"
#include "runtime/tokenizer_utf8.h"

#define SWALLOWED MX_TOK_NONE      /* by the symbol to its left */
#define NO_TOKEN (MX_TOK_NONE - 1) /* a character that is no token by itself */

/* Rank of merging left and right, MX_TOK_NONE if they do not merge. */
static uint32_t find_merge(const struct mx_tokenizer *t, uint32_t left, uint32_t right) {
    uint32_t mask = t->header->merge_slots - 1, slot = mx_tok_pair_hash(left, right) & mask;
    for (uint32_t probe = 0; probe < MX_TOK_PROBES; probe++, slot = (slot + 1) & mask) {
        uint32_t rank = t->merge_slots[slot];
        if (rank == MX_TOK_NONE || (t->merges[rank].left == left && t->merges[rank].right == right)) {
            return rank;
        }
    }
    return MX_TOK_NONE;
}

static uint32_t find_token(const struct mx_tokenizer *t, const uint8_t *p, size_t n) {
    uint32_t mask = t->header->token_slots - 1, slot = mx_tok_bytes_hash(p, (uint32_t)n) & mask;
    for (uint32_t probe = 0; probe < MX_TOK_PROBES; probe++, slot = (slot + 1) & mask) {
        uint32_t id = t->token_slots[slot];
        if (id == MX_TOK_NONE ||
            (t->offsets[id + 1] - t->offsets[id] == n && memcmp(t->pool + t->offsets[id], p, n) == 0)) {
            return id;
        }
    }
    return MX_TOK_NONE;
}

static void heap_push(uint64_t *heap, size_t *n, uint64_t entry) {
    size_t at = (*n)++;
    while (at > 0 && heap[(at - 1) / 2] > entry) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n) {
    uint64_t top = heap[0], last = heap[--*n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= *n) {
            break;
        }
        if (child + 1 < *n && heap[child + 1] < heap[child]) {
            child++;
        }
        if (heap[child] >= last) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

struct word {
    struct mx_encoder *e;
    const uint8_t *p;
    size_t n;
    size_t entries; /* of the heap */
};

struct pair {
    uint32_t rank, merged; /* MX_TOK_NONE: they do not merge */
};

/* User tokens and unknown ones stay as they are. */
static bool is_mergeable(const struct word *w, uint32_t i) {
    uint32_t id = w->e->ids[i];
    return id == NO_TOKEN || w->e->t->kinds[id] == MX_TOK_NORMAL;
}

/* What the symbols at i and j = next[i] merge to. */
static struct pair find_pair(const struct word *w, uint32_t i, uint32_t j) {
    const struct mx_encoder *e = w->e;
    const struct mx_tokenizer *t = e->t;
    struct pair none = {MX_TOK_NONE, MX_TOK_NONE};
    if (!t->ranks) {
        uint32_t rank = find_merge(t, e->ids[i], e->ids[j]);
        return rank == MX_TOK_NONE ? none : (struct pair){rank, t->merges[rank].merged};
    }
    if (!is_mergeable(w, i) || !is_mergeable(w, j)) {
        return none;
    }
    size_t bytes = e->next[j] - i;
    uint32_t id = bytes <= MX_TOK_BYTES_MAX ? find_token(t, w->p + i, bytes) : MX_TOK_NONE;
    return id == MX_TOK_NONE ? none : (struct pair){t->ranks[id], id};
}

static void consider(struct word *w, uint32_t i) {
    uint32_t j = w->e->next[i];
    struct pair pair = j < w->n ? find_pair(w, i, j) : (struct pair){MX_TOK_NONE, 0};
    if (pair.rank != MX_TOK_NONE) {
        heap_push(w->e->heap, &w->entries, (uint64_t)pair.rank << 32 | i);
    }
}

/* Symbol i stands at the position of its first byte. Of n symbols at most n - 1 pairs are considered at the start and
 * one more for each of at most n - 1 merges (two come, one goes): the heap never exceeds 2n. */
static void merge(struct word *w) {
    struct mx_encoder *e = w->e;
    for (uint32_t i = 0; i < w->n; i = e->next[i]) {
        consider(w, i);
    }
    while (w->entries > 0) {
        uint64_t top = heap_pop(e->heap, &w->entries);
        uint32_t rank = (uint32_t)(top >> 32), i = (uint32_t)top, j = e->next[i];
        struct pair pair = {MX_TOK_NONE, 0};
        if (e->ids[i] != SWALLOWED && j < w->n) {
            pair = find_pair(w, i, j);
        }
        if (pair.rank != rank) {
            continue; /* overtaken */
        }
        e->ids[i] = pair.merged;
        e->ids[j] = SWALLOWED;
        e->next[i] = e->next[j];
        if (e->next[i] < w->n) {
            e->prev[e->next[i]] = i;
            consider(w, i);
        }
        if (i > 0) {
            consider(w, e->prev[i]);
        }
    }
}

/* The token for a byte by itself, the unknown one if there is none. */
static enum moxie_error byte_token(struct mx_encoder *e, uint8_t byte, uint64_t offset, uint32_t *id) {
    const struct mx_tok_header *h = e->t->header;
    *id = e->t->byte_tokens[byte];
    if (*id == MX_TOK_NONE) {
        *id = h->unknown;
        if (h->unknown == MX_TOK_NONE || e->strict) {
            return mx_fail(e->failure, MOXIE_ERROR_TEXT, offset, "this vocabulary has no token for byte %x", byte);
        }
    }
    return MOXIE_OK;
}

/* The token that the word's bytes from i on begin with before anything is merged, and how many of them it has.
 * NO_TOKEN: a character (MX_TOK_CHARACTERS) or byte that is none. */
static uint32_t first_token(const struct word *w, uint32_t i, size_t *bytes) {
    const struct mx_tokenizer *t = w->e->t;
    const uint8_t *p = w->p + i;
    uint32_t id;
    *bytes = 1;
    if (!(t->header->flags & MX_TOK_CHARACTERS)) {
        id = t->byte_tokens[p[0]];
    } else {
        int32_t user = mx_users_in_words(t) ? mx_special_match(t, p, w->n - i, MX_KIND_USER) : -1;
        if (user >= 0) {
            mx_token_bytes(t, user, bytes);
            return (uint32_t)user;
        }
        mx_utf8_decode(p, bytes);
        id = find_token(t, p, *bytes);
    }
    return id == MX_TOK_NONE ? NO_TOKEN : id;
}

/* The symbols of a word as a linked list. A character that is no token becomes its bytes: after merging, where it may
 * become part of a token (SentencePiece), or before (Hugging Face's merges). */
static enum moxie_error make_symbols(struct word *w, uint64_t offset) {
    struct mx_encoder *e = w->e;
    bool keep = mx_users_in_words(e->t);
    for (uint32_t i = 0, before = 0; i < w->n;) {
        size_t bytes;
        uint32_t id = first_token(w, i, &bytes), end = i + (uint32_t)bytes;
        for (uint32_t next; i < end; i = next) {
            enum moxie_error error = MOXIE_OK;
            next = end;
            if (id == NO_TOKEN && !keep) {
                next = i + 1;
                error = byte_token(e, w->p[i], offset + i, &e->ids[i]);
            } else {
                e->ids[i] = id;
            }
            if (error) {
                return error;
            }
            e->prev[i] = before;
            e->next[i] = next;
            before = i;
        }
    }
    return MOXIE_OK;
}

enum moxie_error mx_bpe(struct mx_encoder *e, const uint8_t *p, size_t n, uint64_t offset) {
    struct word w = {.e = e, .p = p, .n = n};
    if (e->t->header->flags & MX_TOK_IGNORE_MERGES) {
        uint32_t whole = find_token(e->t, p, n);
        if (whole != MX_TOK_NONE) {
            mx_encoder_put(e, whole);
            return MOXIE_OK;
        }
    }
    enum moxie_error error = make_symbols(&w, offset);
    if (error) {
        return error;
    }
    merge(&w);
    for (uint32_t i = 0; i < n && !error; i = e->next[i]) {
        if (e->ids[i] != NO_TOKEN) {
            mx_encoder_put(e, e->ids[i]);
            continue;
        }
        for (uint32_t at = i, id; at < e->next[i] && !error; at++) {
            error = byte_token(e, p[at], offset + at, &id);
            mx_encoder_put(e, id);
        }
    }
    return error;
}
