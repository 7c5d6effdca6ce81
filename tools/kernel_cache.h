/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled kernels in the user's cache folder. One file per key, named by it in hexadecimal and .bin; the library
 * itself sees whether one is damaged. A folder that somebody else may write is not used. */
#ifndef TOOL_KERNEL_CACHE_H
#define TOOL_KERNEL_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/paths.h"

struct kernel_cache {
    char folder[PATH_BYTES]; /* empty: no cache */
};

/* Finds or makes the folder. Without one everything works, only slower. */
void kernel_cache_open(struct kernel_cache *cache);

/* As cache_load and cache_store of struct moxie_callbacks. */
size_t kernel_cache_load(const struct kernel_cache *cache, const uint8_t key[32], void *bytes, size_t max);
void kernel_cache_store(const struct kernel_cache *cache, const uint8_t key[32], const void *bytes, size_t count);

#endif
