/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles: sixteen rows of a checkpoint's matrix to the bytes of a bundle (bundle_format.h says which byte is what). */
#ifndef PK_ENCODE_H
#define PK_ENCODE_H

#include "pack/coding.h"

/* A tensor and where its values come from. */
struct pk_encoder {
    const struct pk_source *source;
    const struct pk_pack_options *options;
    struct mx_tensor tensor; /* role, format, rows, cols, row_offset, group, scale_type */
    struct pk_rows rows;     /* the whole matrix; the tensor's row 0 is its row `row_offset` */
};

/* What encoding cost. */
struct pk_tally {
    double squared_error, squares;
    uint64_t flushed;
};

/* Encodes tile `tile` into its part of each plane: data bytes / tiles at `data`, and so on; `scale` and `extra` may be
 * NULL when the format has no such plane. Refuses what is not finite, by file, tensor, row and column. Any thread. */
bool pk_encode_tile(const struct pk_encoder *encoder, uint64_t tile, uint8_t *data, uint8_t *scale, uint8_t *extra,
                    struct pk_tally *tally, struct pk_error *e);

/* The float32 values of a VECTOR, [tensor.rows]. */
bool pk_encode_vector(const struct pk_encoder *encoder, uint8_t *data, struct pk_tally *tally, struct pk_error *e);

#endif
