/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments and tensors. Both tables have one legal order, so each is walked along what the model asks for: nothing is
 * missing, nothing is there twice, nothing overlaps, nothing is left over. */
#include "runtime/bundle_check.h"

/* ---- Segments ---- */

struct segment_walk {
    const struct mx_bundle *b;
    uint32_t next;
    uint64_t leaves;
};

/* Takes the next segment if it is (kind, layer, expert); its place in the file was checked with the members. */
static bool take_segment(struct segment_walk *w, uint32_t kind, uint32_t layer, uint32_t expert) {
    if (w->next == w->b->manifest->segments) {
        return false;
    }
    const struct mx_segment *s = &w->b->segments[w->next];
    if (s->kind != kind || s->layer != layer || s->expert != expert) {
        return false;
    }
    w->next++;
    return true;
}

static enum moxie_error check_segment(const struct segment_walk *w, uint32_t i, struct moxie_failure *f) {
    const struct mx_bundle *b = w->b;
    const struct mx_segment *s = &b->segments[i];
    if (s->offset % MX_SEGMENT_ALIGN || s->used == 0 || s->used > MX_SEGMENT_MAX ||
        s->bytes != mx_round_up(s->used, MX_SEGMENT_ALIGN)) {
        return mx_fail(f, MOXIE_ERROR_BOUNDS, mx_offset_of(b, s),
                       "segment %u has %llu bytes of which %llu are used, at %llu", i, (unsigned long long)s->bytes,
                       (unsigned long long)s->used, (unsigned long long)s->offset);
    }
    if (s->first_leaf != w->leaves) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, s), "segment %u starts at leaf %u, expected %llu", i,
                       s->first_leaf, (unsigned long long)w->leaves);
    }
    if (b->manifest->minor <= MX_BUNDLE_MINOR && s->reserved) {
        return mx_fail(f, MOXIE_ERROR_FORMAT, mx_offset_of(b, s), "segment %u: reserved bytes are not zero", i);
    }
    return MOXIE_OK;
}

static enum moxie_error unexpected(const struct segment_walk *w, const char *wanted, uint32_t layer,
                                   struct moxie_failure *f) {
    const struct mx_bundle *b = w->b;
    if (w->next == b->manifest->segments) {
        return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, b->segments), "there is no segment for %s of layer %d",
                       wanted, (int)layer);
    }
    const struct mx_segment *s = &b->segments[w->next];
    return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, s),
                   "segment %u is kind %u, layer %d, expert %d, expected %s of layer %d", w->next, s->kind,
                   (int)s->layer, (int)s->expert, wanted, (int)layer);
}

enum moxie_error mx_check_segments(const struct mx_bundle *b, struct moxie_failure *f) {
    struct segment_walk w = {.b = b};
    take_segment(&w, MX_SEGMENT_TOKENIZER, MX_NONE, MX_NONE);
    bool tokenizer = w.next == 1;
    if (!tokenizer && !mx_all_zero(b->manifest->tokenizer_sha256, 32)) {
        return mx_fail(f, MOXIE_ERROR_TOKENIZER, mx_offset_of(b, b->manifest->tokenizer_sha256),
                       "a tokenizer is named, but there is none");
    }
    take_segment(&w, MX_SEGMENT_LICENSE, MX_NONE, MX_NONE);
    for (uint32_t l = 0; l < b->manifest->layers; l++) {
        if (!take_segment(&w, MX_SEGMENT_LAYER, l, MX_NONE)) {
            return unexpected(&w, "the attention", l, f);
        }
        while (take_segment(&w, MX_SEGMENT_LAYER, l, MX_NONE)) {
        }
        if (b->layers[l].first_expert != w.next) {
            return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, &b->layers[l]),
                           "layer %u: its experts start at segment %u, expected %u", l, b->layers[l].first_expert,
                           w.next);
        }
        for (uint32_t e = 0; e < mx_layer_experts(&b->layers[l]); e++) {
            if (!take_segment(&w, MX_SEGMENT_EXPERT, l, e)) {
                return unexpected(&w, "the next expert", l, f);
            }
        }
    }
    if (!take_segment(&w, MX_SEGMENT_DENSE, MX_NONE, MX_NONE)) {
        return unexpected(&w, "the embedding", MX_NONE, f);
    }
    while (take_segment(&w, MX_SEGMENT_DENSE, MX_NONE, MX_NONE)) {
    }
    if (w.next != b->manifest->segments) {
        return unexpected(&w, "nothing more", MX_NONE, f);
    }
    for (uint32_t i = 0; i < b->manifest->segments; i++) {
        enum moxie_error e = check_segment(&w, i, f);
        if (e) {
            return e;
        }
        w.leaves += mx_segment_leaves(&b->segments[i]);
    }
    if (w.leaves != b->manifest->leaves) {
        return mx_fail(f, MOXIE_ERROR_BOUNDS, mx_offset_of(b, &b->manifest->leaves),
                       "%llu leaves, the segments have %llu", (unsigned long long)b->manifest->leaves,
                       (unsigned long long)w.leaves);
    }
    return MOXIE_OK;
}

