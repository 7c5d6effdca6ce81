/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products by another library, an opt-in for unquantised bundles (moxie_callbacks.blas). Part of the public
 * interface (moxie.h includes it). An engine that uses one keeps only some of its promises: sums have the other
 * library's order, so logits differ in their last bits from device to device and with the size of a step; and the other
 * library allocates and creates OpenCL objects as it likes, during steps too. */
#ifndef MOXIE_BLAS_H
#define MOXIE_BLAS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* c[i][j] = sum over k of b[i][k] a[j][k], i < n, j < rows; everything is float32. */
struct moxie_gemm {
    void *a;           /* cl_mem: tiles of 16 rows, (ceil(rows / 16), kp, 16), padded with zeros */
    void *b;           /* cl_mem: (n, cols) */
    void *c;           /* cl_mem: (n, ldc) */
    uint64_t a_offset; /* floats from the start of the buffer */
    uint64_t c_offset;
    uint32_t n, rows, cols;
    uint32_t kp;  /* columns of a tile: cols rounded up to 32 */
    uint32_t ldc; /* floats from one row of c to the next */
    uint32_t add; /* 1: added to what is in c */
};

struct moxie_blas {
    uint32_t size;
    const char *name; /* for error messages */
    /* Enqueues the product on the cl_command_queue `queue`, behind what is there. A result other than 0 fails the step.
     * Called once during moxie_init, on whatever memory holds, so that what is built at the first use is built then. */
    int32_t (*gemm)(void *queue, const struct moxie_gemm *gemm);
    /* Gives back what the calls have left; from moxie_close, before the context is released. */
    void (*release)(void);
};

#ifdef __cplusplus
}
#endif
#endif
