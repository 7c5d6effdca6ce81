/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/folder.h"
#include "pack/pack_build.h"
#include "pack/source_build.h"
#include "pack/tokenizer.h"

/* The root over the leaves of a segment. */
static void set_root(struct packer *p, uint32_t index) {
    struct mx_segment *s = &p->layout.segments[index];
    const uint64_t leaves = (s->bytes + MX_LEAF_BYTES - 1) / MX_LEAF_BYTES;
    struct {
        uint8_t domain[64];
        uint32_t index, kind, layer, expert;
        uint64_t bytes;
    } head = {MX_DOMAIN_SEGMENT, index, s->kind, s->layer, s->expert, s->bytes};
    _Static_assert(sizeof(head) == 64 + 24, "no padding");
    pk_sha256(&head, sizeof(head), p->leaves + 32ull * s->first_leaf, 32 * leaves, s->root);
}

/* What would be packed, in the order of packing. */
static bool count_all(struct packer *p) {
    for (uint32_t s = 0; s < p->layout.manifest->segments; s++) {
        for (uint32_t i = 0; i < p->layout.manifest->tensors; i++) {
            const struct mx_tensor *t = &p->layout.tensors[i];
            struct pk_encoder encoder = {.source = p->source, .options = p->o, .tensor = *t};
            if (s < t->segment || s >= t->segment + t->segments || t->format == MX_FORMAT_VECTOR) {
                continue;
            }
            if (!pk_rows_of(p->source, t->role, t->layer, p->layout.segments[s].expert, &encoder.rows)) {
                return pk_fail(p->e, MOXIE_ERROR_MODEL, "%s: layer %d lacks a tensor", p->source->path, (int)t->layer);
            }
            pk_count_matrix(p, &encoder, NULL, 0);
        }
    }
    return true;
}

/* ---- Archive ---- */

/* The filler between member `i` and the one before it. */
static bool put_filler(struct packer *p, uint32_t i, unsigned *fillers) {
    const struct mx_member *m = &p->layout.members[i];
    const uint64_t end = (m[-1].offset + m[-1].bytes + 511) / 512 * 512, gap = m->offset - 512 - end;
    char name[24];
    if (gap == 0) {
        return true;
    }
    snprintf(name, sizeof(name), "pad.%u", (*fillers)++);
    return pk_writer_member(p->writer, name, gap - 512, p->e) && pk_writer_plain(p->writer, NULL, gap - 512, p->e);
}

static bool put_members(struct packer *p) {
    uint32_t segment = 0;
    unsigned fillers = 0;
    pk_expect_segment(p, 0);
    for (uint32_t i = 0; i < p->layout.manifest->members; i++) {
        const struct mx_member *m = &p->layout.members[i];
        if ((i >= 3 && !put_filler(p, i, &fillers)) || !pk_writer_member(p->writer, m->name, m->bytes, p->e)) {
            return false;
        }
        if (i < 3 && !pk_writer_plain(p->writer, NULL, m->bytes, p->e)) { // filled in by seal
            return false;
        }
        for (uint64_t done = 0; i >= 3 && done < m->bytes; segment++) {
            if (!pk_put_segment(p, segment)) {
                return false;
            }
            done += p->layout.segments[segment].bytes;
        }
    }
    if (!pk_writer_end(p->writer, p->e)) {
        return false;
    }
    for (uint32_t i = 0; i < p->layout.manifest->segments; i++) {
        set_root(p, i);
    }
    return true;
}

