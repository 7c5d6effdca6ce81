/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/pack.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/encode.h"
#include "pack/folder.h"
#include "pack/layout.h"
#include "pack/parallel.h"
#include "pack/quantise.h"
#include "pack/tokenizer.h"
#include "pack/writer.h"

#define BATCH_BYTES (4u << 20) /* of a data plane, encoded at once */

struct packer {
    const struct pk_pack_options *o;
    struct pk_source *source;
    struct pk_layout layout;
    struct pk_writer *writer;
    void *tokenizer; /* NULL: none */
    size_t tokenizer_bytes, license_bytes;
    uint8_t *leaves; /* (leaves, 32) */
    pk_progress_fn *progress;
    void *user;
    struct pk_summary *summary;
    double error[PK_KINDS_MAX], squares[PK_KINDS_MAX]; /* sums behind summary->kind[].error */
    struct pk_error *e;
};

static bool report(struct packer *p) {
    if (!p->progress || !p->progress(p->user, pk_writer_position(p->writer), p->layout.manifest->bundle_bytes)) {
        return true;
    }
    return pk_fail(p->e, MOXIE_ERROR_CANCELLED, "%s: packing was stopped", p->o->output);
}

/* ---- Tensors ---- */

/* Tiles encoded at once, on several threads. */
struct batch {
    const struct pk_encoder *encoder;
    uint64_t first;
    uint8_t *data, *scale, *extra; /* data of this batch; scale and extra of the whole tensor */
    uint64_t data_tile, scale_tile, extra_tile;
    struct pk_tally *tally; /* one per tile: sums in a fixed order */
    pthread_mutex_t lock;
    struct pk_error *e; /* the first failure */
};

static bool encode_one(void *context, size_t i) {
    struct batch *b = context;
    struct pk_error e = {0};
    const uint64_t tile = b->first + i;
    if (pk_encode_tile(b->encoder, tile, b->data + i * b->data_tile, b->scale + tile * b->scale_tile,
                       b->extra + tile * b->extra_tile, &b->tally[i], &e)) {
        return true;
    }
    pthread_mutex_lock(&b->lock);
    if (b->e && b->e->code == MOXIE_OK) {
        *b->e = e;
    }
    pthread_mutex_unlock(&b->lock);
    return false;
}

/* The element of summary->kind for this tensor; the last one takes what has no room. */
static uint32_t kind_of(struct packer *p, const struct mx_tensor *t) {
    struct pk_summary *s = p->summary;
    uint32_t i = 0;
    while (i < s->kinds &&
           (s->kind[i].role != t->role || s->kind[i].format != t->format || s->kind[i].group != t->group)) {
        i++;
    }
    if (i == PK_KINDS_MAX) {
        return i - 1;
    }
    if (i == s->kinds) {
        s->kind[s->kinds++] = (struct pk_kind){.role = t->role, .format = t->format, .group = t->group};
    }
    return i;
}

/* Adds a matrix to the summary; tally: [n], what its tiles cost. */
static void count(struct packer *p, const struct pk_encoder *encoder, const struct pk_tally *tally, size_t n) {
    const struct mx_tensor *t = &encoder->tensor;
    const uint32_t i = kind_of(p, t);
    struct pk_kind *kind = &p->summary->kind[i];
    kind->matrices++;
    kind->rounded = kind->rounded || !pk_is_exact(p->o, t, &encoder->rows);
    kind->parameters += (uint64_t)t->rows * t->cols;
    kind->bytes += mx_tensor_data_bytes(t) + mx_tensor_scale_bytes(t) + mx_tensor_extra_bytes(t);
    for (size_t k = 0; k < n; k++) {
        p->error[i] += tally[k].squared_error;
        p->squares[i] += tally[k].squares;
        p->summary->flushed += tally[k].flushed;
    }
}

/* Zeros up to the plane at `offset`; *at counts the bytes of the segment. */
static bool put_gap(struct packer *p, uint64_t *at, uint32_t offset) {
    uint64_t n = offset - *at;
    *at = offset;
    return pk_writer_put(p->writer, NULL, n, p->e);
}

static bool put_plane(struct packer *p, uint64_t *at, uint32_t offset, const uint8_t *data, uint64_t n) {
    if (n == 0) {
        return true;
    }
    bool ok = put_gap(p, at, offset) && pk_writer_put(p->writer, data, n, p->e);
    *at += n;
    return ok;
}

