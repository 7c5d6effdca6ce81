/* SPDX-License-Identifier: Apache-2.0
 *
 * struct pk_vocab -> blob. The text pool and its hash table are made first; merges are then looked up in them. */
#include <stdlib.h>
#include <string.h>

#include "pack/tokenizer_vocab.h"

#define ATTEMPTS 4 /* table sizes tried, each twice the one before */

struct compile {
    const struct pk_vocab *v;
    struct pk_error *e;
    struct mx_tok_header header;
    uint8_t *pool; /* texts as raw bytes */
    uint32_t *offsets;
    uint32_t *specials;
    uint32_t *token_slots;
    struct mx_tok_merge *merges;
    uint32_t *merge_slots;
};

static bool add_text(struct compile *c, uint32_t id) {
    const struct pk_vocab_token *token = &c->v->tokens[id];
    struct mx_tok_header *h = &c->header;
    int64_t n = pk_vocab_bytes(c->v, id, c->pool + h->pool_bytes);
    if (token->kind == MX_TOK_CONTROL || token->kind == MX_TOK_USER) {
        if (n <= 0 || n > MX_TOK_SPECIAL_BYTES_MAX || !pk_is_utf8(token->text, token->bytes)) {
            return pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: special token %u is not 1 to %u bytes of UTF-8",
                           c->v->path, id, MX_TOK_SPECIAL_BYTES_MAX);
        }
        c->specials[h->specials++] = id;
    }
    if (n < 0 || n > MX_TOK_BYTES_MAX) {
        return pk_fail(c->e, MOXIE_ERROR_TOKENIZER,
                       "%s: token %u, \"%.*s\", is not in the vocabulary's alphabet of bytes or too long", c->v->path,
                       id, (int)(token->bytes < 64 ? token->bytes : 64), token->text);
    }
    h->pool_bytes += (uint32_t)n;
    c->offsets[id + 1] = h->pool_bytes;
    return true;
}

static uint32_t length_of(const struct compile *c, uint32_t id) {
    return c->offsets[id + 1] - c->offsets[id];
}

/* Kind as it goes into the blob: a token without bytes can be neither made nor shown. */
static uint8_t kind_of(const struct compile *c, uint32_t id) {
    return length_of(c, id) == 0 ? MX_TOK_UNUSED : (uint8_t)c->v->tokens[id].kind;
}

static bool is_token(const struct compile *c, uint32_t id, const uint8_t *p, uint32_t n) {
    return length_of(c, id) == n && memcmp(c->pool + c->offsets[id], p, n) == 0;
}

