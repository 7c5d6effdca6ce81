/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the inputs of the known answers: random values, all exact, and buffers in the layouts of the bundle format. */
#ifndef MX_KNOWN_INPUTS_H
#define MX_KNOWN_INPUTS_H

#include "opencl/known_cases.h"

/* As in the bundle format, which this layer does not include. */
enum mx_kf { MX_KF_I4 = 1, MX_KF_I4Z, MX_KF_I4M, MX_KF_I8, MX_KF_BF16, MX_KF_F16, MX_KF_F32 };
enum {
    MX_KF_SCALE_F16 = 1,
    MX_KF_KV_F16 = 1,
    MX_KF_KV_F32 = 2,
    MX_KF_KV_I8 = 3,
    MX_KF_NORM_TOPK = 1,
    MX_KF_SHARED_GATE = 2
};
enum { MX_KF_TWO_LAYERS = 8, MX_KF_CARRIED = 16, MX_KF_ZERO_APART = 32 };
#define MX_KF_CARRY_ON 0x80000000u
#define MX_KF_NONE 0xffffffffu

/* A case being made. */
struct mx_maker {
    uint8_t *image;
    size_t used;
    uint32_t seed;
    const struct mx_program_key *key;
    struct mx_program_key format; /* what mx_make_format makes the key */
    uint32_t scale_type;          /* of integer weights */
    struct mx_case *c;
};

/* A matrix in a segment: places of its planes, and the size of the segment. */
struct mx_planes {
    uint32_t rows, cols, kp, groups, data, scale, extra, bytes;
};

uint32_t mx_make_random(struct mx_maker *m);
float mx_make_real(struct mx_maker *m, int e); /* in (-1, 1) * 2^e, a multiple of 2^(e-23) */
uint16_t mx_make_half(struct mx_maker *m);     /* |v| < 1, subnormal halves too */

/* The next argument: a value; memory of zeros; memory whose bytes stay recognisable where a kernel does not write;
 * random floats; given words. Pointers lead into the image. */
void mx_make_u32(struct mx_maker *m, uint32_t value);
void mx_make_f32(struct mx_maker *m, float value);
void *mx_make_zeros(struct mx_maker *m, size_t bytes);
void *mx_make_output(struct mx_maker *m, size_t bytes);
float *mx_make_reals(struct mx_maker *m, size_t n, int e);
void mx_make_words(struct mx_maker *m, size_t n, const uint32_t *values);
#define MX_MAKE_WORDS(m, ...)                                                                                          \
    mx_make_words(m, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, (const uint32_t[]){__VA_ARGS__})

/* The grid, with `n` for what it counts. */
void mx_make_grid(struct mx_maker *m, enum mx_work work, enum mx_count count, uint32_t n, uint32_t items);

/* The i-th of all formats of weights with their groups: integers first. */
enum { MX_KNOWN_FORMATS = 4 * 3 + 3 };
void mx_known_format(uint32_t i, struct mx_program_key *key);

/* Halves or floats in turns, so that every part of a kernel has both. */
void mx_make_scales(struct mx_maker *m, uint32_t run);

/* Makes the run-th format, group and type of scales those of the weights, for a kernel that takes them as arguments;
 * false behind the last. */
bool mx_make_format(struct mx_maker *m, uint32_t run);

struct mx_planes mx_make_planes(const struct mx_maker *m, uint32_t rows, uint32_t cols);

/* The WEIGHTS arguments: a random matrix for expert 0 in the first window and one for expert 1 in the second, neither
 * at the window's start. */
void mx_make_weights(struct mx_maker *m, const struct mx_planes *p);

/* The same for a plain float array: norm weights, a bias, frequencies; values in (-1, 1), or (0, 1) when positive. */
void mx_make_vector(struct mx_maker *m, uint32_t n, bool positive, bool present);

/* Activations (rows, cols) as the weights' format wants them: floats, or int8 with scales and sums of groups. */
void mx_make_activations(struct mx_maker *m, uint32_t rows, const struct mx_planes *p);

static inline uint32_t mx_round_up(uint32_t n, uint32_t to) {
    return (n + to - 1) / to * to;
}

#endif