/* All planes of a matrix, with scales and extras held back until the data is written. */
static bool put_matrix(struct packer *p, const struct pk_encoder *encoder, uint64_t *at) {
    const struct mx_tensor *t = &encoder->tensor;
    const uint64_t tiles = mx_tensor_tiles(t), scales = mx_tensor_scale_bytes(t), extras = mx_tensor_extra_bytes(t);
    struct batch b = {.encoder = encoder,
                      .data_tile = mx_tensor_data_bytes(t) / tiles,
                      .scale_tile = scales / tiles,
                      .extra_tile = extras / tiles,
                      .e = p->e};
    uint64_t most = BATCH_BYTES / (b.data_tile + 1) + 1;
    most = most < tiles ? most : tiles;
    b.data = malloc(most * b.data_tile + 1);
    b.scale = calloc(1, scales + 1);
    b.extra = calloc(1, extras + 1);
    b.tally = calloc(tiles, sizeof(*b.tally));
    pthread_mutex_init(&b.lock, NULL);
    bool ok = (b.data && b.scale && b.extra && b.tally) || (pk_fail_memory(p->e), false);
    struct pk_tally *tallies = b.tally;
    ok = ok && put_gap(p, at, t->data);
    for (; ok && b.first < tiles; b.first += most) {
        uint64_t n = tiles - b.first < most ? tiles - b.first : most;
        b.tally = tallies + b.first;
        ok = pk_parallel(n, p->o->threads, encode_one, &b) && pk_writer_put(p->writer, b.data, n * b.data_tile, p->e) &&
             report(p);
        *at += n * b.data_tile;
    }
    ok = ok && put_plane(p, at, t->scale, b.scale, scales) && put_plane(p, at, t->extra, b.extra, extras);
    if (ok) {
        count(p, encoder, tallies, tiles);
    }
    pthread_mutex_destroy(&b.lock);
    free(tallies);
    free(b.extra);
    free(b.scale);
    free(b.data);
    return ok;
}

/* theta^(-2i / head_dim), the frequencies of RoPE. */
static void inverse_frequencies(const struct mx_model *m, float *out) {
    for (uint32_t i = 0; i < m->head_dim / 2; i++) {
        out[i] = (float)pow((double)m->rope_theta, -2.0 * i / m->head_dim);
    }
    pk_flush(out, m->head_dim / 2);
}

static bool put_vector(struct packer *p, const struct pk_encoder *encoder, uint64_t *at) {
    const struct mx_tensor *t = &encoder->tensor;
    struct pk_tally tally = {0};
    uint8_t *values = malloc(4ull * t->rows);
    bool ok = values || (pk_fail_memory(p->e), false);
    if (ok && t->role == MX_ROLE_INV_FREQ) {
        float frequencies[MX_HEAD_DIM_MAX / 2];
        inverse_frequencies(&p->source->model, frequencies);
        memcpy(values, frequencies, 4ull * t->rows); // little-endian, checked by pk_pack
    } else if (ok) {
        ok = pk_encode_vector(encoder, values, &tally, p->e);
    }
    ok = ok && put_plane(p, at, t->data, values, 4ull * t->rows);
    p->summary->flushed += tally.flushed;
    free(values);
    return ok;
}

/* The copy of tensor `t` that lies in segment `segment`. */
static bool put_tensor(struct packer *p, const struct mx_tensor *t, const struct mx_segment *segment, uint64_t *at) {
    struct pk_encoder encoder = {.source = p->source, .options = p->o, .tensor = *t};
    if (t->role != MX_ROLE_INV_FREQ && !pk_rows_of(p->source, t->role, t->layer, segment->expert, &encoder.rows)) {
        return pk_fail(p->e, MOXIE_ERROR_MODEL, "%s: layer %d lacks a tensor", p->source->path, (int)t->layer);
    }
    return t->format == MX_FORMAT_VECTOR ? put_vector(p, &encoder, at) : put_matrix(p, &encoder, at);
}

/* ---- Segments ---- */