/* Slot of the normal token with these bytes, or the empty one where it belongs. */
static uint32_t token_slot(const struct compile *c, const uint8_t *p, uint32_t n, uint32_t *probes) {
    uint32_t mask = c->header.token_slots - 1, slot = mx_tok_bytes_hash(p, n) & mask;
    for (*probes = 0; c->token_slots[slot] != MX_TOK_NONE && !is_token(c, c->token_slots[slot], p, n); ++*probes) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static uint32_t merge_slot(const struct compile *c, uint32_t left, uint32_t right, uint32_t *probes) {
    uint32_t mask = c->header.merge_slots - 1, slot = mx_tok_pair_hash(left, right) & mask;
    for (*probes = 0; c->merge_slots[slot] != MX_TOK_NONE; ++*probes) {
        const struct mx_tok_merge *m = &c->merges[c->merge_slots[slot]];
        if (m->left == left && m->right == right) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

/* An empty table of at least twice the entries, larger at each `attempt`. */
static uint32_t *new_slots(struct compile *c, uint32_t entries, uint32_t attempt, uint32_t *slots) {
    uint64_t n = 2;
    while (n < 2 * (uint64_t)entries + 1) {
        n *= 2;
    }
    n <<= attempt;
    *slots = (uint32_t)n;
    uint32_t *table = n <= 1u << 30 ? malloc(n * sizeof(*table)) : NULL;
    if (!table) {
        return pk_fail_memory(c->e);
    }
    memset(table, 0xff, n * sizeof(*table));
    return table;
}

enum filled { FAILED, FILLED, CROWDED /* an entry is too far from its hash: the table must be larger */ };

static enum filled fill_token_slots(struct compile *c, uint32_t normal, uint32_t attempt) {
    free(c->token_slots);
    c->token_slots = new_slots(c, normal, attempt, &c->header.token_slots);
    if (!c->token_slots) {
        return FAILED;
    }
    for (uint32_t id = 0; id < c->v->n_tokens; id++) {
        if (kind_of(c, id) != MX_TOK_NORMAL) {
            continue;
        }
        uint32_t probes, slot = token_slot(c, c->pool + c->offsets[id], length_of(c, id), &probes);
        if (c->token_slots[slot] != MX_TOK_NONE) {
            pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: tokens %u and %u are the same", c->v->path, c->token_slots[slot],
                    id);
            return FAILED;
        }
        if (probes >= MX_TOK_PROBES) {
            return CROWDED;
        }
        c->token_slots[slot] = id;
    }
    return FILLED;
}

static enum filled fill_merge_slots(struct compile *c, uint32_t attempt) {
    free(c->merge_slots);
    c->merge_slots = new_slots(c, c->header.merges, attempt, &c->header.merge_slots);
    if (!c->merge_slots) {
        return FAILED;
    }
    for (uint32_t i = 0; i < c->header.merges; i++) {
        const struct mx_tok_merge *m = &c->merges[i];
        uint32_t probes, slot = merge_slot(c, m->left, m->right, &probes);
        if (c->merge_slots[slot] != MX_TOK_NONE) {
            pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: merges %u and %u are of the same pair", c->v->path,
                    c->merge_slots[slot], i);
            return FAILED;
        }
        if (probes >= MX_TOK_PROBES) {
            return CROWDED;
        }
        c->merge_slots[slot] = i;
    }
    return FILLED;
}

struct special {
    const uint8_t *bytes;
    uint32_t n, id;
};

/* Ascending by bytes, a prefix before what it begins. */
static int compare_specials(const void *left, const void *right) {
    const struct special *a = left, *b = right;
    int order = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

/* Id of the special token with these bytes. */
static uint32_t find_special(const struct compile *c, const uint8_t *p, uint32_t n) {
    struct special wanted = {p, n, 0};
    uint32_t low = 0, high = c->header.specials;
    while (low < high) {
        uint32_t middle = (low + high) / 2, id = c->specials[middle];
        struct special found = {c->pool + c->offsets[id], length_of(c, id), id};
        int order = compare_specials(&found, &wanted);
        if (order == 0) {
            return id;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return MX_TOK_NONE;
}

/* Id of a token: normal, else special; MX_TOK_NONE if there is none. */
static uint32_t find_any(const struct compile *c, const uint8_t *p, uint32_t n) {
    uint32_t probes, id = c->token_slots[token_slot(c, p, n, &probes)];
    return id != MX_TOK_NONE ? id : find_special(c, p, n);
}

/* Id of a text in the alphabet, MX_TOK_NONE if it is no token; its bytes are appended to `joined`. */
static uint32_t find_part(const struct compile *c, const char *text, uint32_t bytes, uint8_t *joined, uint32_t *n) {
    int64_t made = bytes <= 2 * MX_TOK_BYTES_MAX ? pk_vocab_plain_bytes(c->v, text, bytes, joined + *n) : -1;
    if (made <= 0 || made > MX_TOK_BYTES_MAX) {
        return MX_TOK_NONE;
    }
    *n += (uint32_t)made;
    return find_any(c, joined + *n - made, (uint32_t)made);
}

/* A merge to or from a special token never happens: user tokens are cut out before merging, and text must not become a
 * control token. */
static bool compile_merges(struct compile *c) {
    uint8_t *joined = malloc(4 * (size_t)MX_TOK_BYTES_MAX);
    c->merges = calloc(c->v->n_merges + (size_t)1, sizeof(*c->merges));
    bool ok = joined && c->merges;
    if (!ok) {
        pk_fail_memory(c->e);
    }
    for (uint32_t i = 0; ok && i < c->v->n_merges; i++) {
        const struct pk_vocab_merge *from = &c->v->merges[i];
        struct mx_tok_merge m;
        uint32_t n = 0;
        m.left = find_part(c, from->left, from->left_bytes, joined, &n);
        m.right = m.left != MX_TOK_NONE ? find_part(c, from->right, from->right_bytes, joined, &n) : MX_TOK_NONE;
        m.merged = m.right != MX_TOK_NONE ? find_any(c, joined, n) : MX_TOK_NONE;
        if (m.merged == MX_TOK_NONE) {
            ok = pk_fail(c->e, MOXIE_ERROR_TOKENIZER,
                         "%s: merge %u, \"%.*s\" and \"%.*s\": a part or the result is not a token", c->v->path, i,
                         (int)(from->left_bytes < 64 ? from->left_bytes : 64), from->left,
                         (int)(from->right_bytes < 64 ? from->right_bytes : 64), from->right);
        } else if (kind_of(c, m.left) == MX_TOK_NORMAL && kind_of(c, m.right) == MX_TOK_NORMAL &&
                   kind_of(c, m.merged) == MX_TOK_NORMAL) {
            c->merges[c->header.merges++] = m;
        }
    }
    free(joined);
    return ok;
}

static bool fill_tables(struct compile *c, uint32_t normal) {
    enum filled filled = CROWDED;
    for (uint32_t attempt = 0; filled == CROWDED && attempt < ATTEMPTS; attempt++) {
        filled = fill_token_slots(c, normal, attempt);
    }
    if (filled == FILLED) {
        filled = compile_merges(c) ? CROWDED : FAILED;
        for (uint32_t attempt = 0; filled == CROWDED && attempt < ATTEMPTS; attempt++) {
            filled = fill_merge_slots(c, attempt);
        }
    }
    if (filled == CROWDED) {
        pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: too many tokens with the same hash", c->v->path);
    }
    return filled == FILLED;
}

static bool sort_specials(struct compile *c) {
    uint32_t n = c->header.specials;
    struct special *list = malloc((n + (size_t)1) * sizeof(*list));
    if (!list) {
        pk_fail_memory(c->e);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = c->specials[i];
        list[i] = (struct special){c->pool + c->offsets[id], length_of(c, id), id};
    }
    qsort(list, n, sizeof(*list), compare_specials);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++) {
        c->specials[i] = list[i].id;
        if (i > 0 && compare_specials(&list[i - 1], &list[i]) == 0) {
            ok = pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: special tokens %u and %u are the same", c->v->path,
                         list[i - 1].id, list[i].id);
        }
    }
    free(list);
    return ok;
}

static bool compile_tokens(struct compile *c) {
    const struct pk_vocab *v = c->v;
    uint64_t bytes = 0;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        bytes += v->tokens[id].bytes;
    }
    if (v->n_tokens == 0 || v->n_tokens > MX_TOK_COUNT_MAX || v->n_merges > MX_TOK_COUNT_MAX ||
        bytes > MX_TOK_POOL_MAX) {
        pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: %u tokens, %u merges: none or too many", v->path, v->n_tokens,
                v->n_merges);
        return false;
    }
    c->pool = malloc(bytes + 1);
    c->offsets = calloc(v->n_tokens + (size_t)1, sizeof(*c->offsets));
    c->specials = calloc(v->n_tokens, sizeof(*c->specials));
    if (!c->pool || !c->offsets || !c->specials) {
        pk_fail_memory(c->e);
        return false;
    }
    uint32_t normal = 0;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        if (!add_text(c, id)) {
            return false;
        }
        normal += kind_of(c, id) == MX_TOK_NORMAL;
    }
    return sort_specials(c) && fill_tables(c, normal);
}

