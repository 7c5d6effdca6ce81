/* SPDX-License-Identifier: Apache-2.0
 *
 * Which format a matrix gets. */
#ifndef PK_CODING_H
#define PK_CODING_H

#include "pack/pack.h"
#include "pack/rows.h"

struct pk_coding {
    uint32_t format;     /* enum mx_format */
    uint32_t group;      /* of its scales; 0 for floats */
    uint32_t scale_type; /* enum mx_scale_type */
    bool kept;           /* an integer format with the checkpoint's own integers and scales */
};

/* Of one checkpoint tensor by itself, as the options ask. */
struct pk_coding pk_coding_of(const struct pk_pack_options *o, uint32_t role, const struct pk_tensor *t);

/* The format in which every value of the tensor is exact; for integers whose scales no format can hold (Q5_1, Q5_K,
 * Q6_K) the nearest one, not `kept`. */
struct pk_coding pk_coding_stored(const struct pk_tensor *t);

/* The smallest format in which both codings are exact: equal formats stay; I4 widens to I4Z, I4M and I8, I4Z to I4M and
 * I8; anything else to F32. The group is the smaller one: larger groups repeat their scale. */
struct pk_coding pk_coding_join(struct pk_coding a, struct pk_coding b);

/* Of a matrix that is to be one tensor. */
struct pk_coding pk_coding_of_rows(const struct pk_pack_options *o, uint32_t role, const struct pk_rows *rows);

/* Does the tensor hold every value of the rows as the checkpoint has it? */
bool pk_is_exact(const struct pk_pack_options *o, const struct mx_tensor *t, const struct pk_rows *rows);

#endif
