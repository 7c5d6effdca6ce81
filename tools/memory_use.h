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

/* Bytes of mapped files that lie in large pages, which is almost all of them the bundle's. Linux may give
 * them to what it reads for a mapping and to what is written in pieces as large. 0: none, or the system does not tell.
 */
uint64_t memory_large_pages(void);

#endif
