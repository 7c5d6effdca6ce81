/* SPDX-License-Identifier: Apache-2.0
 *
 * What the system says that this process holds: to be set beside what a plan said. */
#ifndef TOOL_MEMORY_USE_H
#define TOOL_MEMORY_USE_H

#include <stdint.h>

/* Bytes of the pages of [at, at + bytes) that are in memory; `at` begins a page. */
uint64_t memory_resident(const void *at, uint64_t bytes);

/* Bytes of all that the process holds in memory beside mapped files. 0: the system does not tell (it is Linux's
 * /proc/self/status). */
uint64_t memory_anonymous(void);

#endif
