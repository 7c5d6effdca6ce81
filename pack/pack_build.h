/* SPDX-License-Identifier: Apache-2.0
 *
 * What pack.c and pack_segments.c share. */
#ifndef PK_PACK_BUILD_H
#define PK_PACK_BUILD_H

#include "pack/encode.h"
#include "pack/layout.h"
#include "pack/pack.h"
#include "pack/writer.h"

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

/* Writes all of a segment's bytes; asks for the next segment's while it does. */
bool pk_put_segment(struct packer *p, uint32_t index);

/* Says that the beginning of the segment's tensors will be read soon. */
void pk_expect_segment(struct packer *p, uint32_t index);

/* Adds a matrix to the summary; tally: [n], what its tiles cost. */
void pk_count_matrix(struct packer *p, const struct pk_encoder *encoder, const struct pk_tally *tally, size_t n);

#endif
