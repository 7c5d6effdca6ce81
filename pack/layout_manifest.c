/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/layout_build.h"

#define TAR_BLOCK 512u
#define MIN_RUNTIME 0x000100u /* MOXIE_VERSION of the first library */

bool pk_layout_grow(void *array, size_t n, size_t *max, size_t size, struct pk_error *e) {
    void **at = array, *bigger;
    if (n < *max) {
        return true;
    }
    size_t more = *max ? *max * 2 : 64;
    bigger = realloc(*at, more * size);
    if (!bigger) {
        return pk_fail_memory(e) != NULL;
    }
    *at = bigger;
    *max = more;
    return true;
}

/* ---- Members and places ---- */

static bool add_member(struct pk_layout_builder *b, const char *name, uint64_t bytes) {
    if (!pk_layout_grow(&b->members, b->n_members, &b->max_members, sizeof(*b->members), b->e)) {
        return false;
    }
    struct mx_member *member = &b->members[b->n_members++];
    *member = (struct mx_member){.bytes = bytes};
    snprintf(member->name, sizeof(member->name), "%s", name);
    return true;
}

/* Name of the group of members that a segment belongs to. */
static void group_name(const struct mx_segment *s, char name[static 24]) {
    if (s->kind == MX_SEGMENT_LAYER || s->kind == MX_SEGMENT_EXPERT) {
        snprintf(name, 24, "layer.%03u", s->layer);
    } else {
        snprintf(name, 24, "%s", s->kind == MX_SEGMENT_DENSE ? "dense" : "host");
    }
}

/* Segments to members, one for each group unless it becomes too long; numbers the leaves. */
static bool make_members(struct pk_layout_builder *b, uint64_t *leaves) {
    char group[24] = "", name[40];
    unsigned part = 0;
    if (!add_member(b, "manifest", 0) || !add_member(b, "signature", sizeof(struct mx_signature)) ||
        !add_member(b, "tree", 0)) {
        return false;
    }
    *leaves = 0;
    for (size_t i = 0; i < b->n_segments; i++) {
        struct mx_segment *s = &b->segments[i];
        s->bytes = pk_round_up(s->used, MX_SEGMENT_ALIGN);
        s->first_leaf = (uint32_t)*leaves;
        *leaves += (s->bytes + MX_LEAF_BYTES - 1) / MX_LEAF_BYTES;
        char own[24];
        group_name(s, own);
        bool same = strcmp(group, own) == 0;
        if (same && b->members[b->n_members - 1].bytes + s->bytes <= b->member_max) {
            b->members[b->n_members - 1].bytes += s->bytes;
            continue;
        }
        part = same ? part + 1 : 0;
        memcpy(group, own, sizeof(group));
        if (part) {
            snprintf(name, sizeof(name), "%s.%u", group, part);
        } else {
            snprintf(name, sizeof(name), "%s", group);
        }
        if (!add_member(b, name, s->bytes)) {
            return false;
        }
    }
    b->members[2].bytes = *leaves * 32;
    return true;
}

/* Places of members and segments; returns the size of the file. */
static uint64_t place_members(struct pk_layout_builder *b, uint64_t manifest_bytes) {
    uint64_t at = 0;
    size_t next = 0;
    b->members[0].bytes = manifest_bytes;
    for (size_t i = 0; i < b->n_members; i++) {
        struct mx_member *m = &b->members[i];
        m->offset = i < 3 ? at + TAR_BLOCK : pk_round_up(at + TAR_BLOCK, MX_MEMBER_ALIGN);
        for (uint64_t filled = 0; i >= 3 && filled < m->bytes; next++) {
            b->segments[next].offset = m->offset + filled;
            filled += b->segments[next].bytes;
        }
        at = pk_round_up(m->offset + m->bytes, TAR_BLOCK);
    }
    return at + 2ull * TAR_BLOCK;
}

/* ---- The manifest ---- */

