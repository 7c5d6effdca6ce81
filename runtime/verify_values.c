/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers in a segment. A signature says who packed them, not that they can be computed with. */
#include "runtime/bundle_check.h"

/* Which patterns of a kind of number may stand in a bundle. */
enum kind { HALF, BFLOAT, SINGLE, INT8, ZERO_POINT };

static uint32_t load(const uint8_t *p, unsigned bytes) {
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint32_t)p[i] << 8 * i;
    }
    return v;
}

/* F: finite and flushed, that is +0 or at least 2^-40 in magnitude. */
static bool single_is_right(uint32_t bits) {
    uint32_t magnitude = bits & 0x7fffffff;
    return bits == 0 || (magnitude >= 0x2b800000 && magnitude < 0x7f800000);
}

static bool is_right(enum kind kind, const uint8_t *p) {
    switch (kind) {
    case HALF: /* every half but 0 is above 2^-40 */
        return (load(p, 2) & 0x7c00) != 0x7c00 && load(p, 2) != 0x8000;
    case BFLOAT:
        return single_is_right(load(p, 2) << 16);
    case SINGLE:
        return single_is_right(load(p, 4));
    case INT8:
        return p[0] != 0x80;
    default:
        return p[0] <= 15;
    }
}

struct plane {
    enum kind kind;
    uint64_t offset, bytes; /* in the bundle */
    const char *name;
};

static const unsigned sizes[] = {[HALF] = 2, [BFLOAT] = 2, [SINGLE] = 4, [INT8] = 1, [ZERO_POINT] = 1};

static enum moxie_error check_plane(const struct mx_bundle *b, const struct mx_tensor *t, uint32_t segment,
                                    const struct plane *plane, struct moxie_failure *f) {
    const uint8_t *p = b->bytes + plane->offset;
    for (uint64_t at = 0; at < plane->bytes; at += sizes[plane->kind]) {
        const uint64_t place = plane->offset + at;
        if (!is_right(plane->kind, p + at)) {
            return mx_fail(f, MOXIE_ERROR_MODEL, place,
                           "%s, layer %d, expert %d: %s at byte %llu of the file is not finite, too small or out of "
                           "range",
                           mx_role_name(t->role), (int)t->layer, (int)b->segments[segment].expert, plane->name,
                           (unsigned long long)place);
        }
    }
    return MOXIE_OK;
}

static enum moxie_error check_tensor(const struct mx_bundle *b, const struct mx_tensor *t, uint32_t segment,
                                     struct moxie_failure *f) {
    const uint64_t base = b->segments[segment].offset;
    const enum kind scales = t->scale_type == MX_SCALE_F16 ? HALF : SINGLE;
    struct plane planes[3];
    unsigned n = 0;
    if (t->format >= MX_FORMAT_I8) {
        static const enum kind kinds[] = {[MX_FORMAT_I8] = INT8,
                                          [MX_FORMAT_BF16] = BFLOAT,
                                          [MX_FORMAT_F16] = HALF,
                                          [MX_FORMAT_F32] = SINGLE,
                                          [MX_FORMAT_VECTOR] = SINGLE};
        planes[n++] = (struct plane){kinds[t->format], base + t->data, mx_tensor_data_bytes(t), "a weight"};
    }
    if (t->scale != MX_NONE) {
        planes[n++] = (struct plane){scales, base + t->scale, mx_tensor_scale_bytes(t), "a scale"};
    }
    if (t->extra != MX_NONE) {
        planes[n++] =
            (struct plane){t->format == MX_FORMAT_I4Z ? ZERO_POINT : scales, base + t->extra, mx_tensor_extra_bytes(t),
                           t->format == MX_FORMAT_I4Z ? "a zero-point" : "a minimum"};
    }
    for (unsigned i = 0; i < n; i++) {
        enum moxie_error e = check_plane(b, t, segment, &planes[i], f);
        if (e) {
            return e;
        }
    }
    return MOXIE_OK;
}

enum moxie_error mx_bundle_check_values(const struct mx_bundle *bundle, uint32_t segment,
                                        struct moxie_failure *failure) {
    for (uint32_t i = 0; i < bundle->manifest->tensors; i++) {
        const struct mx_tensor *t = &bundle->tensors[i];
        if (segment >= t->segment && segment < t->segment + t->segments) {
            enum moxie_error e = check_tensor(bundle, t, segment, failure);
            if (e) {
                return e;
            }
        }
    }
    return MOXIE_OK;
}
