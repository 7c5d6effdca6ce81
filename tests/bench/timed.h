/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of one kernel with arguments of a benchmark's own, timed. Begin, give the arguments in their order, take the
 * best; then the next kernel. What fails ends the program. */
#ifndef TESTS_BENCH_TIMED_H
#define TESTS_BENCH_TIMED_H

#include <stddef.h>
#include <stdint.h>

#include "opencl/known_inputs.h" /* names of formats */
#include "opencl/program.h"

/* Opens MX_DEVICE. MX_BENCH_DOT: an enum mx_dot, MX_BENCH_OPTIONS: more for the compiler. `before`, unless NULL: the
 * root of another checkout, whose kernels run in turns with these, `pairs` times. */
void timed_open(const char *before, unsigned pairs);
void timed_close(void);

void timed_begin(const char *file, const char *name, struct mx_program_key key);

/* The next argument: zeroed memory, also the host's, until timed_best; the memory of argument `of`; a number. */
void *timed_array(size_t bytes);
void timed_again(uint32_t of);
void timed_u32(uint32_t v);
void timed_f32(float v);

/* Fills with bits that differ: of 32, those of `mask`, added to `add`. */
void timed_noise(void *to, size_t bytes, uint32_t mask, uint32_t add);

/* Seconds of the best of `runs`, and what it spent over all threads, steadier than the clock on a machine that does
 * other things. With another checkout, prints how much faster than its kernel this one is. */
double timed_best(int runs, uint32_t dims, size_t a, size_t b, size_t c);
extern double timed_spent;

#endif