static bool check_ids(const struct compile *c) {
    const struct pk_vocab *v = c->v;
    const uint32_t ids[] = {v->bos, v->eos, v->unknown};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (ids[i] >= v->n_tokens && ids[i] != MX_TOK_NONE) {
            return pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: begin, end or unknown token %u, the tokenizer has %u",
                           v->path, ids[i], v->n_tokens);
        }
    }
    if ((v->flags & MX_TOK_ADD_BOS) && v->bos == MX_TOK_NONE) {
        return pk_fail(c->e, MOXIE_ERROR_TOKENIZER, "%s: texts shall start with a begin token, but none is named",
                       v->path);
    }
    return true;
}

struct scored {
    float score;
    uint32_t id;
};

/* Descending. */
static int compare_scores(const void *left, const void *right) {
    const struct scored *a = left, *b = right;
    return a->score != b->score ? (a->score < b->score) - (a->score > b->score) : (a->id > b->id) - (a->id < b->id);
}

/* Ranks of all normal tokens; equal scores give equal ranks. */
static bool write_ranks(const struct compile *c, uint8_t *out) {
    struct scored *list = malloc((c->v->n_tokens + (size_t)1) * sizeof(*list));
    if (!list) {
        return pk_fail_memory(c->e) != NULL;
    }
    uint32_t n = 0, rank = 0;
    for (uint32_t id = 0; id < c->v->n_tokens; id++) {
        if (kind_of(c, id) == MX_TOK_NORMAL) {
            list[n++] = (struct scored){c->v->scores[id], id};
        }
    }
    qsort(list, n, sizeof(*list), compare_scores);
    memset(out, 0xff, 4 * (size_t)c->v->n_tokens);
    for (uint32_t i = 0; i < n; i++) {
        rank = i > 0 && list[i].score != list[i - 1].score ? i : rank;
        memcpy(out + 4 * (size_t)list[i].id, &rank, sizeof(rank));
    }
    free(list);
    return true;
}

