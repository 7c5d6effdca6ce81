/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands between two copies of linear.cl in the program of sequence.cl: the second is the product of float32 matrices,
 * under names of its own. So a router does not end a list. */
#if MX_INTEGER
#define MX_WITH_FLOAT32 1 /* else the first copy may be that of another float format: lists have no router in it */
#endif
#undef MX_FORMAT
#define MX_FORMAT MX_F32
#undef MX_WEIGHT_ROW
#define MX_WEIGHT_ROW(p, i) MX_ROW(p, i)
#undef MX_TILE_BYTES
#undef MX_TILE_SCALES
#undef MX_TILE_EXTRA
#define mx_weight float
#define mx_x mx_x_f32
#define mx_operands mx_operands_f32
#define mx_segment mx_segment_f32
#define mx_tile mx_tile_f32
#define mx_put_row mx_put_row_f32
#define mx_entries mx_entries_f32
#define mx_entries_most mx_entries_most_f32
#define mx_entries_4 mx_entries_4_f32
#define mx_entries_2 mx_entries_2_f32
#define mx_entries_1 mx_entries_1_f32
#define mx_tiles mx_tiles_f32
#define mx_columns mx_columns_f32
#define mx_linear mx_linear_f32
