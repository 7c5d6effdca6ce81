/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of the user's, and files that appear whole or not at all. */
#ifndef TOOL_PATHS_H
#define TOOL_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pack/destination.h"

#define PATH_BYTES 4096

/* "${XDG_CACHE_HOME:-~/.cache}/moxie/NAME". False: neither variable nor home folder is known, or the path is too long.
 */
bool path_cache(char out[PATH_BYTES], const char *name);

/* Where PoCL keeps what it compiles, and whether that can be written (false: errno says why not): without it no kernel
 * compiles, and PoCL does not tell. */
bool path_writable_driver_cache(char out[PATH_BYTES]);

/* "folder/name"; false: too long. */
bool path_join(char out[PATH_BYTES], const char *folder, const char *name);

/* Makes a folder and those above it, for this user only (0700). False: see errno. */
bool path_make_folder(const char *path);

/* A file for about `bytes`: in memory where there is room for twice as much, else in the cache folder. It has no name
 * any more, so that nothing is left of it however this process ends: `out` is its path as long as what is returned, its
 * descriptor, is open. -1: see errno. */
int path_scratch(char out[PATH_BYTES], const char *name, uint64_t bytes);

/* Both are there, and they are the same file. */
bool path_same(const char *a, const char *b);

/* A file that appears whole or not at all (pack/destination.h), as a stream. */
struct out_file {
    FILE *file;
    const char *path; /* the destination; to stay alive */
    struct pk_destination to;
};

/* False: see errno. Commit and discard end what out_file_open began. */
bool out_file_open(struct out_file *f, const char *path);
bool out_file_commit(struct out_file *f);
void out_file_discard(struct out_file *f);

#endif
