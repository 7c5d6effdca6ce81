/* SPDX-License-Identifier: Apache-2.0 */
#include "twin/twin.h"

#include <string.h>

#include "runtime/arith.h"
#include "runtime/bundle_format.h"

static const struct {
    const char *kernel;
    void (*run)(const struct mx_program_key *key, const union twin_arg *arg, uint32_t units);
} twins[] = {
    {"mx_linear", twin_linear},           {"mx_embed", twin_embed},       {"mx_norm", twin_norm},
    {"mx_qk_norm", twin_qk_norm},         {"mx_quantise", twin_quantise}, {"mx_route", twin_route},
    {"mx_rope_table", twin_rope_table},   {"mx_rope_kv", twin_rope_kv},   {"mx_kv_copy", twin_kv_copy},
    {"mx_attention", twin_attention},     {"mx_sort", twin_sort},         {"mx_combine", twin_combine},
    {"mx_hash_leaves", twin_hash_leaves}, {"mx_keep", twin_keep},
};

bool twin_run(const struct mx_program_key *key, const char *kernel, const union twin_arg *arg, uint32_t units) {
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++)
        if (strcmp(twins[i].kernel, kernel) == 0) {
            twins[i].run(key, arg, units);
            return true;
        }
    return false;
}

bool twin_run_case(const struct mx_program_key *key, const char *kernel, const struct mx_case *c, uint8_t *image) {
    union twin_arg arg[MX_MAX_ARGS];
    for (uint32_t i = 0; i < c->n_args; i++)
        if (c->arg[i].kind == MX_ARG_MEM)
            arg[i].mem = image + c->arg[i].offset;
        else if (c->arg[i].kind == MX_ARG_F32)
            arg[i].f = c->arg[i].f;
        else
            arg[i].u = c->arg[i].u;
    return twin_run(key, kernel, arg, c->counts[c->grid.work == MX_WORK_LINEAR ? c->grid.jobs : c->grid.count]);
}

struct twin_tensor twin_tensor(const struct mx_program_key *key, const union twin_arg *arg, uint32_t expert,
                               uint32_t K) {
    const uint32_t *segment = (const uint32_t *)arg[3].mem + 2 * (arg[4].u + expert);
    const uint8_t *base = arg[segment[0] == arg[2].u ? 0 : 1].mem;
    base += 256ull * segment[1];
    struct twin_tensor t = {.key = key, .K = K};
    t.data = arg[5].u == MX_NONE ? NULL : base + arg[5].u;
    t.scale = arg[6].u == MX_NONE ? NULL : base + arg[6].u;
    t.extra = arg[7].u == MX_NONE ? NULL : base + arg[7].u;
    return t;
}

float twin_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    float x;
    if (exponent == 0) {
        x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    return mx_as_float((int32_t)(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13));
}

uint16_t twin_to_half(float x) {
    uint32_t bits = (uint32_t)mx_as_int(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x477fe000) /* 65504 */
        return (uint16_t)(sign | 0x7bff);
    if (magnitude < 0x33000000) /* 2^-25 */
        return (uint16_t)sign;
    /* The fraction with its leading one, shifted to the half's last place, rounded to nearest even. A carry out of the
     * fraction makes the next exponent, as it should. */
    uint32_t exponent = magnitude >> 23, fraction = (magnitude & 0x7fffff) | 0x800000;
    uint32_t drop = exponent < 113 ? 126 - exponent : 13, kept = fraction >> drop, rest = fraction & ((1u << drop) - 1);
    kept += rest > 1u << (drop - 1) || (rest == 1u << (drop - 1) && (kept & 1));
    return (uint16_t)(sign | (exponent < 113 ? kept : kept + ((exponent - 113) << 10)));
}

static uint64_t groups(const struct twin_tensor *t) {
    return (t->K + t->key->group - 1) / t->key->group;
}

static float parameter(const struct twin_tensor *t, const uint8_t *plane, uint32_t row, uint32_t group) {
    uint64_t i = (row / 16 * groups(t) + group) * 16 + row % 16;
    uint16_t h;
    float f;
    memcpy(&h, plane + 2 * i, 2);
    if (t->scale_type == MX_SCALE_F16)
        return twin_half(h);
    memcpy(&f, plane + 4 * i, 4);
    return f;
}

float twin_scale(const struct twin_tensor *t, uint32_t row, uint32_t group) {
    return parameter(t, t->scale, row, group);
}

float twin_min(const struct twin_tensor *t, uint32_t row, uint32_t group) {
    return parameter(t, t->extra, row, group);
}

int32_t twin_q(const struct twin_tensor *t, uint32_t row, uint32_t k) {
    uint64_t atom = row / 16 * (((uint64_t)t->K + 31) / 32) + k / 32;
    uint32_t j = k % 32, r = row % 16;
    if (t->key->format == MX_FORMAT_I8)
        return (int8_t)t->data[atom * 512 + (j / 4 * 16 + r) * 4 + j % 4];
    uint8_t pair = t->data[atom * 256 + (j % 16 / 4 * 16 + r) * 4 + j % 4];
    int32_t q = j < 16 ? pair & 15 : pair >> 4;
    if (t->key->format == MX_FORMAT_I4)
        return q - 8;
    if (t->key->format == MX_FORMAT_I4Z)
        return q - t->extra[(row / 16 * groups(t) + k / t->key->group) * 16 + r];
    return q;
}

float twin_weight(const struct twin_tensor *t, uint32_t row, uint32_t k) {
    uint64_t i = (row / 16 * (((uint64_t)t->K + 31) / 32 * 32) + k) * 16 + row % 16;
    uint16_t h;
    float f;
    if (t->key->format == MX_FORMAT_F32) {
        memcpy(&f, t->data + 4 * i, 4);
        return f;
    }
    memcpy(&h, t->data + 2 * i, 2);
    return t->key->format == MX_FORMAT_F16 ? twin_half(h) : mx_as_float((int32_t)((uint32_t)h << 16));
}