static uint64_t count_parameters(const struct pk_source *s) {
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_tensors; i++) {
        n += s->tensors[i].ignored || s->tensors[i].rows == 1 ? 0 : s->tensors[i].rows * s->tensors[i].cols;
    }
    return n;
}

static uint32_t kv_type_of(const struct pk_layout_builder *b) {
    uint32_t kv_type = MX_KV_F32;
    for (size_t i = 0; i < b->n_tensors; i++) {
        kv_type = mx_format_is_integer(b->tensors[i].format) ? MX_KV_F16 : kv_type;
    }
    return b->o->kv_type ? b->o->kv_type : kv_type;
}

static void set_model(const struct pk_layout_builder *b, struct mx_manifest *manifest) {
    struct mx_model *m = &manifest->model;
    *m = b->s->model;
    m->kv_type = kv_type_of(b);
    if (m->max_positions > MX_POSITIONS_MAX) { // beyond, angles lose their exactness
        m->max_positions = MX_POSITIONS_MAX;
    }
    if (b->o->id) {
        memset(m->id, 0, sizeof(m->id));
        snprintf(m->id, sizeof(m->id), "%s", b->o->id);
    }
}

bool pk_layout_assemble(struct pk_layout_builder *b, struct pk_layout *out) {
    uint64_t leaves;
    if (!make_members(b, &leaves)) {
        return false;
    }
    const uint64_t sizes[4] = {b->n_members * sizeof(*b->members), b->s->model.layers * sizeof(struct mx_layer),
                               b->n_segments * sizeof(*b->segments), b->n_tensors * sizeof(*b->tensors)};
    const uint64_t bytes = sizeof(struct mx_manifest) + sizes[0] + sizes[1] + sizes[2] + sizes[3];
    if (bytes > MX_MANIFEST_MAX || leaves > UINT32_MAX) {
        return pk_fail(b->e, MOXIE_ERROR_BOUNDS, "%s: the model has too many parts for a bundle", b->s->path);
    }
    const uint64_t bundle_bytes = place_members(b, bytes);
    struct mx_manifest *m = calloc(1, bytes);
    if (!m) {
        return pk_fail_memory(b->e) != NULL;
    }
    memcpy(m->magic, MX_BUNDLE_MAGIC, sizeof(m->magic));
    m->major = MX_BUNDLE_MAJOR;
    m->minor = MX_BUNDLE_MINOR;
    m->arithmetic = MX_ARITHMETIC_ID;
    m->min_runtime = MIN_RUNTIME;
    m->manifest_bytes = bytes;
    m->bundle_bytes = bundle_bytes;
    m->security_counter = b->o->security_counter;
    m->weight_parameters = count_parameters(b->s);
    set_model(b, m);
    const uint32_t at = (uint32_t)sizeof(*m);
    m->members_offset = at;
    m->members = (uint32_t)b->n_members;
    m->layers_offset = (uint32_t)(at + sizes[0]);
    m->layers = b->s->model.layers;
    m->segments_offset = (uint32_t)(m->layers_offset + sizes[1]);
    m->segments = (uint32_t)b->n_segments;
    m->tensors_offset = (uint32_t)(m->segments_offset + sizes[2]);
    m->tensors = (uint32_t)b->n_tensors;
    m->leaves = leaves;

    uint8_t *base = (uint8_t *)m;
    out->manifest = m;
    out->members = memcpy(base + m->members_offset, b->members, sizes[0]);
    out->layers = memcpy(base + m->layers_offset, b->s->layers, sizes[1]);
    out->segments = memcpy(base + m->segments_offset, b->segments, sizes[2]);
    out->tensors = memcpy(base + m->tensors_offset, b->tensors, sizes[3]);
    out->widened = b->widened;
    for (uint32_t i = 0; i < m->segments; i++) {
        const struct mx_segment *s = &out->segments[i];
        out->weight_bytes += s->kind >= MX_SEGMENT_LAYER ? s->bytes : 0;
        if (s->kind == MX_SEGMENT_EXPERT && s->expert == 0) {
            out->layers[s->layer].first_expert = i;
        }
    }
    return true;
}
