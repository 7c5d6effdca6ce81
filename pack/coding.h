/* SPDX-License-Identifier: Apache-2.0
 *
 * Which format a matrix gets. */
#ifndef PK_CODING_H
#define PK_CODING_H

#include "pack/pack.h"
#include "pack/rows.h"

struct pk_coding {
    uint32_t format; /* enum mx_format */
    uint32_t group;  /* of its scales; 0 for floats */
};

/* Of one checkpoint tensor by itself, as the options ask. */
struct pk_coding pk_coding_of(const struct pk_pack_options *o, uint32_t role, enum pk_type type);

/* The format that a tensor of this type has without being requantised; group 0 and a float format for floats. */
struct pk_coding pk_coding_stored(enum pk_type type);

/* The smallest format in which both codings are exact: equal formats stay; I4 widens to I8 and to I4M; anything else to
 * F32. The group is the smaller one: larger groups repeat their scale. */
struct pk_coding pk_coding_join(struct pk_coding a, struct pk_coding b);

/* Of a matrix that is to be one tensor. */
struct pk_coding pk_coding_of_rows(const struct pk_pack_options *o, uint32_t role, const struct pk_rows *rows);

static inline bool pk_is_integer(uint32_t format) {
    return format >= MX_FORMAT_I4 && format <= MX_FORMAT_I8;
}

#endif
