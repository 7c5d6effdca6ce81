/* SPDX-License-Identifier: Apache-2.0
 *
 * Dense float32 products given to the caller's BLAS (opencl/moxie_blas.h). The canonical launch stays bound beside
 * each, so that the plan and everything else are the same with and without. */
#include "runtime/engine.h"

void mx_blas_bind(struct moxie *e, uint32_t launch, const struct mx_op *op) {
    const struct mx_tensor *t = op->dense.tensor;
    struct moxie_gemm *g = &e->gemm[launch];
    *g = (struct moxie_gemm){.rows = 0};
    if (!e->blas || !t)
        return;
    uint32_t w = mx_window_of(e->window_range, e->plan.facts.windows, t->segment);
    *g = (struct moxie_gemm){
        .a = e->window[w],
        .b = e->buffer[op->dense.in],
        .c = e->buffer[op->dense.out],
        .a_offset = (e->bundle->segments[t->segment].offset - e->window_range[w].offset + t->data) / sizeof(float),
        .c_offset = t->row_offset,
        .rows = t->rows,
        .cols = t->cols,
        .kp = (uint32_t)mx_tensor_kp(t),
        .ldc = op->dense.ldo,
        .add = op->dense.add,
    };
}

enum moxie_error mx_blas_run(struct moxie *e, uint32_t launch, uint32_t n, struct moxie_failure *failure) {
    struct moxie_gemm *g = &e->gemm[launch];
    g->n = n;
    int32_t code = n ? e->blas->gemm(e->cl.queue, g) : 0;
    return code ? mx_cl_queue_failed(code, e->blas->name, e->launch[launch].name, failure) : MOXIE_OK;
}

enum moxie_error mx_blas_start(struct moxie *e, struct moxie_failure *failure) {
    enum moxie_error err = MOXIE_OK;
    for (uint32_t i = 0; !err && i < e->launches; i++)
        if (e->gemm[i].rows) {
            err = mx_blas_run(e, i, 1, failure);
            return err ? err : mx_cl_finish(&e->cl, failure);
        }
    return err;
}
