/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/rows.h"

#include <stdarg.h>
#include <stdio.h>

static bool add(const struct pk_source *s, struct pk_rows *r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends a whole tensor. */
static bool add(const struct pk_source *s, struct pk_rows *r, const char *format, ...) {
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    const struct pk_tensor *t = pk_source_find(s, name);
    if (!t) {
        return false;
    }
    if (r->n == PK_SLICES) {
        return false;
    }
    r->slice[r->n++] = (struct pk_slice){.tensor = t, .rows = t->rows, .cols = t->cols, .factor = 1};
    return true;
}

/* The part of a shared expert's `wide` rows or columns that expert `part` of `width` has; the last may be narrower. */
static void cut(uint64_t *first, uint64_t *count, uint64_t part, uint64_t width, uint64_t wide) {
    *first = part * width;
    *count = wide - *first < width ? wide - *first : width;
}

static bool expert_rows(const struct pk_source *s, uint32_t role, uint32_t l, uint32_t expert, struct pk_rows *r) {
    const struct mx_layer *layer = &s->layers[l];
    const uint32_t routed = layer->routed - mx_layer_light(layer); // those with matrices
    char prefix[96];
    if (!layer->routed) {
        snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp", l);
    } else if (expert < routed) {
        snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.experts.%u", l, expert);
    } else {
        snprintf(prefix, sizeof(prefix), "model.layers.%u.mlp.shared_expert", l);
    }
    r->interleaved = role == MX_ROLE_GATE_UP;
    bool found = r->interleaved ? add(s, r, "%s.gate_proj.weight", prefix) && add(s, r, "%s.up_proj.weight", prefix)
                                : add(s, r, "%s.down_proj.weight", prefix);
    for (unsigned i = 0; found && layer->routed && expert >= routed && i < r->n; i++) {
        struct pk_slice *slice = &r->slice[i];
        cut(r->interleaved ? &slice->first_row : &slice->first_col, r->interleaved ? &slice->rows : &slice->cols,
            expert - routed, layer->width, s->shared_width);
    }
    return found;
}

/* Of every constant expert of the layer. */
static bool constants(const struct pk_source *s, struct pk_rows *r, uint32_t layer, const char *what) {
    const struct mx_layer *l = &s->layers[layer];
    const uint32_t first = l->routed - mx_layer_light(l);
    for (uint32_t j = first; j < first + l->constants; j++) {
        if (!add(s, r, "model.layers.%u.mlp.experts.%u.%s", layer, j, what)) {
            return false;
        }
    }
    return true;
}

/* Experts that read a multiple of their input get it from the norm; the router then makes up for it. Both are exact. */
static bool router_rows(const struct pk_source *s, struct pk_rows *r, uint32_t layer) {
    bool ok = add(s, r, "model.layers.%u.mlp.gate.weight", layer);
    if (ok && s->expert_factor != 0) {
        r->slice[0].factor = 1 / s->expert_factor;
    }
    return ok && constants(s, r, layer, "wg.weight") &&
           (!(s->layers[layer].flags & MX_LAYER_SHARED_GATE) ||
            add(s, r, "model.layers.%u.mlp.shared_expert_gate.weight", layer));
}

/* The one vector of a norm. */
static bool norm_row(const struct pk_source *s, struct pk_rows *r, float factor) {
    r->slice[0].offset = s->norm_offset * factor;
    r->slice[0].factor = factor;
    return true;
}

bool pk_rows_of(const struct pk_source *s, uint32_t role, uint32_t layer, uint32_t expert, struct pk_rows *rows) {
    *rows = (struct pk_rows){0};
    switch (role) {
    case MX_ROLE_EMBEDDING:
        return add(s, rows, "model.embed_tokens.weight");
    case MX_ROLE_FINAL_NORM:
        return add(s, rows, "model.norm.weight") && norm_row(s, rows, 1);
    case MX_ROLE_HEAD:
        return add(s, rows, "lm_head.weight");
    case MX_ROLE_ATTN_NORM:
        return add(s, rows, "model.layers.%u.input_layernorm.weight", layer) && norm_row(s, rows, 1);
    case MX_ROLE_QKV:
    case MX_ROLE_QKV_BIAS: {
        const char *what = role == MX_ROLE_QKV ? "weight" : "bias";
        return add(s, rows, "model.layers.%u.self_attn.q_proj.%s", layer, what) &&
               add(s, rows, "model.layers.%u.self_attn.k_proj.%s", layer, what) &&
               add(s, rows, "model.layers.%u.self_attn.v_proj.%s", layer, what);
    }
    case MX_ROLE_QK_NORM:
        return add(s, rows, "model.layers.%u.self_attn.q_norm.weight", layer) &&
               add(s, rows, "model.layers.%u.self_attn.k_norm.weight", layer);
    case MX_ROLE_ATTN_OUT:
        return add(s, rows, "model.layers.%u.self_attn.o_proj.weight", layer);
    case MX_ROLE_FFN_NORM:
        return add(s, rows, "model.layers.%u.post_attention_layernorm.weight", layer) &&
               norm_row(s, rows, s->expert_factor != 0 ? s->expert_factor : 1);
    case MX_ROLE_ROUTER:
        return router_rows(s, rows, layer);
    case MX_ROLE_ROUTER_MORE:
        return (!(s->layers[layer].flags & MX_LAYER_TWO_LAYERS) ||
                add(s, rows, "model.layers.%u.mlp.gate_out.weight", layer)) &&
               (!(s->layers[layer].flags & MX_LAYER_CARRIED) ||
                add(s, rows, "model.layers.%u.mlp.gate_map.weight", layer));
    case MX_ROLE_CONSTANTS:
        return constants(s, rows, layer, "constant");
    case MX_ROLE_GATE_UP:
    case MX_ROLE_DOWN:
        return expert_rows(s, role, layer, expert, rows);
    default:
        return false;
    }
}

const struct pk_slice *pk_rows_find(const struct pk_rows *rows, uint64_t row, uint64_t *source_row) {
    if (rows->interleaved) {
        const struct pk_slice *slice = &rows->slice[row / PK_TILE % 2];
        uint64_t at = row / (2 * PK_TILE) * PK_TILE + row % PK_TILE;
        *source_row = slice->first_row + at;
        return at < slice->rows ? slice : NULL;
    }
    for (unsigned i = 0; i < rows->n; i++) {
        if (row < rows->slice[i].rows) {
            *source_row = rows->slice[i].first_row + row;
            return &rows->slice[i];
        }
        row -= rows->slice[i].rows;
    }
    return NULL;
}

void pk_rows_expect(const struct pk_source *s, const struct pk_rows *rows, uint64_t first, uint64_t n) {
    uint64_t from[PK_SLICES] = {0}, to[PK_SLICES] = {0}; // of each slice
    for (uint64_t row = first; row - first < n; row += PK_TILE) {
        uint64_t at;
        const struct pk_slice *slice = pk_rows_find(rows, row, &at);
        if (slice) {
            const size_t i = (size_t)(slice - rows->slice);
            from[i] = to[i] ? from[i] : at;
            to[i] = at + PK_TILE;
        }
    }
    for (unsigned i = 0; i < rows->n; i++) {
        if (to[i]) {
            pk_source_expect(s, rows->slice[i].tensor, from[i], to[i] - from[i]);
        }
    }
}
