/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "pack/families.h"
#include "pack/layout_build.h"

/* ---- Segments and tensors ---- */

static bool begin_segment(struct pk_layout_builder *b, uint32_t kind, uint32_t layer, uint32_t expert) {
    if (!pk_layout_grow(&b->segments, b->n_segments, &b->max_segments, sizeof(*b->segments), b->e)) {
        return false;
    }
    b->segments[b->n_segments++] = (struct mx_segment){.kind = kind, .layer = layer, .expert = expert};
    return true;
}

static struct mx_segment *segment(const struct pk_layout_builder *b) {
    return &b->segments[b->n_segments - 1];
}

/* A segment with bytes of the packer's own. */
static bool add_blob(struct pk_layout_builder *b, uint32_t kind, uint64_t bytes) {
    if (bytes == 0) {
        return true;
    }
    if (bytes > b->segment_max) {
        return pk_fail(b->e, MOXIE_ERROR_BOUNDS, "%s: tokenizer or licence of %llu bytes, at most %llu", b->s->path,
                       (unsigned long long)bytes, (unsigned long long)b->segment_max);
    }
    if (!begin_segment(b, kind, MX_NONE, MX_NONE)) {
        return false;
    }
    segment(b)->used = bytes;
    return true;
}

/* Where the planes of `t` come in a segment that is filled up to `used`; returns its new end. */
static uint64_t place_planes(struct mx_tensor *t, uint64_t used) {
    const uint64_t bytes[3] = {mx_tensor_data_bytes(t), mx_tensor_scale_bytes(t), mx_tensor_extra_bytes(t)};
    uint32_t *const offset[3] = {&t->data, &t->scale, &t->extra};
    for (int i = 0; i < 3; i++) {
        *offset[i] = MX_NONE;
        if (bytes[i]) {
            used = pk_round_up(used, MX_PLANE_ALIGN);
            *offset[i] = (uint32_t)used;
            used += bytes[i];
        }
    }
    return used;
}

/* Appends `t` (all but its places is set) to the segment at hand, or to a new one of the same kind. False also when it
 * is too large for any. */
static bool add_tensor(struct pk_layout_builder *b, struct mx_tensor t) {
    if (place_planes(&t, segment(b)->used) > b->segment_max && segment(b)->kind != MX_SEGMENT_EXPERT &&
        segment(b)->used > 0 && !begin_segment(b, segment(b)->kind, segment(b)->layer, segment(b)->expert)) {
        return false;
    }
    uint64_t end = place_planes(&t, segment(b)->used);
    if (end > b->segment_max) {
        return pk_fail(b->e, MOXIE_ERROR_BOUNDS,
                       "%s: layer %d: an expert or matrix needs %llu bytes in one piece, at most %llu can be: choose a "
                       "smaller --weights",
                       b->s->path, (int)t.layer, (unsigned long long)end, (unsigned long long)b->segment_max);
    }
    if (!pk_layout_grow(&b->tensors, b->n_tensors, &b->max_tensors, sizeof(*b->tensors), b->e)) {
        return false;
    }
    segment(b)->used = end;
    t.segment = (uint32_t)(b->n_segments - 1);
    t.segments = 1;
    b->tensors[b->n_tensors++] = t;
    return true;
}

static bool add_vector(struct pk_layout_builder *b, uint32_t role, uint32_t layer, uint64_t n) {
    return add_tensor(b, (struct mx_tensor){
                             .role = role, .format = MX_FORMAT_VECTOR, .layer = layer, .rows = (uint32_t)n, .cols = 1});
}

/* Rows [first, first + rows) of a matrix in as few tensors as segments allow, each but the last of whole tiles. */
static bool add_matrix(struct pk_layout_builder *b, uint32_t role, uint32_t layer, uint64_t first, uint64_t rows,
                       uint64_t cols, struct pk_coding coding) {
    struct mx_tensor t = {.role = role,
                          .format = coding.format,
                          .layer = layer,
                          .rows = PK_TILE,
                          .cols = (uint32_t)cols,
                          .group = coding.group,
                          .scale_type = coding.scale_type};
    const uint64_t tile = mx_tensor_data_bytes(&t) + mx_tensor_scale_bytes(&t) + mx_tensor_extra_bytes(&t);
    const uint64_t most = tile ? (b->segment_max - 3ull * MX_PLANE_ALIGN) / tile * PK_TILE : 0;
    for (uint64_t done = 0; done < rows;) {
        uint64_t take = rows - done;
        if (take > most && role != MX_ROLE_GATE_UP && role != MX_ROLE_DOWN && role != MX_ROLE_ROUTER &&
            role != MX_ROLE_ROUTER_MORE) {
            take = most ? most : PK_TILE; // which add_tensor will find too large
        }
        t.rows = (uint32_t)take;
        t.row_offset = (uint32_t)(first + done);
        if (!add_tensor(b, t)) {
            return false;
        }
        done += take;
    }
    return true;
}