/* ---- Tensors ---- */

struct tensor_walk {
    const struct mx_bundle *b;
    uint32_t next;
    uint32_t segment; /* being filled */
    uint32_t copies;  /* 1, or the number of experts: all are filled alike */
    uint64_t filled;  /* bytes of it */
    struct moxie_failure *f;
};

static enum moxie_error bad_tensor(const struct tensor_walk *w, const char *what) {
    const struct mx_tensor *t = &w->b->tensors[w->next];
    return mx_fail(w->f, MOXIE_ERROR_BOUNDS, mx_offset_of(w->b, t), "tensor %u (%s, layer %d): %s", w->next,
                   mx_role_name(t->role), (int)t->layer, what);
}

/* The plane at `offset` must follow what is filled; `bytes` 0: there must be none. */
static bool take_plane(struct tensor_walk *w, uint32_t offset, uint64_t bytes) {
    if (bytes == 0) {
        return offset == MX_NONE;
    }
    uint64_t at = mx_round_up(w->filled, MX_PLANE_ALIGN);
    if (offset != at || bytes > MX_SEGMENT_MAX || at + bytes > w->b->segments[w->segment].used) {
        return false;
    }
    w->filled = at + bytes;
    return true;
}

static bool is_vector(uint32_t role) {
    return role == MX_ROLE_FINAL_NORM || role == MX_ROLE_INV_FREQ || role == MX_ROLE_ATTN_NORM ||
           role == MX_ROLE_QKV_BIAS || role == MX_ROLE_QK_NORM || role == MX_ROLE_FFN_NORM || role == MX_ROLE_CONSTANTS;
}

static bool format_is_right(const struct mx_tensor *t, bool vector) {
    if (vector || !mx_format_is_integer(t->format)) {
        return (vector ? t->format == MX_FORMAT_VECTOR : t->format >= MX_FORMAT_BF16 && t->format <= MX_FORMAT_F32) &&
               t->group == 0 && t->scale_type == MX_SCALE_NONE;
    }
    return (t->group == 32 || t->group == 64 || t->group == 128) &&
           (t->scale_type == MX_SCALE_F16 || t->scale_type == MX_SCALE_F32);
}

/* The segment that was filled is full, and so are its copies. */
static bool segment_is_full(const struct tensor_walk *w) {
    for (uint32_t i = 0; i < w->copies; i++) {
        if (w->b->segments[w->segment + i].used != w->filled) {
            return false;
        }
    }
    return true;
}

/* Takes the next tensor as rows [row, row + its rows) of a matrix with `rows` rows. */
static enum moxie_error take_tensor(struct tensor_walk *w, uint32_t row, uint32_t rows, uint32_t cols) {
    const struct mx_tensor *t = &w->b->tensors[w->next];
    const bool vector = is_vector(t->role);
    if (t->rows == 0 || t->rows > rows - row || t->cols != cols || t->row_offset != row) {
        return bad_tensor(w, "its shape is not the model's");
    }
    if (row + t->rows < rows && (vector || t->rows % 16)) {
        return bad_tensor(w, "its rows end inside a tile");
    }
    if (!format_is_right(t, vector)) {
        return bad_tensor(w, "its format, group or type of scales cannot be");
    }
    if (w->b->manifest->minor <= MX_BUNDLE_MINOR && !mx_all_zero(t->reserved, sizeof t->reserved)) {
        return bad_tensor(w, "reserved bytes are not zero");
    }
    if (w->copies == 1 && w->filled > 0 && t->segment == w->segment + 1 && segment_is_full(w)) {
        w->segment++;
        w->filled = 0;
    }
    if (t->segment != w->segment || t->segments != w->copies || w->segment >= w->b->manifest->segments) {
        return bad_tensor(w, "it does not lie in the next segment");
    }
    if (!take_plane(w, t->data, mx_tensor_data_bytes(t)) || !take_plane(w, t->scale, mx_tensor_scale_bytes(t)) ||
        !take_plane(w, t->extra, mx_tensor_extra_bytes(t))) {
        return bad_tensor(w, "a plane is not at its place in the segment");
    }
    w->next++;
    return MOXIE_OK;
}