/* Signs, and fills the places that were left free. */
static bool seal(struct packer *p) {
    static const uint8_t domain[64] = MX_DOMAIN_MANIFEST;
    const struct mx_member *m = p->layout.members;
    struct mx_manifest *manifest = p->layout.manifest;
    struct mx_signature signature;
    uint8_t digest[32];
    if (pk_writer_position(p->writer) != manifest->bundle_bytes) {
        return pk_fail(p->e, MOXIE_ERROR_BOUNDS, "%s: %llu bytes were written instead of %llu", p->o->output,
                       (unsigned long long)pk_writer_position(p->writer), (unsigned long long)manifest->bundle_bytes);
    }
    if (p->tokenizer) {
        pk_sha256(p->tokenizer, p->tokenizer_bytes, NULL, 0, manifest->tokenizer_sha256);
    }
    pk_sha256(domain, sizeof(domain), manifest, manifest->manifest_bytes, digest);
    pk_key_id(p->o->key->xy, signature.key_id);
    return pk_sign(p->o->key, digest, signature.rs, p->e) &&
           pk_writer_patch(p->writer, m[0].offset, manifest, m[0].bytes, p->e) &&
           pk_writer_patch(p->writer, m[1].offset, &signature, m[1].bytes, p->e) &&
           pk_writer_patch(p->writer, m[2].offset, p->leaves, m[2].bytes, p->e) && pk_writer_commit(p->writer, p->e);
}

static void summarise(struct packer *p) {
    struct pk_summary *s = p->summary;
    const struct mx_manifest *m = p->layout.manifest;
    memcpy(s->model, m->model.id, sizeof(s->model));
    memcpy(s->architecture, m->model.architecture, sizeof(s->architecture));
    if (p->o->key) {
        pk_key_id_text(p->o->key->xy, s->key_id);
    }
    s->unpacked = p->source->folder ? pk_folder_unpacked(p->source->folder) : 0;
    s->parameters = m->weight_parameters;
    s->bundle_bytes = m->bundle_bytes;
    s->weight_bytes = p->layout.weight_bytes;
    s->segments = m->segments;
    s->tensors = m->tensors;
    s->layers = m->layers;
    s->chat_template = m->model.chat_template;
    s->tokenizer = p->tokenizer != NULL;
    s->license = p->license_bytes > 0;
    s->widened = p->layout.widened;
    for (uint32_t i = 0; i < s->kinds; i++) {
        s->kind[i].error = p->squares[i] > 0 ? sqrt(p->error[i] / p->squares[i]) : 0;
    }
}

/* One that is kept as it is. */
static bool is_name(const char *id) {
    struct mx_model m;
    pk_model_set_id(&m, id);
    return id[0] && strcmp(m.id, id) == 0;
}

static bool check_options(const struct pk_pack_options *o, struct pk_error *e) {
    const uint16_t one = 1;
    if (!*(const uint8_t *)&one) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "packing needs a little-endian machine");
    }
    if (!o->dry_run && (!o->output || !o->key)) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "output and key are needed");
    }
    if (o->group != 0 && o->group != 32 && o->group != 64 && o->group != 128) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "group %u: expected 32, 64 or 128", o->group);
    }
    if (o->kv_type > MX_KV_I8) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "kv_type %u: expected 0 or one of enum mx_kv_type", o->kv_type);
    }
    if (o->security_counter > MX_COUNTER_MAX) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "security counter %llu: at most %u",
                       (unsigned long long)o->security_counter, MX_COUNTER_MAX);
    }
    if (o->id && !is_name(o->id)) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT,
                       "the model's name: expected 1 to 63 bytes of UTF-8 without control characters");
    }
    if (o->segment_max % MX_SEGMENT_ALIGN || o->segment_max > MX_SEGMENT_MAX || o->member_max > MX_MEMBER_MAX ||
        (o->segment_max && o->segment_max < MX_LEAF_BYTES)) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "segments of %llu or members of %llu bytes are not possible",
                       (unsigned long long)o->segment_max, (unsigned long long)o->member_max);
    }
    return true;
}

