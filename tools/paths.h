/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of the user's, and files that appear whole or not at all. */
#ifndef TOOL_PATHS_H
#define TOOL_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PATH_BYTES 4096

/* "${XDG_CACHE_HOME:-~/.cache}/moxie/NAME". False: neither variable nor home folder is known, or the path is too long.
 */
bool path_cache(char out[PATH_BYTES], const char *name);

/* "folder/name"; false: too long. */
bool path_join(char out[PATH_BYTES], const char *folder, const char *name);

/* Makes a folder and those above it, for this user only (0700). False: see errno. */
bool path_make_folder(const char *path);

/* A file name that no other run uses, for something of about `bytes` that is soon gone: in memory where there is room
 * for twice as much, else in the cache folder. False: see errno. */
bool path_scratch(char out[PATH_BYTES], const char *name, uint64_t bytes);

/* A file under a temporary name in the folder of its destination. */
struct out_file {
    FILE *file;
    const char *path; /* the destination; to stay alive */
    char temporary[PATH_BYTES];
};

/* False: see errno. Each ends what out_file_open began; commit syncs and renames. */
bool out_file_open(struct out_file *f, const char *path);
bool out_file_commit(struct out_file *f);
void out_file_discard(struct out_file *f);

#endif