static bool next_is(const struct tensor_walk *w, uint32_t role, uint32_t layer) {
    const struct mx_tensor *t = &w->b->tensors[w->next];
    return w->next < w->b->manifest->tensors && t->role == role && t->layer == layer;
}

/* Takes all tensors of a role: together they are the matrix, and one activation group serves them. */
static enum moxie_error take(struct tensor_walk *w, uint32_t role, uint32_t layer, uint32_t rows, uint32_t cols) {
    const struct mx_tensor *integer = NULL;
    uint32_t row = 0;
    while (row < rows) {
        if (!next_is(w, role, layer)) {
            return mx_fail(w->f, MOXIE_ERROR_MODEL, mx_offset_of(w->b, w->b->tensors + w->next),
                           "tensor %u: expected the %s of layer %d, row %u of %u", w->next, mx_role_name(role),
                           (int)layer, row, rows);
        }
        const struct mx_tensor *t = &w->b->tensors[w->next];
        enum moxie_error e = take_tensor(w, row, rows, cols);
        if (e) {
            return e;
        }
        row += t->rows;
        if (mx_format_is_integer(t->format)) {
            integer = integer ? integer : t;
            if (t->group != integer->group) {
                w->next--;
                return bad_tensor(w, "its group is not that of its input site");
            }
        }
        const bool router = role == MX_ROLE_ROUTER || role == MX_ROLE_ROUTER_MORE;
        const bool whole = router || role == MX_ROLE_GATE_UP || role == MX_ROLE_DOWN;
        if ((whole && row < rows) || (router && t->format != MX_FORMAT_F32)) {
            w->next--;
            return bad_tensor(w, whole && row < rows ? "it may not be cut" : "a router is F32");
        }
    }
    return MOXIE_OK;
}

/* Begins with segment `first`, `copies` of them alike. */
static void enter(struct tensor_walk *w, uint32_t first, uint32_t copies) {
    w->segment = first;
    w->copies = copies;
    w->filled = 0;
}

/* The segments up to `end` must be full. */
static enum moxie_error leave(struct tensor_walk *w, uint32_t end) {
    if (w->segment + w->copies == end && segment_is_full(w)) {
        return MOXIE_OK;
    }
    return mx_fail(w->f, MOXIE_ERROR_BOUNDS, mx_offset_of(w->b, &w->b->segments[w->segment]),
                   "segment %u or one up to %u is larger than its tensors", w->segment, end);
}

/* The norm of q and k, of each head or of all heads as one vector, which a norm can have. */
static enum moxie_error take_qk_norm(struct tensor_walk *w, uint32_t i) {
    const struct mx_model *m = &w->b->manifest->model;
    const uint32_t heads = 2 * m->head_dim, all = (m->heads + m->kv_heads) * m->head_dim;
    if (w->b->tensors[w->next].rows != heads && m->heads * m->head_dim > MX_HIDDEN_MAX) {
        return bad_tensor(w, "its vectors are too long for a norm");
    }
    return take(w, MX_ROLE_QK_NORM, i, w->b->tensors[w->next].rows == heads ? heads : all, 1);
}

/* The router of layer i, its second matrix, and the constants. A first layer before a second has any number of rows. */
static enum moxie_error take_router(struct tensor_walk *w, uint32_t i) {
    const struct mx_model *m = &w->b->manifest->model;
    const struct mx_layer *l = &w->b->layers[i];
    const uint32_t extra = mx_layer_router_extra(l), more = mx_layer_router_more(l);
    const bool wide = l->flags & MX_LAYER_TWO_LAYERS && next_is(w, MX_ROLE_ROUTER, i) &&
                      w->b->tensors[w->next].rows > extra && w->b->tensors[w->next].rows - extra <= MX_HIDDEN_MAX;
    const uint32_t first = wide ? w->b->tensors[w->next].rows - extra : l->routed;
    enum moxie_error e = take(w, MX_ROLE_ROUTER, i, first + extra, m->hidden);
    if (!e && more) {
        e = take(w, MX_ROLE_ROUTER_MORE, i, more, first);
    }
    if (!e && l->constants) {
        e = take(w, MX_ROLE_CONSTANTS, i, l->constants * m->hidden, 1);
    }
    return e;
}