/* Int4 in scattered groups has no format of its own in a bundle: its values can be had, in float32. */
static bool check_scattered(const struct packer *p) {
    struct pk_source *s = p->source;
    size_t n = 0;
    const char *first = NULL;
    for (size_t i = 0; i < s->n_tensors; i++) {
        if (s->tensors[i].scattered && !s->tensors[i].ignored) {
            first = n++ ? first : s->tensors[i].name;
        }
    }
    if (n && p->o->weights == PK_WEIGHTS_INT4) {
        return pk_fail(p->e, MOXIE_ERROR_MODEL,
                       "%s: tensor \"%s\" is in act-order: its groups are scattered over the columns, which a bundle "
                       "cannot hold as Int4; keep and f32 keep the values in float32, int8, bf16 or f16 round them",
                       s->path, first);
    }
    return !n || p->o->weights != PK_WEIGHTS_KEEP ||
           pk_source_note(
               s, p->e,
               "%zu matrices are in act-order, their groups scattered over the columns: their values are kept "
               "in float32, which takes 8 times the space (first: %s); --weights int8 would round them",
               n, first);
}

/* A template that is there but not known: a note has its first words. */
static bool settle_template(const struct packer *p) {
    struct pk_source *s = p->source;
    const char *jinja = p->tokenizer && s->chat_template ? s->chat_template : "";
    s->model.chat_template = pk_chat_template(jinja);
    if (!jinja[0] || s->model.chat_template != MX_CHAT_NONE) {
        return true;
    }
    return pk_source_note(s, p->e,
                          "the chat template is none of those that are known, so moxie chat will refuse the bundle: "
                          "%zu bytes that begin with %.60s",
                          strlen(jinja), jinja);
}

static bool prepare(struct packer *p) {
    if (!pk_source_check(p->source, p->e) || !check_scattered(p) ||
        !pk_tokenizer_from_source(p->source, &p->tokenizer, &p->tokenizer_bytes, p->e) || !settle_template(p)) {
        return false;
    }
    p->license_bytes = p->source->license ? strlen(p->source->license) : 0;
    if (p->o->hollow && (p->tokenizer || p->license_bytes)) {
        return pk_fail(p->e, MOXIE_ERROR_ARGUMENT, "%s: with a tokenizer or a licence a bundle cannot be hollow",
                       p->source->path);
    }
    if (!pk_layout_make(p->source, p->o, p->tokenizer ? p->tokenizer_bytes : 0, p->license_bytes, &p->layout, p->e)) {
        return false;
    }
    if (p->o->dry_run) {
        return true;
    }
    p->leaves = malloc(32 * p->layout.manifest->leaves);
    if (!p->leaves) {
        return pk_fail_memory(p->e) != NULL;
    }
    p->writer = pk_writer_open(p->o->output, p->leaves, p->o->threads, p->e);
    if (p->writer && p->o->hollow) {
        pk_writer_hollow(p->writer);
    }
    return p->writer != NULL;
}

bool pk_pack_source(struct pk_source *source, const struct pk_pack_options *options, pk_progress_fn *progress,
                    void *user, struct pk_summary *summary, struct pk_error *e) {
    struct pk_error unheard = {0};
    struct packer p = {
        .o = options, .source = source, .progress = progress, .user = user, .summary = summary, .e = e ? e : &unheard};
    p.e->code = MOXIE_OK;
    *summary = (struct pk_summary){0};
    bool ok =
        check_options(options, p.e) && prepare(&p) && (options->dry_run ? count_all(&p) : put_members(&p) && seal(&p));
    if (ok) {
        summarise(&p);
    }
    pk_writer_close(p.writer);
    pk_layout_free(&p.layout);
    free(p.leaves);
    free(p.tokenizer);
    return ok;
}

bool pk_pack(const struct pk_pack_options *options, pk_progress_fn *progress, void *user, struct pk_summary *summary,
             struct pk_error *e) {
    if (!options->source) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "a source is needed");
    }
    struct pk_source *source = pk_source_open(options->source, e);
    bool ok = source && pk_pack_source(source, options, progress, user, summary, e);
    pk_source_close(source);
    return ok;
}
