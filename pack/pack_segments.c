/* SPDX-License-Identifier: Apache-2.0
 *
 * The data of a bundle: tensors encoded on all CPUs, segment by segment. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pack/pack_build.h"
#include "pack/parallel.h"
#include "pack/quantise.h"

#define BATCH_BYTES (4u << 20)  /* of a data plane, encoded at once */
#define AHEAD_BYTES (64u << 20) /* of the checkpoint, asked for before they are needed */

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

void pk_count_matrix(struct packer *p, const struct pk_encoder *encoder, const struct pk_tally *tally, size_t n) {
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

/* How many rows are asked for ahead. */
static uint64_t rows_ahead(const struct pk_encoder *encoder) {
    return (AHEAD_BYTES / (PK_TILE * encoder->rows.slice[0].tensor->row_bytes + 1) + 1) * PK_TILE;
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
        pk_rows_expect(p->source, &encoder->rows, t->row_offset + b.first * PK_TILE + rows_ahead(encoder),
                       most * PK_TILE);
        b.tally = tallies + b.first;
        ok = pk_parallel(n, p->o->threads, encode_one, &b) && pk_writer_put(p->writer, b.data, n * b.data_tile, p->e) &&
             report(p);
        *at += n * b.data_tile;
    }
    ok = ok && put_plane(p, at, t->scale, b.scale, scales) && put_plane(p, at, t->extra, b.extra, extras);
    if (ok) {
        pk_count_matrix(p, encoder, tallies, tiles);
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

void pk_expect_segment(struct packer *p, uint32_t index) {
    for (uint32_t i = 0; index < p->layout.manifest->segments && i < p->layout.manifest->tensors; i++) {
        const struct mx_tensor *t = &p->layout.tensors[i];
        struct pk_encoder encoder = {.tensor = *t};
        if (index >= t->segment && index < t->segment + t->segments && t->format != MX_FORMAT_VECTOR &&
            pk_rows_of(p->source, t->role, t->layer, p->layout.segments[index].expert, &encoder.rows)) {
            pk_rows_expect(p->source, &encoder.rows, t->row_offset, rows_ahead(&encoder));
        }
    }
}

bool pk_put_segment(struct packer *p, uint32_t index) {
    const struct mx_segment *s = &p->layout.segments[index];
    uint64_t at = 0;
    bool ok = true;
    pk_expect_segment(p, index + 1);
    if (s->kind == MX_SEGMENT_TOKENIZER || s->kind == MX_SEGMENT_LICENSE) {
        const bool license = s->kind == MX_SEGMENT_LICENSE;
        ok = put_plane(p, &at, 0, license ? (const uint8_t *)p->source->license : p->tokenizer, s->used);
    }
    for (uint32_t i = 0; ok && !p->o->hollow && i < p->layout.manifest->tensors; i++) {
        const struct mx_tensor *t = &p->layout.tensors[i];
        if (index >= t->segment && index < t->segment + t->segments) {
            ok = put_tensor(p, t, s, &at);
        }
    }
    return ok && pk_writer_put(p->writer, NULL, s->bytes - at, p->e) && pk_writer_end_segment(p->writer, p->e) &&
           report(p);
}