static bool put_segment(struct packer *p, uint32_t index) {
    const struct mx_segment *s = &p->layout.segments[index];
    uint64_t at = 0;
    bool ok = true;
    if (s->kind == MX_SEGMENT_TOKENIZER || s->kind == MX_SEGMENT_LICENSE) {
        const bool license = s->kind == MX_SEGMENT_LICENSE;
        ok = put_plane(p, &at, 0, license ? (const uint8_t *)p->source->license : p->tokenizer, s->used);
    }
    for (uint32_t i = 0; ok && i < p->layout.manifest->tensors; i++) {
        const struct mx_tensor *t = &p->layout.tensors[i];
        if (index >= t->segment && index < t->segment + t->segments) {
            ok = put_tensor(p, t, s, &at);
        }
    }
    return ok && pk_writer_put(p->writer, NULL, s->bytes - at, p->e) && pk_writer_end_segment(p->writer, p->e) &&
           report(p);
}

/* The root over the leaves of a segment. */
static bool set_root(struct packer *p, uint32_t index) {
    struct mx_segment *s = &p->layout.segments[index];
    const uint64_t leaves = (s->bytes + MX_LEAF_BYTES - 1) / MX_LEAF_BYTES;
    struct {
        uint8_t domain[64];
        uint32_t index, kind, layer, expert;
        uint64_t bytes;
    } head = {MX_DOMAIN_SEGMENT, index, s->kind, s->layer, s->expert, s->bytes};
    _Static_assert(sizeof(head) == 64 + 24, "no padding");
    pk_sha256(&head, sizeof(head), p->leaves + 32ull * s->first_leaf, 32 * leaves, s->root);
    return true;
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
            count(p, &encoder, NULL, 0);
        }
    }
    return true;
}

/* ---- Archive ---- */

/* The filler that lets the next member's data begin at `offset`. */
static bool put_filler(struct packer *p, uint64_t offset, unsigned *fillers) {
    const uint64_t at = (pk_writer_position(p->writer) + 511) / 512 * 512, gap = offset - 512 - at;
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
    for (uint32_t i = 0; i < p->layout.manifest->members; i++) {
        const struct mx_member *m = &p->layout.members[i];
        if ((i >= 3 && !put_filler(p, m->offset, &fillers)) || !pk_writer_member(p->writer, m->name, m->bytes, p->e)) {
            return false;
        }
        if (i < 3 && !pk_writer_plain(p->writer, NULL, m->bytes, p->e)) { // filled in by seal
            return false;
        }
        for (uint64_t done = 0; i >= 3 && done < m->bytes; segment++) {
            if (!put_segment(p, segment) || !set_root(p, segment)) {
                return false;
            }
            done += p->layout.segments[segment].bytes;
        }
    }
    return pk_writer_end(p->writer, p->e);
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
    if (o->security_counter > MX_COUNTER_MAX) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "security counter %llu: at most %u",
                       (unsigned long long)o->security_counter, MX_COUNTER_MAX);
    }
    if (o->id && (!o->id[0] || strlen(o->id) >= sizeof(((struct mx_model *)0)->id))) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "model name \"%s\": expected 1 to 63 bytes", o->id);
    }
    if (o->segment_max % MX_SEGMENT_ALIGN || o->segment_max > MX_SEGMENT_MAX || o->member_max > MX_MEMBER_MAX ||
        (o->segment_max && o->segment_max < MX_LEAF_BYTES)) {
        return pk_fail(e, MOXIE_ERROR_ARGUMENT, "segments of %llu or members of %llu bytes are not possible",
                       (unsigned long long)o->segment_max, (unsigned long long)o->member_max);
    }
    return true;
}

/* Scattered groups can be had as numbers, but not as they are. */
static bool check_scattered(const struct packer *p) {
    const struct pk_source *s = p->source;
    for (size_t i = 0; p->o->weights <= PK_WEIGHTS_INT4 && i < s->n_tensors; i++) {
        if (s->tensors[i].scattered && !s->tensors[i].ignored) {
            return pk_fail(p->e, MOXIE_ERROR_MODEL,
                           "%s: tensor \"%s\" is in act-order: its groups are scattered over the columns, which a "
                           "bundle cannot hold as Int4; --weights f32 keeps the values, int8, bf16 or f16 round them",
                           s->path, s->tensors[i].name);
        }
    }
    return true;
}

static bool prepare(struct packer *p) {
    if (!pk_source_check(p->source, p->e) || !check_scattered(p) ||
        !pk_tokenizer_from_source(p->source, &p->tokenizer, &p->tokenizer_bytes, p->e)) {
        return false;
    }
    p->license_bytes = p->source->license ? strlen(p->source->license) : 0;
    p->source->model.chat_template = p->tokenizer ? pk_chat_template(p->source->chat_template) : MX_CHAT_NONE;
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