/* ---- What a model consists of ---- */

static bool same_planes(struct pk_coding a, struct pk_coding b) {
    return a.format == b.format && a.scale_type == b.scale_type;
}

/* Query, key and value: one matrix where their formats agree, else several where rows allow. */
static bool add_qkv(struct pk_layout_builder *b, uint32_t l) {
    struct pk_rows all;
    if (!pk_rows_of(b->s, MX_ROLE_QKV, l, 0, &all)) {
        return false;
    }
    struct pk_coding part[3], join = pk_coding_of_rows(b->o, MX_ROLE_QKV, &all);
    bool aligned = true;
    uint32_t group = 0;
    for (unsigned i = 0; i < all.n; i++) {
        part[i] = pk_coding_of(b->o, MX_ROLE_QKV, all.slice[i].tensor);
        aligned = aligned && (i + 1 == all.n || all.slice[i].rows % PK_TILE == 0);
        if (part[i].group && (!group || part[i].group < group)) {
            group = part[i].group;
        }
    }
    uint64_t row = 0;
    for (unsigned i = 0; i < all.n;) {
        struct pk_coding coding = aligned ? part[i] : join;
        uint64_t rows = 0;
        for (; i < all.n && (!aligned || same_planes(part[i], coding)); i++) {
            rows += all.slice[i].rows;
            b->widened += coding.format != part[i].format;
        }
        coding.group = coding.group ? group : 0;
        if (!add_matrix(b, MX_ROLE_QKV, l, row, rows, b->s->model.hidden, coding)) {
            return false;
        }
        row += rows;
    }
    return true;
}

static bool add_plain(struct pk_layout_builder *b, uint32_t role, uint32_t layer, uint64_t rows, uint64_t cols) {
    struct pk_rows all;
    return pk_rows_of(b->s, role, layer, 0, &all) &&
           add_matrix(b, role, layer, 0, rows, cols, pk_coding_of_rows(b->o, role, &all));
}

/* The norm of q and k, where the family has one. */
static bool add_qk_norm(struct pk_layout_builder *b, uint32_t l) {
    const struct mx_model *m = &b->s->model;
    const enum pk_qk_norm norm = pk_family_find(m->architecture)->qk_norm;
    const uint64_t heads = norm == PK_QK_NORM_HEAD ? 2 : m->heads + m->kv_heads;
    return norm == PK_QK_NORM_NONE || add_vector(b, MX_ROLE_QK_NORM, l, heads * m->head_dim);
}

/* The router, its second matrix, and the constants. */
static bool add_router(struct pk_layout_builder *b, uint32_t l) {
    const struct mx_layer *layer = &b->s->layers[l];
    const uint64_t hidden = b->s->model.hidden, more = mx_layer_router_more(layer);
    const uint64_t first = b->s->router_width ? b->s->router_width : layer->routed;
    return add_plain(b, MX_ROLE_ROUTER, l, first + mx_layer_router_extra(layer), hidden) &&
           (!more || add_plain(b, MX_ROLE_ROUTER_MORE, l, more, first)) &&
           (!layer->constants || add_vector(b, MX_ROLE_CONSTANTS, l, layer->constants * hidden));
}

static bool add_attention(struct pk_layout_builder *b, uint32_t l) {
    const struct mx_model *m = &b->s->model;
    const struct mx_layer *layer = &b->s->layers[l];
    const uint64_t q = (uint64_t)m->heads * m->head_dim, qkv = q + 2ull * m->kv_heads * m->head_dim;
    return begin_segment(b, MX_SEGMENT_LAYER, l, MX_NONE) && add_vector(b, MX_ROLE_ATTN_NORM, l, m->hidden) &&
           add_qkv(b, l) && (!b->s->qkv_bias || add_vector(b, MX_ROLE_QKV_BIAS, l, qkv)) && add_qk_norm(b, l) &&
           add_plain(b, MX_ROLE_ATTN_OUT, l, m->hidden, q) && add_vector(b, MX_ROLE_FFN_NORM, l, m->hidden) &&
           (!layer->routed || add_router(b, l));
}

/* The coding that all experts of a layer can have. */
static struct pk_coding expert_coding(struct pk_layout_builder *b, uint32_t role, uint32_t l) {
    const uint32_t experts = mx_layer_experts(&b->s->layers[l]);
    struct pk_coding all = {0};
    for (uint32_t i = 0; i < experts; i++) {
        struct pk_rows rows;
        if (pk_rows_of(b->s, role, l, i, &rows)) {
            struct pk_coding one = pk_coding_of_rows(b->o, role, &rows);
            all = i ? pk_coding_join(all, one) : one;
        }
    }
    for (uint32_t i = 0; i < experts; i++) {
        struct pk_rows rows;
        if (pk_rows_of(b->s, role, l, i, &rows)) {
            b->widened += pk_coding_of(b->o, role, rows.slice[0].tensor).format != all.format;
        }
    }
    return all;
}

