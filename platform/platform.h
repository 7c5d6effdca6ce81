/* SPDX-License-Identifier: Apache-2.0
 *
 * What Moxie needs from an operating system: this header is the whole contract of a port. posix.c is the port for
 * Linux, Android and the BSDs; minimal.c is for systems without files, where the caller supplies the mapped bytes.
 *
 * Every function may be called from any thread, none allocates from the heap, prints or ends the program. */
#ifndef MX_PLATFORM_H
#define MX_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#include "platform/moxie_error.h"

/* A file's bytes, read-only. An empty file has size 0 and a pointer that is not NULL. */
struct mx_mapping {
    const uint8_t *data; /* page-aligned */
    uint64_t size;       /* bytes */
};

/* Maps the whole regular file `path`. The mapping shows later writes to the file; touching what was truncated after
 * the call raises SIGBUS. Release with mx_unmap_file.
 * Errors: FILE, MAP (also a file that does not fit the address space); `m` is then {NULL, 0}. */
enum moxie_error mx_map_file(const char *path, struct mx_mapping *m, struct moxie_failure *f);

/* Releases the mapping and sets it to {NULL, 0}; does nothing to one that is already so. */
void mx_unmap_file(struct mx_mapping *m);

/* `bytes` > 0 of zeroed private memory in whole pages. Release with mx_region_unmap and the same `bytes`.
 * Errors: ARGUMENT (zero), MAP; `*region` is then NULL. */
enum moxie_error mx_region_map(uint64_t bytes, void **region, struct moxie_failure *f);

/* Releases a region; does nothing when it is NULL. */
void mx_region_unmap(void *region, uint64_t bytes);

/* Gives other threads a moment, about 50 µs: what a thread does while it waits for a short lock. */
void mx_pause(void);

#endif
