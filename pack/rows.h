/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the rows of a bundle's tensor come from: checkpoints have q, k and v, gate and up, and a wide shared expert,
 * where a bundle has one stacked matrix, alternating tiles, and parts of the routed experts' width. */
#ifndef PK_ROWS_H
#define PK_ROWS_H

#include "pack/source.h"

#define PK_TILE 16  /* rows of a tile */
#define PK_SLICES 8 /* q, k, v; or a router's rows, with two for each constant expert */

/* Rows [first_row, first_row + rows) and columns [first_col, first_col + cols) of a checkpoint's tensor. What is packed
 * is value * factor + offset; only float formats have other than 1 and 0. */
struct pk_slice {
    const struct pk_tensor *tensor;
    uint64_t first_row, rows, first_col, cols;
    float factor, offset;
};

struct pk_rows {
    bool interleaved; /* slices 0 and 1 are gate and up: tile 2i holds rows 16i.. of gate, tile 2i + 1 those of up */
    unsigned n;
    struct pk_slice slice[PK_SLICES]; /* one after the other when not interleaved */
};

/* The matrix of `role` in `layer`, whole; for gate and up and down of expert `expert` (routed ones, then the shared
 * parts). False when the checkpoint lacks a tensor of it, which pk_source_check has excluded, or when it has no such
 * matrix: biases, the router of a dense layer. */
bool pk_rows_of(const struct pk_source *s, uint32_t role, uint32_t layer, uint32_t expert, struct pk_rows *rows);

/* Slice and row (of its tensor) of row `row`; NULL: padding, all zero. */
const struct pk_slice *pk_rows_find(const struct pk_rows *rows, uint64_t row, uint64_t *source_row);

/* Says that rows [first, first + n) will be read soon; those behind the last one are left out. */
void pk_rows_expect(const struct pk_source *s, const struct pk_rows *rows, uint64_t first, uint64_t n);

#endif