static bool write_blob(struct compile *c, void **blob, size_t *bytes) {
    const struct pk_vocab *v = c->v;
    struct mx_tok_header *h = &c->header;
    memcpy(h->magic, MX_TOK_MAGIC, sizeof(h->magic));
    h->tokens = v->n_tokens;
    h->pretokenizer = v->pretokenizer;
    h->normalizer = v->normalizer;
    h->flags = v->flags;
    h->bos = v->bos;
    h->eos = v->eos;
    h->unknown = v->unknown;
    struct mx_tok_layout l = mx_tok_layout(h);
    h->bytes = l.end;
    uint8_t *out = calloc(1, l.end);
    if (!out) {
        pk_fail_memory(c->e);
        return false;
    }
    memcpy(out, h, sizeof(*h));
    memcpy(out + l.offsets, c->offsets, 4 * ((size_t)h->tokens + 1));
    memset(out + l.byte_tokens, 0xff, 4 * 256);
    memcpy(out + l.merges, c->merges, sizeof(*c->merges) * h->merges);
    memcpy(out + l.merge_slots, c->merge_slots, 4 * (size_t)h->merge_slots);
    memcpy(out + l.token_slots, c->token_slots, 4 * (size_t)h->token_slots);
    memcpy(out + l.specials, c->specials, 4 * (size_t)h->specials);
    memcpy(out + l.pool, c->pool, h->pool_bytes);
    uint8_t byte_kind = v->flags & MX_TOK_CHARACTERS ? MX_TOK_BYTE : MX_TOK_NORMAL;
    for (uint32_t id = 0; id < h->tokens; id++) {
        out[l.kinds + id] = kind_of(c, id);
        const struct pk_vocab_token *token = &v->tokens[id];
        if (kind_of(c, id) == byte_kind && length_of(c, id) == 1 &&
            (byte_kind == MX_TOK_NORMAL || pk_vocab_byte_name(token->text, token->bytes) >= 0)) {
            memcpy(out + l.byte_tokens + 4 * (size_t)c->pool[c->offsets[id]], &id, sizeof(id));
        }
    }
    if ((v->flags & MX_TOK_RANKS) && !write_ranks(c, out + l.ranks)) {
        free(out);
        return false;
    }
    *blob = out;
    *bytes = l.end;
    return true;
}

bool pk_tokenizer_compile(const struct pk_vocab *v, void **blob, size_t *bytes, struct pk_error *e) {
    struct compile c = {.v = v, .e = e};
    bool ok = compile_tokens(&c) && check_ids(&c) && write_blob(&c, blob, bytes);
    free(c.pool);
    free(c.offsets);
    free(c.specials);
    free(c.token_slots);
    free(c.merges);
    free(c.merge_slots);
    return ok;
}
