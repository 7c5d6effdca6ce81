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
#undef MX_OTHER
#define MX_OTHER _f32
#define mx_linear mx_linear_f32