static enum moxie_error check_layer(struct tensor_walk *w, uint32_t i) {
    const struct mx_model *m = &w->b->manifest->model;
    const struct mx_layer *l = &w->b->layers[i];
    const uint32_t q = m->heads * m->head_dim, qkv = q + 2 * m->kv_heads * m->head_dim;
    const uint32_t wide = (uint32_t)mx_round_up(l->width, 16) * 2, experts = mx_layer_experts(l);
    enum moxie_error e = take(w, MX_ROLE_ATTN_NORM, i, m->hidden, 1);
    if (!e) {
        e = take(w, MX_ROLE_QKV, i, qkv, m->hidden);
    }
    if (!e && next_is(w, MX_ROLE_QKV_BIAS, i)) {
        e = take(w, MX_ROLE_QKV_BIAS, i, qkv, 1);
    } else if (!e && next_is(w, MX_ROLE_QK_NORM, i)) {
        e = take_qk_norm(w, i);
    }
    if (!e) {
        e = take(w, MX_ROLE_ATTN_OUT, i, m->hidden, q);
    }
    if (!e) {
        e = take(w, MX_ROLE_FFN_NORM, i, m->hidden, 1);
    }
    if (!e && l->routed) {
        e = take_router(w, i);
    }
    if (!e) {
        e = leave(w, l->first_expert);
    }
    if (e) {
        return e;
    }
    enter(w, l->first_expert, experts);
    e = take(w, MX_ROLE_GATE_UP, i, wide, m->hidden);
    if (!e) {
        e = take(w, MX_ROLE_DOWN, i, m->hidden, l->width);
    }
    if (!e) {
        e = leave(w, l->first_expert + experts);
    }
    enter(w, l->first_expert + experts, 1);
    return e;
}

enum moxie_error mx_check_tensors(const struct mx_bundle *b, struct moxie_failure *f) {
    const struct mx_model *m = &b->manifest->model;
    struct tensor_walk w = {.b = b, .f = f};
    uint32_t first = 0;
    while (b->segments[first].kind <= MX_SEGMENT_LICENSE) { /* a dense one is there */
        first++;
    }
    enter(&w, first, 1);
    enum moxie_error e = MOXIE_OK;
    for (uint32_t i = 0; !e && i < m->layers; i++) {
        e = check_layer(&w, i);
    }
    if (!e) {
        e = take(&w, MX_ROLE_EMBEDDING, MX_NONE, m->vocab, m->hidden);
    }
    if (!e) {
        e = take(&w, MX_ROLE_FINAL_NORM, MX_NONE, m->hidden, 1);
    }
    if (!e && !m->tied) {
        e = take(&w, MX_ROLE_HEAD, MX_NONE, m->vocab, m->hidden);
    }
    if (!e) {
        e = take(&w, MX_ROLE_INV_FREQ, MX_NONE, m->head_dim / 2, 1);
    }
    if (!e) {
        e = leave(&w, b->manifest->segments);
    }
    if (!e && w.next != b->manifest->tensors) {
        return mx_fail(f, MOXIE_ERROR_MODEL, mx_offset_of(b, &b->tensors[w.next]),
                       "tensor %u has no place in this model", w.next);
    }
    return e;
}

const char *mx_role_name(uint32_t role) {
    static const char *const names[] = {
        [MX_ROLE_EMBEDDING] = "embedding",
        [MX_ROLE_FINAL_NORM] = "final norm",
        [MX_ROLE_HEAD] = "head",
        [MX_ROLE_INV_FREQ] = "rotary frequencies",
        [MX_ROLE_ATTN_NORM] = "attention norm",
        [MX_ROLE_QKV] = "query, key and value",
        [MX_ROLE_QKV_BIAS] = "bias of query, key and value",
        [MX_ROLE_QK_NORM] = "norm of query and key",
        [MX_ROLE_ATTN_OUT] = "attention output",
        [MX_ROLE_FFN_NORM] = "FFN norm",
        [MX_ROLE_ROUTER] = "router",
        [MX_ROLE_ROUTER_MORE] = "router's second matrix",
        [MX_ROLE_CONSTANTS] = "constants",
        [MX_ROLE_GATE_UP] = "gate and up",
        [MX_ROLE_DOWN] = "down",
    };
    return role < sizeof names / sizeof names[0] && names[role] ? names[role] : "unknown role";
}
