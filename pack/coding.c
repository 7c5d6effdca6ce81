/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/coding.h"

#include <string.h>

static struct pk_coding integer(uint32_t format, uint32_t group, uint32_t scale_type, bool kept) {
    return (struct pk_coding){format, group, scale_type, kept};
}

static struct pk_coding floats(uint32_t format) {
    return (struct pk_coding){format, 0, MX_SCALE_NONE, false};
}

struct pk_coding pk_coding_stored(const struct pk_tensor *t) {
    const uint32_t group = t->group ? t->group : PK_BLOCK;
    switch (t->type) {
    case PK_Q4_0:
        return integer(MX_FORMAT_I4, group, MX_SCALE_F16, true);
    case PK_Q4_Z:
        return integer(MX_FORMAT_I4Z, group, MX_SCALE_F16, true);
    case PK_Q4_1:
        return integer(MX_FORMAT_I4M, group, MX_SCALE_F16, true);
    case PK_Q4_K: // scales and minimums are products of a half and six bits
        return integer(MX_FORMAT_I4M, group, MX_SCALE_F32, true);
    case PK_Q5_0:
    case PK_IQ4_NL:
    case PK_Q8_0:
        return integer(MX_FORMAT_I8, group, MX_SCALE_F16, true);
    case PK_Q5_1: // 5 bits with a minimum, or groups of 16: one group of 32 in 8 bits is the nearest
    case PK_Q5_K:
    case PK_Q6_K:
        return integer(MX_FORMAT_I8, group, MX_SCALE_F16, false);
    case PK_F16:
        return floats(MX_FORMAT_F16);
    case PK_BF16:
        return floats(MX_FORMAT_BF16);
    default:
        return floats(MX_FORMAT_F32);
    }
}

struct pk_coding pk_coding_of(const struct pk_pack_options *o, uint32_t role, const struct pk_tensor *t) {
    static const uint32_t of_weights[] = {
        [PK_WEIGHTS_BF16] = MX_FORMAT_BF16, [PK_WEIGHTS_F16] = MX_FORMAT_F16, [PK_WEIGHTS_F32] = MX_FORMAT_F32};
    const struct pk_coding stored = pk_coding_stored(t);
    const bool head = role == MX_ROLE_EMBEDDING || role == MX_ROLE_HEAD;
    const bool to_int4 = o->weights == PK_WEIGHTS_INT4 && (!head || o->head_int4);
    if (role == MX_ROLE_ROUTER || role == MX_ROLE_ROUTER_MORE) {
        return floats(MX_FORMAT_F32);
    }
    if (o->weights >= PK_WEIGHTS_BF16) {
        return floats(of_weights[o->weights]);
    }
    bool four_bits = stored.kept && stored.format != MX_FORMAT_I8;
    if (o->weights == PK_WEIGHTS_KEEP || four_bits || (stored.kept && !to_int4)) {
        return stored;
    }
    return integer(to_int4 ? MX_FORMAT_I4 : MX_FORMAT_I8, o->group ? o->group : PK_BLOCK, MX_SCALE_F16, false);
}

/* May `narrow` be written in `wide` without a change of value? */
static bool widens(uint32_t narrow, uint32_t wide) {
    return narrow == MX_FORMAT_I4 ? wide <= MX_FORMAT_I8 : narrow == MX_FORMAT_I4Z && wide <= MX_FORMAT_I8;
}

struct pk_coding pk_coding_join(struct pk_coding a, struct pk_coding b) {
    const struct pk_coding low = a.format <= b.format ? a : b, high = a.format <= b.format ? b : a;
    if (low.format != high.format && !widens(low.format, high.format)) {
        return floats(MX_FORMAT_F32);
    }
    const uint32_t wider = low.scale_type > high.scale_type ? low.scale_type : high.scale_type;
    // The minimum that stands for a zero-point, -zero * scale, is exact as a half only for zero = 8.
    const bool product = low.format == MX_FORMAT_I4Z && high.format == MX_FORMAT_I4M;
    return (struct pk_coding){high.format, low.group < high.group ? low.group : high.group,
                              product ? MX_SCALE_F32 : wider, a.kept && b.kept};
}

/* The largest group that divides both `group` and the column at which a part begins. */
static uint32_t group_at(uint32_t group, uint64_t column) {
    while (column % group) {
        group /= 2;
    }
    return group;
}

struct pk_coding pk_coding_of_rows(const struct pk_pack_options *o, uint32_t role, const struct pk_rows *rows) {
    struct pk_coding all = {0};
    for (unsigned i = 0; i < rows->n; i++) {
        const struct pk_slice *s = &rows->slice[i];
        struct pk_coding one = pk_coding_of(o, role, s->tensor);
        if (one.kept && s->first_col % PK_BLOCK) { // it begins inside a group: no scales of its own to keep
            return floats(MX_FORMAT_F32);
        }
        if (one.kept) {
            one.group = group_at(one.group, s->first_col);
        }
        all = i ? pk_coding_join(all, one) : one;
    }
    return all;
}

bool pk_is_exact(const struct pk_pack_options *o, const struct mx_tensor *t, const struct pk_rows *rows) {
    bool exact = true;
    for (unsigned i = 0; i < rows->n; i++) {
        const struct pk_tensor *from = rows->slice[i].tensor;
        const bool rounds = mx_format_is_integer(t->format) ? !pk_coding_of(o, t->role, from).kept
                                                            : t->format != pk_coding_stored(from).format;
        exact = exact && (!rounds || t->format == MX_FORMAT_F32 || t->format == MX_FORMAT_VECTOR);
    }
    return exact;
}
