/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a checkpoint by their names, wherever they lie: in a folder, or as members of a tar or zip archive
 * (pack/archive.h), of which they are read in place where the format stores them as they are. */
#ifndef PK_FOLDER_H
#define PK_FOLDER_H

#include "pack/pk_file.h"

struct pk_folder;

/* A folder, or an archive; in one, the checkpoint is the folder nearest to the top that has a config.json or else a
 * GGUF file. NULL: see `e`. */
struct pk_folder *pk_folder_open(const char *path, struct pk_error *e);
void pk_folder_close(struct pk_folder *d); /* NULL is fine; files that were opened stay open */

/* Is there a file of this name (no path)? */
bool pk_folder_has(const struct pk_folder *d, const char *name);

bool pk_folder_file(const struct pk_folder *d, const char *name, struct pk_file *f, struct pk_error *e);

/* A whole file, as pk_file_load. */
char *pk_folder_load(const struct pk_folder *d, const char *name, uint64_t max, uint64_t *bytes, struct pk_error *e);

/* What errors call the file `name`: "folder/name", "archive.tar:folder/name". To be freed; NULL: out of memory. */
char *pk_folder_path(const struct pk_folder *d, const char *name, struct pk_error *e);

/* The files whose names end with `end`: up to `max` names, sorted, to be freed with the array; returns their number,
 * or -1: see `e`. */
int pk_folder_list(const struct pk_folder *d, const char *end, char ***names, struct pk_error *e);
void pk_folder_list_free(char **names);

/* What the checkpoint is called: the last part of the folder's real path, or of an archive's without its ending. To be
 * freed; NULL: see `e`. */
char *pk_folder_name(const struct pk_folder *d, struct pk_error *e);

/* Bytes of a compressed archive that lie in a temporary file. */
uint64_t pk_folder_unpacked(const struct pk_folder *d);

#endif
