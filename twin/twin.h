/* SPDX-License-Identifier: Apache-2.0
 *
 * Scalar twins of the kernels: plain loops, written from runtime/ARITHMETIC.md. A twin takes the kernel's arguments in
 * the kernel's order and does to host memory what the kernel does to device memory, bit for bit. */
#ifndef TWIN_H
#define TWIN_H

#include <stdbool.h>
#include <stdint.h>

#include "opencl/known_cases.h"

union twin_arg {
    void *mem;
    uint32_t u;
    float f;
};

/* Runs the twin of `kernel` in the program `key` over its whole grid: `units` are sides 0 of kernels whose arguments do
 * not say how many rows there are (rows, tokens, pairs of blocks, jobs of mx_linear). False when there is no such
 * kernel. */
bool twin_run(const struct mx_program_key *key, const char *kernel, const union twin_arg *arg, uint32_t units);

/* The same of a case, on its image. */
bool twin_run_case(const struct mx_program_key *key, const char *kernel, const struct mx_case *c, uint8_t *image);

/* One tensor in place: the WEIGHTS arguments, resolved. */
struct twin_tensor {
    const struct mx_program_key *key;
    const uint8_t *data, *scale, *extra;
    uint32_t K, scale_type;
};

/* arg: the first of the eight WEIGHTS arguments; segment `segment` + expert. */
struct twin_tensor twin_tensor(const struct mx_program_key *key, const union twin_arg *arg, uint32_t expert,
                               uint32_t K);

float twin_half(uint16_t h);    /* exact */
uint16_t twin_to_half(float x); /* nearest even, saturated */

/* Of an integer tensor: q with the zero-point taken off, scale and minimum of the group that k is in. */
int32_t twin_q(const struct twin_tensor *t, uint32_t row, uint32_t k);
float twin_scale(const struct twin_tensor *t, uint32_t row, uint32_t group);
float twin_min(const struct twin_tensor *t, uint32_t row, uint32_t group);
float twin_weight(const struct twin_tensor *t, uint32_t row, uint32_t k); /* of a float tensor */

static inline bool twin_is_integer(const struct mx_program_key *key) {
    return key->format >= 1 && key->format <= 4;
}

void twin_linear(const struct mx_program_key *key, const union twin_arg *arg, uint32_t jobs);
void twin_embed(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_norm(const struct mx_program_key *key, const union twin_arg *arg, uint32_t rows);
void twin_qk_norm(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_quantise(const struct mx_program_key *key, const union twin_arg *arg, uint32_t rows);
void twin_rope_table(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_rope_kv(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_kv_copy(const struct mx_program_key *key, const union twin_arg *arg, uint32_t pairs);
void twin_attention(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_route(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_sort(const struct mx_program_key *key, const union twin_arg *arg, uint32_t one);
void twin_keep(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_combine(const struct mx_program_key *key, const union twin_arg *arg, uint32_t tokens);
void twin_hash_leaves(const struct mx_program_key *key, const union twin_arg *arg, uint32_t sets);

#endif
