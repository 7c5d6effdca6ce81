/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/moxie_clblast.h"

#include <clblast_c.h>

/* `tiles` tiles from tile `first` on, the first `rows` rows of each: in column order a tile is a matrix of 16 rows, b
 * one of (cols, n), c one of (rows, n). */
static int32_t tiles(void *queue, const struct moxie_gemm *g, uint32_t first, uint32_t count, uint32_t rows) {
    cl_command_queue q = queue;
    const uint64_t tile = (uint64_t)g->kp * 16;
    if (count == 0) {
        return 0;
    }
    return CLBlastSgemmStridedBatched(CLBlastLayoutColMajor, CLBlastTransposeNo, CLBlastTransposeNo, rows, g->n,
                                      g->cols, 1.0f, g->a, g->a_offset + first * tile, 16, tile, g->b, 0, g->cols, 0,
                                      g->add ? 1.0f : 0.0f, g->c, g->c_offset + (uint64_t)first * 16, g->ldc, 16, count,
                                      &q, NULL);
}

static int32_t gemm(void *queue, const struct moxie_gemm *g) {
    const uint32_t whole = g->rows / 16, rest = g->rows % 16;
    int32_t code = tiles(queue, g, 0, whole, 16);
    return code ? code : tiles(queue, g, whole, rest ? 1 : 0, rest);
}

static void release(void) {
    CLBlastClearCache();
}

const struct moxie_blas moxie_clblast = {
    .size = sizeof moxie_clblast, .name = "CLBlast SgemmStridedBatched", .gemm = gemm, .release = release};
