/* SPDX-License-Identifier: Apache-2.0 */
#include "opencl/known_inputs.h"

#include <string.h>

/* ---- Random values ---- */

uint32_t mx_make_random(struct mx_maker *m) {
    uint32_t h = m->seed += 0x9e3779b9u;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

float mx_make_real(struct mx_maker *m, int e) {
    float v = (float)((int32_t)(mx_make_random(m) >> 8) - 0x800000);
    uint32_t bits = (uint32_t)(e - 23 + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return v * power;
}

uint16_t mx_make_half(struct mx_maker *m) {
    uint32_t h = mx_make_random(m);
    return (uint16_t)((h & 0x8000) | (h >> 16) % 0x3c00);
}

static uint16_t bfloat(struct mx_maker *m) {
    uint32_t h = mx_make_random(m);
    return (uint16_t)((h & 0x8000) | (0x3c00 + (h >> 16) % 0x0380));
}

/* ---- Memory and arguments ---- */

static struct mx_case_arg *argument(struct mx_maker *m, enum mx_arg_kind kind) {
    struct mx_case_arg *a = &m->c->arg[m->c->n_args++];
    *a = (struct mx_case_arg){.kind = (uint8_t)kind};
    return a;
}

void mx_make_u32(struct mx_maker *m, uint32_t value) {
    argument(m, MX_ARG_U32)->u = value;
}

void mx_make_f32(struct mx_maker *m, float value) {
    argument(m, MX_ARG_F32)->f = value;
}

/* Memory of zeros that is no argument yet. */
static uint32_t reserve(struct mx_maker *m, size_t bytes) {
    uint32_t offset = (uint32_t)m->used;
    m->used += (bytes + 4095) / 4096 * 4096;
    memset(m->image + offset, 0, m->used - offset);
    return offset;
}

static void memory(struct mx_maker *m, uint32_t offset, size_t bytes) {
    struct mx_case_arg *a = argument(m, MX_ARG_MEM);
    a->offset = offset;
    a->bytes = (uint32_t)bytes;
}

void *mx_make_zeros(struct mx_maker *m, size_t bytes) {
    uint32_t offset = reserve(m, bytes);
    memory(m, offset, bytes);
    return m->image + offset;
}

void *mx_make_output(struct mx_maker *m, size_t bytes) {
    return memset(mx_make_zeros(m, bytes), 0xa5, bytes);
}

float *mx_make_reals(struct mx_maker *m, size_t n, int e) {
    float *v = mx_make_zeros(m, n * 4);
    for (size_t i = 0; i < n; i++)
        v[i] = mx_make_real(m, e);
    return v;
}

void mx_make_words(struct mx_maker *m, size_t n, const uint32_t *values) {
    memcpy(mx_make_zeros(m, n * 4), values, n * 4);
}

void mx_make_grid(struct mx_maker *m, enum mx_work work, enum mx_count count, uint32_t n, uint32_t items) {
    m->c->grid = (struct mx_grid){.work = work, .count = count, .jobs = MX_FIXED, .items = items};
    m->c->counts[count] = n;
}

/* ---- Weights ---- */

enum { GROUPS = 3, INTEGERS = MX_KF_I8 * GROUPS };

void mx_known_format(uint32_t i, struct mx_program_key *key) {
    key->format = i < INTEGERS ? MX_KF_I4 + i / GROUPS : MX_KF_BF16 + i - INTEGERS;
    key->group = i < INTEGERS ? 32u << i % GROUPS : 0;
}

void mx_make_scales(struct mx_maker *m, uint32_t run) {
    m->scale_type = MX_KF_SCALE_F16 + run % 2;
}

bool mx_make_format(struct mx_maker *m, uint32_t run) {
    const uint32_t i = run < INTEGERS * 2 ? run / 2 : run - INTEGERS;
    mx_known_format(i, &m->format);
    m->key = &m->format;
    mx_make_scales(m, run);
    return i < MX_KNOWN_FORMATS;
}

struct mx_planes mx_make_planes(const struct mx_maker *m, uint32_t rows, uint32_t cols) {
    const struct mx_program_key *key = m->key;
    struct mx_planes p = {
        .rows = rows, .cols = cols, .kp = mx_round_up(cols, 32), .data = 256, .scale = MX_KF_NONE, .extra = MX_KF_NONE};
    uint32_t tiles = mx_round_up(rows, 16) / 16;
    p.groups = key->format <= MX_KF_I8 ? (cols + key->group - 1) / key->group : 0;
    uint32_t atom = key->format <= MX_KF_I4M   ? 256
                    : key->format == MX_KF_I8  ? 512
                    : key->format == MX_KF_F32 ? 2048
                                               : 1024;
    uint32_t at = p.data + tiles * (p.kp / 32) * atom;
    uint32_t params = tiles * p.groups * 16 * (m->scale_type == MX_KF_SCALE_F16 ? 2 : 4);
    if (key->format <= MX_KF_I8) {
        p.scale = mx_round_up(at, 256);
        at = p.scale + params;
    }
    if (key->format == MX_KF_I4Z || key->format == MX_KF_I4M) {
        p.extra = mx_round_up(at, 256);
        at = p.extra + (key->format == MX_KF_I4Z ? tiles * p.groups * 16 : params);
    }
    p.bytes = mx_round_up(at, 4096);
    return p;
}

static void put_scale(struct mx_maker *m, uint8_t *plane, size_t i, bool is_min) {
    uint32_t h = mx_make_random(m);
    if (m->scale_type == MX_KF_SCALE_F16) {
        uint16_t v = (uint16_t)((0x2000 + (h & 0x7ff)) | (is_min ? h >> 16 & 0x8000 : 0));
        memcpy(plane + 2 * i, &v, 2);
    } else {
        uint32_t v = (0x3c000000 + (h & 0xffffff)) | (is_min ? h & 0x80000000 : 0);
        memcpy(plane + 4 * i, &v, 4);
    }
}

/* One weight at (row, k), in the tile layout of the bundle format. */
static void put_weight(struct mx_maker *m, uint8_t *data, uint32_t kp, uint32_t row, uint32_t k, bool inside,
                       uint32_t zero) {
    uint32_t tile = row / 16, r = row % 16, j = k % 32;
    if (m->key->format <= MX_KF_I4M) {
        uint8_t *atom = data + (size_t)(tile * (kp / 32) + k / 32) * 256;
        uint32_t q = inside ? mx_make_random(m) & 15 : zero;
        atom[(j % 16 / 4 * 16 + r) * 4 + j % 4] |= (uint8_t)(q << (j < 16 ? 0 : 4));
    } else if (m->key->format == MX_KF_I8) {
        uint8_t *atom = data + (size_t)(tile * (kp / 32) + k / 32) * 512;
        int32_t q = (int32_t)(mx_make_random(m) % 255) - 127;
        atom[(j / 4 * 16 + r) * 4 + j % 4] = inside ? (uint8_t)q : 0;
    } else if (inside) {
        size_t i = (size_t)(tile * kp + k) * 16 + r;
        uint16_t bits = m->key->format == MX_KF_BF16 ? bfloat(m) : mx_make_half(m);
        float v = mx_make_real(m, 0);
        memcpy(data + i * (m->key->format == MX_KF_F32 ? 4 : 2), m->key->format == MX_KF_F32 ? (void *)&v : &bits,
               m->key->format == MX_KF_F32 ? 4 : 2);
    }
}

/* Fills a segment with random weights. */
static void fill_segment(struct mx_maker *m, uint8_t *segment, const struct mx_planes *p) {
    for (uint32_t i = 0; i < mx_round_up(p->rows, 16) / 16 * p->groups * 16; i++) {
        bool inside = i / (p->groups * 16) * 16 + i % 16 < p->rows;
        if (inside)
            put_scale(m, segment + p->scale, i, false);
        if (inside && m->key->format == MX_KF_I4M)
            put_scale(m, segment + p->extra, i, true);
        if (inside && m->key->format == MX_KF_I4Z)
            segment[p->extra + i] = mx_make_random(m) & 15;
    }
    for (uint32_t row = 0; row < mx_round_up(p->rows, 16); row++)
        for (uint32_t k = 0; k < p->kp; k++) {
            uint32_t zero = m->key->format == MX_KF_I4 ? 8 : 0;
            if (m->key->format == MX_KF_I4Z && k >= p->cols)
                zero = segment[p->extra + (row / 16 * p->groups + p->groups - 1) * 16 + row % 16];
            put_weight(m, segment + p->data, p->kp, row, k, row < p->rows && k < p->cols, zero);
        }
}

enum { FIRST_WINDOW = 5, SEGMENT = 2 };

void mx_make_weights(struct mx_maker *m, const struct mx_planes *p) {
    for (uint32_t e = 0; e < 2; e++) {
        uint32_t offset = reserve(m, 4096 + p->bytes);
        fill_segment(m, m->image + offset + 512, p);
        memory(m, offset, 4096 + p->bytes);
    }
    mx_make_u32(m, FIRST_WINDOW);
    MX_MAKE_WORDS(m, 0, 0, 0, 0, FIRST_WINDOW, 2, FIRST_WINDOW + 1, 2);
    mx_make_u32(m, SEGMENT);
    mx_make_u32(m, p->data);
    mx_make_u32(m, p->scale);
    mx_make_u32(m, p->extra);
}

void mx_make_vector(struct mx_maker *m, uint32_t n, bool positive, bool present) {
    uint32_t offset = reserve(m, 768 + 4 * n);
    for (uint32_t i = 0; i < n; i++) {
        float v = mx_make_real(m, 0);
        v = positive && v < 0 ? -v : v;
        memcpy(m->image + offset + 768 + 4 * i, &v, 4);
    }
    memory(m, offset, 768 + 4 * n);
    memory(m, offset, 768 + 4 * n);
    mx_make_u32(m, FIRST_WINDOW);
    MX_MAKE_WORDS(m, 0, 0, 0, 0, FIRST_WINDOW, 2);
    mx_make_u32(m, SEGMENT);
    mx_make_u32(m, present ? 256 : MX_KF_NONE);
    mx_make_u32(m, MX_KF_NONE);
    mx_make_u32(m, MX_KF_NONE);
}

void mx_make_activations(struct mx_maker *m, uint32_t rows, const struct mx_planes *p) {
    if (m->key->format > MX_KF_I8) {
        mx_make_reals(m, (size_t)rows * p->cols, 1);
        mx_make_zeros(m, 64);
        mx_make_zeros(m, 64);
        return;
    }
    int8_t *q = mx_make_zeros(m, (size_t)rows * p->kp);
    float *scale = mx_make_zeros(m, (size_t)rows * p->groups * 4);
    int32_t *sum = mx_make_zeros(m, (size_t)rows * p->groups * 4);
    for (uint32_t i = 0; i < rows * p->groups; i++)
        scale[i] = (float)(1 + (mx_make_random(m) >> 8)) * 0x1p-29f;
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t k = 0; k < p->cols; k++) {
            int32_t v = (int32_t)(mx_make_random(m) % 255) - 127;
            q[row * p->kp + k] = (int8_t)v;
            sum[row * p->groups + k / m->key->group] += v;
        }
}
