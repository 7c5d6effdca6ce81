/* SPDX-License-Identifier: Apache-2.0
 *
 * What the makers of cases share, and those that twin/cases.c lists and others hold. */
#ifndef TWIN_CASE_MAKERS_H
#define TWIN_CASE_MAKERS_H

#include <stdbool.h>

#include "opencl/known_inputs.h"

/* 0, +-2^-40 and other magnitudes below 2^24: what flush lets through. */
float twin_edge(struct mx_maker *m);
void twin_edges(struct mx_maker *m, float *v, size_t n);

/* The memory of argument `i`, which was made already. */
static inline void *twin_argument(const struct mx_maker *m, uint32_t i) {
    return m->image + m->c->arg[i].offset;
}

/* The values of the vector whose first argument is `i` (mx_make_vector). */
static inline float *twin_vector(const struct mx_maker *m, uint32_t i) {
    return (void *)(m->image + m->c->arg[i].offset + 768);
}

/* Case `run`; false: there is none. */
bool twin_case_rope_table(struct mx_maker *m, uint32_t run);
bool twin_case_rope_kv(struct mx_maker *m, uint32_t run);
bool twin_case_attention(struct mx_maker *m, uint32_t run);

#endif