static bool add_experts(struct pk_layout_builder *b, uint32_t l) {
    const struct mx_layer *layer = &b->s->layers[l];
    const uint32_t experts = mx_layer_experts(layer);
    const uint64_t hidden = b->s->model.hidden, wide = 2 * pk_round_up(layer->width, PK_TILE);
    const size_t first = b->n_segments;
    if (!begin_segment(b, MX_SEGMENT_EXPERT, l, 0) ||
        !add_matrix(b, MX_ROLE_GATE_UP, l, 0, wide, hidden, expert_coding(b, MX_ROLE_GATE_UP, l)) ||
        !add_matrix(b, MX_ROLE_DOWN, l, 0, hidden, layer->width, expert_coding(b, MX_ROLE_DOWN, l))) {
        return false;
    }
    b->tensors[b->n_tensors - 1].segments = experts;
    b->tensors[b->n_tensors - 2].segments = experts;
    for (uint32_t i = 1; i < experts; i++) {
        if (!begin_segment(b, MX_SEGMENT_EXPERT, l, i)) {
            return false;
        }
        segment(b)->used = b->segments[first].used;
    }
    return true;
}

static bool add_all(struct pk_layout_builder *b, uint64_t tokenizer_bytes, uint64_t license_bytes) {
    const struct mx_model *m = &b->s->model;
    bool ok = add_blob(b, MX_SEGMENT_TOKENIZER, tokenizer_bytes) && add_blob(b, MX_SEGMENT_LICENSE, license_bytes);
    for (uint32_t l = 0; ok && l < m->layers; l++) {
        ok = add_attention(b, l) && add_experts(b, l);
    }
    return ok && begin_segment(b, MX_SEGMENT_DENSE, MX_NONE, MX_NONE) &&
           add_plain(b, MX_ROLE_EMBEDDING, MX_NONE, m->vocab, m->hidden) &&
           add_vector(b, MX_ROLE_FINAL_NORM, MX_NONE, m->hidden) &&
           (m->tied || (begin_segment(b, MX_SEGMENT_DENSE, MX_NONE, MX_NONE) &&
                        add_plain(b, MX_ROLE_HEAD, MX_NONE, m->vocab, m->hidden))) &&
           add_vector(b, MX_ROLE_INV_FREQ, MX_NONE, m->head_dim / 2);
}

/* ---- All of it ---- */

static bool check_model(const struct pk_source *s, struct pk_error *e) {
    const struct mx_model *m = &s->model;
    const struct {
        const char *name;
        uint64_t value, max;
    } limits[] = {{"hidden size", m->hidden, MX_HIDDEN_MAX},
                  {"layers", m->layers, MX_LAYERS_MAX},
                  {"heads", m->heads, MX_HEADS_MAX},
                  {"head dimension", m->head_dim, MX_HEAD_DIM_MAX},
                  {"vocabulary", m->vocab, MX_VOCAB_MAX}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (limits[i].value > limits[i].max) {
            return pk_fail(e, MOXIE_ERROR_MODEL, "%s: %s %llu, a bundle has at most %llu", s->path, limits[i].name,
                           (unsigned long long)limits[i].value, (unsigned long long)limits[i].max);
        }
    }
    for (uint32_t l = 0; l < m->layers; l++) {
        if (s->layers[l].width > MX_WIDTH_MAX || (s->layers[l].routed && s->layers[l].shared > MX_SHARED_MAX)) {
            return pk_fail(e, MOXIE_ERROR_MODEL,
                           "%s: layer %u: width %u, shared expert in %u parts; a bundle has at most %u and %u", s->path,
                           l, s->layers[l].width, s->layers[l].shared, MX_WIDTH_MAX, MX_SHARED_MAX);
        }
    }
    return true;
}

bool pk_layout_make(const struct pk_source *s, const struct pk_pack_options *o, uint64_t tokenizer_bytes,
                    uint64_t license_bytes, struct pk_layout *layout, struct pk_error *e) {
    *layout = (struct pk_layout){0};
    struct pk_layout_builder b = {.s = s,
                                  .o = o,
                                  .segment_max = o->segment_max ? o->segment_max : MX_SEGMENT_MAX,
                                  .member_max = o->member_max ? o->member_max : MX_MEMBER_MAX,
                                  .e = e};
    bool ok = check_model(s, e) && add_all(&b, tokenizer_bytes, license_bytes) && pk_layout_assemble(&b, layout);
    free(b.segments);
    free(b.tensors);
    free(b.members);
    return ok;
}

void pk_layout_free(struct pk_layout *layout) {
    free(layout->manifest);
    *layout = (struct pk_layout){0};
}
