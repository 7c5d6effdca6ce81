/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging the bytes of one pre-token: again and again the adjacent pair of lowest rank, the leftmost of equals. A heap
 * of candidates and a linked list of symbols make that n log n; a candidate that a later merge has overtaken stays in
 * the heap and is recognised when it comes up. */
#include <string.h>

#include "platform/fail.h"
#include "runtime/tokenizer_encode.h"

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

/* Symbol i stands at the position of its first byte; ids[i] = MX_TOK_NONE: swallowed by one to its left. At most n - 1
 * pairs at the start and one more for each of at most n - 1 merges (two come, one goes): the heap never exceeds 2n. */
static void merge(struct mx_encoder *e, size_t n) {
    const struct mx_tokenizer *t = e->t;
    size_t entries = 0;
    for (size_t i = 0; i < n; i++) {
        e->prev[i] = (uint32_t)i - 1;
        e->next[i] = (uint32_t)i + 1;
        uint32_t rank = i + 1 < n ? find_merge(t, e->ids[i], e->ids[i + 1]) : MX_TOK_NONE;
        if (rank != MX_TOK_NONE) {
            heap_push(e->heap, &entries, (uint64_t)rank << 32 | i);
        }
    }
    while (entries > 0) {
        uint64_t top = heap_pop(e->heap, &entries);
        uint32_t rank = (uint32_t)(top >> 32), i = (uint32_t)top, j = e->next[i];
        const struct mx_tok_merge *m = &t->merges[rank];
        if (j >= n || e->ids[i] != m->left || e->ids[j] != m->right) {
            continue; /* overtaken */
        }
        e->ids[i] = m->merged;
        e->ids[j] = MX_TOK_NONE;
        e->next[i] = e->next[j];
        if (e->next[i] < n) {
            e->prev[e->next[i]] = i;
            rank = find_merge(t, e->ids[i], e->ids[e->next[i]]);
            if (rank != MX_TOK_NONE) {
                heap_push(e->heap, &entries, (uint64_t)rank << 32 | i);
            }
        }
        if (i > 0) {
            rank = find_merge(t, e->ids[e->prev[i]], e->ids[i]);
            if (rank != MX_TOK_NONE) {
                heap_push(e->heap, &entries, (uint64_t)rank << 32 | e->prev[i]);
            }
        }
    }
}

enum moxie_error mx_bpe(struct mx_encoder *e, const uint8_t *p, size_t n, uint64_t offset) {
    const struct mx_tok_header *h = e->t->header;
    if (h->flags & MX_TOK_IGNORE_MERGES) {
        uint32_t whole = find_token(e->t, p, n);
        if (whole != MX_TOK_NONE) {
            mx_encoder_put(e, whole);
            return MOXIE_OK;
        }
    }
    for (size_t i = 0; i < n; i++) {
        e->ids[i] = e->t->byte_tokens[p[i]];
        if (e->ids[i] == MX_TOK_NONE) {
            e->ids[i] = h->unknown;
            if (h->unknown == MX_TOK_NONE || e->strict) {
                return mx_fail(e->failure, MOXIE_ERROR_TEXT, offset + i, "this vocabulary has no token for byte %x",
                               p[i]);
            }
        }
    }
    merge(e, n);
    for (size_t i = 0; i < n; i = e->next[i]) {
        mx_encoder_put(e, e->ids[i]);
    }
    return MOXIE_OK;
}
