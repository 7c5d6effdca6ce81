/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/coding.h"

#include <string.h>

struct pk_coding pk_coding_stored(enum pk_type type) {
    switch (type) {
    case PK_Q4_0:
        return (struct pk_coding){MX_FORMAT_I4, PK_BLOCK};
    case PK_Q4_1:
        return (struct pk_coding){MX_FORMAT_I4M, PK_BLOCK};
    case PK_Q8_0:
        return (struct pk_coding){MX_FORMAT_I8, PK_BLOCK};
    case PK_F16:
        return (struct pk_coding){MX_FORMAT_F16, 0};
    case PK_BF16:
        return (struct pk_coding){MX_FORMAT_BF16, 0};
    default:
        return (struct pk_coding){MX_FORMAT_F32, 0};
    }
}

struct pk_coding pk_coding_of(const struct pk_pack_options *o, uint32_t role, enum pk_type type) {
    static const uint32_t floats[] = {
        [PK_WEIGHTS_BF16] = MX_FORMAT_BF16, [PK_WEIGHTS_F16] = MX_FORMAT_F16, [PK_WEIGHTS_F32] = MX_FORMAT_F32};
    const struct pk_coding stored = pk_coding_stored(type);
    const bool head = role == MX_ROLE_EMBEDDING || role == MX_ROLE_HEAD;
    const bool to_int4 = o->weights == PK_WEIGHTS_INT4 && (!head || o->head_int4);
    const uint32_t group = o->group ? o->group : 32;
    if (role == MX_ROLE_ROUTER) {
        return (struct pk_coding){MX_FORMAT_F32, 0};
    }
    if (o->weights >= PK_WEIGHTS_BF16) {
        return (struct pk_coding){floats[o->weights], 0};
    }
    bool stays = o->weights == PK_WEIGHTS_KEEP || stored.format == MX_FORMAT_I4 || stored.format == MX_FORMAT_I4M ||
                 (stored.format == MX_FORMAT_I8 && !to_int4);
    return stays ? stored : (struct pk_coding){to_int4 ? MX_FORMAT_I4 : MX_FORMAT_I8, group};
}

struct pk_coding pk_coding_join(struct pk_coding a, struct pk_coding b) {
    const uint32_t low = a.format < b.format ? a.format : b.format, high = a.format < b.format ? b.format : a.format;
    const uint32_t group = a.group < b.group ? a.group : b.group;
    if (low == high || (low == MX_FORMAT_I4 && (high == MX_FORMAT_I8 || high == MX_FORMAT_I4M))) {
        return (struct pk_coding){high, group};
    }
    return (struct pk_coding){MX_FORMAT_F32, 0};
}

struct pk_coding pk_coding_of_rows(const struct pk_pack_options *o, uint32_t role, const struct pk_rows *rows) {
    struct pk_coding all = pk_coding_of(o, role, rows->slice[0].tensor->type);
    for (unsigned i = 0; i < rows->n; i++) {
        const struct pk_slice *s = &rows->slice[i];
        all = pk_coding_join(all, pk_coding_of(o, role, s->tensor->type));
        // A part that begins inside a block has no scales of its own to keep.
        struct pk_coding one = pk_coding_of(o, role, s->tensor->type), stored = pk_coding_stored(s->tensor->type);
        if (pk_is_integer(stored.format) && one.format == stored.format && s->first_col % PK_BLOCK) {
            return (struct pk_coding){MX_FORMAT_F32, 0};
        }
    }
    return all;
}

bool pk_weights_from_text(const char *text, enum pk_weights *weights) {
    static const char *const names[] = {"keep", "int4", "int8", "bf16", "f16", "f32"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *weights = (enum pk_weights)i;
            return true;
        }
    }
    return false;
}
