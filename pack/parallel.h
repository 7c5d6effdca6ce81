/* SPDX-License-Identifier: Apache-2.0
 *
 * The same work on every item of a list, on all CPUs. */
#ifndef PK_PARALLEL_H
#define PK_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

/* Calls work(context, i) for i in [0, n), in any order and on several threads at once; stops early after a false.
 * threads: at most that many, 0 = one per CPU. True when all calls were. */
bool pk_parallel(size_t n, unsigned threads, bool (*work)(void *context, size_t i), void *context);

#endif
